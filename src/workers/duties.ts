/** What the workers of a gateway do for each other. The composition root does the work; lead.ts and follower.ts carry it over. */
import type { StatusView } from '../admin/operations.ts';
import type { Address } from '../config/settings.ts';
import type { StreamHead } from '../ledger/encode.ts';
import type { News } from './joint-counts.ts';

/** What a new revision did to live sessions. */
export interface Decided {
  readonly reconsidered: number;
  readonly closed: number;
}

/** What every worker can do. The first two are the halves of a reload: all that can fail is in `prepare`. */
export interface WorkerDuties {
  /** Reads the folder and tries it. Returns its revision. */
  prepare(): Promise<string>;
  /** Takes over what was prepared. */
  commit(): Promise<Decided>;
  abandon(): void;
  /** Takes over what was written to the registry, and closes what it forbids before it resolves. */
  refresh(): Promise<unknown>;
  report(): StatusView;
  /** Metrics as text. */
  page(): string;
  /** Live sessions: of the device, or of all devices, by key. */
  connections(device: string | undefined): (readonly [key: string, sessions: number])[];
  revision(): string;
  head(): StreamHead;
  /** Puts on record where other streams stand. */
  anchor(heads: readonly StreamHead[]): void;
  /** The secret behind the keys of TLS tickets changed. */
  renewTickets(): void;
  /** Does the work when no reload is under way. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Brings every worker to what the folder says now. Only within inTurn. */
  reload(): Promise<unknown>;
}

/** What the lead may ask of a follower. */
export interface FollowerDuties {
  prepare(value: null): Promise<string>;
  commit(value: { readonly secret: string }): Promise<Decided>;
  abandon(value: null): void;
  refresh(value: null): Promise<unknown>;
  report(value: null): StatusView;
  page(value: null): string;
  connections(value: { readonly device?: string }): (readonly [string, number])[];
  head(value: null): StreamHead;
  anchor(heads: readonly StreamHead[]): void;
  news(news: News): void;
  forget(value: { readonly worker: number }): void;
}

/** What a follower may ask of the lead. */
export interface LeadDuties {
  /** Resolves when the lead listens. A follower that serves already says where. */
  join(value: {
    readonly worker: number;
    readonly pid: number;
    /** Who started it. Workers of a second gateway, which is about to be refused, do not belong here. */
    readonly supervisor: number;
    readonly address?: Address;
  }): Promise<Address>;
  /** From the answer on the follower takes part in everything. */
  enlist(value: { readonly revision: string; readonly head: StreamHead }): Promise<{
    readonly revision: string;
    readonly secret: string;
    readonly heads: readonly StreamHead[];
  }>;
  /** The follower listens. */
  serving(value: null): void;
  news(news: News): void;
  /** The follower has written its last record and ends. */
  leave(head: StreamHead): Promise<void>;
}
