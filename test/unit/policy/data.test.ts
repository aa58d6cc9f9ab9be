import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseConfiguration } from '../../../src/config/load.ts';
import type { RouteSettings, Settings } from '../../../src/config/settings.ts';
import { policyData } from '../../../src/policy/data.ts';
import { windowsByWeekday } from '../../../src/policy/schedule.ts';
import type { ActivePolicy } from '../../../src/policy/wall.ts';
import { goldenConfiguration, shippedPolicy, verdictOf } from './shipped-policy.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-data-'));
afterAll(() => rmSync(folder, { recursive: true }));

function settingsWith(segments: string): Settings {
  const text = `gateway: g\nlisten: { https: 127.0.0.1:1 }\nupstreams: { cloud: { url: https://a.example } }\n${segments}`;
  return parseConfiguration(text, folder).settings;
}

const input = (resource: string, verb = 'GET', id = 'thermo-1', action = {}) => ({
  v: 1,
  device: {
    id,
    segment: 'sensors',
    labels: {},
    state: 'active',
    auth: { method: 'certificate', issuer: '', serial: '', not_after: '' },
  },
  action: { protocol: 'https', verb, resource, content_type: '', bytes: 0, direction: 'toCloud', ...action },
  target: {},
  context: { time: '2026-11-23T12:00:00Z', listener: 'https', gateway: 'g', revision: '1' },
});

describe('the index', () => {
  test('keeps literal paths by path and verb, and orders routes by how specific they are', () => {
    const settings = settingsWith(`segments:
  sensors:
    routes:
      all: { allow: "* /files/**", to: cloud }
      one: { allow: GET /files/*, to: cloud }
      own: { allow: "GET /files/{device.id}", to: cloud }
      any: { allow: "* /files/manual", to: cloud }
      manual: { allow: GET /files/manual, to: cloud }
`);
    const { configuration } = JSON.parse(policyData(settings).json);
    const { index, routes } = configuration.segments.sensors;
    const names = routes.map(({ obligations }: { obligations: { route: string } }) => obligations.route);
    expect(names).toEqual(['sensors/manual', 'sensors/any', 'sensors/own', 'sensors/one', 'sensors/all']);
    expect(index.literal).toEqual({ '/files/manual': { GET: [0], '*': [1] } });
    expect(index.shapes).toEqual({
      3: [
        { own: [2], any: [], keep: [1], wild: false, table: { files: { GET: [2] } } },
        { own: [], any: [2], keep: [1], wild: true, table: { files: { GET: [3] } } },
      ],
    });
    expect(index.rest).toEqual([
      { prefix: 2, own: [], any: [], keep: [1], wild: true, table: { files: { '*': [4] } } },
    ]);
  });

  test('has one shape for a thousand templates of one shape', () => {
    const routes = Array.from(
      { length: 1_000 },
      (_, n) => `      r${n}: { allow: "GET /d/{device.id}/${n}", to: cloud }`,
    );
    const settings = settingsWith(`segments:\n  sensors:\n    routes:\n${routes.join('\n')}\n`);
    const { configuration } = JSON.parse(policyData(settings).json);
    const { index } = configuration.segments.sensors;
    expect(Object.keys(index.shapes)).toEqual(['4']);
    expect(index.shapes['4']).toHaveLength(1);
    expect(Object.keys(index.shapes['4'][0].table)).toHaveLength(1_000);
    const policy = shippedPolicy(settings);
    expect(verdictOf(policy, input('/d/thermo-1/731')).obligations.route).toBe('sensors/r731');
    expect(verdictOf(policy, input('/d/thermo-1/1000')).allow).toBe(false);
    expect(verdictOf(policy, input('/d/thermo-2/731')).allow).toBe(false);
  });

  test('takes words that are properties of objects for what they are', () => {
    const settings = settingsWith(`segments:
  sensors:
    routes:
      a: { allow: "GET /__proto__/{device.id}", to: cloud }
      b: { allow: GET /constructor, to: cloud }
      c: { allow: "GET /{device.id}", to: cloud }
`);
    const policy = shippedPolicy(settings);
    expect(verdictOf(policy, input('/__proto__/thermo-1')).obligations.route).toBe('sensors/a');
    expect(verdictOf(policy, input('/constructor')).obligations.route).toBe('sensors/b');
    expect(verdictOf(policy, input('/constructor', 'GET', 'constructor')).obligations.route).toBe('sensors/b');
    expect(verdictOf(policy, input('/__proto__')).allow).toBe(false);
    expect(verdictOf(policy, input('/toString/thermo-1')).allow).toBe(false);
    expect(Object.getPrototypeOf({})).toBe(Object.prototype);
  });
});

describe('what a decision costs', () => {
  function policyWith(count: number) {
    const route = (name: string, verb: string, path: string): RouteSettings => {
      return { name, verb, path, to: 'cloud', direction: 'both', stream: false, inspect: false, quiet: false };
    };
    const routes = Array.from({ length: count }, (_, n) => [
      route(`p${n}`, 'POST', `/x/${n}`),
      route(`g${n}`, 'GET', `/d/{device.id}/${n}`),
    ]).flat();
    const sensors = { name: 'sensors', routes, reach: new Map() };
    return shippedPolicy({ ...goldenConfiguration(), segments: new Map([['sensors', sensors]]) });
  }
  const few = policyWith(1);
  const many = policyWith(4_000);

  /** The fastest of many, which a busy machine hardly disturbs, in microseconds. */
  function fastestMicros(policy: ActivePolicy, message: ReturnType<typeof input>): number {
    const bytes = Buffer.from(JSON.stringify(message));
    let fastest = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 400; round++) {
      const start = performance.now();
      policy.decide(bytes, 1, 0n);
      fastest = Math.min(fastest, performance.now() - start);
    }
    return fastest * 1_000;
  }

  test.each([
    ['a literal path', input('/x/0', 'POST')],
    ['a bound path', input('/d/thermo-1/0')],
    ['a denial', input('/nowhere')],
  ])('does not depend on the number of routes: %s', (_, message) => {
    // Looking at 8,000 routes one by one takes a hundred times as long as at two.
    expect(fastestMicros(many, message)).toBeLessThan(fastestMicros(few, message) * 10);
  });

  test('does not depend on the number of devices: none is in the data', () => {
    expect(policyData(goldenConfiguration()).json).not.toContain('thermo-1');
  });
});

describe('over', () => {
  test('left out means every protocol of messages, never the egress proxy', () => {
    const { configuration } = JSON.parse(
      policyData(settingsWith('segments: { sensors: { routes: { a: { allow: GET /a, to: cloud } } } }')).json,
    );
    expect(configuration.segments.sensors.routes[0].over).toEqual({
      https: true,
      websocket: true,
      coaps: true,
      mqtt: true,
    });
  });

  test.each([
    ['WS', '[https]', { https: true, websocket: true }],
    ['WS', '[websocket]', { https: true, websocket: true }],
    ['WS', '[coaps]', { coaps: true }],
    ['GET', '[https]', { https: true }],
    ['GET', '[websocket]', { websocket: true }],
  ])('of %s routes: %s', (verb, over, expected) => {
    const { configuration } = JSON.parse(
      policyData(
        settingsWith(`segments: { sensors: { routes: { a: { allow: ${verb} /a, to: cloud, over: ${over} } } } }`),
      ).json,
    );
    expect(configuration.segments.sensors.routes[0].over).toEqual(expected);
  });
});

describe('schedules', () => {
  test('run over midnight if they end before they begin', () => {
    expect(windowsByWeekday({ days: ['sun'], from: '22:00', to: '06:00' })).toEqual({
      Sunday: [[1_320, 1_440]],
      Monday: [[0, 360]],
    });
    expect(windowsByWeekday({ days: ['mon', 'mon'], from: '06:00', to: '22:00' })).toEqual({ Monday: [[360, 1_320]] });
    expect(windowsByWeekday({ days: ['mon'], from: '00:00', to: '00:00' })).toEqual({ Monday: [[0, 1_440]] });
  });
});

describe('inspection', () => {
  test('is wanted where a route says so, and nowhere else', () => {
    const { inspects } = policyData(goldenConfiguration());
    expect(inspects('lab')).toBe(true);
    expect(inspects('sensors')).toBe(false);
    expect(inspects('attic')).toBe(false);
    expect(inspects('__proto__')).toBe(false);
  });
});

describe('the operator’s own data', () => {
  const withData = (bytes: string | Uint8Array) => {
    const file = join(folder, 'own.json');
    writeFileSync(file, bytes);
    const settings = goldenConfiguration();
    return policyData({ ...settings, policy: { ...settings.policy, data: file } });
  };

  test('reaches policy with every digit of its numbers', () => {
    expect(withData('{"serial": 12345678901234567890}').json).toContain('"custom":{"serial": 12345678901234567890}}');
    expect(JSON.parse(policyData(goldenConfiguration()).json).custom).toEqual({});
  });

  test.each([
    ['text that is no JSON', '{a: 1}'],
    ['two values', '{} {}'],
    ['nothing', ''],
    ['a way out of its place', '{}},"configuration":{"segments":{}'],
    ['bytes that are no UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
  ])('is refused: %s', (_, bytes) => {
    expect(() => withData(bytes)).toThrow(expect.objectContaining({ code: 'SP_CONFIG_INVALID' }));
  });

  test('is refused when it is missing or large', () => {
    const settings = goldenConfiguration();
    const missing = { ...settings, policy: { ...settings.policy, data: join(folder, 'none.json') } };
    expect(() => policyData(missing)).toThrow(expect.objectContaining({ code: 'SP_CONFIG_INVALID' }));
    expect(() => withData(`"${'a'.repeat(16_777_216)}"`)).toThrow(
      expect.objectContaining({ code: 'SP_CONFIG_INVALID' }),
    );
  });
});
