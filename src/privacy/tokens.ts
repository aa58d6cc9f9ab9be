/**
 * Reversible tokens: `t<key id>.<base64url>`, AES-SIV (RFC 5297) with the purpose and the device as associated data. The same
 * value of a device gives the same token; a token that was altered, or made for another purpose or device, does not open:
 * a cloud that holds tokens of all devices must not have one of them open those of the others.
 *
 *     base64url( 16 bytes synthetic IV | ciphertext of: typed value, 0x80, zeros up to a multiple of 16 bytes )
 *
 * The zeros hide the exact length of the value. Neither plaintext nor associated data is ever empty, so what RFC 5297
 * implementations have got wrong about empty ones (CVE-2023-2975) does not touch us.
 */
import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM } from 'node:crypto';
import { inspect } from 'node:util';
import { Fault } from '../faults/fault.ts';
import type { PrivacyKey, PrivacyKeys } from './keys.ts';
import type { TypedValue } from './pseudonyms.ts';

const CIPHER = 'aes-256-siv';
/** Two AES-256 keys: one for S2V, one for CTR (RFC 5297 section 2.2). */
const KEY_BYTES = 64;
const IV_BYTES = 16;
const BLOCK_BYTES = 16;
const END_OF_VALUE = 0x80;
/** IV and one block in base64url. */
const SHORTEST_BODY = 43;
const SHAPE = /^t([1-9]\d{0,3})\.([A-Za-z0-9_-]*)$/;

export class Tokens {
  readonly #ring: PrivacyKeys;
  readonly #activeId: number;
  /** Keys by id, retiring ones included. */
  readonly #keys: Map<number, Buffer>;
  /** Of the associated data, what stands before the device. */
  readonly #purpose: string;

  constructor(keys: PrivacyKeys, purpose: string) {
    this.#ring = keys;
    this.#activeId = keys.active.id;
    this.#keys = new Map(keys.readable.map((key) => [key.id, derived(key)]));
    this.#purpose = `sallyport/token/${JSON.stringify(purpose)}/`;
  }

  /** @param device id of the device that sends the value */
  of(value: TypedValue, device: string): string {
    const cipher = createCipheriv(CIPHER, this.#keys.get(this.#activeId) as Buffer, null) as CipherGCM;
    cipher.setAAD(this.#associated(device));
    const ciphertext = cipher.update(pad(value));
    cipher.final();
    return `t${this.#activeId}.${Buffer.concat([cipher.getAuthTag(), ciphertext]).toString('base64url')}`;
  }

  /**
   * The value behind a token.
   *
   * @param device id of the device that the value goes to
   * @returns undefined if the text does not look like a token at all
   * @throws SP_PAYLOAD_TOKEN if it does and was not made here, for this purpose and device, with a key that is still there
   */
  open(text: string, device: string): TypedValue | undefined {
    const [, id, body] = SHAPE.exec(text) ?? [];
    if (body === undefined || body.length < SHORTEST_BODY) return undefined;
    const key = this.#keys.get(Number(id)) ?? this.#newerKey(Number(id));
    const bytes = Buffer.from(body, 'base64url');
    // One token has one spelling: the decoder would forgive stray bits in the last character.
    if (key === undefined || bytes.toString('base64url') !== body) throw new Fault('SP_PAYLOAD_TOKEN');
    return unpad(this.#decrypt(key, bytes, device));
  }

  /** The key of a ring that has come since, if there is one. */
  #newerKey(id: number): Buffer | undefined {
    const newer = this.#ring.readableKey(id);
    const key = newer && derived(newer);
    if (key) this.#keys.set(id, key);
    return key;
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return 'Tokens [redacted]';
  }

  /** Both names are quoted: no two pairs of them read alike. */
  #associated(device: string): Buffer {
    return Buffer.from(this.#purpose + JSON.stringify(device));
  }

  #decrypt(key: Buffer, bytes: Buffer, device: string): Buffer {
    try {
      const decipher = createDecipheriv(CIPHER, key, null) as DecipherGCM;
      decipher.setAuthTag(bytes.subarray(0, IV_BYTES));
      decipher.setAAD(this.#associated(device));
      const plaintext = decipher.update(bytes.subarray(IV_BYTES));
      decipher.final();
      return plaintext;
    } catch {
      // The cause says nothing more than "no": nothing of the token goes into a log.
      throw new Fault('SP_PAYLOAD_TOKEN');
    }
  }
}

function derived(key: PrivacyKey): Buffer {
  return key.derive('token', KEY_BYTES);
}

function pad(value: TypedValue): Buffer {
  const length = Buffer.byteLength(value);
  const padded = Buffer.alloc(Math.ceil((length + 1) / BLOCK_BYTES) * BLOCK_BYTES);
  padded.write(value);
  padded[length] = END_OF_VALUE;
  return padded;
}

/** The plaintext is authentic: it was made by `pad`. */
function unpad(padded: Buffer): TypedValue {
  return padded.toString('utf8', 0, padded.lastIndexOf(END_OF_VALUE)) as TypedValue;
}
