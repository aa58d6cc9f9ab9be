/**
 * The composition root: builds every part of what provision.ts read and plugs them together. The only file that may import
 * every folder. Life cycle: provision, open, listen, reload, close in reverse.
 */
import { type ActPorts, onRecord } from './admin/acts.ts';
import { deviceOperations } from './admin/device-operations.ts';
import type { Operations, Reloaded, StatusView } from './admin/operations.ts';
import { AdminServer } from './admin/server.ts';
import { merged, statusView } from './admin/status-view.ts';
import { Tally } from './admin/tally.ts';
import { Doors } from './doors.ts';
import type { Gate } from './exchange/gate.ts';
import { Fault } from './faults/fault.ts';
import { actsOf, type GateParts, gateOf } from './gate.ts';
import { DeviceIdentifier } from './identity/identifier.ts';
import { keyOf } from './identity/public-key.ts';
import type { DeviceRegistry } from './identity/registry.ts';
import { LiveSessions } from './identity/sessions.ts';
import type { Ledger } from './ledger/ledger.ts';
import { streamOf } from './ledger/streams.ts';
import { HttpsListener } from './listeners/https/listener.ts';
import type { TlsMaterial } from './listeners/https/tls-context.ts';
import {
  deviceTrust,
  type GatewayOptions,
  openParts,
  type Parts,
  provisionFor,
  version,
  waitingForRestart,
} from './parts.ts';
import { RateLimits } from './policy/rate.ts';
import { listenerTls, type Provision } from './provision.ts';
import type { DirectoryLock } from './store/directory-lock.ts';
import type { SqliteStore } from './store/sqlite-store.ts';
import { LocalServer } from './telemetry/local-server.ts';
import type { Log } from './telemetry/log.ts';
import { mergePages } from './telemetry/merge-pages.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { UpstreamForwarder } from './upstreams/forwarder.ts';
import type { Crew } from './workers/crew.ts';
import type { Decided, WorkerDuties } from './workers/duties.ts';
import { watchRegistry } from './workers/registry-watch.ts';

/** How often sessions are looked through for certificates that expired while connected. */
const EXPIRY_SWEEP_MS = 60_000;

export class Gateway {
  readonly #directory: string;
  /** The other workers, if there are any. */
  readonly #crew: Crew;
  readonly #lock: DirectoryLock;
  readonly #store: SqliteStore;
  readonly #registry: DeviceRegistry;
  readonly #identifier: DeviceIdentifier;
  readonly #sessions: LiveSessions;
  readonly #ledger: Ledger;
  readonly #forwarder: UpstreamForwarder;
  readonly #rates: RateLimits;
  readonly #metrics: Metrics;
  readonly #tally = new Tally();
  readonly #acts: ActPorts;
  readonly #startedAt = Date.now();
  /** The lead's alone. */
  readonly #admin: AdminServer | undefined;
  readonly log: Log;
  #provision: Provision;
  /** Replaced as one value on reload: an exchange sees one revision from its beginning to its end. */
  #gate: Gate;
  readonly #doors: Doors;
  #local: LocalServer | undefined;
  #ready = false;
  #sweeping: NodeJS.Timeout | undefined;
  #stopWatching: () => void = () => {};
  #prepared: Prepared | undefined;
  #closing: Promise<void> | undefined;
  #reloading: Promise<unknown> = Promise.resolve();
  #lastReload: StatusView['lastReload'];
  #addresses: Record<string, string> = {};

  private constructor(parts: Parts) {
    this.#directory = parts.provision.settings.directory;
    this.#crew = parts.crew;
    const { counts, worker } = parts.crew;
    this.#rates = new RateLimits(() => performance.now(), undefined, counts);
    if (counts) counts.onTaken = (taken) => this.#rates.absorb(...taken);
    this.#lock = parts.lock;
    this.#store = parts.store;
    this.#registry = parts.registry;
    this.#ledger = parts.ledger;
    this.log = parts.log;
    this.#metrics = parts.metrics;
    this.#provision = parts.provision;
    this.#identifier = new DeviceIdentifier(parts.registry, { now: Date.now, floor: () => parts.floor });
    this.#sessions = new LiveSessions({
      admit: (peer) => this.#identifier.admit(peer),
      keysOf: (id) => this.#registry.keysOf(id),
      monotonicMs: () => performance.now(),
    });
    this.#forwarder = new UpstreamForwarder(parts.provision.settings, {
      keyOf,
      now: Date.now,
      deviceAddress: (id) => this.#deviceAddress(id),
      deviceTrust: () => deviceTrust(this.#directory),
    });
    this.#gate = gateOf(this.#gateParts(), parts.provision);
    this.#metrics.policyRevision.set(parts.provision.revision);
    this.#metrics.ledgerQueued.from(() => this.#ledger.queued);
    this.#metrics.ledgerLostOutcomes.from(() => this.#ledger.lostOutcomes);
    this.#doors = new Doors({
      directory: this.#directory,
      crew: this.#crew,
      parts: this.#gateParts(),
      gate: () => this.#gate,
      settings: () => this.#provision.settings,
    });
    this.#registry.onChange(({ id }) => {
      void this.#sessions.reconsiderDevice(id);
      this.#doors.reconsider(id);
    });
    this.#acts = actsOf(this.#gateParts(), () => this.#provision.revision);
    this.#admin = worker === 0 ? new AdminServer(this.#directory, this.#operations()) : undefined;
  }

  /**
   * Takes the folder's lock and opens everything but the listeners.
   * @param options `acceptClock`: believe the clock although the ledger has records of a later time
   * @throws Fault SP_GATEWAY_RUNNING, SP_GATEWAY_CLOCK, SP_CONFIG_*, SP_POLICY_*, SP_LEDGER_*, SP_STORE_FAILED, SP_KEY_INVALID
   */
  static async open(directory: string, options: GatewayOptions = {}): Promise<Gateway> {
    return new Gateway(await openParts(directory, options));
  }

  /** Opens the admin socket and the listeners; the lead's resolves when all workers listen. Throws SP_GATEWAY_LISTEN. */
  listen(): Promise<void> {
    if (this.#crew.worker > 0) return this.#listen();
    return onRecord(this.#acts, 'opens', { act: 'start', to: this.#provision.revision }, () => this.#listen());
  }

  async #listen(): Promise<void> {
    try {
      await this.#crew.enlist(this.#duties());
      const { listen } = this.#provision.settings;
      await this.#admin?.listen();
      if (listen.metrics && this.#crew.worker === 0) {
        const metrics = { render: () => this.#page() };
        this.#local = new LocalServer({ address: listen.metrics, metrics, ready: () => this.#checks() });
        this.#addresses.metrics = await this.#local.listen();
      }
      const { place, shown } = await this.#doors.open();
      Object.assign(this.#addresses, shown);
      this.#watch();
      await this.#crew.serving(place);
      this.#sweeping = setInterval(() => this.#sessions.closeUnadmitted(), EXPIRY_SWEEP_MS).unref();
      this.#ready = this.#closing === undefined;
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  /** What others write to the registry takes effect here, whoever wrote it and whether or not we are told. */
  #watch(): void {
    this.#stopWatching = watchRegistry({
      stamp: () => this.#store.stamp(),
      refresh: async () => {
        if ((await this.#registry.refresh()) > 0) this.#trustChanged();
      },
      onBlind: (fault) => {
        this.log.error({ code: fault.code, error: fault }, 'the registry cannot be read');
        // The lead makes every change itself; a follower would not hear of one.
        if (this.#crew.worker > 0) process.nextTick(() => Promise.reject(fault));
      },
    });
  }

  /** Where it listens, by listener. */
  get addresses(): Readonly<Record<string, string>> {
    return this.#addresses;
  }

  /**
   * Takes over configuration, certificates, keys and policy as they are in the folder now. All or nothing; sessions are
   * decided anew, connections stay. Addresses (listen) wait for the next start.
   */
  reload(): Promise<Reloaded> {
    return this.#inTurn(() => this.#reload());
  }

  /** One after the other: each takes over the folder as it is when its turn comes. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#reloading.then(work);
    this.#reloading = turn.catch(() => undefined);
    return turn;
  }

  async #reload(): Promise<Reloaded> {
    const at = new Date().toISOString();
    try {
      if (this.#closing) throw new Fault('SP_GATEWAY_DRAINING');
      const restart = await this.#prepare();
      const [from, to] = [this.#provision.revision, this.#prepared?.next.revision ?? ''];
      const [others, own] = await onRecord(this.#acts, 'opens', { act: 'reload', from, to }, async () => {
        await this.#crew.prepare(this.#prepared?.next.fingerprint ?? '');
        // Every worker has tried it: from here on nothing fails.
        return await Promise.all([this.#crew.commit(), this.#commit()]);
      });
      const { revision } = this.#provision;
      const sum = (of: (one: Decided) => number) => [own, ...others].reduce((total, one) => total + of(one), 0);
      const decided = { reconsidered: sum((one) => one.reconsidered), closed: sum((one) => one.closed) };
      this.#lastReload = { at, ok: true, message: `revision ${revision}` };
      this.log.info({ event: 'reload', revision, closed: decided.closed }, 'reloaded');
      return { revision, ...decided, restart };
    } catch (thrown) {
      const fault = Fault.from(thrown);
      this.#prepared = undefined;
      this.#lastReload = { at, ok: false, message: fault.message };
      this.log.error(
        { code: fault.code, remedy: fault.entry.remedy, revision: this.#provision.revision },
        `reload changed nothing: ${fault.message}`,
      );
      throw fault;
    }
  }

  /** The first half of a reload, in which everything that can fail does. Returns the keys that wait for the next start. */
  async #prepare(): Promise<string[]> {
    const next = await provisionFor(this.#directory, this.#crew);
    const tls = listenerTls(this.#directory);
    HttpsListener.check(tls);
    this.#prepared = { next, tls };
    return waitingForRestart(this.#provision.settings, next.settings);
  }

  /** The second half. Settings first and at once: no message sees one part of the old and one of the new. */
  async #commit(): Promise<Decided> {
    if (!this.#prepared) throw new Fault('SP_GATEWAY_WORKER', 'There is nothing to take over.');
    const { next, tls } = this.#prepared;
    this.#prepared = undefined;
    this.#forwarder.swap(next.settings);
    this.#provision.keys.succeededBy(next.keys);
    this.#provision = next;
    this.#gate = gateOf(this.#gateParts(), next);
    this.#doors.take(tls);
    this.#metrics.policyRevision.set(next.revision);
    for (const name of next.settings.upstreams.keys()) this.#metrics.upstreamRequests.declare(name);
    await this.#registry.refresh();
    const reconsidered = this.#sessions.size;
    await this.#sessions.reconsiderAll();
    return { reconsidered, closed: Math.max(0, reconsidered - this.#sessions.size) };
  }

  /** Stops accepting, lets what is under way end within limits.drainTimeoutMs, and closes everything in reverse. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#ready = false;
    clearInterval(this.#sweeping);
    const { drainTimeoutMs } = this.#provision.settings.limits;
    const drained = this.#doors.close(drainTimeoutMs);
    // A WebSocket never ends by itself: its device is told to come back later.
    this.#sessions.closeWhere(({ protocol }) => protocol === 'websocket', 'draining');
    await drained;
    await this.#forwarder.close();
    // The lead's last record says where the others' streams ended.
    await this.#crew.lastCall(drainTimeoutMs);
    this.#stopWatching();
    await this.#ledger.close();
    await this.#crew.close();
    await this.#admin?.close();
    await this.#local?.close();
    await this.#store.close();
    this.#lock.release();
    this.#metrics.close();
    this.log.info({ event: 'stopped' }, 'stopped');
    this.log.flush();
  }

  /** What gates and listeners are built of. */
  #gateParts(): GateParts {
    return {
      registry: this.#registry,
      identifier: this.#identifier,
      sessions: this.#sessions,
      rates: this.#rates,
      ledger: this.#ledger,
      forwarder: this.#forwarder,
      metrics: this.#metrics,
      tally: this.#tally,
      log: this.log,
      reachableDevice: (id) => (this.#deviceAddress(id) ? this.#registry.byId(id) : undefined),
    };
  }

  #operations(): Operations {
    return {
      ...deviceOperations({
        registry: this.#registry,
        acts: this.#acts,
        maxCertificateBytes: this.#provision.settings.limits.certificateBytes,
        trustChanged: () => this.#trustChanged(),
        changed: () => this.#crew.refresh(),
        connections: async (device) => {
          const others = await this.#crew.connections(device);
          const elsewhere = (id: string) =>
            this.#registry.keysOf(id).reduce((sum, key) => sum + (others.get(key) ?? 0), 0);
          return (id) => this.#sessions.countOfDevice(id) + elsewhere(id);
        },
      }),
      status: async () => merged(this.#report(), await this.#crew.reports(), this.#workers()),
      reload: () => this.reload(),
    };
  }

  #duties(): WorkerDuties {
    const { name } = streamOf('', this.#crew.worker);
    return {
      prepare: async () => {
        await this.#prepare();
        return this.#prepared?.next.fingerprint ?? '';
      },
      commit: () => this.#commit(),
      abandon: () => {
        this.#prepared = undefined;
      },
      refresh: async () => {
        if ((await this.#registry.refresh()) > 0) this.#trustChanged();
      },
      report: () => this.#report(),
      page: () => this.#metrics.render(),
      connections: (device) =>
        device === undefined
          ? this.#sessions.counts()
          : this.#registry.keysOf(device).map((key) => [key, this.#sessions.countOf(key)] as const),
      revision: () => this.#provision.fingerprint,
      head: () => ({ stream: name, seq: this.#ledger.head.seq, hash: this.#ledger.head.hash }),
      anchor: (heads) => this.#ledger.anchor(heads),
      renewTickets: () => this.#trustChanged(),
      inTurn: (work) => this.#inTurn(work),
      reload: () => this.#reload(),
    };
  }

  #trustChanged(): void {
    try {
      this.#doors.renewTrust();
    } catch (thrown) {
      // The device is registered; what keeps its issuer from being trusted is the listener's own certificate.
      this.log.error({ error: thrown }, 'the trusted authorities could not be read anew; run `sallyport doctor`');
    }
  }

  #report(): StatusView {
    const { settings, revision } = this.#provision;
    return statusView({
      gateway: settings.gateway,
      version: version(),
      // Of several workers none is the gateway: it is their supervisor that takes signals.
      pid: this.#crew.of > 1 ? process.ppid : process.pid,
      ready: this.#ready,
      startedAt: this.#startedAt,
      revision,
      listen: this.#addresses,
      connections: this.#sessions.size,
      registry: this.#registry,
      tally: this.#tally,
      drops: this.#metrics.drops(),
      upstreams: this.#forwarder.stats(),
      head: this.#ledger.head,
      ledgerFault: this.#ledger.failure?.code,
      lastReload: this.#lastReload,
    });
  }

  #workers(): StatusView['workers'] {
    return this.#crew.of > 1 ? this.#crew.pids.map(([worker, pid]) => ({ worker, pid })) : undefined;
  }

  async #page(): Promise<string> {
    const { live, ended } = await this.#crew.pages();
    const own = this.#metrics.render();
    return live.length + ended.length === 0 ? own : mergePages([own, ...live], ended);
  }

  async #checks(): Promise<Record<string, boolean>> {
    const reports = await this.#crew.reports();
    const ledger = this.#ledger.failure === undefined && reports.every((one) => one.ledger.healthy);
    return { listening: this.#ready, ledger };
  }

  #deviceAddress(id: string) {
    const device = this.#registry.byId(id);
    if (device?.state !== 'active' || device.address === undefined) return undefined;
    return { url: device.address, key: device.key };
  }
}

/** What is ready to be taken over. */
interface Prepared {
  readonly next: Provision;
  readonly tls: TlsMaterial;
}
