/**
 * DTLSPlaintext and DTLSCiphertext headers (RFC 6347 4.1, RFC 9146 4):
 *
 *     type(1) version(2) epoch(2) sequence_number(6) [cid, when type = 25] length(2) fragment
 *
 * Leaves out the unified header of RFC 9147 4, which would be a second parse function beside this one.
 */
import { writeSequence } from './bytes.ts';
import { ContentType, DTLS_1_2 } from './registry.ts';

export const RECORD_HEADER_BYTES = 13;

/** A record as it stands in the datagram; `cid` and `fragment` are views. */
export interface RawRecord {
  readonly type: number;
  readonly version: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly cid: Uint8Array | undefined;
  readonly fragment: Uint8Array;
  /** Offset of the first byte after this record. */
  readonly end: number;
}

/** Reads the record at `at`; undefined when header or fragment reach beyond the datagram. */
export function parseRecord(datagram: Uint8Array, at: number, cidLength: number): RawRecord | undefined {
  if (datagram.length - at < RECORD_HEADER_BYTES) return undefined;
  const type = datagram[at] as number;
  // RFC 9146 4: the cid has no length on the wire, we know the length of those we gave out.
  const extra = type === ContentType.tls12Cid ? cidLength : 0;
  const body = at + RECORD_HEADER_BYTES + extra;
  if (body > datagram.length) return undefined;
  const length = word(datagram, body - 2);
  if (body + length > datagram.length) return undefined;
  return {
    type,
    version: word(datagram, at + 1),
    epoch: word(datagram, at + 3),
    sequence: word(datagram, at + 5) * 2 ** 32 + word(datagram, at + 7) * 2 ** 16 + word(datagram, at + 9),
    cid: extra > 0 ? datagram.subarray(at + 11, at + 11 + extra) : undefined,
    fragment: datagram.subarray(body, body + length),
    end: body + length,
  };
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) * 256 + (bytes[at + 1] as number);
}

/** Writes a header at the start of `target`. @returns the offset of the fragment. */
export function writeRecordHeader(
  target: Uint8Array,
  type: number,
  epoch: number,
  sequence: number,
  cid: Uint8Array | undefined,
  length: number,
  version: number = DTLS_1_2,
): number {
  target[0] = type;
  target[1] = version >>> 8;
  target[2] = version;
  writeSequence(target, 3, epoch, sequence);
  let at = 11;
  if (cid !== undefined) {
    target.set(cid, at);
    at += cid.length;
  }
  target[at] = length >>> 8;
  target[at + 1] = length;
  return at + 2;
}

/** A record in the clear, epoch 0. */
export function plainRecord(type: number, sequence: number, fragment: Uint8Array, version?: number): Uint8Array {
  const record = new Uint8Array(RECORD_HEADER_BYTES + fragment.length);
  record.set(fragment, writeRecordHeader(record, type, 0, sequence, undefined, fragment.length, version));
  return record;
}
