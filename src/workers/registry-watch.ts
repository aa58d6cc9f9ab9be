/**
 * Looks several times a second whether anybody wrote the registry, so that a revocation reaches every worker although a
 * message was lost or the lead is gone. SQLite answers from shared memory, in four microseconds.
 */
import { Fault } from '../faults/fault.ts';

/** An eighth of the two seconds within which a disabled device is out. */
export const WATCH_INTERVAL_MS = 250;
/** Whoever cannot read the registry for so long may be serving a device that was disabled, and must not go on. */
const MAX_BLIND_MS = 1_500;

export interface RegistryWatchOptions {
  /** A number that changes when another connection wrote. */
  readonly stamp: () => number;
  /** Takes over what was written. */
  readonly refresh: () => Promise<unknown>;
  /** The registry could not be read for MAX_BLIND_MS: this process must end. */
  readonly onBlind: (fault: Fault) => void;
}

/** Begins to look. Returns how to stop. */
export function watchRegistry({ stamp, refresh, onBlind }: RegistryWatchOptions): () => void {
  let seen: number | undefined;
  let wellAt = performance.now();
  let busy = false;
  const look = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    try {
      const now = stamp();
      if (now !== seen) await refresh();
      seen = now;
      wellAt = performance.now();
    } catch (thrown) {
      if (performance.now() - wellAt > MAX_BLIND_MS) onBlind(Fault.from(thrown));
    } finally {
      busy = false;
    }
  };
  const timer = setInterval(() => void look(), WATCH_INTERVAL_MS).unref();
  return () => clearInterval(timer);
}
