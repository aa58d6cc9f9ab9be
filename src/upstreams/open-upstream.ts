/** Turns settings into an upstream that can be used. The configuration was checked before; every check is made again here. */
import type { Limits, UpstreamSettings } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { type Dial, dialler, type Origin, parseOrigin } from './dial.ts';
import type { HttpUpstream } from './http-upstream.ts';
import { Http1Upstream } from './http1-upstream.ts';
import { type DeviceTrust, type KeyOf, UpstreamTls } from './tls.ts';
import { WebSocketUpstream } from './websocket.ts';

/** One upstream, spoken to in two ways over connections that are made alike. */
export interface Upstream {
  readonly http: HttpUpstream;
  readonly webSocket: Pick<WebSocketUpstream, 'open'>;
}

/**
 * @param now milliseconds since the epoch
 * Throws SP_CONFIG_INVALID, SP_KEY_INVALID or SP_CERTIFICATE_INVALID.
 */
export function openUpstream(settings: UpstreamSettings, limits: Limits, keyOf: KeyOf, now: () => number): Upstream {
  const origin = parseOrigin(settings.url, settings.dangerouslyPlaintext);
  if (!origin.secure && (settings.pins.length > 0 || settings.ca !== undefined || settings.certificate !== undefined)) {
    throw new Fault(
      'SP_CONFIG_INVALID',
      `Upstream ${settings.name} is http:// and cannot use certificate, ca or pins.`,
    );
  }
  const tls = origin.secure ? UpstreamTls.forUpstream(settings, origin.host, keyOf) : undefined;
  const dial = dialler(origin, tls, Math.min(CONNECT_TIMEOUT_MS, settings.timeoutMs));
  return upstream(settings, origin, dial, limits, now);
}

/** A device that is an upstream of other devices. Always TLS: in clear there is no key to know it by. Throws SP_UPSTREAM_*. */
export function openDeviceUpstream(
  name: string,
  address: { readonly url: string; readonly key: string },
  trust: DeviceTrust,
  limits: Limits,
  keyOf: KeyOf,
  now: () => number,
): Upstream {
  const origin = parseOrigin(address.url, false);
  if (!origin.secure) throw new Fault('SP_UPSTREAM_CERTIFICATE', 'A device is reached over https:// or not at all.');
  const tls = UpstreamTls.forDevice(name, trust, address.key, keyOf);
  const settings = { name, connections: DEVICE_CONNECTIONS, timeoutMs: DEVICE_TIMEOUT_MS };
  return upstream(settings, origin, dialler(origin, tls, CONNECT_TIMEOUT_MS), limits, now);
}

function upstream(
  settings: Pick<UpstreamSettings, 'name' | 'connections' | 'timeoutMs'>,
  origin: Origin,
  dial: Dial,
  limits: Limits,
  now: () => number,
): Upstream {
  const { name, timeoutMs } = settings;
  return {
    http: new Http1Upstream(settings, origin, dial, limits, now),
    webSocket: new WebSocketUpstream({ name, origin, dial, timeoutMs, limits }),
  };
}

/** Three SYNs (0, 1 and 3 s) and a handshake over a slow link; as patient as limits.handshakeTimeoutMs on the other side. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Small machines: few can hold more TLS connections than this. */
const DEVICE_CONNECTIONS = 2;
const DEVICE_TIMEOUT_MS = 10_000;
