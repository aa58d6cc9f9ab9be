import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { DEFAULT_LIMITS, type Limits } from '../../../src/config/settings.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { receiverBounds } from '../../../src/websocket/bounds.ts';
import { type ChannelOptions, WebSocketChannel } from '../../../src/websocket/channel.ts';
import { ExplainingWebSocket } from '../../../src/websocket/explaining-web-socket.ts';
import { sealedBytes } from './sealed-message.ts';
import { closeFrame, frame, OPCODE, RawClient } from './wire.ts';

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

/** A channel on the server's side and a raw client at its other end. */
async function open(limits: Partial<Limits> = {}, options: Partial<ChannelOptions> = {}) {
  const all = { ...DEFAULT_LIMITS, ...limits };
  const webSockets = new WebSocketServer({ noServer: true, ...receiverBounds(all), WebSocket: ExplainingWebSocket });
  const server = createServer();
  const ready = Promise.withResolvers<{ channel: WebSocketChannel; socket: Socket }>();
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const channel = new WebSocketChannel(webSocket, socket, { limits: all, tellReason: true, ...options });
      ready.resolve({ channel, socket });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = RawClient.connect((server.address() as AddressInfo).port);
  const { channel, socket } = await ready.promise;
  await client.opened;
  undo.push(
    () => client.socket.destroy(),
    () => socket.destroy(),
    () => server.close(),
  );
  return { channel, client, socket };
}

async function faultOf(promise: Promise<unknown>): Promise<string> {
  const thrown = await promise.then(
    () => 'nothing',
    (error: unknown) => error,
  );
  return thrown instanceof Fault ? thrown.code : String(thrown);
}

const text = (payload: string, final = true) => frame({ opcode: OPCODE.text, payload, final });
const rest = (payload: string, final = true) => frame({ opcode: OPCODE.continuation, payload, final });
const pings = (count: number) => Array.from({ length: count }, () => frame({ opcode: OPCODE.ping, payload: 'p' }));

describe('what is closed, with which code, and what the peer is told', () => {
  const overlong = Buffer.from([0xc0, 0x80]);
  const surrogate = Buffer.from([0xed, 0xa0, 0x80]);
  const small = { webSocketMessageBytes: 100, webSocketFragments: 4 };
  it.each<[string, Buffer[], number, string]>([
    ['an unmasked frame', [frame({ opcode: 1, payload: 'x', masked: false })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['RSV1 without an extension', [frame({ opcode: 1, payload: 'x', reserved: 0x40 })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['RSV2', [frame({ opcode: 1, payload: 'x', reserved: 0x20 })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['RSV3', [frame({ opcode: 1, payload: 'x', reserved: 0x10 })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['an unknown data opcode', [frame({ opcode: 3, payload: 'x' })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['an unknown control opcode', [frame({ opcode: 11 })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['a fragmented ping', [frame({ opcode: 9, final: false })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['a ping of 126 bytes', [frame({ opcode: 9, payload: 'x'.repeat(126) })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['a continuation of nothing', [rest('x')], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['a message within a message', [text('a', false), text('b')], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['a close frame of one byte', [frame({ opcode: 8, payload: 'x' })], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['close code 1005', [closeFrame(1005)], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    ['close code 999', [closeFrame(999)], 1002, 'SP_WEBSOCKET_PROTOCOL'],
    [
      'a length in more bytes than needed',
      [frame({ opcode: 1, payload: 'x', lengthBytes: 8 })],
      1002,
      'SP_WEBSOCKET_PROTOCOL',
    ],
    ['overlong UTF-8', [frame({ opcode: 1, payload: overlong })], 1007, 'SP_PAYLOAD_SYNTAX'],
    ['a surrogate in UTF-8', [frame({ opcode: 1, payload: surrogate })], 1007, 'SP_PAYLOAD_SYNTAX'],
    ['a message one byte too long', [text('x'.repeat(101))], 1009, 'SP_WEBSOCKET_TOO_LARGE'],
    [
      'fragments that are too long together',
      [text('x'.repeat(60), false), rest('x'.repeat(60))],
      1009,
      'SP_WEBSOCKET_TOO_LARGE',
    ],
    ['a length of 2^63', [frame({ opcode: 1, length: 2n ** 63n, lengthBytes: 8 })], 1009, 'SP_WEBSOCKET_TOO_LARGE'],
    ['an announced GiB', [frame({ opcode: 2, length: 2n ** 30n, lengthBytes: 8 })], 1009, 'SP_WEBSOCKET_TOO_LARGE'],
    [
      'a fragment too many',
      [text('', false), ...Array.from({ length: 4 }, () => rest('', false))],
      1008,
      'SP_WEBSOCKET_TOO_FAST',
    ],
    ['a flood of pings', pings(21), 1008, 'SP_WEBSOCKET_TOO_FAST'],
    ['a flood of messages', Array.from({ length: 201 }, () => text('x')), 1008, 'SP_WEBSOCKET_TOO_FAST'],
  ])('%s', async (_, bytes, code, reason) => {
    const { channel, client } = await open(small);
    client.send(...bytes);
    expect(await client.ended).toEqual({ code, reason });
    expect(await channel.closed).toEqual({ by: 'fault', fault: reason, code, reason });
    for await (const message of channel.receive()) expect.fail(`nothing may come out: ${message.bytes.length}`);
  });

  it('an offender is not listened to any more, and what it said before is not passed on', async () => {
    const { channel, client, socket } = await open();
    client.polite = false;
    client.send(text('before'));
    await sleep(50);
    client.send(...pings(21));
    await channel.closed;
    expect(socket.listenerCount('data')).toBe(0);
    expect(socket.isPaused()).toBe(false);
    for await (const message of channel.receive()) expect.fail(`nothing may come out: ${message.bytes.length}`);
  });

  it('a peer that breaks a rule and then neither reads on nor closes is gone within the close timeout', async () => {
    const { client } = await open();
    client.polite = false;
    client.send(frame({ opcode: 3 }));
    const since = performance.now();
    expect((await client.ended).code).toBe(1002);
    expect(performance.now() - since).toBeLessThan(3_000);
  });

  it('a frame that trickles in one byte at a time is cut off before it costs much', async () => {
    const { channel, client } = await open({ webSocketMessageBytes: 65_536 });
    client.socket.setNoDelay(true);
    client.send(frame({ opcode: OPCODE.binary, length: 65_536, lengthBytes: 8 }));
    while (channel.ending === undefined && !client.socket.destroyed) {
      client.socket.write('x');
      await new Promise(setImmediate);
    }
    expect(await channel.closed).toMatchObject({ fault: 'SP_WEBSOCKET_TOO_FAST', code: 1008 });
  });

  it('a message that is not finished in time', async () => {
    const { channel, client } = await open({ requestTimeoutMs: 60 });
    client.send(text('begun', false));
    await sleep(100);
    client.send(frame({ opcode: OPCODE.pong }));
    expect(await client.ended).toEqual({ code: 1008, reason: 'SP_WEBSOCKET_TIMEOUT' });
    expect((await channel.closed).fault).toBe('SP_WEBSOCKET_TIMEOUT');
  });

  it('a message that is not finished and never heard of again', async () => {
    const { client } = await open({ requestTimeoutMs: 60, webSocketPingIntervalMs: 100 });
    client.send(text('begun', false));
    expect(await client.ended).toEqual({ code: 1008, reason: 'SP_WEBSOCKET_TIMEOUT' });
  });
});

describe('pings', () => {
  it('are answered with their payload', async () => {
    const { client } = await open();
    client.send(frame({ opcode: OPCODE.ping, payload: 'abc' }));
    await expect.poll(() => client.heard.map(({ opcode, payload }) => `${opcode} ${payload}`)).toEqual(['10 abc']);
  });

  it('that nobody answers end the channel', async () => {
    const { client } = await open({ webSocketPingIntervalMs: 50 });
    expect(await client.ended).toEqual({ code: 1008, reason: 'SP_WEBSOCKET_UNRESPONSIVE' });
    expect(client.heard.filter(({ opcode }) => opcode === OPCODE.ping)).toHaveLength(1);
  });

  it('that are answered keep it open', async () => {
    const { channel, client } = await open({ webSocketPingIntervalMs: 40 });
    const answered = setInterval(() => client.send(frame({ opcode: OPCODE.pong })), 15);
    await expect.poll(() => client.heard.filter(({ opcode }) => opcode === OPCODE.ping).length).toBeGreaterThan(4);
    clearInterval(answered);
    expect(channel.ending).toBeUndefined();
  });

  it('are not expected from a peer that we hold back ourselves', async () => {
    const { channel, client } = await open({ webSocketPingIntervalMs: 40 });
    client.send(...Array.from({ length: 16 }, () => text('x')));
    await sleep(300);
    expect(channel.ending).toBeUndefined();
  });
});

describe('messages in', () => {
  it('come in order and whole, text and binary', async () => {
    const { channel, client } = await open();
    client.send(
      text('on', false),
      frame({ opcode: OPCODE.ping }),
      rest('e'),
      frame({ opcode: OPCODE.binary, payload: 'two' }),
    );
    client.send(closeFrame(4001, 'a text of the peer'));
    const seen: string[] = [];
    for await (const { bytes, binary } of channel.receive())
      seen.push(`${binary ? 'binary' : 'text'} ${Buffer.from(bytes)}`);
    expect(seen).toEqual(['text one', 'binary two']);
    expect(await channel.closed).toEqual({ by: 'peer', code: 4001, reason: '' });
  });

  it('that nobody takes are not read: the peer waits', async () => {
    const { client, socket } = await open({ webSocketMessagesPerSecond: 1_000_000 });
    const payload = Buffer.alloc(65_536);
    let sent = 0;
    const more = () => {
      while (sent < 2_000 && client.socket.write(frame({ opcode: OPCODE.binary, payload }))) sent += 1;
    };
    client.socket.on('drain', more);
    more();
    await sleep(300);
    expect(socket.isPaused()).toBe(true);
    expect(socket.bytesRead).toBeLessThan(1_000_000);
    expect(sent).toBeLessThan(500);
  });

  it('flow on when they are taken', async () => {
    const { channel, client } = await open();
    client.send(...Array.from({ length: 150 }, (_, at) => text(String(at))), closeFrame(1000));
    const seen: string[] = [];
    for await (const { bytes } of channel.receive()) {
      seen.push(String(Buffer.from(bytes)));
      await new Promise(setImmediate);
    }
    expect(seen).toEqual(Array.from({ length: 150 }, (_, at) => String(at)));
  });

  it('end without a code when the connection breaks', async () => {
    const { channel, client } = await open();
    client.socket.resetAndDestroy();
    expect(await channel.closed).toEqual({ by: 'lost', code: 1001, reason: 'SP_WEBSOCKET_CLOSED' });
  });
});

describe('messages out', () => {
  it('go out unmasked, text for text and binary for the rest', async () => {
    const { channel, client } = await open();
    await channel.send(await sealedBytes('{}', 'application/json'));
    await channel.send(await sealedBytes('hello', 'text/plain'));
    await channel.send(await sealedBytes('', 'application/octet-stream'));
    await expect
      .poll(() => client.heard.map(({ opcode, payload }) => `${opcode} ${payload}`))
      .toEqual(['1 {}', '1 hello', '2 ']);
  });

  it('must be sealed', async () => {
    const { channel, client } = await open();
    const forged = { message: { body: { kind: 'bytes', bytes: Buffer.from('x') }, contentType: '' } };
    expect(await faultOf(channel.send(forged as never))).toBe('SP_EXCHANGE_UNPROVEN');
    await sleep(50);
    expect(client.heard).toEqual([]);
  });

  it('wait when the budget is used up, and then all arrive', async () => {
    const { channel, client } = await open({ webSocketSendBufferBytes: 200_000 });
    client.socket.pause();
    const message = await sealedBytes(Buffer.alloc(100_000));
    let sent = 0;
    const sending = (async () => {
      for (; sent < 100; sent += 1) await channel.send(message);
    })();
    await sleep(200);
    const held = sent;
    client.socket.resume();
    await sending;
    await expect.poll(() => client.heard.length, { timeout: 5_000 }).toBe(100);
    expect(held).toBeLessThan(100);
  });

  it('to a peer that does not read end the channel', async () => {
    const { channel, client } = await open({ webSocketSendBufferBytes: 200_000 }, { sendTimeoutMs: 100 });
    client.socket.pause();
    const message = await sealedBytes(Buffer.alloc(100_000));
    const outcome = (async () => {
      for (let sent = 0; sent < 1_000; sent += 1) await channel.send(message);
    })();
    expect(await faultOf(outcome)).toBe('SP_WEBSOCKET_SLOW_READER');
    expect(await channel.closed).toMatchObject({ by: 'fault', fault: 'SP_WEBSOCKET_SLOW_READER', code: 1008 });
  });

  it('are refused after the end, and when the peer has said goodbye', async () => {
    const { channel, client } = await open();
    const message = await sealedBytes('late');
    client.polite = false;
    client.send(closeFrame(1000));
    await channel.closed;
    expect(await faultOf(channel.send(message))).toBe('SP_WEBSOCKET_CLOSED');
  });
});

describe('close', () => {
  it('tells code and reason, once', async () => {
    const { channel, client } = await open();
    channel.close(1008, 'no-route');
    channel.close(1011, 'SP_INTERNAL');
    expect(await client.ended).toEqual({ code: 1008, reason: 'no-route' });
    expect(await channel.closed).toEqual({ by: 'local', code: 1008, reason: 'no-route' });
  });

  it('keeps the reason to itself where it is none of the peer’s business', async () => {
    const { channel, client } = await open({}, { tellReason: false });
    channel.close(1008, 'no-route');
    expect(await client.ended).toEqual({ code: 1008, reason: '' });
  });

  it('is hard after a second when the peer does not take part', async () => {
    const { channel, client } = await open();
    client.polite = false;
    client.socket.pause();
    const since = performance.now();
    channel.close(1008, 'revoked');
    client.socket.resume();
    await client.ended;
    expect(performance.now() - since).toBeLessThan(2_000);
  });

  it('reaches a peer that was held back', async () => {
    const { channel, client, socket } = await open();
    client.send(...Array.from({ length: 20 }, () => text('x')));
    await expect.poll(() => socket.isPaused()).toBe(true);
    channel.close(1001, '');
    expect(socket.isPaused()).toBe(false);
    expect((await client.ended).code).toBe(1001);
  });
});
