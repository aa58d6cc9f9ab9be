import { describe, expect, it } from 'vitest';
import {
  CircuitBreaker,
  FAILURES_TO_OPEN,
  FIRST_OPEN_MS,
  LONGEST_OPEN_MS,
} from '../../../src/upstreams/circuit-breaker.ts';

function circuit() {
  const clock = { ms: 0 };
  const breaker = new CircuitBreaker(() => clock.ms);
  const fail = (times: number) => {
    for (let i = 0; i < times; i++) breaker.failed('normal');
  };
  return { clock, breaker, fail };
}

describe('CircuitBreaker', () => {
  it('opens after so many failures in a row, and not one earlier', () => {
    const { breaker, fail } = circuit();
    fail(FAILURES_TO_OPEN - 1);
    expect([breaker.state, breaker.admit()]).toEqual(['closed', 'normal']);
    expect(breaker.failed('normal')).toBe(true);
    expect([breaker.state, breaker.admit()]).toEqual(['open', undefined]);
  });

  it('one answer between starts the count anew', () => {
    const { breaker, fail } = circuit();
    for (let i = 0; i < 50; i++) {
      fail(FAILURES_TO_OPEN - 1);
      breaker.succeeded();
    }
    expect(breaker.state).toBe('closed');
  });

  it('lets exactly one probe through when its time has come', () => {
    const { breaker, clock, fail } = circuit();
    fail(FAILURES_TO_OPEN);
    clock.ms = FIRST_OPEN_MS - 1;
    expect(breaker.admit()).toBeUndefined();
    clock.ms = FIRST_OPEN_MS;
    expect([breaker.admit(), breaker.admit(), breaker.state]).toEqual(['probe', undefined, 'half-open']);
    breaker.succeeded();
    expect([breaker.state, breaker.admit()]).toEqual(['closed', 'normal']);
  });

  it('waits twice as long after each failed probe, up to a limit', () => {
    const { breaker, clock, fail } = circuit();
    fail(FAILURES_TO_OPEN);
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      const from = clock.ms;
      while (breaker.admit() !== 'probe') clock.ms += 500;
      waits.push(clock.ms - from);
      breaker.failed('probe');
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, LONGEST_OPEN_MS]);
  });

  it('a probe whose device left lets the next request probe', () => {
    const { breaker, clock, fail } = circuit();
    fail(FAILURES_TO_OPEN);
    clock.ms = FIRST_OPEN_MS;
    expect(breaker.admit()).toBe('probe');
    breaker.abandoned('probe');
    expect([breaker.state, breaker.admit()]).toEqual(['open', 'probe']);
  });

  it('stragglers neither reopen a half-open circuit nor push the probe away', () => {
    const { breaker, clock, fail } = circuit();
    fail(FAILURES_TO_OPEN);
    clock.ms = FIRST_OPEN_MS - 1;
    fail(10);
    clock.ms = FIRST_OPEN_MS;
    expect(breaker.admit()).toBe('probe');
    breaker.failed('normal');
    breaker.abandoned('normal');
    expect(breaker.state).toBe('half-open');
    breaker.succeeded();
    expect(breaker.state).toBe('closed');
  });
});
