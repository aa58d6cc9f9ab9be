/**
 * A device that observes (RFC 7641) what its cloud sends down a WebSocket: each message of the cloud is an exchange of its own and
 * leaves as a notification. The device sees states, not a queue: when it is behind, only the latest waits for it. A message
 * that is refused ends the observation with its reason, and nothing outlives the permission under which it began.
 */
import type { CoapResponse, ObserveRelation } from '../../coap/api.ts';
import { CODE } from '../../coap/codes.ts';
import { contentFormatOf } from '../../coap/content-formats.ts';
import type { Arrival } from '../../exchange/arrival.ts';
import type { Departure } from '../../exchange/cancellation.ts';
import type { Passage, Session } from '../../exchange/gate.ts';
import type { Channel, ChannelClose, ChannelMessage, SealedMessage } from '../../exchange/message.ts';
import type { Peer } from '../../exchange/peer.ts';
import type { FaultCode, Reason } from '../../faults/catalogue.ts';
import type { DropReason } from '../../faults/drop.ts';
import { Fault } from '../../faults/fault.ts';
import { GOING_AWAY } from '../../websocket/close-code.ts';
import { isStillPermitted } from '../websocket/pending-upgrade.ts';
import { refusal } from './answer.ts';
import type { CoapsAssociation } from './association.ts';
import { guessedType } from './check-request.ts';

const POLICY_VIOLATION = 1008;

export class Observation implements Session {
  readonly protocol = 'coaps';
  readonly #opening: Arrival;
  readonly #passage: Passage;
  readonly #cloud: Channel;
  readonly #departure: Departure;
  #relation: ObserveRelation<CoapsAssociation> | undefined;
  #signOff: () => void = () => {};
  #over = false;

  /**
   * @param opening the arrival that was permitted; its `signal` is `departure`
   * @param cloud open; its upstream closes it by itself if nobody reads from it
   */
  constructor(opening: Arrival, passage: Passage, cloud: Channel, departure: Departure) {
    this.#opening = opening;
    this.#passage = passage;
    this.#cloud = cloud;
    this.#departure = departure;
  }

  get peer(): Peer {
    return this.#opening.peer;
  }

  /** The answer to the registration: nothing was sent down yet. */
  get response(): CoapResponse<CoapsAssociation> {
    return { code: CODE.content, maxAgeS: 0, observe: (relation) => void this.#run(relation) };
  }

  /** Ends it now. */
  close(reason: DropReason): void {
    if (this.#over) return;
    this.#passage.drop(reason, this.peer);
    this.#end(reason === 'draining' ? 'SP_GATEWAY_DRAINING' : 'policy-denied', this.#opening.id, GOING_AWAY);
  }

  /** Decides the opening anew. */
  reconsider(): Promise<boolean> {
    return isStillPermitted(this.#opening, this.#passage);
  }

  async #run(relation: ObserveRelation<CoapsAssociation>): Promise<void> {
    this.#relation = relation;
    relation.signal.addEventListener('abort', () => this.#left(), { once: true });
    this.#signOff = this.#passage.attend(this);
    if (this.#over) this.#signOff();
    const device = new NotificationChannel(relation);
    try {
      for await (const message of this.#cloud.receive()) {
        if (this.#over) return;
        const outcome = await this.#passage.pass(this.#arrival(message, device));
        if (outcome.kind === 'delivered') continue;
        const code = outcome.kind === 'denied' ? outcome.reason : outcome.fault.code;
        if (code !== 'SP_EXCHANGE_CANCELLED') this.#end(code, outcome.decision, POLICY_VIOLATION);
        return;
      }
      this.#end('SP_UPSTREAM_UNREACHABLE', this.#opening.id, GOING_AWAY);
    } catch (thrown) {
      this.#end(Fault.from(thrown).code, this.#opening.id, GOING_AWAY);
    }
  }

  #arrival({ bytes, binary }: ChannelMessage, channel: Channel): Arrival {
    const { targetDevice: _, ...opening } = this.#opening;
    return {
      ...opening,
      id: this.#passage.decisionId(),
      direction: 'toDevice',
      receivedAt: this.#passage.now(),
      query: '', // it belonged to the registration
      headers: [],
      contentType: binary ? 'application/octet-stream' : (guessedType(bytes) ?? 'text/plain'),
      body: { kind: 'bytes', bytes },
      channel,
    };
  }

  /** The device is told why, the cloud is not. */
  #end(code: Reason | FaultCode, decision: string, closeCode: number): void {
    if (this.#over) return;
    this.#over = true;
    this.#relation?.end(refusal(code, decision));
    this.#quit(closeCode);
  }

  /** The device ended it: by a word, a reset, silence, or by leaving. */
  #left(): void {
    if (this.#over) return;
    this.#over = true;
    this.#quit(GOING_AWAY);
  }

  #quit(closeCode: number): void {
    this.#signOff();
    this.#departure.abort();
    this.#cloud.close(closeCode, '');
  }
}

/** The device's end of the conversation: it hears, and says nothing. */
class NotificationChannel implements Channel {
  readonly closed = new Promise<ChannelClose>(() => {});
  readonly #relation: ObserveRelation<CoapsAssociation>;

  constructor(relation: ObserveRelation<CoapsAssociation>) {
    this.#relation = relation;
  }

  async send({ message: { body, contentType } }: SealedMessage): Promise<void> {
    if (body.kind === 'stream') throw new Fault('SP_INTERNAL', 'A notification cannot be a stream.');
    const payload = body.kind === 'bytes' ? body.bytes : new Uint8Array();
    const contentFormat = contentType === '' ? undefined : contentFormatOf(contentType);
    // Confirmable: what is sent down is mostly what a device is to do.
    this.#relation.notify({ code: CODE.content, payload, contentFormat, maxAgeS: 0 }, { confirmable: true });
  }

  async *receive(): AsyncGenerator<ChannelMessage> {}

  close(): void {
    this.#relation.end();
  }
}
