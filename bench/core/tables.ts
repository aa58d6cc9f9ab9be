/** An outcome as a person reads it in a terminal. */
import type { Bench } from './bench.ts';
import type { Line, Outcome, Row } from './outcome.ts';

export function describeOutcome(bench: Bench, outcome: Outcome & { readonly failed?: string }): string {
  const head = `\n${bench.name}: ${bench.about}`;
  if (outcome.failed !== undefined) return `${head}\n  FAILED: ${outcome.failed}`;
  if (outcome.skipped !== undefined) return `${head}\n  SKIPPED: ${outcome.skipped}`;
  return [head, `  ${outcome.method}`, ...tableOf(outcome.table), ...outcome.lines.map(sentence)].join('\n');
}

function sentence({ name, ratio, bar, ok, baseline, ours, unit, against, spread, refused }: Line): string {
  const figures = `${ours} ${unit}${baseline === null ? '' : ` against ${baseline} (${against})`}`;
  const apart = spread
    ? `; rounds apart (p75 - p25): ${percent(spread.ours)} ours, ${percent(spread.baseline)} baseline`
    : '';
  const ratioText = refused !== undefined ? `no ratio (${refused}), ` : ratio === null ? '' : `${ratio}x, `;
  return `  ${ok ? '✓' : '✗'} ${name}: ${ratioText}to reach ${bar}: ${ok ? 'reached' : 'not reached'}. ${figures}${apart}`;
}

function tableOf(rows: readonly Row[]): string[] {
  const keys = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))];
  const cells = [
    ['', ...keys],
    ...rows.map(({ name, figures }) => [name, ...keys.map((key) => String(figures[key] ?? ''))]),
  ];
  const widths = ['', ...keys].map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  return cells.map(
    (row) =>
      `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`,
  );
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
