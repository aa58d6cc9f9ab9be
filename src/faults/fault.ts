/**
 * The one error that Sallyport throws on purpose. Its code decides everything a peer or an operator is shown; its message
 * is for the operator's log and never reaches a peer.
 */
import { type Entry, FAULTS, type FaultCode } from './catalogue.ts';

/** Facts for the log. Never a payload, a key or a raw device value. */
export type FaultDetails = Readonly<Record<string, string | number | boolean>>;

export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;
  readonly details: FaultDetails;

  /**
   * @param code a code of the catalogue
   * @param message one sentence for the operator; the catalogue's summary when left out
   * @param options `cause`: what was caught; `details`: facts for the log
   */
  constructor(code: FaultCode, message?: string, options: { cause?: unknown; details?: FaultDetails } = {}) {
    super(message ?? FAULTS[code].summary, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** Blame, level, remedy and the face for each protocol. */
  get entry(): Entry {
    return FAULTS[this.code];
  }

  /** Any thrown value as a Fault; what nobody foresaw becomes SP_INTERNAL with the original as cause. */
  static from(thrown: unknown): Fault {
    return thrown instanceof Fault ? thrown : new Fault('SP_INTERNAL', undefined, { cause: thrown });
  }
}
