import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Fault } from '../../../src/faults/fault.ts';
import { watchRegistry } from '../../../src/workers/registry-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('takes over a change within a quarter of a second, and asks for nothing without one', async () => {
  let stamp = 1;
  const refresh = vi.fn(async () => 0);
  const stop = watchRegistry({ stamp: () => stamp, refresh, onBlind: () => {} });
  await vi.advanceTimersByTimeAsync(1_000);
  // What was written between the reading of the registry and the first look is not known.
  expect(refresh).toHaveBeenCalledTimes(1);
  stamp = 2;
  await vi.advanceTimersByTimeAsync(250);
  expect(refresh).toHaveBeenCalledTimes(2);
  stop();
  stamp = 3;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(refresh).toHaveBeenCalledTimes(2);
});

it('a change that could not be read is looked at again, and whoever stays blind must end', async () => {
  const onBlind = vi.fn();
  let broken = true;
  const refresh = vi.fn(async () => {
    if (broken) throw new Fault('SP_STORE_FAILED');
  });
  const stop = watchRegistry({ stamp: () => 1, refresh, onBlind });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(onBlind).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(onBlind.mock.lastCall?.[0]).toMatchObject({ code: 'SP_STORE_FAILED' });
  broken = false;
  const told = onBlind.mock.calls.length;
  await vi.advanceTimersByTimeAsync(3_000);
  expect(onBlind).toHaveBeenCalledTimes(told);
  stop();
});
