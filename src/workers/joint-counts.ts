/**
 * What counts against a bound of the whole gateway although it happens in several workers: open connections per device and
 * per address, and messages of a rate. Each worker tells the others what changed, at most INTERVAL_MS later. Numbers of
 * connections are absolute, so that news told twice or missed does no harm; messages are told as they are taken.
 */

/** News are gathered for so long. A full TLS handshake takes 1.5 ms of a processor: what can slip through is counted in tens. */
const INTERVAL_MS = 10;
/** Most keys remembered of one other worker; more than limits.connections lets come about. */
const MAX_KEYS = 1_000_000;

/** Messages taken of a bucket: key, how many, tokens per second, burst. */
export type Taken = readonly [bucket: string, taken: number, perSecond: number, burst: number];

export interface News {
  /** Who tells. */
  readonly worker: number;
  /** Key and how many this worker has open now. */
  readonly open: readonly (readonly [key: string, open: number])[];
  readonly taken: readonly Taken[];
}

export class JointCounts {
  readonly #worker: number;
  readonly #of: number;
  readonly #own = new Map<string, number>();
  readonly #changed = new Set<string>();
  readonly #taken = new Map<string, [taken: number, perSecond: number, burst: number]>();
  readonly #others = new Map<number, Map<string, number>>();
  readonly #sums = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #tell: ((news: News) => void) | undefined;
  /** What others took of a bucket. Set by whoever has the buckets. */
  onTaken: (taken: Taken) => void = () => {};

  constructor(worker: number, of: number) {
    this.#worker = worker;
    this.#of = of;
  }

  /** The others hear us. While they do not, each worker keeps to its share of every bound. */
  get connected(): boolean {
    return this.#tell !== undefined;
  }

  /** Tells everything that is open, then what changes. Undefined: there is nobody to tell. */
  connect(tell: ((news: News) => void) | undefined): void {
    this.#tell = tell;
    this.#taken.clear();
    this.#changed.clear();
    if (tell && this.#own.size > 0) tell({ worker: this.#worker, open: [...this.#own], taken: [] });
  }

  /** How many of `cap` this worker may have open now. */
  share(key: string, cap: number): number {
    return this.connected ? cap - (this.#sums.get(key) ?? 0) : Math.ceil(cap / this.#of);
  }

  /** This worker has so many open now. */
  opened(key: string, open: number): void {
    if (open === 0) this.#own.delete(key);
    else this.#own.set(key, open);
    if (!this.connected) return;
    this.#changed.add(key);
    this.#soon();
  }

  /** How many tokens a message costs: alone, a worker gives out no more than its share of a rate. */
  get weight(): number {
    return this.connected ? 1 : this.#of;
  }

  /** This worker took a token. */
  took(bucket: string, perSecond: number, burst: number): void {
    if (!this.connected) return;
    const entry = this.#taken.get(bucket);
    if (entry) entry[0] += 1;
    else this.#taken.set(bucket, [1, perSecond, burst]);
    this.#soon();
  }

  /** What another worker tells. */
  absorb({ worker, open, taken }: News): void {
    const counts = this.#others.get(worker) ?? new Map<string, number>();
    this.#others.set(worker, counts);
    for (const [key, now] of open) this.#set(counts, key, now);
    for (const one of taken) this.onTaken(one);
  }

  /** All that is open, here and elsewhere, for one that comes late. */
  get known(): News[] {
    const all = new Map([[this.#worker, this.#own], ...this.#others]);
    return [...all].map(([worker, open]) => ({ worker, open: [...open], taken: [] }));
  }

  /** Another worker ended: what it had open is closed. */
  forget(worker: number): void {
    const counts = this.#others.get(worker);
    if (!counts) return;
    for (const key of [...counts.keys()]) this.#set(counts, key, 0);
    this.#others.delete(worker);
  }

  /** Forgets all others. */
  forgetAll(): void {
    for (const worker of [...this.#others.keys()]) this.forget(worker);
  }

  #set(counts: Map<string, number>, key: string, now: number): void {
    const before = counts.get(key) ?? 0;
    if (now === 0) counts.delete(key);
    else if (counts.size < MAX_KEYS || before > 0) counts.set(key, now);
    else return;
    const sum = (this.#sums.get(key) ?? 0) + now - before;
    if (sum === 0) this.#sums.delete(key);
    else this.#sums.set(key, sum);
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => this.#flush(), INTERVAL_MS).unref();
  }

  #flush(): void {
    this.#timer = undefined;
    if (!this.#tell || this.#changed.size + this.#taken.size === 0) return;
    const open = [...this.#changed].map((key) => [key, this.#own.get(key) ?? 0] as const);
    const taken = [...this.#taken].map(([bucket, entry]): Taken => [bucket, ...entry]);
    this.#changed.clear();
    this.#taken.clear();
    this.#tell({ worker: this.#worker, open, taken });
  }
}
