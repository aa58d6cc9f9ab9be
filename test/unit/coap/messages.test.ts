/** The message layer as a peer sees it: RFC 7252 section 4, on a clock of its own. */
import { describe, expect, it } from 'vitest';
import type { CoapResponse } from '../../../src/coap/api.ts';
import { serialiseMessage } from '../../../src/coap/codec.ts';
import { CODE, TYPE } from '../../../src/coap/codes.ts';
import {
  forwardable,
  isCritical,
  isNoCacheKey,
  isUnsafeToForward,
  OPTION,
  textOption,
  uintOption,
} from '../../../src/coap/option-table.ts';
import { message, NONE, optionOf, Rig, read, settle, text, words } from './rig.ts';

describe('requests', () => {
  it('a confirmable one is answered in its acknowledgement', () => {
    const rig = new Rig();
    const answer = rig.exchange({ path: '/a/b', messageId: 0x1234 });
    expect(answer).toMatchObject({ type: TYPE.acknowledgement, code: CODE.content, messageId: 0x1234 });
    expect([...answer.token]).toEqual([7]);
    expect(words(answer.payload)).toBe('hello');
    expect(rig.handled[0]).toMatchObject({ method: 'GET', path: '/a/b', pathSegments: ['a', 'b'], confirmable: true });
  });

  it('a non-confirmable one is answered non-confirmable with a message ID of ours', () => {
    const answer = new Rig().exchange({ type: TYPE.nonConfirmable, path: '/a' });
    expect(answer).toMatchObject({ type: TYPE.nonConfirmable, code: CODE.content });
  });

  it('shows the handler everything that was asked', () => {
    const rig = new Rig({ criticalOptions: [OPTION.ifMatch, OPTION.ifNoneMatch] });
    rig.receive(
      message({
        code: 5,
        path: '/caf\u00e9/x',
        payload: text('body'),
        options: [
          textOption(OPTION.uriQuery, 'a=1&2'),
          textOption(OPTION.uriQuery, 'b'),
          textOption(OPTION.uriHost, 'gw.example'),
          uintOption(OPTION.uriPort, 5_684),
          uintOption(OPTION.contentFormat, 50),
          uintOption(OPTION.accept, 60),
          { number: OPTION.etag, value: text('v1') },
          { number: OPTION.ifMatch, value: text('v2') },
          { number: OPTION.ifNoneMatch, value: NONE },
        ],
      }),
    );
    const request = rig.handled[0];
    expect(request).toMatchObject({
      method: 'FETCH',
      path: '/caf%C3%A9/x',
      query: 'a=1%262&b',
      queries: ['a=1&2', 'b'],
      uriHost: 'gw.example',
      uriPort: 5_684,
      contentFormat: 50,
      accept: 60,
      ifNoneMatch: true,
    });
    expect(request?.etags.map(words)).toEqual(['v1']);
    expect(request?.ifMatch.map(words)).toEqual(['v2']);
    expect(words(request?.payload ?? NONE)).toBe('body');
  });

  it('a slash inside a segment stays inside it', () => {
    const rig = new Rig();
    rig.receive(message({ options: [textOption(OPTION.uriPath, 'a/../b')] }));
    expect(rig.handled[0]?.path).toBe('/a%2F..%2Fb');
  });

  it.each(['.', '..'])('a segment %s is refused (RFC 7252 section 5.10.1)', (segment) => {
    const rig = new Rig();
    expect(rig.exchange({ options: [textOption(OPTION.uriPath, segment)] }).code).toBe(CODE.badRequest);
    expect(rig.handled).toHaveLength(0);
    expect(rig.refused).toEqual(['option-value-invalid']);
  });

  it('a path that is not UTF-8 is refused', () => {
    const rig = new Rig();
    const options = [{ number: OPTION.uriPath, value: Uint8Array.of(0xc0, 0xaf) }];
    expect(rig.exchange({ options }).code).toBe(CODE.badRequest);
    expect(rig.handled).toHaveLength(0);
  });

  it('an unknown method is refused', () => {
    expect(new Rig().exchange({ code: 8 }).code).toBe(CODE.methodNotAllowed);
  });

  it('to be a forward proxy is refused, whatever the scheme', () => {
    const rig = new Rig();
    const uri = textOption(OPTION.proxyUri, 'http://169.254.169.254/latest/meta-data');
    expect(rig.exchange({ messageId: 1, options: [uri] }).code).toBe(CODE.proxyingNotSupported);
    const scheme = textOption(OPTION.proxyScheme, 'coap');
    expect(rig.exchange({ messageId: 2, options: [scheme] }).code).toBe(CODE.proxyingNotSupported);
    expect(rig.handled).toHaveLength(0);
  });

  it('without a handler everything is 4.04', () => {
    expect(new Rig({ server: undefined }).exchange({ path: '/a' }).code).toBe(CODE.notFound);
  });

  it('what a handler throws becomes 5.00 without a word of it (coap 1.5.0 sent the error text)', async () => {
    const rig = new Rig();
    rig.answer = () => {
      throw new TypeError('secret detail');
    };
    const direct = rig.exchange({ messageId: 1 });
    expect([direct.code, direct.payload.length]).toEqual([CODE.internalServerError, 0]);
    rig.answer = () => Promise.reject(new TypeError('secret detail'));
    rig.receive(message({ messageId: 2 }));
    await settle();
    const later = rig.one();
    expect([later.code, later.payload.length]).toEqual([CODE.internalServerError, 0]);
    expect(rig.failures).toHaveLength(2);
  });

  it.each([
    ['no response code', { code: 0x01 }],
    ['an etag of 9 bytes', { code: CODE.content, etag: new Uint8Array(9) }],
    ['an option of the library', { code: CODE.content, options: [{ number: OPTION.observe, value: NONE }] }],
    ['options without room', { code: CODE.content, options: [{ number: 2_048, value: new Uint8Array(2_000) }] }],
  ] as const)('%s in a response becomes 5.00', (_, response) => {
    const rig = new Rig();
    rig.answer = () => response as CoapResponse<string>;
    expect(rig.exchange({}).code).toBe(CODE.internalServerError);
    expect(rig.refused).toEqual(['response-not-sendable']);
  });
});

describe('options', () => {
  it('an unknown critical option of a confirmable request: 4.02 and its number', () => {
    const rig = new Rig();
    const answer = rig.exchange({ options: [{ number: 2_049, value: text('x') }] });
    expect(answer.code).toBe(CODE.badOption);
    expect(words(answer.payload)).toBe('option 2049');
    expect(rig.handled).toHaveLength(0);
  });

  it('of a non-confirmable request: silence', () => {
    const rig = new Rig();
    rig.receive(message({ type: TYPE.nonConfirmable, options: [{ number: 2_049, value: text('x') }] }));
    expect(rig.sent).toHaveLength(0);
    expect(rig.refused).toEqual(['critical-option']);
  });

  it('one that the handler understands reaches it', () => {
    const rig = new Rig({ criticalOptions: [2_049] });
    expect(rig.exchange({ options: [{ number: 2_049, value: text('x') }] }).code).toBe(CODE.content);
    expect(rig.handled[0]?.options).toEqual([{ number: 2_049, value: text('x') }]);
  });

  it('If-Match and If-None-Match are never ignored: 4.02 unless the handler takes them', () => {
    const rig = new Rig();
    const ifMatch = { number: OPTION.ifMatch, value: text('v') };
    expect(rig.exchange({ code: 3, messageId: 1, options: [ifMatch] }).code).toBe(CODE.badOption);
    const ifNoneMatch = { number: OPTION.ifNoneMatch, value: NONE };
    expect(rig.exchange({ code: 3, messageId: 2, options: [ifNoneMatch] }).code).toBe(CODE.badOption);
  });

  it('a critical option of a bad length is as good as unknown (RFC 7252 section 5.4.3)', () => {
    const options = [{ number: OPTION.accept, value: new Uint8Array(3) }];
    expect(new Rig().exchange({ options }).code).toBe(CODE.badOption);
  });

  it('a critical option twice that must come once (RFC 7252 section 5.4.5)', () => {
    const options = [textOption(OPTION.uriHost, 'a'), textOption(OPTION.uriHost, 'b')];
    expect(new Rig().exchange({ options }).code).toBe(CODE.badOption);
  });

  it('an elective one of that kind is left out; an unknown elective one stays visible', () => {
    const rig = new Rig();
    const options = [
      uintOption(OPTION.contentFormat, 50),
      uintOption(OPTION.contentFormat, 60),
      { number: OPTION.maxAge, value: new Uint8Array(5) },
      { number: 2_050, value: text('y') },
    ];
    expect(rig.exchange({ options }).code).toBe(CODE.content);
    expect(rig.handled[0]?.options.map(({ number }) => number)).toEqual([OPTION.contentFormat, 2_050]);
    expect(rig.handled[0]?.contentFormat).toBe(50);
  });

  it('for a proxy, unknown options are passed on when they are safe to forward, and refused when not (RFC 7252 section 5.7.1)', () => {
    const known = textOption(OPTION.uriPath, 'a');
    const safe = { number: 2_052, value: text('s') };
    expect(forwardable([known, safe])).toEqual({ options: [safe], unsafe: undefined });
    expect(forwardable([known, { number: 2_050, value: NONE }, safe])).toEqual({ options: [], unsafe: 2_050 });
    expect([isCritical(2_049), isUnsafeToForward(2_050), isNoCacheKey(2_076), isNoCacheKey(2_052)]).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });

  it('No-Response suppresses the classes it names, and the acknowledgement still comes (RFC 7967)', () => {
    const rig = new Rig();
    const unwanted = (mask: number, messageId: number, type: 0 | 1 = 0) => {
      rig.receive(message({ type, messageId, options: [uintOption(OPTION.noResponse, mask)] }));
      return rig.taken();
    };
    expect(unwanted(2, 1)).toMatchObject([{ type: TYPE.acknowledgement, code: 0, messageId: 1 }]);
    expect(unwanted(2, 2, TYPE.nonConfirmable)).toEqual([]);
    expect(unwanted(8, 3)).toMatchObject([{ code: CODE.content }]);
    rig.answer = () => ({ code: CODE.notFound });
    expect(unwanted(8, 4, TYPE.nonConfirmable)).toEqual([]);
    expect(unwanted(16, 5)).toMatchObject([{ code: CODE.notFound }]);
    expect(rig.handled).toHaveLength(5);
  });

  it('Echo: a challenge, its proof, and no proof for another peer, another value or too late (RFC 9175 section 2)', () => {
    const rig = new Rig();
    rig.answer = (request) =>
      request.isFresh(10_000) ? { code: CODE.changed } : { code: CODE.unauthorized, challenge: true };
    const asked = rig.exchange({ code: 2, messageId: 1 });
    expect(asked.code).toBe(CODE.unauthorized);
    const echo = { number: OPTION.echo, value: optionOf(asked, OPTION.echo) ?? NONE };
    expect(echo.value).toHaveLength(8);
    expect(rig.exchange({ code: 2, messageId: 2, options: [echo] }).code).toBe(CODE.changed);
    expect(rig.exchange({ code: 2, messageId: 3, options: [echo] }, 'other').code).toBe(CODE.unauthorized);
    const wrong = { number: OPTION.echo, value: echo.value.map((byte) => byte ^ 1) };
    const again = rig.exchange({ code: 2, messageId: 4, options: [wrong] });
    expect(again.code).toBe(CODE.unauthorized);
    rig.pass(10_001);
    const late = { number: OPTION.echo, value: optionOf(again, OPTION.echo) ?? NONE };
    expect(rig.exchange({ code: 2, messageId: 5, options: [late] }).code).toBe(CODE.unauthorized);
  });
});

describe('repetitions', () => {
  it('a repeated confirmable POST runs the handler once and gets the same bytes (coap 1.5.0 on a custom socket ran it twice)', () => {
    const rig = new Rig();
    const post = message({ code: 2, payload: text('once') });
    rig.receive(post);
    rig.receive(post);
    rig.pass(200_000);
    rig.receive(post);
    expect(rig.handled).toHaveLength(1);
    expect(rig.sent).toHaveLength(3);
    expect(rig.sent[1]).toEqual(rig.sent[0]);
    expect(rig.sent[2]).toEqual(rig.sent[0]);
  });

  it('a repeated non-confirmable one is silent', () => {
    const rig = new Rig();
    const post = message({ type: TYPE.nonConfirmable, code: 2 });
    rig.receive(post);
    rig.receive(post);
    expect([rig.handled.length, rig.sent.length]).toEqual([1, 1]);
  });

  it('the same message ID of another peer is another message', () => {
    const rig = new Rig();
    rig.receive(message({ code: 2 }), 'one');
    rig.receive(message({ code: 2 }), 'two');
    expect(rig.handled).toHaveLength(2);
  });

  it('after EXCHANGE_LIFETIME the message ID is new', () => {
    const rig = new Rig();
    rig.receive(message({ code: 2 }));
    rig.pass(247_001);
    rig.receive(message({ code: 2 }));
    expect(rig.handled).toHaveLength(2);
  });

  it('one whose answer had to give way is dropped, not run (bounded in entries: 16)', () => {
    const rig = new Rig();
    const first = message({ code: 2, messageId: 0 });
    rig.receive(first);
    for (let messageId = 1; messageId <= 16; messageId++) rig.receive(message({ code: 2, messageId }));
    rig.sent.length = 0;
    rig.receive(first);
    expect([rig.handled.length, rig.sent.length]).toEqual([17, 0]);
    expect(rig.refused).toEqual(['duplicate-answer-gone']);
  });

  it('kept answers are bounded in bytes: 4 KB', () => {
    const rig = new Rig();
    rig.answer = () => ({ code: CODE.content, payload: new Uint8Array(1_000) });
    for (let messageId = 0; messageId < 6; messageId++) rig.receive(message({ messageId }));
    rig.sent.length = 0;
    for (let messageId = 0; messageId < 6; messageId++) rig.receive(message({ messageId }));
    expect([rig.handled.length, rig.sent.length]).toEqual([6, 4]);
  });

  it('one whose handler still runs is not run again, however many came in between', async () => {
    const rig = new Rig();
    let finish: (response: CoapResponse<string>) => void = () => undefined;
    rig.answer = () => new Promise((resolve) => (finish = resolve));
    rig.receive(message({ code: 2, messageId: 500 }));
    rig.answer = () => ({ code: CODE.changed });
    for (let messageId = 0; messageId < 200; messageId++) rig.receive(message({ code: 2, messageId }));
    rig.receive(message({ code: 2, messageId: 500 }));
    expect(rig.handled).toHaveLength(201);
    finish({ code: CODE.changed });
    await settle();
    rig.sent.length = 0;
    rig.receive(message({ code: 2, messageId: 500 }));
    expect([rig.handled.length, rig.one().code]).toEqual([201, CODE.changed]);
  });
});

describe('separate responses', () => {
  it('a slow handler is acknowledged first and answers confirmable later', async () => {
    const rig = new Rig();
    let finish: (response: CoapResponse<string>) => void = () => undefined;
    rig.answer = () => new Promise((resolve) => (finish = resolve));
    const slow = message({ code: 2, messageId: 77 });
    rig.receive(slow);
    rig.pass(499);
    expect(rig.sent).toHaveLength(0);
    rig.pass(1);
    expect(rig.one()).toMatchObject({ type: TYPE.acknowledgement, code: 0, messageId: 77 });
    rig.receive(slow);
    expect(rig.one()).toMatchObject({ type: TYPE.acknowledgement, code: 0, messageId: 77 });
    finish({ code: CODE.changed });
    await settle();
    const answer = rig.one();
    expect(answer).toMatchObject({ type: TYPE.confirmable, code: CODE.changed });
    expect([...answer.token]).toEqual([7]);
    rig.pass(3_001);
    expect(rig.one()).toEqual(answer);
    rig.receive(message({ type: TYPE.acknowledgement, code: 0, messageId: answer.messageId, token: NONE }));
    rig.pass(100_000);
    expect(rig.sent).toHaveLength(0);
    rig.receive(slow);
    expect(rig.one()).toMatchObject({ type: TYPE.acknowledgement, code: 0 });
    expect(rig.handled).toHaveLength(1);
  });

  it('is repeated four times with doubled timeouts, then given up (RFC 7252 section 4.2)', async () => {
    const rig = new Rig({ random: (bytes) => bytes.fill(0) });
    let finish: (response: CoapResponse<string>) => void = () => undefined;
    rig.answer = () => new Promise((resolve) => (finish = resolve));
    rig.receive(message({}));
    rig.pass(500);
    rig.sent.length = 0;
    finish({ code: CODE.content });
    await settle();
    const at: number[] = [0];
    for (let ms = 1; ms <= 100_000; ms++) {
      const before = rig.sent.length;
      rig.pass(1);
      if (rig.sent.length > before) at.push(ms);
    }
    expect(at).toEqual([0, 2_000, 6_000, 14_000, 30_000]);
    expect(rig.endpoint.stats.gaveUp).toBe(1);
  });

  it('the first timeout is spread by the random factor', async () => {
    const rig = new Rig({ random: (bytes) => bytes.fill(0xff) });
    void rig.endpoint.ping('peer').catch(() => undefined);
    rig.pass(2_999);
    expect(rig.sent).toHaveLength(1);
    rig.pass(1);
    expect(rig.sent).toHaveLength(2);
    rig.endpoint.close();
    await settle();
  });

  it('no more than NSTART messages of ours wait for one peer; the rest queues, and the queue ends', async () => {
    const rig = new Rig({ limits: { maxQueuedPerPeer: 2 } });
    const pings = [1, 2, 3, 4].map(() =>
      rig.endpoint.ping('peer').then(
        () => 'alive',
        (error) => error.code,
      ),
    );
    expect(rig.sent).toHaveLength(1);
    await expect(pings[3]).resolves.toBe('queue-full');
    for (let turn = 0; turn < 3; turn++) {
      const { messageId } = rig.one();
      rig.receive(message({ type: TYPE.reset, code: 0, messageId, token: NONE }));
    }
    await expect(Promise.all(pings.slice(0, 3))).resolves.toEqual(['alive', 'alive', 'alive']);
  });

  it('too many running handlers of one peer: 4.29, and others are served', () => {
    const rig = new Rig({ limits: { maxRequestsPerPeer: 2 } });
    rig.answer = () => new Promise(() => undefined);
    rig.receive(message({ messageId: 1 }));
    rig.receive(message({ messageId: 2 }));
    expect(rig.exchange({ messageId: 3 }).code).toBe(CODE.tooManyRequests);
    rig.answer = () => ({ code: CODE.content });
    expect(rig.exchange({ messageId: 1 }, 'other').code).toBe(CODE.content);
  });
});

describe('what is rejected', () => {
  it('a ping gets its reset and leaves no state', () => {
    const rig = new Rig();
    rig.receive(message({ code: 0, token: NONE, messageId: 0xbeef }));
    expect(rig.one()).toMatchObject({ type: TYPE.reset, code: 0, messageId: 0xbeef });
    expect(rig.endpoint.peerCount).toBe(0);
  });

  it('a malformed confirmable message gets a reset no longer than itself, any other silence, and no state', () => {
    const rig = new Rig();
    rig.receive(Uint8Array.of(0x40, 1, 0xab, 0xcd, 0xff));
    expect(rig.one()).toMatchObject({ type: TYPE.reset, messageId: 0xabcd });
    for (const first of [0x50, 0x60, 0x70, 0x00, 0x80]) rig.receive(Uint8Array.of(first, 1, 0, 1, 0xff));
    rig.receive(NONE);
    rig.receive(Uint8Array.of(0x40));
    expect(rig.sent).toHaveLength(0);
    expect(rig.endpoint.peerCount).toBe(0);
  });

  it('a response nobody waits for: reset when confirmable, silence when not', () => {
    const rig = new Rig();
    rig.receive(message({ code: CODE.content, messageId: 3 }));
    expect(rig.one()).toMatchObject({ type: TYPE.reset, messageId: 3 });
    rig.receive(message({ code: CODE.content, messageId: 4, type: TYPE.nonConfirmable }));
    expect(rig.sent).toHaveLength(0);
    expect(rig.refused).toEqual(['token-unknown', 'token-unknown']);
  });

  it('acknowledgements and resets of nothing are counted and forgotten', () => {
    const rig = new Rig();
    rig.receive(message({ type: TYPE.acknowledgement, code: 0, token: NONE }));
    rig.receive(message({ type: TYPE.reset, code: 0, token: NONE }));
    rig.receive(message({ type: TYPE.acknowledgement, code: CODE.content }));
    expect(rig.refused).toEqual(['acknowledgement-unknown', 'acknowledgement-unknown', 'acknowledgement-unknown']);
    expect([rig.sent.length, rig.endpoint.peerCount]).toEqual([0, 0]);
  });

  it('whatever comes by multicast (RFC 7252 section 11.3: amplification)', () => {
    const rig = new Rig();
    rig.endpoint.receive('peer', message({ path: '/.well-known/core', type: TYPE.nonConfirmable }), rig.now, true);
    rig.endpoint.receive('peer', Uint8Array.of(0x40, 0, 0, 1), rig.now, true);
    expect([rig.sent.length, rig.handled.length]).toEqual([0, 0]);
    expect(rig.refused).toEqual(['multicast', 'multicast']);
  });

  it('peers beyond the limit, in silence', () => {
    const rig = new Rig({ limits: { maxPeers: 2 } });
    for (const peer of ['a', 'b', 'c']) rig.receive(message({}), peer);
    expect([rig.sent.length, rig.endpoint.peerCount]).toEqual([2, 2]);
    expect(rig.refused).toEqual(['peers-full']);
  });
});

describe('peers', () => {
  it('one that says nothing for EXCHANGE_LIFETIME leaves nothing behind', () => {
    const rig = new Rig();
    for (let at = 0; at < 100; at++) rig.receive(message({}), `peer ${at}`);
    expect(rig.endpoint.peerCount).toBe(100);
    rig.pass(250_000);
    expect([rig.endpoint.peerCount, rig.endpoint.nextDeadlineMs]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it('one that leaves aborts its handlers, and their answers go nowhere', async () => {
    const rig = new Rig();
    let finish: (response: CoapResponse<string>) => void = () => undefined;
    rig.answer = () => new Promise((resolve) => (finish = resolve));
    rig.receive(message({}));
    const signal = rig.handled[0]?.signal;
    expect(signal?.aborted).toBe(false);
    rig.endpoint.forgetPeer('peer');
    expect(signal?.aborted).toBe(true);
    finish({ code: CODE.content });
    await settle();
    rig.pass(1_000);
    expect([rig.sent.length, rig.endpoint.peerCount]).toEqual([0, 0]);
    expect(rig.endpoint.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
  });

  it('a handler that never answers holds its peer but not the clock', () => {
    const rig = new Rig();
    rig.answer = () => new Promise(() => undefined);
    rig.receive(message({}));
    rig.pass(2_000_000);
    expect(rig.endpoint.peerCount).toBe(1);
  });

  it('the endpoint says when to come back, and earlier when that changes', () => {
    const told: number[] = [];
    const rig = new Rig({ deadline: (atMs) => told.push(atMs) });
    rig.receive(message({}));
    rig.answer = () => new Promise(() => undefined);
    rig.receive(message({ messageId: 2 }));
    expect(told).toEqual([248_000, 1_500]);
    expect(rig.endpoint.nextTimeoutMs(rig.now)).toBe(500);
  });

  it('a transport that throws is no reason to throw', () => {
    const rig = new Rig({
      send: () => {
        throw new TypeError('closed');
      },
    });
    rig.receive(message({}));
    expect(rig.refused).toEqual(['send-failed']);
  });

  it('the bytes of a message stay what they are', () => {
    const bytes = message({ path: '/a', payload: text('x') });
    expect(serialiseMessage(read(bytes))).toEqual(bytes);
  });
});
