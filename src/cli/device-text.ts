/** A device as a person reads it. */
import type { DeviceView } from '../admin/operations.ts';
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
    ['certificate', `serial ${view.serial}, by ${view.issuer}`],
    ['names', view.names.join(', ')],
    ['ends', expiry(view)],
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

export function expiry({ notAfter }: DeviceView): string {
  return `${notAfter.slice(0, 10)} (${relativeTime(Date.parse(notAfter) - Date.now())})`;
}
