import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { provenKeyOf } from '../../../../src/identity/ca/signing-request.ts';
import {
  type Der,
  ECDSA_SHA256,
  integer,
  name,
  octets,
  oid,
  sequence,
  spkiOf,
  tlv,
  utf8,
} from '../certificate-maker.ts';
import { faultOf } from '../identity-fixture.ts';

interface Parts {
  version?: Der;
  key?: Der;
  attributes?: Der;
  algorithm?: Der;
  signer?: KeyObject;
  hash?: string;
}

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });

function request(parts: Parts = {}): string {
  const body = sequence(
    parts.version ?? integer('00'),
    name(['2.5.4.3', utf8('x')]),
    parts.key ?? spkiOf(pair.publicKey),
    parts.attributes ?? tlv(0xa0),
  );
  const signature = sign(parts.hash ?? 'sha256', body, parts.signer ?? pair.privateKey);
  const der = Buffer.from(sequence(body, parts.algorithm ?? ECDSA_SHA256, tlv(0x03, octets('00'), signature)));
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 });
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const RSA_SHA256 = sequence(oid('1.2.840.113549.1.1.11'), octets('0500'));

describe('the key of a signing request', () => {
  it('is taken when its owner signed', () => {
    const key = provenKeyOf(request());
    const read = createPublicKey({ key: Buffer.from(key), format: 'der', type: 'spki' });
    expect(read.equals(pair.publicKey)).toBe(true);
  });

  it.each<[string, Parts]>([
    ['signed by somebody else', { signer: stranger.privateKey }],
    ['of a weak key', { key: spkiOf(rsa.publicKey), signer: rsa.privateKey, algorithm: RSA_SHA256 }],
    ['that says another algorithm than the key’s', { algorithm: RSA_SHA256 }],
    ['that says another hash', { algorithm: sequence(oid('1.2.840.10045.4.3.3')) }],
    ['signed with SHA-1', { algorithm: sequence(oid('1.2.840.10045.4.1')), hash: 'sha1' }],
    ['with parameters for ECDSA', { algorithm: sequence(oid('1.2.840.10045.4.3.2'), octets('0500')) }],
    ['of another version', { version: integer('01') }],
    ['without attributes', { attributes: Buffer.alloc(0) }],
    ['with more after the attributes', { attributes: Buffer.concat([tlv(0xa0), octets('0500')]) }],
  ])('%s is refused', async (_, parts) => {
    expect(await faultOf(() => provenKeyOf(request(parts)))).toBe('SP_CERTIFICATE_INVALID');
  });
});

describe('the authority', () => {
  it('is out of reach of what the running gateway loads', () => {
    const folder = new URL('../../../../src/identity/', import.meta.url);
    const reaching = readdirSync(folder)
      .filter((file) => file.endsWith('.ts'))
      .filter((file) => /from '(?:\.\/ca\/|@peculiar)|import '/.test(readFileSync(new URL(file, folder), 'utf8')));
    expect(reaching).toEqual([]);
  });
});
