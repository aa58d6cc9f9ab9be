/** The one timer structure: a binary heap of peers by their next deadline. An entry carries its place, so that moving it costs no look-up. */

export interface Deadline {
  /** Milliseconds of the endpoint's clock; Infinity when nothing is due. */
  dueAtMs: number;
  /** -1 when not in the heap. */
  place: number;
}

export class Deadlines<Entry extends Deadline> {
  readonly #heap: Entry[] = [];

  get earliestMs(): number {
    return this.#heap[0]?.dueAtMs ?? Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Moves the entry's deadline forward; a later time than the present one changes nothing. */
  bringForward(entry: Entry, dueAtMs: number): void {
    if (dueAtMs >= entry.dueAtMs) return;
    entry.dueAtMs = dueAtMs;
    if (entry.place < 0) {
      entry.place = this.#heap.length;
      this.#heap.push(entry);
    }
    this.#rise(entry);
  }

  remove(entry: Entry): void {
    const place = entry.place;
    if (place < 0) return;
    const last = this.#heap.pop() as Entry;
    if (last !== entry) {
      this.#put(last, place);
      this.#sink(last);
      this.#rise(last);
    }
    entry.place = -1;
    entry.dueAtMs = Number.POSITIVE_INFINITY;
  }

  /** Takes out the earliest entry that is due, or gives undefined. */
  takeDue(nowMs: number): Entry | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.dueAtMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  #put(entry: Entry, place: number): void {
    this.#heap[place] = entry;
    entry.place = place;
  }

  #rise(entry: Entry): void {
    while (entry.place > 0) {
      const place = entry.place;
      const above = this.#heap[(place - 1) >> 1] as Entry;
      if (above.dueAtMs <= entry.dueAtMs) return;
      this.#put(entry, above.place);
      this.#put(above, place);
    }
  }

  #sink(entry: Entry): void {
    for (;;) {
      const place = entry.place;
      const left = this.#heap[2 * place + 1];
      const right = this.#heap[2 * place + 2];
      const least = right !== undefined && left !== undefined && right.dueAtMs < left.dueAtMs ? right : left;
      if (least === undefined || least.dueAtMs >= entry.dueAtMs) return;
      this.#put(entry, least.place);
      this.#put(least, place);
    }
  }
}
