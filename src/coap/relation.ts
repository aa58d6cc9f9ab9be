/**
 * One observer of one resource, server side (RFC 7641 section 4): numbered notifications, each an exchange of its own, confirmable at
 * least now and then so that a vanished observer is noticed; when one is still unacknowledged only the latest state waits behind it.
 */
import type { CoapResponse, ObserveRelation } from './api.ts';
import type { Block } from './block.ts';
import { serialiseMessage } from './codec.ts';
import { isSuccess, TYPE } from './codes.ts';
import {
  bytesKey,
  type Context,
  nextMessageId,
  type Outcome,
  type PeerState,
  type Transmission,
  type Watched,
} from './peer-state.ts';
import { type ResponseParts, responseParts } from './response-message.ts';
import { newTransmission, transmit, withdraw } from './transmissions.ts';

/** How many message IDs back a reset still finds its notification. */
const REMEMBERED_MESSAGE_IDS = 8;

export interface RelationPlace {
  readonly token: Uint8Array;
  readonly path: string;
  readonly query: string;
  readonly key: string;
  /** The block size that the registration asked for. */
  readonly block2: Block | undefined;
}

export class Relation<Peer> implements ObserveRelation<Peer>, Watched {
  readonly peer: Peer;
  readonly path: string;
  readonly query: string;
  readonly tokenKey: string;
  readonly #context: Context<Peer>;
  readonly #state: PeerState<Peer>;
  readonly #place: RelationPlace;
  readonly #controller = new AbortController();
  readonly #messageIds: number[] = [];
  #sequence: number;
  #lastConfirmedAtMs: number;
  #sinceConfirmed = 0;
  #outstanding: Transmission | undefined;
  #waiting: CoapResponse<Peer> | undefined;
  #over = false;

  constructor(context: Context<Peer>, state: PeerState<Peer>, place: RelationPlace, sequence: number) {
    this.#context = context;
    this.#state = state;
    this.#place = place;
    this.#sequence = sequence;
    this.#lastConfirmedAtMs = context.nowMs;
    this.peer = state.peer;
    this.path = place.path;
    this.query = place.query;
    this.tokenKey = bytesKey(place.token);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }
  get sequence(): number {
    return this.#sequence;
  }

  /** RFC 7641 section 4.4: 24 bits, one more each time. */
  nextSequence(): number {
    this.#sequence = (this.#sequence + 1) & 0xff_ffff;
    return this.#sequence;
  }

  notify(response: CoapResponse<Peer>, options?: { readonly confirmable?: boolean }): void {
    if (this.#over) return;
    this.#context.awake();
    if (!isSuccess(response.code)) {
      this.end(response);
      return;
    }
    if (this.#outstanding !== undefined) {
      this.#waiting = response;
      return;
    }
    const { confirmEveryNotifications, confirmEveryMs } = this.#context.limits;
    const confirmable =
      options?.confirmable === true ||
      this.#sinceConfirmed + 1 >= confirmEveryNotifications ||
      this.#context.nowMs - this.#lastConfirmedAtMs >= confirmEveryMs;
    this.#send(response, confirmable, true);
  }

  end(last?: CoapResponse<Peer>): void {
    if (this.#over) return;
    if (last !== undefined && !isSuccess(last.code)) {
      this.#context.awake();
      this.#withdraw();
      this.#send(last, true, false);
    }
    this.stop();
  }

  sentAs(messageId: number): boolean {
    return this.#messageIds.includes(messageId);
  }

  /** Over without a word. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    this.#waiting = undefined;
    // A last error notification stays under way: it was sent on behalf of nobody any more.
    if (this.#outstanding !== undefined) this.#withdraw();
    if (this.#state.watched?.get(this.tokenKey) === this) this.#state.watched.delete(this.tokenKey);
    this.#context.observations -= 1;
    // It may have been the last of this peer.
    this.#context.schedule(this.#state, this.#context.nowMs);
    this.#controller.abort();
  }

  #withdraw(): void {
    const outstanding = this.#outstanding;
    this.#outstanding = undefined;
    if (outstanding !== undefined) withdraw(this.#context, this.#state, outstanding);
  }

  #send(response: CoapResponse<Peer>, confirmable: boolean, numbered: boolean): void {
    const parts = this.#parts(response, numbered);
    if (parts === undefined) return;
    const messageId = nextMessageId(this.#context, this.#state);
    const type = confirmable ? TYPE.confirmable : TYPE.nonConfirmable;
    const bytes = serialiseMessage({ ...parts, type, messageId, token: this.#place.token });
    this.#messageIds.push(messageId);
    if (this.#messageIds.length > REMEMBERED_MESSAGE_IDS) this.#messageIds.shift();
    this.#context.stats.notifications += 1;
    if (!confirmable) {
      this.#sinceConfirmed += 1;
      this.#context.send(this.#state, bytes);
      return;
    }
    const sent = newTransmission(messageId, bytes, (outcome) => this.#concluded(outcome));
    if (numbered) this.#outstanding = sent;
    if (transmit(this.#context, this.#state, sent)) return;
    this.#outstanding = undefined;
    this.#context.drop(this.#state, 'send-failed');
  }

  #parts(response: CoapResponse<Peer>, numbered: boolean): ResponseParts | undefined {
    try {
      return responseParts(this.#context, this.#state, response, {
        token: this.#place.token,
        block2: this.#place.block2,
        key: () => this.#place.key,
        // RFC 7641 section 4.2: an error notification carries no Observe option.
        observeSequence: numbered ? this.nextSequence() : undefined,
      });
    } catch (thrown) {
      this.#context.failed(this.peer, thrown);
      this.#context.refuse(this.#state, 'response-not-sendable');
      return undefined;
    }
  }

  #concluded(outcome: Outcome): void {
    if (this.#over) return;
    this.#outstanding = undefined;
    // RFC 7641 section 4.5: no answer or a reset removes the observer.
    if (outcome !== 'acknowledged') {
      this.stop();
      return;
    }
    this.#sinceConfirmed = 0;
    this.#lastConfirmedAtMs = this.#context.nowMs;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.notify(waiting);
  }
}
