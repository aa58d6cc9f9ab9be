/**
 * Ephemeral key agreement on P-256 and X25519 (RFC 8422) and the PSK premaster secrets (RFC 4279 2, RFC 5489 2).
 * Points must be uncompressed: node:crypto would also take compressed ones, which RFC 8422 5.1.1 deprecates.
 */
import {
  createECDH,
  createPublicKey,
  diffieHellman,
  type ECDH,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { concat } from '../wire/bytes.ts';

/** TLS Supported Groups registry. */
export const NamedGroup = { secp256r1: 23, x25519: 29 } as const;

/** In order of preference. */
export const GROUPS: readonly number[] = [NamedGroup.x25519, NamedGroup.secp256r1];

/** Our half of an agreement; used once. */
export interface KeyShare {
  readonly group: number;
  readonly publicKey: Uint8Array;
  /** The agreed secret, or undefined when the peer's point is malformed, off the curve or of low order. */
  agree(peerPublicKey: Uint8Array): Uint8Array | undefined;
}

export function generateKeyShare(group: number): KeyShare | undefined {
  if (group === NamedGroup.secp256r1) return new P256Share();
  if (group === NamedGroup.x25519) return new X25519Share();
  return undefined;
}

const P256_POINT_BYTES = 65;

class P256Share implements KeyShare {
  readonly group = NamedGroup.secp256r1;
  readonly publicKey: Uint8Array;
  readonly #ecdh: ECDH = createECDH('prime256v1');

  constructor() {
    this.publicKey = this.#ecdh.generateKeys();
  }

  agree(peer: Uint8Array): Uint8Array | undefined {
    // RFC 8422 5.4.1: uncompressed form only. The length also excludes the point at infinity.
    if (peer.length !== P256_POINT_BYTES || peer[0] !== 4) return undefined;
    try {
      return this.#ecdh.computeSecret(peer); // throws for a point off the curve
    } catch {
      return undefined;
    }
  }
}

const X25519_SPKI_PREFIX = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00]);

class X25519Share implements KeyShare {
  readonly group = NamedGroup.x25519;
  readonly publicKey: Uint8Array;
  readonly #privateKey: KeyObject;

  constructor() {
    const pair = generateKeyPairSync('x25519');
    this.#privateKey = pair.privateKey;
    this.publicKey = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(X25519_SPKI_PREFIX.length);
  }

  agree(peer: Uint8Array): Uint8Array | undefined {
    if (peer.length !== 32) return undefined;
    try {
      const key = Buffer.from(concat(X25519_SPKI_PREFIX, peer));
      const publicKey = createPublicKey({ key, format: 'der', type: 'spki' });
      const secret = diffieHellman({ privateKey: this.#privateKey, publicKey });
      // RFC 8422 5.11: an all-zero result means a point of low order; OpenSSL refuses it too, this does not depend on it.
      return secret.some((byte) => byte !== 0) ? secret : undefined;
    } catch {
      return undefined;
    }
  }
}

/** RFC 4279 2: other_secret is as many zeroes as the PSK has bytes; RFC 5489 2: it is the agreed secret. */
export function pskPremaster(psk: Uint8Array, agreed: Uint8Array | undefined): Uint8Array {
  // Written once in place: each concatenation would leave another copy of the key behind.
  const first = agreed?.length ?? psk.length;
  const premaster = new Uint8Array(4 + first + psk.length);
  premaster.set([first >>> 8, first & 0xff]);
  if (agreed !== undefined) premaster.set(agreed, 2);
  premaster.set([psk.length >>> 8, psk.length & 0xff], 2 + first);
  premaster.set(psk, 4 + first);
  return premaster;
}
