/**
 * Upstreams to devices (device-to-device): opened when first used, closed when not used for longest, when the device's
 * address or key changes, and when it may no longer be reached. Bounded, so that a network of devices is not one of sockets.
 */
import type { Limits } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import type { UpstreamStatus } from './http-upstream.ts';
import { openDeviceUpstream, type Upstream } from './open-upstream.ts';
import type { DeviceTrust, KeyOf } from './tls.ts';

export interface DeviceAddress {
  readonly url: string;
  /** SHA-256 over the SubjectPublicKeyInfo that the device registered, lowercase hex. */
  readonly key: string;
}

export interface DevicePorts {
  readonly keyOf: KeyOf;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Where an active device can be reached; undefined if it is not registered, not active or has no address. */
  deviceAddress(id: string): DeviceAddress | undefined;
  /** What devices' certificates must come from; undefined: no device can be reached. */
  deviceTrust(): DeviceTrust | undefined;
}

interface Opened extends DeviceAddress {
  readonly upstream: Upstream;
}

export class DeviceUpstreams {
  readonly #limits: Limits;
  readonly #ports: DevicePorts;
  /** In order of use, the oldest first. */
  readonly #opened = new Map<string, Opened>();

  constructor(limits: Limits, ports: DevicePorts) {
    this.#limits = limits;
    this.#ports = ports;
  }

  /** Throws SP_UPSTREAM_UNREACHABLE or SP_UPSTREAM_CERTIFICATE. */
  upstream(id: string): Upstream {
    const address = this.#ports.deviceAddress(id);
    const opened = this.#opened.get(id);
    this.#opened.delete(id);
    if (opened && (address?.url !== opened.url || address.key !== opened.key)) void opened.upstream.http.close(0);
    else if (opened) {
      this.#opened.set(id, opened);
      return opened.upstream;
    }
    const trust = this.#ports.deviceTrust();
    if (address === undefined || trust === undefined) {
      throw new Fault('SP_UPSTREAM_UNREACHABLE', 'The device has no address, or may not be reached.', {
        details: { device: id },
      });
    }
    const { keyOf, now } = this.#ports;
    const upstream = openDeviceUpstream(`device:${id}`, address, trust, this.#limits, keyOf, now);
    this.#opened.set(id, { ...address, upstream });
    this.#evict();
    return upstream;
  }

  get statuses(): UpstreamStatus[] {
    return [...this.#opened.values()].map(({ upstream }) => upstream.http.status);
  }

  async close(graceMs: number): Promise<void> {
    const all = [...this.#opened.values()];
    this.#opened.clear();
    await Promise.all(all.map(({ upstream }) => upstream.http.close(graceMs)));
  }

  #evict(): void {
    for (const [id, { upstream }] of this.#opened) {
      if (this.#opened.size <= MAX_DEVICE_UPSTREAMS) return;
      this.#opened.delete(id);
      void upstream.http.close(this.#limits.drainTimeoutMs);
    }
  }
}

/** Two connections each: 512 sockets at most. */
export const MAX_DEVICE_UPSTREAMS = 256;
