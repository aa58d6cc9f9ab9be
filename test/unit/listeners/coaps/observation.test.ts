import { expect, it } from 'vitest';
import type { CoapResponse, ObserveRelation } from '../../../../src/coap/api.ts';
import { codeText } from '../../../../src/coap/codes.ts';
import type { Arrival } from '../../../../src/exchange/arrival.ts';
import { Departure } from '../../../../src/exchange/cancellation.ts';
import type { Session } from '../../../../src/exchange/gate.ts';
import type { Channel, ChannelClose, ChannelMessage } from '../../../../src/exchange/message.ts';
import { Delivered, Denied, type Outcome } from '../../../../src/exchange/outcome.ts';
import { pskPeer } from '../../../../src/identity/bare-key.ts';
import type { CoapsAssociation } from '../../../../src/listeners/coaps/association.ts';
import { Observation } from '../../../../src/listeners/coaps/observation.ts';
import { Inbox } from '../../../../src/websocket/inbox.ts';

/** An observation with a cloud, a relation and a passage of the test. */
function stage(decide: (arrival: Arrival) => Outcome) {
  const inbox = new Inbox({ hold: () => undefined, release: () => undefined });
  const cloud: Channel & { closedWith?: number } = {
    send: async () => undefined,
    receive: () => inbox as AsyncIterable<ChannelMessage>,
    close: (code) => {
      cloud.closedWith ??= code;
      inbox.end();
    },
    closed: new Promise<ChannelClose>(() => {}),
  };
  const passed: Arrival[] = [];
  const signedOff: Session[] = [];
  const attended: Session[] = [];
  const dropped: string[] = [];
  const departure = new Departure();
  const opening = { id: 'opening', verb: 'WS', path: '/c', query: 'q=1', peer: pskPeer('a', 'a'.repeat(64), '') };
  const observation = new Observation(
    { ...opening, headers: [['accept', '*/*']], signal: departure, targetDevice: 'x' } as never,
    {
      decisionId: () => 'd-1',
      now: () => 0,
      pass: async (arrival: Arrival) => {
        passed.push(arrival);
        return decide(arrival);
      },
      attend: (session: Session) => {
        attended.push(session);
        return () => signedOff.push(session);
      },
      drop: (reason: string) => dropped.push(reason),
    } as never,
    cloud,
    departure,
  );
  const controller = new AbortController();
  const ends: (CoapResponse | undefined)[] = [];
  const relation = {
    signal: controller.signal,
    end: (last?: CoapResponse) => ends.push(last),
    notify: () => undefined,
  };
  observation.response.observe?.(relation as unknown as ObserveRelation<CoapsAssociation>);
  const say = (text: string) => inbox.put({ bytes: Buffer.from(text), binary: false });
  return { observation, cloud, say, inbox, passed, attended, signedOff, dropped, departure, controller, ends };
}

const delivered = () => new Delivered('d-1', undefined as never);
const told = ({ code, payload }: CoapResponse) => `${codeText(code)} ${Buffer.from(payload ?? []).toString()}`;

it('each message is an exchange towards the device, with nothing of the registration but who and where', async () => {
  const { say, passed, attended } = stage(delivered);
  say('{"a":1}');
  say('open');
  await expect.poll(() => passed.length).toBe(2);
  expect(attended).toHaveLength(1);
  expect(
    passed.map(({ direction, verb, path, query, headers, contentType }) => ({
      direction,
      verb,
      path,
      query,
      headers,
      contentType,
    })),
  ).toEqual(
    ['application/json', 'text/plain'].map((contentType) => ({
      ...{ direction: 'toDevice', verb: 'WS', path: '/c', query: '', headers: [], contentType },
    })),
  );
  expect(passed.some((arrival) => arrival.targetDevice !== undefined)).toBe(false);
});

it('a message that is refused ends it: the device hears why, the cloud only that, and nothing more passes', async () => {
  const { say, passed, ends, cloud, signedOff, departure } = stage(() => new Denied('d-1', ['no-route']));
  say('{"a":1}');
  await expect.poll(() => ends.length).toBe(1);
  say('{"a":2}');
  expect(ends.map((last) => told(last as CoapResponse))).toEqual(['4.03 no-route d-1']);
  expect([cloud.closedWith, passed.length, signedOff.length, departure.aborted]).toEqual([1008, 1, 1, true]);
});

it('the device that leaves takes its channel with it', async () => {
  const { controller, cloud, signedOff, departure, observation, dropped } = stage(delivered);
  controller.abort();
  expect([cloud.closedWith, signedOff.length, departure.aborted]).toEqual([1001, 1, true]);
  observation.close('revoked');
  expect(dropped).toEqual([]);
});

it('the cloud that leaves is an error to the device', async () => {
  const { inbox, ends } = stage(delivered);
  inbox.end();
  await expect
    .poll(() => ends.map((last) => told(last as CoapResponse)))
    .toEqual(['5.02 SP_UPSTREAM_UNREACHABLE opening']);
});

it('a permission that ends is told, once', () => {
  const { observation, ends, dropped, cloud } = stage(delivered);
  observation.close('revoked');
  observation.close('revoked');
  expect(ends.map((last) => told(last as CoapResponse))).toEqual(['4.03 policy-denied opening']);
  expect([dropped, cloud.closedWith]).toEqual([['revoked'], 1001]);
});
