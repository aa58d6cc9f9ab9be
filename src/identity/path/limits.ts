/** The bounds of one verification. What a peer sends decides how often they are reached, never how large they are. */

export interface PathLimits {
  /** One certificate, bytes. */
  readonly maxCertificateBytes: number;
  /** Untrusted certificates beside the leaf. */
  readonly maxUntrusted: number;
  readonly maxAnchors: number;
  /** Certificates between the leaf and the trusted one. */
  readonly maxIntermediates: number;
  /** How often a certificate is tried as the issuer of another. */
  readonly maxAttempts: number;
  /** Signatures checked, those of revocation lists included. */
  readonly maxSignatureChecks: number;
  /** One revocation list, bytes. */
  readonly maxCrlBytes: number;
  readonly maxCrls: number;
}

/** For files that an operator names. */
export const DEFAULT_PATH_LIMITS: PathLimits = Object.freeze({
  maxCertificateBytes: 16_384,
  maxUntrusted: 64,
  maxAnchors: 512,
  maxIntermediates: 3,
  maxAttempts: 256,
  maxSignatureChecks: 48,
  maxCrlBytes: 8_388_608,
  maxCrls: 64,
});

/** For what a peer sends in a handshake: the leaf and what leads to an anchor, nothing to choose from. */
export const HANDSHAKE_PATH_LIMITS: PathLimits = Object.freeze({
  ...DEFAULT_PATH_LIMITS,
  maxUntrusted: 3,
  maxAttempts: 32,
  maxSignatureChecks: 12,
});
