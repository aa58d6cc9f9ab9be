/**
 * A resource observed, client side (RFC 7641 section 3): registration, notifications in order of age, re-registration when Max-Age ran
 * out, both ways of cancelling. Notifications larger than a block are fetched to their end by an exchange of their own.
 */
import type { ObserveCallbacks, ReceivedResponse } from './api.ts';
import { readBlock } from './block.ts';
import { ClientExchange, type Operation } from './client-exchange.ts';
import { type CoapMessage, serialiseMessage } from './codec.ts';
import { CODE, isSuccess, TYPE } from './codes.ts';
import { CoapError } from './error.ts';
import { findOption, findUint, OPTION, opaqueOption, uintOption } from './option-table.ts';
import { receivedResponse } from './outgoing-request.ts';
import {
  type Awaited,
  bytesKey,
  type Context,
  nextMessageId,
  type Outcome,
  type PeerState,
  type Transmission,
} from './peer-state.ts';
import { newTransmission, transmit, withdraw } from './transmissions.ts';

/** RFC 7641 section 3.4: after so long any notification is newer. */
const REORDER_HORIZON_MS = 128_000;
/** How long after Max-Age the next notification is still waited for (RFC 7641 section 3.3.1). */
const GRACE_MS = 10_000;

type EndReason = Parameters<NonNullable<ObserveCallbacks['end']>>[0];

export interface ObservationStart {
  started(first: ReceivedResponse, active: boolean): void;
  failed(error: CoapError): void;
}

export class ClientObservation<Peer> implements Awaited {
  readonly tokenKey: string;
  dueAtMs: number;
  readonly #context: Context<Peer>;
  readonly #state: PeerState<Peer>;
  readonly #operation: Operation;
  readonly #callbacks: ObserveCallbacks;
  readonly #token: Uint8Array;
  #start: ObservationStart | undefined;
  #phase: 'registering' | 'active' | 'leaving' | 'over' = 'registering';
  #transmission: Transmission | undefined;
  #sequence: number | undefined;
  #heardAtMs = 0;
  #rest: ClientExchange<Peer> | undefined;
  #echo: Uint8Array | undefined;

  constructor(
    context: Context<Peer>,
    state: PeerState<Peer>,
    operation: Operation,
    callbacks: ObserveCallbacks,
    start: ObservationStart,
  ) {
    this.#context = context;
    this.#state = state;
    this.#operation = operation;
    this.#callbacks = callbacks;
    this.#start = start;
    this.#token = operation.newToken();
    this.tokenKey = bytesKey(this.#token);
    this.dueAtMs = context.nowMs + operation.timeoutMs;
  }

  /** @throws CoapError when the registration cannot be written or queued. */
  begin(): void {
    this.#state.awaited ??= new Map();
    this.#state.awaited.set(this.tokenKey, this);
    this.#send(0);
  }

  carries(messageId: number): boolean {
    return this.#transmission?.messageId === messageId;
  }

  cancel(how: 'deregister' | 'forget'): void {
    if (this.#phase === 'over' || this.#phase === 'leaving') return;
    this.#context.awake();
    const wasActive = this.#phase === 'active';
    this.#withdraw();
    this.#dropRest();
    if (how === 'deregister' && wasActive) {
      this.#phase = 'leaving';
      this.dueAtMs = this.#context.nowMs + this.#operation.timeoutMs;
      try {
        this.#send(1);
      } catch {
        // The queue is full: the next notification will be answered with a reset instead.
        this.#release();
      }
    } else this.#release();
    this.#tell(() => this.#callbacks.end?.('cancelled'));
  }

  arrived(message: CoapMessage): boolean {
    if (this.#phase === 'over') return false;
    this.#withdraw();
    if (this.#phase === 'leaving') {
      // A notification that crossed the deregistration is taken without a word; the plain response ends it.
      if (findOption(message.options, OPTION.observe) === undefined) this.#release();
      return true;
    }
    const echo = findOption(message.options, OPTION.echo);
    if (message.code === CODE.unauthorized && echo !== undefined && this.#echo === undefined) {
      this.#echo = echo.slice();
      this.#sendOrEnd();
      return true;
    }
    const sequence = isSuccess(message.code) ? findUint(message.options, OPTION.observe) : undefined;
    if (sequence === undefined) return this.#deliver(message, false);
    if (this.#phase === 'active' && !this.#isNewer(sequence)) {
      this.#context.drop(this.#state, 'notification-stale');
      return true;
    }
    this.#phase = 'active';
    this.#sequence = sequence;
    this.#heardAtMs = this.#context.nowMs;
    this.dueAtMs = this.#context.nowMs + (findUint(message.options, OPTION.maxAge) ?? 60) * 1_000 + GRACE_MS;
    this.#context.schedule(this.#state, this.dueAtMs);
    return this.#deliver(message, true);
  }

  due(): void {
    if (this.#phase === 'registering') this.#fail('lost', new CoapError('timeout', 'no response in time'));
    else if (this.#phase === 'leaving') this.#release();
    else if (this.#transmission !== undefined) this.#fail('lost', new CoapError('timeout', 'no response in time'));
    else {
      // Nothing was heard for longer than the last state was good for: ask anew, same token (RFC 7641 section 3.3.1).
      this.dueAtMs = this.#context.nowMs + this.#operation.timeoutMs;
      this.#context.schedule(this.#state, this.dueAtMs);
      this.#sequence = undefined;
      this.#sendOrEnd();
    }
  }

  unreadable(): void {
    this.#fail('lost', new CoapError('response-unreadable', 'a critical option that is not understood'));
  }
  forget(): void {
    this.#fail('peer-forgotten', new CoapError('peer-forgotten', 'the peer is gone'));
  }
  abort(): void {
    this.#fail('cancelled', new CoapError('aborted', 'given up by the caller'));
  }

  #isNewer(sequence: number): boolean {
    const before = this.#sequence;
    if (before === undefined || this.#context.nowMs > this.#heardAtMs + REORDER_HORIZON_MS) return true;
    return (before < sequence && sequence - before < 0x80_0000) || (before > sequence && before - sequence > 0x80_0000);
  }

  #deliver(message: CoapMessage, observed: boolean): boolean {
    this.#dropRest();
    const block2 = findOption(message.options, OPTION.block2);
    if (!observed) this.#release();
    if (block2 !== undefined && readBlock(block2)?.more !== false) {
      const rest = new ClientExchange<Peer>(this.#context, this.#state, this.#operation, {
        answered: (response) => {
          if (this.#rest === rest) this.#rest = undefined;
          this.#told(response, observed);
        },
        failed: (error) => {
          if (this.#rest !== rest) return;
          this.#rest = undefined;
          // The state of this notification is lost; the next one brings a later state.
          if (this.#start !== undefined) this.#fail('lost', error);
        },
      });
      this.#rest = rest;
      rest.beginFrom(message);
      return true;
    }
    const response = receivedResponse(message, message.payload.slice());
    if (response === undefined) {
      this.#fail('lost', new CoapError('response-unreadable', 'a location is not UTF-8'));
      return false;
    }
    this.#told(response, observed);
    return true;
  }

  #told(response: ReceivedResponse, observed: boolean): void {
    const start = this.#start;
    this.#start = undefined;
    if (start !== undefined) {
      start.started(response, observed);
      if (!observed) this.#tell(() => this.#callbacks.end?.('not-observable', response));
    } else if (observed) this.#tell(() => this.#callbacks.notification(response));
    else
      this.#tell(() => this.#callbacks.end?.(isSuccess(response.code) ? 'not-observable' : 'error-response', response));
  }

  /** What a caller's function throws must not reach the transport. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (thrown) {
      this.#context.failed(this.#state.peer, thrown);
    }
  }

  #sendOrEnd(): void {
    try {
      this.#send(0);
    } catch (thrown) {
      if (!(thrown instanceof CoapError)) throw thrown;
      this.#fail('lost', thrown);
    }
  }

  #send(observe: 0 | 1): void {
    const { code, options, payload, confirmable, blockBytes } = this.#operation;
    const sent = [...options, uintOption(OPTION.observe, observe)];
    if (payload.length > blockBytes) throw new CoapError('message-too-large', 'an observe request fits one message');
    if (this.#echo !== undefined) sent.push(opaqueOption(OPTION.echo, this.#echo));
    const messageId = nextMessageId(this.#context, this.#state);
    const type = confirmable || observe === 1 ? TYPE.confirmable : TYPE.nonConfirmable;
    const bytes = serialiseMessage({ type, code, messageId, token: this.#token, options: sent, payload });
    if (bytes.length > this.#context.limits.maxMessageBytes)
      throw new CoapError('message-too-large', 'the message does not fit a datagram');
    this.#context.schedule(this.#state, this.dueAtMs);
    if (type === TYPE.nonConfirmable) {
      this.#context.send(this.#state, bytes);
      return;
    }
    this.#transmission = newTransmission(messageId, bytes, (outcome) => this.#concluded(outcome));
    if (transmit(this.#context, this.#state, this.#transmission)) return;
    this.#transmission = undefined;
    throw new CoapError('queue-full', 'too many messages wait for this peer');
  }

  #concluded(outcome: Outcome): void {
    this.#transmission = undefined;
    if (this.#phase === 'over' || outcome === 'acknowledged') return;
    if (this.#phase === 'leaving') this.#release();
    else if (outcome === 'forgotten') this.forget();
    else if (outcome === 'reset') this.#fail('lost', new CoapError('reset', 'the peer refused the registration'));
    else this.#fail('lost', new CoapError('timeout', 'the peer does not acknowledge'));
  }

  #fail(reason: EndReason, error: CoapError): void {
    // Over, and yet somebody waits: an answer without observation whose further blocks did not come.
    if (this.#phase === 'over' && this.#start === undefined) return;
    const told = this.#phase !== 'leaving';
    this.#withdraw();
    this.#dropRest();
    this.#release();
    const start = this.#start;
    this.#start = undefined;
    if (start !== undefined) start.failed(error);
    else if (told) this.#tell(() => this.#callbacks.end?.(reason));
  }

  #dropRest(): void {
    const rest = this.#rest;
    this.#rest = undefined;
    rest?.abort();
  }

  #withdraw(): void {
    if (this.#transmission !== undefined) withdraw(this.#context, this.#state, this.#transmission);
    this.#transmission = undefined;
  }

  #release(): void {
    this.#phase = 'over';
    if (this.#state.awaited?.get(this.tokenKey) === this) this.#state.awaited.delete(this.tokenKey);
  }
}
