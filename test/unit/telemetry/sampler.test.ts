import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Sampler } from '../../../src/telemetry/sampler.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function sampler() {
  const reported: [string, number][] = [];
  const made = new Sampler<'a' | 'b'>({
    first: 3,
    intervalMs: 1_000,
    onSuppressed: (kind, count) => reported.push([kind, count]),
  });
  return { made, reported };
}

it('takes the first of each kind and counts the rest', () => {
  const { made, reported } = sampler();
  expect([1, 2, 3, 4, 5].map(() => made.take('a'))).toEqual([true, true, true, false, false]);
  expect(made.take('b')).toBe(true);
  vi.advanceTimersByTime(1_000);
  expect(reported).toEqual([['a', 2]]);
});

it('begins anew with each interval', () => {
  const { made, reported } = sampler();
  for (let count = 0; count < 4; count++) made.take('a');
  vi.advanceTimersByTime(1_000);
  expect([1, 2, 3, 4].map(() => made.take('a'))).toEqual([true, true, true, false]);
  vi.advanceTimersByTime(1_000);
  expect(reported).toEqual([
    ['a', 1],
    ['a', 1],
  ]);
});

it('reports at a flush, and nothing when all were taken', () => {
  const { made, reported } = sampler();
  made.take('a');
  made.flush();
  expect(reported).toEqual([]);
  for (let count = 0; count < 10; count++) made.take('b');
  made.flush();
  expect(reported).toEqual([['b', 7]]);
  vi.advanceTimersByTime(10_000);
  expect(reported).toHaveLength(1);
});
