/** What `status` shows, put together from what the parts of a gateway say of themselves. */
import type { DeviceState } from '../exchange/peer.ts';
import type { FaultCode } from '../faults/catalogue.ts';
import type { DeviceRegistry } from '../identity/registry.ts';
import type { StatusView } from './operations.ts';
import type { Tally } from './tally.ts';

export interface StatusFacts
  extends Pick<StatusView, 'gateway' | 'version' | 'pid' | 'ready' | 'revision' | 'listen' | 'connections' | 'drops'> {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly registry: DeviceRegistry;
  readonly tally: Tally;
  readonly upstreams: readonly {
    readonly name: string;
    readonly state: string;
    readonly inFlight: number;
    readonly lastError?: FaultCode;
    readonly lastErrorAt?: number;
  }[];
  readonly head: { readonly seq: number; readonly hash: string };
  /** Why the ledger cannot be written at present. */
  readonly ledgerFault: FaultCode | undefined;
  readonly lastReload: StatusView['lastReload'];
}

export function statusView({
  registry,
  tally,
  upstreams,
  head,
  ledgerFault,
  lastReload,
  startedAt,
  ...facts
}: StatusFacts): StatusView {
  const devices: Record<DeviceState, number> = { active: 0, disabled: 0, quarantined: 0, retired: 0 };
  for (const { state } of registry.list()) devices[state] += 1;
  return {
    ...facts,
    ready: facts.ready && ledgerFault === undefined,
    startedAt: new Date(startedAt).toISOString(),
    devices,
    permitted: tally.permitted,
    denied: tally.denied,
    failed: tally.failed,
    newlyDenied: tally.newlyDenied(Date.now()),
    upstreams: upstreams.map(({ name, state, inFlight, lastError, lastErrorAt }) => ({
      name,
      circuit: state,
      inFlight,
      ...(lastError !== undefined && { lastError }),
      ...(lastErrorAt !== undefined && { lastErrorAt: new Date(lastErrorAt).toISOString() }),
    })),
    ledger: { sequence: head.seq, head: head.hash, healthy: ledgerFault === undefined },
    ...(lastReload && { lastReload }),
  };
}

/** One view of several workers: what they count is added up, and what is wrong with one of them is wrong with the gateway. */
export function merged(
  lead: StatusView,
  others: readonly StatusView[],
  workers: StatusView['workers'] = [],
): StatusView {
  if (workers.length < 2) return lead;
  const all = [lead, ...others];
  const sum = (of: (view: StatusView) => number) => all.reduce((total, view) => total + of(view), 0);
  const drops: Record<string, number> = {};
  for (const [reason, count] of all.flatMap((view) => Object.entries(view.drops))) {
    drops[reason] = (drops[reason] ?? 0) + count;
  }
  return {
    ...lead,
    workers,
    ready: all.every(({ ready }) => ready),
    connections: sum(({ connections }) => connections),
    permitted: sum(({ permitted }) => permitted),
    denied: sum(({ denied }) => denied),
    failed: sum(({ failed }) => failed),
    drops,
    newlyDenied: turned(all),
    upstreams: upstreamsOf(all),
    ledger: { ...lead.ledger, healthy: all.every(({ ledger }) => ledger.healthy) },
  };
}

function turned(all: readonly StatusView[]): StatusView['newlyDenied'] {
  const sums = new Map<string, { device: string; reason: string; count: number }>();
  for (const { device, reason, count } of all.flatMap(({ newlyDenied }) => newlyDenied)) {
    const key = `${device} ${reason}`;
    sums.set(key, { device, reason, count: count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()].sort((a, b) => b.count - a.count || (a.device < b.device ? -1 : 1));
}

/** The circuit that is least well, the latest error, the sum of what is under way. */
function upstreamsOf(all: readonly StatusView[]): StatusView['upstreams'] {
  const byName = new Map<string, StatusView['upstreams'][number]>();
  for (const one of all.flatMap(({ upstreams }) => upstreams)) {
    const before = byName.get(one.name);
    if (!before) {
      byName.set(one.name, one);
      continue;
    }
    const later = (one.lastErrorAt ?? '') > (before.lastErrorAt ?? '') ? one : before;
    const circuit = before.circuit === 'closed' ? one.circuit : before.circuit;
    byName.set(one.name, { ...later, circuit, inFlight: before.inFlight + one.inFlight });
  }
  return [...byName.values()];
}
