/**
 * Certificate revocation lists of version 2 (RFC 5280 section 5): complete ones, signed by the issuer of the certificates with
 * the key that signed them. Delta lists, indirect lists, issuing distribution points, lists of another key and whatever else
 * is critical are outside the subset and refused by name: passing one over could miss a revocation.
 */
import { Fault } from '../../faults/fault.ts';
import { readTime } from '../certificate.ts';
import { DerReader, type Element, malformed, TAG } from '../der.ts';
import { KEY_USAGE } from './certificate-extensions.ts';
import type { ChainCertificate } from './chain-certificate.ts';
import { readDirectoryName } from './directory-name.ts';
import { type Refusal, refusal } from './refusal.ts';
import { type Reading, readSignatureAlgorithm, type SignatureAlgorithm } from './signature.ts';

export interface RevocationList {
  /** DirectoryName.key */
  readonly issuer: string;
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly algorithm: Reading<SignatureAlgorithm>;
  /** Milliseconds since the epoch, both inclusive. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Content octets of the serial numbers, hex. */
  readonly revoked: ReadonlySet<string>;
  /** The first feature of it that is not implemented. */
  readonly outside: string | undefined;
}

const V2 = 1;
const EXTENSIONS = 0xa0;
const ENUMERATED = 0x0a;
const REMOVE_FROM_CRL = 8;
/** Lengths up to 16 MiB. */
const LENGTH_OCTETS = 3;

/** Critical or not: each says that this list is not the whole truth about its issuer's certificates. */
const OUTSIDE: Readonly<Record<string, string>> = {
  '2.5.29.27': 'a delta CRL',
  '2.5.29.28': 'a CRL with an issuing distribution point',
  '2.5.29.29': 'an indirect CRL',
};

/** Reads one list, or says why not. Never throws. `der` is kept: it must not change. */
export function readRevocationList(der: Uint8Array, maxBytes: number, place: string): RevocationList | Refusal {
  if (der.byteLength > maxBytes) return refusal('limit-exceeded', `${place} is larger than ${maxBytes} bytes.`);
  try {
    return read(der);
  } catch (thrown) {
    if (thrown instanceof Fault) return refusal('crl-malformed', `${place}: ${thrown.message}`);
    throw thrown;
  }
}

function read(der: Uint8Array): RevocationList {
  const file = new DerReader(der, 'CRL', LENGTH_OCTETS);
  const outer = file.enter(TAG.sequence, 'CRL');
  file.end();
  const signed = outer.take(TAG.sequence, 'CRL body');
  const algorithm = outer.take(TAG.sequence, 'signature algorithm');
  const signature = outer.octets('signature');
  outer.end();

  const body = new DerReader(signed.content, 'CRL body', LENGTH_OCTETS);
  let outside: string | undefined;
  const note = (feature: string) => {
    outside ??= feature;
  };
  if (body.peek() === TAG.integer) {
    const version = body.integer('version');
    if (version.length !== 1 || version[0] !== V2) throw malformed('The CRL is not of version 2.');
  } else note('a CRL of version 1');
  if (Buffer.compare(body.take(TAG.sequence, 'inner signature algorithm').whole, algorithm.whole) !== 0)
    throw malformed('The two signature algorithms differ.');
  const issuer = readDirectoryName(body, 'issuer').key;
  const thisUpdate = readTime(body);
  let nextUpdate = Number.NEGATIVE_INFINITY;
  if (body.peek() === TAG.utcTime || body.peek() === TAG.generalizedTime) nextUpdate = readTime(body);
  else note('a CRL without nextUpdate');
  const entries = body.maybe(TAG.sequence);
  const revoked = entries === undefined ? new Set<string>() : readEntries(entries, note);
  const explicit = body.maybe(EXTENSIONS);
  body.end();
  if (explicit !== undefined) {
    const reader = new DerReader(explicit.content, 'CRL extensions', LENGTH_OCTETS);
    readCrlExtensions(reader.enter(TAG.sequence, 'CRL extensions'), note, () => {});
    reader.end();
  }
  return {
    issuer,
    signed: signed.whole,
    signature,
    algorithm: readSignatureAlgorithm(algorithm),
    thisUpdate,
    nextUpdate,
    revoked,
    outside,
  };
}

function readEntries(entries: Element, note: (feature: string) => void): ReadonlySet<string> {
  const revoked = new Set<string>();
  const list = new DerReader(entries.content, 'list of revoked certificates', LENGTH_OCTETS);
  while (!list.atEnd) {
    const entry = list.enter(TAG.sequence, 'revoked certificate');
    revoked.add(Buffer.from(entry.integer('serial number')).toString('hex'));
    readTime(entry);
    if (entry.atEnd) continue;
    readCrlExtensions(entry.enter(TAG.sequence, 'extensions of an entry'), note, (reason) => {
      if (reason === REMOVE_FROM_CRL) note('removeFromCRL, which belongs to delta CRLs');
    });
    entry.end();
  }
  return revoked;
}

/** RFC 5280 sections 5.2, 5.3: of a list or of one of its entries. */
function readCrlExtensions(list: DerReader, note: (feature: string) => void, onReason: (reason: number) => void): void {
  const seen = new Set<string>();
  do {
    const extension = list.enter(TAG.sequence, 'extension');
    const identifier = extension.objectIdentifier('extension identifier');
    const critical = extension.defaultFalse('critical flag');
    const value = new DerReader(extension.take(TAG.octetString, 'extension value').content, `extension ${identifier}`);
    extension.end();
    if (seen.has(identifier)) throw malformed(`The extension ${identifier} occurs twice.`);
    seen.add(identifier);
    if (identifier === '2.5.29.21') {
      const { content } = value.take(ENUMERATED, 'reason of a revocation');
      value.end();
      if (content.length !== 1) throw malformed('The reason of a revocation is malformed.');
      onReason(content[0] as number);
      if (critical) note('a critical reason of a revocation');
    } else if (OUTSIDE[identifier] !== undefined) note(OUTSIDE[identifier]);
    else if (critical) note(`the critical CRL extension ${identifier}`);
  } while (!list.atEnd);
}

/**
 * Whether `certificate` is revoked by one of the lists, or not covered by any.
 * @param issuers the certificates above it on its path, the next one first. Those under the name of its issuer may have
 *   signed a list: the issuer itself, or the same authority with its former key
 * @param signs checks a list's signature against a key; undefined when the bound is reached
 */
export function checkRevocation(
  certificate: ChainCertificate,
  issuers: readonly ChainCertificate[],
  lists: readonly RevocationList[],
  at: number,
  signs: (list: RevocationList, issuer: ChainCertificate) => boolean | undefined,
  place: string,
): Refusal | undefined {
  let covered = false;
  let why = 'no list names its issuer';
  // RFC 5280 section 6.3.3 (f): who must not sign lists has signed none.
  const signers = issuers.filter(
    ({ subject, keyUsage }) =>
      subject.key === certificate.issuer.key && (keyUsage === undefined || (keyUsage & KEY_USAGE.cRLSign) !== 0),
  );
  for (const list of lists) {
    if (list.issuer !== certificate.issuer.key) continue;
    if (list.outside !== undefined)
      return refusal('crl-unsupported', `A list of the issuer of ${place} is outside the subset: ${list.outside}.`);
    let signed = false;
    for (const signer of signers) {
      const valid = signs(list, signer);
      if (valid === undefined) return refusal('limit-exceeded', 'There are too many signatures to check.');
      if (valid) {
        signed = true;
        break;
      }
    }
    if (!signed) why = unsigned(list, signers.length);
    // Before the dates, so that an old list still tells: nobody comes back from revocation by withholding a newer one.
    else if (list.revoked.has(certificate.serial)) return refusal('revoked', `${place} has been revoked.`);
    else if (!(at >= list.thisUpdate && at <= list.nextUpdate)) why = 'no list of its issuer is current';
    else covered = true;
  }
  return covered ? undefined : refusal('revocation-unknown', `${place} is not covered by a revocation list: ${why}.`);
}

function unsigned({ algorithm }: RevocationList, signers: number): string {
  if (typeof algorithm === 'string') return algorithm.replace(/\.$/, '');
  if (signers === 0) return 'the key usage of its issuer does not have cRLSign';
  return 'no list is signed with the key of its issuer';
}
