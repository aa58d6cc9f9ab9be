/**
 * One device's DTLS association as a live session: what runs on it, who it is, and every way it ends. The device may change its
 * address (RFC 9146 section 6); it stays who it is.
 */
import type { DtlsSession } from '../../dtls/options.ts';
import type { CloseReason } from '../../dtls/stats.ts';
import type { Departure } from '../../exchange/cancellation.ts';
import type { Passage, Session } from '../../exchange/gate.ts';
import type { Peer } from '../../exchange/peer.ts';
import type { DropReason } from '../../faults/drop.ts';
import { peerAddress } from '../https/peer-address.ts';

export interface AssociationPorts {
  readonly passage: Passage;
  /** Ends what the principal could resume, besides this association. */
  revoke(principal: string): void;
  /** It is gone, whatever ended it. */
  left(association: CoapsAssociation): void;
}

/** How an end that the device or the library brought about is counted; what is not here is an ordinary end. */
const ENDS: Partial<Readonly<Record<CloseReason, DropReason>>> = {
  idle: 'idle-timeout',
  revoked: 'revoked',
  'endpoint-closed': 'draining',
  'age-limit': 'association-ended',
  'record-limit': 'association-ended',
  'auth-failure-limit': 'association-ended',
  'record-overflow': 'association-ended',
  'peer-alert': 'association-ended',
  evicted: 'association-ended',
  internal: 'association-ended',
};

export class CoapsAssociation implements Session {
  readonly protocol = 'coaps';
  readonly dtls: DtlsSession;
  /** Made when something runs: most associations rest most of the time. */
  #running: Set<Departure> | undefined;
  readonly #ports: AssociationPorts;
  #peer: Peer;
  #closed = false;
  #left = false;
  #signOff: () => void = () => {};

  constructor(dtls: DtlsSession, peer: Peer, ports: AssociationPorts) {
    this.dtls = dtls;
    this.#peer = peer;
    this.#ports = ports;
    dtls.onclose = (reason) => this.#onClose(reason);
    dtls.onpathchange = (_, { address }) => {
      this.#peer = Object.freeze({ ...this.#peer, address: peerAddress(address) });
    };
  }

  get peer(): Peer {
    return this.#peer;
  }

  /** Exchanges under way. */
  get running(): number {
    return this.#running?.size ?? 0;
  }

  /** An exchange begins; it is told when the device leaves, perhaps at once. */
  begin(departure: Departure): void {
    if (this.#closed) {
      departure.abort();
      return;
    }
    this.#running ??= new Set();
    this.#running.add(departure);
  }

  end(departure: Departure): void {
    this.#running?.delete(departure);
    if (this.#running?.size === 0) this.#running = undefined;
  }

  /** Registers it as a live session, so that a revocation closes it: perhaps at once. */
  attend(): void {
    this.#signOff = this.#ports.passage.attend(this);
    if (this.#left) this.#signOff();
  }

  /** Ends it now, whatever is under way. */
  close(reason: DropReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ports.passage.drop(reason, this.#peer);
    const { principal } = this.dtls;
    this.dtls.close(reason === 'revoked' ? 'revoked' : 'local-close');
    this.#leave();
    if (reason === 'revoked') this.#ports.revoke(principal);
  }

  #onClose(reason: CloseReason): void {
    const drop = ENDS[reason];
    if (!this.#closed && drop !== undefined) this.#ports.passage.drop(drop, this.#peer, reason);
    this.#closed = true;
    this.#leave();
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#signOff();
    const running = this.#running ?? [];
    this.#running = undefined;
    for (const departure of running) departure.abort();
    this.#ports.left(this);
  }
}
