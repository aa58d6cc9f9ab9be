/** `sallyport doctor`: everything that can be wrong with a gateway's folder and its surroundings, and the command that mends it. */

import { lookup } from 'node:dns/promises';
import { lstatSync, readdirSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ask } from '../admin/client.ts';
import { ConfigurationError } from '../config/load.ts';
import type { Address, Settings } from '../config/settings.ts';
import { UdpSocket } from '../dtls/net/udp.ts';
import { Fault } from '../faults/fault.ts';
import { tailAll } from '../ledger/streams.ts';
import { provision } from '../provision.ts';
import { DirectoryLock } from '../store/directory-lock.ts';
import { ledgerFolder } from './audit.ts';
import { ageOfCertificates } from './certificates.ts';
import { answering, EXIT } from './command.ts';
import { paint, relativeTime, withProgress } from './terminal.ts';
import {
  devicesInUse,
  endingCertificates,
  speechlessDevices,
  strandedDevices,
  unusableKeys,
  unusedRego,
} from './worries.ts';

export interface Finding {
  readonly check:
    | 'clock'
    | 'configuration'
    | 'policy'
    | 'ports'
    | 'modes'
    | 'certificates'
    | 'devices'
    | 'disk'
    | 'ledger'
    | 'gateway';
  readonly level: 'ok' | 'warning' | 'problem';
  readonly text: string;
  readonly remedy?: string;
}

const DAY_MS = 86_400_000;
const WARN_DAYS = 30;
const MIN_FREE_BYTES = 256 * 1_048_576;
/** Sallyport did not exist before; a clock that says so is wrong. */
const EARLIEST_MS = Date.UTC(2026, 0, 1);

export function registerDoctor(root: Command): void {
  root
    .command('doctor')
    .description('check clock, ports, file modes, certificate ages, policy, disk and ledger, and say how to mend each')
    .action(
      answering(async ({ directory }) => {
        const findings = await withProgress('examining', () => examine(directory));
        const bad = findings.some(({ level }) => level === 'problem');
        return {
          json: { ok: !bad, findings },
          text: findings.map(rendered).join('\n'),
          exit: bad ? EXIT.no : EXIT.yes,
        };
      }),
    );
}

/** All findings, in a fixed order; those that are fine too. Never throws for what is wrong with the folder. */
export async function examine(directory: string): Promise<Finding[]> {
  const running = isRunning(directory);
  const { settings, findings: loaded } = await configuration(directory);
  return [
    running ? await gatewaySays(directory) : { check: 'gateway', level: 'ok', text: 'no gateway runs on this folder' },
    ...(await clock(directory)),
    ...loaded,
    ...(settings ? await ports(settings, running) : []),
    ...modes(directory),
    ...certificates(directory),
    ...(settings ? await devices(settings) : []),
    ...disk(directory),
    ...(await ledger(directory)),
  ];
}

async function gatewaySays(directory: string): Promise<Finding> {
  const status = await ask(directory, 'status').catch(() => undefined);
  if (!status) {
    const remedy = 'look at its log; kill and start it if it hangs';
    return { check: 'gateway', level: 'problem', text: 'a gateway holds this folder and does not answer', remedy };
  }
  if (status.ready) return { check: 'gateway', level: 'ok', text: `a gateway runs on this folder, pid ${status.pid}` };
  const text = status.ledger.healthy
    ? 'the gateway is not ready'
    : 'the gateway cannot write its ledger and denies everything';
  const remedy = 'look at its log and at the disk; `sallyport audit verify` says whether the ledger was changed';
  return { check: 'gateway', level: 'problem', text, remedy };
}

function isRunning(directory: string): boolean {
  try {
    return DirectoryLock.isHeld(directory);
  } catch {
    return false;
  }
}

async function configuration(directory: string): Promise<{ settings?: Settings; findings: Finding[] }> {
  try {
    const { settings, revision } = await provision(directory);
    return {
      settings,
      findings: [
        { check: 'configuration', level: 'ok', text: `sallyport.yaml is right, revision ${revision}` },
        {
          check: 'policy',
          level: 'ok',
          text: `${settings.policy.module ?? 'the policy that ships'} loads and passes its canaries`,
        },
        ...unusedRego(settings).map(
          ({ text, remedy }): Finding => ({ check: 'policy', level: 'warning', text, remedy }),
        ),
      ],
    };
  } catch (thrown) {
    const fault = Fault.from(thrown);
    const check = fault.code.startsWith('SP_POLICY') ? 'policy' : 'configuration';
    const text = fault instanceof ConfigurationError ? `${fault.message}\n${fault.text}` : fault.message;
    return { findings: [{ check, level: 'problem', text, remedy: fault.entry.remedy }] };
  }
}

async function clock(directory: string): Promise<Finding[]> {
  const now = Date.now();
  const [last] = await tailAll(ledgerFolder(directory), 1).catch(() => []);
  const time = last && 'time' in last ? last.time : 0;
  if (now < EARLIEST_MS || now + 60_000 < time) {
    const text = `the clock says ${new Date(now).toISOString()}${time > now ? `, but the ledger’s last record is of ${new Date(time).toISOString()}` : ''}`;
    return [
      {
        check: 'clock',
        level: 'problem',
        text,
        remedy:
          'set the clock (timedatectl set-ntp true); if it is right now and was wrong before: sallyport run --accept-clock',
      },
    ];
  }
  return [{ check: 'clock', level: 'ok', text: `the clock says ${new Date(now).toISOString()}` }];
}

async function ports(settings: Settings, running: boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [name, address] of Object.entries(settings.listen)) {
    if (!address || address.port === 0) continue;
    const where = `${address.host}:${address.port} (listen.${name})`;
    if (running) {
      findings.push({ check: 'ports', level: 'ok', text: `${where} is the gateway’s` });
      continue;
    }
    const udp = name === 'coaps';
    const code = await (udp ? udpError(address) : bindError(address.host, address.port));
    if (code === undefined) findings.push({ check: 'ports', level: 'ok', text: `${where} is free` });
    else {
      const remedy =
        code === 'EACCES'
          ? 'choose a port above 1023, or allow it: setcap cap_net_bind_service=+ep $(which node)'
          : `choose another port in sallyport.yaml, or find who has it: ss -l${udp ? 'u' : 't'}np sport = :${address.port}`;
      findings.push({ check: 'ports', level: 'problem', text: `${where} cannot be used: ${code}`, remedy });
    }
  }
  return findings;
}

async function udpError({ host, port }: Address): Promise<string | undefined> {
  try {
    const { address } = await lookup(host);
    await (await UdpSocket.bind({ host: address, port })).close();
    return undefined;
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    return code ?? message;
  }
}

function bindError(host: string, port: number): Promise<string | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => done(undefined)));
  });
}

/** Whatever holds a key, and every folder of ours, is for its owner alone. */
function modes(directory: string): Finding[] {
  const wrong: Finding[] = [];
  const visit = (path: string, depth: number) => {
    const facts = lstatSync(path, { throwIfNoEntry: false });
    if (!facts || facts.isSymbolicLink()) return;
    const secret = facts.isDirectory() || /(?:key\.pem|\.json|\.db|\.db-wal|\.db-shm|\.jsonl|\.sock)$/.test(path);
    const mode = facts.mode & 0o777;
    if (secret && (mode & 0o077) !== 0) {
      const right = facts.isDirectory() ? '700' : '600';
      wrong.push({
        check: 'modes',
        level: 'problem',
        text: `${path} has mode ${mode.toString(8)}: others can use it`,
        remedy: `chmod ${right} ${path}`,
      });
    }
    if (facts.isDirectory() && depth < 4) for (const name of readdirSync(path)) visit(join(path, name), depth + 1);
  };
  for (const name of ['ca', 'certs', 'keys', 'state', 'ledger', 'run', 'devices']) visit(join(directory, name), 0);
  return wrong.length > 0
    ? wrong.slice(0, 20)
    : [{ check: 'modes', level: 'ok', text: 'keys and folders are readable by their owner alone' }];
}

function certificates(directory: string): Finding[] {
  const now = Date.now();
  return ageOfCertificates(directory).map(({ file, notBefore, notAfter }): Finding => {
    const left = notAfter - now;
    const ends = `${file} ${left < 0 ? 'expired' : 'expires'} ${relativeTime(left)} (${new Date(notAfter).toISOString().slice(0, 10)})`;
    if (now < notBefore) {
      return {
        check: 'certificates',
        level: 'problem',
        text: `${file} is not valid yet`,
        remedy: 'check the clock: date -u',
      };
    }
    if (left > WARN_DAYS * DAY_MS) return { check: 'certificates', level: 'ok', text: ends };
    return {
      check: 'certificates',
      level: left < 0 ? 'problem' : 'warning',
      text: ends,
      remedy: 'sallyport ca renew, then sallyport config reload',
    };
  });
}

/** Devices that cannot come in, or soon cannot, though nobody decided so. */
async function devices(settings: Settings): Promise<Finding[]> {
  try {
    const inUse = await devicesInUse(settings);
    const worries = [
      ...strandedDevices(settings, inUse),
      ...endingCertificates(inUse, Date.now()),
      ...speechlessDevices(settings, inUse),
      ...unusableKeys(settings, inUse),
    ];
    if (worries.length === 0) {
      const text = `${inUse.length} in use, each in a segment that is configured, none with a certificate that ends within ${WARN_DAYS} days`;
      return [{ check: 'devices', level: 'ok', text }];
    }
    return worries.map(({ text, remedy, grave }) => ({
      check: 'devices',
      level: grave ? 'problem' : 'warning',
      text,
      remedy,
    }));
  } catch (thrown) {
    const { message, entry } = Fault.from(thrown);
    return [
      { check: 'devices', level: 'problem', text: `the registry cannot be read: ${message}`, remedy: entry.remedy },
    ];
  }
}

function disk(directory: string): Finding[] {
  try {
    const { bavail, bsize } = statfsSync(directory);
    const free = bavail * bsize;
    const text = `${Math.round(free / 1_048_576)} MiB free for the ledger`;
    if (free > MIN_FREE_BYTES) return [{ check: 'disk', level: 'ok', text }];
    return [
      {
        check: 'disk',
        level: 'problem',
        text,
        remedy: 'make room: without it nothing can be recorded and everything is denied',
      },
    ];
  } catch (thrown) {
    return [
      {
        check: 'disk',
        level: 'problem',
        text: (thrown as Error).message,
        remedy: 'make the folder with `sallyport init`',
      },
    ];
  }
}

async function ledger(directory: string): Promise<Finding[]> {
  try {
    const last = await tailAll(ledgerFolder(directory), 1);
    const text = last.length === 0 ? 'the ledger is empty' : `the ledger’s last record is ${last[0]?.seq}`;
    return [{ check: 'ledger', level: 'ok', text: `${text}; \`sallyport audit verify\` checks every one` }];
  } catch (thrown) {
    return [
      {
        check: 'ledger',
        level: 'problem',
        text: (thrown as Error).message,
        remedy: 'look at the mode of the ledger folder, then `sallyport audit verify`',
      },
    ];
  }
}

function rendered({ level, check, text, remedy }: Finding): string {
  const mark = level === 'ok' ? paint('green', '✓') : level === 'warning' ? paint('yellow', '!') : paint('red', '✗');
  return `${mark} ${check.padEnd(13)} ${text}${remedy === undefined ? '' : `\n                → ${remedy}`}`;
}
