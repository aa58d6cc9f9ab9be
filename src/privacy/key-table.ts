/**
 * Finds duplicate keys while a JSON text is scanned, without making a string of any key: one open-addressed table for all
 * objects of a document. Whatever keys an attacker sends, the time is linear: a search that takes more than MAX_PROBES
 * steps refuses the document. The hash is seeded, so that nobody can work such keys out in advance.
 */
import { randomBytes } from 'node:crypto';

const SEED = randomBytes(4).readInt32LE();

/** Longest search. At a load of one half, clusters of a good hash stay far below it with a million keys. */
const MAX_PROBES = 256;
/** For each slot: generation, object, key, hash. */
const SLOT_WIDTH = 4;
const FIRST_SLOTS = 256;
const LAST_GENERATION = 0x7fff_ffff;

/** 2^32 divided by the golden ratio, and the mixing constants of MurmurHash3: odd numbers that spread bits well. */
const GOLDEN = 0x9e37_79b1;
const MIX_FIRST = 0x85eb_ca6b;
const MIX_SECOND = 0xc2b2_ae35;

/** Hash of no characters. */
export const HASH_START = SEED;

/** Takes one more UTF-16 code unit into a hash. The shift makes it non-linear. */
export function hashStep(hash: number, code: number): number {
  const mixed = Math.imul(hash ^ code, GOLDEN);
  return mixed ^ (mixed >>> 15);
}

/** The finished hash: 30 bits, so that it stays a small integer wherever it is kept. */
export function hashEnd(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), MIX_FIRST);
  return (mixed ^ (mixed >>> 13)) & 0x3fff_ffff;
}

export function hashKey(key: string): number {
  let hash = HASH_START;
  for (let index = 0; index < key.length; index += 1) hash = hashStep(hash, key.charCodeAt(index));
  return hashEnd(hash);
}

/** What `add` found. */
export const ADDED = 0;
export const DUPLICATE = 1;
/** The search took too long: the document is to be refused. */
export const FLOODED = 2;

/** Who can spell a key out; asked only if two hashes are equal. */
export interface KeySource {
  keyAt(token: number): string;
}

export class KeyTable {
  readonly #first = new Int32Array(SLOT_WIDTH * FIRST_SLOTS);
  #slots = this.#first;
  #mask = FIRST_SLOTS - 1;
  /** A slot of another generation is free: nothing has to be cleared between documents. */
  #generation = 0;
  #count = 0;

  /** Forgets all keys, for the next document, and gives the memory of a large one back. */
  clear(): void {
    if (this.#generation === LAST_GENERATION) {
      this.#first.fill(0);
      this.#generation = 0;
    }
    this.#generation += 1;
    this.#slots = this.#first;
    this.#mask = FIRST_SLOTS - 1;
    this.#count = 0;
  }

  /** Adds the key at token `key` to the object at token `object`. */
  add(object: number, key: number, hash: number, source: KeySource): number {
    if (this.#count * 2 > this.#mask) this.#grow();
    this.#count += 1;
    const slots = this.#slots;
    let slot = this.#home(object, hash);
    for (let probes = 0; probes < MAX_PROBES; probes += 1) {
      if (slots[slot] !== this.#generation) {
        this.#put(slot, object, key, hash);
        return ADDED;
      }
      const isAlike = slots[slot + 1] === object && slots[slot + 3] === hash;
      if (isAlike && source.keyAt(slots[slot + 2] as number) === source.keyAt(key)) return DUPLICATE;
      slot = (slot + SLOT_WIDTH) & (this.#mask * SLOT_WIDTH);
    }
    return FLOODED;
  }

  /** Objects of one shape have the same keys at even distances: thorough mixing keeps them from queueing up. */
  #home(object: number, hash: number): number {
    let mixed = hash ^ Math.imul(object, GOLDEN);
    mixed = Math.imul(mixed ^ (mixed >>> 16), MIX_FIRST);
    mixed = Math.imul(mixed ^ (mixed >>> 13), MIX_SECOND);
    return ((mixed ^ (mixed >>> 16)) & this.#mask) * SLOT_WIDTH;
  }

  #put(slot: number, object: number, key: number, hash: number): void {
    this.#slots[slot] = this.#generation;
    this.#slots[slot + 1] = object;
    this.#slots[slot + 2] = key;
    this.#slots[slot + 3] = hash;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    this.#mask = this.#mask * 2 + 1;
    for (let from = 0; from < old.length; from += SLOT_WIDTH) {
      if (old[from] !== this.#generation) continue;
      const object = old[from + 1] as number;
      const hash = old[from + 3] as number;
      let slot = this.#home(object, hash);
      while (this.#slots[slot] === this.#generation) slot = (slot + SLOT_WIDTH) & (this.#mask * SLOT_WIDTH);
      this.#put(slot, object, old[from + 2] as number, hash);
    }
  }
}
