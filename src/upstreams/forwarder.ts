/**
 * The last step of the exchange: sends a sealed message to where its permit says, and nowhere else. The destination comes
 * from the permit's obligations alone; nothing in the message can choose a host.
 */
import type { Settings } from '../config/settings.ts';
import { EMPTY_BODY } from '../exchange/arrival.ts';
import type { Forwarder } from '../exchange/gate.ts';
import type { Reply } from '../exchange/message.ts';
import { Sealed } from '../exchange/sealed.ts';
import { Fault } from '../faults/fault.ts';
import { type DevicePorts, DeviceUpstreams } from './device-upstreams.ts';
import type { UpstreamStatus } from './http-upstream.ts';
import { openUpstream, type Upstream } from './open-upstream.ts';

type ForwarderSettings = Pick<Settings, 'upstreams' | 'limits'>;

export class UpstreamForwarder implements Forwarder {
  readonly #ports: DevicePorts;
  #routes: Routes;

  /** Reads keys and certificates, connects to nothing. Throws SP_CONFIG_INVALID, SP_KEY_INVALID or SP_CERTIFICATE_INVALID. */
  constructor(settings: ForwarderSettings, ports: DevicePorts) {
    this.#ports = ports;
    this.#routes = new Routes(settings, ports);
  }

  async forward(sealed: Sealed): Promise<Reply> {
    const { message, permitted } = Sealed.assert(sealed);
    const { arrival } = permitted.identified;
    if (arrival.channel !== undefined) {
      await arrival.channel.send(sealed);
      return SENT;
    }
    const { http, webSocket } = this.#routes.upstream(permitted.obligations.upstream);
    return message.verb === 'WS' ? webSocket.open(sealed, arrival.signal) : http.request(sealed, arrival.signal);
  }

  /**
   * New settings for messages from now on; those under way end where they are. Throws as the constructor does, and then
   * everything stays as it was.
   */
  swap(settings: ForwarderSettings): void {
    const old = this.#routes;
    this.#routes = new Routes(settings, this.#ports);
    void old.close();
  }

  stats(): readonly UpstreamStatus[] {
    return this.#routes.statuses;
  }

  /** Resolves when everything under way has ended, or after limits.drainTimeoutMs. */
  close(): Promise<void> {
    return this.#routes.close();
  }
}

/** The upstreams of one set of settings. */
class Routes {
  readonly #named = new Map<string, Upstream>();
  readonly #devices: DeviceUpstreams;
  readonly #graceMs: number;

  constructor({ upstreams, limits }: ForwarderSettings, ports: DevicePorts) {
    for (const [name, settings] of upstreams)
      this.#named.set(name, openUpstream(settings, limits, ports.keyOf, ports.now));
    this.#devices = new DeviceUpstreams(limits, ports);
    this.#graceMs = limits.drainTimeoutMs;
  }

  upstream(name: string): Upstream {
    const named = this.#named.get(name);
    if (named) return named;
    if (name.startsWith(DEVICE)) return this.#devices.upstream(name.slice(DEVICE.length));
    throw new Fault('SP_UPSTREAM_UNKNOWN', undefined, { details: { upstream: name } });
  }

  get statuses(): UpstreamStatus[] {
    return [...[...this.#named.values()].map(({ http }) => http.status), ...this.#devices.statuses];
  }

  async close(): Promise<void> {
    await Promise.all([
      ...[...this.#named.values()].map(({ http }) => http.close(this.#graceMs)),
      this.#devices.close(this.#graceMs),
    ]);
  }
}

const DEVICE = 'device:';
const SENT: Reply = { status: 204, headers: [], contentType: '', body: EMPTY_BODY };
