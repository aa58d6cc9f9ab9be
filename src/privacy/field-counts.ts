/** How many values went which way. Numbers only: what a dropped field was called or held is nobody's business. */
import type { FieldAction } from './selectors.ts';

/** A subtree that is kept or dropped whole counts once. */
export interface FieldCounts {
  kept: number;
  dropped: number;
  pseudonymised: number;
  tokenised: number;
  coarsened: number;
}

export function noFields(): FieldCounts {
  return { kept: 0, dropped: 0, pseudonymised: 0, tokenised: 0, coarsened: 0 };
}

/** Counts one field of a query, header section or path. */
export function count(counts: FieldCounts, action: FieldAction | undefined): void {
  if (action === undefined) counts.dropped += 1;
  else if (action === 'keep') counts.kept += 1;
  else if (action === 'tokenise') counts.tokenised += 1;
  else counts.pseudonymised += 1;
}
