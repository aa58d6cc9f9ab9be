/**
 * Certification path building and validation (RFC 5280 section 6, a written subset: docs/conformance/rfc5280.md). Pure and
 * synchronous: bytes in, a verdict out; no clock, no network, every cost bounded. Whatever is outside the subset is refused.
 */
import { type ChainCertificate, isRefusal, readChainCertificate } from './chain-certificate.ts';
import { checkLeaf, type Purpose } from './issuer-rules.ts';
import { DEFAULT_PATH_LIMITS, HANDSHAKE_PATH_LIMITS, type PathLimits } from './limits.ts';
import { bySubject, type Candidates, PathSearch } from './path-search.ts';
import { type ChainReason, type Refusal, refusal } from './refusal.ts';
import { type RevocationList, readRevocationList } from './revocation-list.ts';

export interface ChainRequest {
  /** DER, as everything here. */
  readonly leaf: Uint8Array;
  /** What may stand between the leaf and a trusted certificate, in any order. */
  readonly untrusted: readonly Uint8Array[];
  /** Certificates whose name and key are trusted, roots or not; a path ends at the first one it reaches. */
  readonly trust: readonly Uint8Array[];
  /** None: revocation is not checked. One or more: every certificate below the anchor needs a current one of its issuer. */
  readonly crls: readonly Uint8Array[];
  readonly purpose: Purpose;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly limits?: PathLimits;
}

export type ChainVerdict =
  /** DER, the leaf first and the trusted certificate last; the leaf alone if it is trusted itself. */
  | { readonly accepted: true; readonly path: readonly Uint8Array[] }
  | { readonly accepted: false; readonly reason: ChainReason; readonly detail: string };

/** Whether the leaf is vouched for by one of the trusted certificates, at that time and for that purpose. Never throws. */
export function verifyChain(request: ChainRequest): ChainVerdict {
  const { trust, crls, limits = DEFAULT_PATH_LIMITS } = request;
  const foundation = readFoundation(trust, crls, limits);
  return isRefusal(foundation) ? refused(foundation) : verifyUpon(foundation, request, limits);
}

/**
 * Reads what is trusted once for many handshakes. The returned function takes a chain as a peer sent it, the leaf first, and
 * the time in milliseconds; a list of revocation that cannot be read refuses every chain. Make a new one when trust changes.
 */
export function chainVerifier(
  { trust, crls, purpose }: Pick<ChainRequest, 'trust' | 'crls' | 'purpose'>,
  limits: PathLimits = HANDSHAKE_PATH_LIMITS,
): (chain: readonly Uint8Array[], at: number) => ChainVerdict {
  const foundation = readFoundation(trust, crls, limits);
  return (chain, at) => {
    const [leaf, ...untrusted] = chain;
    if (leaf === undefined) return refused(refusal('certificate-malformed', 'The peer sent no certificate.'));
    if (isRefusal(foundation)) return refused(foundation);
    return verifyUpon(foundation, { leaf, untrusted, purpose, at }, limits);
  };
}

interface Foundation {
  readonly anchors: Candidates;
  readonly crls: readonly RevocationList[];
  /** Why one of the trusted certificates is none. */
  readonly unread: Refusal | undefined;
}

function readFoundation(
  trust: readonly Uint8Array[],
  crls: readonly Uint8Array[],
  limits: PathLimits,
): Foundation | Refusal {
  if (trust.length > limits.maxAnchors)
    return refusal('limit-exceeded', `There are more than ${limits.maxAnchors} trusted certificates.`);
  if (crls.length > limits.maxCrls)
    return refusal('limit-exceeded', `There are more than ${limits.maxCrls} revocation lists.`);
  const lists: RevocationList[] = [];
  for (const [index, der] of crls.entries()) {
    const list = readRevocationList(der, limits.maxCrlBytes, `Revocation list ${index + 1}`);
    // To go on without it could miss a revocation.
    if (isRefusal(list)) return list;
    lists.push(list);
  }
  const { certificates, unread } = readAll(trust, limits, 'Trusted certificate');
  return { anchors: bySubject(certificates), crls: lists, unread };
}

function verifyUpon(
  { anchors, crls, unread }: Foundation,
  { leaf: leafDer, untrusted, purpose, at: instant }: Pick<ChainRequest, 'leaf' | 'untrusted' | 'purpose' | 'at'>,
  limits: PathLimits,
): ChainVerdict {
  // RFC 5280 section 4.1.2.5: certificates know whole seconds, and the last one counts to its end.
  const at = Math.floor(instant / 1_000) * 1_000;
  if (untrusted.length > limits.maxUntrusted)
    return refused(refusal('limit-exceeded', `There are more than ${limits.maxUntrusted} untrusted certificates.`));
  const leaf = readChainCertificate(leafDer, limits.maxCertificateBytes, 'The leaf');
  if (isRefusal(leaf)) return refused(leaf);
  const problem = checkLeaf(leaf, purpose, at);
  if (problem !== undefined) return refused(problem);
  const others = readAll(untrusted, limits, 'Untrusted certificate');
  const space = { anchors, untrusted: bySubject(others.certificates), crls, purpose, at, limits };
  const path = new PathSearch(space).from(leaf);
  // Nobody has used the leaf's key so far; whoever is let in with it should have one.
  if (!isRefusal(path) && !(typeof leaf.key === 'object' && leaf.key.isUsable()))
    return refused(refusal('certificate-malformed', 'The leaf: OpenSSL does not accept the public key.'));
  if (!isRefusal(path)) return { accepted: true, path: path.map(({ der }) => der) };
  // What could not be read may be what is missing.
  return refused(path.reason === 'no-trusted-path' ? (others.unread ?? unread ?? path) : path);
}

/** A certificate that cannot be read is on no path; whoever needs it learns why. */
function readAll(
  ders: readonly Uint8Array[],
  { maxCertificateBytes }: PathLimits,
  place: string,
): { certificates: readonly ChainCertificate[]; unread: Refusal | undefined } {
  const certificates: ChainCertificate[] = [];
  let unread: Refusal | undefined;
  for (const [index, der] of ders.entries()) {
    const certificate = readChainCertificate(der, maxCertificateBytes, `${place} ${index + 1}`);
    if (isRefusal(certificate)) unread ??= certificate;
    else certificates.push(certificate);
  }
  return { certificates, unread };
}

function refused({ reason, detail }: Refusal): ChainVerdict {
  return { accepted: false, reason, detail };
}
