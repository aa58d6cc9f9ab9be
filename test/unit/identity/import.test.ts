import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import forge from 'node-forge';
import { beforeAll, describe, expect, it } from 'vitest';
import { importCertificate, importPkcs12 } from '../../../src/identity/import.ts';
import { certificate, extensionsFor, purposes, SERVER, sha256 } from './certificate-maker.ts';
import { faultOf, NOW, scratch } from './identity-fixture.ts';

const RULES = { maxBytes: 16_384, now: NOW };
const pemOf = (der: Uint8Array) => new X509Certificate(der).toString();

/** A factory CA of the RSA age and one device of it, made by node-forge. */
function legacy(bits = 2048) {
  const keys = forge.pki.rsa.generateKeyPair({ bits });
  const made = forge.pki.createCertificate();
  made.publicKey = keys.publicKey;
  made.serialNumber = '01a2b3c4';
  made.validity.notBefore = new Date(NOW - 86_400_000);
  made.validity.notAfter = new Date(NOW + 86_400_000);
  made.setSubject([{ name: 'commonName', value: 'METER-0017' }]);
  made.setIssuer([
    { name: 'countryName', value: 'DE' },
    { name: 'organizationName', value: 'Meters & Sons' },
    { name: 'commonName', value: 'Factory CA' },
  ]);
  made.setExtensions([
    { name: 'basicConstraints', cA: false },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
    { name: 'extKeyUsage', clientAuth: true },
    { name: 'subjectAltName', altNames: [{ type: 2, value: 'meter-0017.factory.example' }] },
  ]);
  made.sign(keys.privateKey, forge.md.sha256.create());
  return { keys, made };
}

describe('a certificate made elsewhere', () => {
  it('is imported from PEM, from PEM with text around it, and from DER', () => {
    const der = certificate();
    const expected = {
      serial: '5F0A112233445566',
      names: ['URI:urn:sallyport:device:thermo-1'],
      certificate: pemOf(der),
    };
    expect(importCertificate(der, RULES)).toMatchObject(expected);
    expect(importCertificate(Buffer.from(pemOf(der)), RULES)).toMatchObject(expected);
    expect(
      importCertificate(Buffer.from(`Bag Attributes\r\n${pemOf(der).replaceAll('\n', '\r\n')}\r\nmore`), RULES),
    ).toMatchObject(expected);
  });

  it.each<[string, () => Uint8Array]>([
    ['nothing', () => Buffer.alloc(0)],
    ['text', () => Buffer.from('hello')],
    ['two certificates, of which nobody knows which', () => Buffer.from(pemOf(certificate()) + pemOf(certificate()))],
    ['no end', () => Buffer.from(pemOf(certificate()).replace('-----END CERTIFICATE-----', ''))],
    ['other than base64', () => Buffer.from(pemOf(certificate()).replace('MII', 'M*I'))],
    ['a megabyte of text around it', () => Buffer.from('x'.repeat(1_000_000) + pemOf(certificate()))],
    [
      'a certificate for servers',
      () => certificate({ extensions: [...extensionsFor('a').slice(3), purposes(SERVER)] }),
    ],
    ['a certificate without purpose', () => certificate({ extensions: extensionsFor('a').slice(3) })],
  ])('with %s is refused', async (_, make) => {
    expect(await faultOf(() => importCertificate(make(), RULES))).toBe('SP_CERTIFICATE_INVALID');
  });

  it('that has expired is refused, and says when', () => {
    expect(() => importCertificate(certificate(), { ...RULES, now: Date.UTC(2046, 0, 2) })).toThrow(
      'expired on 2046-01-01T00:00:00.000Z',
    );
  });
});

describe('RSA devices of old, as node-forge makes them', () => {
  let device: ReturnType<typeof legacy>;
  beforeAll(() => {
    device = legacy();
  });

  const container = (algorithm: 'aes256' | '3des', password = 'factory') =>
    Buffer.from(
      forge.asn1
        .toDer(forge.pkcs12.toPkcs12Asn1(device.keys.privateKey, [device.made], password, { algorithm }))
        .getBytes(),
      'binary',
    );

  it('are imported from PEM', () => {
    const { key, names, issuer, serial } = importCertificate(
      Buffer.from(forge.pki.certificateToPem(device.made)),
      RULES,
    );
    const spki = createPublicKey(forge.pki.publicKeyToPem(device.keys.publicKey)).export({
      type: 'spki',
      format: 'der',
    });
    expect({ key, names, issuer, serial }).toEqual({
      key: sha256(spki),
      names: ['DNS:meter-0017.factory.example'],
      issuer: 'CN=Factory CA,O=Meters & Sons,C=DE',
      serial: '01A2B3C4',
    });
  });

  it.each(['aes256', '3des'] as const)('are imported from PKCS#12 under %s, key and all', (algorithm) => {
    const { credential, keyPem } = importPkcs12(container(algorithm), 'factory', RULES);
    expect(credential.serial).toBe('01A2B3C4');
    expect(new X509Certificate(credential.certificate).checkPrivateKey(createPrivateKey(keyPem))).toBe(true);
  });

  it.each<[string, () => Uint8Array, string]>([
    ['a wrong passphrase', () => container('aes256'), 'wrong'],
    ['no passphrase', () => container('aes256'), ''],
    ['a damaged container', () => container('aes256').fill(0, 200, 300), 'factory'],
    ['no container', () => Buffer.from('hello'), 'factory'],
    ['nothing', () => Buffer.alloc(0), 'factory'],
    ['a container of 65,537 bytes', () => Buffer.alloc(65_537), 'factory'],
  ])('are refused with %s', async (_, make, passphrase) => {
    expect(await faultOf(() => importPkcs12(make(), passphrase, RULES))).toBe('SP_CERTIFICATE_INVALID');
  });

  it('are refused when the key is too short', async () => {
    const short = legacy(1024);
    const pem = Buffer.from(forge.pki.certificateToPem(short.made));
    expect(await faultOf(() => importCertificate(pem, RULES))).toBe('SP_CERTIFICATE_INVALID');
  });
});

describe('a container made by openssl', () => {
  it('with an EC key is imported; with a certificate alone it is refused', async () => {
    const folder = scratch();
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    const extensions = [
      '-addext',
      'basicConstraints=critical,CA:FALSE',
      '-addext',
      'extendedKeyUsage=clientAuth',
      '-addext',
      'subjectAltName=DNS:x.example',
    ];
    run(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=x',
      '-keyout',
      'k.pem',
      '-out',
      'c.pem',
      '-days',
      '9999',
      ...extensions,
    );
    run('pkcs12', '-export', '-in', 'c.pem', '-inkey', 'k.pem', '-passout', 'pass:p', '-out', 'both.p12');
    run('pkcs12', '-export', '-in', 'c.pem', '-nokeys', '-passout', 'pass:p', '-out', 'alone.p12');
    const read = (name: string) => readFileSync(join(folder, name));
    expect(importPkcs12(read('both.p12'), 'p', RULES).credential.names).toEqual(['DNS:x.example']);
    expect(await faultOf(() => importPkcs12(read('alone.p12'), 'p', RULES))).toBe('SP_CERTIFICATE_INVALID');
    writeFileSync(join(folder, 'c.txt'), run('x509', '-in', 'c.pem', '-text'));
    expect(importCertificate(read('c.txt'), RULES).names).toEqual(['DNS:x.example']);
  });
});
