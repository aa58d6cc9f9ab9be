/**
 * Values that exist only because a check was made: an association becomes open with three of them and in no other way, so a
 * forgotten check is a type error, and at run time a refusal, instead of an open door.
 */
import { equalSecrets } from '../crypto/digest.ts';
import { type PeerKey, SCHEMES } from '../crypto/sig.ts';
import type { PeerIdentity, PeerVerdict } from '../options.ts';

/** The caller accepted the chain or the raw key. */
export class ChainVerified {
  readonly #proof = true;
  private constructor() {}
  static of(verdict: PeerVerdict): ChainVerified | undefined {
    return verdict.accepted === true ? new ChainVerified() : undefined;
  }
  static is(value: object): boolean {
    return #proof in value && (value as ChainVerified).#proof;
  }
}

/** The peer signed with the key it showed (CertificateVerify, or ServerKeyExchange), with an algorithm we offered. */
export class CertificateVerified {
  readonly #proof = true;
  private constructor() {}
  static check(
    key: PeerKey,
    scheme: number,
    signed: Uint8Array,
    signature: Uint8Array,
  ): CertificateVerified | undefined {
    return SCHEMES.includes(scheme) && key.verify(scheme, signed, signature) ? new CertificateVerified() : undefined;
  }
  static is(value: object): boolean {
    return #proof in value && (value as CertificateVerified).#proof;
  }
}

/** The peer's verify_data is that of our own transcript and master secret. */
export class FinishedVerified {
  readonly #proof = true;
  private constructor() {}
  static check(expected: Uint8Array, received: Uint8Array): FinishedVerified | undefined {
    return expected.length > 0 && equalSecrets(expected, received) ? new FinishedVerified() : undefined;
  }
  static is(value: object): boolean {
    return #proof in value && (value as FinishedVerified).#proof;
  }
}

/** Why nobody had to show a certificate. */
export type WaiverReason = 'psk' | 'resumed' | 'certificate-not-required';

export class Waived {
  readonly reason: WaiverReason;
  constructor(reason: WaiverReason) {
    this.reason = reason;
  }
}

export type PeerProof =
  | { readonly chain: ChainVerified; readonly possession: CertificateVerified }
  | { readonly waived: Waived };

/** The right to open. */
export class Established {
  readonly #proof = true;
  private constructor() {}

  /** Undefined when the proofs do not fit who the peer says it is. */
  static from(peer: PeerIdentity, proof: PeerProof | undefined, finished: FinishedVerified): Established | undefined {
    if (proof === undefined || !FinishedVerified.is(finished)) return undefined;
    if ('waived' in proof) {
      const { reason } = proof.waived;
      const fits =
        peer.kind === 'psk' ? reason === 'psk' : peer.kind === 'none' && reason === 'certificate-not-required';
      return fits || reason === 'resumed' ? new Established() : undefined;
    }
    if (peer.kind !== 'certificate' && peer.kind !== 'raw-public-key') return undefined;
    if (!ChainVerified.is(proof.chain) || !CertificateVerified.is(proof.possession)) return undefined;
    return new Established();
  }

  static is(value: object): boolean {
    return #proof in value && (value as Established).#proof;
  }
}
