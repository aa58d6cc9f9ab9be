/**
 * Writes an answer on a connection (RFC 9112 section 4): one response, framed by us alone. No more of a body is in our memory
 * than the peer takes; content that does not fit what was announced cuts the connection.
 */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { Fault } from '../../faults/fault.ts';
import { type Answer, isBodiless } from './answer.ts';

/** How the connection goes on behind the answer. */
export interface Framing {
  /** Of the request: `HTTP/1.0` knows no chunks and no persistence unless it is said. */
  readonly version: '1.0' | '1.1';
  readonly verb: string;
  /** The connection ends with this answer. */
  readonly close: boolean;
  /** Seconds that an idle connection is kept. */
  readonly idleSeconds: number;
  /** Called between the last octet of content and the end, while the peer may still be sending. */
  readonly linger?: () => Promise<void>;
}

/**
 * Resolves when everything is handed to the socket, with whether the connection goes on (it may have to end although
 * `framing` does not say so). Rejects if content does not come or fit; the connection is then cut.
 */
export async function writeAnswer(socket: Socket, answer: Answer, framing: Framing): Promise<boolean> {
  const { status, body } = answer;
  const bodiless = isBodiless(framing.verb, status);
  const length = body.kind === 'bytes' ? body.bytes.byteLength : body.kind === 'empty' ? 0 : body.length;
  // RFC 9112 section 6.3: on HTTP/1.0 the end of the connection is what ends content of unknown length.
  const close = framing.close || (length === undefined && framing.version === '1.0' && !bodiless);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`;
  const { headers } = answer;
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  head += `Date: ${now()}\r\n`;
  head += close ? 'connection: close\r\n' : `Connection: keep-alive\r\nKeep-Alive: timeout=${framing.idleSeconds}\r\n`;
  if (!bodiless) {
    if (length !== undefined) head += `content-length: ${length}\r\n`;
    else if (framing.version === '1.1') head += 'transfer-encoding: chunked\r\n';
  } else if (status === 205) {
    // RFC 9112 section 6.3: of 205, unlike 204 and 304, the framing has to say that there is no content.
    head += 'content-length: 0\r\n';
  }
  head += '\r\n';
  if (bodiless || body.kind === 'empty') {
    socket.write(head, 'latin1');
  } else if (body.kind === 'bytes' && body.bytes.byteLength <= SLICE_BYTES) {
    // One write of one piece.
    const bytes = Buffer.allocUnsafe(head.length + body.bytes.byteLength);
    bytes.write(head, 0, 'latin1');
    bytes.set(body.bytes, head.length);
    socket.write(bytes);
  } else {
    socket.write(head, 'latin1');
    if (body.kind === 'bytes') await writeSlices(socket, body.bytes);
    else await writeStream(socket, body.stream, length, framing.version === '1.1');
  }
  if (framing.linger) await framing.linger();
  // A peer that asks and does not read is not asked for more.
  if (socket.writableNeedDrain) await drained(socket);
  return !close;
}

async function writeSlices(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
    await written(socket, bytes.subarray(at, at + SLICE_BYTES));
  }
}

async function writeStream(
  socket: Socket,
  stream: AsyncIterable<Uint8Array>,
  length: number | undefined,
  mayChunk: boolean,
): Promise<void> {
  const chunked = length === undefined && mayChunk;
  let total = 0;
  for await (const chunk of stream) {
    if (chunk.byteLength === 0) continue;
    total += chunk.byteLength;
    // More than announced would be read as the next response.
    if (length !== undefined && total > length) throw new Fault('SP_UPSTREAM_RESPONSE');
    if (chunked) socket.write(`${chunk.byteLength.toString(16)}\r\n`, 'latin1');
    await writeSlices(socket, chunk);
    if (chunked) socket.write('\r\n', 'latin1');
  }
  if (length !== undefined && total !== length) throw new Fault('SP_UPSTREAM_RESPONSE');
  if (chunked) socket.write('0\r\n\r\n', 'latin1');
}

/** Resolves when the kernel has the octets, so that a peer that does not read costs one slice of our memory. */
function written(socket: Socket, octets: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error | null): void => {
      socket.off('close', gone);
      if (error) reject(error);
      else resolve();
    };
    const gone = (): void => settle(new Fault('SP_EXCHANGE_CANCELLED'));
    socket.on('close', gone);
    if (socket.destroyed) gone();
    else socket.write(octets, settle);
  });
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off('close', gone).off('drain', settle);
      resolve();
    };
    const gone = (): void => {
      socket.off('drain', settle);
      reject(new Fault('SP_EXCHANGE_CANCELLED'));
    };
    socket.once('close', gone).once('drain', settle);
    if (socket.destroyed) gone();
  });
}

/** RFC 9110 section 6.6.1, made once a second. */
function now(): string {
  const seconds = Math.floor(Date.now() / 1_000);
  if (seconds !== dateSeconds) {
    dateSeconds = seconds;
    date = new Date(seconds * 1_000).toUTCString();
  }
  return date;
}

let dateSeconds = 0;
let date = '';

/** One in limits.requestTimeoutMs is enough: about 1 KiB/s with the defaults, less than a narrow-band modem manages. */
const SLICE_BYTES = 32_768;
