/** Records of the ledger as they are read back. */
import type { DecisionRecord, OutcomeRecord } from '../exchange/gate.ts';
import type { Header, SetAside, StreamHead } from './encode.ts';
import type { OperatorRecord, RefusalRecord } from './operator-record.ts';

/** Where a record stands in the chain. */
export interface Place {
  readonly seq: number;
  readonly prev: string;
  readonly hash: string;
}

export type DecisionEntry = Place & { readonly kind: 'decision' } & DecisionRecord;
export type OutcomeEntry = Place & { readonly kind: 'outcome' } & OutcomeRecord;
export type OperatorEntry = Place & { readonly kind: 'operator' } & OperatorRecord;
export type RefusalEntry = Place & { readonly kind: 'refusal' } & RefusalRecord;
export type HeaderEntry = Place & { readonly kind: 'header' } & Header;
export type RecoveredEntry = Place & { readonly kind: 'recovered'; readonly time: number } & SetAside;
export type LossEntry = Place & { readonly kind: 'loss'; readonly time: number; readonly outcomes: number };

export type AnchorEntry = Place & {
  readonly kind: 'anchor';
  readonly time: number;
  readonly heads: readonly StreamHead[];
};

export type LedgerEntry =
  | DecisionEntry
  | OutcomeEntry
  | OperatorEntry
  | RefusalEntry
  | HeaderEntry
  | RecoveredEntry
  | LossEntry
  | AnchorEntry;

const KINDS: ReadonlySet<unknown> = new Set([
  'decision',
  'outcome',
  'operator',
  'refusal',
  'header',
  'recovered',
  'loss',
  'anchor',
]);

/**
 * A line (without newline) as an entry; undefined if it is not one. Texts are as they were recorded: escape them before
 * they go to a terminal. Whether the line is genuine is not asked here: that is verify.ts.
 */
export function entryFrom(line: string): LedgerEntry | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('kind' in value) || !KINDS.has(value.kind)) return undefined;
    return value as LedgerEntry;
  } catch {
    return undefined;
  }
}
