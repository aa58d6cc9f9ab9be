/**
 * The library without sockets: `receive(datagram, address, nowMs) -> effects`, `poll(nowMs) -> effects`, and acts whose effects
 * wait for `drain`. Simulations, the BoGo shim and the UDP rim all drive this; the same inputs and random bytes give the same trace.
 */
import { type ClientSettings, readClientOptions, readServerOptions } from './context.ts';
import { Core, type Effect, type Peer } from './core.ts';
import { selfTest } from './crypto/aead.ts';
import { exporter } from './crypto/prf.ts';
import { type Suite, suiteByName } from './crypto/suites.ts';
import { DtlsError } from './error.ts';
import { sayHello } from './handshake/client-hello.ts';
import { Handshake } from './handshake/handshake.ts';
import { DEFAULT_LIMITS, type DtlsLimits } from './limits.ts';
import type { ClientOptions, PeerAddress, SendResult, ServerOptions } from './options.ts';
import { overheadBytes } from './record/channel.ts';
import { movePath, receiveDatagram, releaseDeferred } from './record/pipeline.ts';
import { Association, addressKey } from './session/association.ts';
import type { CloseReason, DropReason, DtlsStats } from './stats.ts';
import { ContentType } from './wire/registry.ts';

export interface EngineOptions {
  /** Absent: only `connect`. */
  readonly server?: ServerOptions;
  /** Engines without a server: length of the Connection IDs of their clients, and limits. */
  readonly connectionIdLength?: number;
  readonly limits?: Partial<DtlsLimits>;
  readonly nowMs: number;
  /** Default: node:crypto. Only simulations give another. */
  readonly random?: (length: number) => Uint8Array;
  /** An answer of the caller came in: call `poll` soon. */
  readonly onAnswer?: () => void;
}

export class DtlsEngine {
  readonly #core: Core;

  /** @throws DtlsError `option-invalid`, `key-unreadable`, `self-test`. */
  constructor(options: EngineOptions) {
    selfTest();
    const server = options.server === undefined ? undefined : readServerOptions(options.server);
    this.#core = new Core({
      nowMs: options.nowMs,
      limits: server?.limits ?? { ...DEFAULT_LIMITS, ...options.limits },
      server,
      cidLength: server?.options.connectionId?.length ?? options.connectionIdLength ?? 0,
      random: options.random,
      onAnswer: options.onAnswer,
    });
  }

  get stats(): DtlsStats {
    return this.#core.stats;
  }

  get limits(): DtlsLimits {
    return this.#core.limits;
  }

  /** Open associations. */
  get size(): number {
    return this.#core.table.openCount;
  }

  /** Handshakes under way. */
  get halfOpen(): number {
    return this.#core.table.pending.size;
  }

  /** Sessions that could be resumed by id. */
  get cachedSessions(): number {
    return this.#core.sessions?.size ?? 0;
  }

  set busy(value: boolean) {
    this.#core.busy = value;
  }

  get busy(): boolean {
    return this.#core.busy;
  }

  set onDrop(listener: ((reason: DropReason) => void) | undefined) {
    this.#core.onDrop = listener;
  }

  /** What is known of an address, the handshake under way first: for diagnosis and tests. */
  find(address: PeerAddress): Peer | undefined {
    const key = addressKey(address);
    return this.#core.table.pending.get(key) ?? this.#core.table.open.get(key);
  }

  /** When `poll` is due next; Infinity when nothing waits. May be early. */
  get nextPollAtMs(): number {
    return this.#core.answers.length > 0 ? this.#core.nowMs : this.#core.wheel.earliestMs;
  }

  /** Takes a datagram; never throws. */
  receive(datagram: Uint8Array, from: PeerAddress, nowMs: number): readonly Effect[] {
    const core = this.#core;
    core.nowMs = nowMs;
    try {
      receiveDatagram(core, datagram, from);
    } catch {
      core.drop('internal');
    }
    return this.drain();
  }

  /** Runs answers that came in and timers that are due. */
  poll(nowMs: number): readonly Effect[] {
    const core = this.#core;
    core.nowMs = nowMs;
    for (const { association, run } of core.answers.splice(0)) {
      run();
      releaseDeferred(core, association);
    }
    for (const association of core.wheel.advance(nowMs)) onTimer(core, association);
    return this.drain();
  }

  /** What acts outside `receive` and `poll` have caused. */
  drain(): readonly Effect[] {
    const effects = this.#core.outbox;
    if (effects.length > 0) this.#core.outbox = [];
    return effects;
  }

  /** Begins a handshake as client. @throws DtlsError `option-invalid`, `key-unreadable`. */
  connect(address: PeerAddress, options: ClientOptions, nowMs: number): Peer {
    const core = this.#core;
    core.nowMs = nowMs;
    const client: ClientSettings = readClientOptions(options);
    const cidLength = options.connectionId?.length ?? 0;
    if (cidLength > 0 && cidLength !== core.cidLength) {
      throw new DtlsError('option-invalid', `connectionId.length is ${core.cidLength} on this socket`);
    }
    if (core.table.pending.has(addressKey(address))) {
      throw new DtlsError('option-invalid', 'a handshake with this address is under way on this socket');
    }
    const association: Peer = new Association<Handshake>('client', core.slab.allocate(), address, nowMs);
    const handshake = new Handshake(association, core, { client });
    association.handshake = handshake;
    core.table.addPending(association);
    core.stats.handshakesStarted += 1;
    handshake.flight = sayHello(handshake);
    handshake.state = 'wait-server-hello';
    core.sendFlight(association, handshake.flight);
    core.schedule(association);
    return association;
  }

  /** One record in one datagram. */
  send(association: Peer, data: Uint8Array, nowMs: number): SendResult {
    const core = this.#core;
    core.nowMs = nowMs;
    if (association.state !== 'open') return association.state === 'closed' ? 'closed' : 'not-open';
    if (data.length > this.maxPayloadBytes(association)) return 'too-large';
    if (association.sequence >= core.limits.maxRecordsPerKey) {
      core.end(association, 'record-limit');
      return 'closed';
    }
    if (!core.sendRecord(association, ContentType.applicationData, data)) return 'path-unproven';
    association.lastActivityMs = nowMs;
    return 'sent';
  }

  maxPayloadBytes(association: Peer): number {
    const room = this.#core.limits.mtuBytes - overheadBytes(association, 1);
    return Math.max(0, Math.min(association.sendLimitBytes, room));
  }

  /** Ends an association, with an alert unless `silent`. */
  close(association: Peer, reason: CloseReason, nowMs: number, silent = false): undefined {
    this.#core.nowMs = nowMs;
    this.#core.end(association, reason, silent);
  }

  closeAll(reason: CloseReason, nowMs: number, silent = false): undefined {
    this.#core.nowMs = nowMs;
    for (const association of [...this.#core.table.all()]) this.#core.end(association, reason, silent);
  }

  /** The application saw an answer only the new address could have given. */
  confirmPath(association: Peer, nowMs: number): undefined {
    this.#core.nowMs = nowMs;
    movePath(this.#core, association);
  }

  /** Ends all a principal has: associations, handshakes, Connection IDs, sessions, tickets. @returns associations ended. */
  revoke(principal: string, nowMs: number): number {
    const core = this.#core;
    core.nowMs = nowMs;
    core.sessions?.revoke(principal, nowMs);
    const ended = core.table.ofPrincipal(principal);
    for (const association of ended) core.end(association, 'revoked');
    for (const pending of [...core.table.pending.values()]) {
      if (pending.handshake?.principal === principal) core.end(pending, 'revoked');
    }
    return ended.length;
  }

  /** RFC 5705. @throws DtlsError `session-closed`, `export-label`. */
  exportKeyingMaterial(association: Peer, length: number, label: string, context?: Uint8Array): Uint8Array {
    const { slab } = this.#core;
    const { slot, suite } = association;
    if (association.state !== 'open' || suite === undefined) {
      throw new DtlsError('session-closed', 'keying material is exported from an open association');
    }
    const [master, client, server] = (['masterSecret', 'clientRandom', 'serverRandom'] as const).map((name) =>
      slab.view(slot, name),
    ) as [Uint8Array, Uint8Array, Uint8Array];
    const exported = exporter((suiteByName(suite.name) as Suite).hash, master, client, server, label, context, length);
    if (exported === undefined) throw new DtlsError('export-label', 'a label of the protocol, or a context too long');
    return exported;
  }
}

function onTimer(core: Core, association: Peer): undefined {
  const { handshake, farewell } = association;
  const { nowMs, limits } = core;
  if (handshake !== undefined) {
    if (nowMs >= handshake.deadlineMs) {
      return core.end(association, handshake.alertSeen === undefined ? 'handshake-deadline' : 'peer-alert');
    }
    const { flight } = handshake;
    if (flight !== undefined && handshake.state !== 'asking' && nowMs >= flight.lastSentMs + flight.timeoutMs) {
      if (!flight.backOff(limits)) return core.end(association, 'handshake-silence');
      core.sendFlight(association, flight);
    }
    return core.schedule(association);
  }
  if (farewell !== undefined && nowMs >= farewell.untilMs) association.farewell = undefined;
  if (nowMs >= association.lastActivityMs + core.idleTimeoutMs(association)) return core.end(association, 'idle');
  if (nowMs >= association.startedAtMs + limits.maxAssociationAgeMs) return core.end(association, 'age-limit');
  core.schedule(association);
}
