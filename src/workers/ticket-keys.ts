/**
 * Keys for TLS session tickets that all workers have in common, so that a device
 * may resume at any of them. They are derived from a secret of the lead and the listener's own material: workers with the
 * same certificates agree without a word, and a changed set of authorities forgets every session. Never on disk.
 */
import { hkdfSync, randomBytes } from 'node:crypto';

const SECRET_BYTES = 32;
/** What Node wants: name, HMAC key and AES key, 16 bytes each. */
const TICKET_KEY_BYTES = 48;

/** A new secret, base64: for each start and each reload. */
export function ticketSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64');
}

/** @param material all that a session was accepted under: our certificate and the authorities */
export function ticketKeys(secret: string, material: readonly string[]): Buffer {
  const info = JSON.stringify(material);
  // HKDF takes 1,024 bytes of info; the material is longer and goes in as salt, which it hashes.
  return Buffer.from(hkdfSync('sha256', Buffer.from(secret, 'base64'), info, 'sallyport tickets', TICKET_KEY_BYTES));
}
