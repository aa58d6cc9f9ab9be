/**
 * Replies that a malicious or broken cloud might send, made from a seed: a family, its parameters, and how the bytes are cut
 * into segments. Each is something that must not reach a device as an answer.
 */
import { gzipSync } from 'node:zlib';

/** What to do on the connection, in order. */
export type Step =
  | { readonly kind: 'send'; readonly bytes: string }
  /** The same again and again, as fast as it is taken. */
  | { readonly kind: 'forever'; readonly bytes: string }
  /** One byte every so often, again from the start at the end. */
  | { readonly kind: 'drip'; readonly bytes: string; readonly everyMs: number }
  | { readonly kind: 'end' | 'reset' | 'hold' };

export interface HostileReply {
  readonly name: string;
  readonly steps: readonly Step[];
}

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to `below` - 1 (mulberry32). */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const OK = 'HTTP/1.1 200 OK\r\n';
const JSON_OK = `${OK}content-type: application/json\r\n`;
const CHUNKED = `${OK}transfer-encoding: chunked\r\n\r\n`;
const BODY = '{"a":1}';
const KiB = 1_024;

type Family = (random: Random) => readonly Step[] | string;

function whole(head: string, body = BODY): string {
  return `${head}content-length: ${body.length}\r\n\r\n${body}`;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  status: (random) => {
    const status = random.pick(['000', '001', '099', '600', '699', '999', '20', '2000', 'abc', '-200', '2.0', '']);
    return whole(`HTTP/1.1 ${status} X\r\n`);
  },
  'status-101': (random) =>
    random.pick([
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\n',
      `HTTP/1.1 101 Switching Protocols\r\n\r\n${whole(OK)}`,
    ]),
  version: (random) => {
    const version = random.pick([
      'HTTP/0.9',
      'HTTP/2.0',
      'HTTP/1.2',
      'HTTP/3',
      'RTSP/1.0',
      'ICE/1.0',
      'http/1.1',
      'HTTP/1',
      'HTTP/11',
      'HTTQ/1.1',
    ]);
    return whole(`${version} 200 OK\r\n`);
  },
  'not-http': (random) =>
    random.pick([
      'SSH-2.0-x\r\n',
      '\x16\x03\x01\x00\x05hello',
      `\r\n\r\n${whole(OK)}`,
      `\0${whole(OK)}`,
      BODY,
      'x'.repeat(70_000),
      '220 smtp\r\n',
      ' ',
    ]) + (random.below(2) ? '\r\n\r\n' : ''),
  'content-length': (random) => {
    const value = random.pick([
      '+7',
      '-7',
      '0x7',
      '7,7',
      '7, 8',
      '',
      '7 7',
      '7.0',
      '1e1',
      '99999999999999999999',
      '18446744073709551615',
      '9007199254740993',
      '٧',
    ]);
    return `${OK}content-length: ${value}\r\n\r\n${BODY}`;
  },
  'content-length-twice': (random) =>
    `${OK}content-length: 7\r\n${random.pick(['', 'x: y\r\n'])}${random.pick(['content-length', 'Content-Length'])}: ${random.pick(['7', '8', '0'])}\r\n\r\n${BODY}`,
  'length-and-chunked': (random) => {
    const fields = ['content-length: 7', 'transfer-encoding: chunked'];
    if (random.below(2)) fields.reverse();
    return `${OK}${fields.join('\r\n')}\r\n\r\n7\r\n${BODY}\r\n0\r\n\r\n`;
  },
  'transfer-encoding': (random) => {
    const value = random.pick([
      'gzip, chunked',
      'chunked, gzip',
      'identity',
      'xchunked',
      'chunked, chunked',
      'chunked;q=1',
      '"chunked"',
      '\x0bchunked',
      'chunked, identity',
      '',
    ]);
    return `${OK}transfer-encoding: ${value}\r\n\r\n7\r\n${BODY}\r\n0\r\n\r\n`;
  },
  'transfer-encoding-field': (random) =>
    `${OK}${random.pick(['transfer-encoding : chunked', 'transfer-encoding:\r\n chunked', 'transfer-encoding: chunked\r\ntransfer-encoding: chunked', 'transfer-encoding: chunked\r\ntransfer-encoding: identity', ' transfer-encoding: chunked'])}\r\n\r\n7\r\n${BODY}\r\n0\r\n\r\n`,
  'no-length': (random) => [
    { kind: 'send', bytes: `${random.pick([OK, JSON_OK, 'HTTP/1.0 200 OK\r\n'])}\r\n${BODY}` },
    { kind: random.pick(['end', 'hold', 'reset'] as const) },
  ],
  'chunk-size': (random) => {
    const size = random.pick([
      'zz',
      '-7',
      '0x7',
      '+7',
      'ffffffffffffffffff',
      '7 ',
      ' 7',
      '',
      '7\n',
      '7\r',
      '7;\r\n\r\n',
      '٧',
      '10000000000000007',
    ]);
    return `${CHUNKED}${size}\r\n${BODY}\r\n0\r\n\r\n`;
  },
  'chunk-end': (random) =>
    `${CHUNKED}7\r\n${BODY}${random.pick(['0\r\n\r\n', 'XX\r\n0\r\n\r\n', '\n0\n\n', '\r0\r\n\r\n', '\r\n\r\n0\r\n\r\n'])}`,
  trailer: (random) =>
    `${CHUNKED}7\r\n${BODY}\r\n0\r\n${random.pick([`x: ${'y'.repeat(20 * KiB)}`, 'a b: c', 'x: y\0', 'content-length: 7', 'transfer-encoding: chunked\r\n x', ': x'])}\r\n\r\n`,
  'endless-trailer': () => [
    { kind: 'send', bytes: `${CHUNKED}7\r\n${BODY}\r\n0\r\n` },
    { kind: 'forever', bytes: `x: ${'y'.repeat(1_000)}\r\n` },
  ],
  'broken-off': (random) => [
    {
      kind: 'send',
      bytes: random.pick([whole(JSON_OK), `${CHUNKED}7\r\n${BODY}\r\n0\r\n\r\n`]).slice(0, -1 - random.below(40)),
    },
    { kind: random.pick(['end', 'reset'] as const) },
  ],
  'field-syntax': (random) => {
    const field = random.pick([
      'x: a\r\n b',
      'x: a\r\n\tb',
      'x: a\0b',
      'x: a\x01',
      'x: a\x7f',
      'x: a\rb',
      'x: a\nb: c',
      'a b: c',
      'a\0: b',
      'abc',
      ': c',
      'a(b): c',
      'x\t: y',
      'é: x',
      'a:b\n',
    ]);
    return whole(`${OK}${field}\r\n`);
  },
  'line-end': (random) =>
    random.pick([
      whole(OK).replaceAll('\r\n', '\n'),
      whole(OK).replace('\r\n', '\n'),
      whole(OK).replaceAll('\r\n', '\r'),
      whole(`${OK}a: b\r\n`).replace('b\r\n', 'b\n'),
    ]),
  'many-fields': (random) => whole(OK + 'a: b\r\n'.repeat(65 + random.below(2_000))),
  'large-field': (random) =>
    whole(
      `${OK}${random.pick(['x', 'set-cookie', 'x'.repeat(17_000)])}: ${'y'.repeat(16_400 + random.below(500_000))}\r\n`,
    ),
  'endless-field': (random) => [
    { kind: 'send', bytes: `${OK}x: ` },
    { kind: 'forever', bytes: random.pick(['y', 'y: z\r\n', 'a:\r\n']).repeat(512) },
  ],
  'long-reason': (random) => whole(`HTTP/1.1 200 ${'O'.repeat(300 + random.below(200_000))}\r\n`),
  'endless-reason': () => [
    { kind: 'send', bytes: 'HTTP/1.1 200 ' },
    { kind: 'forever', bytes: 'O'.repeat(4_096) },
  ],
  'interim-flood': (random) => {
    const interim = random.pick([
      'HTTP/1.1 102 Processing\r\n\r\n',
      'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n',
      'HTTP/1.1 199 X\r\nx: y\r\n\r\n',
    ]);
    return interim.repeat(9 + random.below(500)) + whole(OK);
  },
  'endless-interim': (random) => [
    {
      kind: 'forever',
      bytes: random.pick(['HTTP/1.1 102 Processing\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n']),
    },
  ],
  'slow-interim': () => [{ kind: 'drip', bytes: 'HTTP/1.1 102 Processing\r\n\r\n', everyMs: 2 }],
  'unasked-continue': () => `HTTP/1.1 100 Continue\r\n\r\n${whole(OK)}`,
  'declared-too-large': (random) => [
    { kind: 'send', bytes: `${OK}content-length: ${4_194_305 + random.below(2 ** 31)}\r\n\r\n` },
    { kind: 'forever', bytes: 'x'.repeat(16 * KiB) },
  ],
  'endless-chunks': (random) => {
    const size = random.pick([64, 1_000, 16 * KiB, 1_000_000]);
    return [
      { kind: 'send', bytes: CHUNKED },
      { kind: 'forever', bytes: `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n` },
    ];
  },
  'endless-crumbs': (random) => [
    { kind: 'send', bytes: CHUNKED },
    { kind: 'forever', bytes: random.pick(['1\r\nx\r\n', '2\r\nxx\r\n', '00000001\r\nx\r\n']).repeat(1_000) },
  ],
  'endless-extension': (random) => [
    { kind: 'send', bytes: `${CHUNKED}7;` },
    { kind: 'forever', bytes: random.pick(['a', 'a=b;']).repeat(4_096) },
  ],
  'endless-zeros': () => [
    { kind: 'send', bytes: CHUNKED },
    { kind: 'forever', bytes: '0'.repeat(8_192) },
  ],
  'extension-crumbs': () => [
    { kind: 'send', bytes: CHUNKED },
    { kind: 'forever', bytes: `40;${'e'.repeat(4_000)}\r\n${'x'.repeat(64)}\r\n` },
  ],
  bomb: (random) => {
    const coding = random.pick([
      'gzip',
      'GZIP',
      'deflate',
      'br',
      'zstd',
      'gzip, gzip',
      'x-gzip',
      'compress',
      'identity, gzip',
    ]);
    const body = gzipSync(Buffer.alloc(1_048_576 * (1 + random.below(8)))).toString('latin1');
    return whole(`${OK}content-encoding: ${coding}\r\n`, body);
  },
  'second-answer': (random) => {
    const first = random.pick([
      whole(JSON_OK),
      `${CHUNKED}7\r\n${BODY}\r\n0\r\n\r\n`,
      'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
    ]);
    return first + random.pick([whole(OK, '{"smuggled":1}'), 'garbage', `HTTP/1.1 102 X\r\n\r\n${whole(OK)}`, '\0']);
  },
  'content-of-none': (random) =>
    random.pick([
      'HTTP/1.1 204 No Content\r\ncontent-length: 7\r\n\r\n',
      'HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n7\r\n',
      'HTTP/1.1 205 Reset Content\r\ncontent-length: 7\r\n\r\n',
      'HTTP/1.1 205 Reset Content\r\ntransfer-encoding: chunked\r\n\r\n7\r\n',
    ]) + BODY,
  'content-type': (random) => {
    const value = random.pick([
      '',
      'application',
      'text/html, text/plain',
      'text/ html',
      '<script>',
      `text/${'x'.repeat(2_000)}`,
      'ü/x',
      'application/json\r\ncontent-type: text/html',
    ]);
    return whole(`${OK}content-type: ${value}\r\n`);
  },
  'passed-field': (random) =>
    whole(
      `${OK}${random.pick([`etag: "${'x'.repeat(2_000)}"`, 'etag: "\xff"', 'etag: "1"\r\netag: "2"', `location: /${'x'.repeat(3_000)}`, 'location: /a\r\nlocation: /b', 'retry-after: \xe9'])}\r\n`,
    ),
  silence: (random) => [{ kind: random.pick(['hold', 'end', 'reset'] as const) }],
  'slow-head': (random) => [
    { kind: 'drip', bytes: whole(`${OK}x: ${'y'.repeat(2_000)}\r\n`), everyMs: 1 + random.below(20) },
  ],
  'slow-body': (random) => [
    { kind: 'send', bytes: random.pick([`${OK}content-length: 100000\r\n\r\n`, `${CHUNKED}fffff\r\n`]) },
    { kind: 'drip', bytes: 'x', everyMs: 1 + random.below(20) },
  ],
  'held-head': (random) => [{ kind: 'send', bytes: whole(JSON_OK).slice(0, 1 + random.below(50)) }, { kind: 'hold' }],
};

/** `count` replies, each family in turn, the same for the same seed. */
export function hostileReplies(seed: number, count: number): HostileReply[] {
  const random = new Random(seed);
  const names = Object.keys(FAMILIES);
  return Array.from({ length: count }, (_, index) => {
    const name = names[index % names.length] as string;
    const made = (FAMILIES[name] as Family)(random);
    const steps: readonly Step[] = typeof made === 'string' ? [{ kind: 'send', bytes: made }, { kind: 'hold' }] : made;
    return { name, steps: cut(steps, random) };
  });
}

/** Every third reply arrives in two or more segments: a parser's state must survive that. */
function cut(steps: readonly Step[], random: Random): Step[] {
  if (random.below(3) > 0) return [...steps];
  return steps.flatMap((step): Step[] => {
    if (step.kind !== 'send' || step.bytes.length < 2) return [step];
    const at = 1 + random.below(Math.min(step.bytes.length - 1, 60));
    return [
      { kind: 'send', bytes: step.bytes.slice(0, at) },
      { kind: 'send', bytes: step.bytes.slice(at) },
    ];
  });
}
