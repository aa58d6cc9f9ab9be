/** Token buckets for the rate obligation: one per route and device. Bounded; a bucket that is full again is forgotten. */
import type { RateObligation } from '../exchange/obligations.ts';

interface Bucket {
  tokens: number;
  atMs: number;
  perSecond: number;
  burst: number;
}

/** Several processes that give out one rate tell each other what they took. */
export interface RateNews {
  /** Tokens that a message costs here. */
  readonly weight: number;
  took(key: string, perSecond: number, burst: number): void;
}

/** Buckets at a time: 100,000 devices with one route each. */
const MAX_BUCKETS = 100_000;
/** How many of the longest unused ones are looked at to make room: a flood of new ones must not cost a search each. */
const MAX_SEARCHED = 16;

export class RateLimits {
  readonly #monotonicMs: () => number;
  readonly #maxBuckets: number;
  readonly #news: RateNews | undefined;
  /** The longest unused first. */
  readonly #buckets = new Map<string, Bucket>();

  /**
   * @param monotonicMs milliseconds that never go back
   * @param maxBuckets bound on the buckets that are not full
   * @param news told of each token that is taken
   */
  constructor(monotonicMs: () => number, maxBuckets: number = MAX_BUCKETS, news?: RateNews) {
    this.#monotonicMs = monotonicMs;
    this.#maxBuckets = maxBuckets;
    this.#news = news;
  }

  /** Takes one token of the device's bucket. False: the rate is used up, or there is no room to count it. */
  take({ bucket: name, perSecond, burst }: RateObligation, device: string): boolean {
    // Ids of devices hold no spaces, so no other pair makes the same key.
    const key = `${name} ${device}`;
    const bucket = this.#bucket(key, perSecond, burst);
    if (bucket === undefined || bucket.tokens < 1) return false;
    bucket.tokens -= this.#news?.weight ?? 1;
    this.#news?.took(key, perSecond, burst);
    return true;
  }

  /** Tokens that another process gave out: what was taken there and here at once becomes a debt, which is paid back first. */
  absorb(key: string, taken: number, perSecond: number, burst: number): void {
    const bucket = this.#bucket(key, perSecond, burst);
    if (bucket) bucket.tokens -= taken;
  }

  /** Filled to this moment; undefined if there is no room to count. */
  #bucket(key: string, perSecond: number, burst: number): Bucket | undefined {
    const now = this.#monotonicMs();
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#maxBuckets && !this.#makeRoom(now)) return undefined;
      bucket = { tokens: burst, atMs: now, perSecond, burst };
    } else {
      this.#buckets.delete(key);
      refill(bucket, now);
      // Another rate under the same name gives no new tokens: two routes could take turns to refill it.
      bucket.perSecond = perSecond;
      bucket.burst = burst;
      bucket.tokens = Math.min(bucket.tokens, burst);
    }
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** A full bucket says nothing that its absence does not; one that is not full must stay, or its device starts afresh. */
  #makeRoom(now: number): boolean {
    let searched = 0;
    for (const [key, bucket] of this.#buckets) {
      refill(bucket, now);
      if (bucket.tokens >= bucket.burst) this.#buckets.delete(key);
      searched += 1;
      if (searched >= MAX_SEARCHED) break;
    }
    return this.#buckets.size < this.#maxBuckets;
  }
}

function refill(bucket: Bucket, now: number): void {
  const elapsed = Math.max(0, now - bucket.atMs);
  bucket.tokens = Math.min(bucket.burst, bucket.tokens + (elapsed / 1_000) * bucket.perSecond);
  bucket.atMs = now;
}
