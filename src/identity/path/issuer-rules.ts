/**
 * What one certificate must be to stand at its place on a path (RFC 5280 section 6.1.3 without signature and revocation,
 * section 6.1.4). Each rule looks only downwards, so that a path is checked while it grows and a bad branch is left at once.
 * Trusted certificates are held to what they say of themselves as well (RFC 5937), as OpenSSL does.
 */
import { KEY_USAGE, PURPOSES } from './certificate-extensions.ts';
import type { ChainCertificate } from './chain-certificate.ts';
import { nameViolation } from './name-constraints.ts';
import { type Refusal, refusal } from './refusal.ts';

export type Purpose = 'client' | 'server' | 'any';

/** The leaf: what it is for, and when. `at` is in milliseconds since the epoch. */
export function checkLeaf(leaf: ChainCertificate, purpose: Purpose, at: number): Refusal | undefined {
  const problem = checkEvery(leaf, at, 'The leaf') ?? checkSerial(leaf, 'The leaf');
  if (problem !== undefined || purpose === 'any') return problem;
  // A device that holds an authority's key could make any other device: it does not get in with it.
  if (leaf.isAuthority) return refusal('leaf-is-authority', 'The leaf is a certificate of an authority.');
  // Every handshake we take part in is signed by the leaf's key: ECDHE in TLS 1.2 and DTLS 1.2, always in TLS 1.3.
  if (leaf.keyUsage !== undefined && (leaf.keyUsage & KEY_USAGE.digitalSignature) === 0)
    return refusal('key-usage', 'The key usage of the leaf does not have digitalSignature.');
  // Stricter than RFC 5280 section 4.2.1.12: it must be said, and anyExtendedKeyUsage does not say it.
  if (leaf.purposes?.has(PURPOSES[purpose]) !== true)
    return refusal('purpose', `The extended key usage of the leaf does not have ${purpose}Auth.`);
  return undefined;
}

/**
 * An authority above `below`, which is the path so far, the leaf first.
 * @param isAnchor whether it is one of the trusted certificates
 */
export function checkIssuer(
  issuer: ChainCertificate,
  below: readonly ChainCertificate[],
  purpose: Purpose,
  at: number,
  isAnchor: boolean,
): Refusal | undefined {
  const place = isAnchor ? 'The trusted certificate' : `The intermediate certificate ${below.length} above the leaf`;
  const problem = checkEvery(issuer, at, place) ?? (isAnchor ? undefined : checkSerial(issuer, place));
  if (problem !== undefined) return problem;
  if (!issuer.isAuthority) return refusal('not-an-authority', `${place} is not one of an authority.`);
  if (issuer.keyUsage !== undefined && (issuer.keyUsage & KEY_USAGE.keyCertSign) === 0)
    return refusal('key-usage', `The key usage of an issuer does not have keyCertSign: ${place}.`);
  // RFC 5280 section 6.1.4 (l): certificates issued under one's own name do not count, nor does the last one.
  const length = below.reduce((sum, one, index) => (index > 0 && !one.selfIssued ? sum + 1 : sum), 0);
  if (length > issuer.pathLength)
    return refusal(
      'path-length-exceeded',
      `${place} allows ${issuer.pathLength} authorities below; there are ${length}.`,
    );
  if (purpose !== 'any' && issuer.purposes !== undefined && !issuer.purposes.has(PURPOSES[purpose]))
    return refusal('purpose', `The extended key usage does not have ${purpose}Auth: ${place}.`);
  return checkNames(issuer, below, place);
}

/** RFC 5280 section 6.1.3 (b), (c): not for intermediates that an authority issued to itself. */
function checkNames(issuer: ChainCertificate, below: readonly ChainCertificate[], place: string): Refusal | undefined {
  const { nameConstraints } = issuer;
  if (nameConstraints === undefined) return undefined;
  for (const [index, one] of below.entries()) {
    if (index > 0 && one.selfIssued) continue;
    const kind = nameViolation(nameConstraints, one, index === 0);
    if (kind === undefined) continue;
    return refusal('name-constraints', `${place} does not allow a name of the kind ${kind} below it.`);
  }
  return undefined;
}

function checkEvery(certificate: ChainCertificate, at: number, place: string): Refusal | undefined {
  const [first] = certificate.refusals;
  if (first !== undefined) return refusal(first.reason, `${place}: ${first.detail}`);
  if (typeof certificate.key === 'string') return refusal('algorithm-refused', `${place}: ${certificate.key}`);
  // So written that a NaN, wherever it comes from, is an expired certificate.
  if (at < certificate.notBefore) return refusal('not-yet-valid', `${place} is not valid yet.`);
  if (!(at <= certificate.notAfter)) return refusal('expired', `${place} has expired.`);
  return undefined;
}

/** RFC 5280 section 4.1.2.2: positive. Only the anchor's number plays no part. */
function checkSerial({ serial }: ChainCertificate, place: string): Refusal | undefined {
  return serial === '00' ? refusal('certificate-malformed', `${place}: The serial number is zero.`) : undefined;
}
