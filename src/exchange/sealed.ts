/** Proof, third step: the payload is safe to leave. Only `Sealed.by` and `SealedReply.by` make one; only these are sent. */
import { Fault } from '../faults/fault.ts';
import type { Transformer } from './gate.ts';
import type { Message, Reply } from './message.ts';
import { Denied } from './outcome.ts';
import { Permitted } from './permitted.ts';

const seal = Symbol('sealed');

export class Sealed {
  readonly #proof = true;
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
