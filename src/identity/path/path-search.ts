/**
 * Finds a path from a leaf to a trusted certificate (RFC 4158 in the small): depth first, the likeliest issuer first, every
 * rule before the signature it would cost. Attempts and signatures are counted over the whole search; a name and key stands
 * on a path at most once, so cross-certificates cannot send it round in circles.
 */
import type { ChainCertificate } from './chain-certificate.ts';
import { checkIssuer, type Purpose } from './issuer-rules.ts';
import type { PathLimits } from './limits.ts';
import { type Refusal, refusal } from './refusal.ts';
import { checkRevocation, type RevocationList } from './revocation-list.ts';

export interface SearchSpace {
  readonly anchors: Candidates;
  readonly untrusted: Candidates;
  readonly crls: readonly RevocationList[];
  readonly purpose: Purpose;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly limits: PathLimits;
}

/** Certificates by DirectoryName.key of their subject. */
export type Candidates = ReadonlyMap<string, readonly ChainCertificate[]>;

export function bySubject(certificates: readonly ChainCertificate[]): Candidates {
  const found = new Map<string, ChainCertificate[]>();
  for (const certificate of certificates) {
    const others = found.get(certificate.subject.key);
    if (others === undefined) found.set(certificate.subject.key, [certificate]);
    else others.push(certificate);
  }
  return found;
}

type Path = readonly ChainCertificate[];

export class PathSearch {
  readonly #space: SearchSpace;
  readonly #signatures = new Map<ChainCertificate | RevocationList, Map<string, boolean>>();
  #attempts = 0;
  #signatureChecks = 0;
  #exhausted = false;
  #best: Refusal = refusal('no-trusted-path', 'No trusted certificate has the name of an issuer on the way.');
  #bestRank = -1;

  constructor(space: SearchSpace) {
    this.#space = space;
  }

  /** What the search has cost; never more than the limits, and one attempt beyond that ended it. */
  get effort(): { readonly attempts: number; readonly signatureChecks: number } {
    return { attempts: this.#attempts, signatureChecks: this.#signatureChecks };
  }

  /** The path, the leaf first and the anchor last, or why there is none. The leaf itself has been checked. */
  from(leaf: ChainCertificate): Path | Refusal {
    const found = this.#isTrusted(leaf) ? [leaf] : this.#extend([leaf]);
    if (found !== undefined) return found;
    if (this.#exhausted)
      return refusal('limit-exceeded', 'The search for a path took more attempts or signatures than it may.');
    return this.#best;
  }

  /** A leaf that is trusted itself, byte for byte: nobody has to vouch for it. The same name with another key is nobody. */
  #isTrusted(leaf: ChainCertificate): boolean {
    const namesakes = this.#space.anchors.get(leaf.subject.key) ?? [];
    return namesakes.some(({ der }) => Buffer.compare(der, leaf.der) === 0);
  }

  #extend(path: Path): Path | undefined {
    const { anchors, untrusted, limits } = this.#space;
    const last = path[path.length - 1] as ChainCertificate;
    for (const anchor of this.#inOrder(anchors.get(last.issuer.key) ?? [], last)) {
      if (this.#exhausted) return undefined;
      if (!this.#issued(anchor, path, true)) continue;
      const whole = [...path, anchor];
      if (this.#isUnrevoked(whole)) return whole;
    }
    for (const issuer of this.#inOrder(untrusted.get(last.issuer.key) ?? [], last)) {
      if (this.#exhausted) return undefined;
      if (path.some(({ bearer }) => bearer === issuer.bearer)) continue;
      if (path.length > limits.maxIntermediates) {
        this.#note(path, refusal('path-too-long', `There are more than ${limits.maxIntermediates} intermediates.`));
        return undefined;
      }
      if (!this.#issued(issuer, path, false)) continue;
      const found = this.#extend([...path, issuer]);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Key identifiers and dates tell what to try first, and no more (RFC 4158 section 3.5). */
  #inOrder(issuers: readonly ChainCertificate[], child: ChainCertificate): readonly ChainCertificate[] {
    if (issuers.length < 2) return issuers;
    const { at } = this.#space;
    const rank = ({ subjectKeyId, notBefore, notAfter }: ChainCertificate): number => {
      const unknown = subjectKeyId === undefined || child.authorityKeyId === undefined;
      const keys = unknown ? 1 : subjectKeyId === child.authorityKeyId ? 0 : 2;
      return 2 * keys + (at >= notBefore && at <= notAfter ? 0 : 1);
    };
    return [...issuers].sort((a, b) => rank(a) - rank(b));
  }

  #issued(issuer: ChainCertificate, path: Path, isAnchor: boolean): boolean {
    const { purpose, at, limits } = this.#space;
    if (++this.#attempts > limits.maxAttempts) {
      this.#exhausted = true;
      return false;
    }
    const child = path[path.length - 1] as ChainCertificate;
    if (typeof child.algorithm === 'string') return this.#note(path, refusal('algorithm-refused', child.algorithm));
    const problem = checkIssuer(issuer, path, purpose, at, isAnchor);
    if (problem !== undefined) return this.#note(path, problem);
    if (this.#isSignedBy(child, issuer)) return true;
    const place = path.length === 1 ? 'the leaf' : `the intermediate certificate ${path.length - 1} above the leaf`;
    return this.#note(
      path,
      refusal('signature-invalid', `The signature of ${place} was not made with the key of its issuer.`),
    );
  }

  #isUnrevoked(path: Path): boolean {
    const { crls, at } = this.#space;
    // None given: nobody asked. One given: everyone below the anchor has to be covered.
    if (crls.length === 0) return true;
    return path.slice(0, -1).every((certificate, index) => {
      const place = index === 0 ? 'The leaf' : `The intermediate certificate ${index} above the leaf`;
      const signs = (list: RevocationList, issuer: ChainCertificate) => {
        const signed = this.#isSignedBy(list, issuer);
        return this.#exhausted ? undefined : signed;
      };
      const problem = checkRevocation(certificate, path.slice(index + 1), crls, at, signs, place);
      return problem === undefined || this.#note(path, problem);
    });
  }

  /** Remembered per issuer, so that no branch pays twice for the same signature. */
  #isSignedBy(subject: ChainCertificate | RevocationList, issuer: ChainCertificate): boolean {
    const { algorithm, signed, signature } = subject;
    if (typeof algorithm === 'string' || typeof issuer.key === 'string') return false;
    const known = this.#signatures.get(subject) ?? new Map<string, boolean>();
    this.#signatures.set(subject, known);
    let valid = known.get(issuer.bearer);
    if (valid === undefined) {
      if (++this.#signatureChecks > this.#space.limits.maxSignatureChecks) {
        this.#exhausted = true;
        return false;
      }
      valid = issuer.key.verifies(algorithm, signed, signature);
      known.set(issuer.bearer, valid);
    }
    return valid;
  }

  /** The refusal that came nearest to a path is the one that tells; of equals, the first, which was the likeliest. */
  #note(path: Path, problem: Refusal): false {
    // A namesake says less than a rule that was broken.
    const rank = 2 * path.length + (problem.reason === 'signature-invalid' ? 0 : 1);
    if (rank > this.#bestRank) [this.#best, this.#bestRank] = [problem, rank];
    return false;
  }
}
