/** The CoAP codec: what is written is read back, and no bytes at all make it throw. RFC 7252 section 3. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CoapMessage, isMalformed, parseMessage, serialiseMessage } from '../../src/coap/codec.ts';
import { DEFAULT_LIMITS } from '../../src/coap/limits.ts';
import { OPTION, readUint, uintOption, understood } from '../../src/coap/option-table.ts';
import { composePath, composeQuery, splitPath, splitQuery } from '../../src/coap/uri.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const option = fc.record({
  number: fc.oneof(fc.constantFrom(...Object.values(OPTION)), fc.integer({ min: 0, max: 65_535 })),
  value: fc.oneof(bytes(16), bytes(300)),
});

/** Messages that the format can hold, with what RFC 7252 table 1 allows of type and code. */
const message: fc.Arbitrary<CoapMessage> = fc
  .record({
    type: fc.constantFrom(0, 1, 2) as fc.Arbitrary<0 | 1 | 2>,
    code: fc.oneof(
      fc.integer({ min: 1, max: 31 }),
      fc.integer({ min: 0x40, max: 0x5f }),
      fc.integer({ min: 0x80, max: 0xbf }),
    ),
    messageId: fc.integer({ min: 0, max: 65_535 }),
    token: fc.oneof(bytes(8), fc.uint8Array({ minLength: 13, maxLength: 64 })),
    options: fc.array(option, { maxLength: 12 }),
    payload: bytes(64),
  })
  .filter(({ type, code }) => type !== 2 || code >= 0x40);

describe('CoAP codec', () => {
  it('parse(serialise(message)) is the message, its options sorted', () => {
    fc.assert(
      fc.property(message, (one) => {
        const parsed = parseMessage(serialiseMessage(one), DEFAULT_LIMITS);
        const options = [...one.options].sort((left, right) => left.number - right.number);
        expect(plain(parsed)).toEqual(plain({ ...one, options }));
      }),
    );
  });

  it('what is accepted is written back byte for byte', () => {
    let accepted = 0;
    fc.assert(
      fc.property(mutated(), (datagram) => {
        const parsed = parseMessage(datagram, DEFAULT_LIMITS);
        if (isMalformed(parsed)) return;
        accepted += 1;
        expect(Buffer.from(serialiseMessage(parsed)).toString('hex')).toBe(Buffer.from(datagram).toString('hex'));
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  it('no bytes make it throw, and every view lies inside them', () => {
    fc.assert(
      fc.property(fc.oneof(bytes(64), mutated()), (datagram) => {
        const parsed = parseMessage(datagram, DEFAULT_LIMITS);
        if (isMalformed(parsed)) return;
        const read = parsed.token.length + parsed.payload.length;
        expect(parsed.options.reduce((sum, { value }) => sum + value.length, read)).toBeLessThanOrEqual(
          datagram.length,
        );
        understood(parsed.options, new Set());
      }),
      { numRuns: 5_000 },
    );
  });

  it('numbers in options are shortest and come back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (number) => {
        const { value } = uintOption(OPTION.maxAge, number);
        expect(readUint(value)).toBe(number);
        expect(value[0]).not.toBe(0);
      }),
    );
  });

  it('paths and queries survive the way to text and back', () => {
    const segment = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => text !== '.' && text !== '..');
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (segments) => {
        // A path of one empty segment and of none are the same text (RFC 7252 section 6.4).
        fc.pre(!(segments.length === 1 && segments[0] === ''));
        const path = composePath(segments);
        expect(path).toMatch(/^[\x21-\x7e]+$/);
        expect(splitPath(path)).toEqual(segments);
      }),
    );
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (values) => {
        fc.pre(!(values.length === 1 && values[0] === ''));
        expect(splitQuery(composeQuery(values))).toEqual(values);
      }),
    );
  });
});

/** Messages with a few bytes changed, dropped or added. */
function mutated(): fc.Arbitrary<Uint8Array> {
  const change = fc.record({ at: fc.nat(200), byte: fc.integer({ min: 0, max: 255 }), kind: fc.constantFrom(0, 1, 2) });
  return fc.tuple(message, fc.array(change, { maxLength: 4 })).map(([one, changes]) => {
    let datagram = [...serialiseMessage(one)];
    for (const { at, byte, kind } of changes) {
      const place = at % Math.max(1, datagram.length);
      if (kind === 0) datagram[place] = byte;
      else if (kind === 1) datagram = datagram.slice(0, place);
      else datagram.splice(place, 0, byte);
    }
    return Uint8Array.from(datagram);
  });
}

function plain(one: ReturnType<typeof parseMessage>): unknown {
  if (isMalformed(one)) return one;
  const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
  return {
    ...one,
    token: hex(one.token),
    payload: hex(one.payload),
    options: one.options.map(({ number, value }) => [number, hex(value)]),
  };
}
