/** CBOR and JSON: what one writes the other reads, and no bytes throw anything but a fault. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../src/faults/fault.ts';
import { cborToJson } from '../../src/privacy/codecs/cbor-to-json.ts';
import { jsonToCbor } from '../../src/privacy/codecs/json-to-cbor.ts';
import { parseJson } from '../../src/privacy/json.ts';

const bounds = { jsonDepth: 32, jsonValues: 10_000 };
const parse = (json: string) => parseJson(new TextEncoder().encode(json), bounds);
const number = fc
  .oneof(
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.float({ noNaN: true, noDefaultInfinity: true }),
  )
  .filter((value) => Math.abs(value) <= Number.MAX_SAFE_INTEGER);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.string({ unit: 'grapheme' }),
    number,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value'), { maxKeys: 6 }),
  ),
}));

describe('CBOR', () => {
  it('a document comes back as it was', () => {
    fc.assert(
      fc.property(value, (one) => {
        const document = parse(JSON.stringify(one));
        expect(parse(cborToJson(jsonToCbor(document), bounds, { byteStrings: 'refuse' })).json).toBe(document.json);
      }),
      { numRuns: 1_000 },
    );
  });

  it('what is accepted is written back byte for byte, numbers aside: a float may be longer than it need be', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        const json = accepted(bytes);
        if (json === undefined || /\d/.test(json)) return;
        expect([...jsonToCbor(parse(json))]).toEqual([...bytes]);
      }),
      { numRuns: 5_000 },
    );
  });
});

function accepted(bytes: Uint8Array): string | undefined {
  try {
    return parse(cborToJson(bytes, bounds, { byteStrings: 'refuse' })).json;
  } catch (thrown) {
    if (thrown instanceof Fault) return undefined;
    throw thrown;
  }
}
