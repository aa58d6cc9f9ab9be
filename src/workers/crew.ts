/** The other workers, as one of them sees them; and what there is to see for a gateway of one process. */
import type { StatusView } from '../admin/operations.ts';
import type { Address } from '../config/settings.ts';
import type { Decided, WorkerDuties } from './duties.ts';
import type { JointCounts } from './joint-counts.ts';

export interface Crew {
  /** 0: the lead, or the only one. */
  readonly worker: number;
  readonly of: number;
  /** Absent: nothing is to be counted together. */
  readonly counts?: JointCounts;
  /** Process ids of the workers there are, by number. */
  readonly pids: readonly (readonly [worker: number, pid: number])[];

  /** A follower waits for its lead, before it reads anything. */
  join(): Promise<void>;
  /** From now on this worker does its duties. Throws the fault of a folder that not all can agree on. */
  enlist(duties: WorkerDuties): Promise<void>;
  /** Where to listen. Throws SP_GATEWAY_LISTEN if a program that is none of us listens there. */
  place(wanted: Address): Promise<Address>;
  /** This worker listens. Resolves, for the lead at a start, when all of them do. */
  serving(address: Address): Promise<void>;
  /** Keys of TLS tickets; undefined: each TLS context makes its own. */
  ticketKeys(material: readonly string[]): Buffer | undefined;

  /** The other workers prepare what the folder says. Throws a fault if one cannot, or reads another revision; then none keeps it. */
  prepare(revision: string): Promise<void>;
  /** They take it over, with new keys of tickets. */
  commit(): Promise<readonly Decided[]>;
  /** They have taken over what is in the registry when this resolves, or do so within a moment. */
  refresh(): Promise<void>;
  reports(): Promise<readonly StatusView[]>;
  /** Pages of metrics: of the others, and the last ones of those that ended. */
  pages(): Promise<{ readonly live: readonly string[]; readonly ended: readonly string[] }>;
  /** Live sessions at the others, by key. */
  connections(device?: string): Promise<ReadonlyMap<string, number>>;
  /** Before the last record is written: the lead waits for the others to end. */
  lastCall(timeoutMs: number): Promise<void>;
  /** After it. */
  close(): Promise<void>;
}

/** One process and no other. */
export const ALONE: Crew = {
  worker: 0,
  of: 1,
  pids: [],
  join: async () => {},
  enlist: async () => {},
  place: async (wanted) => wanted,
  serving: async () => {},
  ticketKeys: () => undefined,
  prepare: async () => {},
  commit: async () => [],
  refresh: async () => {},
  reports: async () => [],
  pages: async () => ({ live: [], ended: [] }),
  connections: async () => new Map(),
  lastCall: async () => {},
  close: async () => {},
};
