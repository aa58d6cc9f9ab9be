/**
 * One certificate as path validation sees it (RFC 5280 section 4.1), read strictly: version 3, DER, equal algorithms inside and
 * out, nothing twice. What is legal and not implemented is noted as a refusal, so that a path around it can still be found.
 */
import { createHash } from 'node:crypto';
import { Fault } from '../../faults/fault.ts';
import { readTime } from '../certificate.ts';
import { DerReader, malformed, TAG } from '../der.ts';
import { type CertificateExtensions, readCertificateExtensions } from './certificate-extensions.ts';
import { type DirectoryName, readDirectoryName } from './directory-name.ts';
import { type Refusal, refusal } from './refusal.ts';
import { type Reading, readSignatureAlgorithm, type SignatureAlgorithm, VerificationKey } from './signature.ts';

export interface ChainCertificate extends CertificateExtensions {
  /** DER */
  readonly der: Uint8Array;
  /** The part that is signed. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly algorithm: Reading<SignatureAlgorithm>;
  readonly key: Reading<VerificationKey>;
  /** SHA-256 of subject and key: two certificates of one authority have the same. */
  readonly bearer: string;
  readonly issuer: DirectoryName;
  readonly subject: DirectoryName;
  /** Issued by itself or under its own name (RFC 5280 section 6.1). */
  readonly selfIssued: boolean;
  /** Content octets of the INTEGER, hex. */
  readonly serial: string;
  /** Milliseconds since the epoch, both inclusive. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const MAX_SERIAL_BYTES = 20;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const V3 = 2;

/**
 * Reads one certificate, or says why not. Never throws.
 * @param der is kept: it must not change
 * @param place how details call it, e.g. `the leaf`
 */
export function readChainCertificate(der: Uint8Array, maxBytes: number, place: string): ChainCertificate | Refusal {
  if (der.byteLength > maxBytes) return refusal('limit-exceeded', `${place} is larger than ${maxBytes} bytes.`);
  try {
    return read(der);
  } catch (thrown) {
    if (thrown instanceof Fault) return refusal('certificate-malformed', `${place}: ${thrown.message}`);
    throw thrown;
  }
}

export function isRefusal(value: object): value is Refusal {
  return 'reason' in value;
}

function read(der: Uint8Array): ChainCertificate {
  const file = new DerReader(der, 'certificate');
  const outer = file.enter(TAG.sequence, 'certificate');
  file.end();
  const signed = outer.take(TAG.sequence, 'certificate body');
  const outerAlgorithm = outer.take(TAG.sequence, 'signature algorithm');
  const signature = outer.octets('signature');
  outer.end();

  const body = new DerReader(signed.content, 'certificate body');
  // RFC 5280 section 4.1.2.1: version 1 is the absence of this field, and has no basic constraints to hold an issuer to.
  if (body.peek() !== VERSION) throw malformed('The certificate is of version 1; only version 3 is accepted.');
  const version = body.enter(VERSION, 'version');
  const number = version.integer('version');
  version.end();
  if (number.length !== 1 || number[0] !== V3) throw malformed('The certificate is not of version 3.');
  const serial = readSerial(body);
  // RFC 5280 section 4.1.1.2: the same algorithm inside the signature and outside.
  const innerAlgorithm = body.take(TAG.sequence, 'inner signature algorithm');
  if (Buffer.compare(innerAlgorithm.whole, outerAlgorithm.whole) !== 0)
    throw malformed('The two signature algorithms differ.');
  const issuer = readDirectoryName(body, 'issuer');
  // RFC 5280 section 4.1.2.4
  if (issuer.relative.length === 0) throw malformed('The issuer is empty.');
  const validity = body.enter(TAG.sequence, 'validity');
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.end();
  const subject = readDirectoryName(body, 'subject');
  const info = body.take(TAG.sequence, 'public key');
  // RFC 5280 section 4.1.2.8: unique identifiers must not be made; one in front of the extensions fails here.
  const explicit = body.enter(EXTENSIONS, 'extensions');
  body.end();
  const extensions = readCertificateExtensions(explicit.enter(TAG.sequence, 'list of extensions'));
  explicit.end();
  assertNamed(subject, extensions);
  return {
    ...extensions,
    der,
    signed: signed.whole,
    signature,
    algorithm: readSignatureAlgorithm(outerAlgorithm),
    key: VerificationKey.read(info),
    bearer: createHash('sha256').update(subject.key).update('\0').update(info.whole).digest('base64'),
    issuer,
    subject,
    selfIssued: issuer.key === subject.key,
    serial,
    notBefore,
    notAfter,
  };
}

/** RFC 5280 sections 4.1.2.6, 4.2.1.6: an authority has a subject; who has none is named by a critical alternative name. */
function assertNamed(subject: DirectoryName, { isAuthority, names, namesAreCritical }: CertificateExtensions): void {
  if (subject.relative.length > 0) return;
  if (isAuthority) throw malformed('An authority has no subject.');
  if (names.length === 0 || !namesAreCritical)
    throw malformed('There is no subject and no critical alternative name in its place.');
}

/** RFC 5280 section 4.1.2.2: not negative, at most 20 octets. Zero is left to the rules: old roots have it. */
function readSerial(body: DerReader): string {
  const octets = body.integer('serial number');
  if (octets.length > MAX_SERIAL_BYTES) throw malformed(`The serial number has more than ${MAX_SERIAL_BYTES} octets.`);
  if ((octets[0] as number) >= 0x80) throw malformed('The serial number is negative.');
  return Buffer.from(octets).toString('hex');
}
