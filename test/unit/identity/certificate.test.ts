import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../src/faults/fault.ts';
import { peerFromCertificate } from '../../../src/identity/certificate.ts';
import {
  alternativeNames,
  basicConstraints,
  CLIENT,
  certificate,
  DEVICE_KEY,
  type Der,
  dns,
  extension,
  extensionsFor,
  generalizedTime,
  integer,
  keyUsage,
  name,
  octets,
  oid,
  type Parts,
  purposes,
  SERVER,
  sequence,
  set,
  sha256,
  spkiOf,
  TRUE,
  text,
  tlv,
  uri,
  utcTime,
  utf8,
} from './certificate-maker.ts';

const MAX_BYTES = 16_384;
const read = (der: Uint8Array) => peerFromCertificate(der, '10.0.3.17', MAX_BYTES);

function refusal(der: Uint8Array): string {
  try {
    read(der);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(Fault);
    expect((thrown as Fault).code).toBe('SP_CERTIFICATE_INVALID');
    return (thrown as Fault).message;
  }
  return 'accepted';
}

describe('a good certificate', () => {
  it('tells key, names, issuer, serial, validity and purpose', () => {
    expect(read(certificate())).toEqual({
      method: 'certificate',
      address: '10.0.3.17',
      key: sha256(DEVICE_KEY),
      names: ['URI:urn:sallyport:device:thermo-1'],
      issuer: 'CN=Maker CA,O=Maker',
      serial: '5F0A112233445566',
      notBefore: Date.UTC(2026, 0, 1),
      notAfter: Date.UTC(2046, 0, 1),
      clientAuthentication: true,
    });
  });

  it('is read the same from the handshake’s X509Certificate', () => {
    const der = certificate();
    expect(peerFromCertificate(new X509Certificate(der), '10.0.3.17', MAX_BYTES)).toEqual(read(der));
  });

  it('gives a peer that nobody can alter afterwards', () => {
    const peer = read(certificate());
    expect(() => Object.assign(peer, { key: 'other' })).toThrow(TypeError);
    expect(() => (peer.names as string[]).push('URI:urn:sallyport:device:other')).toThrow(TypeError);
  });

  it.each([
    ['P-384', spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey)],
    ['Ed25519', spkiOf(generateKeyPairSync('ed25519').publicKey)],
    ['RSA 2048', spkiOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey)],
  ])('may have a key of %s', (_, publicKey) => {
    expect(read(certificate({ publicKey })).key).toBe(sha256(publicKey));
  });

  it('may be valid beyond 2049, in GeneralizedTime', () => {
    const validity = sequence(utcTime('491231235959Z'), generalizedTime('99991231235959Z'));
    const { notBefore, notAfter } = read(certificate({ validity }));
    expect([notBefore, notAfter]).toEqual([Date.UTC(2049, 11, 31, 23, 59, 59), Date.UTC(9999, 11, 31, 23, 59, 59)]);
  });

  it('keeps the order of URI and DNS names and passes over other kinds', () => {
    const others = [
      text(0x81, 'a@b.example'),
      tlv(0x87, octets('0a000001')),
      dns('b.example'),
      uri('urn:x:1'),
      dns('a.example'),
    ];
    const { names } = read(certificate({ extensions: [purposes(CLIENT), alternativeNames(...others)] }));
    expect(names).toEqual(['DNS:b.example', 'URI:urn:x:1', 'DNS:a.example']);
  });

  it('may carry extensions that are not critical and not known', () => {
    const unknown = extension('1.3.6.1.4.1.99999.1', utf8('anything'));
    expect(read(certificate({ extensions: [...extensionsFor('thermo-1'), unknown] })).clientAuthentication).toBe(true);
  });
});

describe('what it is for', () => {
  it.each([
    ['no extended key usage', [alternativeNames(uri('urn:a:b'))], false],
    ['serverAuth only', [purposes(SERVER)], false],
    ['anyExtendedKeyUsage only', [purposes('2.5.29.37.0')], false],
    ['clientAuth beside serverAuth', [purposes(SERVER, CLIENT)], true],
    ['clientAuth, key usage without digitalSignature', [purposes(CLIENT), keyUsage('0520')], false],
    ['clientAuth, key usage with more than digitalSignature', [purposes(CLIENT), keyUsage('05a0')], true],
  ])('%s', (_, extensions, expected) => {
    expect(read(certificate({ extensions })).clientAuthentication).toBe(expected);
  });
});

describe('the issuer’s name', () => {
  const issuerOf = (...attributes: [string, Der][]) => read(certificate({ issuer: name(...attributes) })).issuer;

  it('escapes what RFC 4514 escapes', () => {
    expect(issuerOf(['2.5.4.3', utf8(' a,b+c"d\\e<f>g;h=i ')])).toBe('CN=\\ a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h\\=i\\ ');
    expect(issuerOf(['2.5.4.3', utf8('#1')])).toBe('CN=\\#1');
  });

  it('has no control, escape sequence, line break or bidirectional mark in it', () => {
    expect(issuerOf(['2.5.4.3', utf8('a\u001b[31m\r\n\u202eb')])).toBe('CN=a\\1B[31m\\0D\\0A\\E2\\80\\AEb');
  });

  it('cannot be imitated by another structure', () => {
    const one = issuerOf(['2.5.4.3', utf8('a,O=b')]);
    const two = issuerOf(['2.5.4.10', utf8('b')], ['2.5.4.3', utf8('a')]);
    expect(two).toBe('CN=a,O=b');
    expect(one).not.toBe(two);
  });

  it('shows unknown types and foreign string types as hex', () => {
    expect(issuerOf(['2.5.4.3', tlv(0x1e, octets('00410042'))])).toBe('CN=#1e0400410042');
    expect(issuerOf(['1.2.3.4', utf8('x')])).toBe('1.2.3.4=#0c0178');
    expect(issuerOf(['2.999.1', utf8('x')])).toContain('=#0c0178');
  });
});

const rsaKey = (modulus: string, exponent: string) =>
  sequence(
    sequence(oid('1.2.840.113549.1.1.1'), octets('0500')),
    tlv(0x03, octets('00'), sequence(integer(modulus), integer(exponent))),
  );
const ecKey = (curve: string, point: string) =>
  sequence(sequence(oid('1.2.840.10045.2.1'), oid(curve)), tlv(0x03, octets('00'), octets(point)));
const withNames = (...names: Der[]): Parts => ({ extensions: [purposes(CLIENT), alternativeNames(...names)] });
const plus = (...extensions: Der[]): Parts => ({ extensions: [...extensionsFor('thermo-1'), ...extensions] });
const times = (...both: [Der, Der]): Parts => ({ validity: sequence(...both) });
const GOOD_TIME = utcTime('260101000000Z');
const P256 = '1.2.840.10045.3.1.7';
const point = DEVICE_KEY.subarray(-64);
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const HOSTILE: readonly [string, Parts, RegExp][] = [
  ['a NUL in a URI', withNames(uri('urn:sallyport:device:thermo-1\0.evil')), /visible ASCII/],
  ['a NUL in a DNS name', withNames(dns('good.example\0.evil.example')), /visible ASCII/],
  ['a line break in a name', withNames(uri('urn:a:b\r\nURI:urn:c:d')), /visible ASCII/],
  ['octets beyond ASCII in a name', withNames(tlv(0x86, Buffer.from('urn:café', 'utf8'))), /visible ASCII/],
  ['an empty name', withNames(uri('')), /visible ASCII/],
  ['a malformed name of another kind', withNames(uri('urn:a:b'), tlv(0xa0, Buffer.from('a@b.example'))), /differently/],
  ['a name of an unknown kind', withNames(uri('urn:a:b'), tlv(0x8f, Buffer.from('x'))), /no known kind/],
  ['a URI in constructed form', withNames(tlv(0xa6, text(0x16, 'urn:sallyport:device:other'))), /no known kind/],
  ['no name in the list of names', withNames(), /subject alternative name/],
  ['65 names', withNames(...Array.from({ length: 65 }, (_, n) => dns(`n${n}.example`))), /more than 64 subject/],
  ['two lists of names', plus(alternativeNames(uri('urn:sallyport:device:other'))), /occurs twice/],
  ['two extended key usages', plus(purposes(SERVER)), /occurs twice/],
  ['an unknown critical extension', plus(extension('1.3.6.1.4.1.99999.1', utf8('x'), TRUE)), /not understood/],
  ['critical name constraints', plus(extension('2.5.29.30', sequence(), TRUE)), /not understood/],
  ['65 extensions', plus(...Array.from({ length: 65 }, (_, n) => extension(`1.2.3.${n}`, utf8('x')))), /more than 64/],
  ['an explicit critical FALSE', plus(extension('1.2.3.4', utf8('x'), octets('010100'))), /not TRUE in DER/],
  ['a critical flag that is 0x01', plus(extension('1.2.3.4', utf8('x'), octets('010101'))), /not TRUE in DER/],
  ['a CA’s certificate', { extensions: [basicConstraints(TRUE), purposes(CLIENT)] }, /certificate authority/],
  ['a path length without CA', { extensions: [basicConstraints(integer('00'))] }, /bytes after its end/],
  ['a key usage without bits', { extensions: [keyUsage('00')] }, /key usage is malformed/],
  ['a key usage with trailing zero bits', { extensions: [keyUsage('0080')] }, /not in DER/],
  ['an empty extended key usage', { extensions: [extension('2.5.29.37', sequence())] }, /key purpose/],
  ['no extensions', { extensions: undefined }, /extensions/],
  ['an empty list of extensions', { extensions: [] }, /extension/],
  ['bytes after the extensions', { afterExtensions: octets('0500') }, /bytes after its end/],
  ['a unique identifier', { uniqueIds: tlv(0x81, octets('00ff')) }, /extensions/],
  ['version 1', { version: Buffer.alloc(0) }, /version/],
  ['version 2', { version: tlv(0xa0, integer('01')) }, /not of version 3/],
  ['version 3 in two octets', { version: tlv(0xa0, integer('0002')) }, /not minimal/],
  ['serial number zero', { serial: integer('00') }, /not positive/],
  ['a negative serial number', { serial: integer('ff01') }, /not positive/],
  ['a serial number of 21 octets', { serial: integer(`01${'00'.repeat(20)}`) }, /more than 20 octets/],
  ['a serial number of 8,000 octets', { serial: integer('11'.repeat(8000)) }, /more than 20 octets/],
  ['a serial number with a leading zero', { serial: integer('0001') }, /not minimal/],
  ['an empty serial number', { serial: integer('') }, /empty/],
  ['an empty issuer', { issuer: sequence() }, /issuer is empty/],
  ['an empty set in the issuer', { issuer: sequence(set()) }, /issuer/],
  [
    '65 attributes in the subject',
    { subject: name(...Array.from({ length: 65 }, () => ['2.5.4.3', utf8('x')] as [string, Der])) },
    /64 attributes/,
  ],
  [
    'different algorithms inside and outside',
    { outerAlgorithm: sequence(oid('1.2.840.10045.4.3.3')) },
    /algorithms differ/,
  ],
  ['a time without seconds', times(utcTime('2601010000Z'), GOOD_TIME), /malformed/],
  ['a time with an offset', times(utcTime('260101000000+0100'), GOOD_TIME), /malformed/],
  ['a time that does not exist', times(GOOD_TIME, utcTime('260231000000Z')), /does not exist/],
  ['the hour 24', times(GOOD_TIME, utcTime('260101240000Z')), /does not exist/],
  ['a GeneralizedTime before 2050', times(GOOD_TIME, generalizedTime('20260101000000Z')), /UTCTime/],
  ['a fraction of a second', times(GOOD_TIME, generalizedTime('20600101000000.5Z')), /malformed/],
  ['a time as a string', times(GOOD_TIME, utf8('460101000000Z')), /malformed/],
  ['RSA 1024', { publicKey: rsaKey(`00${'c3'.repeat(128)}`, '010001') }, /1024 bits/],
  ['RSA 2047', { publicKey: rsaKey(`7f${'c3'.repeat(255)}`, '010001') }, /2047 bits/],
  ['RSA 16384', { publicKey: rsaKey(`00${'c3'.repeat(2048)}`, '010001') }, /16384 bits/],
  ['a negative RSA modulus', { publicKey: rsaKey('c3'.repeat(256), '010001') }, /0 bits/],
  ['RSA exponent 1', { publicKey: rsaKey(`00${'c3'.repeat(256)}`, '01') }, /exponent/],
  ['RSA exponent 3', { publicKey: rsaKey(`00${'c3'.repeat(256)}`, '03') }, /exponent/],
  ['an even RSA exponent', { publicKey: rsaKey(`00${'c3'.repeat(256)}`, '010002') }, /exponent/],
  ['an RSA exponent of 256 octets', { publicKey: rsaKey(`00${'c3'.repeat(256)}`, '11'.repeat(256)) }, /exponent/],
  [
    'RSA without NULL',
    { publicKey: sequence(sequence(oid('1.2.840.113549.1.1.1')), tlv(0x03, octets('00'))) },
    /RSA parameters/,
  ],
  ['a compressed point', { publicKey: ecKey(P256, `02${hexOf(point.subarray(0, 32))}`) }, /uncompressed/],
  ['a point in hybrid form', { publicKey: ecKey(P256, `06${hexOf(point)}`) }, /uncompressed/],
  ['the other hybrid form', { publicKey: ecKey(P256, `07${hexOf(point)}`) }, /uncompressed/],
  ['a point off its curve', { publicKey: ecKey(P256, `04${'11'.repeat(64)}`) }, /OpenSSL/],
  ['the point at infinity', { publicKey: ecKey(P256, '00') }, /uncompressed/],
  ['P-521', { publicKey: spkiOf(generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey) }, /neither P-256/],
  [
    'secp256k1',
    { publicKey: spkiOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey) },
    /neither P-256/,
  ],
  [
    'explicit curve parameters',
    { publicKey: sequence(sequence(oid('1.2.840.10045.2.1'), sequence(integer('01'))), tlv(0x03, octets('00'))) },
    /named curve/,
  ],
  ['X25519', { publicKey: spkiOf(generateKeyPairSync('x25519').publicKey) }, /not one of RSA/],
  ['Ed448', { publicKey: spkiOf(generateKeyPairSync('ed448').publicKey) }, /not one of RSA/],
  ['DSA', { publicKey: sequence(sequence(oid('1.2.840.10040.4.1')), tlv(0x03, octets('00'))) }, /not one of RSA/],
  [
    'Ed25519 with parameters',
    { publicKey: sequence(sequence(oid('1.3.101.112'), octets('0500')), tlv(0x03, octets('00'), Buffer.alloc(32))) },
    /bytes after/,
  ],
  [
    'a bit string that is not whole octets',
    { publicKey: sequence(sequence(oid('1.3.101.112')), tlv(0x03, octets('07'), Buffer.alloc(32))) },
    /whole octets/,
  ],
];

describe('a hostile certificate', () => {
  it.each(HOSTILE)('%s is refused', (_, parts, message) => {
    expect(refusal(certificate(parts))).toMatch(message);
  });

  const good = certificate();
  it.each([
    ['nothing', Buffer.alloc(0), /no proper certificate/],
    ['PEM', Buffer.from(new X509Certificate(good).toString()), /no proper certificate/],
    ['bytes after the certificate', Buffer.concat([good, octets('00')]), /bytes after its end/],
    ['two certificates', Buffer.concat([good, good]), /bytes after its end/],
    ['an indefinite length', Buffer.concat([octets('3080'), good.subarray(4), octets('0000')]), /indefinite/],
    ['a length in three octets', Buffer.concat([octets('308300'), good.subarray(2)]), /oversized/],
    ['a length that could be shorter', Buffer.concat([octets('30820005'), octets('0500050005')]), /not minimal/],
    ['a length beyond the end', octets('3082ffff00'), /longer than what holds it/],
    ['a tag of several octets', octets('1f8101'), /no proper certificate/],
    ['10,000 nested sequences', Buffer.from('3080'.repeat(5_000), 'hex'), /indefinite/],
  ])('%s is refused', (_, der, message) => {
    expect(refusal(der)).toMatch(message);
  });

  it('larger than the limit is refused before it is read', () => {
    const large = certificate(plus(extension('1.2.3.4', tlv(0x04, Buffer.alloc(20_000)))));
    expect(refusal(large)).toBe('The certificate is larger than 16384 bytes.');
    expect(() => peerFromCertificate(good, '', good.length - 1)).toThrow(/larger/);
    expect(peerFromCertificate(good, '', good.length).serial).toBe('5F0A112233445566');
  });

  it('costs less than 5 ms, the worst of them included', () => {
    const deep = Array.from({ length: 3_000 }).reduce<Der>(
      (inner) => (inner.length > 15_000 ? inner : sequence(inner)),
      Buffer.alloc(0),
    );
    const worst: Buffer[] = [
      ...HOSTILE.map(([, parts]) => certificate(parts)),
      certificate(plus(extension('1.2.3.4', deep))),
      certificate({
        subject: name(...Array.from({ length: 60 }, () => ['2.5.4.3', utf8('\u0001'.repeat(200))] as [string, Der])),
      }),
      certificate({ publicKey: rsaKey(`00${'c3'.repeat(7_000)}`, '010001') }),
    ];
    for (const der of worst) {
      const best = Math.min(...Array.from({ length: 5 }, () => timed(() => refusal(der))));
      expect(best).toBeLessThan(5);
    }
  });
});

/** Milliseconds of CPU: the wall clock would count whoever else runs on this machine. */
function timed(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
