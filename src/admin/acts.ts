/**
 * Acts of an operator that change what may pass, each on record before it takes effect. The ledger that cannot be written
 * stops whatever would let more pass, and never what lets less pass: a device must be kept out also on a full disk.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { FaultCode } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';

export type ActName =
  | 'start'
  | 'reload'
  | 'device-add'
  | 'device-renew'
  | 'device-finish-renewal'
  | 'device-set'
  | 'device-enable'
  | 'device-disable'
  | 'device-quarantine'
  | 'device-remove';

export interface Act {
  readonly act: ActName;
  readonly device?: string;
  /** The public key that is admitted or given up, lowercase hex. */
  readonly key?: string;
  /** States, segments or revisions. */
  readonly from?: string;
  readonly to?: string;
}

/** As the ledger takes it: OperatorRecord there. */
export interface ActRecord extends Act {
  readonly decision: string;
  readonly time: number;
  readonly by: 'gateway' | 'command';
  readonly revision?: string;
  readonly outcome: 'begun' | 'done' | 'failed';
  readonly fault?: FaultCode;
}

export interface ActPorts {
  readonly by: ActRecord['by'];
  /** Resolves when the record is on the disk. Throws SP_LEDGER_WRITE. */
  readonly record: (record: ActRecord) => Promise<void>;
  /** Resolves when the record is on the disk, however long that takes: it is kept until then. Throws if it cannot be kept. */
  readonly keep: (record: ActRecord) => Promise<void>;
  readonly revision?: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly decisionId: () => string;
  /** An act took effect before it was on record. Must not throw. */
  readonly onUnrecorded: (act: ActRecord) => void;
}

/** Longest that what closes waits for the disk: a disabled device is out within two seconds. */
const MAX_WAIT_MS = 500;

/**
 * Does `work` under a record of it.
 * @param effect `opens`: nothing happens without the record; `closes`: it happens in any case
 * @throws whatever `work` throws, which is on record then; SP_LEDGER_WRITE for what opens
 */
export async function onRecord<T>(
  ports: ActPorts,
  effect: 'opens' | 'closes',
  act: Act,
  work: () => Promise<T>,
): Promise<T> {
  const { by } = ports;
  const revision = ports.revision?.();
  const decision = ports.decisionId();
  const facts = { ...act, decision, by, ...(revision !== undefined && { revision }) };
  const begun: ActRecord = { ...facts, time: ports.now(), outcome: 'begun' };
  let writable = true;
  if (effect === 'opens') await ports.record(begun).catch(notBegun);
  else writable = await isKeptInTime(ports.keep(begun));
  if (!writable) ports.onUnrecorded(begun);
  const end = async (outcome: Pick<ActRecord, 'outcome' | 'fault'>) => {
    const kept = isKeptInTime(ports.keep({ ...facts, time: ports.now(), ...outcome }));
    // Whoever looks at the ledger when this answers finds both halves; a disk that refuses is not waited for twice.
    if (writable) await kept;
  };
  try {
    const result = await work();
    await end({ outcome: 'done' });
    return result;
  } catch (thrown) {
    await end({ outcome: 'failed', fault: Fault.from(thrown).code });
    throw thrown;
  }
}

function notBegun(thrown: unknown): never {
  const { code, details } = Fault.from(thrown);
  if (code !== 'SP_LEDGER_WRITE') throw thrown;
  throw new Fault(code, 'This could not be put on record, and nothing was changed.', { cause: thrown, details });
}

async function isKeptInTime(kept: Promise<void>): Promise<boolean> {
  const waiting = new AbortController();
  const tooLate = pause(MAX_WAIT_MS, false, { signal: waiting.signal }).catch(() => false);
  const inTime = await Promise.race([kept.then(() => true).catch(() => false), tooLate]);
  waiting.abort();
  return inTime;
}
