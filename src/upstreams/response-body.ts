/**
 * Gathers a response's content up to a bound. Large pieces are kept as they are, small ones are copied together: a list of
 * all of them would let an upstream turn 4 MiB of one-byte chunks into hundreds of megabytes of bookkeeping.
 */
import { type Body, EMPTY_BODY } from '../exchange/arrival.ts';
import { Fault } from '../faults/fault.ts';

export class ResponseBody {
  readonly #maxBytes: number;
  readonly #blocks: Uint8Array[] = [];
  /** Free bytes at the end of the last block. */
  #free = 0;
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
    // The usual case: it came in one piece, which nobody else holds.
    if (this.#pieces === 1 || piece.byteLength >= LARGE_PIECE_BYTES) this.#keep(piece);
    else this.#copy(piece);
    this.#length = length;
  }

  /** What was gathered. Once. */
  take(): Body {
    const [only] = this.#blocks;
    if (only === undefined || this.#length === 0) return EMPTY_BODY;
    if (this.#blocks.length > 1) return { kind: 'bytes', bytes: Buffer.concat(this.#closed(), this.#length) };
    return { kind: 'bytes', bytes: only };
  }

  #keep(piece: Uint8Array): void {
    this.#closed().push(piece);
  }

  #copy(piece: Uint8Array): void {
    if (piece.byteLength > this.#free) {
      this.#closed().push(new Uint8Array(BLOCK_BYTES));
      this.#free = BLOCK_BYTES;
    }
    const block = this.#blocks.at(-1) as Uint8Array;
    block.set(piece, block.byteLength - this.#free);
    this.#free -= piece.byteLength;
  }

  /** The blocks, the last one cut to what is in it. */
  #closed(): Uint8Array[] {
    const last = this.#blocks.at(-1);
    if (this.#free > 0 && last) this.#blocks[this.#blocks.length - 1] = last.subarray(0, last.byteLength - this.#free);
    this.#free = 0;
    return this.#blocks;
  }
}

const LARGE_PIECE_BYTES = 4_096;
const BLOCK_BYTES = 65_536;
/** A piece costs about a microsecond whatever its size. So many are free: some servers write unbuffered. */
const FREE_PIECES = 16_384;
/** Beyond that the average must reach this. */
const MIN_AVERAGE_PIECE_BYTES = 64;
