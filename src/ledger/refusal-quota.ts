/**
 * Which refusals of a listener are recorded one by one. Unlike a decision a refusal costs its sender nothing, and nothing
 * waits for its record: without a bound a device could fill the disk with requests that are not even HTTP. What is beyond
 * the quota is counted, and the count stands in the next record.
 */

/** A device that makes mistakes now and then has each on record; one that does nothing else has six a minute. */
const PER_KEY = { burst: 20, perMs: 1 / 10_000 };
/** All devices together, so that a thousand of them cannot do what one may not: at most some 70 MB a day. */
const TOTAL = { burst: 500, perMs: 2 / 1_000 };
const MAX_KEYS = 10_000;

interface Bucket {
  tokens: number;
  at: number;
  unrecorded: number;
}

export class RefusalQuota {
  readonly #buckets = new Map<string, Bucket>();
  readonly #total: Bucket = { tokens: TOTAL.burst, at: 0, unrecorded: 0 };
  /** Counted for keys that had to be forgotten. */
  #orphans = 0;

  /**
   * Asks for one record.
   * @param key the peer's
   * @param nowMs any clock that does not go back
   * @returns how many refusals of this key went unrecorded since its last record; undefined: this one does too
   */
  take(key: string, nowMs: number): number | undefined {
    const bucket = this.#bucketOf(key, nowMs);
    refill(bucket, PER_KEY, nowMs);
    refill(this.#total, TOTAL, nowMs);
    if (bucket.tokens < 1 || this.#total.tokens < 1) {
      bucket.unrecorded += 1;
      return undefined;
    }
    bucket.tokens -= 1;
    this.#total.tokens -= 1;
    const unrecorded = bucket.unrecorded + this.#orphans;
    bucket.unrecorded = 0;
    this.#orphans = 0;
    return unrecorded;
  }

  #bucketOf(key: string, nowMs: number): Bucket {
    const known = this.#buckets.get(key);
    if (known) return known;
    if (this.#buckets.size >= MAX_KEYS) this.#forgetOldest();
    const bucket = { tokens: PER_KEY.burst, at: nowMs, unrecorded: 0 };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #forgetOldest(): void {
    for (const [key, { unrecorded }] of this.#buckets) {
      this.#orphans += unrecorded;
      this.#buckets.delete(key);
      return;
    }
  }
}

function refill(bucket: Bucket, { burst, perMs }: { burst: number; perMs: number }, nowMs: number): void {
  bucket.tokens = Math.min(burst, bucket.tokens + Math.max(0, nowMs - bucket.at) * perMs);
  bucket.at = nowMs;
}
