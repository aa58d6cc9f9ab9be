/**
 * SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in the one encoding per key that this gateway accepts. The identity is the
 * hash of these bytes, so a second encoding of the same key (compressed point, absent NULL, explicit curve) would be a
 * second identity: a retired key could come back in other clothes.
 */
import { createHash } from 'node:crypto';
import { DerReader, type Element, malformed, TAG } from './der.ts';

const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
const ED25519 = '1.3.101.112';
/** Named curves (RFC 5480 section 2.1.1.1) and the octets of one coordinate. */
const CURVES: ReadonlyMap<string, { readonly name: 'P-256' | 'P-384'; readonly bytes: number }> = new Map([
  ['1.2.840.10045.3.1.7', { name: 'P-256', bytes: 32 }],
  ['1.3.132.0.34', { name: 'P-384', bytes: 48 }],
]);
const MIN_RSA_BITS = 2048;
/** The cost of a verification grows with the modulus: a giant key is an attack on the processor. */
const MAX_RSA_BITS = 4096;
const MIN_RSA_EXPONENT = 65_537;
const MAX_RSA_EXPONENT_BYTES = 4;

/** Checks one SubjectPublicKeyInfo. Throws SP_CERTIFICATE_INVALID; whether the point is on its curve is OpenSSL's to say. */
export function checkPublicKey(info: Element): void {
  const fields = new DerReader(info.content, 'public key');
  const algorithm = fields.enter(TAG.sequence, 'public key algorithm');
  const identifier = algorithm.objectIdentifier('public key algorithm');
  switch (identifier) {
    case RSA_ENCRYPTION:
      // RFC 3279 section 2.3.1: parameters NULL.
      if (algorithm.take(TAG.null, 'RSA parameters').content.length !== 0)
        throw malformed('The RSA parameters are not NULL.');
      checkRsa(fields.octets('RSA key'));
      break;
    case EC_PUBLIC_KEY: {
      const curve = CURVES.get(algorithm.objectIdentifier('named curve'));
      if (curve === undefined) throw malformed('The elliptic curve is neither P-256 nor P-384.');
      const point = fields.octets('elliptic curve point');
      // SEC 1 section 2.3.3: 0x04, x, y.
      if (point[0] !== 0x04 || point.length !== 1 + 2 * curve.bytes) {
        throw malformed(`The point is not an uncompressed one of ${curve.name}.`);
      }
      break;
    }
    case ED25519:
      // RFC 8410 section 3: no parameters.
      if (fields.octets('Ed25519 key').length !== 32) throw malformed('The Ed25519 key has not 32 octets.');
      break;
    default:
      throw malformed(`The public key algorithm ${identifier} is not one of RSA, ECDSA and Ed25519.`);
  }
  algorithm.end();
  fields.end();
}

/** Checks one RSAPublicKey (RFC 3279 section 2.3.1). Throws SP_CERTIFICATE_INVALID. */
export function checkRsa(key: Uint8Array): void {
  const outer = new DerReader(key, 'RSA key');
  const numbers = outer.enter(TAG.sequence, 'RSA key');
  outer.end();
  const bits = bitLength(numbers.integer('RSA modulus'));
  if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
    throw malformed(`The RSA modulus has ${bits} bits; ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are accepted.`);
  }
  const exponent = numbers.integer('RSA exponent');
  numbers.end();
  const value = exponent.length > MAX_RSA_EXPONENT_BYTES ? 0 : exponent.reduce((sum, octet) => sum * 256 + octet, 0);
  if ((exponent[0] as number) >= 0x80 || value < MIN_RSA_EXPONENT || value % 2 === 0) {
    throw malformed(`The RSA exponent is not an odd number from ${MIN_RSA_EXPONENT} to 2^31.`);
  }
}

/** Of a minimal INTEGER; a negative one has no length that would be accepted. */
function bitLength(integer: Uint8Array): number {
  const first = integer[0] as number;
  if (first >= 0x80) return 0;
  if (first !== 0) return integer.length * 8 - Math.clz32(first) + 24;
  return (integer.length - 1) * 8;
}

/** SHA-256 over the DER SubjectPublicKeyInfo, lowercase hex: what the registry is keyed by. */
export function keyOf(info: Uint8Array): string {
  return createHash('sha256').update(info).digest('hex');
}
