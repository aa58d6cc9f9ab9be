import { describe, expect, it } from 'vitest';
import { RateLimits } from '../../../src/policy/rate.ts';

const RATE = { bucket: 'sensors/telemetry', perSecond: 2, burst: 3 };

function limits(maxBuckets?: number) {
  const clock = { ms: 1_000 };
  const rates = new RateLimits(() => clock.ms, maxBuckets);
  const takes = (count: number, device = 'thermo-1', rate = RATE) =>
    Array.from({ length: count }, () => rates.take(rate, device)).filter(Boolean).length;
  return { clock, takes };
}

describe('a rate', () => {
  it('lets a burst pass and then what refills', () => {
    const { clock, takes } = limits();
    expect(takes(10)).toBe(3);
    clock.ms += 499;
    expect(takes(10)).toBe(0);
    clock.ms += 1;
    expect(takes(10)).toBe(1);
    clock.ms += 60_000;
    expect(takes(10)).toBe(3);
  });

  it('is exact over a long time, however the requests come', () => {
    const { clock, takes } = limits();
    let passed = 0;
    for (let step = 0; step < 10_000; step += 1) {
      clock.ms += 7;
      passed += takes(1);
    }
    expect(passed).toBeGreaterThanOrEqual(140);
    expect(passed).toBeLessThanOrEqual(143);
  });

  it('is each device’s and each route’s own', () => {
    const { takes } = limits();
    expect(takes(10, 'a')).toBe(3);
    expect(takes(10, 'b')).toBe(3);
    expect(takes(10, 'a', { ...RATE, bucket: 'sensors/other' })).toBe(3);
    expect(takes(10, 'a')).toBe(0);
  });

  it('gives no tokens for a clock that goes back', () => {
    const { clock, takes } = limits();
    takes(3);
    clock.ms -= 1_000_000;
    expect(takes(10)).toBe(0);
    clock.ms += 500;
    expect(takes(10)).toBe(1);
  });

  it('gives no new tokens when it changes', () => {
    const { takes } = limits();
    expect(takes(10)).toBe(3);
    for (let turn = 0; turn < 10; turn += 1) {
      expect(takes(1, 'thermo-1', { ...RATE, burst: 5 })).toBe(0);
      expect(takes(1)).toBe(0);
    }
  });
});

describe('room', () => {
  it('is made by forgetting buckets that are full again', () => {
    const { clock, takes } = limits(4);
    for (const device of ['a', 'b', 'c', 'd']) takes(1, device);
    expect(takes(1, 'e')).toBe(0);
    clock.ms += 500;
    expect(takes(1, 'e')).toBe(1);
  });

  it('is never made by forgetting one that is used up: a flood of devices refills nobody’s bucket', () => {
    const { clock, takes } = limits(4);
    expect(takes(10, 'thief')).toBe(3);
    for (let round = 0; round < 100; round += 1) {
      clock.ms += 1;
      takes(1, `flood-${round}`);
    }
    expect(takes(1, 'thief')).toBe(0);
  });

  it('is searched for in a bounded time', () => {
    const rates = new RateLimits(() => 0, 50_000);
    for (let at = 0; at < 50_000; at += 1) rates.take(RATE, `d-${at}`);
    const started = process.cpuUsage();
    for (let at = 0; at < 50_000; at += 1) expect(rates.take(RATE, `e-${at}`)).toBe(false);
    // A search of all 50,000 for each would take minutes.
    expect(process.cpuUsage(started).user / 1_000).toBeLessThan(10_000);
  });
});
