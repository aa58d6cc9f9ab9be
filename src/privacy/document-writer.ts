/**
 * Writes a JsonDocument while its text is scanned: the tape, and the canonical text. What is canonical as it was sent is not
 * copied; places on the tape are places in the canonical text from the start.
 */
import { JsonDocument, TOKEN_WIDTH } from './json-document.ts';

/**
 * Tapes are cut from slabs: memory of its own for each small document would cost more than the parsing. A slab lives as
 * long as one of its documents, so it is small: a slow upstream must not hold much more than what waits for it.
 */
const SLAB_NUMBERS = 4_096;
let slab = new Int32Array(SLAB_NUMBERS);
let slabUsed = 0;
/** Where each key of the document stands in the text as sent. */
let origins = new Int32Array(SLAB_NUMBERS / TOKEN_WIDTH);

/** One at a time: the next may be made only when the one before is done with. */
export class DocumentWriter {
  readonly #text: string;
  /** The tape under construction stands in here, from #base on. */
  #tape = slab;
  #base = slabUsed;
  #size = 0;
  /** Canonical text of what lies before #copied; the rest is canonical as it stands, or has not been seen yet. */
  #written = '';
  #copied = 0;
  /** By how much the canonical text is shorter so far: places in it are places in the text less this. */
  #removed = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Adds a token from `start` to `end` of the text, both in the text as sent. Returns `end`. */
  put(kind: number, start: number, end: number): number {
    const at = this.#base + this.#size;
    if (at + TOKEN_WIDTH > this.#tape.length) {
      this.#grow();
      return this.put(kind, start, end);
    }
    this.#tape[at] = kind;
    this.#tape[at + 1] = start - this.#removed;
    this.#tape[at + 2] = end - this.#removed;
    this.#size += TOKEN_WIDTH;
    this.#tape[at + 3] = this.#size;
    return end;
  }

  /** Adds a key's token and returns it. */
  putKey(kind: number, start: number, end: number, hash: number): number {
    const token = this.#size;
    this.put(kind, start, end);
    this.#tape[this.#base + token + 3] = hash;
    origins[token / TOKEN_WIDTH] = start;
    return token;
  }

  /** Adds the token of an object or array and returns it. */
  open(kind: number, start: number): number {
    const token = this.#size;
    this.put(kind, start, start);
    return token;
  }

  /** Ends an object or array: all tokens since `open` lie in it. Returns `end`. */
  close(token: number, end: number): number {
    this.#tape[this.#base + token + 2] = end - this.#removed;
    this.#tape[this.#base + token + 3] = this.#size;
    return end;
  }

  /** Has a part of the text written otherwise. Returns `end`. */
  replace(start: number, end: number, canonical: string): number {
    this.#written += this.#text.slice(this.#copied, start) + canonical;
    this.#copied = end;
    this.#removed += end - start - canonical.length;
    return end;
  }

  /** Where a key stands in the text as sent. */
  origin(key: number): number {
    return origins[key / TOKEN_WIDTH] as number;
  }

  /** The finished document. Of a slab made for a large one nothing is left for others. */
  document(): JsonDocument {
    const json = this.#copied === 0 ? this.#text : this.#written + this.#text.slice(this.#copied);
    const end = this.#base + this.#size;
    if (this.#tape.length === SLAB_NUMBERS) {
      slab = this.#tape;
      slabUsed = end;
    }
    return new JsonDocument(json, this.#tape.subarray(this.#base, end));
  }

  /** Moves the tape to a slab with room for as much again. */
  #grow(): void {
    const larger = new Int32Array(Math.max(SLAB_NUMBERS, this.#size * 2));
    larger.set(this.#tape.subarray(this.#base, this.#base + this.#size));
    this.#tape = larger;
    this.#base = 0;
    if (larger.length / TOKEN_WIDTH <= origins.length) return;
    const longer = new Int32Array(larger.length / TOKEN_WIDTH);
    longer.set(origins);
    origins = longer;
  }
}
