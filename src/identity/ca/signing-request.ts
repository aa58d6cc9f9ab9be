/**
 * A device's own signing request (PKCS#10, RFC 2986 section 4), read by our strict reader. Only its key is taken: the
 * subject, the names and the extensions it asks for are a wish of whoever made the file, and are ignored.
 */
import { createPublicKey, verify } from 'node:crypto';
import { DerReader, type Element, malformed, TAG } from '../der.ts';
import { distinguishedName } from '../distinguished-name.ts';
import { checkPublicKey } from '../public-key.ts';

const MAX_REQUEST_BYTES = 16_384;
const ATTRIBUTES = 0xa0;

/** Signatures that still prove something: hash and key type by algorithm (RFC 5758, RFC 4055, RFC 8410). */
const ALGORITHMS: ReadonlyMap<string, { readonly hash: string | null; readonly key: 'ec' | 'rsa' | 'ed25519' }> =
  new Map([
    ['1.2.840.10045.4.3.2', { hash: 'sha256', key: 'ec' }],
    ['1.2.840.10045.4.3.3', { hash: 'sha384', key: 'ec' }],
    ['1.2.840.10045.4.3.4', { hash: 'sha512', key: 'ec' }],
    ['1.2.840.113549.1.1.11', { hash: 'sha256', key: 'rsa' }],
    ['1.2.840.113549.1.1.12', { hash: 'sha384', key: 'rsa' }],
    ['1.2.840.113549.1.1.13', { hash: 'sha512', key: 'rsa' }],
    ['1.3.101.112', { hash: null, key: 'ed25519' }],
  ]);

/**
 * The public key (DER SubjectPublicKeyInfo) that the request is for, after its signature proved possession of the private
 * one. Throws SP_CERTIFICATE_INVALID.
 */
export function provenKeyOf(pem: string): Uint8Array<ArrayBuffer> {
  const file = new DerReader(derOf(pem), 'signing request');
  const outer = file.enter(TAG.sequence, 'signing request');
  file.end();
  const body = outer.take(TAG.sequence, 'request body');
  const { hash, key: type } = algorithmOf(outer);
  const signature = outer.octets('signature');
  outer.end();
  const key = keyIn(body);
  try {
    const publicKey = createPublicKey({ key: Buffer.from(key), format: 'der', type: 'spki' });
    if (publicKey.asymmetricKeyType === type && verify(hash, body.whole, publicKey, signature)) return key;
  } catch (thrown) {
    throw malformed('The signing request’s key or signature cannot be used.', thrown);
  }
  throw malformed('The signing request does not prove possession of its private key.');
}

function algorithmOf(outer: DerReader) {
  const fields = outer.enter(TAG.sequence, 'signature algorithm');
  const identifier = fields.objectIdentifier('signature algorithm');
  const algorithm = ALGORITHMS.get(identifier);
  if (algorithm === undefined)
    throw malformed(`The signing request is signed with ${identifier}, which is not accepted.`);
  // RFC 4055 section 5: NULL parameters for RSA; none for the others.
  if (algorithm.key === 'rsa' && fields.take(TAG.null, 'RSA parameters').content.length !== 0) {
    throw malformed('The RSA parameters are not NULL.');
  }
  fields.end();
  return algorithm;
}

/** CertificationRequestInfo: version 0, subject, key, attributes. */
function keyIn({ content }: Element): Uint8Array<ArrayBuffer> {
  const fields = new DerReader(content, 'request body');
  const version = fields.integer('version');
  if (version.length !== 1 || version[0] !== 0) throw malformed('The signing request is not of version 1.');
  distinguishedName(fields, 'subject');
  const key = fields.take(TAG.sequence, 'public key');
  checkPublicKey(key);
  fields.take(ATTRIBUTES, 'attributes');
  fields.end();
  return Uint8Array.from(key.whole);
}

const BEGIN = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----/;

function derOf(pem: string): Uint8Array {
  if (pem.length > MAX_REQUEST_BYTES * 2)
    throw malformed(`The signing request is larger than ${MAX_REQUEST_BYTES} bytes.`);
  const base64 = pem.split(BEGIN)[1]?.split('-----END ')[0]?.replace(/\s+/g, '');
  if (base64 === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64))
    throw malformed('The file holds no signing request in PEM.');
  return Buffer.from(base64, 'base64');
}
