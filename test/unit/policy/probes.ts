/** Probes: calls of built-ins that are answered by `opa eval` (test/vectors/policy/builtins.jsonl) and by the wall. */

export interface Probe {
  readonly f: string;
  readonly args: readonly unknown[];
}

/** A number literal that JavaScript would round. JSON.stringify writes it as it is. */
function literal(text: string): unknown {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  return rawJSON(text);
}

const NUMBERS = [
  0, 1, -1, 2, 3, 7, 10, 64, 100, 255, -255, 1000000, 2147483647, -2147483648, 2147483648, 4294967296, 0.1, 0.2, 0.5,
  -0.5, 1.5, -1.5, 2.5, -2.5, 0.7, 1.1, 3.14159, 123456.789, 1e-7,
].map((value): unknown => value);
const LONG_NUMBERS = [
  '9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775808',
  '18446744073709551617',
  '123456789012345678901234567890',
  '1.0',
  '2.0',
  '1e3',
  '1E2',
  '1e-3',
  '2.50',
  '0.30000000000000000001',
  '1e20',
  '1e300',
  '-0',
].map(literal);
const ALL_NUMBERS = [...NUMBERS, ...LONG_NUMBERS];
const ODD: readonly unknown[] = [null, true, false, 'a', '', [], {}, [1, 'b'], { a: 1 }];
const STRINGS = [
  '', 'a', 'aa', 'ab', 'aXbXc', 'hello world', ' x ', 'äöü', 'e\u0301', '日本語', '😀x😀', 'ǅ', 'ß', 'İ', 'Σς', 'a\u0000b',
  'tab\tnew\nline', '"quoted"', '\\', '<&>', '\u2028', 'A1-b_2.c~',
];
const SEARCHES = ['', 'a', 'X', 'aa', ' ', 'ö', '😀', 'b', 'world', '本'];
const CIDRS = [
  '10.0.0.0/8', '10.1.2.3/32', '10.1.2.0/24', '192.168.0.0/16', '0.0.0.0/0', '::/0', '::1/128', 'fe80::/10', '2001:db8::/32',
  '2001:db8:1::/48', '::ffff:10.0.0.0/104', '::ffff:0:0/96', '::ffff:10.1.2.3/128', '::/80', '10.0.0.0/33', '10.0.0/8',
  '010.0.0.0/8', '10.0.0.0', '10.0.0.0/08', '10.0.0.0/-1', 'x', '', '::1/129', '1::2::3/64', 'fe80::1%eth0/64', '10.0.0.1/8',
  '::10.0.0.1/100', '1:2:3:4:5:6:7:8/64', '1:2:3:4:5:6:7::/64', '1:2:3:4:5:6:1.2.3.4/96',
];
const ADDRESSES = [
  '10.1.2.3', '10.255.255.255', '11.0.0.0', '::1', '::ffff:10.1.2.3', '::ffff:a01:203', '2001:db8::1', 'fe80::1', '::', 'x', '',
  '10.1.2', '256.1.1.1', '10.1.2.3.4', '2001:DB8::1', '::ffff:10.1.2.300', 'fe80::1%1', '1:2:3:4:5:6:7:8:9', '::1.2.3.4',
];
const JSONS = [
  '{}', '[]', '1', '"x"', 'null', 'true', '{"b":1,"a":2}', '{"a":1,"a":2}', '{} x', '01', '1.', '.5', '+1', '1e5', '1e', '-', '',
  ' 1 ', '[1,]', '{"a":}', '{a:1}', "'x'", '"\\ud800"', '"\\u0041"', '"\\x"', 'nul', 'tru', '[1 2]', '{"a" 1}', '{,}', '"\t"',
  '1.0', '9007199254740993', '1e400', '[[[[]]]]', 'NaN', 'Infinity', '\ufeff{}', '{"a":[1,{"b":null}]}', '"a', '[', '{"1":1}',
  '{1:1}', '{"x"}', 'set()', '-0', '-01', '0x10', '{"a":1}{"b":2}',
];
const BASE64 = [
  '', 'YQ==', 'YQ', 'YWI=', 'YWI', 'YWJj', 'YQ=', '=', '====', 'Y Q==', 'YQ==\n', '\nYQ==', 'YR==', 'YQ===', 'a', 'ab_-', 'ab+/',
  'w6Q=', '/w==', 'Y!Q=', 'YWJjYQ==', 'YQ==YQ==', 'YWJj\r\nYWJj', 'ä',
];
const TIMES = [
  '2026-01-02T03:04:05Z', '2026-01-02T03:04:05.123456789Z', '2026-01-02T03:04:05.1Z', '2026-01-02T03:04:05+02:00',
  '2026-01-02T03:04:05-11:30', '1969-12-31T23:59:59Z', '2024-02-29T00:00:00Z', '2025-02-29T00:00:00Z', '2026-13-01T00:00:00Z',
  '2026-01-32T00:00:00Z', '2026-01-02T24:00:00Z', '2026-01-02T23:60:00Z', '2026-01-02T23:59:60Z', '2026-01-02 03:04:05Z',
  '2026-01-02T03:04:05', '2026-01-02', '', '2026-01-02t03:04:05z', '2026-01-02T3:04:05Z', '2262-04-11T23:47:16.854775807Z',
  '2262-04-11T23:47:16.854775808Z', '1677-09-21T00:12:43.145224192Z', '1677-09-21T00:12:43Z', '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z', '2026-01-02T03:04:05,5Z', '2026-01-02T03:04:05.Z', '2026-01-02T03:04:05+24:00',
  '2026-01-02T03:04:05+25:00', '2026-01-02T03:04:05+02:60', '2026-01-02T03:04:05+0200', '2026-1-02T03:04:05Z',
  '2026-01-02T03:04:05.1234567891Z', ' 2026-01-02T03:04:05Z', '2026-01-02T03:04:05Z ', '2026-01-02T03:04:05+02:61',
];
const INSTANTS: readonly unknown[] = [
  0, 1, -1, literal('1767225600000000000'), literal('1767323045123456789'), literal('-1767323045123456789'),
  literal('9223372036854775807'), literal('-9223372036854775808'), literal('9223372036854775808'), 1.5, 'x', null, [], [0],
  [literal('1767225600000000000'), 'UTC'], [literal('1767225600000000000'), ''],
  [literal('1767225600000000000'), 'America/New_York'], [literal('1784000000000000000'), 'Europe/Vienna'],
  [literal('1767225600000000000'), 'Asia/Kathmandu'], [literal('1767225600000000000'), 'Nowhere/City'],
  [literal('1767225600000000000'), 'america/new_york'], [literal('1767225600000000000'), '+01:00'],
  [literal('-5000000000000000000'), 'Europe/Paris'], [literal('1767225600000000000'), 'US/Eastern'],
  [literal('1767225600000000000'), 'Pacific/Apia'], [0, 'UTC', 'x'], [0, 1], ['0'],
];
const VERSIONS = [
  '1.2.3', '1.2.4', '1.10.0', '0.0.0', 'v1.2.3', '1.2.3-alpha', '1.2.3-alpha.1', '1.2.3-alpha.beta', '1.2.3-1', '1.2.3-01', '1.2',
  '1.2.3.4', '01.2.3', '1.2.3+build', '1.2.3+', '1.2.3-', '1.2.3-a..b', '', 'x', '1.2.-3', '1.2.3-rc.10', '1.2.3-rc.9',
  '99999999999999999999.0.0', '1.2.3-alpha+001', '1.2.3-99999999999999999999',
];
const SIZES = [
  '10', '10k', '10K', '10kb', '10KiB', '1.5G', '1.5Gi', '0.1kb', '100MB', '1e3', '1e3k', '1ek', '1e', '1E', '1e+2', '1e-2', '-5k',
  '+5k', '', 'k', '10 k', '"10k"', '10x', '1.5.5k', '.5k', '5.k', '1_0', '0x10', 'Inf', '10PiB', '7EiB', '1e7', '1e999999', '1e1000000',
  '10kbb', '10bytes', '0.000001', '18446744073709551616', '9.99999999999999999999k', '1e2.5', 'e5',
];
const PATTERNS = [
  'a', '^a', 'a$', 'a*', '', '[a-z]+', '(a)(b)?', '(?i)A', '\\d+', '\\bx\\b', '(?P<n>.)', '(?<n>.)', '.', '\\s', 'ö', '[^a]', 'a|b',
  '(', '[', 'a{2,1}', '\\pL', '\\p{Greek}', '(?s).', '(?m)^', '\\z', '\\Z', '(?=a)', '\\1', 'x{1001}', '\\x41', '(?:a+)+$', '[[:alpha:]]',
  '\\Qa.b\\E', '(?U)a+', '^$', '(a*)*', '\\C', '(?i)ſ', 'X(.)X',
];
const SUBJECTS = ['', 'a', 'abab', 'aaa b', 'hello world', 'Äöü', '😀a', 'x1y22', 'A\nB', 'aXbXc'];
const TEMPLATES = ['', 'z', '$1', '${1}x', '$1x', '$$', '$', '${n}', '$0', '$9', '\\1', '$n', '${', '${1', '$01'];
const GLOBS: readonly [string, unknown, string][] = [
  ['*.example.com', ['.'], 'a.example.com'], ['*.example.com', ['.'], 'a.b.example.com'], ['**.example.com', ['.'], 'a.b.example.com'],
  ['*', null, 'a.b'], ['*', [], 'a.b'], ['a?c', [], 'abc'], ['a?c', ['b'], 'abc'], ['[a-c]x', [], 'bx'], ['[!a-c]x', [], 'dx'],
  ['{a,b}c', [], 'bc'], ['{a,b*}c', [], 'bxc'], ['\\*', [], '*'], ['a*', ['/'], 'a/b'], ['a**', ['/'], 'a/b'], ['', [], ''],
  ['', [], 'a'], ['*a*', [':'], 'bab'], ['[', [], '['], ['{a', [], '{a'], ['ä*', [], 'äö'], ['?', [], '😀'], ['a', [], 'A'],
  ['api/*/x', ['/'], 'api/1/x'], ['api/*/x', ['/'], 'api/1/2/x'], ['*:*', [':', '.'], 'a:b'], ['[a-]', [], '-'], ['{,a}', [], 'a'], ['[a-]', [], 'a'], ['[]a]', [], 'a'], ['[!]', [], 'a'], ['[!!]', [], 'a'], ['[c-a]', [], 'b'], ['[\\]]', [], ']'], ['[\\-a]', [], ']'],
  ['[a\\-z]', [], '-'], ['[]-a]', [], '_'], ['a,b', [], 'a,b'], ['a}', [], 'a}'], ['{a}b', [], 'ab'], ['{}', [], ''], ['{a,b', [], 'a'], ['x\\', [], 'x'],
  ['a{b,c*}d', ['.'], 'acxd'], ['a{b,c*}d', ['.'], 'ac.d'], ['{a,b}{c,d}', [], 'bd'], ['**', ['.'], 'a.b'], ['a**b', ['.'], 'a..b'], ['[!.]', ['.'], '.'],
  ['[!a]', ['.'], '.'], ['.', [], 'a'], ['$', [], ''], ['a\n*', [], 'a\nb'], ['*', [], 'a\nb'], ['?', ['\n'], '\n'], ['[[:alpha:]]', [], 'a'], ['\\{a\\}', [], '{a}'],
  ['a.b', [], 'axb'], ['a+b', [], 'aab'], ['(a)', [], '(a)'], ['a|b', [], 'a'], ['^a$', [], '^a$'], ['*', ['ab'], 'x'], ['{a,{b,c}}', [], 'c'],
];
const FORMATS = [
  '%d', '%s', '%v', '%q', '%x', '%X', '%o', '%O', '%b', '%e', '%E', '%f', '%F', '%g', '%G', '%t', '%c', '%U', '%T', '%p', '%%', '%', '%z',
  '%5d', '%-5d|', '%05d', '%+d', '% d', '%#x', '%#o', '%.3d', '%.2f', '%8.3f', '%-8.2f|', '%08.2f', '%+.1f', '%.0f', '%.3s', '%10s', '%-10s|',
  '%010s', '%#q', '%+q', '%#v', '%+v', '% x', '%#X', '%.10g', '%.3g', '%.3e', '%[1]d', '%[2]d', '%[1]v %[1]v', '%d %d', 'x', '%!', '%6.2v', '%#U',
  '%x|%X', '%.0d', '%20.5d', '%-020d|', '%[0]d', '%[x]d', '%[1', '%w',
];
const OPERANDS: readonly unknown[] = [
  0, 42, -42, 255, 65, 128512, 1.5, -1.5, 1e21, 1e-7, 123456789.125, 100000, 1000000.5, 0.1, 'hi', 'ä"\n', '', true, null, [1, 'a'],
  { b: 1, a: [true, null] }, literal('9007199254740993'), literal('18446744073709551617'), literal('-18446744073709551617'), literal('1.0'),
  literal('1e2'), '\u200b\u0001', literal('9223372036854775807'), '😀', [], {}, 1114112, 55296,
];
const DOCUMENT = { a: { b: [1, { c: 2 }], 'x/y': 3, '~': 4 }, d: null, '2': 'two' };
const PATHS: readonly unknown[] = [
  [], ['a'], ['a/b'], ['a/b/0'], ['a/b/1/c'], ['/a/b/1'], ['a/x~1y'], ['a/~0'], ['d'], ['nope'], ['a/b/9'], [['a', 'b']], [['a', 'b', 1]], ['2'],
  ['a', 'd'], [''], ['a/'], [['a', 'x/y']], 'a', null,
];
const COLLECTIONS: readonly unknown[] = [
  [], [1], [3, 1, 2], ['b', 'a'], [1, '1', null, true, [1], { a: 1 }], [1, 1.0, 2], [[2], [1, 5], [1]], [{ b: 1 }, { a: 2 }], { b: 1, a: 2 }, {}, 'text', 'öx',
  [0.1, 0.2, 0.3], [0.1, 0.7], [literal('9007199254740993'), 1], [literal('1e2'), literal('1.50')], [null], [true, false],
  [2147483647, 1], [1.5, -1.5], ['ö', 'z', '😀', '\ufffd'],
];

/** Go makes numbers of these that no JSON can hold, and then `opa eval` cannot print its result. */
export const NOT_JSON_FOR_GO: readonly string[] = ['01', '1.', '.5', '+1', '-01', '007', '1.e3', '1_000', '0x1p4'];

function each(f: string, ...lists: readonly (readonly unknown[])[]): Probe[] {
  let rows: unknown[][] = [[]];
  for (const list of lists) rows = rows.flatMap((row) => list.map((item) => [...row, item]));
  return rows.map((args) => ({ f, args }));
}

function rows(f: string, list: readonly (readonly unknown[])[]): Probe[] {
  return list.map((args) => ({ f, args }));
}

const SOME_NUMBERS = [0, 1, -3, 2147483647, 0.1, 0.7, -2.5, ...LONG_NUMBERS.slice(0, 4), literal('1.0'), literal('1e3'), literal('1e20')];
const INTEGERS = [0, 1, -1, 5, 255, -256, 2147483648, literal('9007199254740993'), literal('18446744073709551617'), literal('2.0'), 1.5, 'x'];

export const PROBES: readonly Probe[] = [
  ...['abs', 'round', 'ceil', 'floor'].flatMap((f) => each(f, [...ALL_NUMBERS, 'x', null])),
  ...['plus', 'minus', 'multiply', 'divide', 'remainder', 'lt', 'lte', 'eq'].flatMap((f) => each(f, SOME_NUMBERS, SOME_NUMBERS)),
  ...['plus', 'minus', 'divide'].flatMap((f) => rows(f, [[1, 'x'], [null, 1], [[1], [1]], [1, 0], [0, 0], [0.0, 5], [1, literal('0.0')], [0, -5]])),
  ...each('lt', ODD, ODD),
  ...each('eq', ODD, ODD),
  ...['minus sets', 'and sets', 'or sets'].flatMap((f) => each(f, [[], [1], [1, 'a'], [1.5, 2]], [[], [1], ['a'], [2, 1]])),
  ...['set', 'sort', 'sort set', 'count', 'sum', 'sum set', 'product', 'max', 'min', 'array.reverse', 'json.marshal', 'json.marshal set'].flatMap((f) =>
    each(f, COLLECTIONS),
  ),
  ...each('count', STRINGS),
  ...['bits.and', 'bits.or', 'bits.xor'].flatMap((f) => each(f, INTEGERS, INTEGERS)),
  ...each('bits.negate', INTEGERS),
  ...['bits.lsh', 'bits.rsh'].flatMap((f) => each(f, INTEGERS, [0, 1, 7, 64, 100, -1, 1.5, 'x'])),
  ...each('array.concat', [[], [1], ['a', [2]], 'x'], [[], [3], {}]),
  ...each('array.flatten', [[], [1, [2, [3]]], [[], []], 'x', { a: 1 }]),
  ...each('array.slice', [[1, 2, 3, 4], [], 'x'], [-1, 0, 1, 3, 9, 1.5, literal('1.0')], [-1, 0, 2, 4, 9, 'x']),
  ...['is_number', 'is_string', 'is_boolean', 'is_array', 'is_object', 'is_null', 'type_name'].flatMap((f) => each(f, [...ODD, 1, 1.5])),
  ...each('to_number', [
    ...ODD, ...JSONS.filter((text) => !NOT_JSON_FOR_GO.includes(text)), ...ALL_NUMBERS, '12', '-12', '1.50', '1e3', '1E3', ' 1', '1 ', '0x1f', 'inf', '-Inf',
    'NaN', '1e999', '-0', '1e-5', '1.7976931348623157e308', '1e309', '1e', '-', '--1', 'e5',
  ]),
  ...each('numbers.range', [0, 1, 5, -2, literal('2.0'), 1.5, 'x'], [0, 3, -3, literal('3.0'), 'x']),
  ...rows('numbers.range', [[2147483646, 2147483649], [literal('9223372036854775806'), literal('9223372036854775809')]]),
  ...each('numbers.range_step', [0, 10], [0, 10, -5], [1, 2, 3, 0, -1, 1.5]),
  ...['base64.encode', 'base64url.encode', 'base64url.encode_no_pad', 'hex.encode'].flatMap((f) => each(f, [...STRINGS, 1])),
  ...['base64.decode', 'base64.is_valid', 'base64url.decode'].flatMap((f) => each(f, [...BASE64, 1])),
  ...each('hex.decode', ['', '61', '6', '6g', 'C3A4', 'c3a4', 'ff', '00', '6162 ', 1]),
  ...['concat', 'concat set'].flatMap((f) => each(f, ['', ',', 'ö', 1], [[], ['a'], ['b', 'a', 'c'], ['b', 'ä', 'a', '😀', 'z'], [1], ['a', 1]])),
  ...each('concat', [','], ['x', {}, null]),
  ...['contains', 'startswith', 'endswith', 'indexof', 'indexof_n', 'strings.count', 'split'].flatMap((f) => each(f, [...STRINGS, 'ababab', 1], [...SEARCHES, 'abab', 1])),
  ...['trim', 'trim_left', 'trim_right', 'trim_prefix', 'trim_suffix'].flatMap((f) => each(f, STRINGS, [...SEARCHES, 'ba', 'üä'])),
  ...['lower', 'upper', 'strings.reverse', 'trim_space'].flatMap((f) => each(f, [...STRINGS, '\u00a0x\u2003', '\u0085a', 'ĲǄ', 'ﬃ', 1])),
  ...each('replace', STRINGS, SEARCHES, ['', 'y', 'ä', '$&', 'aa']),
  ...each('strings.replace_n', [{}, { a: 'b' }, { a: 'b', b: 'c' }, { '': 'x' }, { a: 1 }, { aa: '1', a: '2' }, { ö: 'o' }, { a: '', ab: 'z' }], ['', 'a', 'aab', 'ö', 'abab', 1]),
  ...each('substring', ['', 'abc', 'äöü', '😀ab'], [-1, 0, 1, 2, 5, literal('1.0'), 1.5], [-1, 0, 1, 9, literal('9223372036854775807')]),
  ...each('format_int', [...ALL_NUMBERS, 'x'], [2, 8, 10, 16, 3, literal('10.0')]),
  ...each('strings.any_prefix_match', ['abc', ['abc', 'x'], [], [1], 1], ['a', ['x', 'ab'], [], '', [1], 1]),
  ...each('strings.any_suffix_match', ['abc', ['abc', 'x'], [], [1], 1], ['c', ['x', 'bc'], [], '', [1], 1]),
  ...each('strings.any_prefix_match set', [['abc'], []], [['a'], ['x'], []]),
  ...each('sprintf', FORMATS, [[], ...OPERANDS.map((operand) => [operand])]),
  ...rows('sprintf', [
    ['%*d|', [5, 42]], ['%-*d|', [5, 42]], ['%*d', [-5, 42]], ['%.*f', [2, 3.14159]], ['%*d', ['x', 1]], ['%[2]d %[1]d', [1, 2]], ['%[3]d', [1]], ['%d', [1, 2]],
    ['%d %s', [1, 'a']], ['%s %s', ['a', 'b', 'c']], ['%[1]*d', [3, 7]], ['%6.2f|%6.2f', [1.005, 2.675]], ['%[2]*[1]d|', [7, 4]], ['%d', 'x'], [1, []], ['%s', {}],
    ['%v', [[literal('1.50'), 'x', null]]], ['%.-1f', [1.5]], ['%1000000d', []], ['%[1]d %d', [1, 2]], ['%s: %d%%', ['cpu', 93]],
  ]),
  ...each('sprintf set', ['%v', '%s', '%d'], [[], [1], ['b', 'a']]),
  ...each('template', OPERANDS, [1, 'x', { b: 1, a: '<' }]),
  ...each('net.cidr_contains', CIDRS, [...ADDRESSES, ...CIDRS]),
  ...each('net.cidr_intersects', CIDRS, CIDRS),
  ...each('net.cidr_is_valid', [...CIDRS, ...ADDRESSES, 1]),
  ...each('net.cidr_contains_matches', ['10.0.0.0/8', ['10.0.0.0/8', '::/0'], { a: '10.0.0.0/8' }, [['10.0.0.0/8', 'x']], [[]]], ['10.1.1.1', ['10.1.1.1', '::1'], { x: '10.2.0.0/16' }, ['bad']]),
  ...GLOBS.map(([pattern, delimiters, subject]) => ({ f: 'glob.match', args: [pattern, delimiters, subject] })),
  ...each('json.marshal', [...ODD, ...STRINGS, ...ALL_NUMBERS, { b: { d: 1, c: '<' }, a: '\u2028' }]),
  ...each('json.unmarshal', [...JSONS, 1]),
  ...each('json.is_valid', [...JSONS, 1, null]),
  ...['json.filter', 'json.remove'].flatMap((f) => each(f, [DOCUMENT, {}, { a: [1, 2, 3] }], PATHS)),
  ...['object.filter', 'object.remove'].flatMap((f) => each(f, [DOCUMENT, {}, [1]], [['a'], ['d', '2'], [], { a: 1 }, [2], 'a'])),
  ...each('object.get', [DOCUMENT, {}, [1]], ['a', 'd', '2', 2, ['a', 'b'], ['a', 'b', 0], ['a', 'nope'], [], null], ['default']),
  ...each('object.keys', [DOCUMENT, {}, [1], 'x']),
  ...each('object.union', [{}, { a: 1 }, { a: { b: 1 } }, [1]], [{}, { a: 2 }, { a: { c: 2 } }, { b: 3 }]),
  ...each('object.union_n', [[], [{ a: 1 }], [{ a: { b: 1 } }, { a: { c: 2 } }, { a: { b: 3 } }], [{ a: 1 }, 2], [{ a: { b: 1 } }, { a: 2 }, { a: { c: 3 } }]]),
  ...each('object.subset', [{ a: 1, b: { c: [1, 2, 3] } }, [1, 2, 1, 2, 3], [], {}, 'x'], [{ a: 1 }, { b: { c: [2, 3] } }, { b: { c: [1, 3] } }, {}, [1, 2, 3], [], [2, 1], { a: literal('1.0') }, 'x']),
  ...each('object.subset set', [[1, 2, 3], [], [1, 1]], [[1], [], [4], [1, 2]]),
  ...each('walk', [1, [1, [2]], { a: { b: 1 } }]),
  ...each('graph.reachable', [{ a: ['b'], b: ['c'], c: [] }, { a: ['a'] }, {}, 1], [['a'], ['b', 'x'], [], 'a']),
  ...each('regex.is_valid', [...PATTERNS, 1]),
  ...each('regex.match', PATTERNS, SUBJECTS),
  ...['regex.find_n', 'regex.find_all_string_submatch_n'].flatMap((f) => each(f, PATTERNS, SUBJECTS, [-1, 1])),
  ...each('regex.find_n', ['a'], ['aaaa'], [0, 2, 9, -5, 1.5, 'x']),
  ...each('regex.split', PATTERNS, SUBJECTS),
  ...each('regex.replace', SUBJECTS, PATTERNS, ['', '<$1>', '$0']),
  ...each('regex.replace', ['abab', 'aXbXc'], ['(a)(b)?', '(?P<n>.)', 'X(.)X'], TEMPLATES),
  ...each('in', [1, 'a', null, literal('1.0')], [[1, 2], ['a'], { x: 1 }, { a: 'a' }, [], 'a', [null]]),
  ...each('in key', [0, 'a', 'x'], [1, 'a'], [[1], { a: 1 }, { x: 'a' }, []]),
  ...each('get', [[1, 2], { a: 1, '1': 2 }, 'abc', { '': 3 }], [0, 1, -1, 9, 'a', '1', '', literal('1.0'), null]),
  ...each('intersection', [[], [[1, 2], [2, 3]], [[1]], [[1], []]]),
  ...each('union', [[], [[1, 2], [2, 3]], [[1]], [[], []]]),
  ...each('crypto.sha256', [...STRINGS, 1]),
  ...each('crypto.hmac.sha256', STRINGS.slice(0, 8), ['', 'key', 'ö']),
  ...each('crypto.hmac.equal', ['', 'a', 'ä', 1], ['', 'a', 'b', 'ä']),
  ...each('semver.compare', VERSIONS, VERSIONS),
  ...each('semver.is_valid', [...VERSIONS, 1]),
  ...each('units.parse_bytes', [...SIZES, 1]),
  ...each('time.parse_rfc3339_ns', [...TIMES, 1]),
  ...['time.clock', 'time.date', 'time.weekday'].flatMap((f) => each(f, INSTANTS)),
  ...each('time.add_date', [0, literal('1769817600000000000'), [literal('1769817600000000000'), 'UTC'], literal('9223372036854775807')], [0, 1, -1, 300], [0, 1, -13, 25], [0, 31, -400]),
  ...rows('time.add_date', [[0, 1.5, 0, 0], [0, 'x', 0, 0], [[0, 'Europe/Vienna'], 1, 1, 1], [0, 0, 0, literal('99999999999')]]),
];
