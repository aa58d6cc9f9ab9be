/** Certificates for tests, made on the spot: a CA, intermediates and leaves with any one thing wrong. */
import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as unknown as Crypto);

export interface Issued {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly pem: string;
  readonly keyPem: string;
  /** `sha256/<base64>` over the SubjectPublicKeyInfo. */
  readonly pin: string;
  /** The same, lowercase hex. */
  readonly key: string;
}

export interface Wish {
  readonly name?: string;
  readonly issuer?: Issued;
  readonly ca?: boolean;
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  /** Days from now. */
  readonly from?: number;
  readonly to?: number;
  readonly usages?: readonly string[];
  readonly algorithm?: webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams;
  readonly keys?: webcrypto.CryptoKeyPair;
}

export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const EC: webcrypto.EcKeyGenParams = { name: 'ECDSA', namedCurve: 'P-256' };
let serial = 1;

export async function issue(wish: Wish = {}): Promise<Issued> {
  const { name = 'localhost', issuer, ca = false, dns = [], ip = [], from = -1, to = 30 } = wish;
  const algorithm = wish.algorithm ?? EC;
  const keys =
    wish.keys ?? ((await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair);
  const day = 86_400_000;
  const names: x509.JsonGeneralNames = [
    ...dns.map((value) => ({ type: 'dns' as const, value })),
    ...ip.map((value) => ({ type: 'ip' as const, value })),
  ];
  const signing = issuer?.keys ?? keys;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: (serial++).toString(16).padStart(4, '0'),
    subject: `CN=${name}`,
    issuer: issuer ? issuer.certificate.subject : `CN=${name}`,
    notBefore: new Date(Date.now() + from * day),
    notAfter: new Date(Date.now() + to * day),
    publicKey: keys.publicKey,
    signingKey: signing.privateKey,
    signingAlgorithm: signatureOf(issuer?.keys.privateKey.algorithm ?? algorithm, algorithm),
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      new x509.KeyUsagesExtension(ca ? x509.KeyUsageFlags.keyCertSign : x509.KeyUsageFlags.digitalSignature, true),
      ...(ca ? [] : [new x509.ExtendedKeyUsageExtension([...(wish.usages ?? [SERVER_AUTH])])]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  const spki = Buffer.from(certificate.publicKey.rawData);
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    certificate,
    keys,
    pem: certificate.toString('pem'),
    keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
    pin: `sha256/${createHash('sha256').update(spki).digest('base64')}`,
    key: keyOf(spki),
  };
}

/** What gateway.ts hands in from identity/. */
export function keyOf(publicKey: Uint8Array): string {
  return createHash('sha256').update(publicKey).digest('hex');
}

function signatureOf(
  signer: webcrypto.KeyAlgorithm | webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams,
  own: object,
) {
  if (signer.name === 'ECDSA') {
    return { name: 'ECDSA', hash: 'hash' in own && own.hash === 'SHA-1' ? 'SHA-1' : 'SHA-256' };
  }
  return { name: signer.name, hash: 'hash' in own ? (own.hash as string) : 'SHA-256' };
}
