/** Block-wise transfer, RFC 7959 and the Request-Tag of RFC 9175, against a peer that plays by the rules and several that do not. */
import { describe, expect, it } from 'vitest';
import { blockOption, readBlock } from '../../../src/coap/block.ts';
import { serialiseMessage } from '../../../src/coap/codec.ts';
import { CODE, TYPE } from '../../../src/coap/codes.ts';
import { OPTION, readUint, uintOption } from '../../../src/coap/option-table.ts';
import { message, NONE, optionOf, Rig, read, text, words } from './rig.ts';
import { VirtualNetwork } from './virtual-network.ts';

const body = (bytes: number) => Uint8Array.from({ length: bytes }, (_, at) => (at * 7 + (at >> 8)) & 0xff);
let ids = 0;
const block1 = (number: number, more: boolean, blockBytes = 16) =>
  blockOption(OPTION.block1, { number, more, blockBytes });
const block2 = (number: number, blockBytes = 16) => blockOption(OPTION.block2, { number, more: false, blockBytes });

function put(rig: Rig, number: number, more: boolean, payload: Uint8Array, extra: Parameters<typeof message>[0] = {}) {
  const { options = [], ...rest } = extra ?? {};
  return rig.exchange({
    code: 3,
    path: '/up',
    messageId: ++ids & 0xffff,
    payload,
    ...rest,
    options: [block1(number, more), ...options],
  });
}

describe('uploads', () => {
  it('are acknowledged block by block and handled whole, once', () => {
    const rig = new Rig();
    rig.answer = (request) => ({ code: CODE.changed, payload: text(String(request.payload.length)) });
    const whole = body(40);
    const first = put(rig, 0, true, whole.subarray(0, 16));
    expect(first.code).toBe(CODE.continue);
    expect(readBlock(optionOf(first, OPTION.block1) ?? NONE)).toEqual({ number: 0, more: true, blockBytes: 16 });
    expect(put(rig, 1, true, whole.subarray(16, 32)).code).toBe(CODE.continue);
    const last = put(rig, 2, false, whole.subarray(32));
    expect(last.code).toBe(CODE.changed);
    expect(words(last.payload)).toBe('40');
    expect(readBlock(optionOf(last, OPTION.block1) ?? NONE)).toEqual({ number: 2, more: false, blockBytes: 16 });
    expect(rig.handled.map(({ payload }) => payload)).toEqual([whole]);
    expect(rig.endpoint.blockBytes).toBe(0);
  });

  it('too large by Size1: 4.13 with Size1 on the first block, before anything is kept', () => {
    const rig = new Rig();
    const answer = put(rig, 0, true, body(16), { options: [uintOption(OPTION.size1, 262_145)] });
    expect(answer.code).toBe(CODE.requestEntityTooLarge);
    expect(readUint(optionOf(answer, OPTION.size1) ?? NONE)).toBe(262_144);
    expect(rig.endpoint.blockBytes).toBe(0);
  });

  it('too large without Size1: 4.13 on the block that shows it', () => {
    const rig = new Rig({ limits: { maxRequestBodyBytes: 32 } });
    expect(put(rig, 0, true, body(16)).code).toBe(CODE.continue);
    expect(put(rig, 1, true, body(16)).code).toBe(CODE.requestEntityTooLarge);
    expect(rig.endpoint.blockBytes).toBe(0);
    expect(put(rig, 0, true, body(16)).code).toBe(CODE.continue);
    expect(put(rig, 1, false, body(16)).code).toBe(CODE.content);
  });

  it('too large in one datagram: 4.13 as well', () => {
    const rig = new Rig({ limits: { maxRequestBodyBytes: 32 } });
    expect(rig.exchange({ code: 3, payload: body(33) }).code).toBe(CODE.requestEntityTooLarge);
    expect(rig.handled).toHaveLength(0);
  });

  it('block 1,048,575 of 1,024 bytes costs nothing (coap 1.5.0 asks for a 1 GB buffer)', () => {
    const rig = new Rig();
    const options = [blockOption(OPTION.block1, { number: 0xf_ffff, more: false, blockBytes: 1_024 })];
    const before = process.memoryUsage().arrayBuffers;
    expect(rig.exchange({ code: 3, payload: text('x'), options }).code).toBe(CODE.requestEntityTooLarge);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000);
    expect(rig.handled).toHaveLength(0);
  });

  it.each([OPTION.block1, OPTION.block2])('size exponent 7 in option %i: 4.00 (RFC 7959 section 2.2)', (option) => {
    const rig = new Rig();
    expect(rig.exchange({ code: 3, payload: text('x'), options: [uintOption(option, 7)] }).code).toBe(CODE.badRequest);
    expect(rig.handled).toHaveLength(0);
  });

  it('a gap: 4.08, and the rest of that body is unknown (coap 1.5.0 threw into a 5.00 with the error text)', () => {
    const rig = new Rig();
    put(rig, 0, true, body(16));
    expect(put(rig, 2, true, body(16)).code).toBe(CODE.requestEntityIncomplete);
    expect(put(rig, 1, false, body(16)).code).toBe(CODE.requestEntityIncomplete);
    expect([rig.handled.length, rig.endpoint.blockBytes]).toEqual([0, 0]);
  });

  it('a block repeated under a new message ID: 4.08, the body is never longer than what was meant', () => {
    const rig = new Rig();
    put(rig, 0, true, body(16));
    put(rig, 1, true, body(16));
    expect(put(rig, 1, true, body(16)).code).toBe(CODE.requestEntityIncomplete);
    expect(rig.handled).toHaveLength(0);
  });

  it('a later block without a first: 4.08', () => {
    expect(put(new Rig(), 3, false, body(16)).code).toBe(CODE.requestEntityIncomplete);
  });

  it('a block with "more" that is not full, and one that is more than full: 4.00', () => {
    const rig = new Rig();
    expect(put(rig, 0, true, body(15)).code).toBe(CODE.badRequest);
    expect(put(rig, 0, true, body(17)).code).toBe(CODE.badRequest);
    expect(put(rig, 0, false, body(17)).code).toBe(CODE.badRequest);
  });

  it('the size may shrink at the right offset, and never grow', () => {
    const rig = new Rig();
    const whole = body(64);
    const large = [block1(0, true, 32)];
    rig.exchange({ code: 3, path: '/up', messageId: ++ids, payload: whole.subarray(0, 32), options: large });
    expect(put(rig, 2, true, whole.subarray(32, 48)).code).toBe(CODE.continue);
    expect(put(rig, 3, false, whole.subarray(48)).code).toBe(CODE.content);
    expect(rig.handled[0]?.payload).toEqual(whole);
    put(rig, 0, true, whole.subarray(0, 16));
    put(rig, 1, true, whole.subarray(16, 32));
    const grown = [block1(1, false, 32)];
    const answer = rig.exchange({ code: 3, path: '/up', messageId: ++ids, payload: body(32), options: grown });
    expect(answer.code).toBe(CODE.requestEntityIncomplete);
    expect(rig.handled).toHaveLength(1);
  });

  it('two uploads interleaved: one per peer, the newer wins, no byte of one in the other', () => {
    const rig = new Rig();
    put(rig, 0, true, text('AAAAAAAAAAAAAAAA'), { path: '/one' });
    put(rig, 0, true, text('BBBBBBBBBBBBBBBB'), { path: '/two' });
    expect(put(rig, 1, false, text('A'), { path: '/one' }).code).toBe(CODE.requestEntityIncomplete);
    expect(put(rig, 1, false, text('B'), { path: '/two' }).code).toBe(CODE.content);
    expect(rig.handled.map(({ path, payload }) => [path, words(payload)])).toEqual([['/two', 'BBBBBBBBBBBBBBBBB']]);
  });

  it('two uploads to one resource are told apart by Request-Tag (RFC 9175 section 3)', () => {
    const rig = new Rig();
    const tag = (value: string) => ({ options: [{ number: OPTION.requestTag, value: text(value) }] });
    put(rig, 0, true, text('AAAAAAAAAAAAAAAA'), tag('1'));
    put(rig, 0, true, text('BBBBBBBBBBBBBBBB'), tag('2'));
    expect(put(rig, 1, false, text('A'), tag('1')).code).toBe(CODE.requestEntityIncomplete);
    expect(put(rig, 1, false, text('B'), tag('2')).code).toBe(CODE.content);
  });

  it('of two peers are two', () => {
    const rig = new Rig();
    rig.receive(message({ code: 3, messageId: 1, payload: text('AAAAAAAAAAAAAAAA'), options: [block1(0, true)] }), 'a');
    rig.receive(message({ code: 3, messageId: 1, payload: text('BBBBBBBBBBBBBBBB'), options: [block1(0, true)] }), 'b');
    rig.receive(message({ code: 3, messageId: 2, payload: text('a'), options: [block1(1, false)] }), 'a');
    expect(words(rig.handled[0]?.payload ?? NONE)).toBe('AAAAAAAAAAAAAAAAa');
  });

  it('half-sent ones end after their lifetime', () => {
    const rig = new Rig();
    put(rig, 0, true, body(16));
    expect(rig.endpoint.blockBytes).toBe(16);
    rig.pass(93_001);
    expect(rig.endpoint.blockBytes).toBe(0);
    expect(put(rig, 1, false, body(16)).code).toBe(CODE.requestEntityIncomplete);
  });

  it('over all peers are bounded: a fresh one is refused while others are active, idle ones make room', () => {
    const rig = new Rig({ limits: { maxBlockBytes: 40 } });
    const begin = (peer: string) =>
      rig.exchange({ code: 3, messageId: ++ids, payload: body(16), options: [block1(0, true)] }, peer).code;
    expect(['a', 'b', 'c'].map(begin)).toEqual([CODE.continue, CODE.continue, CODE.serviceUnavailable]);
    rig.pass(2_500);
    expect(begin('c')).toBe(CODE.continue);
    expect(rig.endpoint.blockBytes).toBeLessThanOrEqual(40);
    expect(rig.refused).toEqual(['block-memory-full']);
  });

  it('keep copies, not views of the receive buffer (OpenSSL CVE-2026-54874 kept whole read buffers)', () => {
    const rig = new Rig();
    const receiveBuffer = new Uint8Array(65_536);
    const first = message({ code: 3, messageId: 1, payload: text('AAAAAAAAAAAAAAAA'), options: [block1(0, true)] });
    receiveBuffer.set(first);
    rig.receive(receiveBuffer.subarray(0, first.length));
    receiveBuffer.fill(0);
    rig.receive(message({ code: 3, messageId: 2, payload: text('a'), options: [block1(1, false)] }));
    expect(words(rig.handled[0]?.payload ?? NONE)).toBe('AAAAAAAAAAAAAAAAa');
  });

  it('the server asks for smaller blocks, and the offset carries on', () => {
    const rig = new Rig({ limits: { blockBytes: 32 } });
    const options = [block1(0, true, 64)];
    const answer = rig.exchange({ code: 3, path: '/up', messageId: ++ids, payload: body(64), options });
    expect(readBlock(optionOf(answer, OPTION.block1) ?? NONE)?.blockBytes).toBe(32);
    const last = [block1(2, false, 32)];
    rig.exchange({ code: 3, path: '/up', messageId: ++ids, payload: text('end'), options: last });
    expect(rig.handled[0]?.payload).toHaveLength(67);
  });
});

describe('downloads', () => {
  const get = (rig: Rig, number?: number, blockBytes = 1_024, extra: Parameters<typeof message>[0] = {}) =>
    rig.exchange({
      path: '/big',
      messageId: ++ids,
      ...extra,
      options: [...(extra?.options ?? []), ...(number === undefined ? [] : [block2(number, blockBytes)])],
    });

  it('come in blocks with ETag and Size2, from one run of the handler', () => {
    const rig = new Rig();
    const whole = body(2_500);
    rig.answer = () => ({ code: CODE.content, payload: whole, contentFormat: 42 });
    const first = get(rig);
    expect(readUint(optionOf(first, OPTION.size2) ?? NONE)).toBe(2_500);
    const tag = optionOf(first, OPTION.etag);
    expect(tag).toHaveLength(8);
    const rest = [get(rig, 1), get(rig, 2)];
    for (const one of rest) expect(optionOf(one, OPTION.etag)).toEqual(tag);
    expect(readBlock(optionOf(rest[1] ?? first, OPTION.block2) ?? NONE)?.more).toBe(false);
    expect(Buffer.concat([first, ...rest].map(({ payload }) => payload))).toEqual(Buffer.from(whole));
    expect(rig.handled).toHaveLength(1);
    expect(rig.endpoint.blockBytes).toBe(0);
  });

  it('the handler’s ETag stays', () => {
    const rig = new Rig();
    rig.answer = () => ({ code: CODE.content, payload: body(3_000), etag: text('v1') });
    expect(words(optionOf(get(rig), OPTION.etag) ?? NONE)).toBe('v1');
    expect(words(optionOf(get(rig, 1), OPTION.etag) ?? NONE)).toBe('v1');
  });

  it('the client’s smaller size is kept, at any block', () => {
    const rig = new Rig();
    rig.answer = () => ({ code: CODE.content, payload: body(100) });
    const parts = [0, 1, 2, 3, 4, 5, 6].map((number) => get(rig, number, 16).payload);
    expect(Buffer.concat(parts)).toEqual(Buffer.from(body(100)));
    expect(rig.handled).toHaveLength(1);
  });

  it('a body that fits is not cut, and says so when a size was asked for', () => {
    const rig = new Rig();
    const answer = get(rig, 0, 64);
    expect(words(answer.payload)).toBe('hello');
    expect(readBlock(optionOf(answer, OPTION.block2) ?? NONE)).toEqual({ number: 0, more: false, blockBytes: 64 });
    expect(optionOf(get(rig), OPTION.block2)).toBeUndefined();
  });

  it('a response larger than the record becomes smaller blocks, never a larger datagram', () => {
    const rig = new Rig({ limits: { maxMessageBytes: 128 } });
    rig.answer = () => ({ code: CODE.content, payload: body(500), locationPath: ['a'.repeat(30)] });
    const first = get(rig);
    const { blockBytes } = readBlock(optionOf(first, OPTION.block2) ?? NONE) ?? { blockBytes: 0 };
    expect(blockBytes).toBe(64);
    const parts = [first];
    while (parts.length * blockBytes < 500) parts.push(get(rig, parts.length, blockBytes));
    expect(Buffer.concat(parts.map(({ payload }) => payload))).toEqual(Buffer.from(body(500)));
    for (const part of parts) expect(serialiseMessage(part).length).toBeLessThanOrEqual(128);
  });

  it('a block beyond the end: 4.00', () => {
    const rig = new Rig();
    expect(get(rig, 1, 64).code).toBe(CODE.badRequest);
    expect(get(rig, 0xf_ffff, 1_024).code).toBe(CODE.badRequest);
  });

  it('a further block whose body is forgotten: GET runs again, POST is refused with 4.08 rather than done twice', () => {
    const rig = new Rig();
    rig.answer = () => ({ code: CODE.changed, payload: body(3_000) });
    expect(get(rig, 1).payload).toHaveLength(1_024);
    expect(rig.handled).toHaveLength(1);
    expect(get(rig, 1, 1_024, { code: 2 }).code).toBe(CODE.requestEntityIncomplete);
    expect(rig.handled).toHaveLength(1);
  });

  it('the further blocks of a POST come from what it answered', () => {
    const rig = new Rig();
    rig.answer = () => ({ code: CODE.changed, payload: body(2_000) });
    get(rig, undefined, 0, { code: 2, payload: text('do it') });
    expect(get(rig, 1, 1_024, { code: 2 }).payload).toEqual(body(2_000).subarray(1_024));
    expect(rig.handled).toHaveLength(1);
  });

  it('the further blocks of a FETCH belong to its question, repeated or not', () => {
    const rig = new Rig();
    rig.answer = (request) => ({ code: CODE.content, payload: new Uint8Array(2_000).fill(request.payload[0] ?? 0) });
    const fetch = (number: number | undefined, payload: Uint8Array) => get(rig, number, 1_024, { code: 5, payload });
    fetch(undefined, text('a'));
    expect(fetch(1, text('a')).payload[0]).toBe('a'.charCodeAt(0));
    fetch(undefined, text('a'));
    expect(fetch(1, text('b')).payload[0]).toBe('b'.charCodeAt(0));
    fetch(undefined, text('c'));
    expect(fetch(1, NONE).payload[0]).toBe('c'.charCodeAt(0));
    expect(fetch(1, NONE).code).toBe(CODE.requestEntityIncomplete);
  });

  it('one peer never gets the kept body of another', () => {
    const rig = new Rig();
    rig.answer = (request) => ({ code: CODE.content, payload: new Uint8Array(2_000).fill(request.peer.charCodeAt(0)) });
    rig.exchange({ path: '/big', messageId: 1 }, 'a');
    const options = [block2(1, 1_024)];
    expect(rig.exchange({ path: '/big', messageId: 2, options }, 'b').payload[0]).toBe('b'.charCodeAt(0));
  });

  it('Block1 and Block2 together: a large question with a large answer', () => {
    const rig = new Rig();
    rig.answer = (request) => ({ code: CODE.changed, payload: body(request.payload.length + 2_000) });
    const up = (number: number, more: boolean, bytes: number) =>
      rig.exchange({
        code: 2,
        path: '/both',
        messageId: ++ids,
        payload: body(bytes),
        options: [block1(number, more, 1_024)],
      });
    up(0, true, 1_024);
    const first = up(1, false, 10);
    expect(first.options.map(({ number }) => number)).toContain(OPTION.block1);
    expect(readBlock(optionOf(first, OPTION.block2) ?? NONE)).toEqual({ number: 0, more: true, blockBytes: 1_024 });
    const more = rig.exchange({ code: 2, path: '/both', messageId: ++ids, options: [block2(2, 1_024)] });
    expect(more.payload).toHaveLength(3_034 - 2_048);
    expect(optionOf(more, OPTION.block1)).toBeUndefined();
  });
});

describe('10^5 half block transfers (threats.md row 18)', () => {
  it('stay within the cap', () => {
    const rig = new Rig({ limits: { maxBlockBytes: 1_000_000, maxPeers: 50_000 } });
    const begin = message({ code: 3, payload: body(1_024), options: [block1(0, true, 1_024)] });
    let most = 0;
    for (let at = 0; at < 100_000; at++) {
      if (at % 1_000 === 0) rig.pass(1_000);
      rig.receive(begin, `peer ${at}`);
      most = Math.max(most, rig.endpoint.blockBytes);
      rig.sent.length = 0;
      rig.refused.length = 0;
    }
    expect(most).toBeLessThanOrEqual(1_000_000);
    expect(rig.endpoint.peerCount).toBeLessThanOrEqual(50_000);
    rig.pass(400_000);
    expect([rig.endpoint.blockBytes, rig.endpoint.peerCount]).toEqual([0, 0]);
  });
});

describe('client', () => {
  function pair(clientLimits = {}, serverLimits = {}) {
    const network = new VirtualNetwork(1);
    const bodies: Uint8Array[] = [];
    let version = 1;
    const server = network.join('server', {
      limits: serverLimits,
      server: {
        handle: (request) => {
          if (request.payload.length > 0) bodies.push(request.payload.slice());
          if (request.path === '/changing')
            return { code: CODE.content, payload: body(3_000), etag: text(`v${version++}`) };
          if (request.path === '/echo') return { code: CODE.changed, payload: request.payload.slice() };
          return { code: CODE.content, payload: body(5_000) };
        },
      },
    });
    const client = network.join('client', { limits: clientLimits });
    const ask = async (request: Parameters<typeof client.request>[1]) => {
      const pending = client.request('server', request).then(
        (response) => ({ response, code: undefined }),
        (error) => ({ response: undefined, code: error.code }),
      );
      await network.run(network.nowMs + 300_000);
      return await pending;
    };
    return { network, server, client, bodies, ask };
  }

  it.each([16, 32, 64, 256, 1_024])('both directions with blocks of %i bytes', async (blockBytes) => {
    const { ask, bodies, network } = pair();
    const payload = body(3_333);
    const { response } = await ask({ method: 'POST', pathSegments: ['echo'], payload, blockBytes });
    expect(response?.payload).toEqual(payload);
    expect(bodies).toEqual([payload]);
    for (const { bytes } of network.log) expect(bytes.length).toBeLessThanOrEqual(blockBytes + 60);
  });

  it('several bodies at once go one after the other, and one that fails or is given up lets the next go', async () => {
    const { client, network, bodies } = pair();
    const sent = [1, 2, 3, 4, 5].map((fill) => new Uint8Array(3_000).fill(fill));
    const controller = new AbortController();
    const outcomes = sent.map((payload, at) =>
      client
        .request(
          'server',
          { method: 'POST', pathSegments: ['echo'], payload },
          at === 1 ? { signal: controller.signal } : {},
        )
        .then(
          (response) => response.payload[0],
          (error: { code: string }) => error.code,
        ),
    );
    controller.abort();
    await network.run(100_000);
    expect(await Promise.all(outcomes)).toEqual([1, 'aborted', 3, 4, 5]);
    expect(bodies.map((one) => one[0])).toEqual([1, 3, 4, 5]);
    network.weather = { ...network.weather, loss: 1 };
    const lost = [6, 7].map((fill) =>
      client
        .request('server', { method: 'POST', pathSegments: ['echo'], payload: new Uint8Array(3_000).fill(fill) })
        .catch((error: { code: string }) => error.code),
    );
    await network.run(300_000);
    client.forgetPeer('server');
    network.weather = { ...network.weather, loss: 0 };
    await network.run(310_000);
    expect(await Promise.all(lost)).toEqual(['timeout', 'timeout']);
    const again = client.request('server', { method: 'POST', pathSegments: ['echo'], payload: sent[0] });
    await network.run(320_000);
    expect((await again).payload).toHaveLength(3_000);
  });

  it('follows the server to smaller blocks', async () => {
    const { ask, bodies } = pair({}, { blockBytes: 64 });
    const payload = body(3_333);
    const { response } = await ask({ method: 'POST', pathSegments: ['echo'], payload });
    expect(response?.payload).toEqual(payload);
    expect(bodies).toEqual([payload]);
  });

  it('never uses a token twice, and tags every upload of more than one block (RFC 9175 section 3 and 4)', async () => {
    const { ask, network } = pair();
    await ask({ method: 'POST', pathSegments: ['echo'], payload: body(5_000) });
    await ask({ method: 'POST', pathSegments: ['echo'], payload: body(5_000) });
    const sent = network.log.filter(({ from }) => from === 'client').map(({ bytes }) => bytes);
    const tokens = sent.map((bytes) => Buffer.from(bytes.subarray(4, 12)).toString('hex'));
    expect(new Set(tokens).size).toBe(tokens.length);
    const tags = sent.map((bytes) => Buffer.from(optionOf(read(bytes), OPTION.requestTag) ?? NONE).toString('hex'));
    expect(new Set(tags).size).toBe(2);
    expect(tags).not.toContain('');
  });

  it('a body above its budget ends on the first block, by Size2', async () => {
    const { ask, network } = pair({ maxResponseBodyBytes: 4_999 });
    expect((await ask({ method: 'GET', pathSegments: ['big'] })).code).toBe('response-too-large');
    expect(network.log.filter(({ from }) => from === 'client')).toHaveLength(1);
  });

  it('a body that changes between its blocks is begun again, and blocks are never mixed', async () => {
    const { ask } = pair({}, { maxBlockBytes: 0 });
    expect((await ask({ method: 'GET', pathSegments: ['changing'] })).code).toBe('block-broken');
    const kept = pair();
    expect((await kept.ask({ method: 'GET', pathSegments: ['changing'] })).response?.payload).toEqual(body(3_000));
  });

  it.each([
    ['a block that was not asked for', 3, true, 16, 'block-broken'],
    ['a block that is not full', 1, true, 15, 'block-broken'],
    ['a block that is more than full', 1, true, 17, 'block-broken'],
  ])('%s ends the exchange', async (_, number, more, bytes, code) => {
    const rig = new Rig();
    const asked = rig.endpoint.request('peer', { method: 'GET' }).catch((error) => error.code);
    const respond = (number: number, more: boolean, payload: Uint8Array) => {
      const { messageId, token } = rig.one();
      const options = [blockOption(OPTION.block2, { number, more, blockBytes: 16 })];
      rig.receive(message({ type: TYPE.acknowledgement, code: CODE.content, messageId, token, payload, options }));
    };
    respond(0, true, body(16));
    respond(number, more, body(bytes));
    await expect(asked).resolves.toBe(code);
    expect(rig.endpoint.blockBytes).toBe(0);
  });

  it('a server that sends blocks for ever ends at the budget', async () => {
    const rig = new Rig({ limits: { maxResponseBodyBytes: 1_000 } });
    const asked = rig.endpoint.request('peer', { method: 'GET' }).catch((error) => error.code);
    let blocks = 0;
    for (; rig.sent.length > 0 && blocks < 1_000; blocks++) {
      const { messageId, token } = rig.one();
      const options = [blockOption(OPTION.block2, { number: blocks, more: true, blockBytes: 16 })];
      rig.receive(
        message({ type: TYPE.acknowledgement, code: CODE.content, messageId, token, payload: body(16), options }),
      );
    }
    await expect(asked).resolves.toBe('response-too-large');
    expect(blocks).toBe(63);
  });
});
