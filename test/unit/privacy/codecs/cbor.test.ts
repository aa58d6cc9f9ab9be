/** CBOR to JSON text and back: RFC 8949's own examples, and what two readers could read in two ways. */
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../../src/faults/fault.ts';
import { cborToJson } from '../../../../src/privacy/codecs/cbor-to-json.ts';
import { jsonToCbor } from '../../../../src/privacy/codecs/json-to-cbor.ts';
import { parseJson } from '../../../../src/privacy/json.ts';

const bounds = { jsonDepth: 16, jsonValues: 1_000 };
const hex = (digits: string) => Uint8Array.from(Buffer.from(digits, 'hex'));
const read = (digits: string, byteStrings: 'refuse' | 'base64url' = 'refuse') =>
  parseJson(new TextEncoder().encode(cborToJson(hex(digits), bounds, { byteStrings })), bounds);
const write = (json: string) =>
  Buffer.from(jsonToCbor(parseJson(new TextEncoder().encode(json), bounds))).toString('hex');

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return 'accepted';
}

describe('RFC 8949 appendix A, both ways', () => {
  it.each([
    ['00', '0'],
    ['17', '23'],
    ['1818', '24'],
    ['1864', '100'],
    ['1903e8', '1000'],
    ['1a000f4240', '1000000'],
    ['1b000000e8d4a51000', '1000000000000'],
    ['1b001fffffffffffff', '9007199254740991'],
    ['20', '-1'],
    ['3863', '-100'],
    ['3903e7', '-1000'],
    ['3b001ffffffffffffe', '-9007199254740991'],
    ['f93e00', '1.5'],
    ['f90001', '5.960464477539063e-8'],
    ['f90400', '0.00006103515625'],
    ['f9c480', '-4.5'],
    ['fb3ff199999999999a', '1.1'],
    ['fbc010666666666666', '-4.1'],
    ['fa3dcccccd', '0.10000000149011612'],
    ['f4', 'false'],
    ['f5', 'true'],
    ['f6', 'null'],
    ['60', '""'],
    ['6449455446', '"IETF"'],
    ['62225c', '"\\"\\\\"'],
    ['62c3bc', '"ü"'],
    ['64f0908591', '"𐅑"'],
    ['80', '[]'],
    ['83010203', '[1,2,3]'],
    ['8301820203820405', '[1,[2,3],[4,5]]'],
    ['a0', '{}'],
    ['a26161016162820203', '{"a":1,"b":[2,3]}'],
    [
      '98190102030405060708090a0b0c0d0e0f101112131415161718181819',
      `[${Array.from({ length: 25 }, (_, at) => at + 1)}]`,
    ],
  ])('%s is %s', (cbor, json) => {
    expect(read(cbor).json).toBe(json);
    expect(write(json)).toBe(cbor);
  });

  it.each([
    ['f90000', '0'],
    ['f98000', '0'],
    ['f93c00', '1'],
    ['fa47c35000', '100000'],
  ])('the float %s is the whole number %s, which is written as one', (cbor, json) => {
    expect(read(cbor).json).toBe(json);
  });

  it('byte strings become base64url only where the route says so', () => {
    expect(read('4401020304', 'base64url').json).toBe('"AQIDBA"');
    expect(refusal(() => read('4401020304'))).toBe('SP_PAYLOAD_SYNTAX');
  });
});

describe('refused', () => {
  it.each([
    ['nothing', '', 'SP_PAYLOAD_SYNTAX'],
    ['bytes after the end', '0000', 'SP_PAYLOAD_SYNTAX'],
    ['a number that is not shortest', '1817', 'SP_PAYLOAD_SYNTAX'],
    ['a length that is not shortest', '7800', 'SP_PAYLOAD_SYNTAX'],
    ['an eight-byte number that is not shortest', '1b00000000ffffffff', 'SP_PAYLOAD_SYNTAX'],
    ['an indefinite array', '9fff', 'SP_PAYLOAD_SYNTAX'],
    ['an indefinite text', '7f6161ff', 'SP_PAYLOAD_SYNTAX'],
    ['a break alone', 'ff', 'SP_PAYLOAD_SYNTAX'],
    ['a reserved length', '1c', 'SP_PAYLOAD_SYNTAX'],
    ['a tag', 'c11a514b67b0', 'SP_PAYLOAD_SYNTAX'],
    ['a bignum', 'c249010000000000000000', 'SP_PAYLOAD_SYNTAX'],
    ['undefined', 'f7', 'SP_PAYLOAD_SYNTAX'],
    ['a simple value', 'f0', 'SP_PAYLOAD_SYNTAX'],
    ['a two-byte simple value', 'f8ff', 'SP_PAYLOAD_SYNTAX'],
    ['2^53', '1b0020000000000000', 'SP_PAYLOAD_NUMBER'],
    ['2^64-1', '1bffffffffffffffff', 'SP_PAYLOAD_NUMBER'],
    ['-2^53', '3b001fffffffffffff', 'SP_PAYLOAD_NUMBER'],
    ['infinity', 'f97c00', 'SP_PAYLOAD_NUMBER'],
    ['not a number', 'fb7ff8000000000000', 'SP_PAYLOAD_NUMBER'],
    ['a float beyond 2^53', 'fb7e37e43c8800759c', 'SP_PAYLOAD_NUMBER'],
    ['a key twice', 'a2616101616102', 'SP_PAYLOAD_DUPLICATE_KEY'],
    ['a key that is a number', 'a10102', 'SP_PAYLOAD_SYNTAX'],
    ['text that is not UTF-8', '62c0af', 'SP_PAYLOAD_SYNTAX'],
    ['a lone surrogate', '63eda080', 'SP_PAYLOAD_SYNTAX'],
    ['text past the end', '6561', 'SP_PAYLOAD_SYNTAX'],
    ['an array of 2^32-1 that is not there', '9affffffff', 'SP_PAYLOAD_SYNTAX'],
    ['a map of 2^53 that is not there', 'bb0020000000000000', 'SP_PAYLOAD_SYNTAX'],
    ['a text of 2^63 that is not there', '7b8000000000000000', 'SP_PAYLOAD_SYNTAX'],
    ['17 levels', `${'81'.repeat(17)}00`, 'SP_PAYLOAD_TOO_DEEP'],
    ['10,000 levels', `${'81'.repeat(10_000)}00`, 'SP_PAYLOAD_TOO_DEEP'],
    ['1,000 values in an array', `9903e8${'00'.repeat(1_000)}`, 'SP_PAYLOAD_TOO_LONG'],
  ])('%s', (_, cbor, code) => {
    expect(refusal(() => read(cbor))).toBe(code);
  });

  it.each([
    ['1b0020000000000000', 'SP_PAYLOAD_NUMBER'],
    ['3b001fffffffffffff', 'SP_PAYLOAD_NUMBER'],
    [`9903e8${'00'.repeat(1_000)}`, 'SP_PAYLOAD_TOO_LONG'],
  ])('%s, before any JSON is read', (cbor, code) => {
    expect(refusal(() => cborToJson(hex(cbor), bounds, { byteStrings: 'refuse' }))).toBe(code);
  });

  it('every cut of a document', () => {
    const whole = 'a26161f93e006162831903e8626869f5';
    expect(read(whole).json).toBe('{"a":1.5,"b":[1000,"hi",true]}');
    for (let cut = 0; cut < whole.length; cut += 2)
      expect(refusal(() => read(whole.slice(0, cut)))).toBe('SP_PAYLOAD_SYNTAX');
  });

  it('without telling what was sent', () => {
    try {
      read('a166736563726574f7');
    } catch (thrown) {
      expect((thrown as Error).message).not.toContain('secret');
    }
  });
});
