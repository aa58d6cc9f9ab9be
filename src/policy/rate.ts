/** Token buckets for the rate obligation: one per route and device. Bounded; a bucket that is full again is forgotten. */
import type { RateObligation } from '../exchange/obligations.ts';

interface Bucket {
  tokens: number;
  atMs: number;
  readonly perSecond: number;
  readonly burst: number;
}

/** Buckets at a time: 100,000 devices with one route each. */
const MAX_BUCKETS = 100_000;

export class RateLimits {
  readonly #monotonicMs: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** @param monotonicMs milliseconds that never go back */
  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Takes one token of the device's bucket. False: the rate is used up, or there is no room to count it. */
  take({ bucket: name, perSecond, burst }: RateObligation, device: string): boolean {
    const now = this.#monotonicMs();
    const key = `${name} ${device}`;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined || bucket.perSecond !== perSecond || bucket.burst !== burst) {
      if (bucket === undefined && this.#buckets.size >= MAX_BUCKETS && !this.#forgetFull(now)) return false;
      bucket = { tokens: burst, atMs: now, perSecond, burst };
      this.#buckets.set(key, bucket);
    }
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.atMs) / 1_000) * perSecond);
    bucket.atMs = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

  /** A full bucket says nothing that its absence does not. Returns whether there is room now. */
  #forgetFull(now: number): boolean {
    for (const [key, { tokens, atMs, perSecond, burst }] of this.#buckets) {
      if (tokens + ((now - atMs) / 1_000) * perSecond >= burst) this.#buckets.delete(key);
    }
    return this.#buckets.size < MAX_BUCKETS;
  }
}
