/** Dates, versions, serial numbers, basic constraints, key usage, purposes and extensions nobody knows. */
import {
  CLIENT,
  type Der,
  extension,
  generalizedTime,
  integer,
  keyUsage,
  octets,
  oid,
  purposes,
  SERVER,
  sequence,
  TRUE,
  text,
  tlv,
  utcTime,
} from '../certificate-maker.ts';
import { type Chain, type ChainCase, ISSUING, ROOT } from './chain-case.ts';
import {
  alternativeNames,
  authority,
  authorityKeyId,
  isAuthority,
  keyId,
  leaf,
  NONE,
  subjectKeyId,
  type Wish,
} from './chain-maker.ts';

const DAY_MS = 86_400_000;
const END = Date.UTC(2030, 5, 30, 12, 0, 0);
const ends = { notAfter: utcTime('300630120000Z') };
const begins = { notBefore: utcTime('300630120000Z') };
const ANY_PURPOSE = '2.5.29.37.0';
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';
const UNKNOWN = '1.3.6.1.4.1.55555.1';

const device =
  (wish: Wish, rest: Partial<Chain> = {}) =>
  () => ({ leaf: leaf(ISSUING, wish), ...rest });
const below =
  (wish: Wish, rest: Partial<Chain> = {}, inLeaf: Wish = {}) =>
  () => {
    const issuer = authority('Between', { issuer: ROOT, ...wish });
    return { leaf: leaf(issuer, inLeaf), via: [issuer], ...rest };
  };
const under =
  (wish: Wish, rest: Partial<Chain> = {}) =>
  () => {
    const root = authority('Own root', wish);
    return { leaf: leaf(root), via: [], trust: [root], ...rest };
  };
/** A chain under authorities with these path lengths, the root's first; undefined for none. */
const lengths =
  (...allowed: (number | undefined)[]) =>
  () => {
    const authorities: ReturnType<typeof authority>[] = [];
    for (const [index, length] of allowed.entries()) {
      const issuer = authorities.at(-1);
      const constraints = length === undefined ? isAuthority() : isAuthority(integer(`0${length}`));
      authorities.push(authority(`Level ${index}`, { constraints, ...(issuer && { issuer }) }));
    }
    const [root, ...via] = authorities;
    return { leaf: leaf(authorities.at(-1)), via, trust: [root!] };
  };
const policies = (critical: Der, ...ids: Der[]) =>
  extension('2.5.29.32', sequence(...ids.map((id) => sequence(id))), critical);
const qualified = (critical: Der) =>
  extension(
    '2.5.29.32',
    sequence(sequence(oid('1.2.3.4'), sequence(sequence(oid('1.3.6.1.5.5.7.2.1'), text(0x16, 'https://a.example'))))),
    critical,
  );

type Row = readonly [
  name: string,
  rule: string,
  says: ChainCase['says'],
  chain: () => Chain,
  differs?: ChainCase['differs'],
];
const cases = (rows: readonly Row[]): ChainCase[] =>
  rows.map(([name, rule, says, chain, differs]) => ({ name, rule, says, chain, ...(differs && { differs }) }));

export const CERTIFICATES: readonly ChainCase[] = cases([
  ['a leaf in its last moment but one', '6.1.3 (a) (2)', 'accepted', device(ends, { at: END - 1_000 })],
  ['a leaf in its last second', '4.1.2.5', 'accepted', device(ends, { at: END }), 'the last second'],
  ['a leaf at the end of its last second', '4.1.2.5', 'accepted', device(ends, { at: END + 999 }), 'the last second'],
  ['a leaf just before its first second', '6.1.3 (a) (2)', 'not-yet-valid', device(begins, { at: END - 1 })],
  ['a leaf a second after', '6.1.3 (a) (2)', 'expired', device(ends, { at: END + 1_000 })],
  ['a leaf in its first second', '4.1.2.5', 'accepted', device(begins, { at: END })],
  ['a leaf a second before', '6.1.3 (a) (2)', 'not-yet-valid', device(begins, { at: END - 1_000 })],
  ['an intermediate that has expired', '6.1.3 (a) (2)', 'expired', below(ends, { at: END + DAY_MS })],
  ['an intermediate that is not valid yet', '6.1.3 (a) (2)', 'not-yet-valid', below(begins, { at: END - DAY_MS })],
  ['a root that has expired', 'RFC 5937', 'expired', under(ends, { at: END + DAY_MS })],
  ['a root that is not valid yet', 'RFC 5937', 'not-yet-valid', under(begins, { at: END - DAY_MS })],
  ['no end at all', '4.1.2.5', 'accepted', device({ notAfter: generalizedTime('99991231235959Z') })],
  [
    'GeneralizedTime before 2050',
    '4.1.2.5',
    'certificate-malformed',
    device({ notAfter: generalizedTime('20400101000000Z') }),
    'UTCTime until 2049',
  ],
  ['a time without seconds', '4.1.2.5.1', 'certificate-malformed', device({ notAfter: utcTime('4601010000Z') })],
  ['a time in another zone', '4.1.2.5.1', 'certificate-malformed', device({ notAfter: utcTime('460101000000+0100') })],
  ['the 31st of June', '4.1.2.5', 'certificate-malformed', device({ notAfter: utcTime('460631000000Z') })],
  ['a moment that is no number', '6.1.3 (a) (2)', 'expired', device({}, { at: Number.NaN }), 'no such bound'],

  [
    'a leaf of version 1',
    '4.1.2.1',
    'certificate-malformed',
    device({ version: NONE, noExtensions: true }, { purpose: 'any' }),
    'version 3 only',
  ],
  ['an intermediate of version 1', '6.1.4 (k)', 'certificate-malformed', below({ version: NONE, noExtensions: true })],
  [
    'a root of version 1',
    '6.1.1 (d)',
    'certificate-malformed',
    under({ version: NONE, noExtensions: true }),
    'version 3 only',
  ],
  [
    'version 2',
    '4.1.2.1',
    'certificate-malformed',
    device({ version: tlv(0xa0, integer('01')), noExtensions: true }, { purpose: 'any' }),
    'version 3 only',
  ],
  ['version 4', '4.1.2.1', 'certificate-malformed', device({ version: tlv(0xa0, integer('03')) }), 'version 3 only'],
  ['a serial number of 20 octets', '4.1.2.2', 'accepted', device({ serial: integer('7f'.repeat(20)) })],
  [
    'a serial number of 21 octets',
    '4.1.2.2',
    'certificate-malformed',
    device({ serial: integer('7f'.repeat(21)) }),
    'positive serial number',
  ],
  [
    'a negative serial number',
    '4.1.2.2',
    'certificate-malformed',
    device({ serial: integer('ff01') }),
    'positive serial number',
  ],
  [
    'the serial number zero',
    '4.1.2.2',
    'certificate-malformed',
    device({ serial: integer('00') }),
    'positive serial number',
  ],
  [
    'the serial number zero in an intermediate',
    '4.1.2.2',
    'certificate-malformed',
    below({ serial: integer('00') }),
    'positive serial number',
  ],
  ['the serial number zero in a root', '6.1.1 (d)', 'accepted', under({ serial: integer('00') })],
  ['a serial number that is not minimal', '4.1', 'certificate-malformed', device({ serial: integer('0001') })],
  [
    'unique identifiers',
    '4.1.2.8',
    'certificate-malformed',
    device({ uniqueIds: tlv(0x81, octets('00aa')) }),
    'no unique identifiers',
  ],

  [
    'an intermediate without basic constraints',
    '6.1.4 (k)',
    'not-an-authority',
    below({ constraints: null, usage: null }),
  ],
  [
    'an intermediate with CA false',
    '6.1.4 (k)',
    'not-an-authority',
    below({ constraints: extension('2.5.29.19', sequence(), TRUE), usage: null }),
  ],
  [
    'an intermediate with CA false, written out',
    '4.2.1.9',
    'certificate-malformed',
    below({ constraints: extension('2.5.29.19', sequence(octets('010100')), TRUE), usage: null }),
  ],
  [
    'basic constraints that are not critical',
    '6.1.4 (k)',
    'accepted',
    below({ constraints: extension('2.5.29.19', sequence(TRUE)) }),
  ],
  ['a root without basic constraints', 'RFC 5937', 'not-an-authority', under({ constraints: null, usage: null })],
  [
    'a path length without an authority',
    '4.2.1.9',
    'certificate-malformed',
    device({ constraints: extension('2.5.29.19', sequence(integer('00')), TRUE) }),
    'no authority, no issuing',
  ],
  [
    'a key for certificates without an authority',
    '4.2.1.3',
    'certificate-malformed',
    device({ usage: keyUsage('0284') }),
    'no authority, no issuing',
  ],
  ['a negative path length', '4.2.1.9', 'certificate-malformed', below({ constraints: isAuthority(integer('ff')) })],
  ['path length 0 above the leaf', '6.1.4 (l)', 'accepted', lengths(undefined, 0)],
  ['path length 0 above an authority', '6.1.4 (l)', 'path-length-exceeded', lengths(undefined, 0, undefined)],
  ['path length 1 above an authority', '6.1.4 (l)', 'accepted', lengths(undefined, 1, undefined)],
  ['path length 1 above two', '6.1.4 (l)', 'path-length-exceeded', lengths(undefined, 1, undefined, undefined)],
  ['path length of the root', 'RFC 5937', 'path-length-exceeded', lengths(0, undefined)],
  ['path length of the root, enough', 'RFC 5937', 'accepted', lengths(1, 0)],
  ['a longer length below a shorter one', '6.1.4 (m)', 'path-length-exceeded', lengths(0, 3)],
  ['path length 2 over everything allowed', '6.1.4 (m)', 'accepted', lengths(3, 2, 1, 0)],
  [
    'a renewed authority does not count',
    '6.1.4 (l)',
    'accepted',
    () => {
      const root = authority('Own root', { constraints: isAuthority(integer('00')) });
      const renewed = authority('Own root', { issuer: root });
      return { leaf: leaf(renewed), via: [renewed], trust: [root] };
    },
  ],
  [
    'an authority as client',
    'threat model',
    'leaf-is-authority',
    () => ({ leaf: authority('Sub', { issuer: ROOT, usage: keyUsage('0186'), purposes: purposes(CLIENT) }), via: [] }),
    'no authority as a leaf',
  ],
  [
    'an authority as server',
    'threat model',
    'leaf-is-authority',
    () => ({
      leaf: authority('Sub', { issuer: ROOT, usage: keyUsage('0186'), purposes: purposes(SERVER) }),
      via: [],
      purpose: 'server',
    }),
    'no authority as a leaf',
  ],
  ['an authority for any purpose', '6.1', 'accepted', () => ({ leaf: ISSUING, via: [], purpose: 'any' })],
  ['a root for any purpose', '6.1.1 (d)', 'accepted', () => ({ leaf: ROOT, via: [], purpose: 'any' })],

  ['an intermediate without keyCertSign', '6.1.4 (n)', 'key-usage', below({ usage: keyUsage('0780') })],
  ['an intermediate without key usage', '6.1.4 (n)', 'accepted', below({ usage: null })],
  ['a root without keyCertSign', 'RFC 5937', 'key-usage', under({ usage: keyUsage('0102') })],
  ['a client without digitalSignature', '4.2.1.3', 'key-usage', device({ usage: keyUsage('0520') })],
  ['a client with keyAgreement alone', '4.2.1.3', 'key-usage', device({ usage: keyUsage('0308') }), 'digitalSignature'],
  [
    'a server with keyEncipherment alone',
    '4.2.1.3',
    'key-usage',
    device({ usage: keyUsage('0520') }, { purpose: 'server' }),
    'digitalSignature',
  ],
  [
    'keyEncipherment alone for any purpose',
    '4.2.1.3',
    'accepted',
    device({ usage: keyUsage('0520') }, { purpose: 'any' }),
  ],
  ['a leaf without key usage', '4.2.1.3', 'accepted', device({ usage: null })],
  [
    'a key usage without a bit',
    '4.2.1.3',
    'certificate-malformed',
    device({ usage: keyUsage('00') }, { purpose: 'any' }),
  ],
  [
    'a key usage with spare bits',
    '4.2.1.3',
    'certificate-malformed',
    device({ usage: keyUsage('0080') }),
    'strict encoding',
  ],

  ['a client', '4.2.1.12', 'accepted', device({ purposes: purposes(CLIENT) })],
  ['a server as client', '4.2.1.12', 'purpose', device({ purposes: purposes(SERVER) })],
  ['a server', '4.2.1.12', 'accepted', device({ purposes: purposes(SERVER) }, { purpose: 'server' })],
  ['a client as server', '4.2.1.12', 'purpose', device({ purposes: purposes(CLIENT) }, { purpose: 'server' })],
  ['a signer of code', '4.2.1.12', 'purpose', device({ purposes: purposes(CODE_SIGNING) })],
  [
    'a signer of code for any purpose',
    '4.2.1.12',
    'accepted',
    device({ purposes: purposes(CODE_SIGNING) }, { purpose: 'any' }),
  ],
  ['a client that does not say so', '4.2.1.12', 'purpose', device({ purposes: null }), 'purpose must be said'],
  [
    'a server that does not say so',
    '4.2.1.12',
    'purpose',
    device({ purposes: null }, { purpose: 'server' }),
    'purpose must be said',
  ],
  ['a leaf for anything as client', '4.2.1.12', 'purpose', device({ purposes: purposes(ANY_PURPOSE) })],
  [
    'no purpose in the list',
    '4.2.1.12',
    'certificate-malformed',
    device({ purposes: extension('2.5.29.37', sequence()) }),
  ],
  ['an authority for servers above a client', '4.2.1.12', 'purpose', below({ purposes: purposes(SERVER) })],
  ['an authority for clients above a client', '4.2.1.12', 'accepted', below({ purposes: purposes(CLIENT) })],
  ['an authority for anything above a client', '4.2.1.12', 'purpose', below({ purposes: purposes(ANY_PURPOSE) })],
  [
    'an authority for servers, for any purpose',
    '4.2.1.12',
    'accepted',
    below({ purposes: purposes(SERVER) }, { purpose: 'any' }),
  ],
  ['a root for servers above a client', '4.2.1.12', 'purpose', under({ purposes: purposes(SERVER) })],
  ['a root for clients above a client', '4.2.1.12', 'accepted', under({ purposes: purposes(CLIENT) })],

  ['an unknown extension', '4.2', 'accepted', device({ more: [extension(UNKNOWN, octets('0500'))] })],
  [
    'an unknown critical extension',
    '4.2',
    'unknown-critical-extension',
    device({ more: [extension(UNKNOWN, octets('0500'), TRUE)] }),
  ],
  [
    'an unknown critical extension in an intermediate',
    '4.2',
    'unknown-critical-extension',
    below({ more: [extension(UNKNOWN, octets('0500'), TRUE)] }),
  ],
  [
    'an unknown critical extension in a root',
    'RFC 5937',
    'unknown-critical-extension',
    under({ more: [extension(UNKNOWN, octets('0500'), TRUE)] }),
  ],
  [
    'a critical flag that is FALSE, written out',
    '4.2',
    'certificate-malformed',
    device({ more: [extension(UNKNOWN, octets('0500'), octets('010100'))] }),
    'strict encoding',
  ],
  ['an extension twice', '4.2', 'certificate-malformed', device({ more: [keyUsage('0780')] })],
  [
    'an unknown extension twice',
    '4.2',
    'certificate-malformed',
    device({ more: [extension(UNKNOWN, octets('0500')), extension(UNKNOWN, octets('0500'))] }),
    'strict encoding',
  ],
  ['an extension twice in an intermediate', '4.2', 'certificate-malformed', below({ more: [isAuthority()] })],
  [
    'no extensions in the list',
    '4.1.2.9',
    'certificate-malformed',
    () => {
      const none = { constraints: null, usage: null, purposes: null, names: null, keyIds: [] };
      return { leaf: leaf(ISSUING, none), purpose: 'any' };
    },
    'strict encoding',
  ],
  [
    'policies',
    '4.2.1.4',
    'accepted',
    below({ more: [policies(NONE, oid('1.2.3.4'))] }, {}, { more: [policies(NONE, oid('1.2.3.5'))] }),
  ],
  ['critical policies', '4.2.1.4', 'accepted', below({ more: [policies(TRUE, oid('1.2.3.4'))] })],
  ['a policy with a qualifier', '4.2.1.4', 'accepted', device({ more: [qualified(NONE)] })],
  [
    'a critical policy with a qualifier',
    '4.2.1.4',
    'unsupported-feature',
    device({ more: [qualified(TRUE)] }),
    'no policy processing',
  ],
  [
    'a policy twice',
    '4.2.1.4',
    'certificate-malformed',
    device({ more: [policies(NONE, oid('1.2.3.4'), oid('1.2.3.4'))] }),
    'policy twice',
  ],
  [
    'policy mappings',
    '4.2.1.5',
    'unsupported-feature',
    below({ more: [extension('2.5.29.33', sequence(sequence(oid('1.2.3.4'), oid('1.2.3.5'))), TRUE)] }),
    'no policy processing',
  ],
  [
    'policy mappings that are not critical',
    '4.2.1.5',
    'unsupported-feature',
    below({ more: [extension('2.5.29.33', sequence(sequence(oid('1.2.3.4'), oid('1.2.3.5'))))] }),
    'no policy processing',
  ],
  [
    'policy constraints',
    '4.2.1.11',
    'unsupported-feature',
    below({ more: [extension('2.5.29.36', sequence(octets('800105')), TRUE)] }),
    'no policy processing',
  ],
  [
    'inhibit anyPolicy',
    '4.2.1.14',
    'unsupported-feature',
    below({ more: [extension('2.5.29.54', integer('05'), TRUE)] }),
    'no policy processing',
  ],
  [
    'a critical subject key identifier',
    '4.2.1.2',
    'unsupported-feature',
    device({ keyIds: [subjectKeyId(octets('01'), TRUE)] }),
  ],
  [
    'a critical authority key identifier',
    '4.2.1.1',
    'unsupported-feature',
    device({ keyIds: [authorityKeyId(keyId(ISSUING.keys), TRUE)] }),
  ],
  ['distribution points', '4.2.1.13', 'accepted', device({ more: [points(NONE)] })],
  [
    'critical distribution points',
    '4.2.1.13',
    'unsupported-feature',
    device({ more: [points(TRUE)] }),
    'no distribution points',
  ],
  [
    'a critical freshest CRL',
    '4.2.1.15',
    'unsupported-feature',
    device({ more: [extension('2.5.29.46', sequence(sequence()), TRUE)] }),
  ],
  [
    'critical authority information access',
    '4.2.2.1',
    'unsupported-feature',
    device({
      more: [
        extension(
          '1.3.6.1.5.5.7.1.1',
          sequence(sequence(oid('1.3.6.1.5.5.7.48.2'), text(0x86, 'http://a.example'))),
          TRUE,
        ),
      ],
    }),
  ],
  [
    'a certificate transparency poison',
    '4.2',
    'unsupported-feature',
    device({ more: [extension('1.3.6.1.4.1.11129.2.4.3', octets('0500'), TRUE)] }),
  ],
  [
    'a proxy certificate',
    '4.2',
    'unsupported-feature',
    device({
      names: null,
      more: [extension('1.3.6.1.5.5.7.1.14', sequence(sequence(oid('1.3.6.1.5.5.7.21.1'))), TRUE)],
    }),
  ],
  [
    'bytes after the end',
    '4.1',
    'certificate-malformed',
    () => ({ leaf: Buffer.concat([leaf(ISSUING).der, octets('00')]) }),
    'strict encoding',
  ],
  ['half a certificate', '4.1', 'certificate-malformed', () => ({ leaf: leaf(ISSUING).der.subarray(0, 200) })],
  ['no certificate', '4.1', 'certificate-malformed', () => ({ leaf: octets('3000') })],
  [
    'an empty alternative name',
    '4.2.1.6',
    'certificate-malformed',
    device({ names: alternativeNames() }, { purpose: 'any' }),
    'strict encoding',
  ],
]);

function points(critical: Der): Der {
  const name = tlv(0xa0, tlv(0xa0, text(0x86, 'http://a.example/crl')));
  return extension('2.5.29.31', sequence(sequence(name)), critical);
}
