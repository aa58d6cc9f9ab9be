/** Endpoints that talk over a network that loses, doubles and delays by a seed, on one virtual clock. */
import type { EndpointOptions } from '../../../src/coap/api.ts';
import { Endpoint } from '../../../src/coap/endpoint.ts';
import { type Seeded, seeded } from '../../fixtures/seeded.ts';

export interface Weather {
  /** Shares from 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
  /** One datagram takes from `minDelayMs` to `maxDelayMs`: reordering is what follows. */
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
}

export const CLEAR: Weather = { loss: 0, duplication: 0, minDelayMs: 5, maxDelayMs: 5 };

interface Flight {
  readonly atMs: number;
  readonly order: number;
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

export class VirtualNetwork {
  nowMs = 0;
  weather: Weather;
  readonly random: Seeded;
  /** Every datagram that was sent, lost ones included. */
  readonly log: { readonly from: string; readonly to: string; readonly bytes: Uint8Array }[] = [];
  readonly #endpoints = new Map<string, Endpoint<string>>();
  readonly #flights: Flight[] = [];
  #order = 0;

  constructor(seed: number, weather: Weather = CLEAR) {
    this.random = seeded(seed);
    this.weather = weather;
  }

  join(name: string, options: Partial<EndpointOptions<string>> = {}): Endpoint<string> {
    const endpoint = new Endpoint<string>({
      send: (to, bytes) => this.#send(name, to, bytes),
      now: () => this.nowMs,
      random: (bytes) => {
        for (let at = 0; at < bytes.length; at++) bytes[at] = this.random.below(256);
      },
      ...options,
    });
    this.#endpoints.set(name, endpoint);
    return endpoint;
  }

  #send(from: string, to: string, bytes: Uint8Array): void {
    this.log.push({ from, to, bytes });
    const { loss, duplication, minDelayMs, maxDelayMs } = this.weather;
    const copies = this.random.random() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.random.random() < loss) continue;
      const delayMs = minDelayMs + this.random.random() * (maxDelayMs - minDelayMs);
      this.#flights.push({ atMs: this.nowMs + delayMs, order: this.#order++, from, to, bytes });
    }
  }

  /** Turns the clock until `done` or until nothing is left to happen before `untilMs`. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    for (;;) {
      await turn();
      if (done()) return;
      let nextMs = Number.POSITIVE_INFINITY;
      for (const flight of this.#flights) nextMs = Math.min(nextMs, flight.atMs);
      for (const endpoint of this.#endpoints.values()) nextMs = Math.min(nextMs, endpoint.nextDeadlineMs);
      if (nextMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.#deliver();
      for (const endpoint of this.#endpoints.values()) endpoint.advance(this.nowMs);
    }
    this.nowMs = untilMs;
  }

  #deliver(): void {
    const due = this.#flights.filter(({ atMs }) => atMs <= this.nowMs);
    due.sort((one, other) => one.atMs - other.atMs || one.order - other.order);
    for (const flight of due) {
      this.#flights.splice(this.#flights.indexOf(flight), 1);
      this.#endpoints.get(flight.to)?.receive(flight.from, flight.bytes, this.nowMs);
    }
  }
}

/** Lets promise chains of a few steps run. */
async function turn(): Promise<void> {
  for (let step = 0; step < 8; step++) await Promise.resolve();
}
