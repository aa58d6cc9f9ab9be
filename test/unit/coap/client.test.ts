/** The client side of one exchange: what is taken for an answer, and what is not (RFC 7252 section 5.3.2). */
import { describe, expect, it } from 'vitest';
import { CODE, TYPE } from '../../../src/coap/codes.ts';
import { OPTION, readUint, textOption, uintOption } from '../../../src/coap/option-table.ts';
import { message, NONE, optionOf, Rig, settle, text, words } from './rig.ts';

const GET = { method: 'GET', pathSegments: ['a', 'b/c'] } as const;
const code = (error: { code: string }) => error.code;

describe('a request', () => {
  it('goes out with everything it was given', () => {
    const rig = new Rig();
    void rig.endpoint
      .request('peer', {
        method: 'iPATCH',
        pathSegments: ['a', 'b/c'],
        queries: ['x=1', 'y'],
        uriHost: 'host',
        uriPort: 9,
        contentFormat: 50,
        accept: 60,
        etags: [text('v')],
        ifMatch: [text('w')],
        payload: text('{}'),
        options: [{ number: 2_048, value: text('z') }],
      })
      .catch(() => undefined);
    const sent = rig.one();
    expect(sent).toMatchObject({ type: TYPE.confirmable, code: 7 });
    expect(sent.token).toHaveLength(8);
    expect(sent.options.map(({ number, value }) => [number, Buffer.from(value).toString('latin1')])).toEqual([
      [1, 'w'],
      [3, 'host'],
      [4, 'v'],
      [7, '\x09'],
      [11, 'a'],
      [11, 'b/c'],
      [12, '2'],
      [15, 'x=1'],
      [15, 'y'],
      [17, '<'],
      [2_048, 'z'],
    ]);
    rig.endpoint.close();
  });

  it.each([
    ['a dot segment', { method: 'GET', pathSegments: ['..'] }],
    ['a segment of 256 bytes', { method: 'GET', pathSegments: ['x'.repeat(256)] }],
    ['Proxy-Uri', { method: 'GET', options: [textOption(OPTION.proxyUri, 'coap://other/')] }],
    ['an option of the library', { method: 'GET', options: [uintOption(OPTION.observe, 0)] }],
    ['a content format of 17 bits', { method: 'POST', contentFormat: 65_536 }],
    ['no method', { method: 'TRACE' as 'GET' }],
  ] as const)('%s is refused before it is sent', async (_, request) => {
    const rig = new Rig();
    await expect(rig.endpoint.request('peer', request)).rejects.toMatchObject({ code: 'invalid-message' });
    expect(rig.sent).toHaveLength(0);
  });

  it('options that leave no room for the message', async () => {
    const queries = Array.from({ length: 5 }, () => 'x'.repeat(255));
    await expect(new Rig().endpoint.request('peer', { method: 'GET', queries })).rejects.toMatchObject({
      code: 'message-too-large',
    });
  });
});

describe('a response', () => {
  const asked = (rig: Rig, request: Parameters<Rig['endpoint']['request']>[1] = GET) => {
    const pending = rig.endpoint.request('peer', request).then((response) => response, code);
    return { pending, sent: rig.one() };
  };

  it('in the acknowledgement', async () => {
    const rig = new Rig();
    const { pending, sent } = asked(rig);
    rig.receive(
      message({
        ...sent,
        type: TYPE.acknowledgement,
        code: CODE.created,
        payload: text('done'),
        options: [
          { number: OPTION.etag, value: text('v') },
          textOption(OPTION.locationPath, 'new'),
          uintOption(OPTION.contentFormat, 0),
          textOption(OPTION.locationQuery, 'q'),
        ],
      }),
    );
    await expect(pending).resolves.toMatchObject({
      code: CODE.created,
      payload: text('done'),
      contentFormat: 0,
      maxAgeS: 60,
      etag: text('v'),
      locationPath: ['new'],
      locationQuery: ['q'],
    });
    rig.pass(10_000);
    expect(rig.sent).toHaveLength(0);
  });

  it('separate and confirmable: acknowledged, delivered once, acknowledged again when repeated', async () => {
    const rig = new Rig();
    const { pending, sent } = asked(rig);
    rig.receive(message({ type: TYPE.acknowledgement, code: 0, messageId: sent.messageId, token: NONE }));
    rig.pass(20_000);
    expect(rig.sent).toHaveLength(0);
    const response = message({ code: CODE.content, messageId: 0x7777, token: sent.token, payload: text('late') });
    rig.receive(response);
    expect(rig.one()).toMatchObject({ type: TYPE.acknowledgement, code: 0, messageId: 0x7777 });
    await expect(pending).resolves.toMatchObject({ payload: text('late') });
    rig.receive(response);
    expect(rig.one()).toMatchObject({ type: TYPE.acknowledgement, code: 0, messageId: 0x7777 });
  });

  it('separate, before the acknowledgement that was lost: the request is not repeated (RFC 7252 section 5.2.2)', async () => {
    const rig = new Rig();
    const { pending, sent } = asked(rig);
    rig.receive(message({ code: CODE.content, type: TYPE.nonConfirmable, messageId: 5, token: sent.token }));
    await expect(pending).resolves.toMatchObject({ code: CODE.content });
    rig.pass(100_000);
    expect(rig.sent).toHaveLength(0);
  });

  it('of another peer with the right token is nothing', async () => {
    const rig = new Rig();
    const { sent } = asked(rig);
    rig.receive(message({ ...sent, type: TYPE.nonConfirmable, code: CODE.content, options: [] }), 'other');
    rig.receive(message({ ...sent, type: TYPE.acknowledgement, code: CODE.content, options: [] }), 'other');
    expect(rig.refused).toEqual(['token-unknown', 'acknowledgement-unknown']);
    rig.pass(3_001);
    expect(rig.sent).toHaveLength(1);
  });

  it('with the right message ID and a wrong token is nothing, and the reverse', async () => {
    const rig = new Rig();
    const { sent } = asked(rig);
    rig.receive(
      message({ ...sent, type: TYPE.acknowledgement, code: CODE.content, token: text('guess'), options: [] }),
    );
    const messageId = sent.messageId ^ 1;
    rig.receive(message({ ...sent, type: TYPE.acknowledgement, code: CODE.content, messageId, options: [] }));
    expect(rig.refused).toEqual(['token-unknown', 'acknowledgement-unknown']);
    rig.pass(3_001);
    expect(rig.sent).toHaveLength(1);
  });

  it('with the message ID of one exchange and the token of another is nothing', async () => {
    const rig = new Rig();
    const first = asked(rig);
    rig.receive(message({ type: TYPE.acknowledgement, code: 0, messageId: first.sent.messageId, token: NONE }));
    const second = asked(rig);
    const { messageId } = second.sent;
    const mixed = { type: TYPE.acknowledgement, code: CODE.content, messageId, token: first.sent.token };
    rig.receive(message(mixed));
    expect(rig.refused).toEqual(['token-unknown']);
    rig.receive(message({ ...mixed, token: second.sent.token }));
    await expect(second.pending).resolves.toMatchObject({ code: CODE.content });
    rig.endpoint.close();
    await expect(first.pending).resolves.toBe('peer-forgotten');
  });

  it('with an unknown critical option is rejected', async () => {
    const rig = new Rig();
    const { pending, sent } = asked(rig);
    const options = [{ number: 2_049, value: NONE }];
    rig.receive(message({ code: CODE.content, messageId: 8, token: sent.token, options }));
    expect(rig.one()).toMatchObject({ type: TYPE.reset, messageId: 8 });
    await expect(pending).resolves.toBe('response-unreadable');
  });

  it('that never comes: the request is repeated and given up', async () => {
    const rig = new Rig();
    const { pending } = asked(rig);
    rig.pass(93_000);
    await expect(pending).resolves.toBe('timeout');
    expect(rig.sent).toHaveLength(4);
  });

  it('acknowledged but never sent: given up in time', async () => {
    const rig = new Rig();
    const { pending, sent } = asked(rig);
    rig.receive(message({ type: TYPE.acknowledgement, code: 0, messageId: sent.messageId, token: NONE }));
    rig.pass(93_001);
    await expect(pending).resolves.toBe('timeout');
    expect(rig.endpoint.nextDeadlineMs).toBeLessThan(Number.POSITIVE_INFINITY);
    rig.pass(300_000);
    expect(rig.endpoint.peerCount).toBe(0);
  });

  it('a reset rejects', async () => {
    const rig = new Rig();
    const { pending, sent } = asked(rig);
    rig.receive(message({ type: TYPE.reset, code: 0, messageId: sent.messageId, token: NONE }));
    await expect(pending).resolves.toBe('reset');
  });

  it('the caller gives up, the peer leaves, the queue is full', async () => {
    const rig = new Rig({ limits: { maxExchangesPerPeer: 3, maxQueuedPerPeer: 1 } });
    const controller = new AbortController();
    const one = rig.endpoint.request('peer', GET, { signal: controller.signal }).catch(code);
    const two = rig.endpoint.request('peer', GET).catch(code);
    const three = rig.endpoint.request('peer', GET).catch(code);
    await expect(three).resolves.toBe('queue-full');
    controller.abort();
    await expect(one).resolves.toBe('aborted');
    expect(rig.sent).toHaveLength(2);
    rig.endpoint.forgetPeer('peer');
    await expect(two).resolves.toBe('peer-forgotten');
    await expect(rig.endpoint.request('peer', GET, { signal: controller.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
  });

  it('is copied: the datagram may be overwritten', async () => {
    const rig = new Rig();
    const { pending, sent } = asked(rig);
    const bytes = message({
      ...sent,
      type: TYPE.acknowledgement,
      code: CODE.content,
      payload: text('mine'),
      options: [],
    });
    rig.receive(bytes);
    bytes.fill(0);
    const response = await pending;
    expect(typeof response === 'string' ? '' : words(response.payload)).toBe('mine');
  });
});

describe('freshness and unwanted responses', () => {
  it('a 4.01 with Echo is answered with the request again, once (RFC 9175 section 2.3)', async () => {
    const rig = new Rig();
    const pending = rig.endpoint.request('peer', { method: 'POST', payload: text('act') });
    const challenge = (): void => {
      const sent = rig.one();
      const options = [{ number: OPTION.echo, value: text('fresh') }];
      rig.receive(message({ ...sent, type: TYPE.acknowledgement, code: CODE.unauthorized, payload: NONE, options }));
    };
    challenge();
    const [again] = rig.sent;
    expect(again).toBeDefined();
    expect(words(optionOf(rig.taken()[0] as never, OPTION.echo) ?? NONE)).toBe('fresh');
    rig.sent.push(again as Uint8Array);
    challenge();
    await expect(pending).resolves.toMatchObject({ code: CODE.unauthorized });
    expect(rig.sent).toHaveLength(0);
  });

  it('No-Response for all classes resolves without one (RFC 7967)', async () => {
    const rig = new Rig();
    const noResponse = 26;
    const quick = rig.endpoint.request('peer', { method: 'PUT', noResponse, confirmable: false });
    expect(readUint(optionOf(rig.one(), OPTION.noResponse) ?? NONE)).toBe(26);
    await expect(quick).resolves.toMatchObject({ code: 0 });
    const sure = rig.endpoint.request('peer', { method: 'PUT', noResponse });
    const { messageId } = rig.one();
    rig.receive(message({ type: TYPE.acknowledgement, code: 0, messageId, token: NONE }));
    await expect(sure).resolves.toMatchObject({ code: 0 });
  });

  it('ping is answered by a reset, or not at all', async () => {
    const rig = new Rig();
    const alive = rig.endpoint.ping('peer').then(() => 'alive', code);
    const { messageId, token } = rig.one();
    expect(token).toHaveLength(0);
    rig.receive(message({ type: TYPE.reset, code: 0, messageId, token: NONE }));
    await expect(alive).resolves.toBe('alive');
    const dead = rig.endpoint.ping('peer').then(() => 'alive', code);
    rig.pass(100_000);
    await expect(dead).resolves.toBe('timeout');
    await settle();
  });
});
