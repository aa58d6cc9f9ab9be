/**
 * Stateless cookies of HelloVerifyRequest (RFC 6347 4.2.1): HMAC over address, port and five fields of the ClientHello under a
 * key of this minute. Extensions are left out on purpose: wolfSSL and Scandium drop connection_id from their second hello.
 */
import { equalSecrets, hmac } from '../crypto/digest.ts';
import type { PeerAddress } from '../options.ts';
import { concat, u16, u32, vector } from '../wire/bytes.ts';
import type { ClientHello } from '../wire/handshake.ts';

export const COOKIE_BYTES = 20;

export class CookieMint {
  readonly #secret: Uint8Array;
  readonly #lifetimeMs: number;
  readonly #keys = new Map<number, Uint8Array>();

  /** @param secret the same on all workers, at least 32 bytes. */
  constructor(secret: Uint8Array, lifetimeMs: number) {
    this.#secret = secret;
    this.#lifetimeMs = lifetimeMs;
  }

  make(hello: ClientHello, address: PeerAddress, nowMs: number): Uint8Array {
    return this.#cookie(hello, address, Math.floor(nowMs / this.#lifetimeMs));
  }

  isGood(hello: ClientHello, address: PeerAddress, nowMs: number): boolean {
    if (hello.cookie.length !== COOKIE_BYTES) return false;
    const slot = Math.floor(nowMs / this.#lifetimeMs);
    return (
      equalSecrets(hello.cookie, this.#cookie(hello, address, slot)) ||
      equalSecrets(hello.cookie, this.#cookie(hello, address, slot - 1))
    );
  }

  #cookie(hello: ClientHello, address: PeerAddress, slot: number): Uint8Array {
    const where = vector(1, new TextEncoder().encode(address.address));
    const fields = concat(u16(hello.version), hello.random, vector(1, hello.sessionId), hello.suitesAndCompression);
    return hmac('sha256', this.#key(slot), where, u16(address.port), fields).subarray(0, COOKIE_BYTES);
  }

  #key(slot: number): Uint8Array {
    let key = this.#keys.get(slot);
    if (key === undefined) {
      key = hmac('sha256', this.#secret, new TextEncoder().encode('dtls cookie'), u32(slot >>> 0));
      for (const old of this.#keys.keys()) if (old < slot - 1 || old > slot + 1) this.#keys.delete(old);
      this.#keys.set(slot, key);
    }
    return key;
  }
}
