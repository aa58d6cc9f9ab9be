/**
 * One device and one server on a bad network: the device reports numbered messages, each until it is acknowledged, through loss,
 * reordering, duplication, address changes and restarts of either side.
 */
import type { Effect, Peer } from '../../src/dtls/core.ts';
import { DtlsEngine } from '../../src/dtls/engine.ts';
import type { ClientOptions, PeerAddress, ServerOptions } from '../../src/dtls/options.ts';
import { Simulation, travel, type Weather } from './network.ts';

export interface WorldOptions {
  readonly weather: Weather;
  readonly server: ServerOptions;
  readonly client: ClientOptions;
  readonly messages: number;
  /** Chance per message that the device's address changes, that the device or the server starts anew. */
  readonly rebind: number;
  readonly restartDevice: number;
  readonly restartServer: number;
}

const SERVER: PeerAddress = { address: '192.0.2.1', port: 5684 };
const APPLICATION_TIMEOUT_MS = 3_000;
const ATTEMPTS_PER_SESSION = 4;
const LONGEST_MS = 30 * 60_000;

export class World {
  readonly simulation: Simulation;
  readonly #options: WorldOptions;
  #server: DtlsEngine;
  #device: DtlsEngine;
  #deviceAddress: PeerAddress = { address: '198.51.100.7', port: 40_000 };
  #session: Peer | undefined;
  #attempts = 0;
  #next = 0;
  readonly acknowledged = new Set<number>();
  readonly handled = new Map<number, number>();
  /** Records the server delivered, by association and content: none may come twice. */
  readonly delivered = new Set<string>();
  deliveredTwice = 0;
  readonly trace: string[] = [];
  handshakes = 0;
  pathsChanged = 0;

  constructor(seed: number, options: WorldOptions) {
    this.simulation = new Simulation(seed);
    this.#options = options;
    this.#server = this.#newServer();
    this.#device = this.#newDevice();
  }

  get isDone(): boolean {
    return this.#next >= this.#options.messages;
  }

  run(): this {
    this.#connect();
    this.simulation.run(this.simulation.nowMs + LONGEST_MS, () => this.isDone);
    return this;
  }

  #newServer(): DtlsEngine {
    const server = new DtlsEngine({
      server: this.#options.server,
      nowMs: this.simulation.nowMs,
      random: (length) => this.simulation.bytes(length),
    });
    return server;
  }

  #newDevice(): DtlsEngine {
    return new DtlsEngine({
      ...(this.#options.client.limits === undefined ? {} : { limits: this.#options.client.limits }),
      connectionIdLength: this.#options.client.connectionId?.length ?? 0,
      nowMs: this.simulation.nowMs,
      random: (length) => this.simulation.bytes(length),
    });
  }

  #poll(engine: DtlsEngine): void {
    const at = engine.nextPollAtMs;
    if (at === Number.POSITIVE_INFINITY) return;
    this.simulation.after(Math.max(1, at - this.simulation.nowMs), () => {
      if (engine === this.#server) this.#serverDoes(engine.poll(this.simulation.nowMs));
      else if (engine === this.#device) this.#deviceDoes(engine.poll(this.simulation.nowMs));
      else return;
      // The timer of an idle association is far away; without this the queue would only ever hold timers.
      if (engine.nextPollAtMs < this.simulation.nowMs + 120_000) this.#poll(engine);
    });
  }

  #serverDoes(effects: readonly Effect[]): void {
    const server = this.#server;
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send': {
          this.trace.push(`${this.simulation.nowMs} s ${effect.datagram.length} ${effect.address.port}`);
          travel(this.simulation, this.#options.weather, () => {
            if (effect.address.port !== this.#deviceAddress.port) return;
            this.#deviceDoes(this.#device.receive(effect.datagram, SERVER, this.simulation.nowMs));
            this.#poll(this.#device);
          });
          break;
        }
        case 'data':
          this.#handle(effect.association, effect.data);
          break;
        case 'path':
          this.pathsChanged += 1;
          break;
        default:
      }
    }
    if (server === this.#server) this.#flushServer();
  }

  #flushServer(): void {
    const more = this.#server.drain();
    if (more.length > 0) this.#serverDoes(more);
  }

  #handle(association: Peer, data: Uint8Array): void {
    const text = new TextDecoder().decode(data);
    const once = `${association.id} ${text}`;
    if (this.delivered.has(once)) this.deliveredTwice += 1;
    this.delivered.add(once);
    const number = Number(text.split(' ')[0]);
    // What a CoAP layer does with a message id: the handler runs once, the answer is given again.
    if (!this.handled.has(number)) this.handled.set(number, (this.handled.get(number) ?? 0) + 1);
    this.#server.send(association, new TextEncoder().encode(`ack ${number}`), this.simulation.nowMs);
  }

  #deviceDoes(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send': {
          const from = this.#deviceAddress;
          this.trace.push(`${this.simulation.nowMs} d ${effect.datagram.length} ${from.port}`);
          travel(this.simulation, this.#options.weather, () => {
            const server = this.#server;
            this.#serverDoes(server.receive(effect.datagram, from, this.simulation.nowMs));
            this.#poll(server);
          });
          break;
        }
        case 'open':
          this.handshakes += 1;
          if (effect.association === this.#session) this.#report();
          break;
        case 'data':
          this.#onAcknowledge(new TextDecoder().decode(effect.data));
          break;
        case 'closed':
          if (effect.association === this.#session) this.#reconnect();
          break;
        default:
      }
    }
  }

  #connect(): void {
    this.#session = this.#device.connect(SERVER, this.#options.client, this.simulation.nowMs);
    this.#attempts = 0;
    this.#deviceDoes(this.#device.drain());
    this.#poll(this.#device);
  }

  #reconnect(): void {
    this.#session = undefined;
    this.simulation.after(100, () => {
      if (this.#session === undefined) this.#connect();
    });
  }

  #report(): void {
    if (this.isDone || this.#session === undefined) return;
    const session = this.#session;
    if (this.#attempts++ >= ATTEMPTS_PER_SESSION) {
      this.#device.close(session, 'local-close', this.simulation.nowMs, true);
      this.#deviceDoes(this.#device.drain());
      return;
    }
    const number = this.#next;
    this.#device.send(session, new TextEncoder().encode(`${number} ${this.#attempts}`), this.simulation.nowMs);
    this.#deviceDoes(this.#device.drain());
    this.simulation.after(APPLICATION_TIMEOUT_MS, () => {
      if (this.#session === session && this.#next === number) this.#report();
    });
  }

  #onAcknowledge(text: string): void {
    const number = Number(text.split(' ')[1]);
    if (number !== this.#next) return;
    this.acknowledged.add(number);
    this.#next += 1;
    this.#attempts = 0;
    this.#mischief();
    this.simulation.after(50, () => this.#report());
  }

  #mischief(): void {
    const { random } = this.simulation;
    if (random() < this.#options.rebind) {
      this.#deviceAddress = { ...this.#deviceAddress, port: this.#deviceAddress.port + 1 };
    }
    if (random() < this.#options.restartServer) this.#server = this.#newServer();
    if (random() < this.#options.restartDevice) {
      this.#device = this.#newDevice();
      this.#session = undefined;
      this.#reconnect();
    }
  }
}
