/**
 * A device between its request to upgrade and the answer. It is a session already: who loses permission while policy
 * decides or the upstream is being connected must not get in through that gap.
 */
import type { Duplex } from 'node:stream';
import type { Arrival } from '../../exchange/arrival.ts';
import type { Passage, Session } from '../../exchange/gate.ts';
import type { Peer } from '../../exchange/peer.ts';
import type { DropReason } from '../../faults/drop.ts';

export class PendingUpgrade implements Session {
  readonly protocol = 'websocket';
  readonly #arrival: Arrival;
  readonly #socket: Duplex;
  readonly #abort: AbortController;
  readonly #passage: Passage;
  readonly #signOff: () => void;
  readonly #left = (): void => this.#abort.abort();
  #counted = false;

  /**
   * @param arrival the upgrade; its `signal` is of `abort`
   * @param abort aborts when the device leaves or is sent away; after the answer it is the conversation's
   */
  constructor(arrival: Arrival, socket: Duplex, abort: AbortController, passage: Passage) {
    this.#arrival = arrival;
    this.#socket = socket;
    this.#abort = abort;
    this.#passage = passage;
    this.#signOff = passage.attend(this);
    socket.once('close', this.#left);
  }

  get peer(): Peer {
    return this.#arrival.peer;
  }

  close(reason: DropReason): void {
    this.#count(reason);
    this.#abort.abort();
    this.#socket.destroy();
  }

  reconsider(): Promise<boolean> {
    return isStillPermitted(this.#arrival, this.#passage);
  }

  /** True if there is nobody left to answer. */
  get abandoned(): boolean {
    return this.#abort.signal.aborted || this.#socket.destroyed;
  }

  /** The time of waiting is over, one way or another. */
  end(): void {
    this.#socket.off('close', this.#left);
    this.#signOff();
    if (this.abandoned) this.#count('peer-gone');
  }

  #count(reason: DropReason): void {
    if (!this.#counted) this.#passage.drop(reason, this.peer);
    this.#counted = true;
  }
}

/** Decides an upgrade anew, as an exchange of its own. False also when that cannot be decided. */
export async function isStillPermitted(upgrade: Arrival, passage: Passage): Promise<boolean> {
  try {
    const again = { ...upgrade, id: passage.decisionId(), receivedAt: passage.now() };
    return (await passage.reconsider(again)) === undefined;
  } catch {
    return false;
  }
}
