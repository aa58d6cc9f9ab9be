/** A device as a person reads it, and what a person can paste. */
import { relative } from 'node:path';
import type { DeviceView } from '../admin/operations.ts';
import type { Settings } from '../config/settings.ts';
import type { DeviceState } from '../exchange/peer.ts';
import { paint, relativeTime, table } from './terminal.ts';

/** One device, a fact a line. */
export function described(view: DeviceView): string {
  const labels = Object.entries(view.labels).map(([key, value]) => `${key}=${value}`);
  const rows: [string, string | undefined][] = [
    ['device', view.id],
    ['segment', view.segment],
    ['state', colouredState(view.state)],
    ['key', view.key],
    ...(view.method === 'certificate'
      ? ([
          ['certificate', `serial ${view.serial}, by ${view.issuer}`],
          ['names', view.names.join(', ')],
          ['ends', expiry(view)],
        ] as [string, string][])
      : ([['proves itself', bareProof(view)]] as [string, string][])),
    ['labels', labels.length > 0 ? labels.join(', ') : undefined],
    ['manufacturer', view.manufacturer],
    ['model', view.model],
    ['firmware', view.firmware],
    ['address', view.address],
    ['connections', view.connections === undefined ? undefined : String(view.connections)],
    ['added', view.addedAt],
  ];
  return table(
    rows
      .filter((row): row is [string, string] => row[1] !== undefined)
      .map(([key, value]) => [paint('dim', key), value]),
  );
}

export function colouredState(state: DeviceState): string {
  return paint(state === 'active' ? 'green' : state === 'quarantined' ? 'yellow' : 'red', state);
}

function bareProof({ method, names }: DeviceView): string {
  if (method === 'raw-key') return 'by its raw public key (RFC 7250)';
  return `by a pre-shared key, identity ${names[0]?.replace(/^PSK:/, '') ?? ''}`;
}

/** When what it proves itself with ends. */
export function expiry({ notAfter, method }: DeviceView): string {
  if (method !== 'certificate') return method === 'psk' ? 'never (pre-shared key)' : 'never (raw public key)';
  return `${notAfter.slice(0, 10)} (${relativeTime(Date.parse(notAfter) - Date.now())})`;
}

/** Said after a change. */
export function effect(live: boolean): string {
  return live ? '' : ' (the gateway is not running; it will see this when it starts)';
}

/** A path as it is shortest from where the command was typed. */
export function here(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}

/** The end of a coap-client line: where to, and a message that a first configuration permits. */
export function trial({ listen }: Settings): string {
  return `-t application/json -e '{"serial":"SN-1","temperature":21.5,"owner":"Ada"}' coaps://localhost:${listen.coaps?.port ?? 5684}/v1/telemetry`;
}
