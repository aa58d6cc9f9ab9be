/** What counts against the same caps in other processes. */
export interface Elsewhere {
  /** How many of `cap` may be open here. */
  share(key: string, cap: number): number;
  /** So many are open here now. */
  opened(key: string, open: number): void;
}

/**
 * Counts what is open per key (address, device) against a cap. A key without anything open is kept for a while: most come
 * back with the next request, and a Map that shrinks and grows with each leaves its old tables to the collector.
 */
export class Tally {
  readonly #elsewhere: Elsewhere | undefined;
  readonly #open = new Map<string, number>();
  #total = 0;
  #idle = 0;

  constructor(elsewhere?: Elsewhere) {
    this.#elsewhere = elsewhere;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts one more, unless the key already has `cap`. */
  take(key: string, cap: number): boolean {
    const known = this.#open.get(key);
    const open = known ?? 0;
    if (open >= (this.#elsewhere?.share(key, cap) ?? cap)) return false;
    if (known === 0) this.#idle -= 1;
    this.#open.set(key, open + 1);
    this.#total += 1;
    this.#elsewhere?.opened(key, open + 1);
    return true;
  }

  /** Undoes one `take`. */
  give(key: string): void {
    const open = this.#open.get(key);
    if (open === undefined || open === 0) return;
    this.#total -= 1;
    this.#open.set(key, open - 1);
    this.#elsewhere?.opened(key, open - 1);
    if (open === 1 && ++this.#idle > MAX_IDLE_KEYS) this.#prune();
  }

  #prune(): void {
    for (const [key, open] of this.#open) if (open === 0) this.#open.delete(key);
    this.#idle = 0;
  }
}

/** Keys with nothing open that are remembered. */
const MAX_IDLE_KEYS = 4_096;
