import { describe, expect, it } from 'vitest';
import { type Cancellation, Departure } from '../../../src/exchange/cancellation.ts';

/** An AbortSignal and ours behave alike wherever the gateway looks. */
describe.each([
  ['Departure', () => new Departure()],
  [
    'AbortSignal',
    () => {
      const controller = new AbortController();
      return Object.assign(controller.signal as Cancellation, { abort: () => controller.abort() });
    },
  ],
])('%s', (_name, make) => {
  it('tells each listener once, and none that has signed off', () => {
    const departure = make();
    const told: string[] = [];
    const listener = (name: string) => ({ handleEvent: () => void told.push(name) });
    const [a, b, c] = [listener('a'), listener('b'), listener('c')] as const;
    for (const each of [a, b, c]) departure.addEventListener('abort', each);
    departure.removeEventListener('abort', b);
    expect(departure.aborted).toBe(false);
    departure.abort();
    departure.abort();
    expect(departure.aborted).toBe(true);
    expect(told).toEqual(['a', 'c']);
    departure.removeEventListener('abort', a);
  });

  it('tells nobody who comes afterwards: `aborted` is there to be asked', () => {
    const departure = make();
    departure.abort();
    let told = false;
    departure.addEventListener('abort', { handleEvent: () => (told = true) });
    departure.abort();
    expect(told).toBe(false);
  });

  it('a listener may sign off others while it is told', () => {
    const departure = make();
    const told: string[] = [];
    const second = { handleEvent: () => void told.push('second') };
    departure.addEventListener('abort', {
      handleEvent: () => {
        told.push('first');
        departure.removeEventListener('abort', second);
      },
    });
    departure.addEventListener('abort', second);
    departure.abort();
    expect(told[0]).toBe('first');
  });
});
