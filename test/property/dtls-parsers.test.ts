/**
 * Whatever arrives: no parser throws, no datagram crashes an engine, changes an open association or is answered with more than it
 * was; fragments come together in every order and split. DTLS_FUZZ=n runs n mutated datagrams (threats row 2).
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reassembly } from '../../src/dtls/handshake/reassembly.ts';
import { DEFAULT_LIMITS } from '../../src/dtls/limits.ts';
import { parseExtensionBlock, readExtensions } from '../../src/dtls/wire/extensions.ts';
import {
  parseCertificate,
  parseCertificateRequest,
  parseCertificateVerify,
  parseClientHello,
  parseClientKeyExchange,
  parseFragments,
  parseHelloVerifyRequest,
  parseNewSessionTicket,
  parseRawPublicKey,
  parseServerHello,
  parseServerKeyExchange,
} from '../../src/dtls/wire/handshake.ts';
import { parseRecord } from '../../src/dtls/wire/record.ts';
import { randomOf } from '../sim/network.ts';
import { CLIENT, Pair, pskServer, SERVER } from '../unit/dtls/pair.ts';

const anyBytes = fc.uint8Array({ maxLength: 300 });

describe('parsers', () => {
  it('never throw', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        parseRecord(bytes, 0, 8);
        parseFragments(bytes);
        parseClientHello(bytes);
        parseServerHello(bytes);
        parseHelloVerifyRequest(bytes);
        parseCertificate(bytes, 4);
        parseRawPublicKey(bytes);
        parseCertificateRequest(bytes);
        parseCertificateVerify(bytes);
        parseNewSessionTicket(bytes);
        for (const exchange of ['ecdhe', 'psk', 'ecdhe-psk'] as const) {
          parseServerKeyExchange(bytes, exchange);
          parseClientKeyExchange(bytes, exchange);
        }
        const block = parseExtensionBlock(bytes);
        if (block !== undefined) for (const from of ['client', 'server'] as const) readExtensions(block, from);
      }),
      { numRuns: 2_000 },
    );
  });

  it('of extensions take any body without throwing', () => {
    const type = fc.constantFrom(0, 1, 10, 11, 13, 16, 19, 20, 23, 28, 35, 54, 61, 0xff01);
    fc.assert(
      fc.property(fc.array(fc.tuple(type, fc.uint8Array({ maxLength: 40 })), { maxLength: 6 }), (entries) => {
        for (const from of ['client', 'server'] as const) readExtensions(new Map(entries), from);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('reassembly', () => {
  const message = Uint8Array.from({ length: 700 }, (_, i) => i * 7);

  it('puts a message together from any cuts in any order with any repetition', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 699 }), { maxLength: 12 }),
        fc.infiniteStream(fc.nat(1000)),
        (cuts, order) => {
          const bounds = [0, ...cuts.sort((a, b) => a - b), 700];
          const parts = bounds.slice(0, -1).map((start, i) => ({ start, end: bounds[i + 1] as number }));
          const doubled = [...parts, ...parts.slice(0, 3)].map((part) => ({ part, key: order.next().value as number }));
          const reassembly = new Reassembly(DEFAULT_LIMITS);
          const given = new Set<number>();
          for (const { part } of doubled.sort((a, b) => a.key - b.key)) {
            expect(reassembly.peek(5)).toBe(undefined);
            const body = message.subarray(part.start, part.end);
            expect(reassembly.add({ type: 11, length: 700, messageSeq: 5, offset: part.start, body }, 0, 5)).toBe(
              undefined,
            );
            given.add(part.start);
            if (given.size === parts.length) break;
          }
          expect(reassembly.take(5)?.body).toEqual(message);
          expect(reassembly.bytes).toBe(0);
        },
      ),
    );
  });

  it('keeps a whole flight of five messages that comes in reverse', () => {
    const reassembly = new Reassembly(DEFAULT_LIMITS);
    for (let messageSeq = 5; messageSeq >= 1; messageSeq--) {
      const fragment = { type: 11, length: 100, messageSeq, offset: 0, body: new Uint8Array(100) };
      expect(reassembly.add(fragment, 0, 1)).toBe(undefined);
    }
    for (let messageSeq = 1; messageSeq <= 5; messageSeq++) expect(reassembly.take(messageSeq)?.body).toHaveLength(100);
  });

  it('keeps to its bounds under any flood', () => {
    const fragment = fc.record({
      type: fc.constantFrom(1, 11, 16),
      length: fc.constantFrom(0, 1, 100, 4_000, 8_192, 8_193, 0xffffff),
      messageSeq: fc.nat(20),
      offset: fc.nat(3),
      size: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 60 }), (fragments) => {
        const reassembly = new Reassembly(DEFAULT_LIMITS);
        for (const { type, length, messageSeq, offset, size } of fragments) {
          const body = new Uint8Array(Math.max(0, Math.min(size, length - offset)));
          reassembly.add({ type, length, messageSeq, offset: Math.min(offset, length), body }, 0, 3);
          expect(reassembly.bytes).toBeLessThanOrEqual(DEFAULT_LIMITS.maxReassemblyBytes);
        }
        reassembly.clear();
        expect(reassembly.bytes).toBe(0);
      }),
    );
  });
});

/** 10^5 here, 10^6 by name (threats row 2). */
const FUZZ = Number(process.env.DTLS_FUZZ ?? 100_000);

it('mutated datagrams of a whole handshake end nothing, and a good client works beside them', () => {
  const random = randomOf(Number(process.env.DTLS_SEED ?? 4711));
  const pair = new Pair({
    ...pskServer,
    connectionId: { length: 8 },
    limits: { helloVerifyPerSecond: 1e9, helloVerifyPerNetworkPerSecond: 1e9 },
  });
  const good = pair.connect();
  const corpus = pair.wire.map(({ datagram, from }) => ({ datagram, from }));
  pair.send('client', good, 'first');
  corpus.push(...pair.wire.slice(corpus.length).map(({ datagram, from }) => ({ datagram, from })));
  const stranger = { address: '203.0.113.5', port: 1000 };
  for (let i = 0; i < FUZZ; i++) {
    const { datagram, from } = corpus[Math.floor(random() * corpus.length)] as (typeof corpus)[number];
    const mutated = mutate(datagram, random);
    const engine = from === 'client' ? pair.server : pair.client;
    const source = from === 'client' ? (random() < 0.5 ? CLIENT : stranger) : SERVER;
    const effects = engine.receive(mutated, source, pair.nowMs);
    let answered = 0;
    for (const effect of effects) {
      if (effect.kind === 'send') answered += effect.datagram.length;
      else if (effect.kind === 'closed' && effect.association === good) expect.unreachable('the open one was closed');
      else if (effect.kind === 'data') expect.unreachable('a mutation was delivered');
    }
    // To an address without a cookie never more than came in.
    if (pair.server.halfOpen === 0) expect(answered).toBeLessThanOrEqual(mutated.length);
  }
  expect(pair.server.stats.drops.internal + pair.client.stats.drops.internal).toBe(0);
  pair.send('client', good, 'last');
  expect(pair.heard('server')).toEqual(['first', 'last']);
}, 600_000);

function mutate(datagram: Uint8Array, random: () => number): Uint8Array {
  const kind = random();
  if (kind < 0.1) return datagram.subarray(0, Math.floor(random() * datagram.length));
  const changed = Uint8Array.from(datagram);
  const changes = 1 + Math.floor(random() * 4);
  for (let i = 0; i < changes; i++) {
    const at = Math.floor(random() * (kind < 0.6 ? Math.min(30, changed.length) : changed.length));
    changed[at] = ((changed[at] as number) + 1 + Math.floor(random() * 255)) & 255;
  }
  if (kind > 0.9) return Uint8Array.from([...changed, ...changed.subarray(0, Math.floor(random() * 50))]);
  return changed;
}
