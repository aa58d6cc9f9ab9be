/** Writes DER by hand, so that tests can get every field of a certificate wrong. Nobody verifies its signature here. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export type Der = Uint8Array;

export function tlv(tag: number, ...contents: Der[]): Der {
  const content = Buffer.concat(contents);
  const { length } = content;
  const header =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), content]);
}

export const sequence = (...items: Der[]) => tlv(0x30, ...items);
export const set = (...items: Der[]) => tlv(0x31, ...items);
export const octets = (hex: string) => Buffer.from(hex, 'hex');
export const integer = (hex: string) => tlv(0x02, octets(hex));
export const text = (tag: number, value: string) => tlv(tag, Buffer.from(value, 'latin1'));
export const utf8 = (value: string) => tlv(0x0c, Buffer.from(value, 'utf8'));
export const utcTime = (value: string) => text(0x17, value);
export const generalizedTime = (value: string) => text(0x18, value);
export const TRUE = octets('0101ff');

export function oid(dotted: string): Der {
  const [a = 0, b = 0, ...rest] = dotted.split('.').map(Number);
  const base128 = (arc: number): number[] =>
    arc < 128 ? [arc] : [...base128(Math.floor(arc / 128)).map((o) => o | 0x80), arc % 128];
  return tlv(0x06, Buffer.from([a * 40 + b, ...rest].flatMap(base128)));
}

export const name = (...attributes: [type: string, value: Der][]) =>
  sequence(...attributes.map(([type, value]) => set(sequence(oid(type), value))));

export const uri = (value: string) => text(0x86, value);
export const dns = (value: string) => text(0x82, value);

export const extension = (type: string, value: Der, critical: Der = Buffer.alloc(0)) =>
  sequence(oid(type), critical, tlv(0x04, value));
export const alternativeNames = (...names: Der[]) => extension('2.5.29.17', sequence(...names));
export const basicConstraints = (...content: Der[]) => extension('2.5.29.19', sequence(...content), TRUE);
export const keyUsage = (bits: string) => extension('2.5.29.15', tlv(0x03, octets(bits)), TRUE);
export const purposes = (...types: string[]) => extension('2.5.29.37', sequence(...types.map(oid)));
export const CLIENT = '1.3.6.1.5.5.7.3.2';
export const SERVER = '1.3.6.1.5.5.7.3.1';

export const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const issuerKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const SIGNATURE: Der = sign('sha256', Buffer.from('anything'), issuerKeys.privateKey);
const deviceKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

export const spkiOf = (key: KeyObject): Der => key.export({ type: 'spki', format: 'der' });
export const DEVICE_KEY = spkiOf(deviceKeys.publicKey);
export const sha256 = (bytes: Der) => createHash('sha256').update(bytes).digest('hex');
export const newKey = (): Der => spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);

export interface Parts {
  version?: Der;
  serial?: Der;
  innerAlgorithm?: Der;
  outerAlgorithm?: Der;
  issuer?: Der;
  validity?: Der;
  subject?: Der;
  publicKey?: Der;
  extensions?: Der[] | undefined;
  /** Between the public key and the extensions. */
  uniqueIds?: Der;
  afterExtensions?: Der;
}

export const extensionsFor = (id: string): Der[] => [
  basicConstraints(),
  keyUsage('0780'),
  purposes(CLIENT),
  alternativeNames(uri(`urn:sallyport:device:${id}`)),
];

/** A good device certificate, except for what `parts` says. */
export function certificate(parts: Parts = {}): Buffer {
  const none = Buffer.alloc(0);
  const body = sequence(
    parts.version ?? tlv(0xa0, integer('02')),
    parts.serial ?? integer('5f0a112233445566'),
    parts.innerAlgorithm ?? ECDSA_SHA256,
    parts.issuer ?? name(['2.5.4.10', utf8('Maker')], ['2.5.4.3', utf8('Maker CA')]),
    parts.validity ?? sequence(utcTime('260101000000Z'), utcTime('460101000000Z')),
    parts.subject ?? name(['2.5.4.3', utf8('thermo-1')]),
    parts.publicKey ?? DEVICE_KEY,
    parts.uniqueIds ?? none,
    parts.extensions === undefined && 'extensions' in parts
      ? none
      : tlv(0xa3, sequence(...(parts.extensions ?? extensionsFor('thermo-1')))),
    parts.afterExtensions ?? none,
  );
  return Buffer.from(sequence(body, parts.outerAlgorithm ?? ECDSA_SHA256, tlv(0x03, octets('00'), SIGNATURE)));
}
