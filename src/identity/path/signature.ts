/**
 * Signatures over certificates and revocation lists (RFC 3279, RFC 4055, RFC 5758, RFC 8410): ECDSA on P-256, P-384 and
 * P-521, Ed25519, RSA PKCS #1 v1.5 and PSS from 2048 bits, with SHA-256 or longer. Each in its one strict encoding; node:crypto
 * does the arithmetic. Everything else is refused by name, SHA-1 and MD5 among it.
 */
import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { Fault } from '../../faults/fault.ts';
import { DerReader, type Element, malformed, TAG } from '../der.ts';
import { checkRsa } from '../public-key.ts';

type Hash = 'sha256' | 'sha384' | 'sha512';
type KeyKind = 'ec' | 'ed25519' | 'rsa' | 'rsa-pss';

export interface SignatureAlgorithm {
  readonly kind: 'ecdsa' | 'ed25519' | 'rsa' | 'rsa-pss';
  readonly hash: Hash;
  /** Octets, of PSS. */
  readonly saltLength: number;
  /** DER of the PSS parameters. */
  readonly parameters: Uint8Array | undefined;
}

/** A string says why it is refused. */
export type Reading<T> = T | string;

const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
const RSA_PSS = '1.2.840.113549.1.1.10';
const MGF1 = '1.2.840.113549.1.1.8';
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
const ED25519 = '1.3.101.112';

const ECDSA_HASHES: Readonly<Record<string, Hash>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};
const RSA_HASHES: Readonly<Record<string, Hash>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
};
const HASHES: Readonly<Record<string, Hash>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
/** Broken, and named so that nobody has to look up a number. */
const BROKEN: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'MD2 with RSA',
  '1.2.840.113549.1.1.4': 'MD5 with RSA',
  '1.2.840.113549.1.1.5': 'SHA-1 with RSA',
  '1.2.840.10045.4.1': 'SHA-1 with ECDSA',
  '1.2.840.10040.4.3': 'SHA-1 with DSA',
};
/** Octets of one coordinate (SEC 1 section 2.3.3). */
const CURVES: Readonly<Record<string, number>> = {
  '1.2.840.10045.3.1.7': 32,
  '1.3.132.0.34': 48,
  '1.3.132.0.35': 66,
};
const MAX_SALT_BYTES = 64;

/** Reads one AlgorithmIdentifier of a signature. Throws SP_CERTIFICATE_INVALID for what is not DER. */
export function readSignatureAlgorithm(algorithm: Element): Reading<SignatureAlgorithm> {
  const fields = new DerReader(algorithm.content, 'signature algorithm');
  const identifier = fields.objectIdentifier('signature algorithm');
  const ecdsa = ECDSA_HASHES[identifier];
  if (ecdsa !== undefined) {
    // RFC 5758 section 3.2: no parameters.
    fields.end();
    return { kind: 'ecdsa', hash: ecdsa, saltLength: 0, parameters: undefined };
  }
  if (identifier === ED25519) {
    fields.end();
    return { kind: 'ed25519', hash: 'sha512', saltLength: 0, parameters: undefined };
  }
  const rsa = RSA_HASHES[identifier];
  if (rsa !== undefined) {
    optionalNull(fields);
    return { kind: 'rsa', hash: rsa, saltLength: 0, parameters: undefined };
  }
  if (identifier === RSA_PSS) {
    const parameters = fields.take(TAG.sequence, 'PSS parameters');
    fields.end();
    return readPss(parameters);
  }
  return `The signature algorithm ${BROKEN[identifier] ?? identifier} is not accepted.`;
}

/** RFC 4055 section 5: NULL, and absent is to be taken too. */
function optionalNull(fields: DerReader): void {
  const parameters = fields.maybe(TAG.null);
  if (parameters !== undefined && parameters.content.length > 0) throw malformed('A NULL is not empty.');
  fields.end();
}

/** RFC 4055 section 3.1. Every default of it is SHA-1, so all three are written out or the signature is refused. */
function readPss(parameters: Element): Reading<SignatureAlgorithm> {
  const fields = new DerReader(parameters.content, 'PSS parameters');
  if (fields.peek() !== 0xa0) return 'PSS with SHA-1 is not accepted.';
  const hashField = fields.enter(0xa0, 'PSS hash');
  const hash = readHash(hashField);
  hashField.end();
  if (fields.peek() !== 0xa1) return 'PSS with SHA-1 in its mask is not accepted.';
  const maskField = fields.enter(0xa1, 'PSS mask');
  const mask = maskField.enter(TAG.sequence, 'PSS mask');
  maskField.end();
  const isMgf1 = mask.objectIdentifier('PSS mask') === MGF1;
  const maskHash = isMgf1 ? readHash(mask) : undefined;
  if (hash === undefined || maskHash !== hash) return 'PSS is accepted with one hash of SHA-2 for message and mask.';
  mask.end();
  let saltLength = 20;
  if (fields.peek() === 0xa2) {
    const salt = fields.enter(0xa2, 'PSS salt length');
    const octets = salt.integer('PSS salt length');
    salt.end();
    saltLength = octets.length === 1 ? (octets[0] as number) : MAX_SALT_BYTES + 1;
    if (saltLength === 20) throw malformed('A default value is written out.');
  }
  if (saltLength > MAX_SALT_BYTES) return `A PSS salt of more than ${MAX_SALT_BYTES} octets is not accepted.`;
  // trailerField has one legal value, which DER leaves out.
  fields.end();
  return { kind: 'rsa-pss', hash, saltLength, parameters: parameters.whole };
}

function readHash(fields: DerReader): Hash | undefined {
  const hash = fields.enter(TAG.sequence, 'hash algorithm');
  const identifier = hash.objectIdentifier('hash algorithm');
  optionalNull(hash);
  return HASHES[identifier];
}

/** A subject's key as far as signatures need it. OpenSSL looks at it only when something is verified with it. */
export class VerificationKey {
  readonly #kind: KeyKind;
  readonly #parameters: Uint8Array | undefined;
  readonly #info: Uint8Array;
  #object: KeyObject | undefined;

  private constructor(info: Uint8Array, kind: KeyKind, parameters?: Uint8Array) {
    this.#info = info;
    this.#kind = kind;
    this.#parameters = parameters;
  }

  /** Reads one SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). Throws SP_CERTIFICATE_INVALID for what is not DER. */
  static read(info: Element): Reading<VerificationKey> {
    const fields = new DerReader(info.content, 'public key');
    const algorithm = fields.enter(TAG.sequence, 'public key algorithm');
    const identifier = algorithm.objectIdentifier('public key algorithm');
    switch (identifier) {
      case RSA_ENCRYPTION:
        optionalNull(algorithm);
        return readRsaKey(fields) ?? new VerificationKey(info.whole, 'rsa');
      case RSA_PSS: {
        // RFC 4055 section 1.2: parameters, if any, bind the key to them.
        const parameters = algorithm.maybe(TAG.sequence)?.whole;
        algorithm.end();
        return readRsaKey(fields) ?? new VerificationKey(info.whole, 'rsa-pss', parameters);
      }
      case EC_PUBLIC_KEY: {
        if (algorithm.peek() !== TAG.objectIdentifier) return 'An elliptic curve without a name is not accepted.';
        const bytes = CURVES[algorithm.objectIdentifier('named curve')];
        algorithm.end();
        if (bytes === undefined) return 'The elliptic curve is none of P-256, P-384 and P-521.';
        const point = fields.octets('elliptic curve point');
        fields.end();
        if (point[0] !== 0x04 || point.length !== 1 + 2 * bytes) return 'The point is not an uncompressed one.';
        return new VerificationKey(info.whole, 'ec');
      }
      case ED25519:
        algorithm.end();
        if (fields.octets('Ed25519 key').length !== 32) throw malformed('The Ed25519 key has not 32 octets.');
        fields.end();
        return new VerificationKey(info.whole, 'ed25519');
      default:
        return `The public key algorithm ${identifier} is not one of RSA, ECDSA and Ed25519.`;
    }
  }

  /** True if `signature` over `signed` was made with this key and exactly this algorithm. Never throws. */
  verifies(algorithm: SignatureAlgorithm, signed: Uint8Array, signature: Uint8Array): boolean {
    if (!this.#fits(algorithm)) return false;
    try {
      const key = this.#keyObject();
      switch (algorithm.kind) {
        case 'ed25519':
          return verify(null, signed, key, signature);
        case 'ecdsa':
          return verify(algorithm.hash, signed, { key, dsaEncoding: 'der' }, signature);
        case 'rsa':
          return verify(algorithm.hash, signed, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
        case 'rsa-pss': {
          const { saltLength } = algorithm;
          const padding = constants.RSA_PKCS1_PSS_PADDING;
          return verify(algorithm.hash, signed, { key, padding, saltLength }, signature);
        }
      }
    } catch {
      // A point off its curve, or a key that OpenSSL finds too weak: not a signature that counts.
      return false;
    }
  }

  /** False for a point that is not on its curve. Costs what importing a key costs. */
  isUsable(): boolean {
    try {
      this.#keyObject();
      return true;
    } catch {
      return false;
    }
  }

  #fits({ kind, parameters }: SignatureAlgorithm): boolean {
    switch (this.#kind) {
      case 'ec':
        return kind === 'ecdsa';
      case 'ed25519':
        return kind === 'ed25519';
      case 'rsa':
        return kind === 'rsa' || kind === 'rsa-pss';
      case 'rsa-pss':
        return (
          kind === 'rsa-pss' &&
          (this.#parameters === undefined || Buffer.compare(this.#parameters, parameters ?? Buffer.alloc(0)) === 0)
        );
    }
  }

  #keyObject(): KeyObject {
    this.#object ??= createPublicKey({ key: Buffer.from(this.#info), format: 'der', type: 'spki' });
    return this.#object;
  }
}

/** Why the RSA key is refused, or undefined. */
function readRsaKey(fields: DerReader): string | undefined {
  const key = fields.octets('RSA key');
  fields.end();
  try {
    checkRsa(key);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.message;
    throw thrown;
  }
}
