/** A virtual clock and a bad network with a seed: what is sent is lost, late, doubled, reordered. Same seed, same run. */

/** mulberry32: small, and good enough to choose what to break. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Timed {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class Simulation {
  nowMs = 1_000_000;
  readonly random: () => number;
  #queue: Timed[] = [];
  #order = 0;

  constructor(seed: number) {
    this.random = randomOf(seed);
  }

  after(delayMs: number, run: () => void): void {
    const timed = { atMs: this.nowMs + delayMs, order: this.#order++, run };
    let at = this.#queue.length;
    while (at > 0 && (this.#queue[at - 1] as Timed).atMs > timed.atMs) at -= 1;
    this.#queue.splice(at, 0, timed);
  }

  /** Bytes of the seed, for an engine. */
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.random() * 256));
  }

  /** Runs until nothing is left, `isDone`, or the time is over. */
  run(untilMs: number, isDone: () => boolean): void {
    while (!isDone()) {
      const next = this.#queue.shift();
      if (next === undefined || next.atMs > untilMs) return;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
  }
}

export interface Weather {
  readonly loss: number;
  readonly duplicate: number;
  /** Share of datagrams that are held back by up to `lateMs`. */
  readonly reorder: number;
  readonly lateMs: number;
}

/** Sends one datagram through the weather: never, once or twice, now or later. */
export function travel(simulation: Simulation, weather: Weather, arrive: () => void): void {
  const copies = simulation.random() < weather.duplicate ? 2 : 1;
  for (let i = 0; i < copies; i++) {
    if (simulation.random() < weather.loss) continue;
    const late = simulation.random() < weather.reorder ? simulation.random() * weather.lateMs : 0;
    simulation.after(5 + Math.floor(late), arrive);
  }
}
