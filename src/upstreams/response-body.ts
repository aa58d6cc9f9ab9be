/**
 * Gathers a response's content up to a bound. Its pieces are copied into one growing buffer: a list of them would let an
 * upstream turn 4 MiB of one-byte chunks into hundreds of megabytes of bookkeeping.
 */
import { type Body, EMPTY_BODY } from '../exchange/arrival.ts';
import { Fault } from '../faults/fault.ts';

export class ResponseBody {
  readonly #maxBytes: number;
  #bytes: Uint8Array = NOTHING;
  #length = 0;
  #pieces = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Throws SP_UPSTREAM_TOO_LARGE, or SP_UPSTREAM_RESPONSE for a content in crumbs. */
  add(piece: Uint8Array): void {
    const length = this.#length + piece.byteLength;
    if (length > this.#maxBytes) throw new Fault('SP_UPSTREAM_TOO_LARGE');
    if (++this.#pieces > FREE_PIECES && length < this.#pieces * MIN_AVERAGE_PIECE_BYTES) {
      throw new Fault('SP_UPSTREAM_RESPONSE', 'The content arrives in crumbs.');
    }
    if (this.#length === 0) {
      // The usual case: it came in one piece, which nobody else holds.
      this.#bytes = piece;
    } else {
      if (length > this.#bytes.byteLength) this.#grow(length);
      this.#bytes.set(piece, this.#length);
    }
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  /** What was gathered. */
  take(): Body {
    if (this.#length === 0) return EMPTY_BODY;
    return { kind: 'bytes', bytes: this.#bytes.subarray(0, this.#length) };
  }

  #grow(length: number): void {
    const bytes = new Uint8Array(Math.min(Math.max(length, this.#bytes.byteLength * 2, 4_096), this.#maxBytes));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}

const NOTHING = new Uint8Array(0);
/** A piece costs about a microsecond whatever its size. So many are free: some servers write unbuffered. */
const FREE_PIECES = 16_384;
/** Beyond that the average must reach this. */
const MIN_AVERAGE_PIECE_BYTES = 64;
