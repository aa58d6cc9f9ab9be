/** Opens what a gateway is made of, up to the listeners: the folder's lock, its log, the registry and its stream of the ledger. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Settings } from './config/settings.ts';
import { readKeyFile, readTextFile } from './identity/atomic-file.ts';
import { DeviceRegistry } from './identity/registry.ts';
import { authorityPaths } from './identity/trust.ts';
import { clockFloor } from './ledger/clock-floor.ts';
import { Ledger } from './ledger/ledger.ts';
import { streamOf } from './ledger/streams.ts';
import { type Provision, provision } from './provision.ts';
import { DirectoryLock } from './store/directory-lock.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import { type Log, openLog } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import { ALONE, type Crew } from './workers/crew.ts';
import { shareOf } from './workers/share.ts';

export interface GatewayOptions {
  readonly acceptClock?: boolean;
  /** The other workers. None when left out. */
  readonly crew?: Crew;
}

export interface Parts {
  readonly provision: Provision;
  readonly crew: Crew;
  readonly lock: DirectoryLock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: SqliteStore;
  readonly registry: DeviceRegistry;
  readonly ledger: Ledger;
  /** A moment that has certainly passed, milliseconds since the epoch. */
  readonly floor: number;
}

/** Throws as Gateway.open; nothing stays open then. */
export async function openParts(directory: string, options: GatewayOptions): Promise<Parts> {
  const { acceptClock = false, crew = ALONE } = options;
  await crew.join();
  try {
    return await openJoined(directory, acceptClock, crew);
  } catch (thrown) {
    await crew.close();
    throw thrown;
  }
}

async function openJoined(directory: string, acceptClock: boolean, crew: Crew): Promise<Parts> {
  const provided = await provisionFor(directory, crew);
  const { settings } = provided;
  const lock = DirectoryLock.acquire(directory, crew.worker);
  const metrics = new Metrics(settings.upstreams.keys());
  const log = openLog(settings.log.level, {
    gateway: settings.gateway,
    ...(crew.of > 1 && { worker: crew.worker }),
    onDrop: (characters) => metrics.logDropped.addMany(characters),
  });
  let store: SqliteStore | undefined;
  try {
    store = SqliteStore.open(join(directory, 'state', 'registry.db'));
    const registry = await DeviceRegistry.open(store, Date.now);
    const folder = join(directory, 'ledger');
    const stream = streamOf(folder, crew.worker);
    const ledger = await Ledger.open(stream.directory, {
      gateway: settings.gateway,
      stream: stream.name,
      maxFileBytes: settings.limits.ledgerFileBytes,
      maxQueue: settings.limits.ledgerQueue,
      onCommit: (records, bytes, tookMicros) => metrics.ledgerCommit(records, bytes, tookMicros),
      onFailure: (fault) => {
        metrics.ledgerFailures.add();
        log.error({ code: fault.code, remedy: fault.entry.remedy }, fault.message);
      },
    });
    const floor = await clockFloor(folder, acceptClock);
    return { provision: provided, crew, lock, log, metrics, store, registry, ledger, floor };
  } catch (thrown) {
    await store?.close();
    lock.release();
    throw thrown;
  }
}

/** What the folder says, with this worker's share of what is bounded for the whole gateway. */
export async function provisionFor(directory: string, { of }: Crew): Promise<Provision> {
  const provided = await provision(directory);
  return { ...provided, settings: shareOf(provided.settings, of) };
}

/** Addresses are bound and workers started at the start: what changed there waits for the next one, and is said. */
export function waitingForRestart(before: Settings, after: Settings): string[] {
  const changed = (['https', 'coaps', 'metrics'] as const).filter((name) => {
    return JSON.stringify(before.listen[name]) !== JSON.stringify(after.listen[name]);
  });
  return [...changed.map((name) => `listen.${name}`), ...(before.workers === after.workers ? [] : ['workers'])];
}

/** What other devices are reached with: our authority, and our own certificate if there is one. */
export function deviceTrust(directory: string) {
  const own = join(directory, 'certs', 'gateway');
  const ca = readTextFile(authorityPaths(directory).certificate);
  try {
    return { ca, certificate: readTextFile(join(own, 'cert.pem')), key: readKeyFile(join(own, 'key.pem')) };
  } catch {
    return { ca };
  }
}

/** An address as a URL has it. */
export function shown({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Of this release. */
export function version(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;
}
