/**
 * The identity in a device's certificate (RFC 5280 section 4.1): read twice, by OpenSSL through node:crypto and by a strict
 * DER reader of our own for what node:crypto hides or prints ambiguously. What either refuses is refused. The chain up to a
 * trusted authority is the TLS handshake's to verify; this is only who stands at its end.
 */
import { X509Certificate } from 'node:crypto';
import type { Peer } from '../exchange/peer.ts';
import { DerReader, malformed, TAG } from './der.ts';
import { distinguishedName } from './distinguished-name.ts';
import { readExtensions } from './extensions.ts';
import { checkPublicKey, keyOf } from './public-key.ts';

/** RFC 5280 section 4.1.2.2 */
const MAX_SERIAL_BYTES = 20;
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const V3 = 2;

/**
 * Who the certificate is of.
 * @param certificate DER, or as the handshake hands it over
 * @param address the peer's address without port
 * @param maxBytes limits.certificateBytes
 * Throws SP_CERTIFICATE_INVALID and nothing else.
 */
export function peerFromCertificate(
  certificate: Uint8Array | X509Certificate,
  address: string,
  maxBytes: number,
): Peer {
  const der = certificate instanceof X509Certificate ? certificate.raw : certificate;
  if (der.byteLength > maxBytes) throw malformed(`The certificate is larger than ${maxBytes} bytes.`);
  const facts = readCertificate(der);
  // Our own reader first: its limits (RSA size, one element, no trailing bytes) hold before OpenSSL computes anything.
  assertOpensslAgrees(certificate instanceof X509Certificate ? certificate : parsed(der), facts);
  return Object.freeze({ method: 'certificate', address, ...facts });
}

type Facts = Omit<Peer, 'method' | 'address'>;

function readCertificate(der: Uint8Array): Facts {
  const file = new DerReader(der, 'certificate');
  const outer = file.enter(TAG.sequence, 'certificate');
  file.end();
  const body = outer.enter(TAG.sequence, 'certificate body');
  const signatureAlgorithm = outer.take(TAG.sequence, 'signature algorithm').whole;
  outer.octets('signature');
  outer.end();

  const version = body.enter(VERSION, 'version');
  const number = version.integer('version');
  version.end();
  // RFC 5280 section 4.1.2.1: version 3 when extensions are used, and without extensions nobody is identified here.
  if (number.length !== 1 || number[0] !== V3) throw malformed('The certificate is not of version 3.');
  const serial = readSerial(body);
  // RFC 5280 section 4.1.1.2: the same algorithm inside the signature and outside.
  if (!sameBytes(body.take(TAG.sequence, 'inner signature algorithm').whole, signatureAlgorithm)) {
    throw malformed('The two signature algorithms differ.');
  }
  const issuer = distinguishedName(body, 'issuer');
  if (issuer === '') throw malformed('The issuer is empty.');
  const validity = body.enter(TAG.sequence, 'validity');
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.end();
  distinguishedName(body, 'subject');
  const publicKey = body.take(TAG.sequence, 'public key');
  checkPublicKey(publicKey);
  // RFC 5280 section 4.1.2.8: unique identifiers must not be made; one in front of the extensions fails here.
  const explicit = body.enter(EXTENSIONS, 'extensions');
  body.end();
  const extensions = readExtensions(explicit.enter(TAG.sequence, 'list of extensions'));
  explicit.end();
  const { names, clientAuthentication } = extensions;
  const key = keyOf(publicKey.whole);
  return { key, names: Object.freeze(names), issuer, serial, notBefore, notAfter, clientAuthentication };
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 octets. */
function readSerial(body: DerReader): string {
  const octets = body.integer('serial number');
  const first = octets[0] as number;
  if (octets.length > MAX_SERIAL_BYTES) throw malformed(`The serial number has more than ${MAX_SERIAL_BYTES} octets.`);
  if (first >= 0x80 || (octets.length === 1 && first === 0)) throw malformed('The serial number is not positive.');
  const hex = Buffer.from(octets).toString('hex').toUpperCase();
  return first === 0 ? hex.slice(2) : hex;
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/**
 * RFC 5280 section 4.1.2.5: UTCTime to 2049, GeneralizedTime from 2050, always to the second and in Z. Milliseconds since
 * the epoch; throws SP_CERTIFICATE_INVALID.
 */
export function readTime(validity: DerReader): number {
  const { tag, content } = validity.any();
  const pattern = tag === TAG.utcTime ? UTC_TIME : tag === TAG.generalizedTime ? GENERALIZED_TIME : undefined;
  // 15 octets are the longer of the two forms.
  const fields = content.length > 15 ? null : pattern?.exec(String.fromCharCode(...content));
  if (!fields) throw malformed('A time of the validity period is malformed.');
  const [written, month, day, hour, minute, second] = fields.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const year = tag === TAG.generalizedTime ? written : written < 50 ? 2000 + written : 1900 + written;
  if (tag === TAG.generalizedTime && year < 2050) throw malformed('A time before 2050 is not written as UTCTime.');
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // Date.UTC takes the 31st of February for the 3rd of March; a calendar that does not come back is refused.
  const same =
    time.getUTCMonth() === month - 1 &&
    time.getUTCDate() === day &&
    time.getUTCHours() === hour &&
    time.getUTCMinutes() === minute &&
    time.getUTCSeconds() === second;
  if (!same) throw malformed('A time of the validity period does not exist.');
  return time.getTime();
}

function parsed(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (thrown) {
    throw malformed('OpenSSL does not accept the certificate.', thrown);
  }
}

/**
 * The key must be one that OpenSSL can use: a point off its curve ends here. So does a list of names that OpenSSL cannot
 * read because one of the kinds that we pass over is malformed.
 */
function assertOpensslAgrees(certificate: X509Certificate, { serial, names }: Facts): void {
  let type: string | undefined;
  try {
    type = certificate.publicKey.asymmetricKeyType;
  } catch (thrown) {
    throw malformed('OpenSSL does not accept the public key.', thrown);
  }
  if (type === undefined || certificate.serialNumber !== serial || (names.length > 0 && !certificate.subjectAltName)) {
    throw malformed('OpenSSL reads the certificate differently.');
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
