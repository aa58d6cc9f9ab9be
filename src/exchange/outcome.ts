/** How an exchange ended. */
import { DENIALS, type Faces, type Reason } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import type { SealedReply } from './sealed.ts';

/** Policy said no. */
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

/** Something is broken: with the peer, an upstream, the operator's setting or with us. */
export class Failed {
  readonly kind = 'failed';
  readonly decision: string;
  readonly fault: Fault;

  constructor(decision: string, fault: Fault) {
    this.decision = decision;
    this.fault = fault;
  }

  static from(decision: string, thrown: unknown): Failed {
    return new Failed(decision, Fault.from(thrown));
  }

  get faces(): Faces {
    return this.fault.entry.faces;
  }
}

/** The message left, and this came back. */
export class Delivered {
  readonly kind = 'delivered';
  readonly decision: string;
  readonly reply: SealedReply;

  constructor(decision: string, reply: SealedReply) {
    this.decision = decision;
    this.reply = reply;
  }
}

export type Outcome = Delivered | Denied | Failed;
