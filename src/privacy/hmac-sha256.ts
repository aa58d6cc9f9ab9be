/**
 * HMAC-SHA-256 (RFC 2104 over FIPS 180-4) of short texts, synchronous, in the process. Every message pays for its pseudonyms
 * on its way: node:crypto needs 1.6 µs for each, this 0.7 µs, because the two blocks that hold only the key are
 * hashed once. Additions, rotations and masks of 32-bit integers only: no branch and no table index depends on a secret.
 * A test compares it with node:crypto at every length around the blocks. Leaves out: streaming, and every other use of SHA-256.
 */
import { inspect } from 'node:util';

const BLOCK_BYTES = 64;
const BLOCK_WORDS = 16;
const STATE_WORDS = 8;
/** The padding: a one bit, and the length in 64 bits. */
const PADDING_BYTES = 9;

const [INITIAL, ROUND] = constants();
/** Working space. Nothing of it outlives a call but a schedule that the next call overwrites. */
const schedule = new Int32Array(64);
const state = new Int32Array(STATE_WORDS);
const output = Buffer.alloc(16);
const encoder = new TextEncoder();

export class HmacSha256 {
  /** SHA-256 after the block `key xor ipad`, and after `key xor opad`. As secret as the key itself. */
  readonly #inner: Int32Array;
  readonly #outer: Int32Array;

  /** @param key at most 64 bytes (longer ones RFC 2104 hashes first; ours come out of HKDF) */
  constructor(key: Uint8Array) {
    if (key.length > BLOCK_BYTES) throw new RangeError('the key is longer than a block');
    this.#inner = keyState(key, 0x36);
    this.#outer = keyState(key, 0x5c);
  }

  /** The first 128 bits of HMAC(key, UTF-8 of text) as 22 characters of base64url. */
  digest128(text: string): string {
    enter(this.#inner);
    if (!absorbShort(text)) absorbBytes(encoder.encode(text));
    // The outer hash: the second block is the inner digest, its padding and the length of both blocks.
    for (let word = 0; word < STATE_WORDS; word += 1) schedule[word] = state[word] as number;
    schedule[8] = 0x8000_0000;
    for (let word = 9; word < 15; word += 1) schedule[word] = 0;
    schedule[15] = (BLOCK_BYTES + STATE_WORDS * 4) * 8;
    enter(this.#outer);
    compress();
    return base64url128();
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return 'HmacSha256 [redacted]';
  }
}

function keyState(key: Uint8Array, pad: number): Int32Array {
  const block = new Uint8Array(BLOCK_BYTES).fill(pad);
  for (let index = 0; index < key.length; index += 1) block[index] = (key[index] as number) ^ pad;
  enter(INITIAL);
  loadBlock(block, 0);
  compress();
  block.fill(0);
  schedule.fill(0);
  return state.slice();
}

/** A loop: for eight words, TypedArray.set costs more than the copying. */
function enter(words: Int32Array): void {
  for (let word = 0; word < STATE_WORDS; word += 1) state[word] = words[word] as number;
}

/** Takes in a text of ASCII characters that fits one block with its padding, and ends the hash; false: nothing was done. */
function absorbShort(text: string): boolean {
  const length = text.length;
  if (length > BLOCK_BYTES - PADDING_BYTES) return false;
  for (let word = 0; word < BLOCK_WORDS; word += 1) schedule[word] = 0;
  let seen = 0;
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    seen |= code;
    (schedule[index >> 2] as number) |= code << (24 - 8 * (index & 3));
  }
  if (seen > 0x7f) return false;
  (schedule[length >> 2] as number) |= 0x80 << (24 - 8 * (length & 3));
  schedule[15] = (BLOCK_BYTES + length) * 8;
  compress();
  return true;
}

function absorbBytes(bytes: Uint8Array): void {
  const blocks = Math.ceil((bytes.length + PADDING_BYTES) / BLOCK_BYTES);
  const padded = new Uint8Array(blocks * BLOCK_BYTES);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(BLOCK_BYTES + bytes.length) * 8n);
  for (let offset = 0; offset < padded.length; offset += BLOCK_BYTES) {
    loadBlock(padded, offset);
    compress();
  }
}

function loadBlock(bytes: Uint8Array, offset: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, BLOCK_BYTES);
  for (let word = 0; word < BLOCK_WORDS; word += 1) schedule[word] = view.getInt32(word * 4);
}

/** FIPS 180-4 section 6.2.2, over the block in the first 16 words of `schedule`, into `state`. */
function compress(): void {
  const w = schedule;
  for (let t = BLOCK_WORDS; t < 64; t += 1) {
    const w15 = w[t - 15] as number;
    const w2 = w[t - 2] as number;
    const sigma0 = ((w15 >>> 7) | (w15 << 25)) ^ ((w15 >>> 18) | (w15 << 14)) ^ (w15 >>> 3);
    const sigma1 = ((w2 >>> 17) | (w2 << 15)) ^ ((w2 >>> 19) | (w2 << 13)) ^ (w2 >>> 10);
    w[t] = (sigma0 + sigma1 + (w[t - 7] as number) + (w[t - 16] as number)) | 0;
  }
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;
  let e = state[4] as number;
  let f = state[5] as number;
  let g = state[6] as number;
  let h = state[7] as number;
  for (let t = 0; t < 64; t += 1) {
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + sum1 + (g ^ (e & (f ^ g))) + (ROUND[t] as number) + (w[t] as number)) | 0;
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (sum0 + ((a & b) | (c & (a | b)))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  (state[0] as number) += a;
  (state[1] as number) += b;
  (state[2] as number) += c;
  (state[3] as number) += d;
  (state[4] as number) += e;
  (state[5] as number) += f;
  (state[6] as number) += g;
  (state[7] as number) += h;
}

/** The first four words of `state` as base64url without padding (RFC 4648 section 5). */
function base64url128(): string {
  for (let word = 0; word < 4; word += 1) output.writeInt32BE(state[word] as number, word * 4);
  return output.toString('base64url');
}

/** FIPS 180-4 sections 5.3.3 and 4.2.2: the first 32 bits of the fractions of square and cube roots of the first primes. */
function constants(): [initial: Int32Array, round: Int32Array] {
  const initial = new Int32Array(STATE_WORDS);
  const round = new Int32Array(64);
  const fraction = (root: number) => Math.floor((root % 1) * 2 ** 32);
  for (let candidate = 2, found = 0; found < 64; candidate += 1) {
    let isPrime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor += 1) isPrime &&= candidate % divisor !== 0;
    if (!isPrime) continue;
    if (found < STATE_WORDS) initial[found] = fraction(Math.sqrt(candidate));
    round[found] = fraction(Math.cbrt(candidate));
    found += 1;
  }
  return [initial, round];
}
