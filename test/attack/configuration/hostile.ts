/** Files that should never be a gateway's configuration, each with one thing wrong, by the kind of attack. */
import { parseDocument } from 'yaml';
import { describeKeys } from '../../../src/config/describe.ts';

export interface Hostile {
  readonly kind: 'pollution' | 'bomb' | 'tag' | 'encoding' | 'type' | 'pattern';
  readonly name: string;
  readonly text: string | Buffer;
}

/** A configuration that uses every key there is. */
export const GOOD = `
gateway: test
listen: { https: "127.0.0.1:0", metrics: "127.0.0.1:0", admin: unix }
upstreams:
  cloud:
    url: https://127.0.0.1:9
    pins: []
    connections: 4
    timeoutMs: 30 s
    dangerouslyPlaintext: false
segments:
  sensors:
    routes:
      telemetry:
        allow: POST /v1/telemetry
        to: cloud
        privacy: readings
        rate: { limit: 10/s, burst: 20 }
        over: [https]
        stream: false
        inspect: true
        when: { days: [mon, tue], from: "06:00", to: "22:00" }
        quiet: false
      frames: { allow: WS /v1/frames, to: cloud, privacy: readings, direction: both }
    reach: { sensors: [{ allow: GET /status, privacy: readings }] }
privacy:
  readings:
    keep: [temperature]
    pseudonymise: [serial]
    tokenise: [owner]
    coarsen: { power: 10 }
    purpose: readings
    query: { keep: [a], pseudonymise: [b], tokenise: [c] }
    headers: { keep: [x-a], pseudonymise: [x-b], tokenise: [x-c] }
    path: { pseudonymise: [d], tokenise: [e] }
policy: { entrypoint: sallyport/gate/verdict }
limits: { connections: 100, policyTimeoutMs: 10 s }
log: { level: error }
`;

type Path = readonly string[];

/** Every map of the file. */
const MAPS: readonly Path[] = [
  [],
  ['listen'],
  ['upstreams'],
  ['upstreams', 'cloud'],
  ['segments'],
  ['segments', 'sensors'],
  ['segments', 'sensors', 'routes'],
  ['segments', 'sensors', 'routes', 'telemetry'],
  ['segments', 'sensors', 'routes', 'telemetry', 'rate'],
  ['segments', 'sensors', 'routes', 'telemetry', 'when'],
  ['segments', 'sensors', 'reach'],
  ['privacy'],
  ['privacy', 'readings'],
  ['privacy', 'readings', 'coarsen'],
  ['privacy', 'readings', 'query'],
  ['privacy', 'readings', 'headers'],
  ['privacy', 'readings', 'path'],
  ['policy'],
  ['limits'],
  ['log'],
];

function withValue(path: Path, value: unknown): string {
  const document = parseDocument(GOOD);
  document.setIn(path, document.createNode(value));
  return document.toString({ lineWidth: 0 });
}

function pollution(): Hostile[] {
  const cases: Hostile[] = [];
  for (const path of MAPS) {
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      // Written as text: an object of our own could not hold such a key.
      const marked = withValue([...path, 'mark'], 'MARK');
      const value = key === 'constructor' ? '{ prototype: { polluted: yes } }' : '{ polluted: yes }';
      const text = marked.replace(/mark: MARK/, `${JSON.stringify(key)}: ${value}`);
      cases.push({ kind: 'pollution', name: `${key} in ${path.join('.') || 'the root'}`, text });
    }
  }
  const spelled = ['"\\x5f\\x5fproto__"', '"\\u005f_proto__"', '!!str __proto__', "'__proto__'", '? __proto__\n'];
  for (const key of spelled)
    cases.push({ kind: 'pollution', name: `spelled ${key}`, text: `${GOOD}${key}: { polluted: yes }\n` });
  const merged = [
    '<<: { __proto__: { polluted: yes } }',
    '"<<": [{ __proto__: { polluted: yes } }]',
    '__proto__.polluted: yes',
    '"constructor.prototype.polluted": yes',
    '[__proto__]: { polluted: yes }',
    '{ __proto__: a }: { polluted: yes }',
    'toString: { polluted: yes }',
    'hasOwnProperty: yes',
    '__defineGetter__: polluted',
    'valueOf: yes',
  ];
  for (const line of merged) cases.push({ kind: 'pollution', name: line, text: `${GOOD}${line}\n` });
  return cases;
}

const bomb = (name: string, text: string): Hostile => ({ kind: 'bomb', name, text });

function bombs(): Hostile[] {
  const laughs = Array.from({ length: 20 }, (_, level) => {
    const below = level === 0 ? 'lol' : `*l${level - 1}`;
    return `l${level}: &l${level} [${Array(10).fill(below).join(', ')}]`;
  });
  const counted = (count: number, make: (index: number) => string, between: string) =>
    Array.from({ length: count }, (_, index) => make(index)).join(between);
  return [
    bomb('billion laughs', `${laughs.join('\n')}\n${GOOD}`),
    bomb('an alias', `${GOOD}x: &a 1\ny: *a\n`),
    bomb('an alias to itself', `${GOOD}x: &a { b: *a }\n`),
    bomb('an anchor alone', `${GOOD}x: &a 1\n`),
    bomb('an anchor where a value is right', GOOD.replace('gateway: test', 'gateway: &a test')),
    bomb('an anchor at a map', GOOD.replace('limits: {', 'limits: &a {')),
    bomb('an anchor at a list', GOOD.replace('over: [', 'over: &a [')),
    bomb('20,000 anchors', `x: [${counted(20_000, (index) => `&a${index} 1`, ', ')}]\n`),
    bomb('an alias to nothing', `${GOOD}x: *nobody\n`),
    bomb('20,000 aliases to nothing', `x: [${counted(20_000, () => '*nobody', ', ')}]\n`),
    bomb('a merge key', `${GOOD}<<: { gateway: other }\n`),
    bomb('merge keys of aliases', `a: &a { x: 1 }\nb: { <<: [${counted(1_000, () => '*a', ', ')}] }\n`),
    bomb('100,000 brackets', `x: ${'['.repeat(100_000)}`),
    bomb('100,000 brackets, closed', `x: ${'['.repeat(100_000)}${']'.repeat(100_000)}\n`),
    bomb('50,000 braces', `x: ${'{a: '.repeat(50_000)}1${'}'.repeat(50_000)}\n`),
    bomb('150,000 braces', '{'.repeat(150_000)),
    bomb(
      '500 blocks deep',
      counted(500, (depth) => `${' '.repeat(depth)}a:`, '\n'),
    ),
    bomb('100,000 dashes', `${'- '.repeat(100_000)}1\n`),
    bomb('100,000 question marks', `${'? '.repeat(100_000)}1\n`),
    bomb('60,000 colons', ': '.repeat(60_000)),
    bomb('60,000 quotes', '"\n'.repeat(60_000)),
    bomb('100,000 exclamation marks', `x: ${'!'.repeat(100_000)} 1\n`),
    bomb('100,000 ampersands', `x: ${'&'.repeat(100_000)}a 1\n`),
    bomb('60,000 percent signs', '%\n'.repeat(60_000)),
    bomb('100,000 empty lines in a scalar', `x: |\n${'\n'.repeat(100_000)}`),
    bomb('folded scalar of 80,000 lines', `x: >\n${' a\n'.repeat(80_000)}`),
    bomb(
      'indentation that grows',
      counted(700, (depth) => `${' '.repeat(depth)}- a`, '\n'),
    ),
    bomb('a key of 100 kB', `${GOOD}${'k'.repeat(100_000)}: 1\n`),
    bomb('a quoted key of 250 kB', `${GOOD}"${'k'.repeat(250_000)}": 1\n`),
    bomb('a value of 250 kB', `${GOOD}x: ${'v'.repeat(250_000)}\n`),
    bomb('larger than 256 KiB', `${GOOD}# ${'c'.repeat(262_144)}\n`),
    bomb('comments and nothing else', '#\n'.repeat(130_000)),
    bomb(
      '18,000 different keys',
      counted(18_000, (index) => `key-${index}: 1`, '\n'),
    ),
    bomb(
      '40,000 short keys',
      counted(40_000, (index) => `${index.toString(36)}:`, '\n'),
    ),
    bomb('30,000 equal keys', 'key: 1\n'.repeat(30_000)),
    bomb(
      '20,000 keys in limits',
      GOOD.replace('limits: {', `limits: { ${counted(20_000, (index) => `k${index}: 1`, ', ')},`),
    ),
    bomb('20,000 upstreams that are wrong', `upstreams: { ${counted(20_000, (index) => `u${index}: 1`, ', ')} }\n`),
    bomb(
      '4,000 segments with a route to nowhere',
      `segments: { ${counted(4_000, (index) => `s${index}: { routes: { r: { allow: GET /, to: no } } }`, ', ')} }\n`,
    ),
    bomb(
      '4,000 upstreams and 4,000 routes to others',
      `upstreams: { ${counted(4_000, (index) => `upstream-${index}: {}`, ', ')} }\nsegments: { s: { routes: { ${counted(4_000, (index) => `r${index}: { to: upstreem-${index} }`, ', ')} } } }\n`,
    ),
    bomb('15,000 rules that are lists', `privacy: { ${counted(15_000, (index) => `p${index}: []`, ', ')} }\n`),
    bomb('two documents', `${GOOD}---\n${GOOD}`),
    bomb('10,000 documents', '---\na: 1\n'.repeat(10_000)),
    bomb('a version directive', `%YAML 1.1\n---\n${GOOD}`),
    bomb('a tag directive', `%TAG !e! tag:example.com,2000:\n---\n${GOOD}`),
    bomb('an unknown directive', `%FOO bar\n---\n${GOOD}`),
    bomb('5,000 tag directives', `${'%TAG !e! tag:example.com,2000:\n'.repeat(5_000)}---\n${GOOD}`),
    bomb('a duplicate key', `${GOOD}gateway: other\n`),
    bomb('a duplicate key, quoted', `${GOOD}"gateway": other\n`),
    bomb('a duplicate key, escaped', `${GOOD}"g\\x61teway": other\n`),
    bomb('a duplicate key in a flow map', GOOD.replace('log: { level: error }', 'log: { level: error, level: debug }')),
    bomb('a key that is a list', `${GOOD}[a, b]: 1\n`),
    bomb('a key that is nothing', `${GOOD}? \n: 1\n`),
    bomb('a key that is a number', `${GOOD}1: 1\n`),
    bomb('nothing', ''),
    bomb('a space', ' '),
    bomb('null', 'null\n'),
    bomb('a list', '- gateway: test\n'),
    bomb('a word', 'gateway\n'),
    bomb('a number', '1e309\n'),
  ];
}

function tags(): Hostile[] {
  const names = [
    '!!js/function "function () { polluted = 1 }"',
    '!!js/regexp /(a+)+$/',
    '!!js/undefined ""',
    '!!python/object/apply:os.system ["reboot"]',
    '!!binary "aGVsbG8="',
    '!!binary "====="',
    '!!set { a, b }',
    '!!omap [a: 1, b: 2]',
    '!!pairs [a: 1, a: 2]',
    '!!timestamp 2001-12-15T02:59:43.1Z',
    '!!float "1"',
    '!!int "x"',
    '!!bool "maybe"',
    '!!null "x"',
    '!!map [1]',
    '!!seq { a: 1 }',
    '!local test',
    '!<tag:yaml.org,2002:js/function> "x"',
    '!<!> x',
    '!e!unknown x',
    '!!merge x',
  ];
  return names.flatMap((tag): Hostile[] => [
    { kind: 'tag', name: `${tag} as a name`, text: GOOD.replace('gateway: test', `gateway: ${tag}`) },
    { kind: 'tag', name: `${tag} as limits`, text: GOOD.replace(/limits: .*/, () => `limits: ${tag}`) },
  ]);
}

function encodings(): Hostile[] {
  const cases: [string, string | Buffer][] = [
    ['NUL in a value', GOOD.replace('gateway: test', 'gateway: te\u0000st')],
    ['NUL in a key', `${GOOD}ga\u0000teway: a\n`],
    ['NUL at the end', `${GOOD}\u0000`],
    ['escaped NUL', GOOD.replace('gateway: test', 'gateway: "te\\0st"')],
    ['UTF-16 with mark', Buffer.from(`\ufeff${GOOD}`, 'utf16le')],
    ['UTF-16 without mark', Buffer.from(GOOD, 'utf16le')],
    [
      'not UTF-8',
      Buffer.concat([Buffer.from('gateway: te'), Buffer.from([0xff, 0xfe]), Buffer.from(`st${GOOD.slice(14)}`)]),
    ],
    ['overlong UTF-8', Buffer.concat([Buffer.from('x: '), Buffer.from([0xc0, 0xaf]), Buffer.from(`\n${GOOD}`)])],
    ['mark in the middle', GOOD.replace('gateway: test', 'gateway: te\ufeffst')],
    ['two marks', `\ufeff\ufeff${GOOD}`],
    ['CR alone as line end', GOOD.replaceAll('\n', '\r')],
    ['NEL as line end', GOOD.replaceAll('\n', '\u0085')],
    ['line separator as line end', GOOD.replaceAll('\n', '\u2028')],
    ['tabs as indentation', GOOD.replaceAll('\n  ', '\n\t')],
    ['terminal escape in a key', `${GOOD}"\u001b[2J\u001b]0;owned\u0007": 1\n`],
    ['terminal escape in a value', GOOD.replace('gateway: test', 'gateway: "\u001b[31mtest"')],
    ['escaped terminal escape', `${GOOD}"\\e[2J\\x9b31m": 1\n`],
    ['direction marks in a key', `${GOOD}"\u202eyawetag": a\n`],
    ['direction marks in a value', GOOD.replace('to: cloud', 'to: "clo\u202eud"')],
    ['C1 in a key', `${GOOD}"a\u009b2Jb": 1\n`],
    ['lone surrogate', `${GOOD}"\\ud800": 1\n`],
    ['confusable name', GOOD.replace('to: cloud', 'to: сloud')],
    ['zero width in a key', `${GOOD}gate\u200bway: a\n`],
    ['JSON with a comment', '{"gateway": "test" /* a */}'],
  ];
  return cases.map(([name, text]) => ({ kind: 'encoding', name, text }));
}

/** A value of a type that no key of this kind has. */
function types(): Hostile[] {
  return describeKeys().flatMap(({ key }): Hostile[] => {
    const names: Readonly<Record<string, string>> = {
      upstreams: 'cloud',
      segments: 'sensors',
      routes: 'telemetry',
      privacy: 'readings',
      reach: 'sensors',
      coarsen: 'power',
    };
    const path: string[] = [];
    for (const part of key.split('.')) path.push(part === '<name>' ? (names[path.at(-1) ?? ''] ?? 'x') : part);
    const values: [string, unknown][] = [
      ['a list of lists', [[1]]],
      ['a map of maps', { x: { y: { z: 1 } } }],
    ];
    return values.map(([what, value]) => ({ kind: 'type', name: `${key} is ${what}`, text: withValue(path, value) }));
  });
}

function patterns(): Hostile[] {
  const long = 100_000;
  const a = 'a'.repeat(long);
  const route: Path = ['segments', 'sensors', 'routes', 'telemetry'];
  const rule: Path = ['privacy', 'readings'];
  const cases: [Path, string][] = [
    [['gateway'], `${a}!`],
    [['gateway'], `${'a-'.repeat(long)}`],
    [['gateway'], '-'.repeat(long)],
    [['listen', 'https'], `[${':'.repeat(long)}]:1`],
    [['listen', 'https'], `${'a.'.repeat(long)}:1`],
    [['listen', 'https'], `a:${'9'.repeat(long)}`],
    [['upstreams', 'cloud', 'url'], `http://${'a.'.repeat(long)}`],
    [['upstreams', 'cloud', 'url'], `http://${'@'.repeat(1_000)}`],
    [['upstreams', 'cloud', 'pins'], `sha256/${a}`],
    [['upstreams', 'cloud', 'timeoutMs'], `${'1'.repeat(long)} s`],
    [['upstreams', 'cloud', 'timeoutMs'], `1${' '.repeat(long)}s`],
    [['upstreams', 'cloud', 'timeoutMs'], `1.${'1'.repeat(long)}`],
    [['upstreams', 'cloud', 'ca'], `certs/${'../'.repeat(long / 2)}etc/passwd`],
    [['upstreams', 'cloud', 'ca'], '/etc/passwd'],
    [['upstreams', 'cloud', 'certificate'], 'certs/../../../../root'],
    [[...route, 'allow'], `POST ${' '.repeat(long)}`],
    [[...route, 'allow'], `POST /${'a'.repeat(long)}!`],
    [[...route, 'allow'], `POST ${'/'.repeat(long)}`],
    [[...route, 'allow'], `POST ${'/**'.repeat(long / 2)}`],
    [[...route, 'allow'], `POST /${'~'.repeat(long)}`],
    [[...route, 'allow'], a],
    [[...route, 'to'], `${'cloud'.repeat(long / 10)}`],
    [[...route, 'privacy'], `${'-'.repeat(long)}a`],
    [[...route, 'rate', 'limit'], `${'1'.repeat(long)}/s`],
    [[...route, 'rate', 'limit'], `1${'/'.repeat(long)}s`],
    [[...route, 'when', 'from'], `${'0'.repeat(long)}:00`],
    [[...rule, 'keep'], `${'a.'.repeat(long)}b`],
    [[...rule, 'coarsen', 'power'], `${'1'.repeat(long)}°`],
    [[...rule, 'coarsen', 'power'], `1${'°'.repeat(long)}`],
    [[...rule, 'purpose'], `${'a-'.repeat(long)}`],
    [['policy', 'entrypoint'], `${'a/'.repeat(long)}`],
    [['policy', 'entrypoint'], `${'a_'.repeat(long)}!`],
    [['policy', 'module'], 'policy/../keys/privacy.json'],
    [['policy', 'data'], 'keys/privacy.json'],
    [['limits', 'connections'], `${'9'.repeat(long)} KiB`],
    [['limits', 'headerBytes'], `1e${'9'.repeat(long)}`],
    [['log', 'level'], a],
  ];
  const values = cases.map(([path, value]): Hostile => {
    return { kind: 'pattern', name: `${path.join('.')} is ${value.slice(0, 12)}…`, text: withValue(path, value) };
  });
  const selectors = ['**', 'a.**', 'a..b', '[*]'.repeat(80), '["', '[0]', '*a', 'a*', '', '.', `${'*.'.repeat(64)}a`];
  for (const selector of selectors) {
    values.push({
      kind: 'pattern',
      name: `selector ${selector.slice(0, 12)}`,
      text: withValue([...rule, 'keep'], [selector]),
    });
  }
  const many = Array.from({ length: 1_000 }, (_, index) => `**.a${index}.**.b${index}`);
  values.push({ kind: 'pattern', name: '1,000 selectors of any depth', text: withValue([...rule, 'keep'], many) });
  return values;
}

export const HOSTILE: readonly Hostile[] = [
  ...pollution(),
  ...bombs(),
  ...tags(),
  ...encodings(),
  ...types(),
  ...patterns(),
];
