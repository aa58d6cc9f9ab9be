/**
 * The composition root: builds every part of what provision.ts read and plugs them together. The only file that may import
 * every folder. Life cycle: provision, open, listen, reload, close in reverse.
 */
import { randomUUIDv7 } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { deviceOperations } from './admin/device-operations.ts';
import type { Operations, Reloaded, StatusView } from './admin/operations.ts';
import { AdminServer } from './admin/server.ts';
import { statusView } from './admin/status-view.ts';
import { Tally } from './admin/tally.ts';
import type { Settings } from './config/settings.ts';
import type { Gate, Passage } from './exchange/gate.ts';
import type { Peer } from './exchange/peer.ts';
import { pass, reconsider } from './exchange/pipeline.ts';
import { Fault } from './faults/fault.ts';
import { gateOf } from './gate.ts';
import { readKeyFile, readTextFile } from './identity/atomic-file.ts';
import { peerFromCertificate } from './identity/certificate.ts';
import { DeviceIdentifier } from './identity/identifier.ts';
import { keyOf } from './identity/public-key.ts';
import { DeviceRegistry } from './identity/registry.ts';
import { LiveSessions } from './identity/sessions.ts';
import { authorityPaths } from './identity/trust.ts';
import { clockFloor } from './ledger/clock-floor.ts';
import { Ledger } from './ledger/ledger.ts';
import { HttpsListener } from './listeners/https/listener.ts';
import { WebSocketListener } from './listeners/websocket/listener.ts';
import { RateLimits } from './policy/rate.ts';
import { listenerTls, type Provision, provision } from './provision.ts';
import { DirectoryLock } from './store/directory-lock.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import { LocalServer } from './telemetry/local-server.ts';
import { type Log, openLog } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';
import { UpstreamForwarder } from './upstreams/forwarder.ts';

/** How often sessions are looked through for certificates that expired while connected. */
const EXPIRY_SWEEP_MS = 60_000;

export class Gateway {
  readonly #directory: string;
  readonly #lock: DirectoryLock;
  readonly #store: SqliteStore;
  readonly #registry: DeviceRegistry;
  readonly #identifier: DeviceIdentifier;
  readonly #sessions: LiveSessions;
  readonly #ledger: Ledger;
  readonly #forwarder: UpstreamForwarder;
  readonly #rates = new RateLimits(() => performance.now());
  readonly #metrics: Metrics;
  readonly #tally = new Tally();
  readonly #startedAt = Date.now();
  readonly #admin: AdminServer;
  readonly log: Log;
  #provision: Provision;
  /** Replaced as one value on reload: an exchange sees one revision from its beginning to its end. */
  #gate: Gate;
  #https: HttpsListener | undefined;
  #webSocket: WebSocketListener | undefined;
  #local: LocalServer | undefined;
  #ready = false;
  #sweeping: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #reloading: Promise<unknown> = Promise.resolve();
  #lastReload: StatusView['lastReload'];
  #addresses: Record<string, string> = {};

  private constructor(parts: Parts) {
    this.#directory = parts.provision.settings.directory;
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
      deviceTrust: () => this.#deviceTrust(),
    });
    this.#gate = this.#gateOf(parts.provision);
    this.#metrics.policyRevision.set(parts.provision.revision);
    this.#metrics.ledgerQueued.from(() => this.#ledger.queued);
    this.#metrics.ledgerLostOutcomes.from(() => this.#ledger.lostOutcomes);
    this.#registry.onChange(({ id }) => void this.#sessions.reconsiderDevice(id));
    this.#admin = new AdminServer(this.#directory, this.#operations());
  }

  /**
   * Takes the folder's lock and opens everything but the listeners.
   * @param options `acceptClock`: believe the clock although the ledger has records of a later time
   * @throws Fault SP_GATEWAY_RUNNING, SP_GATEWAY_CLOCK, SP_CONFIG_*, SP_POLICY_*, SP_LEDGER_*, SP_STORE_FAILED, SP_KEY_INVALID
   */
  static async open(directory: string, options: { readonly acceptClock?: boolean } = {}): Promise<Gateway> {
    const provided = await provision(directory);
    const { settings } = provided;
    const lock = DirectoryLock.acquire(directory);
    const metrics = new Metrics(settings.upstreams.keys());
    const log = openLog(settings.log.level, {
      gateway: settings.gateway,
      onDrop: (characters) => metrics.logDropped.addMany(characters),
    });
    let store: SqliteStore | undefined;
    try {
      store = SqliteStore.open(join(directory, 'state', 'registry.db'));
      const registry = await DeviceRegistry.open(store, Date.now);
      const folder = join(directory, 'ledger');
      const ledger = await Ledger.open(folder, {
        gateway: settings.gateway,
        maxFileBytes: settings.limits.ledgerFileBytes,
        maxQueue: settings.limits.ledgerQueue,
        onCommit: (records, bytes, tookMicros) => metrics.ledgerCommit(records, bytes, tookMicros),
        onFailure: (fault) => {
          metrics.ledgerFailures.add();
          log.error({ code: fault.code, remedy: fault.entry.remedy }, fault.message);
        },
      });
      const floor = await clockFloor(folder, options.acceptClock === true);
      return new Gateway({ provision: provided, lock, log, metrics, store, registry, ledger, floor });
    } catch (thrown) {
      await store?.close();
      lock.release();
      throw thrown;
    }
  }

  /** Opens the admin socket and the listeners. Throws SP_GATEWAY_LISTEN. */
  async listen(): Promise<void> {
    const { listen, limits } = this.#provision.settings;
    try {
      await this.#admin.listen();
      if (listen.metrics) {
        this.#local = new LocalServer({ address: listen.metrics, metrics: this.#metrics, ready: () => this.#checks() });
        this.#addresses.metrics = await this.#local.listen();
      }
      if (listen.https) {
        const passage = this.#passage();
        this.#webSocket = new WebSocketListener({ listener: 'https', limits, passage });
        this.#https = new HttpsListener({
          address: listen.https,
          tls: this.#tls(),
          limits,
          passage,
          peerOf: (socket) => peerOf(socket, limits.certificateBytes),
          upgrader: this.#webSocket,
        });
        await this.#https.listen();
        this.#addresses.https = shown(this.#https.address());
      }
      this.#sweeping = setInterval(() => this.#sessions.closeUnadmitted(), EXPIRY_SWEEP_MS).unref();
      this.#ready = true;
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
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
    // One after the other: each takes over the folder as it is when its turn comes.
    const turn = this.#reloading.then(() => this.#reload());
    this.#reloading = turn.catch(() => undefined);
    return turn;
  }

  async #reload(): Promise<Reloaded> {
    const at = new Date().toISOString();
    try {
      if (this.#closing) throw new Fault('SP_GATEWAY_DRAINING');
      const next = await provision(this.#directory);
      // What can fail comes first; from here on nothing does.
      this.#https?.setSecureContext(this.#tls());
      this.#https?.setLimits(next.settings.limits);
      this.#webSocket?.setLimits(next.settings.limits);
      this.#forwarder.swap(next.settings);
      const restart = changedAddresses(this.#provision.settings, next.settings);
      this.#provision.keys.succeededBy(next.keys);
      this.#provision = next;
      this.#gate = this.#gateOf(next);
      this.#metrics.policyRevision.set(next.revision);
      for (const name of next.settings.upstreams.keys()) this.#metrics.upstreamRequests.declare(name);
      await this.#registry.refresh();
      const before = this.#sessions.size;
      await this.#sessions.reconsiderAll();
      const closed = Math.max(0, before - this.#sessions.size);
      this.#lastReload = { at, ok: true, message: `revision ${next.revision}` };
      this.log.info({ event: 'reload', revision: next.revision, closed }, 'reloaded');
      return { revision: next.revision, reconsidered: before, closed, restart };
    } catch (thrown) {
      const fault = Fault.from(thrown);
      this.#lastReload = { at, ok: false, message: fault.message };
      this.log.error(
        { code: fault.code, remedy: fault.entry.remedy, revision: this.#provision.revision },
        `reload changed nothing: ${fault.message}`,
      );
      throw fault;
    }
  }

  /** Stops accepting, lets what is under way end within limits.drainTimeoutMs, and closes everything in reverse. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#ready = false;
    clearInterval(this.#sweeping);
    const drained = this.#https?.close(this.#provision.settings.limits.drainTimeoutMs);
    // A WebSocket never ends by itself: its device is told to come back later.
    this.#sessions.closeWhere(({ protocol }) => protocol === 'websocket', 'draining');
    await drained;
    await this.#forwarder.close();
    await this.#ledger.close();
    await this.#admin.close();
    await this.#local?.close();
    await this.#store.close();
    this.#lock.release();
    this.#metrics.close();
    this.log.info({ event: 'stopped' }, 'stopped');
    this.log.flush();
  }

  #gateOf(provision: Provision): Gate {
    return gateOf(
      {
        registry: this.#registry,
        identifier: this.#identifier,
        rates: this.#rates,
        ledger: this.#ledger,
        forwarder: this.#forwarder,
        metrics: this.#metrics,
        tally: this.#tally,
        log: this.log,
        reachableDevice: (id) => (this.#deviceAddress(id) ? this.#registry.byId(id) : undefined),
      },
      provision,
    );
  }

  #passage(): Passage {
    return {
      decisionId: () => randomUUIDv7(),
      now: Date.now,
      admit: (peer) => this.#identifier.admit(peer),
      pass: (arrival) => pass(arrival, this.#gate),
      reconsider: (arrival) => reconsider(arrival, this.#gate),
      attend: (session) => {
        const signOff = this.#sessions.attend(session);
        this.#metrics.connections.add(1, session.protocol);
        let open = true;
        return () => {
          if (open) this.#metrics.connections.add(-1, session.protocol);
          open = false;
          signOff();
        };
      },
      drop: (reason, peer) => {
        this.#metrics.drop(reason);
        this.log.drop(reason, peer);
      },
      refuse: (code, decision, peer) => {
        this.#metrics.refusal(code);
        this.log.refusal(code, decision, peer);
      },
    };
  }

  #operations(): Operations {
    const trustChanged = () => {
      try {
        this.#https?.setSecureContext(this.#tls());
      } catch (thrown) {
        // The device is registered; what keeps its issuer from being trusted is the listener's own certificate.
        this.log.error({ error: thrown }, 'the trusted authorities could not be read anew; run `sallyport doctor`');
      }
    };
    return {
      ...deviceOperations({
        registry: this.#registry,
        maxCertificateBytes: this.#provision.settings.limits.certificateBytes,
        trustChanged,
        connections: async () => (id) => this.#sessions.countOfDevice(id),
      }),
      status: async () => this.#status(),
      reload: () => this.reload(),
    };
  }

  #status(): StatusView {
    const { settings, revision } = this.#provision;
    return statusView({
      gateway: settings.gateway,
      version: version(),
      pid: process.pid,
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

  #checks(): Record<string, boolean> {
    return { listening: this.#ready, ledger: this.#ledger.failure === undefined };
  }

  #tls() {
    return listenerTls(this.#directory);
  }

  #deviceAddress(id: string) {
    const device = this.#registry.byId(id);
    if (device?.state !== 'active' || device.address === undefined) return undefined;
    return { url: device.address, key: device.key };
  }

  #deviceTrust() {
    const own = join(this.#directory, 'certs', 'gateway');
    const ca = readTextFile(authorityPaths(this.#directory).certificate);
    try {
      return { ca, certificate: readTextFile(join(own, 'cert.pem')), key: readKeyFile(join(own, 'key.pem')) };
    } catch {
      return { ca };
    }
  }
}

interface Parts {
  readonly provision: Provision;
  readonly lock: DirectoryLock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: SqliteStore;
  readonly registry: DeviceRegistry;
  readonly ledger: Ledger;
  /** A moment that has certainly passed, milliseconds since the epoch. */
  readonly floor: number;
}

/** Addresses are bound at the start: what changed there waits for the next one, and is said. */
function changedAddresses({ listen: before }: Settings, { listen: after }: Settings): string[] {
  const of = (listen: Settings['listen'], name: 'https' | 'metrics') => JSON.stringify(listen[name]);
  return (['https', 'metrics'] as const)
    .filter((name) => of(before, name) !== of(after, name))
    .map((name) => `listen.${name}`);
}

function peerOf(socket: TLSSocket, maxBytes: number): Peer {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) throw new Fault('SP_CERTIFICATE_INVALID', 'The peer has no certificate.');
  const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');
  return peerFromCertificate(certificate, address, maxBytes);
}

function shown({ host, port }: { host: string; port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function version(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;
}
