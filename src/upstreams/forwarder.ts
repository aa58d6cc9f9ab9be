/**
 * The last step of the exchange: sends a sealed message to where its permit says, and nowhere else. The destination comes
 * from the permit's obligations alone; nothing in the message can choose a host.
 */
import type { Settings, UpstreamSettings } from '../config/settings.ts';
import { EMPTY_BODY } from '../exchange/arrival.ts';
import type { Forwarder } from '../exchange/gate.ts';
import type { Channel, Reply } from '../exchange/message.ts';
import { Sealed } from '../exchange/sealed.ts';
import { Fault } from '../faults/fault.ts';
import { GOING_AWAY } from '../websocket/close-code.ts';
import { type DevicePorts, DeviceUpstreams } from './device-upstreams.ts';
import type { UpstreamStatus } from './http-upstream.ts';
import { openUpstream, type Upstream } from './open-upstream.ts';

type ForwarderSettings = Pick<Settings, 'upstreams' | 'limits'>;

export class UpstreamForwarder implements Forwarder {
  readonly #ports: DevicePorts;
  readonly #open = new Set<OpenChannel>();
  /** Replaced, and not yet closed. */
  readonly #retiring = new Map<Routes, NodeJS.Timeout>();
  #routes: Routes;

  /** Reads keys and certificates, connects to nothing. Throws SP_CONFIG_INVALID, SP_KEY_INVALID or SP_CERTIFICATE_INVALID. */
  constructor(settings: ForwarderSettings, ports: DevicePorts) {
    this.#ports = ports;
    this.#routes = new Routes(settings, ports);
  }

  /** By the settings of this moment. */
  forward(sealed: Sealed): Promise<Reply> {
    return this.#forward(sealed, this.#routes);
  }

  /**
   * A forwarder that keeps to the settings of now, also after a swap: what was decided under them must not go to where a
   * later configuration says.
   */
  current(): Forwarder {
    const routes = this.#routes;
    return { forward: (sealed) => this.#forward(sealed, routes) };
  }

  /**
   * New settings for messages from now on; those under way end where they are, and a channel that leads to where its
   * upstream is no longer ends. Throws as the constructor does, and then everything stays as it was.
   */
  swap(settings: ForwarderSettings): void {
    const old = this.#routes;
    this.#routes = new Routes(settings, this.#ports);
    this.#retire(old);
    for (const { upstream, place, channel } of this.#open) {
      if (this.#routes.place(upstream) !== place) channel.close(GOING_AWAY, '');
    }
  }

  stats(): readonly UpstreamStatus[] {
    return this.#routes.statuses;
  }

  /** Resolves when everything under way has ended, or after limits.drainTimeoutMs. */
  async close(): Promise<void> {
    for (const timer of this.#retiring.values()) clearTimeout(timer);
    await Promise.all([this.#routes, ...this.#retiring.keys()].map((routes) => routes.close()));
    this.#retiring.clear();
  }

  async #forward(sealed: Sealed, routes: Routes): Promise<Reply> {
    const { message, permitted } = Sealed.assert(sealed);
    const { arrival } = permitted.identified;
    if (arrival.channel !== undefined) {
      await arrival.channel.send(sealed);
      return SENT;
    }
    const { upstream } = permitted.obligations;
    const { http, webSocket } = routes.upstream(upstream);
    if (message.verb !== 'WS') return http.request(sealed, arrival.signal);
    const reply = await webSocket.open(sealed, arrival.signal);
    if (reply.channel) this.#keep(reply.channel, upstream, routes);
    return reply;
  }

  #keep(channel: Channel, upstream: string, routes: Routes): void {
    const place = routes.place(upstream);
    // The settings changed while it was being opened: swap has looked already.
    if (place !== this.#routes.place(upstream)) channel.close(GOING_AWAY, '');
    const open = { upstream, place, channel };
    this.#open.add(open);
    void channel.closed.then(() => this.#open.delete(open));
  }

  /** What was decided under the old settings may only now be on its way to here: they close a moment later. */
  #retire(routes: Routes): void {
    const timer = setTimeout(() => {
      this.#retiring.delete(routes);
      void routes.close();
    }, routes.graceMs).unref();
    this.#retiring.set(routes, timer);
  }
}

interface OpenChannel {
  readonly upstream: string;
  readonly place: string;
  readonly channel: Channel;
}

/** What must stay the same for an open channel to be where the configuration wants it. */
function placeOf(settings: UpstreamSettings | undefined): string {
  return settings === undefined ? '' : JSON.stringify([settings.url, settings.ca, settings.pins]);
}

/** The upstreams of one set of settings. */
class Routes {
  readonly #settings: ForwarderSettings['upstreams'];
  readonly #named = new Map<string, Upstream>();
  readonly #devices: DeviceUpstreams;
  readonly graceMs: number;

  constructor({ upstreams, limits }: ForwarderSettings, ports: DevicePorts) {
    this.#settings = upstreams;
    for (const [name, settings] of upstreams)
      this.#named.set(name, openUpstream(settings, limits, ports.keyOf, ports.now));
    this.#devices = new DeviceUpstreams(limits, ports);
    this.graceMs = limits.drainTimeoutMs;
  }

  upstream(name: string): Upstream {
    const named = this.#named.get(name);
    if (named) return named;
    if (name.startsWith(DEVICE)) return this.#devices.upstream(name.slice(DEVICE.length));
    throw new Fault('SP_UPSTREAM_UNKNOWN', undefined, { details: { upstream: name } });
  }

  /** Where the upstream is; empty for a device, whose address is the registry's. */
  place(name: string): string {
    return placeOf(this.#settings.get(name));
  }

  get statuses(): UpstreamStatus[] {
    return [...[...this.#named.values()].map(({ http }) => http.status), ...this.#devices.statuses];
  }

  async close(): Promise<void> {
    await Promise.all([
      ...[...this.#named.values()].map(({ http }) => http.close(this.graceMs)),
      this.#devices.close(this.graceMs),
    ]);
  }
}

const DEVICE = 'device:';
const SENT: Reply = { status: 204, headers: [], contentType: '', body: EMPTY_BODY };
