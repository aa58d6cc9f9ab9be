/**
 * Canaries: inputs that every policy is tried with before it decides anything. Those that must be denied catch a policy that
 * allows everything; all of them catch one that hangs, is slow, throws, or does not speak in verdicts.
 */
import type { PolicyInput } from './input.ts';

export interface Canary {
  readonly name: string;
  /** JSON text. */
  readonly input: string;
  /**
   * `verdict`: any well-formed verdict; `denied`: one that denies; `not-allowed`: a verdict that denies, or none at all,
   * as an input without a sentinel cannot be answered.
   */
  readonly expect: 'verdict' | 'denied' | 'not-allowed';
  /** What the verdict must carry back. */
  readonly sentinel: number;
}

const SENTINEL = 7_919;
/** No configuration can name these: names of segments and devices have no spaces. */
const NOWHERE = 'no such segment';
const NOBODY = 'no such device';

const base: PolicyInput = {
  v: SENTINEL,
  device: {
    id: NOBODY,
    segment: NOWHERE,
    labels: {},
    state: 'active',
    auth: { method: 'certificate', issuer: 'CN=canary', serial: '00', not_after: '2100-01-01T00:00:00.000Z' },
  },
  action: {
    protocol: 'https',
    verb: 'POST',
    resource: '/v1/telemetry',
    content_type: 'application/json',
    bytes: 61,
    direction: 'toCloud',
  },
  target: {},
  context: { time: '2026-01-01T00:00:00.000Z', listener: 'https', gateway: 'canary', revision: 'canary' },
};

function denied(name: string, input: PolicyInput): Canary {
  return { name, input: JSON.stringify(input), expect: 'denied', sentinel: SENTINEL };
}

/** Makes the canaries for a gateway with these segments. What they answer for a known segment is the policy's business. */
export function canariesFor(segments: readonly string[]): readonly Canary[] {
  const long = 'a'.repeat(2_048);
  const known = segments.slice(0, MAX_SEGMENTS).flatMap((segment) => variants(segment));
  return [
    { name: 'empty object', input: '{}', expect: 'not-allowed', sentinel: SENTINEL },
    { name: 'sentinel alone', input: `{"v":${SENTINEL}}`, expect: 'not-allowed', sentinel: SENTINEL },
    denied('unknown segment', base),
    denied('unknown segment, websocket', {
      ...base,
      action: { ...base.action, protocol: 'websocket', verb: 'WS', content_type: '' },
    }),
    denied('unknown segment, to device', { ...base, action: { ...base.action, direction: 'toDevice' } }),
    denied('unknown segment, long path', { ...base, action: { ...base.action, resource: `/${long}` } }),
    denied('unknown segment, many labels', {
      ...base,
      device: {
        ...base.device,
        labels: Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`l${at}`, long.slice(0, 32)])),
      },
    }),
    denied('unknown segment, device to device', { ...base, target: { device: NOBODY } }),
    ...['disabled', 'quarantined', 'retired'].map((state) =>
      denied(`${state} device`, {
        ...base,
        device: { ...base.device, state: state as PolicyInput['device']['state'] },
      }),
    ),
    ...known,
  ];
}

/** Enough to meet each kind of route; a configuration may have hundreds. */
const MAX_SEGMENTS = 32;

function variants(segment: string): Canary[] {
  const device = { ...base.device, segment };
  const verdict = (name: string, input: PolicyInput): Canary => ({
    name: `segment ${segment}, ${name}`,
    input: JSON.stringify(input),
    expect: 'verdict',
    sentinel: SENTINEL,
  });
  return [
    verdict('telemetry', { ...base, device }),
    verdict('payload', {
      ...base,
      device,
      payload: { serial: 'SN-1', readings: Array.from({ length: 256 }, () => 21.5) },
    }),
    verdict('websocket', { ...base, device, action: { ...base.action, protocol: 'websocket', verb: 'WS' } }),
    verdict('device to device', { ...base, device, target: { device: NOBODY, segment } }),
    verdict('long path', { ...base, device, action: { ...base.action, resource: '/a'.repeat(1_024) } }),
    denied(`segment ${segment}, disabled device`, { ...base, device: { ...device, state: 'disabled' } }),
    denied(`segment ${segment}, quarantined device`, { ...base, device: { ...device, state: 'quarantined' } }),
    denied(`segment ${segment}, retired device`, { ...base, device: { ...device, state: 'retired' } }),
  ];
}
