/** `sallyport status`: what an operator asks at three in the morning, worst first. */
import type { Command } from 'commander';
import { ask } from '../admin/client.ts';
import type { DeviceView, StatusView } from '../admin/operations.ts';
import { ageOfCertificates } from './certificates.ts';
import { answering } from './command.ts';
import { paint, relativeTime } from './terminal.ts';

const DAY_MS = 86_400_000;
const SOON_DAYS = 30;

export function registerStatus(root: Command): void {
  root
    .command('status')
    .description('is it up, is anything denied that used to pass, what expires soon, is the disk all right')
    .action(
      answering(async ({ directory }) => {
        const [status, devices] = await Promise.all([ask(directory, 'status'), ask(directory, 'device-list')]);
        const expiring = expiringOf(directory, devices);
        return { json: { ...status, expiring }, text: render(status, expiring), exit: status.ready ? 0 : 1 };
      }),
    );
}

interface Expiring {
  readonly what: string;
  /** ISO 8601. */
  readonly notAfter: string;
}

function expiringOf(directory: string, devices: readonly DeviceView[]): Expiring[] {
  const all = [
    ...ageOfCertificates(directory).map(({ file, notAfter }) => ({
      what: file,
      notAfter: new Date(notAfter).toISOString(),
    })),
    ...devices
      .filter(({ state }) => state !== 'retired')
      .map(({ id, notAfter }) => ({ what: `device ${id}`, notAfter })),
  ];
  const soon = Date.now() + SOON_DAYS * DAY_MS;
  return all
    .filter(({ notAfter }) => Date.parse(notAfter) < soon)
    .sort((a, b) => Date.parse(a.notAfter) - Date.parse(b.notAfter));
}

function serving({ workers }: StatusView): string {
  return workers === undefined ? '' : `, ${workers.length} workers`;
}

function render(status: StatusView, expiring: readonly Expiring[]): string {
  const worries: string[] = [];
  if (!status.ledger.healthy)
    worries.push(`${paint('red', '✗')} the ledger cannot be written: everything is denied      sallyport doctor`);
  if (!status.ready) worries.push(`${paint('red', '✗')} not ready      sallyport doctor`);
  if (status.lastReload && !status.lastReload.ok) {
    worries.push(
      `${paint('red', '✗')} the last reload (${status.lastReload.at}) changed nothing: ${status.lastReload.message}      sallyport config check`,
    );
  }
  for (const { name, circuit, lastError, lastErrorAt } of status.upstreams) {
    if (circuit !== 'closed')
      worries.push(
        `${paint('red', '✗')} upstream ${name}: circuit ${circuit}, ${lastError ?? ''} ${lastErrorAt ?? ''}`.trimEnd(),
      );
  }
  for (const { device, reason, count } of status.newlyDenied.slice(0, 5)) {
    worries.push(
      `${paint('yellow', '!')} ${device} was permitted and is now denied: ${reason}, ${count} times      sallyport audit tail`,
    );
  }
  for (const { what, notAfter } of expiring.slice(0, 5)) {
    const left = Date.parse(notAfter) - Date.now();
    worries.push(
      `${paint(left < 7 * DAY_MS ? 'red' : 'yellow', '!')} ${what} expires ${relativeTime(left)}      sallyport doctor`,
    );
  }
  const drops = Object.entries(status.drops)
    .filter(([, count]) => count > 0)
    .sort(([, a], [, b]) => b - a);
  const devices = Object.entries(status.devices)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${count} ${state}`);
  const uptime = relativeTime(Date.parse(status.startedAt) - Date.now());
  return [
    `${paint(status.ready ? 'green' : 'red', status.ready ? '● up' : '● not ready')}  ${status.gateway}  ${Object.entries(
      status.listen,
    )
      .map(([kind, at]) => `${kind} ${at}`)
      .join('  ')}  started ${uptime}, pid ${status.pid}${serving(status)}`,
    ...worries,
    `  ${status.permitted} permitted, ${status.denied} denied, ${status.failed} failed since then      sallyport audit tail`,
    `  ${status.connections} connections; devices: ${devices.join(', ') || 'none'}      sallyport device list`,
    ...(drops.length > 0 ? [`  dropped: ${drops.map(([reason, count]) => `${count} ${reason}`).join(', ')}`] : []),
    `  revision ${status.revision}, ledger head ${status.ledger.sequence}:${status.ledger.head}`,
  ].join('\n');
}
