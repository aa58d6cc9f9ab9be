/**
 * threats.md row 16: fragment bombs, deflate bombs, ping floods, bad UTF-8, unmasked frames. The gateway's memory grows by
 * less than 8 MiB, each attacker is closed with the code of its offence, and a well-behaved device notices nothing.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { constants, createDeflateRaw } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { DEFAULT_LIMITS, type Limits } from '../../src/config/settings.ts';
import { CLIENT_AUTH, type Issued, issue } from '../unit/upstreams/certificates.ts';
import { type FrameShape, frame, OPCODE, RawClient, type SeenClose } from '../unit/websocket/wire.ts';
import type { GatewaySetup, Memory } from './websocket-gateway.ts';

const MIB = 1_048_576;
const GROWTH_LIMIT = 8 * MIB;
/** Large enough for the whole bomb, compressed, to pass as a frame: it is the inflater that must stop it. */
const MESSAGE_BYTES = 1.25 * MIB;
const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  connectionsPerDevice: 200,
  webSocketMessageBytes: MESSAGE_BYTES,
  webSocketCompression: true,
  requestTimeoutMs: 4_000,
  webSocketPingIntervalMs: 5_000,
};
const OFFER = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits';

let gateway: ChildProcess;
let cloud: WebSocketServer;
let port: number;
let ca: Issued;
let client: Issued;
let good: GoodClient;
let gibibyte: Buffer;

/** `bytes` zeros, compressed as RFC 7692 wants them: 1 GiB becomes 1 MiB, the most that deflate can do (1032:1). */
async function bomb(bytes: number): Promise<Buffer> {
  const deflate = createDeflateRaw({ level: 9 });
  const chunks: Buffer[] = [];
  deflate.on('data', (chunk: Buffer) => chunks.push(chunk));
  const zeros = Buffer.alloc(4 * MIB);
  for (let left = bytes; left > 0; left -= zeros.length) {
    if (!deflate.write(zeros.subarray(0, left))) await once(deflate, 'drain');
  }
  await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve));
  return Buffer.concat(chunks).subarray(0, -4);
}

/** A device as it should be: a message every 10 ms, each answered by the cloud. */
class GoodClient {
  readonly #socket: WebSocket;
  readonly #timer: NodeJS.Timeout;
  readonly #sentAt = new Map<string, number>();
  latencies: number[] = [];
  errors = 0;
  #sent = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('error', () => {
      this.errors += 1;
    });
    socket.on('close', () => {
      this.errors += 1;
    });
    socket.on('message', (data) => {
      const text = String(data);
      const at = this.#sentAt.get(text);
      if (at === undefined) this.errors += 1;
      else this.latencies.push(performance.now() - at);
      this.#sentAt.delete(text);
    });
    this.#timer = setInterval(() => {
      const text = `{"n":${this.#sent}}`;
      this.#sent += 1;
      this.#sentAt.set(text, performance.now());
      socket.send(text);
    }, 20);
  }

  get percentile99(): number {
    return this.latencies.toSorted((a, b) => a - b)[Math.floor(this.latencies.length * 0.99)] ?? Number.NaN;
  }

  async stop(): Promise<{ readonly errors: number; readonly answered: number; readonly lost: number }> {
    clearInterval(this.#timer);
    await sleep(300);
    const result = { errors: this.errors, answered: this.latencies.length, lost: this.#sentAt.size };
    this.#socket.removeAllListeners('close');
    this.#socket.close();
    return result;
  }
}

function tlsSocket(): TLSSocket {
  return connect({
    port,
    host: '127.0.0.1',
    ca: ca.pem,
    cert: client.pem,
    key: client.keyPem,
    servername: 'localhost',
  });
}

async function attacker(headers: readonly string[] = []): Promise<RawClient> {
  const raw = new RawClient(tlsSocket(), '/v1/frames', headers);
  expect(await raw.opened).toMatch(/^HTTP\/1\.1 101 /);
  return raw;
}

/** Sends until it is told to stop or `count` is reached, at the speed of the connection. */
async function pour(raw: RawClient, count: number, part: Buffer): Promise<void> {
  const many = Buffer.concat(Array.from({ length: 100 }, () => part));
  for (let sent = 0; sent < count && !raw.socket.closed && raw.socket.writable; sent += 100) {
    if (!raw.socket.write(many)) await Promise.race([once(raw.socket, 'drain').catch(() => {}), raw.ended]);
  }
}

async function ask(what: 'memory' | 'settle'): Promise<Memory> {
  const answer = once(gateway, 'message');
  gateway.send(what);
  return (await answer)[0] as Memory;
}

beforeAll(async () => {
  gibibyte = await bomb(1_024 * MIB);
  ca = await issue({ ca: true, name: 'CA' });
  const server = await issue({ issuer: ca, dns: ['localhost'] });
  client = await issue({ issuer: ca, name: 'camera-2', usages: [CLIENT_AUTH] });
  cloud = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  cloud.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  await once(cloud, 'listening');
  gateway = fork(new URL('./websocket-gateway.ts', import.meta.url), { execArgv: ['--expose-gc'] });
  const setup: GatewaySetup = {
    tls: { certificate: server.pem, key: server.keyPem, clientAuthorities: [ca.pem] },
    limits: LIMITS,
    cloudPort: (cloud.address() as AddressInfo).port,
  };
  const ready = once(gateway, 'message');
  gateway.send(setup);
  port = (await ready)[0] as number;
  const socket = new WebSocket(`wss://localhost:${port}/v1/frames`, {
    ca: ca.pem,
    cert: client.pem,
    key: client.keyPem,
    perMessageDeflate: false,
  });
  await once(socket, 'open');
  good = new GoodClient(socket);
  // Ordinary life first: connections that come and go, and the largest message that is permitted. What is measured later is
  // the attack, and neither the start nor what an honest device may cost.
  for (let count = 0; count < 20; count += 1) (await attacker([OFFER])).socket.destroy();
  const large = await attacker([OFFER]);
  large.send(frame({ opcode: OPCODE.binary, payload: Buffer.alloc(MESSAGE_BYTES - 1) }));
  await sleep(1_000);
  large.socket.destroy();
});

afterAll(() => {
  gateway?.disconnect();
  for (const socket of cloud?.clients ?? []) socket.terminate();
  cloud?.close();
});

type Attack = (raw: RawClient) => Promise<void> | void;
const compressed = (shape: FrameShape) => frame({ ...shape, reserved: 0x40 });

describe('bombs', () => {
  const figures: string[] = [];
  afterAll(async () => {
    const { errors, answered, lost } = await good.stop();
    figures.push(
      `good client: ${answered} answered, ${errors} errors, ${lost} lost, p99 ${good.percentile99.toFixed(1)} ms`,
    );
    console.info(figures.join('\n'));
    expect({ errors, lost }).toEqual({ errors: 0, lost: 0 });
    expect(answered).toBeGreaterThan(100);
  });

  async function strike(name: string, times: number, headers: readonly string[], attack: Attack): Promise<SeenClose> {
    const before = await ask('settle');
    const closes: SeenClose[] = [];
    const since = performance.now();
    for (let turn = 0; turn < times; turn += 1) {
      const raw = await attacker(headers);
      await attack(raw);
      closes.push(await raw.ended);
    }
    const took = (performance.now() - since) / times;
    const after = await ask('memory');
    const growth = Math.max(0, after.peak - before.now);
    const codes = [...new Set(closes.map(({ code, reason }) => `${code} ${reason}`))].join(' | ');
    figures.push(`${name}: ${codes}, RSS +${(growth / MIB).toFixed(2)} MiB at its peak, ${took.toFixed(0)} ms each`);
    expect(growth).toBeLessThan(GROWTH_LIMIT);
    expect(codes.split(' | ')).toHaveLength(1);
    return closes[0] as SeenClose;
  }

  it('1 GiB of zeros in a frame of 1 MiB: 1009', async () => {
    figures.push(`the bomb has ${gibibyte.length} bytes`);
    expect(gibibyte.length).toBeLessThan(MESSAGE_BYTES);
    const one = compressed({ opcode: OPCODE.binary, payload: gibibyte });
    expect((await strike('1 GiB bomb', 5, [OFFER], (raw) => raw.send(one))).code).toBe(1009);
  });

  it('the first 10 KiB of it: 1009', async () => {
    const one = compressed({ opcode: OPCODE.text, payload: gibibyte.subarray(0, 10_240) });
    expect((await strike('10 KiB bomb', 10, [OFFER], (raw) => raw.send(one))).code).toBe(1009);
  });

  it('in fragments of 10 KiB: 1009', async () => {
    const parts = Array.from({ length: 20 }, (_, at) =>
      frame({
        opcode: at === 0 ? OPCODE.binary : OPCODE.continuation,
        reserved: at === 0 ? 0x40 : 0,
        payload: gibibyte.subarray(at * 10_240, (at + 1) * 10_240),
        final: at === 19,
      }),
    );
    expect((await strike('bomb in fragments', 5, [OFFER], (raw) => raw.send(...parts))).code).toBe(1009);
  });

  it('what is no deflate stream: 1007', async () => {
    const one = compressed({ opcode: OPCODE.binary, payload: Buffer.alloc(1_000, 0xff) });
    expect((await strike('not deflate', 5, [OFFER], (raw) => raw.send(one))).code).toBe(1007);
  });

  it('a million fragments: 1008', async () => {
    const attack: Attack = async (raw) => {
      raw.send(frame({ opcode: OPCODE.text, payload: 'x', final: false }));
      await pour(raw, 1_000_000, frame({ opcode: OPCODE.continuation, payload: 'x', final: false }));
    };
    expect((await strike('10^6 fragments', 3, [], attack)).code).toBe(1008);
  });

  it('a million empty fragments: 1008', async () => {
    const attack: Attack = async (raw) => {
      raw.send(frame({ opcode: OPCODE.text, final: false }));
      await pour(raw, 1_000_000, frame({ opcode: OPCODE.continuation, final: false }));
    };
    expect((await strike('10^6 empty fragments', 3, [], attack)).code).toBe(1008);
  });

  it('a million pings: 1008', async () => {
    const attack: Attack = (raw) => pour(raw, 1_000_000, frame({ opcode: OPCODE.ping, payload: 'x'.repeat(125) }));
    expect((await strike('10^6 pings', 3, [], attack)).code).toBe(1008);
  });

  it('a million messages: 1008', async () => {
    const attack: Attack = (raw) => pour(raw, 1_000_000, frame({ opcode: OPCODE.text, payload: '{}' }));
    expect((await strike('10^6 messages', 3, [], attack)).code).toBe(1008);
  });

  it.each<[string, number, FrameShape]>([
    ['bad UTF-8', 1007, { opcode: OPCODE.text, payload: Buffer.from([0xf8, 0x88, 0x80, 0x80, 0x80]) }],
    ['an unmasked frame', 1002, { opcode: OPCODE.text, payload: 'x', masked: false }],
    ['an announced 2^62', 1009, { opcode: OPCODE.binary, length: 2n ** 62n, lengthBytes: 8 }],
    ['an announced GiB', 1009, { opcode: OPCODE.binary, length: 2n ** 30n, lengthBytes: 8 }],
  ])('%s: %d', async (name, code, shape) => {
    expect((await strike(name, 10, [], (raw) => raw.send(frame(shape)))).code).toBe(code);
  });

  it('64 MiB that are really sent: 1009', async () => {
    const attack: Attack = async (raw) => {
      raw.send(frame({ opcode: OPCODE.binary, length: 64 * MIB, lengthBytes: 8 }));
      await pour(raw, 4_000, Buffer.alloc(16_384));
    };
    expect((await strike('64 MiB', 3, [], attack)).code).toBe(1009);
  });

  it('a frame that trickles in a byte a record: 1008', async () => {
    const attack: Attack = async (raw) => {
      raw.send(frame({ opcode: OPCODE.binary, length: MIB, lengthBytes: 8 }));
      for (let sent = 0; sent < 100_000 && raw.socket.writable; sent += 1) {
        raw.socket.write('x');
        if (sent % 16 === 0) await new Promise(setImmediate);
      }
    };
    expect((await strike('trickled frame', 3, [], attack)).code).toBe(1008);
  });

  it('a hundred messages that are begun and never finished: 1008', async () => {
    const before = await ask('settle');
    const slow = await Promise.all(Array.from({ length: 100 }, () => attacker()));
    for (const raw of slow) raw.send(frame({ opcode: OPCODE.text, payload: 'x'.repeat(1_000), final: false }));
    const answer = setInterval(() => {
      for (const raw of slow) if (raw.socket.writable) raw.send(frame({ opcode: OPCODE.pong }));
    }, 300);
    const closes = await Promise.all(slow.map(({ ended }) => ended));
    clearInterval(answer);
    const after = await ask('memory');
    const growth = Math.max(0, after.peak - before.now);
    figures.push(`100 unfinished messages: RSS +${(growth / MIB).toFixed(2)} MiB, connections included`);
    expect(new Set(closes.map(({ code, reason }) => `${code} ${reason}`))).toEqual(
      new Set(['1008 SP_WEBSOCKET_TIMEOUT']),
    );
    await expect.poll(async () => (await ask('memory')).sessions).toBe(1);
  });
});
