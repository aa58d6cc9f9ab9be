/** Requests whose payload two readers could read differently, from a seed; and what must become of each. */
import type { Seeded } from '../../fixtures/seeded.ts';

export interface Ambiguous {
  readonly technique: string;
  /** Content-Type and more fields as they are sent. */
  readonly fields: readonly string[];
  readonly body: Buffer;
  readonly expected: 'refused' | 'forwarded';
}

type Json = string;

const KEYS = [
  'temperature',
  'serial',
  'owner',
  'a',
  'b',
  '',
  'é',
  'ﬁ',
  'ß',
  '温度',
  '😀',
  '__proto__',
  'constructor',
  '0',
  '1',
  '-1',
];
const TEXTS = [
  '"Ada"',
  '"SN-1"',
  '""',
  '"é"',
  '"e\u0301"',
  '"\u200b"',
  '"😀"',
  '"a\\nb"',
  '"\\u0000"',
  '"</script>"',
  '"\u2028"',
];
const NUMBERS = ['0', '1', '-1', '21.5', '1e2', '0.1', '9007199254740991', '-9007199254740991', '5e-324'];

/** A value, not deep. */
function value(random: Seeded, depth: number): Json {
  const kind = random.below(depth > 3 ? 4 : 6);
  if (kind < 2) return random.pick(NUMBERS);
  if (kind < 3) return random.pick(TEXTS);
  if (kind < 4) return random.pick(['true', 'false', 'null']);
  if (kind < 5) return `[${Array.from({ length: random.below(4) }, () => value(random, depth + 1)).join()}]`;
  return object(random, depth + 1);
}

/** Different keys in any order, and members that the test adds. */
function object(random: Seeded, depth: number, more: readonly string[] = []): Json {
  const keys = new Set(Array.from({ length: random.below(5) }, () => random.pick(KEYS)));
  const members = [...keys].map((key) => `${JSON.stringify(key)}:${value(random, depth)}`);
  for (const member of more) members.splice(random.below(members.length + 1), 0, member);
  return `{${members.join()}}`;
}

/** A document that has `text` somewhere in the place of a value. */
function around(random: Seeded, text: Json): Json {
  let document = random.below(2) === 0 ? `{"reading":${text}}` : object(random, 1, [`"reading":${text}`]);
  for (let turn = random.below(4); turn > 0; turn--) {
    document =
      random.below(2) === 0 ? `[${value(random, 3)},${document}]` : object(random, 2, [`"inside":${document}`]);
  }
  return document;
}

/** One character of a string as an escape, or as it is. */
function escaped(random: Seeded, text: string): string {
  return [...text]
    .map((character) => {
      if (random.below(2) === 0) return character;
      const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at));
      const hex = (unit: number) => unit.toString(16).padStart(4, '0');
      return units.map((unit) => `\\u${random.below(2) === 0 ? hex(unit) : hex(unit).toUpperCase()}`).join('');
    })
    .join('');
}

function spaced(random: Seeded, document: Json): Json {
  const space = () => random.pick(['', ' ', '\t', '\n', '\r\n', '  \n\t']);
  // Between tokens alone: texts are left as they are.
  return document.replace(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^"{}[\],:\s]+/g, (token) => `${space()}${token}${space()}`);
}

const JSON_TYPE = 'Content-Type: application/json';

type Maker = (random: Seeded) => { body: Json | Buffer; fields?: readonly string[] };

const plain: Maker = (random) => ({ body: around(random, value(random, 1)) });
const withValue =
  (values: readonly Json[]): Maker =>
  (random) => ({ body: around(random, random.pick(values)) });
const withFields =
  (fields: readonly (readonly string[])[]): Maker =>
  (random) => {
    return { body: around(random, value(random, 1)), fields: random.pick(fields) };
  };

function twice(random: Seeded, spell: (key: string) => string): Json {
  const key = random.pick(KEYS.filter((one) => one !== ''));
  const first = `${JSON.stringify(key)}:${value(random, 2)}`;
  const second = `"${spell(key)}":${value(random, 2)}`;
  const members = random.below(2) === 0 ? [first, second] : [second, first];
  const between = random.below(2) === 0 ? [] : [`"between":${value(random, 2)}`];
  return around(random, `{${[members[0], ...between, members[1]].join()}}`);
}

const REFUSED: Readonly<Record<string, Maker>> = {
  'a key twice': (random) => ({ body: twice(random, (key) => JSON.stringify(key).slice(1, -1)) }),
  'a key twice, escaped': (random) => ({ body: twice(random, (key) => escaped(random, key)) }),
  'a key twice among thousands': (random) => {
    const many = Array.from({ length: 500 + random.below(500) }, (_, index) => `"k${index}":0`);
    many.splice(random.below(many.length), 0, `"k${random.below(500)}":1`);
    return { body: `{${many.join()}}` };
  },
  'a number too long': withValue([
    '9007199254740993',
    '-9007199254740993',
    '12345678901234567890',
    '18446744073709551616',
    '0.1000000000000000055511151231257828',
    '3.14159265358979323846',
    '1.00000000000000001e2',
  ]),
  'a number too large or small': withValue([
    '1e21',
    '1.7976931348623157e308',
    '123456789012345680000',
    '1e309',
    '-1e309',
    '1e999999999',
    '1e-400',
    '-1e-999',
    '2e-324',
  ]),
  'a number spelled otherwise': withValue([
    '01',
    '-01',
    '+1',
    '.5',
    '1.',
    '0x10',
    '1_000',
    '1e',
    '1e+',
    '--1',
    'NaN',
    'Infinity',
    '-Infinity',
    '１',
  ]),
  'a lone surrogate': withValue(['"\\ud800"', '"\\udc00"', '"\\ud800\\u0041"', '"\\udc00\\ud800"', '"a\\ud83d"']),
  'a word spelled otherwise': withValue(['True', 'NULL', 'nil', 'undefined', 'yes', 'tru', 'nulll']),
  'another quote': withValue(["'a'", '`a`', '"a', '“a”', 'a']),
  'another escape': withValue([
    '"\\x41"',
    '"\\u{41}"',
    '"\\0"',
    '"\\\'"',
    '"\\a"',
    '"\\u004"',
    '"\\U00000041"',
    '"\\\n"',
  ]),
  'a control in a text': withValue(['"\n"', '"\t"', '"\u0000"', '"\u001f"', '"a\rb"']),
  'a comma too many': withValue([
    '[1,]',
    '[,1]',
    '{"a":1,}',
    '{,"a":1}',
    '[1,,2]',
    '[1 2]',
    '{"a" 1}',
    '{"a":1 "b":2}',
    '{1:2}',
    '{a:1}',
  ]),
  'a comment': withValue(['1/* a */', '/**/1', '1// a\n', '1# a\n', '<!--1']),
  'a space that is none': withValue(['\u00a01', '\u20281', '\u000c1', '\u000b1', '\ufeff1', '\u30001', '\u00001']),
  'text behind the end': (random) => {
    const document = around(random, value(random, 1));
    return {
      body:
        document +
        random.pick([
          'x',
          '{}',
          ' {"a":1}',
          ',',
          '\u0000',
          '//',
          ']',
          '}',
          '\n1',
          ';',
          '\u001a',
          '\n\n{"temperature":1}',
        ]),
    };
  },
  'a mark of byte order': (random) => ({ body: Buffer.from(`\ufeff${around(random, value(random, 1))}`) }),
  'another encoding': (random) => {
    const document = around(random, random.pick(TEXTS));
    return { body: Buffer.from(random.below(2) === 0 ? document : `\ufeff${document}`, 'utf16le') };
  },
  'bytes that are no UTF-8': (random) => {
    const bad = random.pick([
      'ff',
      'c0af',
      'eda080',
      'eda0bdedb880',
      'f4908080',
      'c3',
      'e282',
      '80',
      'f0808080',
      'c1bf',
    ]);
    const [before, after] = around(random, '"MARK"').split('MARK') as [string, string];
    return { body: Buffer.concat([Buffer.from(before), Buffer.from(bad, 'hex'), Buffer.from(after)]) };
  },
  'too deep': (random) => {
    const depth = 33 + random.below(2_000);
    const [open, close] = random.pick([
      ['[', ']'],
      ['{"a":', '}'],
    ] as const);
    return { body: `${open.repeat(depth)}1${close.repeat(depth)}` };
  },
  'too many values': () => ({ body: `[${'0,'.repeat(20_000)}0]` }),
  'no end': (random) => {
    const document = around(random, value(random, 1));
    return { body: document.slice(0, 1 + random.below(document.length - 1)) };
  },
  'a content encoding': withFields(
    ['gzip', 'deflate', 'br', 'zstd', 'identity, gzip', 'x-gzip', 'aes128gcm'].map((coding) => [
      JSON_TYPE,
      `Content-Encoding: ${coding}`,
    ]),
  ),
  'another charset': withFields(
    [
      'utf-16',
      'utf-7',
      'iso-8859-1',
      'windows-1252',
      'UTF-16LE',
      '"utf-16"',
      'utf8',
      'us-ascii',
      'utf-8;charset=utf-16',
      'utf-16; charset=utf-8',
    ].map((charset) => [`Content-Type: application/json; charset=${charset}`]),
  ),
  'two content types': withFields([
    [JSON_TYPE, JSON_TYPE],
    [JSON_TYPE, 'Content-Type: text/plain'],
    ['Content-Type: application/json, text/plain'],
    ['Content-Type: application/json;'],
    ['Content-Type: application/json; charset'],
    ['Content-Type: application/json charset=utf-8'],
    ['Content-Type: application/json/xml'],
  ]),
  'a label that hides it': withFields([
    [],
    ['Content-Type: text/plain'],
    ['Content-Type: text/json'],
    ['Content-Type: application/x-json'],
    ['Content-Type: application/octet-stream'],
    ['Content-Type: application/json5'],
    ['Content-Type: application/json-seq'],
    ['Content-Type: multipart/form-data; boundary=a'],
  ]),
  'two content encodings': withFields([[JSON_TYPE, 'Content-Encoding: identity', 'Content-Encoding: gzip']]),
};

const FORWARDED: Readonly<Record<string, Maker>> = {
  nothing: plain,
  spaces: (random) => ({ body: spaced(random, around(random, value(random, 1))) }),
  escapes: (random) => ({
    body: around(
      random,
      `{"${escaped(random, random.pick(['key', 'é', '😀', 'temperature']))}":"${escaped(random, 'text é 😀')}"}`,
    ),
  }),
  'an escaped slash': withValue(['"a\\/b"', '"\\u002f"', '{"a\\/b":1}']),
  'a number in other words': withValue([
    '1.0',
    '1.50',
    '1e0',
    '1E+2',
    '100e-2',
    '-0',
    '-0.0',
    '0e10',
    '0.00001',
    '1e-7',
    '0.000001',
    '4.35',
    '2.5e-8',
  ]),
  'keys in another case': withValue([
    '{"serial":1,"Serial":2,"SERIAL":3}',
    '{"ı":1,"i":2,"I":3,"İ":4}',
    '{"ß":1,"ss":2,"ẞ":3}',
    '{"ſ":1,"s":2}',
    '{"K":1,"\u212a":2}',
  ]),
  'keys in another normal form': withValue([
    '{"é":1,"e\u0301":2}',
    '{"Å":1,"\u212b":2,"A\u030a":3}',
    '{"ﬁ":1,"fi":2}',
    '{"가":1,"\u1100\u1161":2}',
    '{"²":1,"2":2}',
  ]),
  'keys that look alike': withValue([
    '{"a":1,"а":2}',
    '{"a":1,"a\u200b":2,"\u200ba":3}',
    '{"a":1," a":2,"a ":3}',
    '{"a":1,"\\u0000a":2}',
    '{"a":1,"\ufeffa":2}',
  ]),
  'keys with a meaning elsewhere': withValue([
    '{"__proto__":{"admin":true}}',
    '{"constructor":{"prototype":{"a":1}}}',
    '{"toString":1,"valueOf":2}',
    '{"$ref":"#"}',
    '{"$where":"1"}',
    '{"a.b":1,"a":{"b":2}}',
    '{"a[b]":1}',
    '{"":1}',
  ]),
  'keys that are numbers': withValue([
    '{"2":1,"1":2,"10":3,"0":4}',
    '{"-1":1,"1e3":2,"1000":3}',
    '{"4294967295":1,"4294967294":2}',
  ]),
  'texts that look like values': withValue([
    '"true"',
    '"null"',
    '"1"',
    '"1e400"',
    '"{\\"a\\":1}"',
    '"\\\\u0041"',
    '"%7B"',
    '"&quot;"',
  ]),
  'characters that break lines elsewhere': withValue([
    '"\u2028\u2029"',
    '"\u0085"',
    '"\\r\\n"',
    '"\\u0085"',
    '"\u202e"',
  ]),
  'a type with parameters': withFields([
    ['Content-Type: application/json; charset=utf-8'],
    ['Content-Type: Application/JSON;charset=UTF-8'],
    ['Content-Type: application/json; charset="utf-8"'],
    ['Content-Type: application/json; version=1; profile="a;charset=utf-16"'],
    ['Content-Type: application/json; boundary=x'],
  ]),
  'a type that ends with +json': withFields([
    ['Content-Type: application/senml+json'],
    ['Content-Type: application/vnd.api+json; ext=bulk'],
    ['Content-Type: APPLICATION/LD+JSON'],
    ['Content-Type: application/problem+json'],
  ]),
  'an encoding that is none': withFields([
    [JSON_TYPE, 'Content-Encoding: identity'],
    [JSON_TYPE, 'Content-Encoding: IDENTITY'],
  ]),
  'depth to the limit': (random) => {
    const [open, close] = random.pick([
      ['[', ']'],
      ['{"a":', '}'],
    ] as const);
    return { body: `${open.repeat(32)}1${close.repeat(32)}` };
  },
};

const TECHNIQUES = [
  ...Object.entries(REFUSED).map(([technique, maker]) => ({ technique, maker, expected: 'refused' as const })),
  ...Object.entries(FORWARDED).map(([technique, maker]) => ({ technique, maker, expected: 'forwarded' as const })),
];

export const TECHNIQUE_COUNT = TECHNIQUES.length;

/** One of the techniques in turn. */
export function ambiguous(random: Seeded, turn: number): Ambiguous {
  const { technique, maker, expected } = TECHNIQUES[turn % TECHNIQUES.length] as (typeof TECHNIQUES)[number];
  const { body, fields = [JSON_TYPE] } = maker(random);
  return { technique, expected, fields, body: typeof body === 'string' ? Buffer.from(body) : body };
}
