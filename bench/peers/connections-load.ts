/**
 * Many devices' kept connections, idle after one request each, and one that is busy. Orders: {open} for so many more, each
 * a full handshake; {requests} one after the other on a connection of its own.
 */
import { readFileSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import { percentile } from '../core/statistics.ts';

interface Setting {
  readonly port: number;
  /** JSON file with [{cert, key, ca}, …]. */
  readonly devices: string;
  readonly body: string;
}
interface Order {
  readonly open?: number;
  readonly requests?: number;
}

const PARALLEL = 32;
const set = JSON.parse(process.argv[2] as string) as Setting;
const devices = JSON.parse(readFileSync(set.devices, 'utf8')) as { cert: string; key: string; ca: string }[];
const head = 'POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ';
const message = Buffer.from(`${head}${Buffer.byteLength(set.body)}\r\n\r\n${set.body}`);
const idle = new Set<TLSSocket>();
let busy: TLSSocket | undefined;
let opened = 0;

process.on('message', ({ open, requests }: Order) => {
  const work = open === undefined ? talk(requests ?? 0) : openMore(open);
  work.then(
    (answer) => process.send?.(answer),
    (thrown: Error) => process.send?.({ error: thrown.message }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });

async function openMore(count: number) {
  let left = count;
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      while (left-- > 0) {
        const socket = await secure();
        await exchange(socket);
        idle.add(socket);
        socket.once('close', () => idle.delete(socket));
      }
    }),
  );
  return { operations: count, open: idle.size };
}

async function talk(requests: number) {
  busy ??= await secure();
  const tookMs: number[] = [];
  const began = performance.now();
  while (tookMs.length < requests) {
    const started = performance.now();
    await exchange(busy);
    tookMs.push(performance.now() - started);
  }
  const perSecond = (requests / (performance.now() - began)) * 1_000;
  return {
    operations: requests,
    perSecond,
    p50Ms: percentile(tookMs, 0.5),
    p99Ms: percentile(tookMs, 0.99),
    open: idle.size,
  };
}

function secure(): Promise<TLSSocket> {
  const pem = devices[opened++ % devices.length] as { cert: string; key: string; ca: string };
  return new Promise((done, fail) => {
    // Without a limit on groups Node would offer a hybrid with ML-KEM, and only Node would take it.
    const socket = connect({ port: set.port, host: '127.0.0.1', servername: 'localhost', ecdhCurve: 'X25519', ...pem });
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      socket.setNoDelay(true);
      socket.off('error', fail);
      socket.on('error', () => undefined);
      done(socket);
    });
  });
}

/** One request and its answer, which comes in one piece or in two: head, then the body of two bytes. */
function exchange(socket: TLSSocket): Promise<void> {
  return new Promise((done, fail) => {
    let seen = '';
    const closed = () => fail(new Error('a connection was closed'));
    const receive = (chunk: Buffer) => {
      seen += chunk.toString('latin1');
      if (!seen.endsWith('{}') && !seen.endsWith('{}\r\n0\r\n\r\n')) return;
      socket.off('data', receive);
      socket.off('close', closed);
      if (seen.startsWith('HTTP/1.1 200')) done();
      else fail(new Error(seen.slice(0, 200)));
    };
    socket.on('data', receive);
    socket.once('close', closed);
    socket.write(message);
  });
}
