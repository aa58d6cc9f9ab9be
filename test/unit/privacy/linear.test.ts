/** Twice the input takes twice the time: no document makes the parser, a rule or a redaction quadratic. */
import { describe, expect, it } from 'vitest';
import { Disguise } from '../../../src/privacy/disguise.ts';
import { noFields } from '../../../src/privacy/field-counts.ts';
import { minimise } from '../../../src/privacy/minimise.ts';
import { compileRule } from '../../../src/privacy/selectors.ts';
import { codeOf, KEYS, parse, ruleOf } from './privacy-fixture.ts';

/** Highest growth of the time when the size doubles. */
const LIMIT = 2.5;
/** Three doublings at once: what is quadratic grows 64-fold and what is linear 8-fold, and noise does not bridge that. */
const DOUBLINGS = 3;
const TIMES = 2 ** DOUBLINGS;
const SIZE = 25_000;
const ATTEMPTS = 10;

/** Processor time of this thread: what else the machine does is not in it. */
function cpuMicros(act: () => unknown, runs: number): number {
  const before = process.threadCpuUsage();
  for (let run = 0; run < runs; run += 1) act();
  const after = process.threadCpuUsage();
  return after.user + after.system - before.user - before.system;
}

/** Growth of the time per doubling: the lowest of several attempts, for caches and the collector are shared with others. */
function growth(act: (size: number) => () => unknown): number {
  const [small, large] = [act(SIZE), act(SIZE * TIMES)];
  let lowest = Number.POSITIVE_INFINITY;
  for (let attempt = 0, runs = 16; attempt < ATTEMPTS && lowest >= LIMIT; attempt += 1, runs += 8) {
    const [largeMicros, smallMicros] = [cpuMicros(large, runs), cpuMicros(small, runs * TIMES)];
    lowest = Math.min(lowest, ((TIMES * largeMicros) / smallMicros) ** (1 / DOUBLINGS));
  }
  return lowest;
}

const filled = (text: string, size: number) => text.repeat(Math.ceil(size / text.length));
const numbered = (size: number, of: (index: number) => string) =>
  Array.from({ length: Math.ceil(size / of(10_000).length) }, (_, index) => of(index)).join();

const TEXTS: Readonly<Record<string, (size: number) => string>> = {
  'many keys': (size) => `{${numbered(size, (index) => `"key${index}":1`)}}`,
  'many escaped keys': (size) => `{${numbered(size, (index) => `"\\u006b${index}":1`)}}`,
  'the same key in many objects': (size) => `[${numbered(size, () => '{"serial":1}')}]`,
  'open arrays': (size) => filled('[', size),
  'open objects': (size) => filled('{"a":', size),
  'one long string': (size) => `"${filled('a', size)}"`,
  'a string that does not end': (size) => `"${filled('a', size)}`,
  'many escapes': (size) => `"${filled('\\u0041\\n', size)}"`,
  'many strings with escapes': (size) => `[${numbered(size, () => '"\\u0041"')}]`,
  whitespace: (size) => `[${filled(' \n', size)}1${filled('\t', size)}]`,
  'whitespace everywhere': (size) => `[${numbered(size, () => ' 1 ')}]`,
  'many long numbers': (size) => `[${numbered(size, () => '1.50000000000000000000')}]`,
  'one long number': (size) => `0.5${filled('0', size)}`,
  'a long number too exact': (size) => `0.${filled('3', size)}`,
  'a long exponent': (size) => `0e${filled('9', size)}`,
  backslashes: (size) => `"${filled('\\\\', size)}"`,
};

describe('the parser is linear on', () => {
  it.each(Object.entries(TEXTS))('%s', (_, text) => {
    const bounds = { jsonValues: 1_000_000, jsonDepth: 256 };
    const parsing = (size: number) => {
      const bytes = Buffer.from(text(size));
      return () => codeOf(() => parse(bytes, bounds));
    };
    expect(growth(parsing)).toBeLessThan(LIMIT);
  });
});

describe('a rule is linear on', () => {
  const disguise = new Disguise(KEYS, 'readings');
  const { payload } = compileRule(
    ruleOf({ keep: ['**.kept', 'a'], pseudonymise: ['*[*].serial', '**.id'], tokenise: ['token'] }),
  );
  it.each<[string, (size: number) => string]>([
    ['many items', (size) => `{"a":[${numbered(size, () => '{"serial":1,"x":2,"kept":3}')}]}`],
    ['many members', (size) => `{${numbered(size, (index) => `"k${index}":{"kept":1}`)}}`],
    ['one long value', (size) => `{"id":"${filled('é', size)}","token":"${filled('x', size)}"}`],
    ['nothing that is kept', (size) => `[${numbered(size, () => '[{"x":[]}]')}]`],
  ])('%s', (_, text) => {
    const applying = (size: number) => {
      const document = parse(text(size), { jsonValues: 1_000_000 });
      return () => minimise(document, payload, disguise, noFields());
    };
    expect(growth(applying)).toBeLessThan(LIMIT);
  });
});
