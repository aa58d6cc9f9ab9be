/**
 * Leaves an upstream alone that cannot be reached or does not answer, so that each device gets its refusal at once instead
 * of after a timeout. Pure: the clock is handed in. What counts as a failure is the caller's to say.
 */

export type CircuitState = 'closed' | 'open' | 'half-open';

/** What `admit` hands out and `succeeded`, `failed` and `abandoned` want back: only the probe decides a half-open circuit. */
export type Ticket = 'normal' | 'probe';

export class CircuitBreaker {
  readonly #nowMs: () => number;
  #failures = 0;
  #openForMs = FIRST_OPEN_MS;
  #probeAtMs = 0;
  #state: CircuitState = 'closed';

  /** @param nowMs monotonic milliseconds */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** A ticket for one request, or undefined while the upstream is left alone. */
  admit(): Ticket | undefined {
    if (this.#state === 'closed') return 'normal';
    if (this.#state === 'half-open' || this.#nowMs() < this.#probeAtMs) return undefined;
    this.#state = 'half-open';
    return 'probe';
  }

  /** The upstream answered. A straggler's answer closes an open circuit as well: it shows the same. */
  succeeded(): void {
    this.#failures = 0;
    this.#openForMs = FIRST_OPEN_MS;
    this.#state = 'closed';
  }

  /** The upstream was not reached or did not answer in time. Returns true when this opened the circuit. */
  failed(ticket: Ticket): boolean {
    if (ticket === 'probe') {
      this.#openForMs = Math.min(this.#openForMs * 2, LONGEST_OPEN_MS);
    } else if (this.#state !== 'closed' || ++this.#failures < FAILURES_TO_OPEN) {
      return false;
    }
    this.#state = 'open';
    this.#probeAtMs = this.#nowMs() + this.#openForMs;
    return true;
  }

  /** The request ended without saying anything about the upstream (the device left): the next one may probe. */
  abandoned(ticket: Ticket): void {
    if (ticket !== 'probe' || this.#state !== 'half-open') return;
    this.#state = 'open';
    this.#probeAtMs = this.#nowMs();
  }
}

/** In a row, without one answer between. One or two happen while an upstream restarts; five do not happen to one that works. */
export const FAILURES_TO_OPEN = 5;
/** About the time of a restart; each failed probe doubles it. */
export const FIRST_OPEN_MS = 1_000;
/** An operator who mended the upstream waits no longer than this. */
export const LONGEST_OPEN_MS = 30_000;
