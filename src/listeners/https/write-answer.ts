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
    await written(response, bytes.subarray(at, at + SLICE_BYTES));
  }
}

async function writeStream(
  response: ServerResponse,
  stream: AsyncIterable<Uint8Array>,
  length: number | undefined,
): Promise<void> {
  let total = 0;
  for await (const chunk of stream) {
    total += chunk.byteLength;
    // More than announced would be read as the next response.
    if (length !== undefined && total > length) throw new Fault('SP_UPSTREAM_RESPONSE');
    await writeSlices(response, chunk);
  }
  if (length !== undefined && total !== length) throw new Fault('SP_UPSTREAM_RESPONSE');
}

/** Resolves when the kernel has the octets, so that a peer that does not read costs one slice of our memory. */
function written(response: ServerResponse, octets: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error | null): void => {
      response.off('close', gone);
      if (error) reject(error);
      else resolve();
    };
    const gone = (): void => settle(new Fault('SP_EXCHANGE_CANCELLED'));
    response.on('close', gone);
    if (response.destroyed) gone();
    else response.write(octets, settle);
  });
}

/** One in limits.requestTimeoutMs is enough: about 1 KiB/s with the defaults, less than a narrow-band modem manages. */
const SLICE_BYTES = 32_768;
