/**
 * Who gets an upstream's next connection. One device holds a quarter of them at most, and streamed bodies, which last as
 * long as their devices like, hold half at most; what has to wait is served device by device, a plain message and a stream
 * in turn. So neither one device's bodies nor its queue keep the others' messages waiting.
 */

/** What waits for a connection, or holds one. */
export interface Queued {
  /** Id of the device whose message it is. */
  readonly device: string;
  /** Its body comes from the device while it is being sent. */
  readonly streamed: boolean;
}

/** What one device has of an upstream. */
class Share<T> {
  held = 0;
  /** A device's streams wait apart: if others hold all that may be streamed, its plain messages need not wait as well. */
  readonly plain: T[] = [];
  readonly streamed: T[] = [];
  readonly plainPlace = new Place<Share<T>>(this);
  readonly streamedPlace = new Place<Share<T>>(this);

  get idle(): boolean {
    return this.held + this.plain.length + this.streamed.length === 0;
  }
}

/** A member's place in a ring, made once. */
class Place<M> {
  readonly member: M;
  next: Place<M> | undefined;
  previous: Place<M> | undefined;
  taken = false;

  constructor(member: M) {
    this.member = member;
  }
}

/**
 * In the order of entering. A Set would do, but one that changes with every message leaves a chain of tables behind, each of
 * which keeps what was in it until the next full collection: measured, 4 MB in 400 messages, and a fifth of all CPU time.
 */
class Ring<M> {
  #first: Place<M> | undefined;
  #last: Place<M> | undefined;

  get first(): M | undefined {
    return this.#first?.member;
  }

  add(place: Place<M>): void {
    if (place.taken) return;
    place.taken = true;
    place.previous = this.#last;
    if (this.#last) this.#last.next = place;
    else this.#first = place;
    this.#last = place;
  }

  delete(place: Place<M>): void {
    if (!place.taken) return;
    place.taken = false;
    if (place.previous) place.previous.next = place.next;
    else this.#first = place.next;
    if (place.next) place.next.previous = place.previous;
    else this.#last = place.previous;
    place.next = undefined;
    place.previous = undefined;
  }
}

export class FairQueue<T extends Queued> {
  readonly #perDevice: number;
  readonly #mostStreams: number;
  readonly #mostWaiting: number;
  /** Those of devices that have nothing are kept for a while: they come back. */
  readonly #shares = new Map<string, Share<T>>();
  #idle = 0;
  /** Devices below their cap with something in that line, the one to be served next first. */
  readonly #plain = new Ring<Share<T>>();
  readonly #streamed = new Ring<Share<T>>();
  #streams = 0;
  #waiting = 0;
  #lastWasStream = false;

  /** @param connections of the upstream */
  constructor(connections: number) {
    this.#perDevice = Math.ceil(connections * DEVICE_SHARE);
    this.#mostStreams = Math.max(1, Math.floor(connections * STREAM_SHARE));
    this.#mostWaiting = connections * WAITING_PER_CONNECTION;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Devices that hold or wait for anything. */
  get devices(): number {
    return this.#shares.size - this.#idle;
  }

  /** True if a message may hold a connection now. */
  allows(device: string, streamed: boolean): boolean {
    return this.#may(this.#shares.get(device), streamed);
  }

  /** True if there is room for one more message to wait. */
  hasRoom(device: string): boolean {
    const share = this.#shares.get(device);
    if (share && share.plain.length + share.streamed.length >= WAITING_PER_DEVICE) return false;
    return this.#waiting < this.#mostWaiting;
  }

  /** Counts a message that was given a connection; only what `allows` said yes to. */
  hold(item: T): void {
    this.#hold(this.#share(item.device), item);
  }

  /** Only what `hasRoom` said yes to. */
  wait(item: T): void {
    const share = this.#share(item.device);
    line(share, item.streamed).push(item);
    this.#waiting++;
    if (share.held < this.#perDevice) this.#enter(share, item.streamed);
  }

  /** The next to be given a free connection, already counted as holding it. */
  next(): T | undefined {
    const mayStream = this.#streamed.first !== undefined && this.#streams < this.#mostStreams;
    const streamed = mayStream && (!this.#lastWasStream || this.#plain.first === undefined);
    const share = streamed ? this.#streamed.first : this.#plain.first;
    if (share === undefined) return undefined;
    const item = line(share, streamed).shift();
    if (item === undefined) return undefined;
    this.#waiting--;
    this.#lastWasStream = streamed;
    // To the end of its ring, if it stays in it.
    this.#leave(share, streamed);
    this.#hold(share, item);
    if (share.held < this.#perDevice) this.#enter(share, streamed);
    return item;
  }

  /** Takes a message out of its line; false if it was not in it. */
  cancel(item: T): boolean {
    const share = this.#shares.get(item.device);
    if (share === undefined) return false;
    const waiting = line(share, item.streamed);
    // At most WAITING_PER_DEVICE steps.
    const at = waiting.indexOf(item);
    if (at < 0) return false;
    waiting.splice(at, 1);
    this.#waiting--;
    if (waiting.length === 0) this.#leave(share, item.streamed);
    this.#rest(share);
    return true;
  }

  /** A message that held a connection holds it no longer. */
  release(item: T): void {
    const share = this.#shares.get(item.device);
    if (share === undefined) return;
    if (item.streamed) this.#streams--;
    if (share.held-- === this.#perDevice) {
      this.#enter(share, false);
      this.#enter(share, true);
    }
    this.#rest(share);
  }

  /** A copy: what is done with each may change the queue. */
  all(): T[] {
    return [...this.#shares.values()].flatMap(({ plain, streamed }) => [...plain, ...streamed]);
  }

  #may(share: Share<T> | undefined, streamed: boolean): boolean {
    return (share === undefined || share.held < this.#perDevice) && (!streamed || this.#streams < this.#mostStreams);
  }

  #hold(share: Share<T>, item: T): void {
    if (item.streamed) this.#streams++;
    if (++share.held < this.#perDevice) return;
    this.#leave(share, false);
    this.#leave(share, true);
  }

  #enter(share: Share<T>, streamed: boolean): void {
    if (line(share, streamed).length === 0) return;
    if (streamed) this.#streamed.add(share.streamedPlace);
    else this.#plain.add(share.plainPlace);
  }

  #leave(share: Share<T>, streamed: boolean): void {
    if (streamed) this.#streamed.delete(share.streamedPlace);
    else this.#plain.delete(share.plainPlace);
  }

  /** The device's share, about to be used. */
  #share(device: string): Share<T> {
    const known = this.#shares.get(device);
    if (known === undefined) {
      const share = new Share<T>();
      this.#shares.set(device, share);
      return share;
    }
    if (known.idle) this.#idle--;
    return known;
  }

  #rest(share: Share<T>): void {
    if (!share.idle || ++this.#idle <= MAX_IDLE_SHARES) return;
    for (const [device, { idle }] of this.#shares) if (idle) this.#shares.delete(device);
    this.#idle = 0;
  }
}

function line<T>(share: Share<T>, streamed: boolean): T[] {
  return streamed ? share.streamed : share.plain;
}

/** Rounded up. By itself limits.connectionsPerDevice lets one device fill an upstream many times over. */
const DEVICE_SHARE = 1 / 4;
/** Rounded down, but one. The other half is only ever held by bodies that are here already: the upstream sets their pace. */
const STREAM_SHARE = 1 / 2;
/** One for each connection that a device may have (limits.connectionsPerDevice, unless configured). */
export const WAITING_PER_DEVICE = 64;
/** At 5 ms an answer the last in the queue waits 160 ms; if answers take longer, waiting helps nobody. */
export const WAITING_PER_CONNECTION = 32;
/** Devices that have nothing here and are remembered all the same. */
const MAX_IDLE_SHARES = 4_096;
