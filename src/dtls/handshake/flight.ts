/**
 * A flight: the messages we send together and send again (RFC 6347 4.2.4). Kept as message bodies; each sending packs them anew
 * into records with new sequence numbers, so that a resend never shares a cursor with one in progress (CVE-2026-84782).
 *
 *     PREPARING -> SENDING -> WAITING -> FINISHED          WAITING -> SENDING: timer, or the peer repeats itself
 */
import type { DtlsLimits } from '../limits.ts';
import { HANDSHAKE_HEADER_BYTES, writeFragment } from '../wire/handshake.ts';
import { ContentType } from '../wire/registry.ts';

export interface FlightMessage {
  /** Handshake type, or `changeCipherSpec`. */
  readonly type: number | 'change-cipher-spec';
  readonly messageSeq: number;
  readonly epoch: 0 | 1;
  readonly body: Uint8Array;
}

/** Seals one record; undefined when it cannot. */
export type SealRecord = (type: number, epoch: 0 | 1, plaintext: Uint8Array) => Uint8Array | undefined;

/** What packing must keep to. */
export interface PackLimits {
  readonly mtuBytes: number;
  readonly recordLimitBytes: number;
  /** RFC 7925 11: smaller steps when larger ones got lost. */
  readonly oneMessagePerDatagram: boolean;
  readonly overheadBytes: (epoch: 0 | 1) => number;
}

const CHANGE_CIPHER_SPEC = Uint8Array.of(1);
/** A rest of a datagram smaller than this is not worth a fragment of its own. */
const LEAST_FRAGMENT_BYTES = 64;

export class Flight {
  readonly messages: FlightMessage[] = [];
  sends = 0;
  lastSentMs = Number.NEGATIVE_INFINITY;
  timeoutMs: number;

  constructor(limits: DtlsLimits) {
    this.timeoutMs = limits.retransmitFirstMs;
  }

  /** Doubles the timer (RFC 6347 4.2.4.1). @returns false when the flight was sent often enough. */
  backOff(limits: DtlsLimits): boolean {
    this.timeoutMs = Math.min(this.timeoutMs * 2, limits.retransmitMaxMs);
    return this.sends < limits.maxFlightSends;
  }

  /** The datagrams of one sending. */
  pack(limits: PackLimits, seal: SealRecord): Uint8Array[] {
    const datagrams: Uint8Array[] = [];
    let records: Uint8Array[] = [];
    let size = 0;
    const flush = () => {
      if (size > 0) datagrams.push(join(records, size));
      records = [];
      size = 0;
    };
    const put = (type: number, epoch: 0 | 1, plaintext: Uint8Array) => {
      const record = seal(type, epoch, plaintext);
      if (record === undefined) return;
      if (size + record.length > limits.mtuBytes) flush();
      records.push(record);
      size += record.length;
    };
    for (const message of this.messages) {
      if (message.type === 'change-cipher-spec') {
        put(ContentType.changeCipherSpec, message.epoch, CHANGE_CIPHER_SPEC);
        continue;
      }
      if (limits.oneMessagePerDatagram) flush();
      const overhead = limits.overheadBytes(message.epoch) + HANDSHAKE_HEADER_BYTES;
      let offset = 0;
      do {
        const left = message.body.length - offset;
        let room = limits.mtuBytes - size - overhead;
        if (room < Math.min(left, LEAST_FRAGMENT_BYTES)) {
          flush();
          room = limits.mtuBytes - overhead;
        }
        const length = Math.max(0, Math.min(left, room, limits.recordLimitBytes - HANDSHAKE_HEADER_BYTES));
        const fragment = writeFragment(message.type, message.messageSeq, message.body, offset, length);
        put(ContentType.handshake, message.epoch, fragment);
        offset += length;
      } while (offset < message.body.length);
    }
    flush();
    return datagrams;
  }
}

function join(parts: readonly Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
