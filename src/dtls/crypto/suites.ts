/** The cipher suites we speak, in the server's order of preference. AEAD only; no static RSA or DH, no CBC, no NULL. */
import type { SuiteName } from '../options.ts';
import type { HashName } from './digest.ts';

export interface Suite {
  readonly id: number;
  readonly name: SuiteName;
  readonly keyExchange: 'ecdhe' | 'psk' | 'ecdhe-psk';
  /** Kind of the server's signing key; `psk` suites have neither certificate nor signature. */
  readonly signature: 'ecdsa' | 'rsa' | 'none';
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'aes-128-ccm' | 'chacha20-poly1305';
  readonly keyBytes: 16 | 32;
  readonly tagBytes: 8 | 16;
  /** Implicit part of the nonce, from the key block. */
  readonly saltBytes: 4 | 12;
  /** Explicit part, sent in each record. */
  readonly explicitNonceBytes: 8 | 0;
  readonly hash: HashName;
}

const AES = { keyBytes: 16, saltBytes: 4, explicitNonceBytes: 8, hash: 'sha256' } as const;
const GCM = { ...AES, cipher: 'aes-128-gcm', tagBytes: 16 } as const; // RFC 5288, nonce as in RFC 5289
const CCM = { ...AES, cipher: 'aes-128-ccm', tagBytes: 16 } as const; // RFC 6655, RFC 7251
const CCM_8 = { ...CCM, tagBytes: 8 } as const;
// RFC 7905 2: the nonce is the whole IV xor the sequence number; nothing of it is sent.
const CHACHA = {
  keyBytes: 32,
  saltBytes: 12,
  explicitNonceBytes: 0,
  cipher: 'chacha20-poly1305',
  tagBytes: 16,
  hash: 'sha256',
} as const;
const ECDSA = { keyExchange: 'ecdhe', signature: 'ecdsa' } as const;
const ECDHE_PSK = { keyExchange: 'ecdhe-psk', signature: 'none' } as const;
const PSK = { keyExchange: 'psk', signature: 'none' } as const;

export const SUITES: readonly Suite[] = [
  { id: 0xc02b, name: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', ...ECDSA, ...GCM },
  {
    id: 0xc02c,
    name: 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
    ...ECDSA,
    ...GCM,
    cipher: 'aes-256-gcm',
    keyBytes: 32,
    hash: 'sha384',
  },
  { id: 0xcca9, name: 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', ...ECDSA, ...CHACHA },
  { id: 0xc0ac, name: 'TLS_ECDHE_ECDSA_WITH_AES_128_CCM', ...ECDSA, ...CCM },
  { id: 0xc0ae, name: 'TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8', ...ECDSA, ...CCM_8 },
  { id: 0xc02f, name: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', keyExchange: 'ecdhe', signature: 'rsa', ...GCM },
  { id: 0xccac, name: 'TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256', ...ECDHE_PSK, ...CHACHA },
  { id: 0xd001, name: 'TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256', ...ECDHE_PSK, ...GCM },
  { id: 0xd005, name: 'TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256', ...ECDHE_PSK, ...CCM },
  { id: 0xd003, name: 'TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256', ...ECDHE_PSK, ...CCM_8 },
  { id: 0x00a8, name: 'TLS_PSK_WITH_AES_128_GCM_SHA256', ...PSK, ...GCM },
  { id: 0xc0a4, name: 'TLS_PSK_WITH_AES_128_CCM', ...PSK, ...CCM },
  { id: 0xc0a8, name: 'TLS_PSK_WITH_AES_128_CCM_8', ...PSK, ...CCM_8 },
];

/** Off unless asked for: RSA is for enterprise server certificates, AES-256 for those who must. */
const OPTIONAL: readonly SuiteName[] = [
  'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
];

export const DEFAULT_SUITES: readonly Suite[] = SUITES.filter(({ name }) => !OPTIONAL.includes(name));

const BY_NAME = new Map<string, Suite>(SUITES.map((suite) => [suite.name, suite]));
const BY_ID = new Map<number, Suite>(SUITES.map((suite) => [suite.id, suite]));

export function suiteByName(name: string): Suite | undefined {
  return BY_NAME.get(name);
}

export function suiteById(id: number): Suite | undefined {
  return BY_ID.get(id);
}

/** Bytes a record is longer than its plaintext (without header and Connection ID). */
export function recordOverheadBytes(suite: Suite): number {
  return suite.explicitNonceBytes + suite.tagBytes;
}
