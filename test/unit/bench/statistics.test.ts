/** What the benchmarks claim: medians and spreads are right, and a run that proves nothing yields no ratio. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { barText, lineOf } from '../../../bench/core/outcome.ts';
import { compare, MAX_SPREAD, median, percentile, spread } from '../../../bench/core/statistics.ts';

describe('figures', () => {
  it('a median is the middle, or the mean of the two in the middle', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(() => median([])).toThrow(RangeError);
  });

  it('a percentile is the nearest rank and sorts by number', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0.5, 0.75, 0.99, 1].map((share) => percentile(values, share))).toEqual([50, 75, 99, 100]);
    expect(percentile([10, 9, 100], 0.5)).toBe(10);
    expect(percentile([7], 0.99)).toBe(7);
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });

  it('spread is (p75 - p25) / median: one disturbed round does not count, two of five do', () => {
    expect(spread([100, 100, 100, 100, 900])).toBe(0);
    expect(spread([100, 100, 100, 200, 200])).toBe(1);
    expect(spread([0, 0, 0])).toBe(Number.POSITIVE_INFINITY);
  });

  it('medians lie between the least and the most, whatever the order', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.1, max: 1e6, noNaN: true }), { minLength: 1 }), (values) => {
        const found = median(values);
        expect(found).toBeGreaterThanOrEqual(Math.min(...values));
        expect(found).toBeLessThanOrEqual(Math.max(...values));
        expect(median(values.toReversed())).toBe(found);
      }),
    );
  });
});

describe('a ratio', () => {
  const calm = [20, 21, 20, 22, 21];

  it('is of the medians, either way round', () => {
    expect(compare(calm, [42, 42, 42, 42, 42], 'ours/baseline').ratio).toBe(2);
    expect(compare(calm, [7, 7, 7, 7, 7], 'baseline/ours').ratio).toBeCloseTo(3);
  });

  it.each<[string, readonly number[], readonly number[]]>([
    ['the baseline was restless', [10, 10, 20, 30, 30], [42, 42, 42, 42, 42]],
    ['there were too few rounds', [20, 20, 20, 20], [42, 42, 42, 42]],
    ['the rounds are not pairs', calm, [42, 42, 42, 42]],
    ['a round of ours measured nothing', calm, [42, 42, 0, 42, 42]],
    ['a round measured no number', [20, 20, 20, 20, Number.NaN], [42, 42, 42, 42, 42]],
  ])('there is none if %s', (_, baseline, ours) => {
    const { ratio, refused } = compare(baseline, ours, 'ours/baseline');
    expect(ratio).toBeUndefined();
    expect(refused).toMatch(/\w/);
  });

  it('is given up to the limit of 20 % and not beyond it', () => {
    const apart = (share: number) => [100, 100, 100, 100 + share * 100, 100 + share * 100];
    expect(compare(apart(MAX_SPREAD - 0.001), calm, 'ours/baseline').ratio).toBeDefined();
    expect(compare(apart(MAX_SPREAD + 0.001), calm, 'ours/baseline').ratio).toBeUndefined();
  });
});

describe('a line', () => {
  const about = { name: 'https', unit: 'µs', against: 'nginx' };
  const baseline = [10, 10, 10, 10, 10];
  const five = (value: number) => [value, value, value, value, value];

  it.each([
    [{ kind: 'ratio', atMost: 2.5 } as const, 25, true],
    [{ kind: 'ratio', atMost: 2.5 } as const, 26, false],
    [{ kind: 'ratio', atLeast: 1.8 } as const, 18, true],
    [{ kind: 'ratio', atLeast: 1.8 } as const, 17, false],
    [{ kind: 'ours', atMost: 6, unit: 'µs' } as const, 6, true],
    [{ kind: 'ours', atMost: 6, unit: 'µs' } as const, 7, false],
  ])('%j with %d is %s', (bar, ours, ok) => {
    expect(lineOf({ ...about, baseline, ours: five(ours), bar })).toMatchObject({
      ok,
      ratio: ours / 10,
      bar: barText(bar),
    });
  });

  it('a refused ratio reaches no bar of ratios, and says why', () => {
    const line = lineOf({
      ...about,
      baseline: [10, 10, 20, 30, 30],
      ours: five(1),
      bar: { kind: 'ratio', atMost: 2.5 },
    });
    expect(line).toMatchObject({ ok: false, ratio: null });
    expect(line.refused).toContain('restless');
  });

  it('without a baseline there is a bar alone', () => {
    const line = lineOf({ ...about, ours: five(9), bar: { kind: 'ours', atMost: 10, unit: 'ms' } });
    expect(line).toMatchObject({ ok: true, ratio: null, baseline: null, ours: 9 });
  });
});
