/** How an exchange ended. */
import type { Faces } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import type { Denied } from './denied.ts';
import type { SealedReply } from './sealed.ts';

export { Denied } from './denied.ts';

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
