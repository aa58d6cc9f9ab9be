import { describe, expect, it } from 'vitest';
import type { PrivacyRule } from '../../../src/config/settings.ts';
import { Disguise } from '../../../src/privacy/disguise.ts';
import { noFields } from '../../../src/privacy/field-counts.ts';
import { minimise } from '../../../src/privacy/minimise.ts';
import { compileRule } from '../../../src/privacy/selectors.ts';
import { codeOf, KEYS, parse, ruleOf } from './privacy-fixture.ts';

const disguise = new Disguise(KEYS, 'readings');

function under(parts: Partial<PrivacyRule>, text: string) {
  const rule = compileRule(ruleOf(parts));
  expect(rule.problems).toEqual([]);
  const counts = noFields();
  return { json: minimise(parse(text), rule.payload, disguise, counts), counts };
}

const p = (value: string) => `"${disguise.pseudonym(`s${value}`)}"`;

describe('keep', () => {
  it.each<[selectors: string[], text: string, left: string]>([
    [['temperature'], '{"serial":"SN-1","temperature":21.5,"owner":"Ada"}', '{"temperature":21.5}'],
    [['a', 'c'], '{"c":1,"b":2,"a":3}', '{"c":1,"a":3}'],
    [['position.lat'], '{"position":{"lat":1,"lon":2},"lat":3}', '{"position":{"lat":1}}'],
    [['position.lat'], '{"position":{"lon":2}}', '{}'],
    [['position.lat'], '{"position":"here"}', '{}'],
    [['position'], '{"position":{"lat":1,"lon":[2,{}]}}', '{"position":{"lat":1,"lon":[2,{}]}}'],
    [
      ['readings[*].value'],
      '{"readings":[{"value":1,"id":2},{"id":3},{"value":4}]}',
      '{"readings":[{"value":1},{"value":4}]}',
    ],
    [['readings[*]'], '{"readings":[1,{"a":2}]}', '{"readings":[1,{"a":2}]}'],
    [['readings[*]'], '{"readings":{"0":1}}', '{}'],
    [['readings.*'], '{"readings":[1]}', '{}'],
    [['*.serial'], '{"a":{"serial":1,"x":2},"serial":3}', '{"a":{"serial":1}}'],
    [['*'], '{"a":1,"b":{"c":2}}', '{"a":1,"b":{"c":2}}'],
    [['[*].value'], '[{"value":1,"id":2},3]', '[{"value":1}]'],
    [['[*][*]'], '[[1,2],3,{"a":4}]', '[[1,2]]'],
    [['**.serial'], '{"serial":1,"a":[{"b":{"serial":2,"x":3}}]}', '{"serial":1,"a":[{"b":{"serial":2}}]}'],
    [['a.**.v'], '{"v":1,"a":{"v":2,"b":[{"v":3}]}}', '{"a":{"v":2,"b":[{"v":3}]}}'],
    [['["a.b"]'], '{"a.b":1,"a":{"b":2}}', '{"a.b":1}'],
    [['a["b c"].d'], '{"a":{"b c":{"d":1,"e":2}}}', '{"a":{"b c":{"d":1}}}'],
    [
      ['größe', 'x_1', 'x-1', 'urn:dev'],
      '{"größe":1,"x_1":2,"x-1":3,"urn:dev":4}',
      '{"größe":1,"x_1":2,"x-1":3,"urn:dev":4}',
    ],
    [
      ['__proto__.a', 'constructor'],
      '{"__proto__":{"a":1,"b":2},"constructor":3}',
      '{"__proto__":{"a":1},"constructor":3}',
    ],
    [['a'], '{"\\u0061":1}', '{"a":1}'],
    [['a.b'], '{ "a" : { "b" : 1.0 , "c" : 2 } }', '{"a":{"b":1}}'],
    [['a'], '{"a":{},"b":{}}', '{"a":{}}'],
    [['x'], '[1,2]', '[]'],
  ])('%j of %s is %s', (keep, text, left) => {
    expect(under({ keep }, text).json).toBe(left);
  });

  it('refuses a bare value: no rule can name it', () => {
    const { payload } = compileRule(ruleOf({ keep: ['*'] }));
    expect(codeOf(() => minimise(parse('"SN-1"'), payload, disguise, noFields()))).toBe('SP_PAYLOAD_VALUE');
  });
});

describe('more specific selectors', () => {
  it('take precedence over a kept object', () => {
    const text = '{"a":{"serial":"SN-1","x":1,"b":{"serial":"SN-2"}}}';
    expect(under({ keep: ['a'], pseudonymise: ['a.serial'] }, text).json).toBe(
      `{"a":{"serial":${p('SN-1')},"x":1,"b":{"serial":"SN-2"}}}`,
    );
    expect(under({ keep: ['a'], pseudonymise: ['**.serial'] }, text).json).toBe(
      `{"a":{"serial":${p('SN-1')},"x":1,"b":{"serial":${p('SN-2')}}}}`,
    );
  });

  it('take precedence in kept arrays', () => {
    expect(under({ keep: ['r'], pseudonymise: ['r[*].id'] }, '{"r":[{"id":"a","v":1},2,[3]]}').json).toBe(
      `{"r":[{"id":${p('a')},"v":1},2,[3]]}`,
    );
  });
});

describe('of several actions on one value the most protective wins', () => {
  it.each<[Partial<PrivacyRule>, RegExp]>([
    [{ keep: ['a.serial'], pseudonymise: ['*.serial'] }, /^\{"a":\{"serial":"p1\.[\w-]{22}"\}\}$/],
    [{ keep: ['*.serial'], pseudonymise: ['a.serial'] }, /^\{"a":\{"serial":"p1\.[\w-]{22}"\}\}$/],
    [{ tokenise: ['a.serial'], pseudonymise: ['**.serial'] }, /^\{"a":\{"serial":"p1\.[\w-]{22}"\}\}$/],
    [{ tokenise: ['a.serial'], keep: ['**.serial', 'a'] }, /^\{"a":\{"serial":"t1\.[\w-]{43,}"\}\}$/],
    [
      { coarsen: [{ selector: 'a.serial', kind: 'number', step: 10 }], keep: ['*.serial'] },
      /^\{"a":\{"serial":10\}\}$/,
    ],
  ])('%j', (parts, left) => {
    expect(under(parts, '{"a":{"serial":12}}').json).toMatch(left);
  });
});

describe('pseudonymise and tokenise', () => {
  it('refuse objects and arrays rather than let them pass', () => {
    for (const parts of [{ pseudonymise: ['a'] }, { tokenise: ['a'] }]) {
      const { payload } = compileRule(ruleOf(parts));
      for (const text of ['{"a":{"x":"SN-1"}}', '{"a":["SN-1"]}', '{"a":{}}']) {
        expect(codeOf(() => minimise(parse(text), payload, disguise, noFields()))).toBe('SP_PAYLOAD_VALUE');
      }
    }
  });

  it('leave null alone: it names nobody', () => {
    expect(under({ pseudonymise: ['a'], tokenise: ['b'] }, '{"a":null,"b":null}').json).toBe('{"a":null,"b":null}');
  });

  it('see the value, not its spelling', () => {
    const of = (text: string) => under({ pseudonymise: ['a'] }, text).json;
    expect(of('{"a":"\\u0053N"}')).toBe(of('{"a":"SN"}'));
    expect(of('{"a":21.50}')).toBe(of('{"a":21.5}'));
    expect(of('{"a":"21.5"}')).not.toBe(of('{"a":21.5}'));
    expect(of('{"a":"true"}')).not.toBe(of('{"a":true}'));
  });
});

describe('coarsen', () => {
  const position = { coarsen: [{ selector: 'p', kind: 'position', step: 0.1 }] } as const;

  it.each([
    ['{"p":{"lat":48.1374,"lon":11.5755}}', '{"p":{"lat":48.1,"lon":11.6}}'],
    ['{"p":{"latitude":-48.15,"longitude":-0.01,"altitude":519.3}}', '{"p":{"latitude":-48.2,"longitude":0}}'],
    ['{"p":{"lng":11.5755,"accuracy":3,"lat":48.1374}}', '{"p":{"lng":11.6,"lat":48.1}}'],
    ['{"p":[48.1374,11.5755]}', '{"p":[48.1,11.6]}'],
    ['{"p":[11.5755,48.1374,519.3]}', '{"p":[11.6,48.1]}'],
    ['{"p":{"lat":null,"lon":null}}', '{"p":{"lat":null,"lon":null}}'],
    ['{"p":null}', '{"p":null}'],
  ])('position %s', (text, left) => {
    expect(under(position, text).json).toBe(left);
  });

  it.each([
    '{"p":"48.1,11.5"}',
    '{"p":{"lat":48.1}}',
    '{"p":{"lat":"48.1374","lon":11}}',
    '{"p":{"lat":1,"latitude":1,"lon":2}}',
    '{"p":[1]}',
    '{"p":[1,2,3,4]}',
    '{"p":[1,"2"]}',
    '{"p":[[1,2],[3,4]]}',
    '{"p":{"lat":91,"lon":2}}',
    '{"p":[1,181]}',
    '{"p":{}}',
    '{"p":1}',
  ])('refuses %s as a position', (text) => {
    expect(codeOf(() => under(position, text))).toBe('SP_PAYLOAD_VALUE');
  });

  it('keeps members beside a position only if they are named, and its own never raw', () => {
    const text = '{"p":{"lat":48.1374,"lon":11.5755,"accuracy":3,"ssid":"home"}}';
    expect(under({ ...position, keep: ['p.accuracy', 'p.lat'] }, text).json).toBe(
      '{"p":{"lat":48.1,"lon":11.6,"accuracy":3}}',
    );
  });

  it.each([
    ['number', '{"p":"12"}'],
    ['number', '{"p":true}'],
    ['number', '{"p":[1]}'],
    ['number', '{"p":{}}'],
    ['time', '{"p":"yesterday"}'],
    ['time', '{"p":false}'],
    ['time', '{"p":-1}'],
    ['time', '{"p":{}}'],
  ] as const)('%s refuses %s', (kind, text) => {
    expect(codeOf(() => under({ coarsen: [{ selector: 'p', kind, step: 60 }] }, text))).toBe('SP_PAYLOAD_VALUE');
  });

  it('times and numbers in a document', () => {
    const coarsen = [
      { selector: 'time', kind: 'time', step: 60 },
      { selector: 'power', kind: 'number', step: 10 },
    ] as const;
    expect(under({ coarsen }, '{"time":"2026-11-22T14:03:11.482+01:00","power":1234}').json).toBe(
      '{"time":"2026-11-22T13:03:00Z","power":1230}',
    );
  });
});

describe('counts', () => {
  it('tell how many fields went which way', () => {
    const { counts } = under(
      { keep: ['t', 'h'], pseudonymise: ['s'], tokenise: ['u'], coarsen: [{ selector: 'n', kind: 'number', step: 1 }] },
      '{"t":1,"h":{"a":1,"b":2},"s":"x","u":"y","n":1.2,"o":"z","q":{"r":1,"v":2}}',
    );
    expect(counts).toEqual({ kept: 2, pseudonymised: 1, tokenised: 1, coarsened: 1, dropped: 2 });
  });
});

describe('compileRule tells what is wrong:', () => {
  const problemsOf = (parts: Partial<PrivacyRule>) =>
    compileRule(ruleOf(parts)).problems.map(({ selector, problem }) => `${selector}: ${problem}`);

  it.each<[Partial<PrivacyRule>, RegExp]>([
    [{ keep: ['serial'], pseudonymise: ['serial'] }, /^serial: stands under both keep and pseudonymise$/],
    [{ keep: ['["serial"]'], tokenise: ['serial'] }, /^serial: stands under both keep and tokenise$/],
    [{ keep: ['a', 'a'] }, /^a: stands twice under keep$/],
    [{ keep: [''] }, /^: is empty$/],
    [{ keep: ['a.'] }, /empty step/],
    [{ keep: ['a..b'] }, /empty step/],
    [{ keep: ['.a'] }, /empty step/],
    [{ keep: ['a b'] }, /" " where/],
    [{ keep: ['a[0]'] }, /neither \[\*\] nor/],
    [{ keep: ['a["b'] }, /neither \[\*\] nor/],
    [{ keep: ['a*'] }, /\* inside a name/],
    [{ keep: ['a.**'] }, /ends with \*\*/],
    [{ keep: ['**'] }, /ends with \*\*/],
    [{ keep: ['a]'] }, /"\]" where/],
    [{ keep: [`a${'.a'.repeat(64)}`] }, /more than 64 steps/],
    [{ coarsen: [{ selector: 'a', kind: 'number', step: 0 }] }, /step above zero/],
    [{ coarsen: [{ selector: 'a', kind: 'number', step: Number.NaN }] }, /step above zero/],
    [{ coarsen: [{ selector: 'a', kind: 'number', step: 1e-12 }] }, /at most 9 decimals/],
    [{ coarsen: [{ selector: 'a', kind: 'position', step: 200 }] }, /at most 180 degrees/],
    [
      {
        coarsen: [
          { selector: '*.t', kind: 'number', step: 1 },
          { selector: 'a.t', kind: 'number', step: 2 },
        ],
      },
      /coarsens the same field/,
    ],
    [
      { query: { keep: ['a'], pseudonymise: ['a'], tokenise: [] } },
      /^query a: stands under both keep and pseudonymise$/,
    ],
    [{ headers: { keep: ['X-Id'], pseudonymise: [], tokenise: ['x-id'] } }, /^headers x-id: stands under both/],
    [{ headers: { keep: ['Content-Length'], pseudonymise: [], tokenise: [] } }, /is never forwarded/],
    [{ headers: { keep: ['x_id'], pseudonymise: [], tokenise: [] } }, /is not a header name/],
    [{ path: { pseudonymise: ['devices'], tokenise: ['devices'] } }, /^path devices: stands under both/],
  ])('%j', (parts, problem) => {
    const problems = problemsOf(parts);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(problem);
  });

  it('all problems of a rule together', () => {
    expect(problemsOf({ keep: ['a[0]', 'b', 'c.'], pseudonymise: ['b'] })).toHaveLength(3);
  });

  it('wildcards whose overlaps multiply without end', () => {
    const keep = Array.from({ length: 24 }, (_, index) => {
      const steps = Array.from({ length: 24 }, (_, step) => (step === index ? 'a' : '*'));
      return [...steps, `x${index}`].join('.');
    });
    expect(problemsOf({ keep }).join()).toMatch(/overlaps with too many other selectors/);
  });

  it('but not a thousand selectors at any depth', () => {
    expect(problemsOf({ keep: Array.from({ length: 1_000 }, (_, index) => `**.field${index}`) })).toEqual([]);
  });
});
