import { describe, expect, it } from 'vitest';
import type { Arrival } from '../../../src/exchange/arrival.ts';
import type { Decision } from '../../../src/exchange/permitted.ts';
import type { Fault } from '../../../src/faults/fault.ts';
import { PolicyDecider, type PolicyDeciderOptions } from '../../../src/policy/decider.ts';
import { RateLimits } from '../../../src/policy/rate.ts';
import { type ActivePolicy, PolicyWall } from '../../../src/policy/wall.ts';
import { ARRIVAL, DEVICE, identifiedAs, LIMITS, sourceOf, type Told } from './policy-source.ts';

/** A policy that gives this verdict, with the right sentinel, and keeps what it was asked. */
function answering(verdict: object) {
  const asked: Record<string, unknown>[] = [];
  const times: bigint[] = [];
  const policy = PolicyWall.activate(sourceOf());
  const decide = (input: Uint8Array, sentinel: number, nowNs: bigint): Decision => {
    asked.push(JSON.parse(new TextDecoder().decode(input)) as Record<string, unknown>);
    times.push(nowNs);
    expect(asked.at(-1)!.v).toBe(sentinel);
    return verdict as Decision;
  };
  return { asked, times, policy: Object.assign(Object.create(policy) as ActivePolicy, { decide }) };
}

function permit(obligations: object = {}) {
  return { allow: true, obligations: { route: 'sensors/telemetry', upstream: 'cloud', ...obligations } };
}

function decider(policy: ActivePolicy, changes: Partial<PolicyDeciderOptions> = {}): PolicyDecider {
  return new PolicyDecider({
    policy,
    rates: new RateLimits(() => 0),
    limits: LIMITS,
    gateway: 'plant-7',
    revision: 'r1',
    inspects: () => false,
    inspectsRoute: () => false,
    knowsUpstream: (name) => name === 'cloud',
    knowsPrivacy: (name) => name === 'minimal',
    reachableDevice: () => undefined,
    ...changes,
  });
}

function outcome(work: () => Decision): string {
  try {
    const decision = work();
    return decision.allow ? 'allowed' : decision.reasons.join();
  } catch (thrown) {
    return (thrown as Fault).code;
  }
}

describe('the decider', () => {
  it('lets nothing past a route that inspects payloads which policy could not look into, whatever its label', () => {
    const inspecting = { inspects: () => true, inspectsRoute: (route: string) => route === 'sensors/telemetry' };
    const bytes = new TextEncoder().encode('{"cmd":"reboot"}');
    const { policy } = answering(permit());
    const labelled = (body: Arrival['body']) =>
      outcome(() => decider(policy, inspecting).decide(identifiedAs({ arrival: { contentType: 'text/plain', body } })));
    expect(labelled({ kind: 'bytes', bytes })).toBe('SP_PAYLOAD_TYPE');
    expect(labelled({ kind: 'stream', stream: (async function* () {})(), length: 9 })).toBe('SP_PAYLOAD_TYPE');
    expect(labelled({ kind: 'bytes', bytes: new Uint8Array() })).toBe('allowed');
    expect(labelled({ kind: 'empty' })).toBe('allowed');
    expect(
      outcome(() =>
        decider(policy).decide(
          identifiedAs({ arrival: { contentType: 'text/plain', body: { kind: 'bytes', bytes } } }),
        ),
      ),
    ).toBe('allowed');
  });

  it('asks the real policy and takes its word', () => {
    const asking = decider(PolicyWall.activate(sourceOf()), { knowsPrivacy: () => true });
    expect(outcome(() => asking.decide(identifiedAs({ arrival: { path: '/ok' } })))).toBe('allowed');
    expect(outcome(() => asking.decide(identifiedAs({ arrival: { path: '/admin' } })))).toBe('policy-denied');
    expect(outcome(() => asking.decide(identifiedAs({ arrival: { path: '/fail/11' } })))).toBe('SP_POLICY_VERDICT');
    expect(outcome(() => asking.decide(identifiedAs({ arrival: { path: '/fail/21' } })))).toBe('SP_POLICY_OBLIGATION');
    expect(outcome(() => asking.decide(identifiedAs({ arrival: { path: '/ok' } })))).toBe('allowed');
  });

  it('gives each question another sentinel, and the time the message came', () => {
    const { asked, times, policy } = answering(permit());
    const asking = decider(policy);
    for (let at = 0; at < 10; at += 1) asking.decide(identifiedAs());
    expect(new Set(asked.map(({ v }) => v)).size).toBe(10);
    expect(times[0]).toBe(BigInt(ARRIVAL.receivedAt) * 1_000_000n);
    expect(asked[0]).toMatchObject({ context: { gateway: 'plant-7', revision: 'r1' } });
    expect(asking.revision).toBe('r1');
  });
});

describe('obligations that cannot be met deny', () => {
  const with_ = (obligations: object, told: Told = {}, changes: Partial<PolicyDeciderOptions> = {}) =>
    outcome(() => decider(answering(permit(obligations)).policy, changes).decide(identifiedAs(told)));

  it('an upstream or a privacy rule that is not configured', () => {
    expect(with_({})).toBe('allowed');
    expect(with_({ upstream: 'evil' })).toBe('SP_POLICY_OBLIGATION');
    expect(with_({ privacy: 'minimal' })).toBe('allowed');
    expect(with_({ privacy: 'nothing' })).toBe('SP_POLICY_OBLIGATION');
  });

  it('a device other than the one that the message names, or one that cannot be reached', () => {
    const valve = { ...DEVICE, id: 'valve-2', address: 'https://10.0.0.2' };
    const reachable = {
      reachableDevice: (id: string) => (id === 'valve-2' ? valve : undefined),
      knowsUpstream: () => true,
    };
    const told = { arrival: { targetDevice: 'valve-2' } };
    expect(with_({ upstream: 'device:valve-2' }, told, reachable)).toBe('allowed');
    expect(with_({ upstream: 'device:valve-3' }, told, reachable)).toBe('SP_POLICY_OBLIGATION');
    expect(with_({ upstream: 'device:' }, told, reachable)).toBe('SP_POLICY_OBLIGATION');
    expect(with_({ upstream: 'device:valve-2' }, {}, reachable)).toBe('SP_POLICY_OBLIGATION');
    expect(with_({ upstream: 'device:gone-1' }, { arrival: { targetDevice: 'gone-1' } }, reachable)).toBe(
      'SP_POLICY_OBLIGATION',
    );
  });
});

describe('the rate obligation', () => {
  const rate = { bucket: 'sensors/telemetry', perSecond: 1, burst: 2 };

  it('denies when it is used up, each device for itself', () => {
    const asking = decider(answering(permit({ rate })).policy);
    const ask = (id: string) => outcome(() => asking.decide(identifiedAs({ device: { id } })));
    expect([ask('a'), ask('a'), ask('a'), ask('b')]).toEqual(['allowed', 'allowed', 'rate-limited', 'allowed']);
  });

  it('takes no token of what is decided again, or denied', () => {
    const asking = decider(answering(permit({ rate })).policy);
    for (let times = 0; times < 5; times += 1)
      expect(outcome(() => asking.decide(identifiedAs(), true))).toBe('allowed');
    expect(outcome(() => asking.decide(identifiedAs()))).toBe('allowed');
    const unmet = decider(answering(permit({ rate, upstream: 'evil' })).policy, { rates: new RateLimits(() => 0) });
    for (let times = 0; times < 5; times += 1)
      expect(outcome(() => unmet.decide(identifiedAs()))).toBe('SP_POLICY_OBLIGATION');
  });
});

describe('the payload', () => {
  const document = { json: '{"serial":"SN-1"}' };

  it('is shown to a policy that inspects the segment, and to no other', () => {
    const inspecting = answering(permit());
    decider(inspecting.policy, { inspects: (segment) => segment === 'sensors' }).decide(identifiedAs({ document }));
    expect(inspecting.asked[0]).toMatchObject({ payload: { serial: 'SN-1' } });
    const blind = answering(permit());
    decider(blind.policy, { inspects: (segment) => segment === 'cameras' }).decide(identifiedAs({ document }));
    expect(blind.asked[0]).not.toHaveProperty('payload');
  });

  it('is never that of a stream', () => {
    const { asked, policy } = answering(permit());
    const stream = (async function* () {})();
    const told: Told = { document, arrival: { body: { kind: 'stream', stream, length: undefined } } };
    decider(policy, { inspects: () => true }).decide(identifiedAs(told));
    expect(asked[0]).not.toHaveProperty('payload');
  });

  it('that is larger than the limit denies', () => {
    const { policy } = answering(permit());
    const large = { json: JSON.stringify('x'.repeat(LIMITS.policyInputBytes)) };
    const asking = decider(policy, { inspects: () => true });
    expect(outcome(() => asking.decide(identifiedAs({ document: large })))).toBe('SP_POLICY_INPUT');
  });
});
