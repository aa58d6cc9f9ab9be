/** Two engines and the wire between them, on a clock that stands still unless told. */

import type { Effect, Peer } from '../../../src/dtls/core.ts';
import { DtlsEngine, type EngineOptions } from '../../../src/dtls/engine.ts';
import type { ClientOptions, PeerAddress, ServerOptions } from '../../../src/dtls/options.ts';
import type { DropReason } from '../../../src/dtls/stats.ts';

export const SERVER: PeerAddress = { address: '192.0.2.1', port: 5684 };
export const CLIENT: PeerAddress = { address: '198.51.100.7', port: 40_000 };
export const KEY = new TextEncoder().encode('secretPSK');
export const START_MS = 1_000_000;

/** PSK options that let `probe-7` in. */
export const pskServer: ServerOptions = {
  psk: (identity) => (identity === 'probe-7' ? KEY : undefined),
  authorize: (peer) => ({ allowed: true, principal: peer.kind === 'psk' ? peer.identity : peer.kind }),
  isStillAllowed: () => true,
};
export const pskClient: ClientOptions = { pskIdentity: 'probe-7', pskKey: KEY };

/** What an interceptor makes of a datagram: itself, others, or nothing. */
export type Interceptor = (datagram: Uint8Array, from: 'client' | 'server') => readonly Uint8Array[];

export class Pair {
  readonly server: DtlsEngine;
  readonly client: DtlsEngine;
  nowMs = START_MS;
  readonly events: (Effect & { readonly at: 'client' | 'server' })[] = [];
  readonly drops: Record<'client' | 'server', DropReason[]> = { client: [], server: [] };
  /** Addresses the two are seen under. */
  clientAddress: PeerAddress = CLIENT;
  intercept: Interceptor = (datagram) => [datagram];
  readonly wire: { readonly from: 'client' | 'server'; readonly datagram: Uint8Array; readonly to: PeerAddress }[] = [];

  constructor(server: ServerOptions = pskServer, engine: Partial<EngineOptions> = {}) {
    this.server = new DtlsEngine({ server, nowMs: this.nowMs });
    this.client = new DtlsEngine({ nowMs: this.nowMs, connectionIdLength: 8, ...engine });
    this.server.onDrop = (reason) => this.drops.server.push(reason);
    this.client.onDrop = (reason) => this.drops.client.push(reason);
  }

  connect(options: ClientOptions = pskClient): Peer {
    const peer = this.client.connect(SERVER, options, this.nowMs);
    this.carry('client', this.client.drain());
    return peer;
  }

  /** Carries datagrams to and fro until nobody has anything to say. */
  carry(at: 'client' | 'server', effects: readonly Effect[]): void {
    const queue: { from: 'client' | 'server'; datagram: Uint8Array }[] = [];
    const take = (side: 'client' | 'server', made: readonly Effect[]) => {
      for (const effect of made) {
        if (effect.kind !== 'send') {
          this.events.push({ ...effect, at: side });
          continue;
        }
        this.wire.push({ from: side, datagram: effect.datagram, to: effect.address });
        for (const datagram of this.intercept(effect.datagram, side)) queue.push({ from: side, datagram });
      }
    };
    take(at, effects);
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (next.from === 'client') take('server', this.server.receive(next.datagram, this.clientAddress, this.nowMs));
      else take('client', this.client.receive(next.datagram, SERVER, this.nowMs));
    }
  }

  /** Lets time pass in steps, timers and late answers included. */
  async pass(ms: number, stepMs = ms): Promise<void> {
    for (let gone = 0; gone < ms; gone += stepMs) {
      this.nowMs += stepMs;
      await Promise.resolve();
      this.carry('server', this.server.poll(this.nowMs));
      this.carry('client', this.client.poll(this.nowMs));
    }
  }

  /** Lets promises settle without time passing. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      this.carry('server', this.server.poll(this.nowMs));
      this.carry('client', this.client.poll(this.nowMs));
    }
  }

  send(from: 'client' | 'server', peer: Peer, text: string): string {
    const engine = from === 'client' ? this.client : this.server;
    const result = engine.send(peer, new TextEncoder().encode(text), this.nowMs);
    this.carry(from, engine.drain());
    return result;
  }

  /** What arrived as application data. */
  heard(at: 'client' | 'server'): string[] {
    return this.events.flatMap((event) =>
      event.at === at && event.kind === 'data' ? [new TextDecoder().decode(event.data)] : [],
    );
  }

  /** Why associations ended. */
  closed(at: 'client' | 'server'): string[] {
    return this.events.flatMap((event) => (event.at === at && event.kind === 'closed' ? [event.reason] : []));
  }

  opened(at: 'client' | 'server'): Peer[] {
    return this.events.flatMap((event) => (event.at === at && event.kind === 'open' ? [event.association] : []));
  }
}
