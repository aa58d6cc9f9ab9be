/** Every parser of ours with the inputs that would hurt most if it were not linear, up to its cap. */
import { parseConfiguration } from '../../../src/config/load.ts';
import { angleDegrees, durationMs, ratePerSecond, sizeBytes } from '../../../src/config/quantities.ts';
import { templateProblem } from '../../../src/config/schema.ts';
import { DEFAULT_LIMITS } from '../../../src/config/settings.ts';
import { peerFromCertificate } from '../../../src/identity/certificate.ts';
import { DerReader, TAG } from '../../../src/identity/der.ts';
import { distinguishedName } from '../../../src/identity/distinguished-name.ts';
import { decisionBody, quoted } from '../../../src/ledger/encode.ts';
import { entryFrom } from '../../../src/ledger/entry.ts';
import { chained, GENESIS, linksOf } from '../../../src/ledger/format.ts';
import { find, tail } from '../../../src/ledger/read.ts';
import { decisionIn } from '../../../src/ledger/scan.ts';
import { checkRequestBytes } from '../../../src/listeners/https/check-request-bytes.ts';
import { checkTarget } from '../../../src/listeners/https/check-target.ts';
import { checkHandshake } from '../../../src/listeners/websocket/handshake.ts';
import { globMatch } from '../../../src/policy/builtins/glob.ts';
import { BUILTINS } from '../../../src/policy/builtins/table.ts';
import { parseJson as parsePolicyJson, toJson } from '../../../src/policy/engine/value-text.ts';
import { isAmbiguous, matchesTemplate, narrowestTemplate } from '../../../src/policy/template.ts';
import { parseVerdict } from '../../../src/policy/verdict.ts';
import { parseJson } from '../../../src/privacy/json.ts';
import { PrivacyKeys } from '../../../src/privacy/keys.ts';
import { parseSelector } from '../../../src/privacy/selector-path.ts';
import { compileRule } from '../../../src/privacy/selectors.ts';
import { PrivacyTransformer } from '../../../src/privacy/transformer.ts';
import { DIGESTS } from '../../../src/provision.ts';
import { logFields } from '../../../src/telemetry/log-fields.ts';
import { printable } from '../../../src/telemetry/printable.ts';
import { arrivalOf, DEVICE } from '../../unit/exchange/gate-fixture.ts';
import {
  alternativeNames,
  certificate,
  dns,
  extensionsFor,
  name,
  oid,
  sequence,
  tlv,
  utf8,
} from '../../unit/identity/certificate-maker.ts';
import { MemoryFiles } from '../../unit/ledger/memory-files.ts';
import { ruleOf } from '../../unit/privacy/privacy-fixture.ts';

export interface Measured {
  readonly parser: string;
  readonly input: string;
  /** The largest input: the cap, or where there is none, more than anybody sends. */
  readonly size: number;
  readonly make: (size: number) => () => unknown;
}

/** Whatever it throws. */
const quietly = (work: () => unknown) => () => {
  try {
    return work();
  } catch {
    return undefined;
  }
};

const LIMITS = { ...DEFAULT_LIMITS, headerBytes: 262_144, headerCount: 1_000, targetBytes: 65_536 };
const BOUNDS = { jsonDepth: 256, jsonValues: 1_000_000 };
const BODY = DEFAULT_LIMITS.inspectedBodyBytes;

const http = (input: string, size: number, text: (size: number) => string | Buffer): Measured => ({
  parser: 'http',
  input,
  size,
  make: (length) => {
    const bytes = Buffer.from(text(length) as string, 'latin1');
    return () => checkRequestBytes(bytes, LIMITS);
  },
});
const post = (fields: string, body = '') => `POST /v1 HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;

const target = (input: string, unit: string): Measured => ({
  parser: 'target',
  input,
  size: 65_536,
  make: (length) => {
    const text = `/${unit.repeat(length / unit.length)}`;
    return quietly(() => checkTarget(text, 70_000));
  },
});

const json = (input: string, text: (size: number) => string, size = BODY): Measured => ({
  parser: 'JSON',
  input,
  size,
  make: (length) => {
    const bytes = Buffer.from(text(length));
    return quietly(() => parseJson(bytes, BOUNDS));
  },
});

const RULE = ruleOf({
  keep: ['a', '**.b', '*.*.c', 'list[*].d'],
  pseudonymise: ['**.serial'],
  tokenise: ['**.owner'],
  query: { keep: ['k'], pseudonymise: [], tokenise: [] },
});
const transformer = new PrivacyTransformer({
  rules: new Map([[RULE.name, RULE]]),
  keys: PrivacyKeys.generate(),
  limits: { ...DEFAULT_LIMITS, ...BOUNDS },
  literals: new Set(['v1']),
});

const decoded = (input: string, text: (size: number) => string): Measured => ({
  parser: 'privacy',
  input,
  size: BODY,
  make: (length) => {
    const bytes = Buffer.from(text(length));
    return quietly(() =>
      transformer.decode(arrivalOf({ contentType: 'application/json', headers: [], body: { kind: 'bytes', bytes } })),
    );
  },
});

const plain = (parser: string, input: string, size: number, make: (size: number) => () => unknown): Measured => ({
  parser,
  input,
  size,
  make,
});
const onText = (
  parser: string,
  input: string,
  size: number,
  text: (size: number) => string,
  work: (text: string) => unknown,
): Measured => {
  return plain(parser, input, size, (length) => {
    const value = text(length);
    return quietly(() => work(value));
  });
};

const certificateOf = (names: number, width: number) => {
  const extensions = [
    ...extensionsFor('a').slice(0, 3),
    alternativeNames(...Array.from({ length: names }, () => dns('x'.repeat(width)))),
  ];
  return certificate({ extensions });
};

const evaluation = { nowNs: 0n, digests: DIGESTS, print: undefined };
const builtin = (called: string, input: string, size: number, parameters: (size: number) => unknown[]): Measured => {
  const work = called === 'glob.match' ? globMatch : BUILTINS.get(called);
  if (work === undefined) throw new Error(`there is no built-in ${called}`);
  return plain('built-in', `${called}: ${input}`, size, (length) => {
    const given = parameters(length) as Parameters<typeof work>[0];
    return quietly(() => work(given, evaluation));
  });
};

const yaml = (input: string, size: number, text: (size: number) => string): Measured => {
  return onText('configuration', input, size, text, (source) => parseConfiguration(source, '/nonexistent'));
};

const ledgerOf = (records: number): MemoryFiles => {
  const files = new MemoryFiles();
  const header = chained(
    0,
    ',"kind":"header","format":1,"time":0,"gateway":"a","stream":"main","reason":"first"',
    GENESIS,
  ).text;
  const line = `${JSON.stringify({ seq: 1, kind: 'outcome', time: 1, decision: '0198c1d2-0000-7000-8000-000000000001', fault: 'x', prev: GENESIS, hash: GENESIS })}\n`;
  const seen = Buffer.from(header + line.repeat(records));
  files.files.set('/ledger/0000000000000000.jsonl', { seen, durable: seen });
  return files;
};

export const MEASURED: readonly Measured[] = [
  // --- http: 262,144 octets of head, 1,000 fields
  http('fields', 900, (size) => post(`${'X-A: 1\r\n'.repeat(size)}`)),
  http('one long field', 200_000, (size) => post(`X-A: ${'a'.repeat(size)}\r\n`)),
  http('spaces in a field', 200_000, (size) => post(`X-A: ${' '.repeat(size)}a${' '.repeat(size)}\r\n`)),
  http('options of Connection', 50_000, (size) => post(`Connection: ${'close,'.repeat(size / 6)}close\r\n`)),
  http('fields of Connection', 900, (size) => post('Connection: close\r\n'.repeat(size))),
  http('parameters of Content-Type', 200_000, (size) => post(`Content-Type: a/b${';a=b'.repeat(size / 4)}\r\n`)),
  http('a parameter in quotes', 200_000, (size) => post(`Content-Type: a/b;a="${'a'.repeat(size)}\r\n`)),
  http('spaces before a parameter', 200_000, (size) => post(`Content-Type: a/b${' '.repeat(size)}x\r\n`)),
  http('empty lines', 200_000, (size) => '\r\n'.repeat(size / 2)),
  http('spaces in the first line', 200_000, (size) => `POST${' '.repeat(size)}/ HTTP/1.1\r\n\r\n`),
  http('words in the first line', 200_000, (size) => `POST ${'a '.repeat(size / 2)}\r\n\r\n`),
  http('no line end', 260_000, (size) => `POST /${'a'.repeat(size)}`),
  http('carriage returns', 200_000, (size) => `POST / HTTP/1.1${'\r'.repeat(size)}`),
  http('chunks of one octet', 120_000, (size) =>
    post('Transfer-Encoding: chunked\r\n', `${'1\r\na\r\n'.repeat(size / 6)}0\r\n\r\n`),
  ),
  http('zeros of a chunk', 15_000, (size) => post('Transfer-Encoding: chunked\r\n', `${'0'.repeat(size)}1\r\na\r\n`)),
  http('an extension of a chunk', 15_000, (size) =>
    post('Transfer-Encoding: chunked\r\n', `1;${'a'.repeat(size)}\r\na\r\n`),
  ),
  http('a Host', 200_000, (size) => `POST / HTTP/1.1\r\nHost: ${'a.'.repeat(size / 2)}!\r\n\r\n`),
  http('a bracketed Host', 200_000, (size) => `POST / HTTP/1.1\r\nHost: [${':'.repeat(size)}\r\n\r\n`),
  target('segments', 'a/'),
  target('dots', '.../'),
  target('percent signs', '%20'),
  target('UTF-8', '%C3%A9'),
  target('no UTF-8', '%C3%C3'),
  target('a query', '?a=b&'),
  target('tildes', '~'),
  plain('handshake', 'subprotocols', 100_000, (size) => {
    const value = Array.from({ length: size / 8 }, (_, index) => `p${index}`).join(', ');
    return quietly(() => checkHandshake({ upgrade: 'websocket', headers: [['sec-websocket-protocol', value]] }));
  }),
  // --- payloads: 262,144 octets
  json('different keys', (size) => `{${Array.from({ length: size / 10 }, (_, index) => `"k${index}":1`).join()}}`),
  json(
    'keys that begin alike',
    (size) => `{${Array.from({ length: size / 210 }, (_, index) => `"${'a'.repeat(200)}${index}":1`).join()}}`,
  ),
  json('long keys', (size) => `{"${'a'.repeat(size / 2)}":1,"${'a'.repeat(size / 2)}b":1}`),
  json('escaped keys', (size) => `{${Array.from({ length: size / 16 }, (_, index) => `"\\u006b${index}":1`).join()}}`),
  json('a long escaped key', (size) => `{"${'\\u0061'.repeat(size / 6)}":1}`),
  json('brackets', (size) => '['.repeat(size)),
  json('nested to the limit', (size) => `[${`${'['.repeat(200)}${']'.repeat(200)},`.repeat(size / 401)}1]`),
  json('spaces', (size) => `[1,${' '.repeat(size)}2]`),
  json('spaces between values', (size) => `[${'1 , '.repeat(size / 4)}1]`),
  json('escapes', (size) => `"${'\\n'.repeat(size / 2)}"`),
  json('texts with escapes', (size) => `[${'"\\u0041",'.repeat(size / 9)}1]`),
  json('surrogates', (size) => `"${'\\ud83d\\ude00'.repeat(size / 12)}"`),
  json('digits', (size) => `[${'9'.repeat(size)}]`),
  json('zeros', (size) => `[0.${'0'.repeat(size)}1]`),
  json('zeros at the end', (size) => `[1.5${'0'.repeat(size)}]`),
  json('an exponent', (size) => `[1e${'0'.repeat(size)}1]`),
  json('long numbers', (size) => `[${`0.${'1'.repeat(200)}e1,`.repeat(size / 206)}1]`),
  json('a text without end', (size) => `"${'a'.repeat(size)}`),
  json('bytes that are no UTF-8', (size) => '\u00ff'.repeat(size / 2)),
  decoded(
    'any depth',
    (size) =>
      `{"a":${'{"b":'.repeat(200)}1${'}'.repeat(200)},"list":[${'{"d":1,"x":{"serial":"a"}},'.repeat(size / 30)}1]}`,
  ),
  plain('privacy', 'a rule over everything', BODY, (size) => {
    const bytes = Buffer.from(`{"list":[${'{"d":1,"x":{"owner":"a","serial":"b"}},'.repeat(size / 40)}1]}`);
    const document = parseJson(bytes, BOUNDS);
    return () => transformer.transform(fakePermit(document, ''));
  }),
  plain('privacy', 'a query', 60_000, (size) => {
    const query = Array.from({ length: size / 8 }, (_, index) => `a${index}=%20`).join('&');
    return quietly(() => transformer.transform(fakePermit(undefined, query)));
  }),
  onText(
    'privacy',
    'a path to redact',
    65_536,
    (size) => `/${'A1/'.repeat(size / 3)}`,
    (path) => transformer.redactPath(path),
  ),
  onText(
    'privacy',
    'a word to redact',
    65_536,
    (size) => `/${'a-'.repeat(size / 2)}!`,
    (path) => transformer.redactPath(path),
  ),
  onText('selectors', 'steps', 100_000, (size) => 'a.'.repeat(size / 2), parseSelector),
  onText('selectors', 'a name', 100_000, (size) => 'a'.repeat(size), parseSelector),
  onText('selectors', 'an open bracket', 100_000, (size) => `["${'a'.repeat(size)}`, parseSelector),
  plain('selectors', 'a rule of many', 1_000, (size) => {
    const rule = ruleOf({ keep: Array.from({ length: size }, (_, index) => `a.*.b${index}.c`) });
    return () => compileRule(rule);
  }),
  // Below its cap such a rule is as large as the square of its selectors; the cap is on that.
  plain('selectors', 'a rule of any depth, beyond the cap', 2_000, (size) => {
    const rule = ruleOf({ keep: Array.from({ length: size }, (_, index) => `**.a${index}.b`) });
    return () => compileRule(rule);
  }),
  // --- certificates: 65,536 octets at most
  plain('certificate', 'names', 64, (size) => {
    const der = certificateOf(size, 200);
    return quietly(() => peerFromCertificate(der, '', 65_536));
  }),
  plain('certificate', 'one long name', 60_000, (size) => {
    const der = certificateOf(1, size);
    return quietly(() => peerFromCertificate(der, '', 65_536));
  }),
  plain('DER', 'elements', 30_000, (size) => {
    const der = Buffer.alloc(size * 2);
    for (let at = 0; at < der.length; at += 2) der[at] = 0x05;
    return () => {
      const reader = new DerReader(der, 'x');
      while (!reader.atEnd) reader.any();
    };
  }),
  plain('DER', 'elements in elements', 8_000, (size) => {
    let der: Uint8Array = Buffer.from([0x05, 0x00]);
    while (der.length < size) der = tlv(0x30, der);
    return () => {
      let reader = new DerReader(der, 'x');
      while (reader.peek() === TAG.sequence) reader = reader.enter(TAG.sequence, 'x');
    };
  }),
  plain('DER', 'attributes of a name', 64, (size) => {
    const der = name(...Array.from({ length: size }, (): [string, Uint8Array] => ['2.5.4.3', utf8('x'.repeat(200))]));
    return quietly(() => distinguishedName(new DerReader(der, 'x'), 'x'));
  }),
  plain('DER', 'a long attribute', 60_000, (size) => {
    const der = name(['2.5.4.3', utf8('\u0000'.repeat(size))]);
    return quietly(() => distinguishedName(new DerReader(der, 'x'), 'x'));
  }),
  plain('DER', 'a long identifier', 60_000, (size) => {
    const der = sequence(tlv(0x06, Buffer.concat([Buffer.alloc(size, 0x81), Buffer.from([1])])), oid('2.5.4.3'));
    return quietly(() => new DerReader(der, 'x').enter(TAG.sequence, 'x').objectIdentifier('x'));
  }),
  // --- configuration: 262,144 octets
  yaml('routes', 30_000, (size) => {
    const routes = Array.from(
      { length: size / 60 },
      (_, index) => `      r${index}: { allow: POST /v1/a${index}, to: cloud }\n`,
    ).join('');
    return `gateway: a\nlisten: { https: "127.0.0.1:1" }\nupstreams: { cloud: { url: "http://127.0.0.1:1" } }\nsegments:\n  a:\n    routes:\n${routes}`;
  }),
  yaml('keys', 40_000, (size) => Array.from({ length: size / 10 }, (_, index) => `k${index}: 1`).join('\n')),
  yaml('equal keys', 40_000, (size) => 'k: 1\n'.repeat(size / 5)),
  yaml(
    'anchors on one line',
    40_000,
    (size) => `x: [${Array.from({ length: size / 10 }, (_, index) => `&a${index} 1`).join()}]`,
  ),
  yaml(
    'dangling names',
    30_000,
    (size) =>
      `segments: { s: { routes: { ${Array.from({ length: size / 40 }, (_, index) => `r${index}: { to: upstream-${index} }`).join(', ')} } } }`,
  ),
  yaml('a long text', 200_000, (size) => `gateway: ${'a-'.repeat(size / 2)}`),
  onText(
    'quantities',
    'digits',
    200_000,
    (size) => '1'.repeat(size),
    (text) => [durationMs(text), sizeBytes(text), ratePerSecond(text), angleDegrees(text)],
  ),
  onText(
    'quantities',
    'spaces',
    200_000,
    (size) => `1${' '.repeat(size)}s`,
    (text) => [durationMs(text), ratePerSecond(text)],
  ),
  onText('quantities', 'slashes', 200_000, (size) => `1${'/'.repeat(size)}`, ratePerSecond),
  onText('templates', 'segments in the configuration', 100_000, (size) => '/a'.repeat(size / 2), templateProblem),
  onText(
    'templates',
    'segments that match',
    65_536,
    (size) => '/a'.repeat(size / 2),
    (path) => matchesTemplate(path, path, 'a'),
  ),
  onText(
    'templates',
    'a wildcard',
    65_536,
    (size) => '/a'.repeat(size / 2),
    (path) => matchesTemplate('/**', path, 'a'),
  ),
  onText('templates', 'tricks', 65_536, (size) => '/.'.repeat(size / 2), isAmbiguous),
  onText(
    'templates',
    'the narrowest',
    65_536,
    (size) => '/a!'.repeat(size / 3),
    (path) => narrowestTemplate(path, 'a'),
  ),
  // --- policy
  onText(
    'verdict',
    'reasons',
    200_000,
    (size) => `[{"result":{"v":1,"allow":false,"reasons":[${'"no-route",'.repeat(size / 11)}"no-route"]}}]`,
    (text) => parseVerdict(text, 1),
  ),
  onText(
    'verdict',
    'unknown keys',
    200_000,
    (size) => `[{"result":{${Array.from({ length: size / 12 }, (_, index) => `"k${index}":1`).join()}}}]`,
    (text) => parseVerdict(text, 1),
  ),
  onText(
    'verdict',
    'text',
    200_000,
    (size) => '['.repeat(size),
    (text) => parseVerdict(text, 1),
  ),
  onText('policy values', 'digits', 100_000, (size) => '9'.repeat(size), parsePolicyJson),
  onText(
    'policy values',
    'keys',
    200_000,
    (size) => `{${Array.from({ length: size / 10 }, (_, index) => `"k${index}":1`).join()}}`,
    parsePolicyJson,
  ),
  onText('policy values', 'spaces', 200_000, (size) => `[${' '.repeat(size)}`, parsePolicyJson),
  onText('policy values', 'a text', 200_000, (size) => `"${'\\u0041'.repeat(size / 6)}"`, parsePolicyJson),
  plain('policy values', 'written', 100_000, (size) => {
    const value = parsePolicyJson(`[${'{"a":"\\u0000"},'.repeat(size / 16)}1]`) ?? null;
    return () => toJson(value);
  }),
  builtin('glob.match', 'asterisks', 2_000, (size) => [`${'*a'.repeat(8)}`, null, 'a'.repeat(size)]),
  builtin('glob.match', 'a long pattern', 2_000, (size) => ['a'.repeat(size), null, 'a'.repeat(size)]),
  builtin('semver.is_valid', 'digits', 100_000, (size) => [`1.0.${'0'.repeat(size)}`]),
  builtin('semver.is_valid', 'parts', 100_000, (size) => [`1.0.0-${'a.'.repeat(size / 2)}`]),
  builtin('net.cidr_is_valid', 'colons', 100_000, (size) => [':'.repeat(size)]),
  builtin('net.cidr_is_valid', 'dots', 100_000, (size) => ['1.'.repeat(size / 2)]),
  builtin('time.parse_rfc3339_ns', 'digits', 100_000, (size) => [`2026-01-01T00:00:00.${'0'.repeat(size)}Z`]),
  builtin('time.clock', 'a zone', 100_000, (size) => [[parsePolicyJson('1'), `A${'+'.repeat(size)}!`]]),
  builtin('time.clock', 'a zone of parts', 100_000, (size) => [[parsePolicyJson('1'), `A${'/a'.repeat(size / 2)}!`]]),
  builtin('units.parse_bytes', 'signs', 100_000, (size) => ['e+'.repeat(size / 2)]),
  builtin('units.parse_bytes', 'digits', 100_000, (size) => ['1'.repeat(size)]),
  builtin('hex.decode', 'digits', 100_000, (size) => ['0'.repeat(size)]),
  builtin('strings.count', 'overlaps', 100_000, (size) => ['a'.repeat(size), 'aa']),
  builtin('indexof_n', 'overlaps', 50_000, (size) => ['a'.repeat(size), 'aa']),
  builtin('regex.replace', 'a bomb', 20_000, (size) => ['a'.repeat(size), '(a+)+$', 'b']),
  builtin('sprintf', 'verbs', 20_000, (size) => ['%s'.repeat(size / 2), Array(size / 2).fill('a')]),
  // --- ledger: lines of 131,072 octets
  onText('ledger line', 'texts', 131_072, (size) => `{"seq":1,"kind":"decision","a":"${'x'.repeat(size)}"}`, entryFrom),
  onText('ledger line', 'brackets', 131_072, (size) => `{"seq":1,"kind":${'['.repeat(size)}`, entryFrom),
  plain('ledger line', 'links', 131_000, (size) => {
    const line = Buffer.from(chained(1, `,"kind":"decision","a":"${'x'.repeat(size - 300)}"`, GENESIS).text.trimEnd());
    return () => linksOf(line);
  }),
  plain('ledger line', 'a decision in it', 131_000, (size) => {
    const line = Buffer.from('"decision":"'.repeat(size / 12));
    return () => decisionIn(line);
  }),
  onText('ledger text', 'controls', 200_000, (size) => '\u0000'.repeat(size), quoted),
  onText(
    'ledger text',
    'a record',
    100_000,
    (size) => '\u202e'.repeat(size),
    (text) =>
      decisionBody({
        decision: text,
        time: 0,
        verdict: 'denied',
        reasons: [],
        revision: text,
        peer: { address: text, key: text, serial: text },
        action: { protocol: 'https', verb: text, resource: text, direction: 'toCloud', contentType: text, bytes: 0 },
        tookMicros: 0,
      }),
  ),
  onText(
    'log',
    'controls',
    200_000,
    (size) => '\u001b'.repeat(size),
    (text) => printable(text),
  ),
  plain('log', 'fields', 20_000, (size) => {
    const fields = Object.fromEntries(Array.from({ length: size }, (_, index) => [`k${index}`, 'x']));
    return () => logFields(fields);
  }),
];

/** Of asynchronous work: the end of a ledger, and one decision in it. */
export const MEASURED_LATER: readonly {
  readonly parser: string;
  readonly size: number;
  readonly make: (size: number) => () => Promise<unknown>;
}[] = [
  {
    parser: 'ledger: tail',
    size: 8_000,
    make: (size) => {
      const files = ledgerOf(size);
      return () => tail('/ledger', size, files);
    },
  },
  {
    parser: 'ledger: a decision that is not there',
    size: 40_000,
    make: (size) => {
      const files = ledgerOf(size);
      return () => find('/ledger', '0198c1d2-0000-7000-8000-00000000000f', files);
    },
  },
  {
    parser: 'decision id',
    size: 200_000,
    make: (size) => {
      const files = ledgerOf(0);
      const id = Buffer.from(`${'0'.repeat(size)}-`).toString();
      return () => find('/ledger', id, files);
    },
  },
];

function fakePermit(document: unknown, query: string): Parameters<PrivacyTransformer['transform']>[0] {
  const body = document === undefined ? { kind: 'empty' } : { kind: 'bytes', bytes: new Uint8Array(1) };
  const arrival = arrivalOf({ query, headers: [], body: body as never });
  return {
    identified: { arrival, device: DEVICE, document: () => document },
    obligations: { route: 'a/b', upstream: 'cloud', privacy: RULE.name },
  } as never;
}
