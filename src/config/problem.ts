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

/** Most problems that are told at once. A file with more is hostile or of another kind, and each costs time to locate. */
export const MAX_PROBLEMS = 100;

/** Longest piece of a line that is shown; before a problem far to the right, as much as fits of what is near it. */
const MAX_SHOWN = 160;
const SHOWN_BEFORE = 80;
/** Longest key, message or remedy that is shown; they can quote the file. */
const MAX_TEXT = 500;

/** `segments.sensors.routes[2]` */
export function dotted(path: readonly (string | number)[]): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');
}

/** The problem as text: place, key, message; up to three lines of source with the place underlined; the remedy. */
export function renderProblem(problem: Problem, file: string, sourceLines: readonly string[]): string {
  const { line, column, width = 1 } = problem;
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  // A key is the file's own text as much as a value is.
  const key = readable(dotted(problem.path));
  const remedy = readable(problem.remedy ?? '');
  const head = `${place}  ${key === '' ? '' : `${key}   `}${readable(problem.message)}`;
  if (line === undefined || sourceLines[line - 1] === undefined) {
    return problem.remedy ? `${head}\n     ${remedy}` : head;
  }
  const gutter = String(line).length;
  const at = Math.max(0, (column ?? 1) - 1);
  // A line can be a megabyte long, and every one of many problems can lie on it.
  const from = at < MAX_SHOWN - SHOWN_BEFORE ? 0 : at - SHOWN_BEFORE;
  const shown: string[] = [];
  for (let number = Math.max(1, line - 2); number <= line; number++) {
    const piece = printable((sourceLines[number - 1] ?? '').slice(from, from + MAX_SHOWN));
    shown.push(`  ${String(number).padStart(gutter)} | ${piece}`);
  }
  const marker = '^'.repeat(Math.max(1, Math.min(width, 60)));
  shown.push(`  ${' '.repeat(gutter)} | ${' '.repeat(at - from)}${marker} ${remedy}`.trimEnd());
  return `${head}\n${shown.join('\n')}`;
}

function readable(text: string): string {
  return printable(text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text);
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

/** What of a hostile text would act on a terminal or deceive its reader: controls, directions, joiners, line separators. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with a question mark for each character that must not reach the terminal, line ends included. */
export function printable(text: string): string {
  return text.replace(UNSEEN, '?');
}
