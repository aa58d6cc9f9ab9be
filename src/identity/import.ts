/**
 * Certificates made elsewhere: what has to be true of one before its key may be registered, and PKCS#12 containers as old
 * device tools write them. Used by commands, not by the running gateway's data plane.
 */
import * as crypto from 'node:crypto';
import { type KeyObject, X509Certificate } from 'node:crypto';
import { peerFromCertificate } from './certificate.ts';
import { malformed } from './der.ts';
import type { Credential } from './lifecycle.ts';

/** A container with a certificate, its chain and a key; more is not a device's. */
const MAX_PKCS12_BYTES = 65_536;
const BEGIN = '-----BEGIN CERTIFICATE-----';
const END = '-----END CERTIFICATE-----';

export interface ImportRules {
  /** limits.certificateBytes */
  readonly maxBytes: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** What the registry keeps of a certificate. @param der one certificate. Throws SP_CERTIFICATE_INVALID. */
export function credentialOf(der: Uint8Array, maxBytes: number): Credential {
  const { key, names, issuer, serial, notBefore, notAfter } = peerFromCertificate(der, '', maxBytes);
  return { key, names, issuer, serial, notBefore, notAfter, certificate: new X509Certificate(der).toString() };
}

/**
 * A device's certificate from a PEM file (text around it is ignored) or a DER one. Throws SP_CERTIFICATE_INVALID, also if
 * the gateway would turn the device away with it: not for clients, or expired.
 */
export function importCertificate(file: Uint8Array, rules: ImportRules): Credential {
  return usable(credentialOf(derOf(file, rules.maxBytes), rules.maxBytes), rules);
}

export interface Imported {
  readonly credential: Credential;
  /** PKCS#8 PEM. */
  readonly keyPem: string;
}

/** A device's certificate and key from a PKCS#12 container. Throws SP_CERTIFICATE_INVALID. */
export function importPkcs12(file: Uint8Array, passphrase: string, rules: ImportRules): Imported {
  if (file.byteLength > MAX_PKCS12_BYTES) throw malformed(`The container is larger than ${MAX_PKCS12_BYTES} bytes.`);
  const { certificate, privateKey } = opened(file, passphrase);
  if (!certificate || !privateKey) throw malformed('The container lacks a certificate or its private key.');
  if (!certificate.checkPrivateKey(privateKey)) throw malformed('The container’s key is not its certificate’s.');
  return {
    credential: usable(credentialOf(certificate.raw, rules.maxBytes), rules),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function usable(credential: Credential, { maxBytes, now }: ImportRules): Credential {
  const der = new X509Certificate(credential.certificate).raw;
  if (!peerFromCertificate(der, '', maxBytes).clientAuthentication) {
    throw malformed('The certificate lacks the extended key usage clientAuth, or the key usage digitalSignature.');
  }
  if (now > credential.notAfter) {
    throw malformed(`The certificate expired on ${new Date(credential.notAfter).toISOString()}.`);
  }
  return credential;
}

/** DER as it is; of PEM exactly one certificate, since of several nobody could say which one is the device's. */
function derOf(file: Uint8Array, maxBytes: number): Uint8Array {
  if (file[0] === 0x30) return file;
  // Base64 takes 4 octets for 3; text around it gets the rest.
  if (file.byteLength > maxBytes * 4) throw malformed(`The file is too large for a certificate of ${maxBytes} bytes.`);
  const text = Buffer.from(file).toString('latin1');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (begin < 0 || end < 0) throw malformed('The file holds no certificate in PEM or DER.');
  if (text.indexOf(BEGIN, begin + 1) >= 0) throw malformed('The file holds more than one certificate.');
  const base64 = text.slice(begin + BEGIN.length, end).replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw malformed('The PEM of the certificate is not base64.');
  return Buffer.from(base64, 'base64');
}

interface Pkcs12 {
  readonly certificate?: X509Certificate;
  readonly privateKey?: KeyObject;
}

/** node:crypto has parsePKCS12 since 26.10; its type declarations do not know it yet. */
type Parser = (file: Uint8Array, options: { readonly passphrase: string }) => Pkcs12;

function opened(file: Uint8Array, passphrase: string): Pkcs12 {
  const parse = (crypto as { readonly parsePKCS12?: Parser }).parsePKCS12;
  if (parse === undefined) throw malformed('PKCS#12 needs Node 26.10 or newer; give certificate and key as PEM.');
  try {
    return parse(file, { passphrase });
  } catch (thrown) {
    throw malformed(
      'The container cannot be opened: wrong passphrase, or damaged, or ciphers that are no longer safe.',
      thrown,
    );
  }
}
