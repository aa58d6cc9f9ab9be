/**
 * Writes one answer as an HTTP/1.1 response (RFC 9112) with exact framing. Large content goes out in slices, so that a peer
 * that reads shows progress and one that does not shows none (connection.ts looks).
 */
import type { ServerResponse } from 'node:http';
import { Fault } from '../../faults/fault.ts';
import { type Answer, isBodiless } from './answer.ts';

export interface Closing {
  /** The connection ends with this response. */
  readonly close: boolean;
  /** Awaited between the last octet and the end of the connection. */
  readonly linger?: () => Promise<void>;
}

/** Resolves when everything is handed to the socket. Rejects if content does not come or fit; the response is then cut. */
export async function writeAnswer(
  response: ServerResponse,
  verb: string,
  answer: Answer,
  closing: Closing,
): Promise<void> {
  const { status, body } = answer;
  const headers = [...answer.headers];
  if (closing.close) headers.push('connection', 'close');
  if (isBodiless(verb, status) || body.kind === 'empty') {
    if (!isBodiless(verb, status)) headers.push('content-length', '0');
    response.writeHead(status, headers);
    if (closing.linger) {
      response.flushHeaders();
      await closing.linger();
    }
    response.end();
    return;
  }
  const length = body.kind === 'bytes' ? body.bytes.byteLength : body.length;
  if (length !== undefined) headers.push('content-length', String(length));
  response.writeHead(status, headers);
  if (body.kind === 'bytes' && body.bytes.byteLength <= SLICE_BYTES && !closing.linger) {
    response.end(body.bytes);
    return;
  }
  if (body.kind === 'bytes') await writeSlices(response, body.bytes);
  else await writeStream(response, body.stream, length);
  await closing.linger?.();
  response.end();
}

async function writeSlices(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += SLICE_BYTES) {
    if (!response.write(bytes.subarray(at, at + SLICE_BYTES))) await drained(response);
  }
}

async function writeStream(
  response: ServerResponse,
  stream: AsyncIterable<Uint8Array>,
  length: number | undefined,
): Promise<void> {
  let written = 0;
  for await (const chunk of stream) {
    written += chunk.byteLength;
    // More than announced would be read as the next response.
    if (length !== undefined && written > length) throw new Fault('SP_UPSTREAM_RESPONSE');
    if (!response.write(chunk)) await drained(response);
  }
  if (length !== undefined && written !== length) throw new Fault('SP_UPSTREAM_RESPONSE');
}

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) throw new Fault('SP_EXCHANGE_CANCELLED');
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      response.off('drain', settle).off('close', settle);
      if (response.destroyed) reject(new Fault('SP_EXCHANGE_CANCELLED'));
      else resolve();
    };
    response.on('drain', settle).on('close', settle);
  });
}

/** limits.requestTimeoutMs for each slice: about 2 KiB/s with the defaults, what a narrow-band modem manages. */
const SLICE_BYTES = 65_536;
