/** Settings for an upstream in tests. */
import { DEFAULT_LIMITS, type Limits, type UpstreamSettings } from '../../../src/config/settings.ts';
import { openUpstream, type Upstream } from '../../../src/upstreams/open-upstream.ts';
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
