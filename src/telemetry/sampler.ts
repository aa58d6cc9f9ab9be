/**
 * Sampled logging: of each kind the first few in an interval are written, the rest are counted and reported at its end. A
 * flood costs a counter per event, and nothing is hidden.
 */

export interface SamplerOptions<Kind extends string> {
  /** How many of a kind are written in an interval. */
  readonly first: number;
  readonly intervalMs: number;
  /** Told at the end of an interval how many of a kind were not written. */
  readonly onSuppressed: (kind: Kind, count: number) => void;
}

/** `Kind` is a closed set: reasons of drops and what caused them, codes of faults. */
export class Sampler<Kind extends string> {
  readonly #options: SamplerOptions<Kind>;
  readonly #seen = new Map<Kind, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SamplerOptions<Kind>) {
    this.#options = options;
  }

  /** True: write this one. */
  take(kind: Kind): boolean {
    const seen = (this.#seen.get(kind) ?? 0) + 1;
    this.#seen.set(kind, seen);
    this.#timer ??= setTimeout(() => this.flush(), this.#options.intervalMs).unref();
    return seen <= this.#options.first;
  }

  /** Reports what was suppressed and begins a new interval. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const seen = [...this.#seen];
    this.#seen.clear();
    for (const [kind, count] of seen) {
      if (count > this.#options.first) this.#options.onSuppressed(kind, count - this.#options.first);
    }
  }
}
