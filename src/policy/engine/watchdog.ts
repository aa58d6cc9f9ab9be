/**
 * A time limit on synchronous code. JavaScript cannot interrupt a running module, `vm` can; it costs a watchdog thread per
 * call (about half a millisecond), so it stands guard at activation and in `policy eval`, not on each message.
 */
import { createContext, Script } from 'node:vm';

const place = createContext({ task: undefined });
const script = new Script('task()', { filename: 'watchdog' });

export class TimeExceeded extends Error {
  override readonly name = 'TimeExceeded';
}

/** Runs `work`. Throws TimeExceeded when it is not done in time, and whatever it throws itself. Not re-entrant. */
export function withinTime<T>(timeoutMs: number, work: () => T): T {
  let result: { readonly value: T } | undefined;
  place.task = () => {
    result = { value: work() };
  };
  try {
    script.runInContext(place, { timeout: timeoutMs });
  } catch (thrown) {
    if ((thrown as { code?: unknown } | null)?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
      throw new TimeExceeded(`Not done within ${timeoutMs} ms.`);
    }
    throw thrown;
  } finally {
    place.task = undefined;
  }
  if (result === undefined) throw new TimeExceeded('The work was cut off.');
  return result.value;
}
