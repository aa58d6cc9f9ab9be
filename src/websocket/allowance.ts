/**
 * How many things may happen in a second: a token bucket whose clock is the caller's. Time during which we ourselves held
 * the peer back counts in its favour, without a cap: what piled up meanwhile is not the peer's haste.
 */
export class Allowance {
  readonly #perMs: number;
  readonly #capacity: number;
  #tokens: number;
  #atMs: number;

  /**
   * @param perSecond tokens that come back in a second
   * @param burst the most that can be saved up
   * @param nowMs monotonic milliseconds
   */
  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#capacity = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Takes one; false if there is none. */
  take(nowMs: number): boolean {
    if (this.#tokens < this.#capacity) {
      this.#tokens = Math.min(this.#capacity, this.#tokens + Math.max(0, nowMs - this.#atMs) * this.#perMs);
    }
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** Ends a pause of `heldMs` that was of our making. */
  credit(heldMs: number, nowMs: number): void {
    this.#tokens += Math.max(0, heldMs) * this.#perMs;
    this.#atMs = nowMs;
  }
}
