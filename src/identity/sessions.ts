/**
 * Every live connection and channel, indexed by key and issuer: nothing outlives the permission it was opened under. A
 * change of the registry or of policy re-decides what is open, at once, and closes what is refused.
 */
import type { Session } from '../exchange/gate.ts';
import type { Peer } from '../exchange/peer.ts';
import type { Reason } from '../faults/catalogue.ts';
import type { DropReason } from '../faults/drop.ts';

/** Decisions at once while re-deciding: enough to keep the policy busy, few enough to leave it to the traffic. */
const CONCURRENT_DECISIONS = 32;
/**
 * A session may be signed on only after its upstream answered; policy can change between its decision and that. For so
 * long after a change, newcomers are decided again. Longer than any upstream timeout.
 */
const LATE_ARRIVAL_MS = 120_000;
/** When re-deciding takes longer than this, something hangs; what is not decided by then is closed. */
const REDECISION_TIMEOUT_MS = 30_000;

export interface SessionPorts {
  /** Identifier.admit. */
  admit(peer: Peer): Reason | undefined;
  /** DeviceRegistry.keysOf. */
  keysOf(id: string): readonly string[];
  /** Monotonic milliseconds. */
  monotonicMs(): number;
}

export class LiveSessions {
  readonly #ports: SessionPorts;
  readonly #all = new Set<Session>();
  readonly #byKey = new Map<string, Set<Session>>();
  readonly #byIssuer = new Map<string, Set<Session>>();
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #pass: Promise<void> = Promise.resolve();

  constructor(ports: SessionPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#all.size;
  }

  /** How many sessions are open under this key: what connectionsPerDevice is compared with. */
  countOf(key: string): number {
    return this.#byKey.get(key)?.size ?? 0;
  }

  /** Keys with open sessions, and how many. */
  counts(): (readonly [key: string, sessions: number])[] {
    return [...this.#byKey].map(([key, sessions]) => [key, sessions.size]);
  }

  /** Of a device under all its keys. */
  countOfDevice(id: string): number {
    return this.#ports.keysOf(id).reduce((sum, key) => sum + this.countOf(key), 0);
  }

  /**
   * Registers a live session; returns how to sign it off, which may be called any number of times. A session whose device
   * lost its admission since the handshake is closed here and now.
   */
  attend(session: Session): () => void {
    if (this.#ports.admit(session.peer) !== undefined) {
      end(session, 'revoked');
      return () => {};
    }
    this.#all.add(session);
    put(this.#byKey, session.peer.key, session);
    put(this.#byIssuer, session.peer.issuer, session);
    if (this.#ports.monotonicMs() - this.#changedAtMs < LATE_ARRIVAL_MS) void this.#redecideEach([session]);
    return () => this.#signOff(session);
  }

  /** Closes every session of the device. Returns how many there were. */
  closeDevice(id: string, reason: DropReason): number {
    return this.#closeEach(this.#ofDevice(id), reason);
  }

  /** Closes every session whose certificate this authority (RFC 4514 name) issued. Returns how many there were. */
  closeIssuer(issuer: string, reason: DropReason): number {
    return this.#closeEach([...(this.#byIssuer.get(issuer) ?? [])], reason);
  }

  /** Closes every session that `predicate` is true of. Returns how many there were. */
  closeWhere(predicate: (session: Session) => boolean, reason: DropReason): number {
    return this.#closeEach([...this.#all].filter(predicate), reason);
  }

  /** Closes every session whose peer is no longer admitted, such as one whose certificate expired. Returns how many. */
  closeUnadmitted(): number {
    return this.#closeUnadmitted([...this.#all]);
  }

  /**
   * After a change of one device: what is no longer admitted is closed before this returns, the rest is re-decided.
   * Resolves when all is decided. Never rejects.
   */
  reconsiderDevice(id: string): Promise<void> {
    const sessions = this.#ofDevice(id);
    this.#closeUnadmitted(sessions);
    return this.#redecideEach(sessions);
  }

  /**
   * After a change of policy, when the new one is in force. Resolves when every session that was open is decided. Calls
   * follow each other: a later change is never overtaken by the decisions of an earlier one. Never rejects.
   */
  reconsiderAll(): Promise<void> {
    this.#changedAtMs = this.#ports.monotonicMs();
    this.#closeUnadmitted([...this.#all]);
    this.#pass = this.#pass.then(() => this.#redecideEach([...this.#all]));
    return this.#pass;
  }

  async #redecideEach(sessions: readonly Session[]): Promise<void> {
    const undecided = sessions.filter((session) => session.reconsider !== undefined)[Symbol.iterator]();
    const deadline = Promise.withResolvers<false>();
    const timer = setTimeout(deadline.resolve, REDECISION_TIMEOUT_MS, false);
    const worker = async () => {
      for (const session of undecided) await this.#redecide(session, deadline.promise);
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENT_DECISIONS, sessions.length) }, worker));
    clearTimeout(timer);
  }

  /** Any doubt closes: a decision that throws, comes too late or is anything but true is a no. Never rejects. */
  async #redecide(session: Session, deadline: Promise<false>): Promise<void> {
    if (!this.#all.has(session)) return;
    let permitted: boolean | undefined = false;
    try {
      permitted = await Promise.race([session.reconsider?.(), deadline]);
    } catch {
      // Decided as no above.
    }
    if (permitted !== true) this.#close(session, 'revoked');
  }

  #closeUnadmitted(sessions: readonly Session[]): number {
    return this.#closeEach(
      sessions.filter((session) => this.#ports.admit(session.peer) !== undefined),
      'revoked',
    );
  }

  #ofDevice(id: string): readonly Session[] {
    return this.#ports.keysOf(id).flatMap((key) => [...(this.#byKey.get(key) ?? [])]);
  }

  #closeEach(sessions: readonly Session[], reason: DropReason): number {
    for (const session of sessions) this.#close(session, reason);
    return sessions.length;
  }

  #close(session: Session, reason: DropReason): void {
    if (!this.#all.has(session)) return;
    this.#signOff(session);
    end(session, reason);
  }

  #signOff(session: Session): void {
    if (!this.#all.delete(session)) return;
    take(this.#byKey, session.peer.key, session);
    take(this.#byIssuer, session.peer.issuer, session);
  }
}

/** One session that fails to close must not keep the others open. */
function end(session: Session, reason: DropReason): void {
  try {
    session.close(reason);
  } catch {
    // The socket is gone already, which is what was asked for.
  }
}

function put(index: Map<string, Set<Session>>, key: string, session: Session): void {
  const sessions = index.get(key);
  if (sessions === undefined) index.set(key, new Set([session]));
  else sessions.add(session);
}

function take(index: Map<string, Set<Session>>, key: string, session: Session): void {
  const sessions = index.get(key);
  sessions?.delete(session);
  if (sessions?.size === 0) index.delete(key);
}
