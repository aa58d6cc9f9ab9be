/**
 * What one peer sent lately, by message ID (RFC 7252 section 4.2 and 4.3): a repetition gets the answer of the first time again, or
 * nothing, and never runs a handler. Bounded in entries, in kept answers and in their bytes; what gives way first is the answer, so
 * that a repetition is dropped rather than executed.
 */
import type { CoapLimits } from './limits.ts';

/** `running`: nothing was said yet. `bytes`: see `answer`. `silence`: nothing is to be said. */
export type Said = 'running' | 'acknowledged' | 'reset' | 'bytes' | 'silence' | 'gone';

export interface Heard {
  messageId: number;
  atMs: number;
  said: Said;
  answer: Uint8Array | undefined;
}

type WindowLimits = Pick<
  CoapLimits,
  'exchangeLifetimeMs' | 'maxKeptAnswers' | 'maxKeptAnswerBytes' | 'maxKeptMessageIds'
>;

export class DuplicateWindow {
  readonly #limits: WindowLimits;
  readonly #heard: Heard[] = [];
  #oldest = 0;
  /** Those with bytes, oldest first. */
  readonly #kept: Heard[] = [];
  #keptBytes = 0;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#heard.length;
  }
  get keptBytes(): number {
    return this.#keptBytes;
  }

  find(messageId: number, nowMs: number): Heard | undefined {
    const heard = this.#heard;
    for (let at = heard.length - 1; at >= 0; at--) {
      const one = heard[at] as Heard;
      // After EXCHANGE_LIFETIME the peer may use the message ID anew.
      if (one.messageId === messageId && nowMs - one.atMs < this.#limits.exchangeLifetimeMs) return one;
    }
    return undefined;
  }

  add(messageId: number, nowMs: number): Heard {
    const entry: Heard = { messageId, atMs: nowMs, said: 'running', answer: undefined };
    if (this.#heard.length < this.#limits.maxKeptMessageIds) {
      this.#heard.push(entry);
      return entry;
    }
    // A request whose handler still runs stays: forgetting it is what would run it twice.
    for (let step = 0; step < this.#heard.length; step++) {
      const place = (this.#oldest + step) % this.#heard.length;
      const old = this.#heard[place] as Heard;
      if (old.said === 'running' && nowMs - old.atMs < this.#limits.exchangeLifetimeMs) continue;
      this.#release(old);
      this.#heard[place] = entry;
      this.#oldest = (place + 1) % this.#heard.length;
      return entry;
    }
    this.#heard[this.#oldest] = entry;
    this.#oldest = (this.#oldest + 1) % this.#heard.length;
    return entry;
  }

  /** Keeps the bytes that were answered, while the budget lasts. */
  answered(entry: Heard, answer: Uint8Array): void {
    entry.said = 'bytes';
    entry.answer = answer;
    this.#kept.push(entry);
    this.#keptBytes += answer.length;
    while (this.#kept.length > this.#limits.maxKeptAnswers || this.#keptBytes > this.#limits.maxKeptAnswerBytes)
      this.#release(this.#kept[0] as Heard);
  }

  /** Forgets what is older than EXCHANGE_LIFETIME. @returns when the oldest of the rest will be; Infinity when none is left. */
  expire(nowMs: number): number {
    let earliest = Number.POSITIVE_INFINITY;
    let write = 0;
    const heard = this.#heard;
    // In order of age again, because the ring may have turned.
    const turned = this.#oldest === 0 ? heard : [...heard.slice(this.#oldest), ...heard.slice(0, this.#oldest)];
    const rest: Heard[] = [];
    for (const entry of turned) {
      if (nowMs - entry.atMs >= this.#limits.exchangeLifetimeMs && entry.said !== 'running') this.#release(entry);
      else rest.push(entry);
    }
    for (const entry of rest) {
      // A handler that outlives the lifetime is looked at again, never at once.
      const untilMs = entry.atMs + this.#limits.exchangeLifetimeMs;
      earliest = Math.min(earliest, untilMs > nowMs ? untilMs : nowMs + this.#limits.exchangeLifetimeMs);
      heard[write++] = entry;
    }
    heard.length = write;
    this.#oldest = 0;
    return earliest;
  }

  #release(entry: Heard): void {
    if (entry.answer === undefined) return;
    const place = this.#kept.indexOf(entry);
    if (place >= 0) this.#kept.splice(place, 1);
    this.#keptBytes -= entry.answer.length;
    entry.answer = undefined;
    entry.said = 'gone';
  }
}
