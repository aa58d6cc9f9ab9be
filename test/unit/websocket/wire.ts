/** Frames byte by byte (RFC 6455 section 5.2), so that tests can break every rule a library would keep. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

export interface FrameShape {
  readonly opcode: number;
  readonly payload?: Uint8Array | string;
  /** Default true. */
  readonly final?: boolean;
  /** Default true: frames of a client are masked. */
  readonly masked?: boolean;
  /** RSV1 0x40, RSV2 0x20, RSV3 0x10. */
  readonly reserved?: number;
  /** How the length is written; default: the shortest way. */
  readonly lengthBytes?: 0 | 2 | 8;
  /** What is written as length; default: the payload's. */
  readonly length?: number | bigint;
}

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export function frame(shape: FrameShape): Buffer {
  const payload = Buffer.from(shape.payload ?? '');
  const length = BigInt(shape.length ?? payload.length);
  const lengthBytes = shape.lengthBytes ?? (length < 126n ? 0 : length < 65_536n ? 2 : 8);
  const masked = shape.masked ?? true;
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = ((shape.final ?? true) ? 0x80 : 0) | (shape.reserved ?? 0) | shape.opcode;
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(Number(length), 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(length, 2);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  const hidden = Buffer.from(payload.map((byte, at) => byte ^ (mask[at & 3] as number)));
  return Buffer.concat([head, mask, hidden]);
}

export function closeFrame(code: number, reason = '', masked = true): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return frame({ opcode: OPCODE.close, payload, masked });
}

export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Takes the complete frames off the front of what a server sent. */
export function frames(bytes: Buffer): { readonly frames: Frame[]; readonly rest: Buffer } {
  const found: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= 2) {
    const short = (bytes[at + 1] as number) & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (bytes.length - at < 2 + lengthBytes) break;
    const length =
      lengthBytes === 0
        ? short
        : lengthBytes === 2
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    const start = at + 2 + lengthBytes;
    if (bytes.length < start + length) break;
    found.push({ opcode: (bytes[at] as number) & 0x0f, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return { frames: found, rest: bytes.subarray(at) };
}

/** How a raw client saw its connection end: the close frame, if there was one. */
export interface SeenClose {
  readonly code: number | undefined;
  readonly reason: string;
}

/** A client without a library: it sends what it is told and writes down what it hears. */
export class RawClient {
  readonly socket: Socket;
  readonly heard: Frame[] = [];
  readonly ended: Promise<SeenClose>;
  readonly opened: Promise<string>;
  #bytes: Buffer = Buffer.alloc(0);
  #head: string | undefined;
  /** Answers a close frame, as it should. */
  polite = true;

  constructor(socket: Socket, path = '/', headers: readonly string[] = []) {
    this.socket = socket;
    const opened = Promise.withResolvers<string>();
    this.opened = opened.promise;
    this.opened.catch(() => {});
    const ended = Promise.withResolvers<SeenClose>();
    this.ended = ended.promise;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      if (this.#head === undefined) {
        const end = this.#bytes.indexOf('\r\n\r\n');
        if (end < 0) return;
        this.#head = this.#bytes.subarray(0, end).toString('latin1');
        this.#bytes = this.#bytes.subarray(end + 4);
        opened.resolve(this.#head);
      }
      if (!this.#head.startsWith('HTTP/1.1 101')) return;
      const taken = frames(this.#bytes);
      this.#bytes = taken.rest;
      this.heard.push(...taken.frames);
      if (this.polite && taken.frames.some(({ opcode }) => opcode === OPCODE.close)) socket.end(closeFrame(1000));
    });
    socket.on('close', () => {
      opened.reject(new Error('closed before the handshake'));
      const payload = this.heard.find(({ opcode }) => opcode === OPCODE.close)?.payload;
      ended.resolve({
        code: payload && payload.length >= 2 ? payload.readUInt16BE(0) : undefined,
        reason: payload?.subarray(2).toString() ?? '',
      });
    });
    const lines = [
      `GET ${path} HTTP/1.1`,
      'Host: gateway.example',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...headers,
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  }

  static connect(port: number, path = '/', headers: readonly string[] = []): RawClient {
    return new RawClient(connect({ port, host: '127.0.0.1' }), path, headers);
  }

  /** What came after the head of a refusal. */
  get body(): string {
    return this.#bytes.toString();
  }

  send(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }
}
