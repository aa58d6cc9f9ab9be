/** One thing wrong with a configuration: where, what and how to mend it. Printed the way compilers do. */

export interface Problem {
  /** Path of keys, e.g. `['segments', 'sensors', 'routes']`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly remedy?: string;
  /** Filled in by load.ts: one-based. */
  readonly line?: number;
  readonly column?: number;
  /** How many characters to underline. */
  readonly width?: number;
}

/** `segments.sensors.routes[2]` */
export function dotted(path: readonly (string | number)[]): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');
}

/** The problem as text: place, key, message; up to three lines of source with the place underlined; the remedy. */
export function renderProblem(problem: Problem, file: string, sourceLines: readonly string[]): string {
  const { line, column, width = 1 } = problem;
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  const key = dotted(problem.path);
  const head = `${place}  ${key === '' ? '' : `${key}   `}${printable(problem.message)}`;
  if (line === undefined || sourceLines[line - 1] === undefined) {
    return problem.remedy ? `${head}\n     ${printable(problem.remedy)}` : head;
  }
  const gutter = String(line).length;
  const shown: string[] = [];
  for (let number = Math.max(1, line - 2); number <= line; number++) {
    shown.push(`  ${String(number).padStart(gutter)} | ${printable(sourceLines[number - 1] ?? '').slice(0, 160)}`);
  }
  const marker = '^'.repeat(Math.max(1, Math.min(width, 60)));
  shown.push(
    `  ${' '.repeat(gutter)} | ${' '.repeat(Math.max(0, (column ?? 1) - 1))}${marker} ${printable(problem.remedy ?? '')}`.trimEnd(),
  );
  return `${head}\n${shown.join('\n')}`;
}

/** The closest of `known` to `word` within an edit distance of two, or undefined. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) > 2) continue;
    const distance = editDistance(word.slice(0, 64), candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein distance with transposition of neighbours. */
function editDistance(a: string, b: string): number {
  let older: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(substitution, (previous[j] as number) + 1, (current[j - 1] as number) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (older[j - 2] as number) + 1);
      }
      current.push(cost);
    }
    [older, previous] = [previous, current];
  }
  return previous[b.length] as number;
}

/** Control and direction characters of a hostile file must not reach the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '?');
}
