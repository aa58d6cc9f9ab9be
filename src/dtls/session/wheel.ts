/**
 * One timer wheel for all associations: slots of 64 ms, far deadlines stay in their slot for more turns. An entry carries its own
 * links, so that an idle association costs no timer object.
 */

export interface WheelEntry {
  /** Milliseconds of the engine's clock; Infinity when not scheduled. */
  dueAtMs: number;
  wheelNext: WheelEntry | undefined;
  wheelPrevious: WheelEntry | undefined;
  /** -1 when not scheduled. */
  wheelSlot: number;
}

const SLOT_MS = 64;
const SLOTS = 1024;

export class TimerWheel<Entry extends WheelEntry> {
  readonly #slots: (WheelEntry | undefined)[] = new Array(SLOTS).fill(undefined);
  #tick: number;
  /** No entry is due before this; may be too early, never too late. */
  earliestMs = Number.POSITIVE_INFINITY;

  constructor(nowMs: number) {
    this.#tick = Math.floor(nowMs / SLOT_MS);
  }

  schedule(entry: Entry, dueAtMs: number): void {
    this.cancel(entry);
    if (dueAtMs === Number.POSITIVE_INFINITY) return;
    // What is due already must not land in a slot behind the hand, where it would wait for a whole turn.
    const slot = Math.max(Math.floor(dueAtMs / SLOT_MS), this.#tick) % SLOTS;
    entry.dueAtMs = dueAtMs;
    entry.wheelSlot = slot;
    const head = this.#slots[slot];
    entry.wheelNext = head;
    if (head !== undefined) head.wheelPrevious = entry;
    this.#slots[slot] = entry;
    if (dueAtMs < this.earliestMs) this.earliestMs = dueAtMs;
  }

  cancel(entry: Entry): void {
    if (entry.wheelSlot < 0) return;
    if (entry.wheelPrevious !== undefined) entry.wheelPrevious.wheelNext = entry.wheelNext;
    else this.#slots[entry.wheelSlot] = entry.wheelNext;
    if (entry.wheelNext !== undefined) entry.wheelNext.wheelPrevious = entry.wheelPrevious;
    entry.wheelNext = undefined;
    entry.wheelPrevious = undefined;
    entry.wheelSlot = -1;
    entry.dueAtMs = Number.POSITIVE_INFINITY;
  }

  /** Takes out and returns what is due. */
  advance(nowMs: number): Entry[] {
    const due: Entry[] = [];
    if (nowMs < this.earliestMs) return due;
    const last = Math.floor(nowMs / SLOT_MS);
    const first = Math.max(this.#tick, last - SLOTS + 1);
    for (let tick = first; tick <= last; tick++) {
      let entry = this.#slots[tick % SLOTS];
      while (entry !== undefined) {
        const next: WheelEntry | undefined = entry.wheelNext;
        if (entry.dueAtMs <= nowMs) {
          this.cancel(entry as Entry);
          due.push(entry as Entry);
        }
        entry = next;
      }
    }
    this.#tick = last;
    this.earliestMs = this.#scan();
    return due.sort((one, other) => one.dueAtMs - other.dueAtMs);
  }

  /** Earliest entry of this turn of the wheel; when there is none, the end of the turn. */
  #scan(): number {
    let any = false;
    for (let tick = this.#tick; tick < this.#tick + SLOTS; tick++) {
      let earliest = Number.POSITIVE_INFINITY;
      for (let entry = this.#slots[tick % SLOTS]; entry !== undefined; entry = entry.wheelNext) {
        any = true;
        if (entry.dueAtMs < (tick + 1) * SLOT_MS && entry.dueAtMs < earliest) earliest = entry.dueAtMs;
      }
      if (earliest < Number.POSITIVE_INFINITY) return earliest;
    }
    return any ? (this.#tick + SLOTS) * SLOT_MS : Number.POSITIVE_INFINITY;
  }
}
