/** Settings for an upstream in tests. */
import { DEFAULT_LIMITS, type Limits, type UpstreamSettings } from '../../../src/config/settings.ts';
import { dialler, parseOrigin } from '../../../src/upstreams/dial.ts';
import { Http1Upstream } from '../../../src/upstreams/http1-upstream.ts';
import { openUpstream, type Upstream } from '../../../src/upstreams/open-upstream.ts';
import { UpstreamTls } from '../../../src/upstreams/tls.ts';
import { keyOf } from './certificates.ts';

export function upstreamSettings(url: string, over: Partial<UpstreamSettings> = {}): UpstreamSettings {
  return { name: 'cloud', url, pins: [], connections: 4, timeoutMs: 3_000, dangerouslyPlaintext: false, ...over };
}

export function openTo(
  url: string,
  over: Partial<UpstreamSettings> = {},
  limits: Partial<Limits> = {},
): Upstream['http'] {
  return openUpstream(upstreamSettings(url, over), { ...DEFAULT_LIMITS, ...limits }, keyOf, Date.now).http;
}

/** Connects to `url` and expects `host` there: as if the name had resolved to that address. */
export function openAs(host: string, url: string, over: Partial<UpstreamSettings> = {}): Http1Upstream {
  const settings = upstreamSettings(url, over);
  const origin = parseOrigin(url, false);
  const tls = UpstreamTls.forUpstream(settings, host, keyOf);
  return new Http1Upstream(settings, origin, dialler(origin, tls, 1_000), DEFAULT_LIMITS, Date.now);
}
