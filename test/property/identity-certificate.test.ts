/**
 * Hostile certificates by mutation of good ones. Whatever is done to the bytes: a Fault of one code, or the identity that
 * OpenSSL reads in the very same bytes. And whatever is written into a certificate is read out of it.
 */
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Peer } from '../../src/exchange/peer.ts';
import { Fault } from '../../src/faults/fault.ts';
import { peerFromCertificate } from '../../src/identity/certificate.ts';
import {
  alternativeNames,
  CLIENT,
  certificate,
  type Der,
  dns,
  extensionsFor,
  integer,
  name,
  newKey,
  purposes,
  sequence,
  spkiOf,
  text,
  tlv,
  uri,
  utcTime,
  utf8,
} from '../unit/identity/certificate-maker.ts';

const MAX_BYTES = 16_384;
const RUNS = 2_000;

const SEEDS: readonly Buffer[] = [
  certificate(),
  certificate({ publicKey: spkiOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey) }),
  certificate({ publicKey: spkiOf(generateKeyPairSync('ed25519').publicKey) }),
  certificate({
    serial: integer('00f00102030405060708090a0b0c0d0e0f'),
    issuer: name(['2.5.4.6', text(0x13, 'DE')], ['2.5.4.10', utf8('Ä & Ö, "Söhne"')], ['1.2.3.4', utf8('x')]),
    extensions: [
      ...extensionsFor('thermo-1').slice(0, 3),
      alternativeNames(
        text(0x81, 'a@b.example'),
        uri('urn:a,b"c'),
        dns('x.example'),
        tlv(0x87, Buffer.from([10, 0, 0, 1])),
      ),
    ],
  }),
];

/** One change to the bytes. Positions are fractions, so that a shrunk example stays meaningful. */
type Mutation = (bytes: Buffer) => Buffer;
const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const at = (bytes: Buffer, where: number) => Math.floor(where * bytes.length);
const octet = fc.oneof(
  fc.nat(255),
  fc.constantFrom(0x00, 0x01, 0x02, 0x30, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x86, 0xa0, 0xa3, 0xa6, 0xff),
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, octet).map(
    ([where, value]): Mutation =>
      (bytes) => {
        const copy = Buffer.from(bytes);
        copy[at(bytes, where)] = value;
        return copy;
      },
  ),
  fc.tuple(position, fc.nat(7)).map(
    ([where, bit]): Mutation =>
      (bytes) => {
        const copy = Buffer.from(bytes);
        copy[at(bytes, where)] = (copy[at(bytes, where)] as number) ^ (1 << bit);
        return copy;
      },
  ),
  position.map(
    (where): Mutation =>
      (bytes) =>
        bytes.subarray(0, at(bytes, where)),
  ),
  fc.tuple(position, fc.integer({ min: 1, max: 40 })).map(
    ([where, count]): Mutation =>
      (bytes) =>
        Buffer.concat([bytes.subarray(0, at(bytes, where)), bytes.subarray(at(bytes, where) + count)]),
  ),
  fc.tuple(position, fc.uint8Array({ minLength: 1, maxLength: 40 })).map(
    ([where, more]): Mutation =>
      (bytes) =>
        Buffer.concat([bytes.subarray(0, at(bytes, where)), more, bytes.subarray(at(bytes, where))]),
  ),
  fc.tuple(position, position, fc.integer({ min: 1, max: 60 })).map(
    ([from, to, count]): Mutation =>
      (bytes) =>
        Buffer.concat([
          bytes.subarray(0, at(bytes, to)),
          bytes.subarray(at(bytes, from), at(bytes, from) + count),
          bytes.subarray(at(bytes, to)),
        ]),
  ),
);

/** Mutations inside an element with all lengths around it put right again: what gets past a reader that only counts. */
const deepMutation = fc.tuple(fc.nat(), octet, fc.constantFrom('content', 'tag', 'drop', 'double', 'empty' as const));

interface Node {
  tag: number;
  children: Node[];
  content: Buffer;
}

function parse(bytes: Buffer): Node[] {
  const nodes: Node[] = [];
  for (let where = 0; where < bytes.length; ) {
    const tag = bytes[where] as number;
    let length = bytes[where + 1] as number;
    let start = where + 2;
    if (length > 0x80) {
      const octets = length & 0x7f;
      length = bytes.readUIntBE(start, octets);
      start += octets;
    }
    const content = bytes.subarray(start, start + length);
    // Extension values are DER inside an OCTET STRING: mutate those too.
    const opens =
      (tag & 0x20) !== 0 || (tag === 0x04 && content.length > 2 && [0x30, 0x03].includes(content[0] as number));
    nodes.push({ tag, content, children: opens ? parse(content) : [] });
    where = start + length;
  }
  return nodes;
}

const write = (node: Node): Der =>
  tlv(node.tag, ...(node.children.length > 0 ? node.children.map(write) : [node.content]));

function mutateDeeply(seed: Buffer, [which, value, how]: readonly [number, number, string]): Buffer {
  const [root] = parse(seed) as [Node];
  const all: { node: Node; siblings: Node[] }[] = [];
  const collect = (siblings: Node[]) => {
    for (const node of siblings) {
      all.push({ node, siblings });
      collect(node.children);
    }
  };
  collect(root.children);
  const { node, siblings } = all[which % all.length]!;
  if (how === 'tag') node.tag = value;
  else if (how === 'drop') siblings.splice(siblings.indexOf(node), 1);
  else if (how === 'double') siblings.splice(siblings.indexOf(node), 0, node);
  else if (how === 'empty') [node.children, node.content] = [[], Buffer.alloc(0)];
  else {
    node.content = Buffer.from(node.content);
    node.children = [];
    if (node.content.length > 0) node.content[which % node.content.length] = value;
  }
  return Buffer.from(write(root));
}

/** What node:crypto says of the same bytes. */
function assertAsNodeReads(peer: Peer, der: Buffer): void {
  const node = new X509Certificate(der);
  const spki = node.publicKey.export({ type: 'spki', format: 'der' });
  expect(peer.key).toBe(createHash('sha256').update(spki).digest('hex'));
  expect(peer.serial).toBe(node.serialNumber);
  expect(peer.notBefore).toBe(node.validFromDate.getTime());
  expect(peer.notAfter).toBe(node.validToDate.getTime());
  expect(node.ca).toBe(false);
  expect(peer.names).toEqual(namesOf(node.subjectAltName ?? ''));
  if (peer.clientAuthentication) expect(node.keyUsage).toContain(CLIENT);
}

/** node:crypto prints `kind:value` joined by commas, the value as JSON when it could be misread. */
function namesOf(printed: string): string[] {
  const names = [...printed.matchAll(/(URI|DNS|[A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)];
  return names
    .filter(([, kind]) => kind === 'URI' || kind === 'DNS')
    .map(([, kind, value]) => `${kind}:${value?.startsWith('"') ? JSON.parse(value) : value}`);
}

function judge(der: Buffer): 'accepted' | 'refused' {
  let peer: Peer;
  try {
    peer = peerFromCertificate(der, '10.0.3.17', MAX_BYTES);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(Fault);
    expect((thrown as Fault).code).toBe('SP_CERTIFICATE_INVALID');
    return 'refused';
  }
  assertAsNodeReads(peer, der);
  return 'accepted';
}

describe('a mutated certificate', () => {
  it('is refused by a Fault or read as OpenSSL reads it', () => {
    const counts = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(fc.constantFrom(...SEEDS), fc.array(mutation, { minLength: 1, maxLength: 4 }), (seed, mutations) => {
        counts[judge(mutations.reduce((bytes, mutate) => mutate(bytes), seed))]++;
      }),
      { numRuns: RUNS },
    );
    console.log(`mutated bytes: ${counts.accepted} accepted as OpenSSL reads them, ${counts.refused} refused`);
    expect(counts.refused).toBeGreaterThan(0);
  });

  it('with all its lengths right is refused by a Fault or read as OpenSSL reads it', () => {
    const counts = { accepted: 0, refused: 0 };
    fc.assert(
      fc.property(fc.constantFrom(...SEEDS), deepMutation, (seed, change) => {
        counts[judge(mutateDeeply(seed, change))]++;
      }),
      { numRuns: RUNS },
    );
    console.log(`mutated elements: ${counts.accepted} accepted as OpenSSL reads them, ${counts.refused} refused`);
    expect(counts.accepted).toBeGreaterThan(0);
  });

  it('of random bytes is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        expect(judge(Buffer.from(bytes))).toBe('refused');
      }),
      { numRuns: RUNS },
    );
  });
});

describe('a good certificate', () => {
  const visible = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 60,
  });
  const names = fc.array(fc.tuple(fc.constantFrom('URI', 'DNS'), visible), { minLength: 1, maxLength: 8 });
  const serial = fc
    .uint8Array({ minLength: 1, maxLength: 19 })
    .map((bytes) => `01${Buffer.from(bytes).toString('hex')}`);
  const second = fc.integer({ min: Date.UTC(1970, 0, 1) / 1000, max: Date.UTC(2049, 11, 31) / 1000 });
  const keys = Array.from({ length: 8 }, newKey);

  it('is read as it was written', () => {
    fc.assert(
      fc.property(names, serial, second, second, fc.constantFrom(...keys), (written, number, from, to, publicKey) => {
        const time = (seconds: number) =>
          utcTime(`${new Date(seconds * 1000).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`);
        const der = certificate({
          publicKey,
          serial: integer(number),
          validity: sequence(time(from), time(to)),
          extensions: [
            purposes(CLIENT),
            alternativeNames(...written.map(([kind, value]) => (kind === 'URI' ? uri : dns)(value))),
          ],
        });
        expect(peerFromCertificate(der, '::1', MAX_BYTES)).toMatchObject({
          key: createHash('sha256').update(publicKey).digest('hex'),
          names: written.map(([kind, value]) => `${kind}:${value}`),
          serial: number.toUpperCase(),
          notBefore: from * 1000,
          notAfter: to * 1000,
          clientAuthentication: true,
        });
        expect(judge(der)).toBe('accepted');
      }),
      { numRuns: 500 },
    );
  });
});

describe('the issuer’s name', () => {
  const attribute = fc.tuple(
    fc.constantFrom('2.5.4.3', '2.5.4.10', '2.5.4.6', '1.2.3.4'),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  const issuer = fc.array(attribute, { minLength: 1, maxLength: 4 });
  const printed = (attributes: [string, string][]) =>
    peerFromCertificate(
      certificate({ issuer: name(...attributes.map(([type, value]) => [type, utf8(value)] as [string, Der])) }),
      '',
      MAX_BYTES,
    ).issuer;

  it('is the same text only for the same name, and visible ASCII always', () => {
    fc.assert(
      fc.property(issuer, issuer, (one, two) => {
        const [first, second] = [printed(one), printed(two)];
        expect(first).toMatch(/^[\x20-\x7e]+$/);
        expect(first === second).toBe(JSON.stringify(one) === JSON.stringify(two));
      }),
      { numRuns: 1_000 },
    );
  });
});
