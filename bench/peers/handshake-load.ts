/**
 * Handshakes, so many at a time, and nothing else: TCP, TLS with a client certificate, and the end. In TLS 1.3 a client
 * cannot see from the handshake whether its certificate was accepted, so one counts when the server's session ticket came,
 * which the server sends after that check; a resumed one when the client has it,
 * after each session was seen to be good for a request. Orders: {handshakes, resumed}.
 */
import { connect, type TLSSocket } from 'node:tls';
import { percentile } from '../core/statistics.ts';

interface Setting {
  readonly port: number;
  readonly parallel: number;
  readonly pem: { readonly cert: string; readonly key: string; readonly ca: string };
}
interface Order {
  readonly handshakes: number;
  readonly resumed: boolean;
}
/** One for each of those in parallel, as each device has. A ticket is good for many: not every server sends another. */
const sessions: Buffer[] = [];

const set = JSON.parse(process.argv[2] as string) as Setting;

process.on('message', (order: Order) => {
  run(order).then(
    (answer) => process.send?.(answer),
    (thrown: Error) => process.send?.({ error: thrown.message }),
  );
});
await prepare();
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });

async function prepare(): Promise<void> {
  while (sessions.length < set.parallel) {
    const session = (await handshake(undefined, [])) as Buffer;
    await isServed(session);
    sessions.push(session);
  }
}

async function run({ handshakes, resumed }: Order) {
  const tookMs: number[] = [];
  let left = handshakes;
  const chain = async (_: unknown, index: number) => {
    const session = resumed ? sessions[index] : undefined;
    if (resumed && !session) throw new Error('there is no session to resume');
    while (left-- > 0) await handshake(session, tookMs);
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: set.parallel }, chain));
  const elapsed = performance.now() - began;
  return {
    operations: tookMs.length,
    perSecond: (tookMs.length / elapsed) * 1_000,
    p50Ms: percentile(tookMs, 0.5),
    p99Ms: percentile(tookMs, 0.99),
  };
}

function open(session: Buffer | undefined): TLSSocket {
  return connect({
    port: set.port,
    host: '127.0.0.1',
    servername: 'localhost',
    // Else Node on both sides would agree on a hybrid with ML-KEM, which the other servers' OpenSSL 3.0 has not got.
    ecdhCurve: 'X25519',
    ...set.pem,
    ...(session && { session }),
  });
}

function handshake(session: Buffer | undefined, tookMs: number[]): Promise<Buffer | undefined> {
  return new Promise((done, fail) => {
    const started = performance.now();
    const socket = open(session);
    const complete = (ticket?: Buffer) => {
      if (socket.isSessionReused() !== (session !== undefined))
        fail(new Error(session ? 'a session was not resumed' : 'a session was resumed unasked'));
      tookMs.push(performance.now() - started);
      done(ticket);
      socket.end();
      socket.resume();
    };
    socket.on('error', fail);
    socket.once('close', () => fail(new Error('closed before the handshake was complete')));
    if (session) socket.once('secureConnect', () => complete());
    else socket.once('session', complete);
  });
}

/** A resumed session is good for a request. */
function isServed(session: Buffer): Promise<void> {
  return new Promise((done, fail) => {
    const socket = open(session);
    const body = '{"temperature":21.5}';
    const head = `POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json`;
    socket.write(`${head}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
    socket.on('error', fail);
    socket.once('data', (reply: Buffer) => {
      socket.end();
      if (!socket.isSessionReused() || !reply.toString('latin1').startsWith('HTTP/1.1 200'))
        fail(new Error(`a resumed session was not served: ${reply.toString('latin1').split('\r\n')[0]}`));
      else done();
    });
    socket.once('close', () => fail(new Error('a resumed session was not served')));
  });
}
