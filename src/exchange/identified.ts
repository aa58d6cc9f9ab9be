/** Proof, first step: the sender is a registered device. Only `Identified.by` makes one. */
import type { Reason } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import type { Arrival } from './arrival.ts';
import { Denied } from './denied.ts';
import type { Device, Peer } from './peer.ts';

/** Who is this? Synchronous: the registry is in memory. */
export interface Identifier {
  /** The device, whatever its state (policy judges the state), or why there is none. */
  identify(peer: Peer): Device | Reason;
  /** At the end of a handshake, resumed ones included: undefined lets the connection live. */
  admit(peer: Peer): Reason | undefined;
}

/** A decoded payload. `json` is the exact text that policy sees and that an unchanged message leaves as. */
export interface Document {
  readonly json: string;
}

export interface Decoder {
  /** Undefined if there is no payload or it is not of a type that can be decoded. Throws SP_PAYLOAD_* on bad ones. */
  decode(arrival: Arrival): Document | undefined;
}

const seal = Symbol('identified');

export class Identified {
  readonly #proof = true;
  readonly arrival: Arrival;
  readonly device: Device;
  readonly #decoder: Decoder;
  #document: Document | undefined;
  #decoded = false;

  private constructor(key: symbol, arrival: Arrival, device: Device, decoder: Decoder) {
    if (key !== seal) throw new Fault('SP_EXCHANGE_UNPROVEN');
    this.arrival = arrival;
    this.device = device;
    this.#decoder = decoder;
  }

  /** The payload, decoded once: what policy looks at is what is transformed and forwarded. Throws SP_PAYLOAD_*. */
  document(): Document | undefined {
    if (!this.#decoded) {
      this.#document = this.#decoder.decode(this.arrival);
      this.#decoded = true;
    }
    return this.#document;
  }

  static by(identifier: Identifier, decoder: Decoder, arrival: Arrival): Identified | Denied {
    const device = identifier.identify(arrival.peer);
    if (typeof device === 'string') return new Denied(arrival.id, [device]);
    return new Identified(seal, arrival, device, decoder);
  }

  /** Returns `value` if it came out of `by`; throws SP_EXCHANGE_UNPROVEN otherwise. */
  static assert(value: Identified): Identified {
    if (typeof value === 'object' && value !== null && #proof in value && value.#proof) return value;
    throw new Fault('SP_EXCHANGE_UNPROVEN');
  }
}
