/**
 * Threat 35: inputs that cost more than their length. Each parser of ours with inputs made against it: twice the length is
 * less than two and a half times the work, up to its cap. And every regular expression of the sources is proven linear by
 * the ambiguity of its automaton, the proof itself tested on expressions that are known to be bad; then each is run on long
 * texts made of its own characters.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ambiguity } from './parsers/ambiguity.ts';
import { MEASURED, MEASURED_LATER } from './parsers/inputs.ts';
import { type Literal, literalsIn } from './parsers/literals.ts';
import { growth } from './parsers/timing.ts';

const SOURCES = new URL('../../src/', import.meta.url);
const ALLOWED = 2.5;
const HARMLESS_MS = 0.5;
/** Longest text that an expression is run on. */
const LONG = 40_000;
/** Time for such a text; a square of it would be seconds. */
const MAX_RUN_MS = 100;

interface Found extends Literal {
  readonly file: string;
}

const literals: Found[] = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') || file.endsWith('.mjs'))
  .flatMap((file) => literalsIn(readFileSync(new URL(file, SOURCES), 'utf8')).map((literal) => ({ ...literal, file })));

/** Not linear by themselves, and given nothing long. */
const BOUNDED: readonly {
  readonly file: string;
  readonly source: string;
  readonly longest: number;
  readonly reason: string;
}[] = [
  {
    file: 'cli/init.ts',
    source: '^-+|-+$',
    longest: 48,
    reason: 'a name that an operator gives, cut to 48 characters before',
  },
];

const isBounded = ({ file, source }: Found) => BOUNDED.some((one) => one.file === file && one.source === source);

describe('regular expressions', () => {
  it('the proof refuses what is known to be bad, and nothing harmless', () => {
    const bad = [
      '^(a+)+$',
      '(a|a)*b',
      '^(a|aa)+$',
      '^(a*)*b',
      '^(a*b?)*c',
      '^(?:\\w+\\s?)+$',
      '^(([a-z])+.)+[A-Z]([a-z])+$',
      '^(.*,){11}P',
      '\\s+$',
      '^\\s+|\\s+$',
      '^(.*)(\\d+)$',
      '-+$',
      '(?=.*a)x',
      'a+b',
      '^\\d+\\d+$',
      '"(?:[^"\\\\]|\\\\.)*"',
      '^a{1,50}a{1,50}$',
      'x*y*$',
      '^[A-Z][A-Za-z0-9_]*(?:[/+-][A-Za-z0-9_+-]+)*$',
      '\\.?0+$',
      '(?:a|b|ab)*c',
      '<!--.*?-->',
      '([a-z]+)*=',
      '^(?!.*b)*a',
    ];
    for (const source of bad) expect(ambiguity(source, ''), source).toBeDefined();
    const good = [
      '^a+$',
      '^[a-z]+(?:-[a-z]+)*$',
      '\\s+',
      ' +',
      '^(?=.{1,64}$)[a-z]+$',
      '^\\d{1,5}$',
      '[\\p{Cc}\\p{Cf}]',
      '^(?:0|[1-9][0-9]{0,15})$',
      '^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$',
      '^(?:[^"\\\\]|\\\\.)*"',
      '[^a-z]+',
      'a',
      '^',
      '^a*b*c*$',
      '^(?:ab|ac)*$',
      '^(.*)$',
    ];
    for (const source of good) expect(ambiguity(source, 'u'), source).toBeUndefined();
  });

  it('the scanner finds them, and only them', () => {
    const text = [
      'const a = /x/g; // not /this/',
      "const b = 'nor /this/'; const c = 4 / 2 / 1;",
      'const d = `nor /this/ $' + '{/y[/]z/.test(`$' + '{/w/u}`)} nor /this/`;',
      'if (/v/.test(a)) return /u\\//;',
      '/* nor /this/ */ const e = f(1) / g[2] / 3;',
      'const h = [/t/, { i: /s/y }];',
    ].join('\n');
    expect(literalsIn(text).map(({ source, flags, line }) => `${line} ${source} ${flags}`)).toEqual([
      '1 x g',
      '3 y[/]z ',
      '3 w u',
      '4 v ',
      '4 u\\/ ',
      '6 t ',
      '6 s y',
    ]);
    for (const { source, flags } of literals) expect(() => new RegExp(source, flags)).not.toThrow();
    expect(literals.length).toBeGreaterThan(120);
  });

  it('none is made of a text at run time, but by the engine that is linear', () => {
    const made = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.ts') && /\bRegExp\(/.test(readFileSync(new URL(file, SOURCES), 'utf8')),
    );
    // Words of its own, tied to the beginning.
    expect(made).toEqual(['upstreams/request-head.ts']);
  });

  it(`all in the sources are proven linear, and run so on ${LONG} characters`, () => {
    const vulnerable = literals.flatMap((literal) => {
      const why = isBounded(literal) ? undefined : ambiguity(literal.source, literal.flags);
      return why === undefined ? [] : [`${literal.file}:${literal.line} /${literal.source}/${literal.flags}: ${why}`];
    });
    expect(vulnerable).toEqual([]);
    for (const { file, source, longest } of BOUNDED) {
      expect(
        literals.some((one) => one.file === file && one.source === source),
        `${file} has no ${source} any more`,
      ).toBe(true);
      expect(longest).toBeLessThanOrEqual(64);
    }
    let runs = 0;
    let worst = { ms: 0, where: '' };
    for (const literal of literals.filter((one) => !isBounded(one))) {
      const expression = new RegExp(literal.source, literal.flags);
      for (const text of textsAgainst(literal)) {
        const began = process.threadCpuUsage();
        expression.lastIndex = 0;
        expression.test(text);
        if (literal.flags.includes('g')) text.replace(expression, '');
        const { user, system } = process.threadCpuUsage(began);
        const ms = (user + system) / 1_000;
        runs += 1;
        if (ms > worst.ms) worst = { ms, where: `${literal.file}:${literal.line}` };
      }
    }
    console.log(
      `${literals.length} regular expressions: 0 vulnerable; ${runs} runs on ${LONG} characters, worst ${worst.ms.toFixed(1)} ms at ${worst.where}`,
    );
    expect(worst.ms, worst.where).toBeLessThan(MAX_RUN_MS);
  }, 60_000);
});

/** Long texts of characters and words that the expression speaks of, and of what does not fit behind them. */
function textsAgainst({ source }: Literal): string[] {
  const words = new Set(source.match(/[A-Za-z0-9]{2,}/g) ?? []);
  const characters = new Set(source.replace(/\\[a-zA-Z]/g, '').replace(/[\\^$()[\]{}|?*]/g, ''));
  const units = [
    ...[...characters].slice(0, 6),
    ...[...words].slice(0, 2),
    'a',
    '0',
    ' ',
    '-',
    '.',
    '/',
    '\\',
    '"',
    'a-',
    '0.',
    '\u0000',
    '\u202e',
    '=;',
  ];
  return units.flatMap((unit) => [
    unit.repeat(LONG / unit.length),
    `${unit.repeat(LONG / unit.length)}\u0001`,
    `${source.startsWith('^') ? (source.match(/^\^([A-Za-z/"])/)?.[1] ?? '') : ''}${unit.repeat(LONG / unit.length)}!`,
  ]);
}

describe('parsers', () => {
  it(`${MEASURED.length + MEASURED_LATER.length} inputs made against them: twice the length, less than ${ALLOWED} times the work`, async () => {
    const slow: string[] = [];
    let worst = { ratio: 0, what: '' };
    let longest = { ms: 0, what: '' };
    const note = (what: string, { ratio, fullMs }: { ratio: number; fullMs: number }) => {
      // What takes so little at its cap harms nobody, and is too short to be told from noise.
      if (!(ratio < ALLOWED) && fullMs > HARMLESS_MS) slow.push(`${what}: ${ratio.toFixed(2)}`);
      if (ratio > worst.ratio && fullMs > HARMLESS_MS) worst = { ratio, what };
      if (fullMs > longest.ms) longest = { ms: fullMs, what };
    };
    for (const { parser, input, size, make } of MEASURED) note(`${parser}: ${input}`, growth(make, size, ALLOWED));
    for (const { parser, size, make } of MEASURED_LATER) note(parser, await growthLater(make, size));
    const parsers = new Set([...MEASURED, ...MEASURED_LATER].map(({ parser }) => parser));
    console.log(
      `${parsers.size} parsers, ${MEASURED.length + MEASURED_LATER.length} inputs: ${slow.length} grow faster than their input; worst ratio ${worst.ratio.toFixed(2)} (${worst.what}), longest ${longest.ms.toFixed(1)} ms (${longest.what})`,
    );
    expect(slow).toEqual([]);
  }, 120_000);

  it('a square would be seen', () => {
    const square = growth(
      (size) => () => {
        let text = 0;
        for (let a = 0; a < size; a++) for (let b = 0; b < size; b++) text ^= a * b;
        return text;
      },
      600,
      ALLOWED,
    );
    expect(square.ratio).toBeGreaterThan(3);
  });
});

/** The same for work with promises in it. */
async function growthLater(
  make: (size: number) => () => Promise<unknown>,
  size: number,
): Promise<{ ratio: number; fullMs: number }> {
  const half = make(size / 2);
  const full = make(size);
  let best = { ratio: Number.POSITIVE_INFINITY, fullMs: 0 };
  for (let attempt = 0; attempt < 10 && best.ratio >= ALLOWED; attempt++) {
    let small = Number.POSITIVE_INFINITY;
    let large = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 4; round++) {
      small = Math.min(small, await timeLater(half));
      large = Math.min(large, await timeLater(full));
    }
    if (large / small < best.ratio) best = { ratio: large / small, fullMs: large / 1_000 };
  }
  return best;
}

async function timeLater(work: () => Promise<unknown>): Promise<number> {
  const began = process.threadCpuUsage();
  let calls = 0;
  for (;;) {
    await work();
    calls += 1;
    const { user, system } = process.threadCpuUsage(began);
    if (user + system > 4_000) return (user + system) / calls;
  }
}
