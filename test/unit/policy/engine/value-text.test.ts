import { describe, expect, it } from 'vitest';
import { PolicyAbort } from '../../../../src/policy/engine/policy-abort.ts';
import { compareValues, RegoNumber, RegoObject, RegoSet, type Value } from '../../../../src/policy/engine/value.ts';
import {
  parseJson,
  parseModuleText,
  quoteGo,
  toGoJson,
  toJson,
  toModuleText,
  toRegoText,
} from '../../../../src/policy/engine/value-text.ts';

const n = (text: string) => new RegoNumber(text);

describe('strict JSON', () => {
  it('is read as JSON.parse reads it', () => {
    const documents = [
      'null',
      ' true\n',
      '-0',
      '1.5e3',
      '"a\\u0041\\n\\"\\\\"',
      '[]',
      '{}',
      '[1,[2,{"a":null}]]',
      '{"a":1,"b":{"c":[]}}',
      '"\\ud83d\\ude00"',
    ];
    for (const text of documents) expect(JSON.parse(toJson(parseJson(text)!))).toEqual(JSON.parse(text));
  });

  it('refuses everything else', () => {
    const texts = [
      '',
      ' ',
      '{',
      '}',
      '[',
      '[1,]',
      '[,1]',
      '[1 2]',
      '{"a"}',
      '{"a":}',
      '{"a":1,}',
      '{a:1}',
      '{1:1}',
      '{"a":1}{',
      '01',
      '1.',
      '.5',
      '+1',
      '1e',
      '0x1',
      'nul',
      'True',
      "'a'",
    ];
    texts.push(
      '"a',
      '"\\x"',
      '"\\u12"',
      '"\t"',
      '"a\nb"',
      'set()',
      '{1,2}',
      '{"a"}',
      '\ufeff1',
      '1 2',
      'NaN',
      '-',
      '--1',
      '"\\',
      '[[',
      `${'['.repeat(600)}${']'.repeat(600)}`,
    );
    for (const text of texts) expect(parseJson(text), text).toBeUndefined();
  });

  it('keeps the last of equal keys and replaces lone surrogates', () => {
    expect(toJson(parseJson('{"a":1,"b":2,"a":3}')!)).toBe('{"a":3,"b":2}');
    expect(parseJson('"\\ud800x"')).toBe('\ufffdx');
  });

  it('takes time that grows with its length and no faster', () => {
    const time = (length: number) => {
      const texts = [
        `"${'a'.repeat(length)}`,
        `"${'\\n'.repeat(length)}`,
        `[${'1,'.repeat(length)}`,
        '['.repeat(length),
        ' '.repeat(length),
        '1'.repeat(length),
      ];
      const started = process.cpuUsage();
      for (const text of texts) parseJson(text);
      return process.cpuUsage(started).user / 1_000;
    };
    time(10_000);
    expect(time(200_000)).toBeLessThan(2_000);
  });
});

describe('the module’s own notation', () => {
  it('knows sets and keys of any type', () => {
    const value = parseModuleText(
      '{"s": {1, "a", {2}}, "e": set(), 1: [true], null: {}, {"k": 1}: {3: 4}}',
    ) as RegoObject;
    expect((value.get('s') as RegoSet).items).toHaveLength(3);
    expect(value.get('e')).toEqual(RegoSet.of([]));
    expect(value.get(n('1.0'))).toEqual([true]);
    expect(compareValues(parseModuleText(toModuleText(value)), value)).toBe(0);
  });

  it('knows fractions without a digit before the point, which JSON does not', () => {
    expect(toJson(parseModuleText('[.5, -.25e3]'))).toBe('[0.5,-0.25e3]');
    expect(parseJson('.5')).toBeUndefined();
  });

  it('mixes no set with an object, and nothing with garbage', () => {
    for (const text of ['{1, 2: 3}', '{1: 2, 3}', 'set(', 'set', '{', '{1', '{"a": }', 'undefined', '']) {
      expect(() => parseModuleText(text), text).toThrow(PolicyAbort);
    }
  });
});

describe('what OPA prints', () => {
  const value: Value = RegoObject.of([
    [n('2'), 'two'],
    ['b', RegoSet.of(['y', 'x', n('10'), n('9')])],
    ['<', '\u2028&'],
    [[n('1'), 'a'], null],
  ]);

  it('is JSON with sorted sets and keys as text', () => {
    expect(toJson(value)).toBe('{"2":"two","<":"\u2028&","[1,\\"a\\"]":null,"b":[9,10,"x","y"]}');
    expect(toGoJson(value)).toBe('{"2":"two","\\u003c":"\\u2028\\u0026","[1,\\"a\\"]":null,"b":[9,10,"x","y"]}');
  });

  it('is its own notation where people read it', () => {
    expect(toRegoText(value)).toBe('{2: "two", "<": "\\u2028&", "b": {9, 10, "x", "y"}, [1, "a"]: null}');
    expect(toRegoText(RegoSet.of([]))).toBe('set()');
    expect(quoteGo('\u0001\u007f\u00ad😀\u{e0001}é')).toBe('"\\x01\\x7f\\u00ad😀\\U000e0001é"');
  });

  it('is never a number that JSON does not know', () => {
    for (const text of ['01', '1.', 'NaN', '', '-', '1_0']) expect(() => toJson(n(text))).toThrow(PolicyAbort);
    expect(() => toJson('\ud800')).toThrow(PolicyAbort);
  });
});

describe('order', () => {
  it('is OPA’s over all types', () => {
    const ordered: Value[] = [
      null,
      false,
      true,
      n('-1'),
      n('0.1'),
      n('1e0'),
      n('2'),
      '',
      'Z',
      'a',
      '\uffff',
      '😀',
      [],
      [n('1')],
      [n('1'), n('1')],
      [n('2')],
      RegoObject.of([]),
      RegoObject.of([['a', n('1')]]),
      RegoSet.of([]),
      RegoSet.of([n('1')]),
    ];
    for (const [i, a] of ordered.entries()) {
      for (const [j, b] of ordered.entries())
        expect(Math.sign(compareValues(a, b)), `${toModuleText(a)} ${toModuleText(b)}`).toBe(Math.sign(i - j));
    }
  });

  it('takes numbers by what they are, not how they are written', () => {
    expect(compareValues(n('1.0'), n('1'))).toBe(0);
    expect(compareValues(n('1e2'), n('100'))).toBe(0);
    expect(compareValues(n('9007199254740993'), n('9007199254740992'))).toBeGreaterThan(0);
    expect(RegoSet.of([n('1'), n('1.0'), n('10e-1')]).items).toHaveLength(1);
  });
});
