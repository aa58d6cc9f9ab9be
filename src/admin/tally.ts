/** Counts for `status`: what passed, what did not, and who was permitted before and is denied now. Bounded in memory. */
import type { Arrival } from '../exchange/arrival.ts';
import type { Outcome } from '../exchange/outcome.ts';
import type { Device } from '../exchange/peer.ts';

const MAX_REMEMBERED = 10_000;
const WINDOW_MS = 600_000;

interface Turned {
  readonly device: string;
  readonly reason: string;
  count: number;
  lastAt: number;
}

export class Tally {
  permitted = 0;
  denied = 0;
  failed = 0;
  /** `device verb path` that was permitted, oldest first. */
  readonly #passed = new Set<string>();
  readonly #turned = new Map<string, Turned>();

  /** @param now milliseconds since the epoch */
  observe(arrival: Arrival, outcome: Outcome, device: Device | undefined, now: number): void {
    if (outcome.kind === 'delivered') this.permitted += 1;
    else if (outcome.kind === 'denied') this.denied += 1;
    else this.failed += 1;
    if (!device) return;
    const key = `${device.id} ${arrival.verb} ${arrival.path}`;
    if (outcome.kind === 'delivered') {
      // A set keeps the order of insertion; moving the key to its end on every message is not worth the time.
      if (!this.#passed.has(key)) remember(this.#passed, key);
    } else if (outcome.kind === 'denied' && this.#passed.has(key) && outcome.reason !== 'rate-limited') {
      this.#turn(`${device.id} ${outcome.reason}`, device.id, outcome.reason, now);
    }
  }

  /** Denials of the last ten minutes of what used to pass, most frequent first. */
  newlyDenied(now: number): { device: string; reason: string; count: number }[] {
    for (const [key, { lastAt }] of this.#turned) if (now - lastAt > WINDOW_MS) this.#turned.delete(key);
    return [...this.#turned.values()]
      .map(({ device, reason, count }) => ({ device, reason, count }))
      .sort((a, b) => b.count - a.count || (a.device < b.device ? -1 : 1));
  }

  #turn(key: string, device: string, reason: string, now: number): void {
    const turned = this.#turned.get(key);
    if (turned) {
      turned.count += 1;
      turned.lastAt = now;
    } else if (this.#turned.size < MAX_REMEMBERED) {
      this.#turned.set(key, { device, reason, count: 1, lastAt: now });
    }
  }
}

function remember(set: Set<string>, key: string): void {
  if (set.size >= MAX_REMEMBERED) {
    const oldest = set.values().next().value;
    if (oldest !== undefined) set.delete(oldest);
  }
  set.add(key);
}
