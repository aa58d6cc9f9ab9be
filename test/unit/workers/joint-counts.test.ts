import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RateLimits } from '../../../src/policy/rate.ts';
import { JointCounts, type News } from '../../../src/workers/joint-counts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Two workers who hear each other. */
function pair() {
  const counts = [new JointCounts(0, 2), new JointCounts(1, 2)] as const;
  const [one, other] = counts;
  one.connect((news) => other.absorb(structuredClone(news) as News));
  other.connect((news) => one.absorb(structuredClone(news) as News));
  return counts;
}

describe('what is open', () => {
  it('counts at the other worker a moment later, and no longer when it is closed', () => {
    const [one, other] = pair();
    one.opened('device', 3);
    expect(other.share('device', 8)).toBe(8);
    vi.advanceTimersByTime(20);
    expect(other.share('device', 8)).toBe(5);
    expect(other.share('another', 8)).toBe(8);
    one.opened('device', 0);
    vi.advanceTimersByTime(20);
    expect(other.share('device', 8)).toBe(8);
  });

  it('is forgotten with the worker, and told again to a new lead', () => {
    const [one, other] = pair();
    one.opened('device', 3);
    vi.advanceTimersByTime(20);
    other.forget(0);
    expect(other.share('device', 8)).toBe(8);
    one.connect((news) => other.absorb(news));
    expect(other.share('device', 8)).toBe(5);
  });

  it('alone, each worker keeps to its share', () => {
    const [one] = pair();
    one.connect(undefined);
    expect(one.share('device', 7)).toBe(4);
    expect(one.weight).toBe(2);
  });

  it('news that come twice count once', () => {
    const [, other] = pair();
    const news: News = { worker: 0, open: [['device', 2]], taken: [] };
    other.absorb(news);
    other.absorb(news);
    expect(other.share('device', 8)).toBe(6);
  });
});

describe('a rate', () => {
  const rate = { bucket: 'route', perSecond: 1, burst: 10 };

  function limits() {
    let now = 0;
    const counts = pair();
    const rates = counts.map((one) => new RateLimits(() => now, undefined, one));
    counts.forEach((one, index) => {
      one.onTaken = (taken) => rates[index]?.absorb(...taken);
    });
    const take = (worker: number, times: number) => {
      let passed = 0;
      for (let count = 0; count < times; count++) if (rates[worker]?.take(rate, 'device')) passed += 1;
      return passed;
    };
    const wait = (ms: number) => {
      vi.advanceTimersByTime(ms);
      now += ms;
    };
    return { counts, take, wait };
  }

  it('is one for both when the news had time', () => {
    const { take, wait } = limits();
    expect(take(0, 6)).toBe(6);
    wait(20);
    expect(take(1, 10)).toBe(4);
  });

  it('taken at both at once is a debt that is paid back: over time a device has no more than its rate', () => {
    const { take, wait } = limits();
    let passed = take(0, 20) + take(1, 20);
    expect(passed).toBe(20);
    // 10 tokens too many are 10 seconds of nothing.
    for (let second = 0; second < 60; second++) {
      wait(1_000);
      passed += take(0, 2);
      wait(20);
      passed += take(1, 2);
    }
    expect(passed).toBeLessThanOrEqual(10 + 61 + 2);
    expect(passed).toBeGreaterThanOrEqual(60);
  });

  it('alone, a worker gives out its share', () => {
    const { counts, take, wait } = limits();
    counts[0].connect(undefined);
    expect(take(0, 20)).toBe(5);
    wait(10_000);
    expect(take(0, 20)).toBe(5);
  });
});
