/**
 * What the endpoint keeps of one peer, and what its parts need of the endpoint. Plain data; the rules are in transmissions.ts,
 * server.ts, uploads.ts, downloads.ts, relations.ts and client.ts. A peer of whom nothing is left is dropped whole.
 */
import type { CoapOption } from './api.ts';
import type { CoapMessage } from './codec.ts';
import type { Deadline } from './deadlines.ts';
import { DuplicateWindow } from './duplicates.ts';
import type { CoapLimits } from './limits.ts';
import type { CoapStats, DropReason, RefusalReason } from './stats.ts';

/** How a confirmable message of ours ended. */
export type Outcome = 'acknowledged' | 'reset' | 'gave-up' | 'forgotten';

export interface Transmission {
  readonly bytes: Uint8Array;
  readonly messageId: number;
  timeoutMs: number;
  /** Infinity while it waits for its turn. */
  dueAtMs: number;
  repeats: number;
  /** Told once; not told when it was withdrawn. */
  readonly concluded: (outcome: Outcome) => void;
}

/** A handler that has not answered yet. */
export interface Running {
  /** Infinity once acknowledged, or when there is nothing to acknowledge. */
  acknowledgeAtMs: number;
  acknowledgeNow(): void;
  abort(): void;
}

/** The body a peer is sending block by block. */
export interface Upload {
  readonly key: string;
  readonly chunks: Uint8Array[];
  bytes: number;
  blockBytes: number;
  lastAtMs: number;
}

/** The body a peer is fetching block by block. */
export interface Download {
  readonly key: string;
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  lastAtMs: number;
}

/** An observer, as far as matching needs it. */
export interface Watched {
  readonly tokenKey: string;
  sentAs(messageId: number): boolean;
  stop(): void;
}

/** A token of ours that a response may come for. */
export interface Awaited {
  readonly tokenKey: string;
  /** Infinity when it may wait for ever. */
  dueAtMs: number;
  /** Whether this message of ours is the one that waits for its acknowledgement. */
  carries(messageId: number): boolean;
  /** @returns false when the response could not be used; whoever waited was told. */
  arrived(message: CoapMessage): boolean;
  due(): void;
  /** A response came that must be rejected (RFC 7252 section 5.4.1). */
  unreadable(): void;
  forget(): void;
}

/** An exchange of ours whose request has several blocks. */
export interface Uploading {
  turn(): void;
}

export class PeerState<Peer> implements Deadline {
  readonly peer: Peer;
  dueAtMs = Number.POSITIVE_INFINITY;
  place = -1;
  gone = false;
  readonly window: DuplicateWindow;
  nextMessageId: number;
  /** When a message ID of ours was last used; the counter must survive for EXCHANGE_LIFETIME. */
  messageIdUsedAtMs = Number.NEGATIVE_INFINITY;
  unacknowledged: Transmission[] | undefined = undefined;
  queued: Transmission[] | undefined = undefined;
  running: Set<Running> | undefined = undefined;
  upload: Upload | undefined = undefined;
  download: Download | undefined = undefined;
  watched: Map<string, Watched> | undefined = undefined;
  awaited: Map<string, Awaited> | undefined = undefined;
  /** Bodies of ours in blocks go one after the other: a server need not keep more than one half of a peer. */
  uploading: Uploading | undefined = undefined;
  uploadsWaiting: Uploading[] | undefined = undefined;
  /** The Echo value that this peer was given last. */
  echo: { readonly value: Uint8Array; readonly atMs: number } | undefined = undefined;

  constructor(peer: Peer, limits: CoapLimits, firstMessageId: number) {
    this.peer = peer;
    this.window = new DuplicateWindow(limits);
    this.nextMessageId = firstMessageId;
  }
}

/** The endpoint, as its parts see it. */
export interface Context<Peer> {
  readonly limits: CoapLimits;
  readonly stats: CoapStats;
  /** The time of what is being done. */
  readonly nowMs: number;
  /** Reads the clock: called first by what does not begin in `receive` or `advance`. */
  awake(): void;
  send(state: PeerState<Peer>, bytes: Uint8Array): void;
  /** The peer's deadline is at most this. */
  schedule(state: PeerState<Peer>, atMs: number): void;
  random(bytes: Uint8Array): void;
  drop(state: PeerState<Peer>, reason: DropReason): void;
  refuse(state: PeerState<Peer>, reason: RefusalReason): void;
  failed(peer: Peer, error: unknown): void;
  /** Bytes of block-wise bodies over all peers. */
  readonly blockBytes: number;
  /** Counts bytes of this peer's bodies in or out. */
  chargeBlocks(state: PeerState<Peer>, bytes: number): void;
  /** Drops the bodies that were idle longest, if idle long enough. @returns whether so many bytes are free now. */
  makeRoom(bytes: number): boolean;
  observations: number;
}

/** Tokens and the like as keys of a Map. */
export function bytesKey(bytes: Uint8Array): string {
  let key = '';
  for (const byte of bytes) key += String.fromCharCode(byte);
  return key;
}

export function nextMessageId<Peer>(context: Context<Peer>, state: PeerState<Peer>): number {
  const messageId = state.nextMessageId;
  state.nextMessageId = (messageId + 1) & 0xffff;
  state.messageIdUsedAtMs = context.nowMs;
  context.schedule(state, context.nowMs + context.limits.exchangeLifetimeMs);
  return messageId;
}
