/** Certificates that an authority would never issue: any name, any alternative names, for any key, signed by any key. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { DerReader, TAG } from '../../../src/identity/der.ts';
import {
  alternativeNames,
  basicConstraints,
  CLIENT,
  type Der,
  ECDSA_SHA256,
  integer,
  keyUsage,
  name,
  octets,
  purposes,
  sequence,
  spkiOf,
  tlv,
  utcTime,
} from '../../unit/identity/certificate-maker.ts';

export interface Signer {
  /** PEM of the authority's certificate; absent: the certificate signs itself. */
  readonly certificate?: string;
  /** PEM of an EC key. */
  readonly key: string;
}

export interface Claims {
  /** The value of the common name with its string type. */
  readonly commonName: Der;
  /** GeneralName entries. */
  readonly names: readonly Der[];
  /** PEM of the private key whose public one the certificate is for. */
  readonly keyPem: string;
}

let serial = 0x5000_0000;

/** The certificate as PEM. */
export function forged(signer: Signer, { commonName, names, keyPem }: Claims): string {
  const subject = name(['2.5.4.3', commonName]);
  const issuer = signer.certificate === undefined ? subject : subjectOf(signer.certificate);
  const body = sequence(
    tlv(0xa0, integer('02')),
    integer((++serial).toString(16)),
    ECDSA_SHA256,
    issuer,
    sequence(utcTime('260101000000Z'), utcTime('460101000000Z')),
    subject,
    spkiOf(publicKey(keyPem)),
    tlv(
      0xa3,
      sequence(
        basicConstraints(),
        keyUsage('0780'),
        purposes(CLIENT),
        ...(names.length > 0 ? [alternativeNames(...names)] : []),
      ),
    ),
  );
  const signature = sign('sha256', body, createPrivateKey(signer.key));
  const der = sequence(body, ECDSA_SHA256, tlv(0x03, octets('00'), signature));
  const lines = Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g) as string[];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function publicKey(keyPem: string): KeyObject {
  return createPublicKey(createPrivateKey(keyPem));
}

/** The subject octet for octet: OpenSSL compares names, and so do we. */
function subjectOf(pem: string): Der {
  const body = new DerReader(new X509Certificate(pem).raw, 'certificate')
    .enter(TAG.sequence, 'certificate')
    .enter(TAG.sequence, 'body');
  body.any(); // version
  body.any(); // serial number
  body.any(); // algorithm
  body.any(); // issuer
  body.any(); // validity
  return body.any().whole;
}
