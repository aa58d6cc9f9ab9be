/**
 * Devices without a certificate: known by a pre-shared key (RFC 4279) or by a raw public key (RFC 7250). Both have no issuer,
 * names or validity of their own; the registry and policy see fixed words in those places, which no certificate can have.
 */
import { createPublicKey } from 'node:crypto';
import type { AuthenticationMethod, Peer } from '../exchange/peer.ts';
import { Fault } from '../faults/fault.ts';
import { DerReader, malformed, TAG } from './der.ts';
import type { Credential } from './lifecycle.ts';
import { checkPublicKey, keyOf } from './public-key.ts';

export type BareMethod = Exclude<AuthenticationMethod, 'certificate'>;

/** RFC 5280 section 4.1.2.5: the time that means "no end". */
const NO_END = Date.UTC(9999, 11, 31, 23, 59, 59);
const PSK_NAME = 'PSK:';
/** Serials are unique per issuer in the store; the beginning of a unique key is one. */
const SERIAL_DIGITS = 40;
/** Printable, without anything a shell or a log would read as more than text. */
const PSK_IDENTITY = /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}$/;

/** How a credential of the registry is proven: an issuer without `=` is no distinguished name (RFC 4514). */
export function methodOf(issuer: string): AuthenticationMethod {
  return issuer === 'psk' || issuer === 'raw-key' ? issuer : 'certificate';
}

/** Returns `identity` if it is one. Throws SP_DEVICE_FACT. */
export function checkedPskIdentity(identity: string): string {
  if (PSK_IDENTITY.test(identity)) return identity;
  throw new Fault(
    'SP_DEVICE_FACT',
    'The PSK identity cannot be used: it has 1 to 64 letters, digits and . _ : @ + -, and begins with a letter or digit.',
  );
}

/** The identity that a peer or credential of method `psk` goes by. */
export function pskIdentityOf(names: readonly string[]): string | undefined {
  const name = names.find((one) => one.startsWith(PSK_NAME));
  return name?.slice(PSK_NAME.length);
}

/** What the registry keeps of a pre-shared key. @param fingerprint psk.ts `fingerprintOf`. Throws SP_DEVICE_FACT. */
export function pskCredential(identity: string, fingerprint: string): Credential {
  return credential('psk', fingerprint, [PSK_NAME + checkedPskIdentity(identity)], '');
}

/** What the registry keeps of a raw public key, PEM. Throws SP_CERTIFICATE_INVALID. */
export function rawKeyCredential(publicKeyPem: string): Credential {
  let spki: Uint8Array;
  try {
    spki = createPublicKey(publicKeyPem).export({ type: 'spki', format: 'der' });
  } catch (thrown) {
    throw malformed('The public key cannot be read.', thrown);
  }
  const pem = createPublicKey(publicKeyPem).export({ type: 'spki', format: 'pem' }).toString();
  return credential('raw-key', checkedRawKey(spki), [], pem);
}

/** Who proved this pre-shared key. */
export function pskPeer(identity: string, fingerprint: string, address: string): Peer {
  return peer('psk', fingerprint, [PSK_NAME + identity], address);
}

/** Who proved this raw public key (DER SubjectPublicKeyInfo). Throws SP_CERTIFICATE_INVALID. */
export function rawKeyPeer(spki: Uint8Array, address: string): Peer {
  return peer('raw-key', checkedRawKey(spki), [], address);
}

/** The identity of the key, in the one encoding that counts. Throws SP_CERTIFICATE_INVALID. */
function checkedRawKey(spki: Uint8Array): string {
  const reader = new DerReader(spki, 'public key');
  const info = reader.take(TAG.sequence, 'public key');
  reader.end();
  checkPublicKey(info);
  return keyOf(spki);
}

function credential(method: BareMethod, key: string, names: readonly string[], certificate: string): Credential {
  return { key, names, issuer: method, serial: serialOf(key), notBefore: 0, notAfter: NO_END, certificate };
}

function peer(method: BareMethod, key: string, names: readonly string[], address: string): Peer {
  const facts = { issuer: method, serial: serialOf(key), notBefore: 0, notAfter: NO_END, clientAuthentication: true };
  return Object.freeze({ method, address, key, names: Object.freeze(names), ...facts });
}

function serialOf(key: string): string {
  return key.slice(0, SERIAL_DIGITS).toUpperCase();
}
