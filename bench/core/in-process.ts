/** Work inside this process, by the CPU time of all its threads: garbage collection counts, waiting for others does not. */
import { setImmediate } from 'node:timers/promises';

/** Pieces between which the loop turns, as in the gateway, so that what hangs on it can be freed. */
const PIECES = 20;

/** CPU microseconds of one operation. `work` is told how often to do it. */
export async function cpuPerOperation(operations: number, work: (times: number) => void): Promise<number> {
  const piece = Math.ceil(operations / PIECES);
  const before = process.cpuUsage();
  for (let done = 0; done < PIECES; done += 1) {
    work(piece);
    await setImmediate();
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (piece * PIECES);
}
