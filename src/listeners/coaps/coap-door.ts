/** The CoAP endpoint on its clock: one timer for all its deadlines, datagrams in from associations and out to them. */
import type { CoapHandling } from '../../coap/api.ts';
import { Endpoint } from '../../coap/endpoint.ts';
import type { CoapLimits } from '../../coap/limits.ts';
import type { DropReason, RefusalReason } from '../../coap/stats.ts';
import type { CoapsAssociation } from './association.ts';

export interface CoapDoorOptions {
  readonly limits: Partial<CoapLimits>;
  readonly handle: CoapHandling<CoapsAssociation>['handle'];
  readonly refused: (association: CoapsAssociation, reason: DropReason | RefusalReason) => void;
  /** A response is larger than a record to this device may be. */
  readonly tooLarge: (association: CoapsAssociation) => void;
}

export class CoapDoor {
  readonly #endpoint: Endpoint<CoapsAssociation>;
  #timer: NodeJS.Timeout | undefined;

  constructor({ limits, handle, refused, tooLarge }: CoapDoorOptions) {
    this.#endpoint = new Endpoint<CoapsAssociation>({
      send: (association, bytes) => {
        if (association.dtls.send(bytes) === 'too-large') tooLarge(association);
      },
      now: () => performance.now(),
      server: { handle },
      limits,
      refused,
      deadline: (atMs) => this.#wakeAt(atMs),
    });
  }

  receive(association: CoapsAssociation, datagram: Uint8Array): void {
    this.#endpoint.receive(association, datagram, performance.now());
  }

  forget(association: CoapsAssociation): void {
    this.#endpoint.forgetPeer(association);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#endpoint.close();
  }

  #wakeAt(atMs: number): void {
    clearTimeout(this.#timer);
    if (!Number.isFinite(atMs)) return;
    const inMs = Math.max(1, Math.ceil(atMs - performance.now()));
    this.#timer = setTimeout(() => this.#endpoint.advance(performance.now()), inMs).unref();
  }
}
