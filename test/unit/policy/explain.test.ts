import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfiguration } from '../../../src/config/load.ts';
import type { Settings } from '../../../src/config/settings.ts';
import type { DecisionRecord } from '../../../src/exchange/gate.ts';
import { DENIALS, type Reason } from '../../../src/faults/catalogue.ts';
import { explainDenial } from '../../../src/policy/explain.ts';
import { narrowestTemplate } from '../../../src/policy/template.ts';
import { PrivacyKeys } from '../../../src/privacy/keys.ts';
import { PathRedactor } from '../../../src/privacy/redaction.ts';
import { withSuggestion } from './configuration-text.ts';

const TEXT = `
gateway: plant-7
listen: { https: 0.0.0.0:8443 }
upstreams:
  archive: { url: https://archive.example.com }
  cloud: { url: https://ingest.example.com }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings, rate: 10/s }
      config: { allow: "GET /v1/devices/{device.id}/config", to: cloud }
      mail: { allow: POST /v1/mail, to: cloud, over: [coaps], rate: { limit: 30/min, burst: 5 } }
      office: { allow: GET /v1/office, to: archive, when: { days: [mon, tue], from: "08:00", to: "18:00" }, quiet: true }
      talk: { allow: WS /v1/talk, to: cloud, privacy: unchanged, direction: up }
      commands: { allow: WS /v1/commands, to: cloud, privacy: unchanged, direction: down, over: [coaps] }
      parts: { allow: GET /parts/*, to: cloud, privacy: unchanged }
    reach:
      cameras: [GET /v1/still, { allow: "PUT /v1/inbox/{device.id}", privacy: readings }]
  cameras: {}
privacy:
  readings: { keep: [temperature] }
`;
const settings = parseConfiguration(TEXT, '/nonexistent').settings;

type Changes = {
  reasons?: readonly string[];
  action?: Partial<DecisionRecord['action']>;
  device?: Partial<NonNullable<DecisionRecord['device']>>;
} & Partial<Pick<DecisionRecord, 'time' | 'verdict' | 'obligations'>>;

/** A Monday noon. */
const NOON = Date.UTC(2026, 10, 23, 12);

function record({ reasons = ['no-route'], action, device, ...rest }: Changes = {}): DecisionRecord {
  return {
    decision: '0198c1d2-0000-7000-8000-000000000000',
    time: NOON,
    verdict: 'denied',
    reasons: reasons as readonly Reason[],
    revision: '7',
    device: { id: 'thermo-1', segment: 'sensors', state: 'active', ...device },
    peer: { address: '10.0.3.17', key: 'ab'.repeat(32), serial: '5F0A' },
    action: {
      protocol: 'https',
      verb: 'GET',
      resource: '/admin',
      direction: 'toCloud',
      contentType: '',
      bytes: 0,
      ...action,
    },
    tookMicros: 6,
    ...rest,
  };
}

const explain = (changes: Changes, targetSegment?: string, under: Settings = settings) =>
  explainDenial({ settings: under, record: record(changes), ...(targetSegment !== undefined && { targetSegment }) });

describe('a denial, explained', () => {
  test('as the operator’s guide tells it', () => {
    const { looked, missing, suggestion } = explain({});
    expect(looked.slice(0, 2)).toEqual([
      { route: 'telemetry', template: 'POST /v1/telemetry', why: 'method and path differ' },
      { route: 'config', template: 'GET /v1/devices/thermo-1/config', why: 'path differs' },
    ]);
    expect(missing).toBe('No route of segment sensors allows GET /admin.');
    expect(suggestion).toEqual({ under: 'segments.sensors.routes', line: 'admin: { allow: GET /admin, to: cloud }' });
  });

  test.each<[string, Changes, string]>([
    ['another method', { action: { verb: 'GET', resource: '/v1/telemetry' } }, 'telemetry: method differs'],
    ['another device', { action: { resource: '/v1/devices/thermo-2/config' } }, 'config: path names another device'],
    [
      'another protocol',
      { reasons: ['protocol-not-allowed'], action: { verb: 'POST', resource: '/v1/mail' } },
      'mail: not over https',
    ],
    [
      'another time',
      { reasons: ['outside-schedule'], action: { resource: '/v1/office' }, time: NOON + 7 * 3_600_000 },
      'office: outside schedule mon, tue 08:00 to 18:00 UTC',
    ],
    [
      'the other way',
      {
        reasons: ['direction-not-allowed'],
        action: { verb: 'WS', resource: '/v1/talk', direction: 'toDevice', bytes: 5 },
      },
      'talk: only up',
    ],
    [
      'the device that the ledger hides',
      { action: { resource: '/v1/devices/~aB3-_xYz/config' } },
      'config: path names another device',
    ],
    ['an empty segment', { action: { resource: '/parts/' } }, 'parts: path differs'],
    [
      'not the direction, while a channel is opened',
      { reasons: ['protocol-not-allowed'], action: { verb: 'WS', resource: '/v1/commands', protocol: 'websocket' } },
      'commands: not over websocket',
    ],
    [
      'nothing at all',
      { action: { verb: 'POST', resource: '/v1/telemetry', bytes: 5 } },
      'telemetry: verb and path match',
    ],
  ])('says of a rule what differs: %s', (_, changes, expected) => {
    expect(explain(changes).looked.map(({ route, why }) => `${route}: ${why}`)).toContain(expected);
  });
});

describe('the line that would allow it', () => {
  test.each<[string, Changes, string]>([
    ['a trailing slash', { action: { resource: '/admin/' } }, 'admin: { allow: GET /admin/, to: cloud }'],
    ['the root', { action: { resource: '/' } }, 'get: { allow: GET /, to: cloud }'],
    ['its own id', { action: { resource: '/v2/thermo-1/x' } }, 'x: { allow: "GET /v2/{device.id}/x", to: cloud }'],
    [
      'a name that is taken',
      { action: { verb: 'PUT', resource: '/v2/config' } },
      'config-2: { allow: PUT /v2/config, to: cloud }',
    ],
    [
      'what a template cannot spell',
      { action: { resource: '/files/caf%C3%A9' } },
      'files: { allow: GET /files/*, to: cloud }',
    ],
    ['a comma', { action: { resource: '/a,b' } }, 'a-b: { allow: "GET /a,b", to: cloud }'],
    [
      'a word that YAML reads otherwise',
      { action: { resource: '/v1/true' } },
      '"true": { allow: GET /v1/true, to: cloud }',
    ],
    ['digits', { action: { resource: '/v1/007' } }, '"007": { allow: GET /v1/007, to: cloud }'],
    [
      'a method that routes cannot name',
      { action: { verb: 'REPORT', resource: '/a' } },
      'a: { allow: "* /a", to: cloud }',
    ],
    ['a tilde', { action: { resource: '/~x/y' } }, 'y: { allow: GET /*/y, to: cloud }'],
    [
      'a payload',
      { action: { verb: 'POST', resource: '/v2/data', bytes: 56 } },
      'data: { allow: POST /v2/data, to: cloud, privacy: readings }',
    ],
    [
      'a large payload',
      { action: { verb: 'POST', resource: '/v2/data', bytes: 50_000_000 } },
      'data: { allow: POST /v2/data, to: cloud, privacy: readings, stream: true }',
    ],
    [
      'a WebSocket, which is opened for payloads',
      { action: { verb: 'WS', resource: '/v2/live', protocol: 'websocket' } },
      'live: { allow: WS /v2/live, to: cloud, privacy: readings }',
    ],
    [
      'a word that the ledger hides',
      { action: { resource: '/v2/~aB3-_xYz/x' } },
      'x: { allow: GET /v2/*/x, to: cloud }',
    ],
    [
      'a path that the ledger cut off',
      { action: { resource: '/v2/deep/...' } },
      'deep: { allow: GET /v2/deep/**, to: cloud }',
    ],
    [
      'an id that the ledger hides',
      { action: { resource: '/v1/devices/~aB3-_xYz/config' } },
      'config-2: { allow: GET /v1/devices/*/config, to: cloud }',
    ],
    [
      'a protocol more',
      { reasons: ['protocol-not-allowed'], action: { verb: 'POST', resource: '/v1/mail' } },
      'mail: { allow: POST /v1/mail, to: cloud, rate: { limit: 30/min, burst: 5 }, over: [coaps, https] }',
    ],
    [
      'another day',
      { reasons: ['outside-schedule'], action: { resource: '/v1/office' }, time: NOON + 2 * 86_400_000 },
      'office: { allow: GET /v1/office, to: archive, when: { days: [mon, tue, wed], from: "08:00", to: "18:00" }, quiet: true }',
    ],
    [
      'an hour later',
      { reasons: ['outside-schedule'], action: { resource: '/v1/office' }, time: NOON + 6.5 * 3_600_000 },
      'office: { allow: GET /v1/office, to: archive, when: { days: [mon, tue], from: "08:00", to: "19:00" }, quiet: true }',
    ],
    [
      'an hour earlier',
      { reasons: ['outside-schedule'], action: { resource: '/v1/office' }, time: NOON - 4.5 * 3_600_000 },
      'office: { allow: GET /v1/office, to: archive, when: { days: [mon, tue], from: "07:00", to: "18:00" }, quiet: true }',
    ],
    [
      'both ways',
      {
        reasons: ['direction-not-allowed'],
        action: { verb: 'WS', resource: '/v1/talk', direction: 'toDevice', bytes: 5 },
      },
      'talk: { allow: WS /v1/talk, to: cloud, privacy: unchanged }',
    ],
    [
      'a higher rate',
      { reasons: ['rate-limited'], action: { verb: 'POST', resource: '/v1/telemetry', bytes: 5 } },
      'telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings, rate: 20/s }',
    ],
    [
      'a privacy rule',
      { reasons: ['payload-not-covered'], action: { resource: '/v1/devices/thermo-1/config' } },
      'config: { allow: "GET /v1/devices/{device.id}/config", to: cloud, privacy: readings }',
    ],
    [
      'streaming',
      { reasons: ['stream-not-allowed'], action: { verb: 'POST', resource: '/v1/telemetry', bytes: -1 } },
      'telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings, rate: 10/s, stream: true }',
    ],
  ])('with %s', (_, changes, line) => {
    const { suggestion } = explain(changes);
    expect(suggestion).toEqual({ under: 'segments.sensors.routes', line });
    expect(Object.keys(parse(line))).toHaveLength(1);
    expect(() => parseConfiguration(withSuggestion(TEXT, suggestion!), '/nonexistent')).not.toThrow();
  });

  test('for a segment that is not configured is the segment', () => {
    const { suggestion, missing } = explain({ reasons: ['unknown-segment'], device: { segment: 'attic' } });
    expect(missing).toBe('Segment attic of thermo-1 is not in the configuration.');
    expect(suggestion).toEqual({
      under: 'segments',
      line: 'attic: { routes: { admin: { allow: GET /admin, to: cloud } } }',
    });
  });

  test('for another device is a reach, and keeps those that are there', () => {
    const action = { targetDevice: 'camera-2', resource: '/v1/zoom' };
    const { looked, suggestion } = explain({ reasons: ['reach-not-allowed'], action }, 'cameras');
    expect(looked).toEqual([
      { route: 'reach/cameras', template: 'GET /v1/still', why: 'path differs' },
      { route: 'reach/cameras', template: 'PUT /v1/inbox/thermo-1', why: 'method and path differ' },
    ]);
    expect(suggestion).toEqual({
      under: 'segments.sensors.reach',
      line: 'cameras: [GET /v1/still, { allow: "PUT /v1/inbox/{device.id}", privacy: readings }, GET /v1/zoom]',
    });
  });

  test('for a reach that lacks a privacy rule adds one', () => {
    const action = { targetDevice: 'camera-2', resource: '/v1/still' };
    expect(explain({ reasons: ['payload-not-covered'], action }, 'cameras').suggestion?.line).toBe(
      'cameras: [{ allow: GET /v1/still, privacy: readings }, { allow: "PUT /v1/inbox/{device.id}", privacy: readings }]',
    );
  });

  test('is never one that lets payload out as it is', () => {
    const without = parseConfiguration(
      TEXT.replaceAll(/, privacy: (?:readings|unchanged)|privacy:\n.*/g, '').replace(', privacy: readings', ''),
      '/nonexistent',
    ).settings;
    expect(without.privacy.size).toBe(0);
    const data = explain({ action: { verb: 'POST', resource: '/v2/data', bytes: 56 } }, undefined, without);
    expect(data.suggestion?.line).toBe('data: { allow: POST /v2/data, to: cloud }');
    expect(data.remedy).toBe(DENIALS['payload-not-covered'].remedy);
    const covered = explain(
      { reasons: ['payload-not-covered'], action: { verb: 'POST', resource: '/v1/telemetry', bytes: 5 } },
      undefined,
      without,
    );
    expect(covered.suggestion).toBeUndefined();
    expect(covered.remedy).toBe(DENIALS['payload-not-covered'].remedy);
  });
});

describe('where no line helps', () => {
  test.each<[string, Changes, string, string]>([
    [
      'a disabled device',
      { reasons: ['device-disabled'] },
      'thermo-1 is disabled.',
      '`sallyport device enable thermo-1` lets it in again.',
    ],
    [
      'a quarantined device without a route',
      { reasons: ['device-quarantined', 'no-route'] },
      'thermo-1 is quarantined.',
      '`sallyport device enable thermo-1` ends the quarantine.',
    ],
    [
      'a retired device',
      { reasons: ['device-retired'] },
      'thermo-1 is retired.',
      'Add the device anew with a new key.',
    ],
    [
      'an ambiguous path',
      { action: { resource: '/files/%2e%2e/admin' } },
      'No route of segment sensors allows GET /files/%2e%2e/admin.',
      'No line can allow this path',
    ],
    [
      'an unknown target',
      { reasons: ['reach-not-allowed', 'target-unknown'], action: { targetDevice: 'camera-9' } },
      'camera-9 is not registered, not active or has no address.',
      '`sallyport device show camera-9`',
    ],
    [
      'a device that is disabled and reaches for an unknown one',
      { reasons: ['device-disabled', 'reach-not-allowed', 'target-unknown'], action: { targetDevice: 'camera-9' } },
      'thermo-1 is disabled.',
      '`sallyport device enable thermo-1`',
    ],
    ['a policy of one’s own', { reasons: ['policy-denied'] }, 'Rego of your own denied it', 'Let the policy give'],
    [
      'a configuration that has changed',
      { action: { verb: 'POST', resource: '/v1/telemetry', bytes: 5 } },
      'telemetry allows it. It has changed since revision 7',
      'sallyport policy eval',
    ],
    ['a fault', { reasons: ['SP_LEDGER_WRITE'], verdict: 'failed' }, 'could not be put on record', 'Look at the disk'],
  ])('says what does: %s', (_, changes, missing, remedy) => {
    const explained = explain(changes);
    expect(explained.suggestion).toBeUndefined();
    expect(explained.missing).toContain(missing);
    expect(explained.remedy).toContain(remedy);
  });

  test('every reason of the catalogue has an explanation with a way out', () => {
    for (const reason of Object.keys(DENIALS)) {
      const { missing, suggestion, remedy } = explain({ reasons: [reason] }, 'cameras');
      expect(missing.length, reason).toBeGreaterThan(10);
      expect(suggestion?.line ?? remedy, reason).toBeTruthy();
      expect(`${missing} ${remedy ?? ''}`, reason).not.toContain('undefined');
    }
  });

  test('an unknown peer has no device and no rules', () => {
    const { device, ...unknown } = record({ reasons: ['unknown-identity'] });
    expect(device).toBeDefined();
    const { looked, missing, remedy } = explainDenial({ settings, record: unknown });
    expect(looked).toEqual([]);
    expect(missing).toBe(DENIALS['unknown-identity'].summary);
    expect(remedy).toBe(DENIALS['unknown-identity'].remedy);
  });

  test('what was permitted lacked nothing', () => {
    const obligations = { route: 'sensors/telemetry', upstream: 'cloud' };
    const { missing, suggestion } = explain({ verdict: 'permitted', reasons: [], obligations });
    expect(missing).toBe('Nothing: it was permitted by sensors/telemetry.');
    expect(suggestion).toBeUndefined();
  });
});

describe('what the ledger hides', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-explain-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('is known by its mark, as privacy writes it', () => {
    PrivacyKeys.create(join(folder, 'keys.json'));
    const keys = PrivacyKeys.load(join(folder, 'keys.json'));
    const redactor = new PathRedactor(keys, { literals: new Set(), isKnownSegment: (name) => name === 'thermo-1' });
    const template = (path: string) => narrowestTemplate(redactor.redact(path), 'thermo-1');
    expect(template('/admin')).toBe('/admin');
    expect(template('/v1/devices/thermo-1/log')).toBe('/v1/devices/{device.id}/log');
    expect(template('/v1/serials/SN-4711/log')).toBe('/v1/serials/*/log');
    expect(template(`/v1/${'word/'.repeat(100)}`)).toMatch(/^\/v1\/(?:word\/)+\*\*$/);
  });
});
