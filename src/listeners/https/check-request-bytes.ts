/**
 * One whole HTTP/1.1 request judged from raw bytes: the listener's own reader (request-reader.ts) without a listener. Leaves
 * out time limits and whatever depends on the connection (caps, what comes behind).
 */
import { DEFAULT_LIMITS, type Limits } from '../../config/settings.ts';
import type { FaultCode } from '../../faults/catalogue.ts';
import { Fault } from '../../faults/fault.ts';
import type { CheckedRequest } from './checked-request.ts';
import { RequestReader } from './request-reader.ts';

export type ByteLimits = Pick<Limits, 'headerBytes' | 'headerCount' | 'targetBytes' | 'streamedBodyBytes'>;

export type ByteVerdict =
  | {
      readonly kind: 'accepted';
      readonly request: CheckedRequest;
      /** The content, chunks joined. */
      readonly body: Uint8Array;
      /** Octets of the input that this request takes; what follows is the next one. */
      readonly consumedBytes: number;
    }
  | { readonly kind: 'refused'; readonly code: FaultCode; readonly part: string }
  /** So far acceptable; more bytes are needed. */
  | { readonly kind: 'incomplete' };

/** Judges the first request in `bytes`. Never throws. */
export function checkRequestBytes(bytes: Uint8Array, limits: ByteLimits = DEFAULT_LIMITS): ByteVerdict {
  const reader = new RequestReader(() => limits);
  try {
    reader.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    const request = reader.head();
    if (request === undefined) return { kind: 'incomplete' };
    if ((request.contentLength ?? 0) > limits.streamedBodyBytes) {
      throw new Fault('SP_HTTP_BODY_TOO_LARGE', undefined, { details: { part: 'content-length' } });
    }
    const pieces: Buffer[] = [];
    for (let piece = reader.content(); piece !== undefined; piece = reader.content()) pieces.push(piece);
    if (!reader.ended) return { kind: 'incomplete' };
    const consumedBytes = bytes.byteLength - reader.buffered;
    return { kind: 'accepted', request, body: Buffer.concat(pieces), consumedBytes };
  } catch (thrown) {
    const fault = Fault.from(thrown);
    return { kind: 'refused', code: fault.code, part: String(fault.details.part ?? '') };
  }
}
