/** What a benchmark has to say: lines for the machine, with their bars, and tables of everything measured for people. */
import type { Round } from './rounds.ts';
import { compare, median } from './statistics.ts';

/** One line of `--json`. Without a ratio nothing was shown, and `ok` is false. */
export interface Line {
  readonly name: string;
  readonly baseline: number | null;
  readonly ours: number | null;
  readonly unit: string;
  readonly ratio: number | null;
  /** As the issue states it, e.g. `<= 2.5`. */
  readonly bar: string;
  readonly ok: boolean;
  /** What the baseline is. */
  readonly against: string;
  readonly spread?: { readonly baseline: number; readonly ours: number };
  readonly refused?: string;
}

export interface Row {
  readonly name: string;
  readonly figures: Readonly<Record<string, number | string>>;
}

export interface Outcome {
  readonly lines: readonly Line[];
  /** Everything that was measured, medians of the rounds. */
  readonly table: readonly Row[];
  /** The figure that the picture shows; the first one of the table, of which less is better, when left out. */
  readonly picture?: { readonly figure: string; readonly better: 'less' | 'more' };
  /** How it was measured, a sentence or two. */
  readonly method: string;
  /** A benchmark that this program or machine cannot do, and why; then there are no lines. */
  readonly skipped?: string;
}

export type Bar =
  | { readonly kind: 'ratio'; readonly atMost: number }
  | { readonly kind: 'ratio'; readonly atLeast: number }
  | { readonly kind: 'ours'; readonly atMost: number; readonly unit: string };

export interface LineOptions {
  readonly name: string;
  readonly unit: string;
  readonly against: string;
  /** Absent: there is nothing to compare with, only a bar. */
  readonly baseline?: readonly number[];
  readonly ours: readonly number[];
  readonly bar: Bar;
  /** `ours/baseline` where it must stay small, `baseline/ours` where the bar says "times cheaper". */
  readonly of?: 'ours/baseline' | 'baseline/ours';
}

export function lineOf(options: LineOptions): Line {
  const { name, unit, against, bar, baseline, of = 'ours/baseline' } = options;
  const common = { name, unit, bar: barText(bar), against };
  if (baseline === undefined) {
    const ours = median(options.ours);
    return { ...common, baseline: null, ours: round(ours), ratio: null, ok: reaches(bar, ours, undefined) };
  }
  const compared = compare(baseline, options.ours, of);
  return {
    ...common,
    baseline: round(compared.baseline),
    ours: round(compared.ours),
    ratio: compared.ratio === undefined ? null : round(compared.ratio),
    ok: reaches(bar, compared.ours, compared.ratio),
    spread: { baseline: round(compared.baselineSpread), ours: round(compared.oursSpread) },
    ...(compared.refused !== undefined && { refused: compared.refused }),
  };
}

export function barText(bar: Bar): string {
  if (bar.kind === 'ours') return `<= ${bar.atMost} ${bar.unit}`;
  return 'atMost' in bar ? `<= ${bar.atMost}x` : `>= ${bar.atLeast}x`;
}

function reaches(bar: Bar, ours: number, ratio: number | undefined): boolean {
  // A restless machine makes a figure worse, never better: an absolute bar may be judged where a ratio may not.
  if (bar.kind === 'ours') return ours <= bar.atMost;
  if (ratio === undefined) return false;
  return 'atMost' in bar ? ratio <= bar.atMost : ratio >= bar.atLeast;
}

/** A row of what was accounted for; how busy the cores were, if the server had one of its own. */
export function rowOf(name: string, typical: Round, cores = true): Row {
  return {
    name,
    figures: {
      'CPU µs': round(typical.cpuMicros),
      'per second': Math.round(typical.perSecond),
      'p50 ms': round(typical.p50Ms),
      'p99 ms': round(typical.p99Ms),
      'RSS MiB': Math.round(typical.residentMib),
      ...(cores && {
        'server core': share(typical.serverCore),
        'load core': share(typical.loadCore),
        'others on server core': share(typical.foreign),
      }),
    },
  };
}

export function round(value: number): number {
  return Number(value.toPrecision(4));
}

function share(value: number): string {
  return `${(value * 100).toFixed(0)} %`;
}
