/** Authenticated encryption of our own session tickets (RFC 5077 4, with AES-256-GCM instead of its recommended construction). */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat } from '../wire/bytes.ts';
import { randomBytes } from './digest.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** `bound` is authenticated, not sent: what differs there makes the box unreadable. */
export function closeBox(key: Uint8Array, bound: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(bound);
  const sealed = cipher.update(plaintext);
  cipher.final();
  return concat(nonce, sealed, cipher.getAuthTag());
}

export function openBox(key: Uint8Array, bound: Uint8Array, box: Uint8Array): Uint8Array | undefined {
  if (box.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const end = box.length - TAG_BYTES;
  try {
    const cipher = createDecipheriv('aes-256-gcm', key, box.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    cipher.setAAD(bound);
    cipher.setAuthTag(box.subarray(end));
    const plaintext = cipher.update(box.subarray(NONCE_BYTES, end));
    cipher.final();
    return plaintext;
  } catch {
    return undefined;
  }
}
