/** What the ledger says about the time: a clock that was set back must not make expired certificates valid again. */
import { Fault } from '../faults/fault.ts';
import { tailAll } from './streams.ts';

/** How far the last record may be ahead of the clock before somebody has to say which of them is right. */
const MAX_CLOCK_LEAD_MS = 3_600_000;
/** This version did not exist before; a clock that says so is wrong. */
const BUILT_AT = Date.UTC(2026, 10, 25);

/**
 * A moment that has certainly passed: the build, or the last record. A record of a time far ahead was written under a wrong
 * clock, or the clock is wrong now; believing either could lock every device out or let expired ones in, so a person decides.
 */
export async function clockFloor(ledger: string, acceptClock: boolean): Promise<number> {
  const [last] = await tailAll(ledger, 1);
  const recorded = last && 'time' in last ? last.time : 0;
  if (recorded - Date.now() <= MAX_CLOCK_LEAD_MS) return Math.max(BUILT_AT, recorded);
  if (acceptClock) return BUILT_AT;
  const [now, then] = [Date.now(), recorded].map((time) => new Date(time).toISOString());
  throw new Fault('SP_GATEWAY_CLOCK', `The clock says ${now}, but the ledger’s last record is of ${then}.`);
}
