import { expect, it } from 'vitest';
import type { RouteSettings, SegmentSettings } from '../../../src/config/settings.ts';
import { isChannel, reachableLinks } from '../../../src/policy/links.ts';

function segment(...routes: (Pick<RouteSettings, 'verb' | 'path'> & { over?: string[] })[]): SegmentSettings {
  return {
    name: 'sensors',
    routes: routes.map((route, n) => ({
      ...{ name: `r${n}`, to: 'cloud', direction: 'both' as const, stream: false, inspect: false, quiet: false },
      ...route,
    })),
    reach: new Map(),
  };
}

it('lists what can be spelled out for this device over CoAP, each path once', () => {
  const links = reachableLinks(
    segment(
      { verb: 'POST', path: '/v1/telemetry' },
      { verb: 'PUT', path: '/v1/telemetry', over: ['coaps'] },
      { verb: 'GET', path: '/v1/{device.id}/config' },
      { verb: 'GET', path: '/web', over: ['https'] },
      { verb: 'GET', path: '/files/**' },
      { verb: 'GET', path: '/rooms/*/light' },
      { verb: 'HEAD', path: '/head' },
      { verb: '*', path: '/any' },
      { verb: 'WS', path: '/v1/commands/{device.id}' },
      { verb: 'WS', path: '/any' },
    ),
    'probe-7',
  );
  expect(links).toEqual([
    { path: '/v1/telemetry', observable: false },
    { path: '/v1/probe-7/config', observable: false },
    { path: '/any', observable: true },
    { path: '/v1/commands/probe-7', observable: true },
  ]);
});

it('knows a channel that is this device’s over CoAP', () => {
  const one = segment(
    { verb: 'WS', path: '/v1/commands/{device.id}' },
    { verb: 'WS', path: '/web', over: ['websocket'] },
    { verb: 'GET', path: '/plain' },
  );
  expect(isChannel(one, '/v1/commands/probe-7', 'probe-7')).toBe(true);
  for (const path of ['/v1/commands/probe-8', '/web', '/plain', '/'])
    expect(isChannel(one, path, 'probe-7')).toBe(false);
});
