/** Proof, third step: the payload is safe to leave. Only `Sealed.by` and `SealedReply.by` make one; only these are sent. */
import type { Reason } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import { Denied } from './denied.ts';
import type { Decoder } from './identified.ts';
import type { Message, Reply, SealedMessage, sealedMark } from './message.ts';
import { Permitted } from './permitted.ts';

/** Makes a message safe to leave. Throws SP_PAYLOAD_*. */
export interface Transformer extends Decoder {
  transform(permitted: Permitted): Message | Reason;
  transformReply(sealed: Sealed, reply: Reply): Reply;
  /** The path as it may stand in the ledger and in logs: configured words stay, everything else becomes a pseudonym. */
  redactPath(path: string): string;
}

const seal = Symbol('sealed');

export class Sealed implements SealedMessage {
  readonly #proof = true;
  declare readonly [sealedMark]: true;
  readonly permitted: Permitted;
  readonly message: Message;

  private constructor(key: symbol, permitted: Permitted, message: Message) {
    if (key !== seal) throw new Fault('SP_EXCHANGE_UNPROVEN');
    this.permitted = permitted;
    this.message = message;
  }

  static by(transformer: Transformer, permitted: Permitted): Sealed | Denied {
    Permitted.assert(permitted);
    const message = transformer.transform(permitted);
    if (typeof message === 'string') return new Denied(permitted.identified.arrival.id, [message]);
    return new Sealed(seal, permitted, message);
  }

  static assert(value: Sealed): Sealed {
    if (typeof value === 'object' && value !== null && #proof in value && value.#proof) return value;
    throw new Fault('SP_EXCHANGE_UNPROVEN');
  }
}

/** The answer to a permitted request: it rides on the request's permit, bounded and with pseudonyms mapped back. */
export class SealedReply {
  readonly #proof = true;
  readonly reply: Reply;

  private constructor(key: symbol, reply: Reply) {
    if (key !== seal) throw new Fault('SP_EXCHANGE_UNPROVEN');
    this.reply = reply;
  }

  static by(transformer: Transformer, sealed: Sealed, reply: Reply): SealedReply {
    Sealed.assert(sealed);
    return new SealedReply(seal, transformer.transformReply(sealed, reply));
  }

  static assert(value: SealedReply): SealedReply {
    if (typeof value === 'object' && value !== null && #proof in value && value.#proof) return value;
    throw new Fault('SP_EXCHANGE_UNPROVEN');
  }
}
