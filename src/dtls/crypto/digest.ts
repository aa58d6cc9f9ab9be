/** Hashes, MACs, random bytes and comparison of secrets, from node:crypto. */
import { createHmac, hash, randomFillSync, timingSafeEqual } from 'node:crypto';

export type HashName = 'sha256' | 'sha384';

export function digest(name: HashName, data: Uint8Array): Uint8Array {
  return hash(name, data, 'buffer');
}

export function hmac(name: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac(name, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Fresh random bytes, in memory that is not pooled with other buffers. */
export function randomBytes(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length));
}

/** Comparison of secrets: time depends on the lengths only, and those are public. */
export function equalSecrets(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
