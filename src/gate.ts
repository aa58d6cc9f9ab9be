/** What a message is passed through, built of the parts that outlive a revision: its gate, and the passage that listeners see. */
import { randomUUIDv7 } from 'node:crypto';
import type { ActPorts } from './admin/acts.ts';
import type { Tally } from './admin/tally.ts';
import type { Settings } from './config/settings.ts';
import type { Gate, Passage } from './exchange/gate.ts';
import type { Device } from './exchange/peer.ts';
import { pass, reconsider } from './exchange/pipeline.ts';
import { claimedDevice } from './identity/device-id.ts';
import type { DeviceIdentifier } from './identity/identifier.ts';
import type { DeviceRegistry } from './identity/registry.ts';
import type { LiveSessions } from './identity/sessions.ts';
import type { Ledger } from './ledger/ledger.ts';
import { RefusalQuota } from './ledger/refusal-quota.ts';
import { PolicyDecider } from './policy/decider.ts';
import type { RateLimits } from './policy/rate.ts';
import { PrivacyTransformer } from './privacy/transformer.ts';
import type { Provision } from './provision.ts';
import type { Log } from './telemetry/log.ts';
import type { Metrics } from './telemetry/metrics.ts';
import type { UpstreamForwarder } from './upstreams/forwarder.ts';

export interface GateParts {
  readonly registry: DeviceRegistry;
  readonly identifier: DeviceIdentifier;
  readonly sessions: LiveSessions;
  readonly rates: RateLimits;
  readonly ledger: Ledger;
  readonly forwarder: UpstreamForwarder;
  readonly metrics: Metrics;
  readonly tally: Tally;
  readonly log: Log;
  /** The device with this id, if it can be reached as an upstream. */
  readonly reachableDevice: (id: string) => Device | undefined;
}

export function gateOf(parts: GateParts, { settings, revision, policy, data, keys }: Provision): Gate {
  const { registry, metrics, tally, log } = parts;
  const { upstreams, privacy, limits, gateway } = settings;
  return {
    identifier: parts.identifier,
    decider: new PolicyDecider({
      policy,
      rates: parts.rates,
      limits,
      gateway,
      revision,
      inspects: (segment) => data.inspects(segment),
      inspectsRoute: (route) => data.inspectsRoute(route),
      knowsUpstream: (name) => upstreams.has(name) || name.startsWith('device:'),
      knowsPrivacy: (name) => privacy.has(name) || name === 'unchanged',
      onDecided: (tookMicros) => metrics.decisionSeconds.observe(tookMicros / 1e6),
      reachableDevice: parts.reachableDevice,
    }),
    transformer: new PrivacyTransformer({
      rules: privacy,
      keys,
      limits,
      literals: literalsOf(settings),
      isKnownSegment: (segment) => registry.byId(segment) !== undefined,
    }),
    recorder: parts.ledger,
    forwarder: parts.forwarder.current(),
    now: Date.now,
    micros: () => Math.round(performance.now() * 1_000),
    decisionId: () => randomUUIDv7(),
    observe: (arrival, outcome, { device, obligations, tookMicros }) => {
      tally.observe(arrival, outcome, device, Date.now());
      metrics.exchange(arrival, outcome, tookMicros);
      if (obligations) metrics.upstream(obligations.upstream, outcome);
      log.outcome(arrival, outcome, device, obligations?.quiet);
    },
  };
}

/** What listeners are given: `gate` is asked for each message, so that a reload takes effect at once. */
export function passageOf(parts: GateParts, gate: () => Gate): Passage {
  const { registry, identifier, sessions, ledger, metrics, log } = parts;
  const quota = new RefusalQuota();
  return {
    decisionId: () => randomUUIDv7(),
    now: Date.now,
    admit: (peer) => identifier.admit(peer),
    pass: (arrival) => pass(arrival, gate()),
    reconsider: (arrival) => reconsider(arrival, gate()),
    attend: (session) => {
      const signOff = sessions.attend(session);
      metrics.connections.add(1, session.protocol);
      let open = true;
      return () => {
        if (open) metrics.connections.add(-1, session.protocol);
        open = false;
        signOff();
      };
    },
    drop: (reason, peer, why) => {
      metrics.drop(reason);
      const device = peer.key === undefined ? undefined : registry.byKey(peer.key)?.device.id;
      log.drop(reason, peer, why, { device, claims: claimedDevice(peer.names ?? []) });
    },
    refuse: (code, decision, peer) => {
      metrics.refusal(code);
      log.refusal(code, decision, peer);
      const unrecorded = quota.take(peer.key, performance.now());
      if (unrecorded === undefined) return;
      const device = registry.byKey(peer.key)?.device.id;
      const time = Date.now();
      ledger.refusal({ decision, time, fault: code, peer, unrecorded, ...(device !== undefined && { device }) });
    },
  };
}

/** Where acts of operators are put on record. */
export function actsOf({ ledger, log }: GateParts, revision: () => string): ActPorts {
  return {
    by: 'gateway',
    record: (record) => ledger.operator(record),
    keep: (record) => ledger.keepOperator(record),
    revision,
    now: Date.now,
    decisionId: () => randomUUIDv7(),
    onUnrecorded: ({ act, device, decision }) => {
      log.error({ code: 'SP_LEDGER_WRITE', act, device, decision }, 'took effect before it was on record');
    },
  };
}

/** Path segments that the configuration names. */
function literalsOf({ segments }: Settings): ReadonlySet<string> {
  return new Set(
    [...segments.values()]
      .flatMap(({ routes, reach }) => [...routes, ...[...reach.values()].flat()])
      .flatMap(({ path }) => path.split('/')),
  );
}
