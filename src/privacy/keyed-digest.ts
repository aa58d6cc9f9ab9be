/**
 * HMAC-SHA-256 (RFC 2104) of short texts, from node:crypto, with the latest answers remembered: a device's serial is in every
 * message it sends, and a look-up costs a twentieth of a digest. The memory is bounded, and holds nothing that this process
 * is not handed with the next message anyway.
 */
import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';

/** Remembered texts, of up to so many characters each: about a megabyte at most. */
const MAX_REMEMBERED = 4_096;
const MAX_REMEMBERED_CHARACTERS = 64;

export class KeyedDigest {
  readonly #key: Uint8Array;
  readonly #remembered = new Map<string, string>();

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** The first 128 bits of HMAC(key, UTF-8 of text) as 22 characters of base64url. */
  digest128(text: string): string {
    const known = this.#remembered.get(text);
    if (known !== undefined) return known;
    const digest = createHmac('sha256', this.#key).update(text, 'utf8').digest().subarray(0, 16).toString('base64url');
    if (text.length <= MAX_REMEMBERED_CHARACTERS) this.#remember(text, digest);
    return digest;
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return 'KeyedDigest [redacted]';
  }

  /** The oldest goes first; what is still in use comes back with its next message. */
  #remember(text: string, digest: string): void {
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const oldest = this.#remembered.keys().next().value;
      if (oldest !== undefined) this.#remembered.delete(oldest);
    }
    this.#remembered.set(text, digest);
  }
}
