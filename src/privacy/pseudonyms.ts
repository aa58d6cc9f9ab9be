/**
 * Keyed pseudonyms: `p<key id>.<22 characters>`, 128 bits of HMAC-SHA-256. The same value has the same pseudonym for one
 * purpose and unrelated ones for different purposes; without the key nobody can try values out. One-way: nothing maps back.
 */
import { KeyedDigest } from './keyed-digest.ts';
import type { PrivacyKeys } from './keys.ts';

/**
 * A value with its type, in one text: `s` and the string, `n` and the canonical number, `b` and true or false. The string
 * "1" and the number 1 are different values and get different pseudonyms: a collision would tell that they are alike.
 */
export type TypedValue = `s${string}` | `n${string}` | `b${string}`;

export class Pseudonyms {
  readonly #prefix: string;
  readonly #hmac: KeyedDigest;

  constructor(keys: PrivacyKeys, purpose: string) {
    this.#prefix = `p${keys.active.id}.`;
    // The purpose is part of the key, so it need not be part of each message.
    this.#hmac = new KeyedDigest(keys.active.derive(`pseudonym/${purpose}`, 32));
  }

  of(value: TypedValue): string {
    return this.#prefix + this.#hmac.digest128(value);
  }
}
