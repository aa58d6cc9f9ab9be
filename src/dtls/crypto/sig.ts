/**
 * Signatures of the handshake (RFC 5246 7.4.1.4.1, 7.4.3, 7.4.8; scheme numbers as in RFC 8446 4.2.3), with a fixed list of
 * algorithms: SHA-1 and anything not offered is refused. Reads keys from certificates and raw public keys.
 */
import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { DtlsError } from '../error.ts';

/** TLS SignatureScheme registry. */
export const Scheme = {
  ecdsaSha256: 0x0403,
  ecdsaSha384: 0x0503,
  ed25519: 0x0807,
  rsaPssSha256: 0x0804,
  rsaPkcs1Sha256: 0x0401,
} as const;

/** What we offer and accept, best first. */
export const SCHEMES: readonly number[] = Object.values(Scheme);

/** ClientCertificateType (RFC 5246 7.4.4, RFC 8422 5.5): ecdsa_sign covers Ed25519 as well. */
export const CERTIFICATE_TYPE_ECDSA = 64;
export const CERTIFICATE_TYPE_RSA = 1;

type KeyKind = 'ecdsa' | 'rsa';

function kindOf(key: KeyObject): { kind: KeyKind; schemes: readonly number[] } | undefined {
  const details = key.asymmetricKeyDetails;
  switch (key.asymmetricKeyType) {
    case 'ec':
      if (details?.namedCurve === 'prime256v1') {
        return { kind: 'ecdsa', schemes: [Scheme.ecdsaSha256, Scheme.ecdsaSha384] };
      }
      if (details?.namedCurve === 'secp384r1') {
        return { kind: 'ecdsa', schemes: [Scheme.ecdsaSha384, Scheme.ecdsaSha256] };
      }
      return undefined;
    case 'ed25519':
      return { kind: 'ecdsa', schemes: [Scheme.ed25519] };
    case 'rsa': {
      const bits = details?.modulusLength ?? 0;
      return bits >= 2048 && bits <= 4096
        ? { kind: 'rsa', schemes: [Scheme.rsaPssSha256, Scheme.rsaPkcs1Sha256] }
        : undefined;
    }
    default:
      return undefined;
  }
}

function hashOf(scheme: number): string | null {
  return scheme === Scheme.ed25519 ? null : scheme === Scheme.ecdsaSha384 ? 'sha384' : 'sha256';
}

function paddingOf(scheme: number): { padding?: number; saltLength?: number } {
  if (scheme === Scheme.rsaPssSha256) return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  if (scheme === Scheme.rsaPkcs1Sha256) return { padding: constants.RSA_PKCS1_PADDING };
  return {};
}

/** Our private key. */
export class SigningKey {
  readonly kind: KeyKind;
  readonly schemes: readonly number[];
  /** SubjectPublicKeyInfo, DER: what we send as raw public key. */
  readonly subjectPublicKeyInfo: Uint8Array;
  readonly #key: KeyObject;

  /** @param source PEM text, or the DER of a PKCS #8 key. @throws DtlsError `key-unreadable`. */
  constructor(source: string | Uint8Array) {
    const read = readPrivateKey(source);
    const kind = read === undefined ? undefined : kindOf(read);
    if (read === undefined || kind === undefined) {
      throw new DtlsError('key-unreadable', 'the private key is not P-256, P-384, Ed25519 or RSA of 2048 to 4096 bits');
    }
    this.#key = read;
    this.kind = kind.kind;
    this.schemes = kind.schemes;
    this.subjectPublicKeyInfo = createPublicKey(read).export({ type: 'spki', format: 'der' });
  }

  sign(scheme: number, data: Uint8Array): Uint8Array {
    return sign(hashOf(scheme), data, { key: this.#key, ...paddingOf(scheme) });
  }
}

function readPrivateKey(source: string | Uint8Array): KeyObject | undefined {
  try {
    return typeof source === 'string'
      ? createPrivateKey(source)
      : createPrivateKey({ key: Buffer.from(source), format: 'der', type: 'pkcs8' });
  } catch {
    return undefined;
  }
}

/** A peer's public key. */
export class PeerKey {
  readonly kind: KeyKind;
  readonly #key: KeyObject;
  readonly #schemes: readonly number[];

  private constructor(key: KeyObject, kind: KeyKind, schemes: readonly number[]) {
    this.#key = key;
    this.kind = kind;
    this.#schemes = schemes;
  }

  /** From the DER of a certificate; undefined when it cannot be read or the key is of a kind we refuse. */
  static fromCertificate(der: Uint8Array): PeerKey | undefined {
    return PeerKey.#read(() => new X509Certificate(der).publicKey);
  }

  /** From the DER of a SubjectPublicKeyInfo. */
  static fromSubjectPublicKeyInfo(der: Uint8Array): PeerKey | undefined {
    return PeerKey.#read(() => createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' }));
  }

  static #read(read: () => KeyObject): PeerKey | undefined {
    try {
      const key = read();
      const kind = kindOf(key);
      return kind === undefined ? undefined : new PeerKey(key, kind.kind, kind.schemes);
    } catch {
      return undefined;
    }
  }

  /** False for a scheme that does not fit the key, too. */
  verify(scheme: number, data: Uint8Array, signature: Uint8Array): boolean {
    if (!this.#schemes.includes(scheme)) return false;
    try {
      return verify(hashOf(scheme), data, { key: this.#key, ...paddingOf(scheme) }, signature);
    } catch {
      return false;
    }
  }
}

/** DER certificates of a PEM text in order, or the one DER given. @throws DtlsError `key-unreadable`. */
export function readChain(source: string | Uint8Array): readonly Uint8Array[] {
  try {
    if (typeof source !== 'string') return [new Uint8Array(new X509Certificate(source).raw)];
    const blocks = source.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (blocks.length === 0) throw new DtlsError('key-unreadable', 'no certificate in the PEM text');
    return blocks.map((block) => new Uint8Array(new X509Certificate(block).raw));
  } catch {
    throw new DtlsError('key-unreadable', 'the certificate cannot be read');
  }
}
