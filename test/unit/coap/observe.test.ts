/** Observation, RFC 7641: the three ways out, the caps, the order of notifications, and who pays for a vanished observer. */
import { describe, expect, it } from 'vitest';
import type { ObserveRelation, ReceivedResponse } from '../../../src/coap/api.ts';
import { CODE, TYPE } from '../../../src/coap/codes.ts';
import { OPTION, readUint, uintOption } from '../../../src/coap/option-table.ts';
import { message, NONE, optionOf, Rig, settle, text, words } from './rig.ts';
import { VirtualNetwork } from './virtual-network.ts';

const register = uintOption(OPTION.observe, 0);
const deregister = uintOption(OPTION.observe, 1);

class Observed {
  readonly relations: ObserveRelation<string>[] = [];
  readonly rig: Rig;
  #ids = 0;
  constructor(options: ConstructorParameters<typeof Rig>[0] = {}) {
    this.rig = new Rig(options);
    this.rig.answer = () => ({
      code: CODE.content,
      payload: text('now'),
      observe: (relation) => {
        this.relations.push(relation);
      },
    });
  }
  get last(): ObserveRelation<string> {
    return this.relations.at(-1) as ObserveRelation<string>;
  }
  ask(token: number, options = [register], path = '/state') {
    return this.rig.exchange({ path, messageId: ++this.#ids, token: Uint8Array.of(token), options });
  }
  reset(messageId: number): void {
    this.rig.receive(message({ type: TYPE.reset, code: 0, messageId, token: NONE }));
  }
  acknowledge(messageId: number): void {
    this.rig.receive(message({ type: TYPE.acknowledgement, code: 0, messageId, token: NONE }));
  }
}

const sequenceOf = (one: Parameters<typeof optionOf>[0]) => {
  const value = optionOf(one, OPTION.observe);
  return value && readUint(value);
};

describe('server', () => {
  it('registers, numbers its notifications and uses the token of the registration', () => {
    const observed = new Observed();
    const first = observed.ask(9);
    expect(sequenceOf(first)).toBe(1);
    expect(observed.last).toMatchObject({ path: '/state', peer: 'peer' });
    observed.last.notify({ code: CODE.content, payload: text('then') });
    const next = observed.rig.one();
    expect(next).toMatchObject({ type: TYPE.nonConfirmable, code: CODE.content });
    expect([...next.token]).toEqual([9]);
    expect([sequenceOf(next), words(next.payload)]).toEqual([2, 'then']);
  });

  it('a resource that is not observable answers once, without the option', () => {
    const rig = new Rig();
    const answer = rig.exchange({ options: [register] });
    expect([answer.code, sequenceOf(answer)]).toEqual([CODE.content, undefined]);
    expect(rig.handled[0]?.observe).toBe('register');
  });

  it('POST is not observed', () => {
    const observed = new Observed();
    const answer = observed.rig.exchange({ code: 2, options: [register] });
    expect([sequenceOf(answer), observed.relations.length]).toEqual([undefined, 0]);
  });

  it('a request for a later block is no registration', () => {
    const observed = new Observed();
    const answer = observed.ask(1, [register, uintOption(OPTION.block2, 16)]);
    expect([answer.code, observed.rig.handled[0]?.observe]).toEqual([CODE.badRequest, undefined]);
    expect(observed.rig.endpoint.observationCount).toBe(0);
  });

  it('a first answer that cannot be written takes up nothing', () => {
    const observed = new Observed();
    observed.rig.answer = () => ({
      code: CODE.content,
      etag: new Uint8Array(9),
      observe: (relation) => observed.relations.push(relation),
    });
    expect(observed.ask(1).code).toBe(CODE.internalServerError);
    expect([observed.relations.length, observed.rig.endpoint.observationCount]).toEqual([0, 0]);
  });

  it('a peer that its own handler sends away leaves nothing behind', async () => {
    const observed = new Observed();
    const { rig } = observed;
    const answer = { code: CODE.content, payload: new Uint8Array(3_000), observe: () => observed.relations.length };
    rig.answer = () => {
      rig.endpoint.forgetPeer('peer');
      return answer;
    };
    rig.receive(message({ options: [register] }));
    rig.answer = () => {
      rig.endpoint.forgetPeer('peer');
      return Promise.resolve(answer);
    };
    rig.receive(message({ options: [register] }));
    await settle();
    expect([rig.sent.length, rig.endpoint.observationCount, rig.endpoint.blockBytes]).toEqual([0, 0, 0]);
    expect([rig.endpoint.peerCount, rig.endpoint.nextDeadlineMs]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it('an error answer takes up nothing', () => {
    const observed = new Observed();
    observed.rig.answer = () => ({ code: CODE.forbidden, observe: (relation) => observed.relations.push(relation) });
    expect(sequenceOf(observed.ask(1))).toBeUndefined();
    expect(observed.relations).toHaveLength(0);
  });

  describe('ends', () => {
    it('by a reset to a confirmable notification', () => {
      const observed = new Observed();
      observed.ask(1);
      observed.last.notify({ code: CODE.content }, { confirmable: true });
      observed.reset(observed.rig.one().messageId);
      expect(observed.last.signal.aborted).toBe(true);
      observed.last.notify({ code: CODE.content });
      expect(observed.rig.sent).toHaveLength(0);
      expect(observed.rig.endpoint.observationCount).toBe(0);
    });

    it('by a reset to a non-confirmable one, a few later', () => {
      const observed = new Observed();
      observed.ask(1);
      observed.last.notify({ code: CODE.content });
      const { messageId } = observed.rig.one();
      observed.last.notify({ code: CODE.content });
      observed.reset(messageId);
      expect(observed.last.signal.aborted).toBe(true);
    });

    it('by GET with Observe 1 and the same token, not another', () => {
      const observed = new Observed();
      observed.ask(1);
      const answer = observed.ask(2, [deregister]);
      expect(sequenceOf(answer)).toBeUndefined();
      expect(observed.last.signal.aborted).toBe(false);
      observed.ask(1, [deregister]);
      expect(observed.last.signal.aborted).toBe(true);
    });

    it('when the peer leaves', () => {
      const observed = new Observed();
      observed.ask(1);
      observed.rig.endpoint.forgetPeer('peer');
      expect(observed.last.signal.aborted).toBe(true);
      expect(observed.rig.endpoint.observationCount).toBe(0);
    });

    it('by the handler, without a word, and the peer is forgotten when that was all of it', () => {
      const observed = new Observed();
      observed.ask(1);
      observed.rig.pass(300_000);
      expect(observed.rig.endpoint.peerCount).toBe(1);
      observed.last.end();
      expect(observed.last.signal.aborted).toBe(true);
      observed.rig.pass(1);
      expect([observed.rig.sent.length, observed.rig.endpoint.peerCount]).toEqual([0, 0]);
    });

    it('when a confirmable notification is never acknowledged', () => {
      const observed = new Observed();
      observed.ask(1);
      observed.last.notify({ code: CODE.content }, { confirmable: true });
      observed.rig.pass(100_000);
      expect(observed.last.signal.aborted).toBe(true);
      observed.rig.pass(400_000);
      expect(observed.rig.endpoint.peerCount).toBe(0);
    });

    it('with an error notification, which carries no Observe option', () => {
      const observed = new Observed();
      observed.ask(1);
      observed.last.notify({ code: CODE.notFound });
      const last = observed.rig.one();
      expect([last.code, last.type, sequenceOf(last)]).toEqual([CODE.notFound, TYPE.confirmable, undefined]);
      expect(observed.last.signal.aborted).toBe(true);
    });

    it('not by a reset of another peer', () => {
      const observed = new Observed();
      observed.ask(1);
      observed.last.notify({ code: CODE.content });
      const { messageId } = observed.rig.one();
      observed.rig.receive(message({ type: TYPE.reset, code: 0, messageId, token: NONE }), 'other');
      expect(observed.last.signal.aborted).toBe(false);
    });
  });

  it('a registration again replaces the former one and goes on counting', () => {
    const observed = new Observed();
    observed.ask(1);
    const former = observed.last;
    former.notify({ code: CODE.content });
    observed.rig.taken();
    expect(sequenceOf(observed.ask(1))).toBe(3);
    expect(former.signal.aborted).toBe(true);
    expect(observed.rig.endpoint.observationCount).toBe(1);
  });

  it('16 observations of one peer; the next is answered once', () => {
    const observed = new Observed();
    const taken = Array.from({ length: 17 }, (_, at) => sequenceOf(observed.ask(at)) !== undefined);
    expect(taken).toEqual([...new Array(16).fill(true), false]);
    expect(sequenceOf(observed.ask(3))).toBe(2);
    expect(observed.rig.endpoint.stats.observationsRefused).toBe(1);
  });

  it('all peers together are capped too', () => {
    const observed = new Observed({ limits: { maxObservations: 2 } });
    for (const peer of ['a', 'b', 'c']) observed.rig.receive(message({ options: [register] }), peer);
    expect(observed.rig.endpoint.observationCount).toBe(2);
  });

  it('every hundredth notification is confirmable, and the first after 24 hours', () => {
    const observed = new Observed();
    observed.ask(1);
    const types: number[] = [];
    for (let at = 0; at < 100; at++) {
      observed.last.notify({ code: CODE.content });
      types.push(observed.rig.one().type);
    }
    expect(types.indexOf(TYPE.confirmable)).toBe(99);
    const slow = new Observed();
    slow.ask(1);
    slow.rig.pass(24 * 3_600_000);
    slow.last.notify({ code: CODE.content });
    expect(slow.rig.one().type).toBe(TYPE.confirmable);
  });

  it('while one is not acknowledged only the latest state waits (RFC 7641 section 4.5.2)', () => {
    const observed = new Observed();
    observed.ask(1);
    observed.last.notify({ code: CODE.content, payload: text('1') }, { confirmable: true });
    const first = observed.rig.one();
    for (const state of ['2', '3', '4']) observed.last.notify({ code: CODE.content, payload: text(state) });
    expect(observed.rig.sent).toHaveLength(0);
    observed.acknowledge(first.messageId);
    expect(words(observed.rig.one().payload)).toBe('4');
  });

  it('a large notification is a first block; the rest is fetched without another run', () => {
    const observed = new Observed();
    observed.ask(1);
    observed.last.notify({ code: CODE.content, payload: new Uint8Array(1_500).fill(3) });
    const first = observed.rig.one();
    expect([first.payload.length, sequenceOf(first)]).toEqual([1_024, 2]);
    const rest = observed.ask(2, [uintOption(OPTION.block2, 16 + 6)]);
    expect(rest.payload).toHaveLength(476);
    expect(observed.rig.handled).toHaveLength(1);
  });

  it('a notification that cannot be written is the operator’s to see, and throws nowhere', () => {
    const observed = new Observed();
    observed.ask(1);
    observed.last.notify({ code: CODE.content, etag: new Uint8Array(9) });
    expect(observed.rig.refused).toEqual(['response-not-sendable']);
    expect(observed.rig.failures).toHaveLength(1);
  });

  it('a handler that throws when it is told gives the place back', () => {
    const rig = new Rig();
    rig.answer = () => ({
      code: CODE.content,
      observe: () => {
        throw new TypeError('full');
      },
    });
    rig.receive(message({ options: [register] }));
    expect([rig.endpoint.observationCount, rig.failures.length]).toEqual([0, 1]);
  });
});

describe('client', () => {
  function world() {
    const network = new VirtualNetwork(7);
    const relations: ObserveRelation<string>[] = [];
    const server = network.join('server', {
      server: {
        handle: (request) =>
          request.path === '/plain'
            ? { code: CODE.content, payload: text('once') }
            : {
                code: CODE.content,
                payload: text('0'),
                maxAgeS: 30,
                observe: (relation) => {
                  relations.push(relation);
                },
              },
      },
    });
    const client = network.join('client');
    const heard: string[] = [];
    const ends: string[] = [];
    const observe = async (path = 'state', options = {}) => {
      const pending = client.observe(
        'server',
        { method: 'GET', pathSegments: [path] },
        {
          notification: (response: ReceivedResponse) => heard.push(words(response.payload)),
          end: (reason) => ends.push(reason),
        },
        options,
      );
      await network.run(network.nowMs + 100);
      return await pending;
    };
    return { network, relations, server, client, heard, ends, observe };
  }

  it('hears every state, and says goodbye', async () => {
    const { network, relations, observe, heard, ends, server, client } = world();
    const observation = await observe();
    expect([observation.active, words(observation.first.payload)]).toEqual([true, '0']);
    for (const state of ['1', '2', '3']) {
      relations[0]?.notify({ code: CODE.content, payload: text(state), maxAgeS: 30 });
      await network.run(network.nowMs + 50);
    }
    expect(heard).toEqual(['1', '2', '3']);
    observation.cancel();
    await network.run(network.nowMs + 100);
    expect([relations[0]?.signal.aborted, server.observationCount, ends]).toEqual([true, 0, ['cancelled']]);
    await network.run(network.nowMs + 400_000);
    expect(client.peerCount).toBe(0);
  });

  it('forgets, and the next notification is refused with a reset', async () => {
    const { network, relations, observe, heard } = world();
    (await observe()).cancel('forget');
    await network.run(network.nowMs + 100);
    expect(relations[0]?.signal.aborted).toBe(false);
    relations[0]?.notify({ code: CODE.content, payload: text('1') });
    await network.run(network.nowMs + 100);
    expect([relations[0]?.signal.aborted, heard]).toEqual([true, []]);
  });

  it('a resource that is not observed is told as such', async () => {
    const { observe, ends, client } = world();
    const observation = await observe('plain');
    expect([observation.active, words(observation.first.payload), ends]).toEqual([false, 'once', ['not-observable']]);
    expect(client.peerCount).toBe(1);
  });

  it('an older notification that comes late is not delivered (RFC 7641 section 3.4)', async () => {
    const rig = new Rig();
    const heard: string[] = [];
    const pending = rig.endpoint.observe(
      'peer',
      { method: 'GET' },
      { notification: (response) => heard.push(words(response.payload)) },
    );
    const { token, messageId } = rig.one();
    const notify = (sequence: number, payload: string, id: number, type: 1 | 2 = TYPE.nonConfirmable) =>
      rig.receive(
        message({
          type,
          code: CODE.content,
          messageId: id,
          token,
          payload: text(payload),
          options: [uintOption(OPTION.observe, sequence)],
        }),
      );
    notify(0xff_fffe, 'first', messageId, TYPE.acknowledgement);
    await pending;
    notify(0xff_ffff, 'a', 1_001);
    notify(1, 'c', 1_002);
    notify(0, 'b', 1_003);
    expect(heard).toEqual(['a', 'c']);
    expect(rig.endpoint.stats.drops['notification-stale']).toBe(1);
    rig.now += 128_001;
    notify(0, 'd', 1_004);
    expect(heard).toEqual(['a', 'c', 'd']);
  });

  it('asks anew when Max-Age ran out, and ends when nobody answers', async () => {
    const { network, relations, observe, ends } = world();
    await observe();
    await network.run(network.nowMs + 45_000);
    expect(relations).toHaveLength(2);
    network.weather = { ...network.weather, loss: 1 };
    await network.run(network.nowMs + 200_000);
    expect(ends).toEqual(['lost']);
  });

  it('an error notification ends it and is shown', async () => {
    const { network, relations, observe, ends } = world();
    await observe();
    relations[0]?.end({ code: CODE.notFound });
    await network.run(network.nowMs + 100);
    expect(ends).toEqual(['error-response']);
  });

  it('a large notification is fetched to its end', async () => {
    const { network, relations, observe, heard } = world();
    await observe();
    relations[0]?.notify({ code: CODE.content, payload: text('x'.repeat(3_000)), maxAgeS: 30 });
    await network.run(network.nowMs + 1_000);
    expect(heard.map(({ length }) => length)).toEqual([3_000]);
  });

  it('ends when the peer is forgotten, and its callbacks may throw', async () => {
    const rig = new Rig();
    const pending = rig.endpoint.observe(
      'peer',
      { method: 'GET' },
      {
        notification: () => {
          throw new TypeError('mine');
        },
        end: (reason) => {
          throw new TypeError(reason);
        },
      },
    );
    const { token, messageId } = rig.one();
    const options = [uintOption(OPTION.observe, 5)];
    rig.receive(message({ type: TYPE.acknowledgement, code: CODE.content, messageId, token, options }));
    await pending;
    const newer = [uintOption(OPTION.observe, 6)];
    rig.receive(message({ type: TYPE.nonConfirmable, code: CODE.content, messageId: 900, token, options: newer }));
    rig.endpoint.forgetPeer('peer');
    await settle();
    expect(rig.failures.map(String)).toEqual(['TypeError: mine', 'TypeError: peer-forgotten']);
  });

  it('an answer without observation whose further blocks do not come is a failure, not silence', async () => {
    const rig = new Rig();
    const pending = rig.endpoint.observe('peer', { method: 'GET' }, { notification: () => undefined });
    const { token, messageId } = rig.one();
    const options = [uintOption(OPTION.block2, 8)];
    const payload = new Uint8Array(16);
    rig.receive(message({ type: TYPE.acknowledgement, code: CODE.content, messageId, token, payload, options }));
    rig.pass(100_000);
    await expect(pending).rejects.toMatchObject({ code: 'timeout' });
  });

  it('only GET and FETCH, and the registration may be given up', async () => {
    const rig = new Rig();
    const none = { notification: () => undefined };
    await expect(rig.endpoint.observe('peer', { method: 'PUT' }, none)).rejects.toMatchObject({
      code: 'invalid-message',
    });
    const controller = new AbortController();
    const pending = rig.endpoint.observe('peer', { method: 'GET' }, none, { signal: controller.signal });
    controller.abort();
    await expect(pending).rejects.toMatchObject({ code: 'aborted' });
  });
});
