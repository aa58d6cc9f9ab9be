/** SenML packs resolved before policy: RFC 8428's examples, and how base fields could hide from a rule. */
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../../src/faults/fault.ts';
import { cborToJson } from '../../../../src/privacy/codecs/cbor-to-json.ts';
import { jsonToCbor } from '../../../../src/privacy/codecs/json-to-cbor.ts';
import { resolveSenml, SENML_LABELS, SENML_NAMES } from '../../../../src/privacy/codecs/senml.ts';
import { parseJson } from '../../../../src/privacy/json.ts';

const bounds = { jsonDepth: 16, jsonValues: 10_000 };
const NOW_S = 1_700_000_000;
const parse = (json: string) => parseJson(new TextEncoder().encode(json), bounds);
const resolve = (json: string, maxCharacters = 100_000) => parse(resolveSenml(parse(json), NOW_S, maxCharacters)).json;

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return 'accepted';
}

describe('RFC 8428', () => {
  it('section 5.1.2: base name, base time, base unit and what a record says itself', () => {
    expect(
      resolve(
        '[{"bn":"urn:dev:ow:10e2073a01080063:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},' +
          '{"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3}]',
      ),
    ).toBe(
      '[{"n":"urn:dev:ow:10e2073a01080063:voltage","u":"V","v":120.1,"t":1276020076.001,"bver":5},' +
        '{"n":"urn:dev:ow:10e2073a01080063:current","u":"A","v":1.2,"t":1276020071.001,"bver":5},' +
        '{"n":"urn:dev:ow:10e2073a01080063:current","u":"A","v":1.3,"t":1276020072.001,"bver":5}]',
    );
  });

  it('section 5.1.1: without a time it is now; relative times are made absolute', () => {
    expect(resolve('[{"n":"urn:dev:ow:1","u":"Cel","v":23.1}]')).toBe(
      `[{"n":"urn:dev:ow:1","u":"Cel","v":23.1,"t":${NOW_S}}]`,
    );
    expect(resolve('[{"n":"a","vb":true,"t":-60}]')).toBe(`[{"n":"a","vb":true,"t":${NOW_S - 60}}]`);
  });

  it('base value and base sum are added', () => {
    expect(resolve('[{"bn":"a","bv":20,"bs":100,"v":1,"s":5,"bt":1500000000},{"n":"b","v":-2},{"n":"c"}]')).toBe(
      '[{"n":"a","v":21,"s":105,"t":1500000000},{"n":"ab","v":18,"s":100,"t":1500000000},{"n":"ac","s":100,"t":1500000000}]',
    );
  });

  it('text, data and other fields stay; a base changes where it stands', () => {
    expect(
      resolve('[{"bn":"a","vs":"x\\ny","room":{"k":[1]},"t":1500000000},{"bn":"b","vd":"AQI","ut":9,"t":1500000000}]'),
    ).toBe('[{"n":"a","vs":"x\\ny","t":1500000000,"room":{"k":[1]}},{"n":"b","vd":"AQI","t":1500000000,"ut":9}]');
  });

  it('section 6: the CBOR form has the same names, and bytes for data', () => {
    const cbor = '82 a3 21 6375726e 22 1a59682f00 02 14 a2 00 6161 08 420102'.replaceAll(' ', '');
    const json = cborToJson(Uint8Array.from(Buffer.from(cbor, 'hex')), bounds, {
      byteStrings: 'base64url',
      labels: SENML_NAMES,
    });
    expect(json).toBe('[{"bn":"urn","bt":1500000000,"v":20},{"n":"a","vd":"AQI"}]');
    expect(resolve(json)).toBe('[{"n":"urn","v":20,"t":1500000000},{"n":"urna","vd":"AQI","t":1500000000}]');
    const back = jsonToCbor(parse('[{"n":"a","v":1,"t":-1}]'), { labels: SENML_LABELS });
    expect(Buffer.from(back).toString('hex')).toBe('81a300616102010620');
  });

  it('a label and its name at once are a key twice', () => {
    const cbor = Uint8Array.from(Buffer.from('81a3006161616e61620201', 'hex'));
    const json = () => cborToJson(cbor, bounds, { byteStrings: 'refuse', labels: SENML_NAMES });
    expect(refusal(() => parse(json()))).toBe('SP_PAYLOAD_DUPLICATE_KEY');
  });
});

describe('refused', () => {
  it.each([
    ['no array', '{"n":"a","v":1}', 'SP_PAYLOAD_SYNTAX'],
    ['an empty pack', '[]', 'SP_PAYLOAD_SYNTAX'],
    ['a record that is no object', '[1]', 'SP_PAYLOAD_SYNTAX'],
    ['a field that must be understood', '[{"n":"a","v":1,"new_":1}]', 'SP_PAYLOAD_SYNTAX'],
    ['a later version', '[{"bver":11,"n":"a","v":1}]', 'SP_PAYLOAD_SYNTAX'],
    ['no name', '[{"v":1}]', 'SP_PAYLOAD_SYNTAX'],
    ['a name with other characters', '[{"n":"a b","v":1}]', 'SP_PAYLOAD_SYNTAX'],
    ['a name that begins with none', '[{"n":"-a","v":1}]', 'SP_PAYLOAD_SYNTAX'],
    ['a name of 256', `[{"bn":"${'a'.repeat(255)}","n":"b","v":1}]`, 'SP_PAYLOAD_SYNTAX'],
    ['two values', '[{"n":"a","v":1,"vs":"x"}]', 'SP_PAYLOAD_SYNTAX'],
    ['no value', '[{"n":"a"}]', 'SP_PAYLOAD_SYNTAX'],
    ['a value of another type', '[{"n":"a","v":"1"}]', 'SP_PAYLOAD_SYNTAX'],
    ['a base name of another type', '[{"bn":1,"v":1}]', 'SP_PAYLOAD_SYNTAX'],
    ['a truth of another type', '[{"n":"a","vb":1}]', 'SP_PAYLOAD_SYNTAX'],
    ['a sum beyond what is exact', '[{"n":"a","bv":9007199254740991,"v":1}]', 'SP_PAYLOAD_NUMBER'],
  ])('%s', (_, json, code) => {
    expect(refusal(() => resolve(json))).toBe(code);
  });

  it('a sum beyond what is exact, before any JSON is read', () => {
    const pack = parse('[{"n":"a","bs":9007199254740991,"s":9007199254740991,"t":1500000000}]');
    expect(refusal(() => resolveSenml(pack, NOW_S, 1_000))).toBe('SP_PAYLOAD_NUMBER');
  });

  it('a short pack that would become a long one', () => {
    const pack = `[{"bn":"${'a'.repeat(250)}","v":1}${',{"v":1}'.repeat(1_000)}]`;
    expect(refusal(() => resolve(pack))).toBe('SP_PAYLOAD_TOO_LONG');
  });
});
