import { describe, expect, it } from 'vitest';
import { TimeExceeded, withinTime } from '../../../../src/policy/engine/watchdog.ts';

describe('the watchdog', () => {
  it('gives back what the work gives, and throws what it throws', () => {
    expect(withinTime(1_000, () => 7)).toBe(7);
    expect(withinTime(1_000, () => undefined)).toBeUndefined();
    const mine = new RangeError('mine');
    expect(() =>
      withinTime(1_000, () => {
        throw mine;
      }),
    ).toThrow(mine);
  });

  it('ends work that never does, even one that catches everything', () => {
    expect(() =>
      withinTime(20, () => {
        for (;;) {
          try {
            for (;;);
          } catch {}
        }
      }),
    ).toThrow(TimeExceeded);
    expect(withinTime(1_000, () => 'next')).toBe('next');
  });
});
