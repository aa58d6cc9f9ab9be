/**
 * What may be said of a handful of measurements: medians, percentiles and how far they lie apart. A ratio is only worth
 * printing when the thing compared with held still, so a restless baseline is refused here and nowhere else.
 */

/** A baseline that moved more than this between rounds, (max - min) / median, is no yardstick. */
export const MAX_SPREAD = 0.2;
export const MIN_ROUNDS = 5;

/** The middle one, or the mean of the two in the middle. Throws RangeError for none at all. */
export function median(values: readonly number[]): number {
  const sorted = ascending(values);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? at(sorted, middle) : (at(sorted, middle - 1) + at(sorted, middle)) / 2;
}

/** Nearest rank: the smallest value that at least `share` of all are not above. */
export function percentile(values: readonly number[] | Float64Array, share: number): number {
  const sorted = Float64Array.from(values).sort();
  if (sorted.length === 0) throw new RangeError('a percentile of nothing');
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))] as number;
}

/** How far rounds lie apart: the interquartile range, (p75 - p25) / median. One round that a neighbour disturbed does not count. */
export function spread(values: readonly number[]): number {
  const middle = median(values);
  return middle === 0 ? Number.POSITIVE_INFINITY : (percentile(values, 0.75) - percentile(values, 0.25)) / middle;
}

export interface Comparison {
  readonly baseline: number;
  readonly ours: number;
  readonly baselineSpread: number;
  readonly oursSpread: number;
  /** Absent: there is none to be had from these rounds, and `refused` says why. */
  readonly ratio?: number;
  readonly refused?: string;
}

/**
 * Medians of rounds that alternated, and the ratio that they allow.
 * @param of `ours/baseline` where less is better, `baseline/ours` where the bar is "so many times cheaper"
 */
export function compare(
  baseline: readonly number[],
  ours: readonly number[],
  of: 'ours/baseline' | 'baseline/ours',
  minRounds = MIN_ROUNDS,
): Comparison {
  const medians = {
    baseline: median(baseline),
    ours: median(ours),
    baselineSpread: spread(baseline),
    oursSpread: spread(ours),
  };
  const refused = reasonToRefuse(baseline, ours, medians.baselineSpread, minRounds);
  if (refused !== undefined) return { ...medians, refused };
  const ratio = medians.ours / medians.baseline;
  return { ...medians, ratio: of === 'ours/baseline' ? ratio : 1 / ratio };
}

function reasonToRefuse(
  baseline: readonly number[],
  ours: readonly number[],
  baselineSpread: number,
  minRounds: number,
): string | undefined {
  if (baseline.length !== ours.length) return `${baseline.length} rounds of the baseline, ${ours.length} of ours`;
  if (baseline.length < minRounds) return `only ${baseline.length} rounds; ${minRounds} are needed`;
  if ([...baseline, ...ours].some((value) => !Number.isFinite(value) || value <= 0)) return 'a round measured nothing';
  if (baselineSpread > MAX_SPREAD)
    return `the baseline's rounds lie ${percent(baselineSpread)} apart, more than ${percent(MAX_SPREAD)}: the machine is too restless`;
  return undefined;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function ascending(values: readonly number[]): readonly number[] {
  if (values.length === 0) throw new RangeError('a median of nothing');
  return [...values].sort((left, right) => left - right);
}

function at(values: readonly number[], index: number): number {
  return values[index] as number;
}
