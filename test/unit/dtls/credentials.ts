/** Keys and certificates of the DTLS tests, made when asked, and a small judge of chains over node:crypto. */
import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { PeerVerdict, VerifyPeer } from '../../../src/dtls/options.ts';

x509.cryptoProvider.set(webcrypto as never);

export interface TestCredential {
  readonly cert: string;
  readonly key: string;
}

export interface TestAuthority {
  readonly cert: string;
  /** A leaf for `server` or `client` use. */
  issue(name: string, options?: LeafOptions): Promise<TestCredential>;
}

export interface LeafOptions {
  readonly purpose?: 'server' | 'client';
  readonly notAfter?: Date;
  readonly rsa?: boolean;
}

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
} as const;

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
}

let serial = 1;

export async function createAuthority(name: string): Promise<TestAuthority> {
  const keys = (await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    serialNumber: '01',
    keys: keys as never,
    signingAlgorithm: ECDSA,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [
      new x509.BasicConstraintsExtension(true, 1, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return {
    cert: ca.toString('pem'),
    issue: async (leaf, options = {}) => {
      const algorithm = options.rsa ? RSA : ECDSA;
      const pair = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
      const purpose = options.purpose ?? 'client';
      serial += 1;
      const cert = await x509.X509CertificateGenerator.create({
        subject: `CN=${leaf}`,
        issuer: ca.subject,
        serialNumber: serial.toString(16).padStart(4, '0'),
        publicKey: pair.publicKey as never,
        signingKey: keys.privateKey as never,
        signingAlgorithm: ECDSA,
        notBefore: new Date(Date.now() - 60_000),
        notAfter: options.notAfter ?? new Date(Date.now() + 86_400_000),
        extensions: [
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([purpose === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2']),
          new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: leaf }]),
        ],
      });
      return { cert: cert.toString('pem'), key: await pem(pair.privateKey) };
    },
  };
}

/** Accepts a leaf that the authority signed, in its dates, for the purpose; a server under its name. */
export function judgeBy(authority: TestAuthority): VerifyPeer {
  const issuer = new X509Certificate(authority.cert);
  return (chain, purpose, context): PeerVerdict => {
    const leaf = new X509Certificate(chain[0] as Uint8Array);
    const refuse = (reason: string): PeerVerdict => ({ accepted: false, reason });
    if (!leaf.checkIssued(issuer) || !leaf.verify(issuer.publicKey)) return refuse('unknown-authority');
    const now = Date.now();
    if (now < leaf.validFromDate.getTime() || now > leaf.validToDate.getTime()) return refuse('not-in-its-dates');
    const usage = purpose === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2';
    if (leaf.keyUsage?.includes(usage) !== true) return refuse('wrong-purpose');
    if (purpose === 'server' && context.servername !== '' && leaf.checkHost(context.servername) === undefined) {
      return refuse('other-name');
    }
    return { accepted: true };
  };
}

/** Common name of a DER certificate. */
export function nameOf(der: Uint8Array): string {
  return /CN=([^\n]+)/.exec(new X509Certificate(der).subject)?.[1] ?? '';
}
