/**
 * The authorities whose devices may complete a handshake: our own CA and those whose certificates were imported. Being
 * issued by one of them lets nobody in; only a registered key does.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../faults/fault.ts';
import { makeFolder, readTextFile, writeNewFile } from './atomic-file.ts';
import { malformed } from './der.ts';

/** The CA's certificate within the gateway's folder; the running gateway may read this file and not the key beside it. */
export function authorityPaths(directory: string) {
  const folder = join(directory, 'ca');
  return {
    folder,
    certificate: join(folder, 'cert.pem'),
    key: join(folder, 'key.pem'),
    trusted: join(folder, 'trusted'),
  } as const;
}

/**
 * PEM of every trust anchor, our own first: the `ca` of the listener. Throws SP_KEY_INVALID, also for a file that is not as
 * `addTrustAnchor` writes it: OpenSSL would find a certificate in the midst of anything, a database for instance.
 */
export function readTrustAnchors(directory: string): readonly string[] {
  const { certificate, trusted } = authorityPaths(directory);
  return [readTextFile(certificate), ...anchorFiles(trusted).map((name) => readAnchor(join(trusted, name), name))];
}

function readAnchor(path: string, name: string): string {
  const text = readTextFile(path);
  try {
    const anchor = new X509Certificate(text);
    if (anchor.toString() === text && anchorName(anchor) === name) return text;
  } catch {
    // No certificate at all: said below.
  }
  throw new Fault(
    'SP_KEY_INVALID',
    `${path} was not written by \`device add --issuer\`; remove it and find out who did.`,
  );
}

function anchorName(certificate: X509Certificate): string {
  return `${createHash('sha256').update(certificate.raw).digest('hex').slice(0, 32)}.pem`;
}

/**
 * Trusts the issuer of imported certificates: a CA, or a certificate that signed itself. Adding one twice is no error.
 * Returns the file. Throws SP_CERTIFICATE_INVALID.
 */
export function addTrustAnchor(directory: string, pem: string): string {
  const certificate = parsed(pem);
  const selfSigned = certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
  if (!certificate.ca && !selfSigned)
    throw malformed('The issuer’s certificate is not one of a certificate authority.');
  const { trusted } = authorityPaths(directory);
  makeFolder(trusted);
  const name = anchorName(certificate);
  if (!anchorFiles(trusted).includes(name)) writeNewFile(join(trusted, name), certificate.toString());
  return join(trusted, name);
}

/**
 * True if one of `anchors` (PEM) issued the certificate and signed it. If none did, the device has to send intermediate
 * certificates that lead to one, or the handshake fails. Throws SP_CERTIFICATE_INVALID.
 */
export function isIssuedBy(certificatePem: string, anchors: readonly string[]): boolean {
  const certificate = parsed(certificatePem);
  return anchors.map(parsed).some((anchor) => certificate.checkIssued(anchor) && certificate.verify(anchor.publicKey));
}

function anchorFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^[0-9a-f]{32}\.pem$/.test(name))
      .sort();
  } catch {
    // No folder: nothing was ever imported. One that cannot be read trusts nobody more.
    return [];
  }
}

function parsed(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (thrown) {
    throw malformed('A certificate cannot be read.', thrown);
  }
}
