/** Counting what is open per key. */
import { describe, expect, it } from 'vitest';
import { Tally } from '../../../../src/listeners/https/tally.ts';

describe('Tally', () => {
  it('counts per key up to the cap, and forgets keys', () => {
    const tally = new Tally();
    expect([tally.take('a', 2), tally.take('a', 2), tally.take('a', 2), tally.take('b', 1)]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect(tally.total).toBe(3);
    tally.give('a');
    expect(tally.take('a', 2)).toBe(true);
    for (const key of ['a', 'a', 'b', 'b', 'c']) tally.give(key);
    expect(tally.total).toBe(0);
  });
});
