/** What `status` shows, put together from what the parts of a gateway say of themselves. */
import type { DeviceState } from '../exchange/peer.ts';
import type { FaultCode } from '../faults/catalogue.ts';
import type { DeviceRegistry } from '../identity/registry.ts';
import type { StatusView } from './operations.ts';
import type { Tally } from './tally.ts';

export interface StatusFacts
  extends Pick<StatusView, 'gateway' | 'version' | 'ready' | 'revision' | 'listen' | 'connections' | 'drops'> {
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
    pid: process.pid,
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
