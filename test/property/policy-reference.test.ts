/**
 * The shipped policy against a second, naive reading of the same rules: every route is looked at, one after the other, and
 * nothing is indexed. Both must allow the same, for the same reasons, with the same obligations.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ReachSettings, RouteSettings, Settings } from '../../src/config/settings.ts';
import type { PolicyInput } from '../../src/policy/input.ts';
import { bySpecificity } from '../../src/policy/template.ts';
import { shippedPolicy, type Verdict, verdictOf } from '../unit/policy/shipped-policy.ts';
import { action, message, settings } from './policy-settings.ts';

describe('the shipped policy and a naive one', () => {
  test('give the same verdict', () => {
    const seen = { allowed: 0, reached: 0, reasons: new Set<string>() };
    fc.assert(
      fc.property(settings.chain(asked), ([configuration, messages]) => {
        const policy = shippedPolicy(configuration);
        for (const input of messages) {
          const verdict = verdictOf(policy, input);
          expect(verdict, JSON.stringify(input)).toEqual(naiveVerdict(configuration, input));
          if (verdict.allow) seen.allowed += 1;
          if (String(verdict.obligations.upstream).startsWith('device:')) seen.reached += 1;
          for (const reason of verdict.reasons) seen.reasons.add(reason);
        }
      }),
      // A fixed seed: what has to be seen below must not depend on luck. The next test draws anew each time.
      { numRuns: 60, seed: 20_261_125 },
    );
    // A property about denials alone would show little.
    expect(seen.allowed).toBeGreaterThan(100);
    expect(seen.reached).toBeGreaterThan(10);
    expect([...seen.reasons].sort()).toEqual([
      'device-disabled',
      'device-quarantined',
      'device-retired',
      'direction-not-allowed',
      'no-route',
      'outside-schedule',
      'protocol-not-allowed',
      'reach-not-allowed',
      'target-unknown',
      'unknown-segment',
    ]);
  });

  test('give the same verdict for whatever comes', () => {
    fc.assert(
      fc.property(settings.chain(asked), ([configuration, messages]) => {
        const policy = shippedPolicy(configuration);
        for (const input of messages) {
          expect(verdictOf(policy, input), JSON.stringify(input)).toEqual(naiveVerdict(configuration, input));
        }
      }),
      { numRuns: 60 },
    );
  });

  // Found by the test above: an order that is not one leaves the sort free to put the less precise route first.
  test('of any three actions the order agrees', () => {
    fc.assert(
      fc.property(action, action, action, (a, b, c) => {
        expect(Math.sign(bySpecificity(a, b)) + Math.sign(bySpecificity(b, a))).toBe(0);
        if (bySpecificity(a, b) <= 0 && bySpecificity(b, c) <= 0) expect(bySpecificity(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 5_000 },
    );
  });

  test('an added route never takes away what was allowed', () => {
    fc.assert(
      fc.property(settings.chain(asked), settings, ([configuration, messages], other) => {
        const segments = [...configuration.segments.values()].map((segment) => {
          const more = other.segments
            .get(segment.name)!
            .routes.map((route) => ({ ...route, name: `more-${route.name}` }));
          return [segment.name, { ...segment, routes: [...segment.routes, ...more] }] as const;
        });
        const before = shippedPolicy(configuration);
        const after = shippedPolicy({ ...configuration, segments: new Map(segments) });
        for (const input of messages) {
          if (verdictOf(before, input).allow) expect(verdictOf(after, input).allow, JSON.stringify(input)).toBe(true);
        }
      }),
      { numRuns: 25 },
    );
  });
});

function asked(configuration: Settings) {
  return fc.tuple(fc.constant(configuration), fc.array(message(configuration), { minLength: 30, maxLength: 30 }));
}

function naiveVerdict(configuration: Settings, input: PolicyInput): Verdict {
  const { device, action, target } = input;
  const reasons: string[] = [];
  if (device.state !== 'active') reasons.push(`device-${device.state}`);
  const segment = configuration.segments.get(device.segment);
  let obligations: Verdict['obligations'] | undefined;
  if (!segment) {
    reasons.push('unknown-segment');
  } else if (target.device !== undefined) {
    const reach = target.segment === undefined ? [] : (segment.reach.get(target.segment) ?? []);
    const best = mostSpecific(reach.filter((rule) => action.protocol !== 'egress' && covers(rule, input)));
    if (!best) reasons.push('reach-not-allowed');
    if (target.segment === undefined) reasons.push('target-unknown');
    if (best) {
      const route = `${segment.name}/reach/${target.segment}`;
      obligations = { route, upstream: `device:${target.device}`, ...(best.privacy && { privacy: best.privacy }) };
    }
  } else {
    const matching = segment.routes.filter((rule) => covers(rule, input));
    const best = mostSpecific(
      matching.filter((rule) => spoken(rule, action) && carried(rule, action) && open(rule, input)),
    );
    if (best) {
      obligations = obligationsOf(segment.name, best);
    } else if (matching.length === 0) {
      reasons.push('no-route');
    } else {
      if (!matching.every((rule) => spoken(rule, action))) reasons.push('protocol-not-allowed');
      if (!matching.every((rule) => carried(rule, action))) reasons.push('direction-not-allowed');
      if (!matching.every((rule) => open(rule, input))) reasons.push('outside-schedule');
    }
  }
  const allow = reasons.length === 0;
  return { v: input.v, allow, reasons, obligations: allow && obligations ? obligations : {} };
}

function obligationsOf(segment: string, route: RouteSettings): Verdict['obligations'] {
  const name = `${segment}/${route.name}`;
  return {
    route: name,
    upstream: route.to,
    ...(route.privacy && { privacy: route.privacy }),
    ...(route.stream && { stream: true }),
    ...(route.rate && { rate: { bucket: name, per_second: route.rate.perSecond, burst: route.rate.burst } }),
    ...(route.quiet && { quiet: true }),
  };
}

function covers(rule: RouteSettings | ReachSettings, { action, device }: PolicyInput): boolean {
  if (rule.verb !== action.verb && !(rule.verb === '*' && action.verb !== 'WS')) return false;
  if (/[*]/.test(rule.path)) {
    if (/%2e|%2f|%5c|%25|%00|\\|\/\/|\/\.\.?(?:[;/]|$)/i.test(action.resource)) return false;
  }
  return walk(rule.path.slice(1).split('/'), action.resource.slice(1).split('/'), device.id);
}

function walk([part, ...parts]: string[], segments: string[], id: string): boolean {
  if (part === undefined) return segments.length === 0;
  const [segment, ...rest] = segments;
  if (segment === undefined) return false;
  if (part === '**') return true;
  const fits = part === '*' ? segment !== '' : segment === (part === '{device.id}' ? id : part);
  return fits && walk(parts, rest, id);
}

function mostSpecific<Rule extends RouteSettings | ReachSettings>(rules: readonly Rule[]): Rule | undefined {
  const precision = ({ verb, path }: Rule) => {
    const letters = path.split('/').map((part) => ({ '{device.id}': 'b', '*': 'c', '**': 'd' })[part] ?? 'a');
    return `${letters.join('')}${verb === '*' ? 'b' : 'a'}`;
  };
  return rules.reduce<Rule | undefined>(
    (best, rule) => (best && precision(best) <= precision(rule) ? best : rule),
    undefined,
  );
}

function spoken({ over, verb }: RouteSettings, { protocol }: PolicyInput['action']): boolean {
  if (protocol === 'egress') return false;
  if (!over) return true;
  const web = ['https', 'websocket'];
  if (verb === 'WS' && web.includes(protocol)) return over.some((name) => web.includes(name));
  return over.includes(protocol);
}

function carried({ direction }: RouteSettings, action: PolicyInput['action']): boolean {
  if (action.verb === 'WS' && action.bytes === 0) return true;
  return direction === 'both' || (direction === 'up') === (action.direction === 'toCloud');
}

/** Looks back, minute by minute, for the beginning of a window that has not ended since. */
function open({ when }: RouteSettings, { context }: PolicyInput): boolean {
  if (!when) return true;
  const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
  for (let ago = 0; ago < 1_440; ago++) {
    const time = new Date(Date.parse(context.time) - ago * 60_000);
    const clock = time.toISOString().slice(11, 16);
    if (clock === when.from && when.days.includes(days[time.getUTCDay()]!)) return true;
    if (clock === when.to) return false;
  }
  return false;
}
