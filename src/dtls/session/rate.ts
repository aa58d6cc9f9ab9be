/** Token buckets of the hello path: one for all, one per /24 or /56 network; bounded, because networks can be forged. */

const MAX_NETWORKS = 4_096;

class Bucket {
  #tokens: number;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#tokens = perSecond;
    this.#atMs = nowMs;
  }

  take(perSecond: number, nowMs: number): boolean {
    this.#tokens = Math.min(perSecond, this.#tokens + (Math.max(0, nowMs - this.#atMs) * perSecond) / 1000);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

export class HelloRate {
  readonly #perSecond: number;
  readonly #perNetwork: number;
  readonly #all: Bucket;
  readonly #networks = new Map<string, Bucket>();

  constructor(perSecond: number, perNetwork: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#perNetwork = perNetwork;
    this.#all = new Bucket(perSecond, nowMs);
  }

  take(address: string, nowMs: number): boolean {
    const network = networkOf(address);
    let bucket = this.#networks.get(network);
    if (bucket === undefined) {
      bucket = new Bucket(this.#perNetwork, nowMs);
      const [oldest] = this.#networks.keys();
      if (this.#networks.size >= MAX_NETWORKS && oldest !== undefined) this.#networks.delete(oldest);
      this.#networks.set(network, bucket);
    }
    return bucket.take(this.#perNetwork, nowMs) && this.#all.take(this.#perSecond, nowMs);
  }
}

/** First three of four parts, or the first 56 bits as far as they are written out. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address.slice(0, Math.max(0, address.lastIndexOf('.')));
  const groups = address.split(':');
  const [a = '', b = '', c = '', d = ''] = groups;
  return `${a}:${b}:${c}:${d.padStart(4, '0').slice(0, 2)}`;
}
