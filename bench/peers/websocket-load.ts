/** Devices with one WebSocket each, in a closed loop: a message, its answer, the next message. Orders: {messages}. */
import { randomBytes } from 'node:crypto';
import { connect, type TLSSocket } from 'node:tls';
import { percentile } from '../core/statistics.ts';
import { frameAt, maskedText } from '../core/websocket-frame.ts';

interface Setting {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly pem: { readonly cert: string; readonly key: string; readonly ca: string };
  readonly texts: readonly string[];
}

const set = JSON.parse(process.argv[2] as string) as Setting;
let left = 0;
let underWay = 0;
let tookMs = new Float64Array(0);
let began = 0;

class Line {
  readonly #socket: TLSSocket;
  readonly #frame: Buffer;
  #kept: Buffer = Buffer.alloc(0);
  #sentAt = 0;

  constructor(socket: TLSSocket, text: string) {
    this.#socket = socket;
    this.#frame = maskedText(text, randomBytes(4));
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('close', () => fail('a connection was closed'));
  }

  send(): void {
    left -= 1;
    underWay += 1;
    this.#sentAt = performance.now();
    this.#socket.write(this.#frame);
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    let at = 0;
    for (let frame = frameAt(bytes, 0); frame; frame = frameAt(bytes, at)) {
      at = frame.to;
      if (frame.opcode === 9) this.#socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]));
      if (frame.opcode === 8)
        fail(`a WebSocket was closed: ${bytes.subarray(frame.from, frame.to).toString('latin1')}`);
      if (frame.opcode <= 2) this.#answered();
    }
    this.#kept = bytes.subarray(at);
  }

  #answered(): void {
    underWay -= 1;
    tookMs[left + underWay] = performance.now() - this.#sentAt;
    if (left > 0) this.send();
    else if (underWay === 0) finished();
  }
}

const lines = await Promise.all(Array.from({ length: set.connections }, (_, index) => open(index)));
process.on('message', ({ messages }: { messages: number }) => {
  left = messages;
  tookMs = new Float64Array(messages);
  began = performance.now();
  for (const line of lines) if (left > 0) line.send();
});
process.on('disconnect', () => process.exit());
process.send?.({ ready: true });

function finished(): void {
  const elapsed = performance.now() - began;
  process.send?.({
    operations: tookMs.length,
    perSecond: (tookMs.length / elapsed) * 1_000,
    p50Ms: percentile(tookMs, 0.5),
    p99Ms: percentile(tookMs, 0.99),
  });
}

function open(index: number): Promise<Line> {
  return new Promise((done) => {
    const socket = connect({ port: set.port, host: '127.0.0.1', servername: 'localhost', ...set.pem }, () => {
      socket.setNoDelay(true);
      const head = [`GET ${set.path} HTTP/1.1`, 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade'];
      const key = randomBytes(16).toString('base64');
      socket.write(`${head.join('\r\n')}\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`);
    });
    socket.on('error', (error) => fail(error.message));
    socket.once('data', (head: Buffer) => {
      if (!head.toString('latin1').startsWith('HTTP/1.1 101')) fail(`no upgrade: ${head.toString('latin1')}`);
      done(new Line(socket, set.texts[index % set.texts.length] as string));
    });
  });
}

function fail(error: string): void {
  process.send?.({ error });
}
