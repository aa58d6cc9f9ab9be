/** Counts what is open per key (address, device) against a cap. Keys without anything open take no memory. */
export class Tally {
  readonly #open = new Map<string, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Counts one more, unless the key already has `cap`. */
  take(key: string, cap: number): boolean {
    const open = this.#open.get(key) ?? 0;
    if (open >= cap) return false;
    this.#open.set(key, open + 1);
    this.#total += 1;
    return true;
  }

  /** Undoes one `take`. */
  give(key: string): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#total -= 1;
    if (open === 1) this.#open.delete(key);
    else this.#open.set(key, open - 1);
  }
}
