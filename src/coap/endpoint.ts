/**
 * The door of the library: CoAP over any datagram transport, server and client in one, without sockets and without a clock of its own.
 *
 *     const endpoint = new Endpoint<string>({
 *       send: (peer, bytes) => socket.send(bytes, portOf(peer), hostOf(peer)), now: () => performance.now(),
 *       server: { handle: (request) => ({ code: CODE.content, payload: temperature() }) },
 *       deadline: (atMs) => wake(atMs),                                   // then: endpoint.advance(performance.now())
 *     });
 *     socket.on('message', (bytes, from) => endpoint.receive(`${from.address}:${from.port}`, bytes, performance.now()));
 *     const { code, payload } = await endpoint.request(peer, { method: 'GET', pathSegments: ['time'] });
 *
 * Here: what each kind of message means (RFC 7252 section 4). Multicast is refused (section 8 is left out), as is being a forward proxy.
 */
import type {
  CoapEndpoint,
  EndpointOptions,
  Observation,
  ObserveCallbacks,
  OutgoingRequest,
  ReceivedResponse,
  RequestOptions,
} from './api.ts';
import { Client } from './client.ts';
import { type CoapMessage, emptyMessage, isMalformed, type MalformedMessage, parseMessage } from './codec.ts';
import { CODE, TYPE } from './codes.ts';
import { Deadlines } from './deadlines.ts';
import { dropDownload } from './downloads.ts';
import type { Heard } from './duplicates.ts';
import { CoapError } from './error.ts';
import { type CoapLimits, DEFAULT_LIMITS } from './limits.ts';
import { findOption, OPTION, understood } from './option-table.ts';
import { bytesKey, type Context, PeerState } from './peer-state.ts';
import { Server } from './server.ts';
import { CoapStats, type DropReason, type RefusalReason } from './stats.ts';
import { conclude, findTransmission, forgetTransmissions, tickTransmissions } from './transmissions.ts';
import { dropUpload } from './uploads.ts';

const NO_OPTIONS: ReadonlySet<number> = new Set();

export class Endpoint<Peer> implements CoapEndpoint<Peer>, Context<Peer> {
  readonly stats = new CoapStats();
  readonly limits: CoapLimits;
  nowMs: number;
  blockBytes = 0;
  observations = 0;
  readonly #options: EndpointOptions<Peer>;
  readonly #peers = new Map<Peer, PeerState<Peer>>();
  readonly #deadlines = new Deadlines<PeerState<Peer>>();
  /** Those with block-wise bodies, the longest idle first. */
  readonly #withBodies = new Set<PeerState<Peer>>();
  readonly #server: Server<Peer>;
  readonly #client: Client<Peer>;
  readonly #draw = new Uint8Array(2);
  #announcedMs = Number.POSITIVE_INFINITY;

  constructor(options: EndpointOptions<Peer>) {
    this.#options = options;
    this.limits = Object.freeze({ ...DEFAULT_LIMITS, ...options.limits });
    this.nowMs = options.now();
    this.#server = new Server(this, options.server, new Set(options.criticalOptions));
    this.#client = new Client(this);
  }

  get peerCount(): number {
    return this.#peers.size;
  }
  get observationCount(): number {
    return this.observations;
  }
  get nextDeadlineMs(): number {
    return this.#deadlines.earliestMs;
  }
  nextTimeoutMs(nowMs: number): number {
    return Math.max(0, this.#deadlines.earliestMs - nowMs);
  }

  receive(peer: Peer, datagram: Uint8Array, nowMs: number, viaMulticast = false): void {
    this.nowMs = nowMs;
    this.stats.received += 1;
    const message = parseMessage(datagram, this.limits);
    // RFC 7252 section 8: one datagram to a group would have every member answer a forged source.
    if (viaMulticast) this.#count(peer, 'multicast');
    else if (isMalformed(message)) this.#malformed(peer, message);
    else if (message.code === CODE.empty) this.#empty(peer, message);
    else if (message.type === TYPE.acknowledgement) this.#piggybacked(peer, message);
    else this.#fresh(peer, message);
  }

  advance(nowMs: number): void {
    this.nowMs = nowMs;
    this.#announcedMs = Number.POSITIVE_INFINITY;
    for (let state = this.#deadlines.takeDue(nowMs); state !== undefined; state = this.#deadlines.takeDue(nowMs)) {
      tickTransmissions(this, state);
      this.#server.tick(state);
      this.#client.tick(state);
      this.schedule(state, state.window.expire(nowMs));
      const idsUntilMs = state.messageIdUsedAtMs + this.limits.exchangeLifetimeMs;
      if (idsUntilMs > nowMs) this.schedule(state, idsUntilMs);
      else if (isIdle(state)) this.#peers.delete(state.peer);
    }
    this.#announce();
  }

  request(peer: Peer, request: OutgoingRequest, options?: RequestOptions): Promise<ReceivedResponse> {
    return this.#withPeer(peer, (state) => this.#client.request(state, request, options));
  }
  observe(
    peer: Peer,
    request: OutgoingRequest,
    callbacks: ObserveCallbacks,
    options?: RequestOptions,
  ): Promise<Observation> {
    return this.#withPeer(peer, (state) => this.#client.observe(state, request, callbacks, options));
  }
  ping(peer: Peer): Promise<void> {
    return this.#withPeer(peer, (state) => this.#client.ping(state));
  }

  forgetPeer(peer: Peer): void {
    const state = this.#peers.get(peer);
    if (state === undefined) return;
    this.awake();
    state.gone = true;
    this.#peers.delete(peer);
    this.#deadlines.remove(state);
    forgetTransmissions(state);
    this.#client.forget(state);
    this.#server.forget(state);
    this.#withBodies.delete(state);
  }

  close(): void {
    for (const peer of [...this.#peers.keys()]) this.forgetPeer(peer);
  }

  // ---- what the parts ask for

  awake(): void {
    this.nowMs = this.#options.now();
  }

  send(state: PeerState<Peer>, bytes: Uint8Array): void {
    if (!state.gone) this.#sendTo(state.peer, bytes);
  }

  schedule(state: PeerState<Peer>, atMs: number): void {
    if (state.gone) return;
    this.#deadlines.bringForward(state, atMs);
    if (this.#deadlines.earliestMs < this.#announcedMs) this.#announce();
  }

  random(bytes: Uint8Array): void {
    if (this.#options.random !== undefined) this.#options.random(bytes);
    else crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>);
  }

  drop(state: PeerState<Peer>, reason: DropReason): void {
    this.#count(state.peer, reason);
  }

  refuse(state: PeerState<Peer>, reason: RefusalReason): void {
    this.stats.refusals[reason] += 1;
    this.#options.refused?.(state.peer, reason);
  }

  failed(peer: Peer, error: unknown): void {
    this.#options.failed?.(peer, error);
  }

  chargeBlocks(state: PeerState<Peer>, bytes: number): void {
    this.blockBytes += bytes;
    this.#withBodies.delete(state);
    if (bytes > 0 || state.upload !== undefined || state.download !== undefined) this.#withBodies.add(state);
  }

  makeRoom(bytes: number): boolean {
    for (const state of this.#withBodies) {
      if (this.blockBytes + bytes <= this.limits.maxBlockBytes) return true;
      const lastAtMs = Math.max(state.upload?.lastAtMs ?? 0, state.download?.lastAtMs ?? 0);
      if (this.nowMs - lastAtMs < this.limits.evictableBlockIdleMs) return false;
      dropUpload(this, state);
      dropDownload(this, state);
      this.#withBodies.delete(state);
    }
    return this.blockBytes + bytes <= this.limits.maxBlockBytes;
  }

  // ---- messages

  /** RFC 7252 section 4.2 and 4.3: a confirmable one is rejected with a reset, anything else in silence. */
  #malformed(peer: Peer, message: MalformedMessage): void {
    this.#count(peer, message.malformed);
    if (message.type === TYPE.confirmable) this.#sendTo(peer, emptyMessage(TYPE.reset, message.messageId));
  }

  #empty(peer: Peer, message: CoapMessage): void {
    if (message.type === TYPE.confirmable) {
      // A ping (RFC 7252 section 4.3). No state: the answer is always the same four bytes.
      this.#count(peer, 'ping');
      this.#sendTo(peer, emptyMessage(TYPE.reset, message.messageId));
      return;
    }
    const state = this.#peers.get(peer);
    const transmission = state && findTransmission(state, message.messageId);
    if (state === undefined || transmission === undefined) {
      if (state !== undefined && message.type === TYPE.reset && this.#endedByReset(state, message.messageId)) return;
      this.#count(peer, 'acknowledgement-unknown');
      return;
    }
    conclude(this, state, transmission, message.type === TYPE.reset ? 'reset' : 'acknowledged');
  }

  /** RFC 7641 section 3.6: a reset to a notification, confirmable or not, ends the observation. */
  #endedByReset(state: PeerState<Peer>, messageId: number): boolean {
    for (const watched of state.watched?.values() ?? []) {
      if (!watched.sentAs(messageId)) continue;
      watched.stop();
      return true;
    }
    return false;
  }

  #piggybacked(peer: Peer, message: CoapMessage): void {
    const state = this.#peers.get(peer);
    if (state === undefined || findTransmission(state, message.messageId) === undefined) {
      this.#count(peer, 'acknowledgement-unknown');
      return;
    }
    const awaited = state.awaited?.get(bytesKey(message.token));
    // RFC 7252 section 5.3.2: message ID and token must both match; one alone is a mistake or an attempt.
    if (awaited === undefined || !awaited.carries(message.messageId)) {
      this.#count(peer, 'token-unknown');
      return;
    }
    const read = understood(message.options, NO_OPTIONS);
    if (read.bad !== undefined) awaited.unreadable();
    else if (awaited.arrived(withOptions(message, read.options))) return;
    this.#count(peer, 'response-unreadable');
  }

  /** A confirmable or non-confirmable request or response. */
  #fresh(peer: Peer, message: CoapMessage): void {
    const state = this.#peers.get(peer) ?? this.#newPeer(peer);
    if (state === undefined) {
      this.#count(peer, 'peers-full');
      return;
    }
    const before = state.window.find(message.messageId, this.nowMs);
    if (before !== undefined) {
      this.#again(state, message, before);
      return;
    }
    const heard = state.window.add(message.messageId, this.nowMs);
    this.schedule(state, this.nowMs + this.limits.exchangeLifetimeMs);
    if (message.code < 0x20) this.#server.request(state, message, heard);
    else this.#response(state, message, heard);
  }

  #again(state: PeerState<Peer>, message: CoapMessage, before: Heard): void {
    this.#count(state.peer, before.said === 'gone' ? 'duplicate-answer-gone' : 'duplicate');
    if (message.type !== TYPE.confirmable) return;
    if (before.answer !== undefined) this.send(state, before.answer);
    else if (before.said === 'acknowledged') this.send(state, emptyMessage(TYPE.acknowledgement, message.messageId));
    else if (before.said === 'reset') this.send(state, emptyMessage(TYPE.reset, message.messageId));
  }

  #response(state: PeerState<Peer>, message: CoapMessage, heard: Heard): void {
    const confirmable = message.type === TYPE.confirmable;
    const awaited = state.awaited?.get(bytesKey(message.token));
    const read = understood(message.options, NO_OPTIONS);
    if (awaited !== undefined && read.bad === undefined) {
      // Acknowledged before it is used: what the caller does with it is no business of the peer's timers.
      heard.said = confirmable ? 'acknowledged' : 'silence';
      if (confirmable) this.send(state, emptyMessage(TYPE.acknowledgement, message.messageId));
      if (!awaited.arrived(withOptions(message, read.options))) this.#count(state.peer, 'response-unreadable');
      return;
    }
    awaited?.unreadable();
    this.#count(state.peer, awaited === undefined ? 'token-unknown' : 'response-unreadable');
    // A notification nobody waits for is refused even when it needs no answer: that is how an observer leaves.
    const reset = confirmable || findOption(message.options, OPTION.observe) !== undefined;
    heard.said = confirmable ? 'reset' : 'silence';
    if (reset) this.send(state, emptyMessage(TYPE.reset, message.messageId));
  }

  // ---- peers

  #withPeer<Result>(peer: Peer, act: (state: PeerState<Peer>) => Promise<Result>): Promise<Result> {
    this.awake();
    const state = this.#peers.get(peer) ?? this.#newPeer(peer);
    if (state === undefined) return Promise.reject(new CoapError('queue-full', 'too many peers'));
    return act(state);
  }

  #newPeer(peer: Peer): PeerState<Peer> | undefined {
    if (this.#peers.size >= this.limits.maxPeers) return undefined;
    this.random(this.#draw);
    const first = ((this.#draw[0] as number) << 8) | (this.#draw[1] as number);
    const state = new PeerState(peer, this.limits, first);
    this.#peers.set(peer, state);
    this.schedule(state, this.nowMs + this.limits.exchangeLifetimeMs);
    return state;
  }

  #sendTo(peer: Peer, bytes: Uint8Array): void {
    this.stats.sent += 1;
    try {
      this.#options.send(peer, bytes);
    } catch {
      this.#count(peer, 'send-failed');
    }
  }

  #count(peer: Peer, reason: DropReason): void {
    this.stats.drops[reason] += 1;
    this.#options.refused?.(peer, reason);
  }

  #announce(): void {
    const earliestMs = this.#deadlines.earliestMs;
    if (earliestMs === Number.POSITIVE_INFINITY) return;
    this.#announcedMs = earliestMs;
    this.#options.deadline?.(earliestMs);
  }
}

function withOptions(message: CoapMessage, options: CoapMessage['options']): CoapMessage {
  return options === message.options ? message : { ...message, options };
}

function isIdle<Peer>(state: PeerState<Peer>): boolean {
  return (
    state.window.size === 0 &&
    (state.unacknowledged?.length ?? 0) === 0 &&
    (state.queued?.length ?? 0) === 0 &&
    (state.running?.size ?? 0) === 0 &&
    (state.watched?.size ?? 0) === 0 &&
    (state.awaited?.size ?? 0) === 0 &&
    state.upload === undefined &&
    state.download === undefined &&
    state.echo === undefined
  );
}
