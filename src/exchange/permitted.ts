/** Proof, second step: policy allows this message of this device. Only `Permitted.by` makes one. */
import type { Reason } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import { Denied } from './denied.ts';
import { Identified } from './identified.ts';
import type { Obligations } from './obligations.ts';

export type Decision =
  | { readonly allow: true; readonly obligations: Obligations }
  | { readonly allow: false; readonly reasons: readonly [Reason, ...Reason[]] };

/** May it? Policy and rate together. Throws SP_POLICY_*, which denies. */
export interface Decider {
  /** @param again a session is decided anew after a change: no message is sent, so no token of a rate is taken */
  decide(identified: Identified, again?: boolean): Decision | Promise<Decision>;
  /** The revision of policy, data and configuration that decides now. */
  readonly revision: string;
}

const seal = Symbol('permitted');

export class Permitted {
  readonly #proof = true;
  readonly identified: Identified;
  readonly obligations: Obligations;

  private constructor(key: symbol, identified: Identified, obligations: Obligations) {
    if (key !== seal) throw new Fault('SP_EXCHANGE_UNPROVEN');
    this.identified = identified;
    this.obligations = obligations;
  }

  static async by(decider: Decider, identified: Identified, again = false): Promise<Permitted | Denied> {
    Identified.assert(identified);
    const verdict = await decider.decide(identified, again);
    if (!verdict.allow) return new Denied(identified.arrival.id, verdict.reasons);
    return new Permitted(seal, identified, verdict.obligations);
  }

  static assert(value: Permitted): Permitted {
    if (typeof value === 'object' && value !== null && #proof in value && value.#proof) return value;
    throw new Fault('SP_EXCHANGE_UNPROVEN');
  }
}
