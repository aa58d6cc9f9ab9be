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

/** What one device has of an upstream; kept for as long as that is anything. */
interface Share<T> {
  held: number;
  /** A device's streams wait apart: if others hold all that may be streamed, its plain messages need not wait as well. */
  readonly plain: T[];
  readonly streamed: T[];
}

export class FairQueue<T extends Queued> {
  readonly #perDevice: number;
  readonly #mostStreams: number;
  readonly #mostWaiting: number;
  readonly #shares = new Map<string, Share<T>>();
  /** Devices below their cap with something in that line, the one to be served next first. */
  readonly #plain = new Set<Share<T>>();
  readonly #streamed = new Set<Share<T>>();
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
    return this.#shares.size;
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
    if (share.held < this.#perDevice) this.#ring(item.streamed).add(share);
  }

  /** The next to be given a free connection, already counted as holding it. */
  next(): T | undefined {
    const mayStream = this.#streamed.size > 0 && this.#streams < this.#mostStreams;
    const streamed = mayStream && (!this.#lastWasStream || this.#plain.size === 0);
    const [share] = this.#ring(streamed);
    if (share === undefined) return undefined;
    const item = line(share, streamed).shift();
    if (item === undefined) return undefined;
    this.#waiting--;
    this.#lastWasStream = streamed;
    // To the end of its ring, if it stays in it.
    this.#ring(streamed).delete(share);
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
    if (waiting.length === 0) this.#ring(item.streamed).delete(share);
    this.#forget(item.device, share);
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
    this.#forget(item.device, share);
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
    this.#plain.delete(share);
    this.#streamed.delete(share);
  }

  #enter(share: Share<T>, streamed: boolean): void {
    if (line(share, streamed).length > 0) this.#ring(streamed).add(share);
  }

  #ring(streamed: boolean): Set<Share<T>> {
    return streamed ? this.#streamed : this.#plain;
  }

  #share(device: string): Share<T> {
    const known = this.#shares.get(device);
    if (known) return known;
    const share: Share<T> = { held: 0, plain: [], streamed: [] };
    this.#shares.set(device, share);
    return share;
  }

  #forget(device: string, share: Share<T>): void {
    if (share.held + share.plain.length + share.streamed.length === 0) this.#shares.delete(device);
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
