/** parse(write(record)) = record, and every line is printable ASCII, for any text a device can bring about. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { DecisionRecord } from '../../src/exchange/gate.ts';
import { DENIALS, FAULTS, type FaultCode, type Reason } from '../../src/faults/catalogue.ts';
import { decisionBody, MAX_TEXT, outcomeBody } from '../../src/ledger/encode.ts';
import { entryFrom } from '../../src/ledger/entry.ts';
import { chained, linksOf } from '../../src/ledger/format.ts';
import { Chain, eachLine } from '../../src/ledger/scan.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ maxLength: 40 }),
  fc.constantFrom('\u202e', '\u0085', '\u2028', '"},{"seq":9', '\\', '\ud800', '\r\n', '\u001b[2J'),
);
const codes = [...Object.keys(DENIALS), ...Object.keys(FAULTS)] as (Reason | FaultCode)[];
const count = fc.integer({ min: -1, max: 2 ** 40 });

const records: fc.Arbitrary<DecisionRecord> = fc
  .record(
    {
      decision: fc.uuid({ version: 7 }),
      time: count,
      verdict: fc.constantFrom('permitted' as const, 'denied' as const, 'failed' as const),
      reasons: fc.array(fc.constantFrom(...codes), { maxLength: 5 }),
      revision: text,
      device: fc.record({ id: text, segment: text, state: text }),
      peer: fc.record({ address: text, key: text, serial: text }),
      action: fc.record(
        {
          protocol: fc.constantFrom('https' as const, 'websocket' as const),
          verb: text,
          resource: text,
          direction: fc.constantFrom('toCloud' as const, 'toDevice' as const),
          contentType: text,
          bytes: count,
          targetDevice: text,
        },
        { requiredKeys: ['protocol', 'verb', 'resource', 'direction', 'contentType', 'bytes'] },
      ),
      obligations: fc.record(
        {
          route: text,
          upstream: text,
          privacy: text,
          stream: fc.constant(true as const),
          quiet: fc.constant(true as const),
          rate: fc.record({ bucket: text, perSecond: fc.double({ min: 0.001, max: 1e6, noNaN: true }), burst: count }),
        },
        { requiredKeys: ['route', 'upstream'] },
      ),
      tookMicros: count,
    },
    { requiredKeys: ['decision', 'time', 'verdict', 'reasons', 'revision', 'peer', 'action', 'tookMicros'] },
  )
  .map((record) => structuredClone(record));

it('a record comes back as it was written', () => {
  fc.assert(
    fc.property(records, fc.nat(), (record, seq) => {
      const { text: line, hash } = chained(seq, decisionBody(record), 'f'.repeat(64));
      expect(line).toMatch(/^[ -~]+\n$/);
      expect(linksOf(Buffer.from(line.trimEnd()))).toEqual({ seq, prev: 'f'.repeat(64), hash, intact: true });
      expect(entryFrom(line.trimEnd())).toEqual({ seq, kind: 'decision', ...record, prev: 'f'.repeat(64), hash });
    }),
  );
});

it('an outcome comes back as it was written', () => {
  fc.assert(
    fc.property(fc.uuid(), count, fc.constantFrom(...(Object.keys(FAULTS) as FaultCode[])), (decision, time, fault) => {
      const { text: line } = chained(1, outcomeBody({ decision, time, fault }), '0'.repeat(64));
      expect(entryFrom(line)).toMatchObject({ kind: 'outcome', decision, time, fault });
    }),
  );
});

it('text of any length is cut to its bound', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 2_000, size: 'max' }), records, (resource, record) => {
      const long = { ...record, action: { ...record.action, resource } };
      const entry = entryFrom(chained(0, decisionBody(long), '0'.repeat(64)).text);
      const kept = entry?.kind === 'decision' ? entry.action.resource : '';
      expect(kept.length).toBeLessThanOrEqual(MAX_TEXT);
      if (resource.length <= MAX_TEXT) expect(kept).toBe(resource);
    }),
    { numRuns: 50 },
  );
});

it('no bytes make a reader throw', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), fc.boolean(), async (noise, likeARecord) => {
      const content = Buffer.concat([
        Buffer.from(likeARecord ? '{"seq":' : ''),
        noise,
        Buffer.from(likeARecord ? `,"prev":"${'0'.repeat(64)}","hash":"${'0'.repeat(64)}"}\n` : '\n'),
      ]);
      let verified = 0;
      const chain = new Chain();
      const file = {
        write: async () => {},
        read: async (buffer: Uint8Array, position: number) =>
          content.copy(buffer, 0, position, position + buffer.byteLength),
        size: async () => content.length,
        truncate: async () => {},
        close: async () => {},
      };
      await eachLine(file, 0, (line) => {
        entryFrom(line.toString('latin1'));
        if (!chain.check(line)) verified++;
        return true;
      });
      expect(verified).toBe(0);
    }),
  );
});
