/** The outcome of a policy that says no; any of the first three steps can return it. */
import { DENIALS, type Faces, type Reason } from '../faults/catalogue.ts';

export class Denied {
  readonly kind = 'denied';
  readonly decision: string;
  /** The first reason is the one the peer is told; the rest is for the record. */
  readonly reasons: readonly [Reason, ...Reason[]];

  constructor(decision: string, reasons: readonly [Reason, ...Reason[]]) {
    this.decision = decision;
    this.reasons = reasons;
  }

  get reason(): Reason {
    return this.reasons[0];
  }

  get faces(): Faces {
    return DENIALS[this.reason].faces;
  }
}
