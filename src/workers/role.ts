/** Which of the gateway's workers this process is: what the supervisor says on its command line, `--worker 1/2`. */
import { Fault } from '../faults/fault.ts';

export interface Role {
  /** 0 is the lead; it has the operator's door and the metrics port. */
  readonly worker: number;
  /** How many there are. */
  readonly of: number;
  /** It takes the place of one that ended while the others went on. */
  readonly again: boolean;
}

/** More than this many processes would wait for one disk and one memory. */
export const MAX_WORKERS = 64;

/** `WORKER/OF`, with `/again` for a replacement. Throws SP_USAGE, also if it was not our parent, `supervisor`, who said so. */
export function roleOf(text: string, supervisor: string | undefined): Role {
  const match = /^(\d{1,2})\/(\d{1,2})(\/again)?$/.exec(text);
  const [worker, of] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || supervisor !== String(process.ppid) || of < 2 || of > MAX_WORKERS || worker >= of) {
    throw new Fault('SP_USAGE', '--worker is for the supervisor alone; `sallyport run --workers N` says how many.');
  }
  return { worker, of, again: match[3] !== undefined };
}
