/** Why a chain is not accepted: one of a closed list, and a sentence for the operator that never quotes the peer's bytes. */

export const CHAIN_REASONS = [
  /** No way from the leaf to a trusted name and key by names and signatures. */
  'no-trusted-path',
  /** Not DER, not RFC 5280 section 4.1, a field twice, a serial or version that must not be. */
  'certificate-malformed',
  /** Well formed, and outside the subset that this verifier implements; the detail names the feature. */
  'unsupported-feature',
  'unknown-critical-extension',
  /** SHA-1, MD5, a key too short or too long, a curve or algorithm that is not in the list. */
  'algorithm-refused',
  'signature-invalid',
  'not-yet-valid',
  'expired',
  /** Issued by a certificate whose basic constraints do not say that it may issue. */
  'not-an-authority',
  /** pathLenConstraint of an authority. */
  'path-length-exceeded',
  /** More intermediate certificates than the verifier follows. */
  'path-too-long',
  'key-usage',
  /** The extended key usage of the leaf, or of an authority above it, is not for what is asked. */
  'purpose',
  'name-constraints',
  /** A certificate authority in the place of a device or server. */
  'leaf-is-authority',
  'revoked',
  /** Revocation lists were given, and none that is current and signed by the issuer covers this certificate. */
  'revocation-unknown',
  'crl-malformed',
  'crl-unsupported',
  /** Bytes, certificates, attempts or signatures beyond the bound. */
  'limit-exceeded',
] as const;

export type ChainReason = (typeof CHAIN_REASONS)[number];

export interface Refusal {
  readonly reason: ChainReason;
  readonly detail: string;
}

export function refusal(reason: ChainReason, detail: string): Refusal {
  return { reason, detail };
}
