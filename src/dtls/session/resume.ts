/**
 * Sessions a server may resume: by id from a bounded cache, by ticket from the client (RFC 5246 7.3, RFC 5077). Bound to listener,
 * policy generation, server name, suite and principal; the principal is judged again, and a revoked one loses all of them at once.
 */
import { closeBox, openBox } from '../crypto/box.ts';
import { hmac } from '../crypto/digest.ts';
import { suiteById } from '../crypto/suites.ts';
import type { DtlsLimits } from '../limits.ts';
import type { PeerSummary } from '../options.ts';
import { concat, mapKey, u8, u16, u32, utf8, vector } from '../wire/bytes.ts';
import { Reader } from '../wire/reader.ts';

/** Only sessions with extended master secret are kept (RFC 7627 5.4). */
export interface SessionRecord {
  readonly suite: number;
  readonly masterSecret: Uint8Array;
  readonly servername: string;
  readonly principal: string;
  readonly peer: PeerSummary;
  readonly createdAtMs: number;
  /** Listener and policy generation it was made under. */
  readonly binding: string;
}

const KINDS: readonly PeerSummary['kind'][] = ['none', 'psk', 'certificate', 'raw-public-key'];

export class SessionStore {
  readonly #limits: DtlsLimits;
  readonly #ticketKey: Uint8Array;
  readonly #cache = new Map<string, SessionRecord>();
  readonly #revokedAt = new Map<string, number>();
  #voidUntilMs = Number.NEGATIVE_INFINITY;

  constructor(ticketSecret: Uint8Array, limits: DtlsLimits) {
    this.#limits = limits;
    this.#ticketKey = hmac('sha256', ticketSecret, new TextEncoder().encode('dtls ticket'));
  }

  get size(): number {
    return this.#cache.size;
  }

  remember(sessionId: Uint8Array, record: SessionRecord): string {
    const key = mapKey(sessionId);
    this.#cache.set(key, record);
    for (const oldest of this.#cache.keys()) {
      if (this.#cache.size <= this.#limits.maxCachedSessions) break;
      this.#forget(oldest);
    }
    return key;
  }

  byId(sessionId: Uint8Array, binding: string, nowMs: number): SessionRecord | undefined {
    const record = this.#cache.get(mapKey(sessionId));
    return record !== undefined && this.#isGood(record, binding, nowMs) ? record : undefined;
  }

  /** RFC 5246 7.2.2: a session that ended with a fatal alert is not resumed. */
  forgetId(key: string): void {
    if (key !== '') this.#forget(key);
  }

  /** Wipes the record's master secret, which is then in the ticket only. */
  issueTicket(record: SessionRecord): Uint8Array {
    const text = (value: string) => vector(2, new TextEncoder().encode(value));
    const plaintext = concat(
      u16(record.suite),
      record.masterSecret,
      u32(Math.floor(record.createdAtMs / 2 ** 16)),
      u16(record.createdAtMs % 2 ** 16),
      u8(KINDS.indexOf(record.peer.kind)),
      text(record.peer.name),
      text(record.principal),
      text(record.servername),
    );
    const ticket = closeBox(this.#ticketKey, new TextEncoder().encode(record.binding), plaintext);
    plaintext.fill(0);
    record.masterSecret.fill(0);
    return ticket;
  }

  byTicket(ticket: Uint8Array, binding: string, nowMs: number): SessionRecord | undefined {
    const plaintext = openBox(this.#ticketKey, new TextEncoder().encode(binding), ticket);
    if (plaintext === undefined) return undefined;
    const reader = new Reader(plaintext);
    const suite = reader.u16();
    const masterSecret = reader.take(48);
    const high = reader.u32();
    const low = reader.u16();
    const kind = KINDS[reader.u8() ?? -1];
    const [name, principal, servername] = [reader.vector(2), reader.vector(2), reader.vector(2)].map((bytes) =>
      bytes === undefined ? undefined : utf8(bytes),
    );
    if (suite === undefined || masterSecret === undefined || high === undefined || low === undefined) return undefined;
    if (kind === undefined || name === undefined || principal === undefined || servername === undefined)
      return undefined;
    const createdAtMs = high * 2 ** 16 + low;
    const peer = { kind, name };
    const record = { suite, masterSecret, servername, principal, peer, createdAtMs, binding };
    return suiteById(suite) !== undefined && this.#isGood(record, binding, nowMs) ? record : undefined;
  }

  /** Forgets the sessions of a principal and refuses its tickets made until now. */
  revoke(principal: string, nowMs: number): void {
    for (const [key, record] of this.#cache) if (record.principal === principal) this.#forget(key);
    this.#revokedAt.set(principal, nowMs);
    if (this.#revokedAt.size > this.#limits.maxRevokedPrincipals) {
      // Too many to name: rather all devices shake hands once more than one revoked device resumes.
      this.#voidUntilMs = nowMs;
      this.#revokedAt.clear();
      for (const key of [...this.#cache.keys()]) this.#forget(key);
    }
  }

  #isGood(record: SessionRecord, binding: string, nowMs: number): boolean {
    const age = nowMs - record.createdAtMs;
    if (record.binding !== binding || age < 0 || age > this.#limits.sessionLifetimeMs) return false;
    const revokedAt = this.#revokedAt.get(record.principal) ?? Number.NEGATIVE_INFINITY;
    return record.createdAtMs > revokedAt && record.createdAtMs > this.#voidUntilMs;
  }

  #forget(key: string): void {
    this.#cache.get(key)?.masterSecret.fill(0);
    this.#cache.delete(key);
  }
}
