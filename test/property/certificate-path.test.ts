/**
 * Chains under attack: bits flipped, fields changed and signed anew, certificates in each other's place. The verifier never
 * throws, answers from its closed list, and accepts nothing that `openssl verify` refuses.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CHAIN_REASONS } from '../../src/identity/path/refusal.ts';
import { type ChainRequest, verifyChain } from '../../src/identity/path/verify-chain.ts';
import { dns, integer, octets, purposes, sequence, tlv, uri } from '../unit/identity/certificate-maker.ts';
import {
  AT,
  address,
  alternativeNames,
  authority,
  ECDSA,
  email,
  type Issued,
  isAuthority,
  leaf,
  nameConstraints,
  OpensslVerify,
  revocationList,
  revoked,
} from '../unit/identity/path/chain-maker.ts';

const openssl = new OpensslVerify();
afterAll(() => openssl.close());

/** Without key identifiers: in what a wrong one means we differ from OpenSSL on purpose. */
const keyIds = { keyIds: [] };
const root = authority('Root', keyIds);
const upper = authority('Upper', {
  ...keyIds,
  issuer: root,
  constraints: isAuthority(integer('01')),
  more: [nameConstraints([dns('plant.example'), uri('.plant.example')], [address('0a000000ff000000')])],
});
const lower = authority('Lower', { ...keyIds, issuer: upper });
const device = leaf(lower, {
  ...keyIds,
  names: alternativeNames(dns('thermo-1.plant.example'), uri('https://a.plant.example/x'), email('a@b.example')),
});
const lists = [
  revocationList(lower, { entries: [revoked(integer('01'))], extensions: [] }),
  revocationList(upper, { extensions: [] }),
  revocationList(root, { extensions: [] }),
].map((der) => der);
const good: ChainRequest = {
  leaf: device.der,
  untrusted: [lower.der, upper.der],
  trust: [root.der],
  crls: [],
  purpose: 'client',
  at: AT,
};

/** Ours first; OpenSSL is only asked about what we would let in. */
async function assertNoWorseThanOpenssl(request: ChainRequest): Promise<void> {
  const verdict = verifyChain(request);
  if (verdict.accepted) {
    expect(verdict.path.at(-1)).toEqual(request.trust[0]);
    const chain = [request.leaf, ...request.untrusted, ...request.trust].map((der) => Buffer.from(der).toString('hex'));
    expect(await openssl.complaint(request), chain.join(' ')).toBeUndefined();
  } else {
    expect(CHAIN_REASONS).toContain(verdict.reason);
    expect(verdict.detail).toMatch(/^[\x20-\x7e’]+$/);
  }
}

const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const at = (length: number, where: number) => Math.floor(where * length);

function flipped(der: Uint8Array, where: number, bit: number): Buffer {
  const copy = Buffer.from(der);
  const index = at(copy.length, where);
  copy[index] = (copy[index] as number) ^ (1 << bit);
  return copy;
}

describe('a chain whose bytes are changed', () => {
  it('is what it was', () => {
    expect(verifyChain(good)).toMatchObject({ accepted: true });
  });

  it('one bit anywhere', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(3), position, fc.nat(7), async (which, where, bit) => {
        const ders = [device.der, lower.der, upper.der, root.der].map((der, index) =>
          index === which ? flipped(der, where, bit) : der,
        ) as [Buffer, Buffer, Buffer, Buffer];
        const request = { ...good, leaf: ders[0], untrusted: [ders[1], ders[2]], trust: [ders[3]] };
        await assertNoWorseThanOpenssl(request);
        // Everything below the anchor is signed: not one bit of it may be another.
        if (which < 3) expect(verifyChain(request).accepted).toBe(false);
      }),
      { numRuns: 600 },
    );
  });

  it('one bit of a revocation list', () => {
    fc.assert(
      fc.property(position, fc.nat(7), (where, bit) => {
        const list = flipped(revocationListOf(lower), where, bit);
        const verdict = verifyChain({ ...good, untrusted: [lower.der, upper.der], crls: [list, ...listsAbove] });
        expect(verdict.accepted).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('any bytes at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), fc.nat(3), async (bytes, which) => {
        const parts = [good.leaf, good.untrusted[0], good.trust[0], bytes].map((der, index) =>
          index === which ? bytes : der,
        ) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
        const crls = which === 3 ? [bytes] : [];
        const request = { ...good, leaf: parts[0], untrusted: [parts[1], upper.der], trust: [parts[2]], crls };
        expect(verifyChain(request).accepted).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

const listsAbove = [revocationListOf(upper), revocationListOf(root)];
function revocationListOf(issuer: Issued): Buffer {
  return revocationList(issuer, { entries: [revoked(integer('01'))] });
}

describe('a chain whose certificates change places', () => {
  it('is accepted only in its own order', async () => {
    const ders = [device.der, lower.der, upper.der, root.der, lists[0] as Buffer];
    const index = fc.nat(ders.length - 1);
    await fc.assert(
      fc.asyncProperty(index, fc.array(index, { maxLength: 4 }), index, async (first, between, anchor) => {
        await assertNoWorseThanOpenssl({
          ...good,
          leaf: ders[first] as Buffer,
          untrusted: between.map((one) => ders[one] as Buffer).filter((der) => der !== lists[0]),
          trust: [ders[anchor === 4 ? 3 : anchor] as Buffer],
        });
      }),
      { numRuns: 200 },
    );
  });
});

interface Node {
  tag: number;
  children: Node[];
  content: Uint8Array;
}

function parse(bytes: Uint8Array): Node[] {
  const nodes: Node[] = [];
  for (let where = 0; where < bytes.length; ) {
    const tag = bytes[where] as number;
    let length = bytes[where + 1] as number;
    let start = where + 2;
    if (length > 0x80) {
      const count = length & 0x7f;
      length = Buffer.from(bytes).readUIntBE(start, count);
      start += count;
    }
    const content = bytes.subarray(start, start + length);
    // Extension values are DER inside an OCTET STRING: change those too.
    const opens =
      (tag & 0x20) !== 0 || (tag === 0x04 && content.length > 2 && [0x30, 0x03].includes(content[0] as number));
    nodes.push({ tag, content, children: opens ? parse(content) : [] });
    where = start + length;
  }
  return nodes;
}

const write = (node: Node): Uint8Array =>
  tlv(node.tag, ...(node.children.length > 0 ? node.children.map(write) : [node.content]));

type Change = readonly [which: number, value: number, how: string];
const change: fc.Arbitrary<Change> = fc.tuple(
  fc.nat(),
  fc.oneof(fc.nat(255), fc.constantFrom(0x00, 0x01, 0x02, 0x30, 0x80, 0x81, 0x82, 0x86, 0xa0, 0xa1, 0xa3, 0xa4, 0xff)),
  fc.constantFrom('octet', 'octet', 'tag', 'drop', 'double', 'empty', 'swap'),
);

/** The certificate with one element of its signed part changed, all lengths put right, and signed again by its issuer. */
function resigned(certificate: Issued, issuer: Issued, [which, value, how]: Change): Buffer {
  const [outer] = parse(certificate.der) as [Node];
  const [body] = outer.children as [Node];
  const all: { node: Node; siblings: Node[] }[] = [];
  const collect = (siblings: Node[]) => {
    for (const node of siblings) {
      all.push({ node, siblings });
      collect(node.children);
    }
  };
  collect(body.children);
  const { node, siblings } = all[which % all.length]!;
  const index = siblings.indexOf(node);
  if (how === 'tag') node.tag = value;
  else if (how === 'drop') siblings.splice(index, 1);
  else if (how === 'double') siblings.splice(index, 0, node);
  else if (how === 'empty') [node.children, node.content] = [[], Buffer.alloc(0)];
  else if (how === 'swap') {
    const other = value % siblings.length;
    [siblings[index], siblings[other]] = [siblings[other] as Node, node];
  } else {
    node.content = Buffer.from(node.content);
    node.children = [];
    if (node.content.length > 0)
      node.content[value % node.content.length] = createHash('md5').update(String(which)).digest()[0]!;
  }
  const signed = write(body);
  const signature = ECDSA.sign(signed, issuer.keys.privateKey);
  return Buffer.from(sequence(signed, ECDSA.identifier, tlv(0x03, octets('00'), signature)));
}

describe('a chain with a field changed and signed anew', () => {
  const plain = leaf(lower, { ...keyIds, purposes: purposes('1.3.6.1.5.5.7.3.2') });
  it.each([
    ['the leaf', (by: Change) => ({ ...good, leaf: resigned(device, lower, by) })],
    ['a leaf with one purpose', (by: Change) => ({ ...good, leaf: resigned(plain, lower, by) })],
    ['the lower authority', (by: Change) => ({ ...good, untrusted: [resigned(lower, upper, by), upper.der] })],
    ['the upper authority', (by: Change) => ({ ...good, untrusted: [lower.der, resigned(upper, root, by)] })],
    ['the root', (by: Change) => ({ ...good, trust: [resigned(root, root, by)] })],
  ])('%s', async (_, changed) => {
    await fc.assert(
      fc.asyncProperty(change, async (by) => await assertNoWorseThanOpenssl(changed(by))),
      { numRuns: 80 * Number(process.env.SALLYPORT_PATH_RUNS ?? 1) },
    );
  });
});
