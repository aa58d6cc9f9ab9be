/** The strict parser against JSON.parse: it accepts a subset, and what it accepts it reads as the same values. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/config/settings.ts';
import { Fault } from '../../src/faults/fault.ts';
import { parseJson } from '../../src/privacy/json.ts';
import { plainJson } from './plain-json.ts';

const RUNS = { numRuns: 2_000 };

/** The canonical text; undefined if it was refused. Anything thrown but a payload Fault fails. */
function read(bytes: Uint8Array): string | undefined {
  try {
    return parseJson(bytes, DEFAULT_LIMITS).json;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code.startsWith('SP_PAYLOAD_')) return undefined;
    throw thrown;
  }
}

/** Values as JSON.parse should make them, -0 read as 0. */
function natively(bytes: Uint8Array): unknown {
  return normal(plainJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)));
}

function normal(value: unknown): unknown {
  if (value === 0) return 0;
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, normal(member)]));
}

const key = fc.oneof(
  fc.string({ maxLength: 6 }),
  fc.constantFrom('a', 'b', '__proto__', 'constructor', '10', '9', 'é', '"\\'),
);
const number = fc.oneof(
  fc.integer(),
  fc.integer({ min: -Number.MAX_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
  fc.double({ noNaN: true, min: -(2 ** 53 - 1), max: 2 ** 53 - 1 }),
  fc.double({ noNaN: true, min: -1e-6, max: 1e-6 }),
);
const string = fc.string({ unit: 'binary', maxLength: 12 });

const NUMBER_SPELLINGS: readonly ((value: number) => string)[] = [
  (value) => JSON.stringify(value),
  (value) => `${value}`.replace(/^(-?\d+)$/, '$1.0'),
  (value) => value.toExponential(),
  (value) => value.toExponential().replace('e+', 'E00'),
];

const STRING_SPELLINGS: readonly ((value: string) => string)[] = [
  (value) => JSON.stringify(value),
  (value) =>
    `"${[...Array(value.length).keys()].map((at) => `\\u${value.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`,
  (value) => JSON.stringify(value).replaceAll('/', '\\/'),
];

/** A document as text, spelled in random ways: whitespace, escapes, number forms. With it the text that it should become. */
const spelled = fc.letrec<{ value: { sent: string; canonical: string } }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom('true', 'false', 'null').map((text) => ({ sent: text, canonical: text })),
    fc
      .tuple(number, fc.constantFrom(...NUMBER_SPELLINGS))
      .map(([value, spell]) => ({ sent: spell(value), canonical: JSON.stringify(value) })),
    fc
      .tuple(string, fc.constantFrom(...STRING_SPELLINGS))
      .map(([value, spell]) => ({ sent: spell(value), canonical: JSON.stringify(value) })),
    fc.tuple(fc.array(tie('value'), { maxLength: 5 }), fc.constantFrom('', ' ', '\r\n\t')).map(([items, space]) => ({
      sent: `[${space}${items.map(({ sent }) => sent).join(`${space},${space}`)}${space}]`,
      canonical: `[${items.map(({ canonical }) => canonical).join()}]`,
    })),
    fc
      .tuple(
        fc.uniqueArray(fc.tuple(key, tie('value')), { selector: ([name]) => name, maxLength: 6 }),
        fc.constantFrom('', ' ', '\n  '),
        fc.constantFrom(...STRING_SPELLINGS),
      )
      .map(([members, space, spell]) => ({
        sent: `{${members.map(([name, { sent }]) => `${space}${spell(name)}${space}:${space}${sent}`).join()}${space}}`,
        canonical: `{${members.map(([name, { canonical }]) => `${JSON.stringify(name)}:${canonical}`).join()}}`,
      })),
  ),
})).value;

describe('parseJson', () => {
  it('writes every spelling of a document in one canonical form', () => {
    fc.assert(
      fc.property(spelled, ({ sent, canonical }) => {
        expect(read(Buffer.from(sent))).toBe(canonical);
        expect(read(Buffer.from(canonical))).toBe(canonical);
        expect(normal(plainJson(canonical))).toEqual(natively(Buffer.from(sent)));
      }),
      RUNS,
    );
  });

  it('accepts only what JSON.parse accepts, with the same values, whatever was done to a text', () => {
    const edit = fc.record({
      at: fc.nat(200),
      remove: fc.nat(4),
      insert: fc.oneof(
        fc.constantFrom(...'{}[],:"\\u0/eE+-.19 \n', '\\ud800', '\\u0061', 'null', '"a":', '1e400'),
        fc.string({ unit: 'binary', maxLength: 2 }),
      ),
    });
    let accepted = 0;
    fc.assert(
      fc.property(spelled, fc.array(edit, { minLength: 1, maxLength: 3 }), ({ sent }, edits) => {
        let text = sent;
        for (const { at, remove, insert } of edits) {
          const place = at % (text.length + 1);
          text = text.slice(0, place) + insert + text.slice(place + remove);
        }
        const bytes = Buffer.from(text);
        const canonical = read(bytes);
        if (canonical === undefined) return;
        accepted += 1;
        expect(normal(plainJson(canonical))).toEqual(natively(bytes));
        expect(read(Buffer.from(canonical))).toBe(canonical);
      }),
      { numRuns: 5_000 },
    );
    expect(accepted).toBeGreaterThan(200);
  });

  it('throws nothing but payload faults, whatever the bytes', () => {
    const fragments = fc.array(fc.constantFrom(...'{}[],:"\\u0/eE+-.19tfn \n\u0000\ud800é', 'true', '\\u', '\ufeff'), {
      maxLength: 60,
    });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fragments.map((parts) => Uint8Array.from(Buffer.from(parts.join('')))),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        const canonical = read(input);
        if (canonical !== undefined) expect(normal(plainJson(canonical))).toEqual(natively(input));
      }),
      { numRuns: 20_000 },
    );
  });

  it('refuses every document in which an object has a key twice', () => {
    const members = fc.uniqueArray(key, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(members, fc.nat(), fc.nat(), fc.constantFrom(...STRING_SPELLINGS), (keys, which, where, spell) => {
        const spelledKeys = keys.map((name) => JSON.stringify(name));
        expect(read(Buffer.from(`{${spelledKeys.map((name) => `${name}:1`).join()}}`))).toBeDefined();
        spelledKeys.splice(where % (keys.length + 1), 0, spell(keys[which % keys.length] as string));
        expect(read(Buffer.from(`{${spelledKeys.map((name) => `${name}:1`).join()}}`))).toBeUndefined();
      }),
      RUNS,
    );
  });

  it('accepts a decimal if and only if a double holds it', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 20 });
    const literal = fc
      .tuple(fc.constantFrom('', '-'), digits, fc.option(digits), fc.option(fc.integer({ min: -40, max: 20 })))
      .map(([sign, whole, fraction, exponent]) => {
        const head = whole.replace(/^0+(?=\d)/, '');
        return `${sign}${head}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `e${exponent}`}`;
      });
    fc.assert(
      fc.property(literal, (text) => {
        const value = Number(text);
        const holds = sameAmount(text, String(value)) && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
        expect(read(Buffer.from(text)) !== undefined, text).toBe(holds);
      }),
      { numRuns: 10_000 },
    );
  });
});

/** Exact comparison by whole-number arithmetic: both amounts times 10^500. */
function sameAmount(left: string, right: string): boolean {
  return amount(left) === amount(right);
}

function amount(text: string): bigint {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return BigInt(whole + fraction) * 10n ** BigInt(500 + Number(exponent) - fraction.length);
}
