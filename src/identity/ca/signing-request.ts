/**
 * A device's own signing request (PKCS#10, RFC 2986). Only its key is taken: the subject, the names and the extensions it
 * asks for are a wish of whoever made the file, and are ignored.
 */
import 'reflect-metadata';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { DerReader, malformed, TAG } from '../der.ts';
import { distinguishedName } from '../distinguished-name.ts';
import { checkPublicKey } from '../public-key.ts';

const MAX_REQUEST_BYTES = 16_384;
/** Signatures that still prove something. */
const HASHES: readonly string[] = ['SHA-256', 'SHA-384', 'SHA-512'];

/**
 * The public key (DER SubjectPublicKeyInfo) that the request is for, after its signature proved possession of the private
 * one. Throws SP_CERTIFICATE_INVALID.
 */
export async function provenKeyOf(pem: string): Promise<Uint8Array<ArrayBuffer>> {
  const der = derOf(pem);
  const key = keyIn(der);
  try {
    const request = new Pkcs10CertificateRequest(der);
    const { name, hash } = request.signatureAlgorithm as { name: string; hash?: { name: string } };
    const isSafe = name === 'Ed25519' || (hash !== undefined && HASHES.includes(hash.name));
    if (isSafe && (await request.verify())) return key;
  } catch (thrown) {
    throw malformed('The signing request cannot be verified.', thrown);
  }
  throw malformed('The signing request does not prove possession of its private key.');
}

/** CertificationRequestInfo up to its key (RFC 2986 section 4.1), by our own reader: its limits hold before any other's. */
function keyIn(der: Uint8Array): Uint8Array<ArrayBuffer> {
  const file = new DerReader(der, 'signing request');
  const outer = file.enter(TAG.sequence, 'signing request');
  file.end();
  const body = outer.enter(TAG.sequence, 'request body');
  body.integer('version');
  distinguishedName(body, 'subject');
  const key = body.take(TAG.sequence, 'public key');
  checkPublicKey(key);
  return Uint8Array.from(key.whole);
}

function derOf(pem: string): Uint8Array<ArrayBuffer> {
  if (pem.length > MAX_REQUEST_BYTES * 2)
    throw malformed(`The signing request is larger than ${MAX_REQUEST_BYTES} bytes.`);
  const found = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END /.exec(pem)?.[1];
  if (found === undefined) throw malformed('The file holds no signing request in PEM.');
  return Uint8Array.from(Buffer.from(found, 'base64'));
}
