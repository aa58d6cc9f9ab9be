/**
 * The state of an engine and the few acts everything else is made of: send, drop, alert, open, end, set the timer. No sockets and
 * no clock: `nowMs` is set by whoever calls in, what goes out lies in `outbox` until it is drained.
 */
import { ALERT_OF, isFatal } from './alerts.ts';
import type { ServerSettings } from './context.ts';
import { digest, randomBytes } from './crypto/digest.ts';
import { clientSession } from './handshake/client-hello.ts';
import { CookieMint } from './handshake/cookie.ts';
import type { Flight } from './handshake/flight.ts';
import type { Handshake, HandshakeServices } from './handshake/handshake.ts';
import { Established } from './handshake/proofs.ts';
import { sessionRecord } from './handshake/server-hello.ts';
import type { DtlsLimits } from './limits.ts';
import type { PeerAddress } from './options.ts';
import { overheadBytes, sealRecord } from './record/channel.ts';
import type { Association } from './session/association.ts';
import { destinationOf } from './session/path.ts';
import { HelloRate } from './session/rate.ts';
import { SessionStore } from './session/resume.ts';
import { SecretSlab } from './session/slab.ts';
import { AssociationTable } from './session/table.ts';
import { TimerWheel } from './session/wheel.ts';
import { type CloseReason, type DropReason, DtlsStats } from './stats.ts';
import { mapKey } from './wire/bytes.ts';
import { type AlertDescription, ContentType } from './wire/registry.ts';

export type Peer = Association<Handshake>;

/** What the engine wants done or has to tell. */
export type Effect =
  | { readonly kind: 'send'; readonly datagram: Uint8Array; readonly address: PeerAddress }
  | { readonly kind: 'open'; readonly association: Peer }
  | { readonly kind: 'data'; readonly association: Peer; readonly data: Uint8Array }
  | { readonly kind: 'closed'; readonly association: Peer; readonly reason: CloseReason }
  | { readonly kind: 'path'; readonly association: Peer; readonly from: PeerAddress; readonly to: PeerAddress };

export class Core implements HandshakeServices {
  nowMs: number;
  readonly limits: DtlsLimits;
  readonly server: ServerSettings | undefined;
  readonly cidLength: number;
  readonly stats = new DtlsStats();
  readonly slab = new SecretSlab();
  readonly table = new AssociationTable<Peer>();
  readonly wheel: TimerWheel<Peer>;
  readonly sessions: SessionStore | undefined;
  readonly cookies: CookieMint | undefined;
  readonly helloRate: HelloRate;
  readonly random: (length: number) => Uint8Array;
  /** Answers of the caller that came later; run by `poll`. */
  readonly answers: { readonly association: Peer; readonly run: () => void }[] = [];
  readonly onAnswer: () => void;
  /** Told of every drop, for traces and tests. */
  onDrop: ((reason: DropReason) => void) | undefined = undefined;
  outbox: Effect[] = [];
  busy = false;

  constructor(parts: {
    readonly nowMs: number;
    readonly limits: DtlsLimits;
    readonly server: ServerSettings | undefined;
    readonly cidLength: number;
    readonly random: ((length: number) => Uint8Array) | undefined;
    readonly onAnswer: (() => void) | undefined;
  }) {
    this.nowMs = parts.nowMs;
    this.limits = parts.limits;
    this.server = parts.server;
    this.cidLength = parts.cidLength;
    this.random = parts.random ?? randomBytes;
    this.onAnswer = parts.onAnswer ?? (() => {});
    this.wheel = new TimerWheel(parts.nowMs);
    const { server, limits, nowMs } = parts;
    this.sessions = server === undefined ? undefined : new SessionStore(server.ticketSecret, limits);
    this.cookies = server === undefined ? undefined : new CookieMint(server.cookieSecret, limits.cookieKeyLifetimeMs);
    this.helloRate = new HelloRate(limits.helloVerifyPerSecond, limits.helloVerifyPerNetworkPerSecond, nowMs);
  }

  fingerprint(bytes: Uint8Array): string {
    return Buffer.from(digest('sha256', bytes)).toString('hex');
  }

  assignConnectionId(association: Peer, length: number, worker: number | undefined): Uint8Array {
    if (length === 0) {
      association.ownCid = '';
      return new Uint8Array(0);
    }
    let cid: Uint8Array;
    do {
      cid = this.random(length);
      if (worker !== undefined) cid[0] = worker;
    } while (this.table.byCid(cid) !== undefined);
    association.ownCid = mapKey(cid);
    this.table.addCid(association.ownCid, association);
    return cid;
  }

  releaseConnectionId(association: Peer): undefined {
    if (association.ownCid !== undefined) this.table.removeCid(association.ownCid);
    association.ownCid = undefined;
  }

  drop(reason: DropReason): undefined {
    this.stats.drops[reason] += 1;
    this.onDrop?.(reason);
  }

  send(datagram: Uint8Array, address: PeerAddress): undefined {
    this.stats.datagramsSent += 1;
    this.stats.bytesSent += datagram.length;
    this.outbox.push({ kind: 'send', datagram, address });
  }

  /** Seals and sends one record. @returns false when it may not or cannot be sent. */
  sendRecord(association: Peer, type: number, plaintext: Uint8Array): boolean {
    const epoch = association.writes ? 1 : 0;
    const bytes = plaintext.length + overheadBytes(association, epoch);
    const address = destinationOf(association, bytes, this.limits.unprovenPathFactor);
    if (address === undefined) {
      this.drop('send-path-unproven');
      return false;
    }
    const record = sealRecord(this.slab, association, type, epoch, plaintext);
    if (record === undefined) return false;
    this.send(record, address);
    return true;
  }

  /** RFC 5246 7.2: in the clear while there are no keys. */
  sendAlert(association: Peer, alert: AlertDescription): undefined {
    this.sendRecord(association, ContentType.alert, Uint8Array.of(isFatal(alert) ? 2 : 1, alert));
  }

  /** Sends a flight for the first time or again, and sets its timer. */
  sendFlight(association: Peer, flight: Flight): undefined {
    flight.sends += 1;
    flight.lastSentMs = this.nowMs;
    if (flight.sends > 1) this.stats.flightsResent += 1;
    const cautious = flight.sends >= 3;
    const datagrams = flight.pack(
      {
        mtuBytes: cautious ? Math.min(this.limits.mtuBytes, this.limits.fallbackMtuBytes) : this.limits.mtuBytes,
        recordLimitBytes: association.sendLimitBytes,
        oneMessagePerDatagram: cautious,
        overheadBytes: (epoch) => overheadBytes(association, epoch),
      },
      (type, epoch, plaintext) => sealRecord(this.slab, association, type, epoch, plaintext),
    );
    for (const datagram of datagrams) this.send(datagram, association.address);
  }

  /** Opens an association: the only place that does. */
  establish(handshake: Handshake, established: Established, lastFlight: Flight | undefined): undefined {
    const { association } = handshake;
    if (!Established.is(established)) return this.end(association, 'internal');
    association.peer = handshake.summary();
    association.principal = handshake.principal;
    association.attachment = handshake.attachment;
    association.servername = handshake.servername;
    association.reused = handshake.resumedPeer !== undefined;
    association.lastActivityMs = this.nowMs;
    association.startedAtMs = this.nowMs;
    if (association.reused) this.stats.handshakesResumed += 1;
    else this.stats.handshakesFull += 1;
    this.#keepSession(handshake);
    const before = this.table.promote(association);
    association.state = 'open';
    if (lastFlight !== undefined) {
      this.sendFlight(association, lastFlight);
      const untilMs = this.nowMs + 2 * this.limits.retransmitMaxMs;
      const { nextReceiveSeq } = handshake;
      association.farewell = { flight: lastFlight, untilMs, lastSentMs: this.nowMs, nextReceiveSeq };
    }
    this.outbox.push({ kind: 'open', association });
    for (const data of handshake.heldData) this.outbox.push({ kind: 'data', association, data });
    handshake.wipe();
    association.handshake = undefined;
    // RFC 6347 4.2.8: only a finished handshake replaces what was there. With a Connection ID of its own the other goes on.
    if (before !== undefined && (before.ownCid?.length ?? 0) === 0) this.end(before, 'replaced');
    if (association.principal !== '') {
      const { maxAssociationsPerPrincipal } = this.limits;
      // Newest first.
      const surplus = this.table.ofPrincipal(association.principal).slice(maxAssociationsPerPrincipal);
      for (const old of surplus) this.end(old, 'replaced');
    }
    if (this.table.openCount > this.limits.maxAssociations) this.evictOne();
    this.schedule(association);
  }

  #keepSession(handshake: Handshake): undefined {
    const { association } = handshake;
    if (handshake.client !== undefined) {
      association.resumable = clientSession(handshake);
      return;
    }
    const server = handshake.server as ServerSettings;
    const keeps = server.options.isStillAllowed !== undefined && handshake.extended && !handshake.sendsTicket;
    if (!keeps || association.reused || handshake.sessionId.length === 0) return;
    association.sessionKey = this.sessions?.remember(handshake.sessionId, sessionRecord(handshake)) ?? '';
  }

  /** Makes room for one more. @returns false when none is idle enough to go. */
  evictOne(): boolean {
    const idle = this.table.idleSince(this.nowMs - this.limits.evictableIdleMs);
    if (idle === undefined) return false;
    this.end(idle, 'evicted');
    return true;
  }

  /** Ends an association or a handshake: at most one alert, keys wiped, forgotten. */
  end(association: Peer, reason: CloseReason, silent = false): undefined {
    if (association.state === 'closed') return;
    const alert = ALERT_OF[reason];
    if (alert !== undefined && !silent) this.sendAlert(association, alert);
    // RFC 5246 7.2.2: after a fatal alert the session must not be resumed.
    if (alert !== undefined && isFatal(alert)) this.sessions?.forgetId(association.sessionKey);
    this.table.remove(association);
    this.wheel.cancel(association);
    association.handshake?.wipe();
    association.handshake = undefined;
    association.farewell = undefined;
    association.candidate = undefined;
    association.state = 'closed';
    association.closeReason = reason;
    this.slab.free(association.slot);
    association.slot = -1;
    this.stats.closes[reason] += 1;
    this.outbox.push({ kind: 'closed', association, reason });
  }

  schedule(association: Peer): undefined {
    if (association.state === 'closed') return;
    this.wheel.schedule(association, this.#dueAtMs(association));
  }

  idleTimeoutMs(association: Peer): number {
    const hasCid = (association.ownCid?.length ?? 0) > 0;
    return hasCid ? this.limits.idleTimeoutWithCidMs : this.limits.idleTimeoutMs;
  }

  #dueAtMs(association: Peer): number {
    const { handshake, farewell } = association;
    if (handshake !== undefined) {
      const { flight } = handshake;
      if (flight === undefined || handshake.state === 'asking') return handshake.deadlineMs;
      return Math.min(handshake.deadlineMs, flight.lastSentMs + flight.timeoutMs);
    }
    const idle = association.lastActivityMs + this.idleTimeoutMs(association);
    const age = association.startedAtMs + this.limits.maxAssociationAgeMs;
    return Math.min(idle, age, farewell?.untilMs ?? Number.POSITIVE_INFINITY);
  }
}
