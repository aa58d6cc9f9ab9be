/** How names are compared, and what name constraints let through. */
import {
  type Der,
  dns,
  extension,
  name,
  octets,
  oid,
  sequence,
  set,
  TRUE,
  text,
  tlv,
  uri,
  utf8,
} from '../certificate-maker.ts';
import { type Chain, type ChainCase, ROOT } from './chain-case.ts';
import {
  address,
  alternativeNames,
  authority,
  commonName,
  directory,
  email,
  type Issued,
  leaf,
  nameConstraints,
  type Wish,
} from './chain-maker.ts';

const O = '2.5.4.10';
const CN = '2.5.4.3';
const EMAIL = '1.2.840.113549.1.9.1';
const printable = (value: string) => text(0x13, value);
const ia5 = (value: string) => text(0x16, value);
const bmp = (value: string) => tlv(0x1e, Buffer.from(value, 'utf16le').swap16());

/** The leaf writes its issuer's name its own way. */
const spelt = (subject: Der, issuerName: Der) => (): Chain => {
  const issuer = authority(subject, { issuer: ROOT });
  return { leaf: leaf(issuer, { issuerName }), via: [issuer] };
};
/** An authority with constraints above a leaf with names. */
const bound =
  (permitted: readonly Der[], excluded: readonly Der[], names: Der | null, wish: Wish = {}) =>
  (): Chain => {
    const issuer = authority('Bound', { issuer: ROOT, more: [nameConstraints(permitted, excluded)] });
    return { leaf: leaf(issuer, { names, ...wish }), via: [issuer] };
  };
const named = (...all: Der[]) => alternativeNames(...all);
const constrained = (extensionBytes: Der) => (): Chain => {
  const issuer = authority('Bound', { issuer: ROOT, more: [extensionBytes] });
  return { leaf: leaf(issuer), via: [issuer] };
};
const PLANT = name([O, utf8('Plant')]);
const inPlant = (cn: string) => name([O, utf8('Plant')], [CN, utf8(cn)]);
const V4 = '0a000000ff000000';
const V6 = `20010db8${'00'.repeat(12)}ffffffff${'00'.repeat(12)}`;
const nc = '4.2.1.10';
const doubt = 'constraints in doubt';

type Row = readonly [
  name: string,
  rule: string,
  says: ChainCase['says'],
  chain: () => Chain,
  differs?: ChainCase['differs'],
];
const cases = (rows: readonly Row[]): ChainCase[] =>
  rows.map(([title, rule, says, chain, differs]) => ({ name: title, rule, says, chain, ...(differs && { differs }) }));

export const NAMES: readonly ChainCase[] = cases([
  ['an issuer in other letters', '7.1', 'accepted', spelt(commonName('Plant CA'), commonName('PLANT ca'))],
  ['an issuer with other spaces', '7.1', 'accepted', spelt(commonName('Plant CA'), commonName('  Plant   CA '))],
  ['an issuer without the space', '7.1', 'no-trusted-path', spelt(commonName('Plant CA'), commonName('PlantCA'))],
  [
    'an issuer in another string type',
    '7.1',
    'accepted',
    spelt(name([O, printable('Plant')]), name([O, utf8('Plant')])),
  ],
  ['an issuer in IA5String', '7.1', 'accepted', spelt(name([O, ia5('Plant')]), name([O, utf8('plant')]))],
  [
    'an issuer in TeletexString',
    '7.1',
    'no-trusted-path',
    spelt(name([O, text(0x14, 'Plant')]), name([O, utf8('Plant')])),
    'old string types byte by byte',
  ],
  [
    'an issuer that is no string',
    '4.1.2.4',
    'certificate-malformed',
    () => ({ leaf: leaf(ROOT, { issuerName: name([O, text(0x04, 'Plant')]) }), via: [] }),
  ],
  [
    'an issuer in BMPString',
    '7.1',
    'no-trusted-path',
    spelt(name([O, bmp('Plant')]), name([O, utf8('Plant')])),
    'old string types byte by byte',
  ],
  ['an issuer in BMPString on both sides', '7.1', 'accepted', spelt(name([O, bmp('Plant')]), name([O, bmp('Plant')]))],
  [
    'an issuer with another capital beyond ASCII',
    '7.1',
    'no-trusted-path',
    spelt(commonName('Äpfel'), commonName('äpfel')),
  ],
  ['an issuer beyond ASCII', '7.1', 'accepted', spelt(commonName('Äpfel'), commonName('Äpfel'))],
  [
    'an issuer whose parts are in another order',
    '7.1',
    'no-trusted-path',
    spelt(name([O, utf8('a')], [CN, utf8('b')]), name([CN, utf8('b')], [O, utf8('a')])),
  ],
  [
    'an issuer with a part more',
    '7.1',
    'no-trusted-path',
    spelt(name([O, utf8('a')]), name([O, utf8('a')], [CN, utf8('b')])),
  ],
  ['an issuer with another attribute', '7.1', 'no-trusted-path', spelt(name([O, utf8('a')]), name([CN, utf8('a')]))],
  ['an issuer with two attributes in one part', '7.1', 'accepted', spelt(twoInOne('a', 'b'), twoInOne('A', 'B'))],
  [
    'an issuer that is not UTF-8',
    '4.1.2.4',
    'certificate-malformed',
    () => ({ leaf: leaf(ROOT, { issuerName: name([O, tlv(0x0c, octets('c328'))]) }), via: [] }),
  ],
  ['no issuer', '4.1.2.4', 'certificate-malformed', () => ({ leaf: leaf(ROOT, { issuerName: sequence() }), via: [] })],
  [
    'no subject, a critical alternative name',
    '4.1.2.6',
    'accepted',
    () => ({
      leaf: leaf(ROOT, { subject: sequence(), names: extension('2.5.29.17', sequence(dns('a.example')), TRUE) }),
      via: [],
    }),
  ],
  [
    'no subject, an alternative name that is not critical',
    '4.1.2.6',
    'certificate-malformed',
    () => ({ leaf: leaf(ROOT, { subject: sequence() }), via: [] }),
    'empty subject, critical name',
  ],
  [
    'an authority without a subject',
    '4.1.2.6',
    'certificate-malformed',
    () => {
      const nobody = authority(sequence(), {
        issuer: ROOT,
        names: extension('2.5.29.17', sequence(dns('a.example')), TRUE),
      });
      return { leaf: leaf(nobody, { issuerName: commonName('Root') }), via: [nobody], trust: [authority('Elsewhere')] };
    },
  ],

  ['dns: itself', nc, 'accepted', bound([dns('plant.example')], [], named(dns('plant.example')))],
  ['dns: below', nc, 'accepted', bound([dns('plant.example')], [], named(dns('a.b.PLANT.example')))],
  ['dns: beside', nc, 'name-constraints', bound([dns('plant.example')], [], named(dns('evilplant.example')))],
  ['dns: above', nc, 'name-constraints', bound([dns('plant.example')], [], named(dns('example')))],
  [
    'dns: one of two outside',
    nc,
    'name-constraints',
    bound([dns('plant.example')], [], named(dns('a.plant.example'), dns('a.example'))),
  ],
  [
    'dns: one of two permissions',
    nc,
    'accepted',
    bound([dns('a.example'), dns('b.example')], [], named(dns('x.b.example'))),
  ],
  ['dns: excluded', nc, 'name-constraints', bound([], [dns('plant.example')], named(dns('a.plant.example')))],
  ['dns: not excluded', nc, 'accepted', bound([], [dns('plant.example')], named(dns('a.example')))],
  [
    'dns: permitted and excluded',
    nc,
    'name-constraints',
    bound([dns('plant.example')], [dns('lab.plant.example')], named(dns('x.lab.plant.example'))),
  ],
  ['dns: all excluded', nc, 'name-constraints', bound([], [dns('')], named(dns('a.example')))],
  ['dns: all permitted', nc, 'accepted', bound([dns('')], [], named(dns('a.example')))],
  ['dns: a wildcard below', nc, 'accepted', bound([dns('plant.example')], [], named(dns('*.plant.example')))],
  [
    'dns: a wildcard that may be the excluded host',
    nc,
    'name-constraints',
    bound([], [dns('lab.plant.example')], named(dns('*.plant.example'))),
    'wildcard under exclusion',
  ],
  [
    'dns: a wildcard beside the exclusion',
    nc,
    'accepted',
    bound([], [dns('lab.plant.example')], named(dns('*.office.example'))),
  ],
  [
    'dns: a permission with a leading dot',
    nc,
    'certificate-malformed',
    bound([dns('.plant.example')], [], named(dns('a.plant.example'))),
    doubt,
  ],
  [
    'dns: a permission with a wildcard',
    nc,
    'certificate-malformed',
    bound([dns('*.plant.example')], [], named(dns('a.plant.example'))),
  ],
  [
    'dns: a name with a dot at its end',
    nc,
    'name-constraints',
    bound([], [dns('plant.example')], named(dns('a.plant.example.'))),
    doubt,
  ],
  [
    'dns: only another kind is constrained',
    nc,
    'accepted',
    bound([email('plant.example')], [], named(dns('a.example'))),
  ],
  [
    'dns: a common name outside that looks like a host',
    nc,
    'name-constraints',
    bound([dns('plant.example')], [], named(uri('urn:x')), { subject: 'evil.example' }),
  ],
  [
    'dns: a common name inside',
    nc,
    'accepted',
    bound([dns('plant.example')], [], named(uri('urn:x')), { subject: 'a.plant.example' }),
  ],
  [
    'dns: a common name beside a name',
    nc,
    'accepted',
    bound([dns('plant.example')], [], named(dns('a.plant.example')), { subject: 'evil.example' }),
  ],
  [
    'dns: a NUL in the name',
    '4.2.1.6',
    'certificate-malformed',
    bound([dns('plant.example')], [], named(dns('evil.example\0.plant.example'))),
    'visible ASCII',
  ],

  ['address: inside', nc, 'accepted', bound([address(V4)], [], named(address('0a010203')))],
  ['address: outside', nc, 'name-constraints', bound([address(V4)], [], named(address('0b010203')))],
  ['address: excluded', nc, 'name-constraints', bound([], [address(V4)], named(address('0a010203')))],
  ['address: not excluded', nc, 'accepted', bound([], [address(V4)], named(address('c0a80001')))],
  ['address: IPv6 inside', nc, 'accepted', bound([address(V6)], [], named(address(`20010db8${'01'.repeat(12)}`)))],
  [
    'address: IPv6 outside',
    nc,
    'name-constraints',
    bound([address(V6)], [], named(address(`20010db9${'01'.repeat(12)}`))),
  ],
  [
    'address: IPv6 where IPv4 is permitted',
    nc,
    'name-constraints',
    bound([address(V4)], [], named(address(`20010db8${'01'.repeat(12)}`))),
  ],
  ['address: of three octets', '4.2.1.6', 'certificate-malformed', bound([address(V4)], [], named(address('0a0102')))],
  [
    'address: a constraint without a mask',
    nc,
    'certificate-malformed',
    bound([address('0a000000')], [], named(address('0a010203'))),
  ],
  [
    'address: a mask with holes',
    nc,
    'certificate-malformed',
    bound([address('0a000000ff00ff00')], [], named(address('0a010003'))),
    doubt,
  ],

  ['uri: the host', nc, 'accepted', bound([uri('plant.example')], [], named(uri('coaps://plant.example/x')))],
  [
    'uri: a host below, which is not permitted',
    nc,
    'name-constraints',
    bound([uri('plant.example')], [], named(uri('coaps://a.plant.example/x'))),
  ],
  [
    'uri: a host below the domain',
    nc,
    'accepted',
    bound([uri('.plant.example')], [], named(uri('https://a.plant.example:8443/x?y#z'))),
  ],
  [
    'uri: the domain itself',
    nc,
    'name-constraints',
    bound([uri('.plant.example')], [], named(uri('https://plant.example/'))),
  ],
  ['uri: in other letters', nc, 'accepted', bound([uri('plant.example')], [], named(uri('HTTPS://PLANT.example/')))],
  ['uri: excluded', nc, 'name-constraints', bound([], [uri('.plant.example')], named(uri('https://a.plant.example/')))],
  ['uri: not excluded', nc, 'accepted', bound([], [uri('.plant.example')], named(uri('https://a.example/')))],
  [
    'uri: an address for a host',
    nc,
    'name-constraints',
    bound([uri('plant.example')], [], named(uri('https://10.0.0.1/'))),
  ],
  [
    'uri: an address for a host under an exclusion',
    nc,
    'name-constraints',
    bound([], [uri('plant.example')], named(uri('https://10.0.0.1/'))),
    doubt,
  ],
  [
    'uri: without a host',
    nc,
    'name-constraints',
    bound([uri('plant.example')], [], named(uri('urn:sallyport:device:a'))),
  ],
  [
    'uri: without a host under an exclusion',
    nc,
    'name-constraints',
    bound([], [uri('plant.example')], named(uri('urn:sallyport:device:a'))),
  ],
  [
    'uri: a host that is another one’s user',
    nc,
    'name-constraints',
    bound([uri('plant.example')], [], named(uri('https://plant.example@evil.example/'))),
  ],
  [
    'uri: a constraint with a scheme',
    nc,
    'certificate-malformed',
    bound([uri('https://plant.example')], [], named(uri('https://plant.example/'))),
  ],

  ['email: a mailbox', nc, 'accepted', bound([email('ada@plant.example')], [], named(email('ada@PLANT.example')))],
  [
    'email: another mailbox',
    nc,
    'name-constraints',
    bound([email('ada@plant.example')], [], named(email('bob@plant.example'))),
  ],
  [
    'email: a mailbox in other letters',
    nc,
    'name-constraints',
    bound([email('ada@plant.example')], [], named(email('Ada@plant.example'))),
  ],
  ['email: a host', nc, 'accepted', bound([email('plant.example')], [], named(email('bob@plant.example')))],
  [
    'email: a host below',
    nc,
    'name-constraints',
    bound([email('plant.example')], [], named(email('bob@a.plant.example'))),
  ],
  ['email: a domain', nc, 'accepted', bound([email('.plant.example')], [], named(email('bob@a.plant.example')))],
  ['email: excluded', nc, 'name-constraints', bound([], [email('plant.example')], named(email('bob@plant.example')))],
  [
    'email: an excluded mailbox in other letters',
    nc,
    'name-constraints',
    bound([], [email('ada@plant.example')], named(email('ADA@plant.example'))),
    doubt,
  ],
  [
    'email: in the subject, outside',
    nc,
    'name-constraints',
    bound([email('plant.example')], [], named(uri('urn:x')), {
      subject: name([CN, utf8('x')], [EMAIL, ia5('eve@evil.example')]),
    }),
  ],
  [
    'email: in the subject, inside',
    nc,
    'accepted',
    bound([email('plant.example')], [], named(uri('urn:x')), {
      subject: name([CN, utf8('x')], [EMAIL, ia5('eve@plant.example')]),
    }),
  ],
  [
    'email: no mailbox at all',
    nc,
    'name-constraints',
    bound([email('plant.example')], [], named(email('plant.example'))),
  ],
  [
    'email: beyond ASCII',
    nc,
    'name-constraints',
    bound([email('plant.example')], [], named(tlv(0xa0, oid('1.3.6.1.5.5.7.8.9'), tlv(0xa0, utf8('ä@evil.example'))))),
  ],

  [
    'directory: inside',
    nc,
    'accepted',
    bound([directory(PLANT)], [], named(dns('a.example')), { subject: inPlant('a') }),
  ],
  ['directory: itself', nc, 'accepted', bound([directory(PLANT)], [], named(dns('a.example')), { subject: PLANT })],
  [
    'directory: inside in other letters',
    nc,
    'accepted',
    bound([directory(name([O, printable('PLANT')]))], [], named(dns('a.example')), { subject: inPlant('a') }),
  ],
  [
    'directory: outside',
    nc,
    'name-constraints',
    bound([directory(PLANT)], [], named(dns('a.example')), { subject: name([O, utf8('Other')]) }),
  ],
  [
    'directory: excluded',
    nc,
    'name-constraints',
    bound([], [directory(PLANT)], named(dns('a.example')), { subject: inPlant('a') }),
  ],
  ['directory: not excluded', nc, 'accepted', bound([], [directory(PLANT)], named(dns('a.example')), { subject: 'a' })],
  [
    'directory: an alternative name outside',
    nc,
    'name-constraints',
    bound([directory(PLANT)], [], named(directory(commonName('x'))), { subject: inPlant('a') }),
  ],
  [
    'directory: beyond ASCII beside an exclusion',
    nc,
    'name-constraints',
    bound([], [directory(name([O, utf8('Ölwerk')]))], named(dns('a.example')), { subject: name([O, utf8('ölwerk')]) }),
    'names beyond ASCII under exclusion',
  ],
  [
    'directory: no subject and nothing to compare',
    nc,
    'accepted',
    bound([directory(PLANT)], [], extension('2.5.29.17', sequence(dns('a.example')), TRUE), { subject: sequence() }),
  ],

  [
    'two authorities, each permits its own',
    '6.1.4 (g)',
    'name-constraints',
    twoBounds('a.example', 'b.example', 'x.b.example'),
  ],
  ['two authorities, one within the other', '6.1.4 (g)', 'accepted', twoBounds('example', 'b.example', 'x.b.example')],
  ['a lower authority cannot widen', '6.1.4 (g)', 'name-constraints', twoBounds('b.example', 'example', 'x.a.example')],
  [
    'constraints of the root',
    'RFC 5937',
    'name-constraints',
    () => {
      const root = authority('Bound root', { more: [nameConstraints([dns('plant.example')])] });
      return { leaf: leaf(root, { names: named(dns('a.example')) }), via: [], trust: [root] };
    },
  ],
  [
    'constraints on an intermediate’s own name',
    '6.1.3 (b)',
    'name-constraints',
    () => {
      const upper = authority('Bound', { issuer: ROOT, more: [nameConstraints([directory(PLANT)])] });
      const lower = authority('Outside', { issuer: upper });
      return { leaf: leaf(lower, { subject: inPlant('a') }), via: [upper, lower] };
    },
  ],
  [
    'a renewed authority is not held to its own constraints',
    '6.1.3 (b)',
    'accepted',
    () => {
      const upper = authority('Bound', { issuer: ROOT, more: [nameConstraints([directory(PLANT)])] });
      const renewed = authority('Bound', { issuer: upper });
      return { leaf: leaf(renewed, { subject: inPlant('a') }), via: [upper, renewed] };
    },
  ],
  [
    'a self-issued leaf is held to them',
    '6.1.3 (b)',
    'name-constraints',
    () => {
      const upper = authority('Bound', { issuer: ROOT, more: [nameConstraints([directory(PLANT)])] });
      return { leaf: leaf(upper, { subject: 'Bound' }), via: [upper] };
    },
  ],
  [
    'constraints on a leaf',
    nc,
    'certificate-malformed',
    () => ({ leaf: leaf(ROOT, { more: [nameConstraints([dns('thermo-1.plant.example')])] }), via: [] }),
    'name constraints on a leaf',
  ],
  ['empty constraints', nc, 'certificate-malformed', constrained(extension('2.5.29.30', sequence(), TRUE)), doubt],
  [
    'a constraint of another kind',
    nc,
    'unsupported-feature',
    bound([], [tlv(0x88, octets('2a03'))], named(dns('a.example'))),
    doubt,
  ],
  [
    'a constraint with a minimum',
    nc,
    'unsupported-feature',
    constrained(
      extension('2.5.29.30', sequence(tlv(0xa0, sequence(dns('plant.example'), tlv(0x80, octets('01'))))), TRUE),
    ),
  ],
  [
    'an excluded list without an entry',
    nc,
    'certificate-malformed',
    constrained(extension('2.5.29.30', sequence(tlv(0xa1)), TRUE)),
    doubt,
  ],
]);

function twoInOne(a: string, b: string): Der {
  return sequence(set(sequence(oid(CN), utf8(a)), sequence(oid(O), utf8(b))));
}

function twoBounds(upper: string, lower: string, leafName: string): () => Chain {
  return () => {
    const first: Issued = authority('Upper', { issuer: ROOT, more: [nameConstraints([dns(upper)])] });
    const second = authority('Lower', { issuer: first, more: [nameConstraints([dns(lower)])] });
    return { leaf: leaf(second, { names: named(dns(leafName)) }), via: [first, second] };
  };
}
