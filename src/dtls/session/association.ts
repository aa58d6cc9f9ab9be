/**
 * One association: what the record layer and the maps need of it. Secrets are in the slab, what only a handshake needs hangs on
 * `handshake` and goes with it, so that an open, idle association stays near one kilobyte.
 */
import type { Suite } from '../crypto/suites.ts';
import type { Flight } from '../handshake/flight.ts';
import type { PeerAddress, PeerSummary, ResumableSession } from '../options.ts';
import type { ReplayWindow } from '../record/replay.ts';
import type { CloseReason } from '../stats.ts';
import type { WheelEntry } from './wheel.ts';

/** A new address of the peer that has not proven yet that the peer receives there (RFC 9146 6). */
export interface PathCandidate {
  readonly address: PeerAddress;
  receivedBytes: number;
  sentBytes: number;
  /** RFC 9853 path_challenge outstanding, and until when its answer counts. */
  challenge: Uint8Array | undefined;
  challengeUntilMs: number;
}

/** Our last flight, kept for a peer that did not get it (RFC 6347 4.2.4, FINISHED). */
export interface Farewell {
  readonly flight: Flight;
  readonly untilMs: number;
  lastSentMs: number;
  /** Messages of the peer below this are repetitions. */
  readonly nextReceiveSeq: number;
}

const NOBODY: PeerSummary = Object.freeze({ kind: 'none', name: '' });

let lastId = 0;

export class Association<Half = unknown> implements ReplayWindow, WheelEntry {
  readonly id: number = ++lastId;
  readonly role: 'client' | 'server';
  /** Slot in the secret slab; -1 when given back. */
  slot: number;
  address: PeerAddress;
  state: 'handshaking' | 'open' | 'closed' = 'handshaking';
  closeReason: CloseReason | undefined = undefined;
  /** Undefined once open. */
  handshake: Half | undefined = undefined;
  suite: Suite | undefined = undefined;

  /** Keys for reading and writing epoch 1 are in use. */
  reads = false;
  writes = false;
  /** Next sequence numbers of epoch 0 and 1. */
  plainSequence = 0;
  sequence = 0;
  highest = -1;
  low = 0;
  high = 0;
  authFailures = 0;

  /**
   * What the peer addresses us by, and we the peer; empty: negotiated without, undefined: not negotiated. As `mapKey` strings,
   * which an array of so few bytes would take five times as much for.
   */
  ownCid: string | undefined = undefined;
  peerCid: string | undefined = undefined;
  returnRoutability = false;
  candidate: PathCandidate | undefined = undefined;

  /** Plaintext bytes of a record: what we may send, what we take. */
  sendLimitBytes = 16_384;
  receiveLimitBytes = 16_384;

  startedAtMs: number;
  lastActivityMs: number;
  farewell: Farewell | undefined = undefined;
  lastNoRenegotiationMs = 0;

  peer: PeerSummary = NOBODY;
  principal = '';
  attachment: unknown = undefined;
  servername = '';
  alpnProtocol = '';
  reused = false;
  extendedMasterSecret = false;
  /** Server: id of the cached session. */
  sessionKey = '';
  /** Client: what to resume with. */
  resumable: ResumableSession | undefined = undefined;
  nextOfPrincipal: Association<Half> | undefined = undefined;
  lastOpenMs = 0;
  /** The caller's object for it. */
  owner: unknown = undefined;

  dueAtMs = Number.POSITIVE_INFINITY;
  wheelNext: WheelEntry | undefined = undefined;
  wheelPrevious: WheelEntry | undefined = undefined;
  wheelSlot = -1;

  constructor(role: 'client' | 'server', slot: number, address: PeerAddress, nowMs: number) {
    this.role = role;
    this.slot = slot;
    this.address = address;
    this.startedAtMs = nowMs;
    this.lastActivityMs = nowMs;
  }
}

/** Key of the maps by address. */
export function addressKey(address: PeerAddress): string {
  return `${address.address}|${address.port}`;
}
