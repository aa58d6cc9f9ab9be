/** Key pairs for certificates (WebCrypto), and keys as PKCS#8 PEM. */
import type { webcrypto } from 'node:crypto';
import { Fault } from '../../faults/fault.ts';

/** `p256` for everything new; the others for devices that can do nothing else. */
export type KeyType = 'p256' | 'p384' | 'ed25519' | 'rsa2048' | 'rsa3072' | 'rsa4096';

const PUBLIC_EXPONENT = new Uint8Array([0x01, 0x00, 0x01]);
const rsa = (modulusLength: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  publicExponent: PUBLIC_EXPONENT,
  modulusLength,
});

const ALGORITHMS = {
  p256: { name: 'ECDSA', namedCurve: 'P-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384' },
  ed25519: { name: 'Ed25519' },
  rsa2048: rsa(2048),
  rsa3072: rsa(3072),
  rsa4096: rsa(4096),
} as const;

export const KEY_TYPES = Object.keys(ALGORITHMS) as readonly KeyType[];

/** A fresh pair; the private key can be exported, since it goes to the device. */
export async function generateKeys(type: KeyType): Promise<webcrypto.CryptoKeyPair> {
  return (await crypto.subtle.generateKey(ALGORITHMS[type], true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

export async function keyToPem(key: CryptoKey): Promise<string> {
  const base64 = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END PRIVATE KEY-----\n`;
}

/** The CA's own key (P-256), not exportable any more. @param file names it in the error. Throws SP_KEY_INVALID. */
export async function authorityKeyFromPem(pem: string, file: string): Promise<CryptoKey> {
  const base64 = /^-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END PRIVATE KEY-----\n?$/.exec(pem)?.[1];
  try {
    const der = Buffer.from(base64 ?? '', 'base64');
    return await crypto.subtle.importKey('pkcs8', der, ALGORITHMS.p256, false, ['sign']);
  } catch (thrown) {
    throw new Fault('SP_KEY_INVALID', `${file} holds no P-256 private key in PKCS#8 PEM.`, { cause: thrown });
  }
}
