/** What a person sees: colours only on a terminal that wants them, progress for what takes longer than two seconds. */

import { styleText } from 'node:util';
import { printable } from '../config/problem.ts';

type Style = 'green' | 'red' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Colour is for terminals; NO_COLOR (no-color.org) and FORCE_COLOR are honoured, TERM=dumb too. */
export function coloured(stream: NodeJS.WriteStream): boolean {
  if (process.env.NO_COLOR !== undefined && process.env.NO_COLOR !== '') return false;
  if (process.env.FORCE_COLOR !== undefined && process.env.FORCE_COLOR !== '0') return true;
  return stream.isTTY === true && process.env.TERM !== 'dumb';
}

/** Styled text for standard output, plain when that is not a terminal. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return coloured(stream) ? styleText(style, text, { validateStream: false }) : text;
}

/** Columns of the terminal, 100 without one. */
export function columns(stream: NodeJS.WriteStream = process.stdout): number {
  return stream.isTTY ? Math.max(40, stream.columns ?? 80) : 100;
}

/** Text of several lines: line ends and tabs stay, what else would act on a terminal does not. */
export function printableLines(text: string): string {
  return text
    .split(/([\n\t])/)
    .map((piece) => (piece === '\n' || piece === '\t' ? piece : printable(piece)))
    .join('');
}

/** JSON on one line. What JSON lets stand though a terminal acts on it (C1, directions, separators) is escaped: the same value. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return Array.from({ length: character.length }, (_, at) => {
      return `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`;
    }).join('');
  });
}

/** Rows as aligned columns, two spaces apart; the last column is never padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, visible(cell));
  }
  const padded = (cell: string, index: number) => cell + ' '.repeat((widths[index] ?? 0) - visible(cell));
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n');
}

function visible(text: string): number {
  return [...text.replace(/\u001b\[[0-9;]*m/g, '')].length;
}

/**
 * Runs `work`; if it takes longer than two seconds, says on standard error that and for how long it is still busy.
 * @param what what is going on, e.g. `verifying the ledger`
 */
export async function withProgress<T>(what: string, work: () => Promise<T>): Promise<T> {
  const started = Date.now();
  let shown = false;
  const timer = setInterval(() => {
    shown = true;
    const seconds = Math.round((Date.now() - started) / 1_000);
    process.stderr.write(process.stderr.isTTY ? `\r${what} … ${seconds} s ` : `${what} … ${seconds} s\n`);
  }, 2_000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (shown && process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
}

/** `in 3 days`, `2 min ago`: the largest unit that fits. */
export function relativeTime(milliseconds: number): string {
  const size = Math.abs(milliseconds);
  const units: readonly [number, string][] = [
    [86_400_000, 'day'],
    [3_600_000, 'hour'],
    [60_000, 'minute'],
    [1_000, 'second'],
  ];
  for (const [unit, word] of units) {
    if (size >= unit) {
      const count = Math.round(size / unit);
      const text = `${count} ${word}${count === 1 ? '' : 's'}`;
      return milliseconds < 0 ? `${text} ago` : `in ${text}`;
    }
  }
  return 'now';
}
