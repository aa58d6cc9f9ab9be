/**
 * One worker's share of what is bounded for the gateway as a whole and cannot be counted together while it is used: the
 * connections to an upstream, and all connections. Rounded up, so that the sum is at most (workers - 1) over the bound.
 */
import type { Settings } from '../config/settings.ts';

export function shareOf(settings: Settings, workers: number): Settings {
  if (workers === 1) return settings;
  const share = (bound: number) => Math.ceil(bound / workers);
  return {
    ...settings,
    upstreams: new Map(
      [...settings.upstreams].map(([name, one]) => [name, { ...one, connections: share(one.connections) }]),
    ),
    limits: { ...settings.limits, connections: share(settings.limits.connections) },
  };
}
