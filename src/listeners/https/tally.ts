/** Counts what is open per key (address, device) against a cap. Keys without anything open take no memory. */
/** What counts against the same caps in other processes. */
export interface Elsewhere {
  /** How many of `cap` may be open here. */
  share(key: string, cap: number): number;
  /** So many are open here now. */
  opened(key: string, open: number): void;
}

export class Tally {
  readonly #elsewhere: Elsewhere | undefined;
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(elsewhere?: Elsewhere) {
    this.#elsewhere = elsewhere;
  }

  get total(): number {
    return this.#total;
  }

  /** Counts one more, unless the key already has `cap`. */
  take(key: string, cap: number): boolean {
    const open = this.#open.get(key) ?? 0;
    if (open >= (this.#elsewhere?.share(key, cap) ?? cap)) return false;
    this.#open.set(key, open + 1);
    this.#total += 1;
    this.#elsewhere?.opened(key, open + 1);
    return true;
  }

  /** Undoes one `take`. */
  give(key: string): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#total -= 1;
    if (open === 1) this.#open.delete(key);
    else this.#open.set(key, open - 1);
    this.#elsewhere?.opened(key, open - 1);
  }
}
