/**
 * Drives an engine on a real socket and clock. Established traffic is served at once; handshake records get a share of
 * the time and wait in a bounded queue when that is spent, so that a flood of them cannot starve who is already here.
 */
import type { Effect, Peer } from '../core.ts';
import type { DtlsEngine } from '../engine.ts';
import type { PeerAddress } from '../options.ts';
import { AssociationSession, type SessionRim } from '../session.ts';
import { ContentType } from '../wire/registry.ts';
import { foreignWorker } from './cluster.ts';
import type { UdpSocket } from './udp.ts';

/** Longest delay of setTimeout. */
const MAX_DELAY_MS = 2 ** 31 - 1;

interface WaitingDatagram {
  readonly datagram: Uint8Array;
  readonly from: PeerAddress;
}

/** Who gets datagrams for other workers. */
export interface ForeignDatagrams {
  readonly own: number;
  readonly hand: (worker: number, datagram: Uint8Array, from: PeerAddress) => void;
}

export class Rim implements SessionRim {
  readonly engine: DtlsEngine;
  readonly #socket: UdpSocket;
  readonly #onSession: (session: AssociationSession) => void;
  #queue: WaitingDatagram[] = [];
  #turn: NodeJS.Timeout | undefined;
  /** Time of their share that handshakes have not used, and when that was reckoned. */
  #savedMs = 0;
  #savedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(
    engine: DtlsEngine,
    socket: UdpSocket,
    onSession: (session: AssociationSession) => void,
    foreign?: ForeignDatagrams,
  ) {
    this.engine = engine;
    this.#socket = socket;
    this.#onSession = onSession;
    socket.listen((datagram, from) => {
      const worker = foreign === undefined ? undefined : foreignWorker(datagram, foreign.own);
      if (worker === undefined) this.take(datagram, from);
      else foreign?.hand(worker, datagram, from);
    });
  }

  /** Wall clock that never goes back: cookies and tickets are read by other workers too. */
  nowMs(): number {
    return Math.floor(performance.timeOrigin + performance.now());
  }

  flush(): void {
    this.#carryOut(this.engine.drain());
    this.#setTimer();
  }

  /** Answers of the caller came in. */
  wake(): void {
    queueMicrotask(() => {
      if (!this.#stopped) this.#poll();
    });
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#turn);
    this.#queue = [];
  }

  /** A datagram from the socket, or from another worker. Those from workers are never handed on again. */
  take(datagram: Uint8Array, from: PeerAddress): void {
    if (this.#stopped) return;
    const type = datagram[0];
    if (type !== ContentType.handshake && type !== ContentType.changeCipherSpec) {
      this.#receive(datagram, from);
      return;
    }
    // Alone it is served at once; only who asks for more than the share of handshakes waits.
    if (this.#queue.length === 0 && this.#hasTime()) {
      this.#serveHandshake(datagram, from);
      return;
    }
    if (this.#queue.length >= this.engine.limits.maxQueuedHandshakeDatagrams) {
      this.engine.stats.drops['rim-queue-full'] += 1;
      return;
    }
    this.#queue.push({ datagram, from });
    this.#turn ??= setTimeout(() => this.#serveQueue(), 1);
  }

  #serveQueue(): void {
    this.#turn = undefined;
    let served = 0;
    while (served < this.#queue.length && this.#hasTime()) {
      const { datagram, from } = this.#queue[served++] as WaitingDatagram;
      this.#serveHandshake(datagram, from);
    }
    this.#queue.splice(0, served);
    if (this.#queue.length > 0 && !this.#stopped) this.#turn = setTimeout(() => this.#serveQueue(), 1);
  }

  #serveHandshake(datagram: Uint8Array, from: PeerAddress): void {
    const began = performance.now();
    this.#receive(datagram, from);
    this.#savedMs -= performance.now() - began;
  }

  /** Whether handshakes have time left of their share. */
  #hasTime(): boolean {
    const { handshakeTurnMs, handshakeTimeShare } = this.engine.limits;
    const now = performance.now();
    this.#savedMs = Math.min(handshakeTurnMs, this.#savedMs + (now - this.#savedAt) * handshakeTimeShare);
    this.#savedAt = now;
    return this.#savedMs > 0;
  }

  #receive(datagram: Uint8Array, from: PeerAddress): void {
    this.#carryOut(this.engine.receive(datagram, from, this.nowMs()));
    this.#setTimer();
  }

  #poll(): void {
    this.#carryOut(this.engine.poll(this.nowMs()));
    this.#setTimer();
  }

  #carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          if (!this.#stopped) this.#socket.send(effect.datagram, effect.address);
          break;
        case 'open':
          this.#onOpen(effect.association);
          break;
        case 'data':
          sessionOf(effect.association)?.onmessage?.(effect.data);
          break;
        case 'closed':
          sessionOf(effect.association)?.reportClosed(effect.reason);
          break;
        case 'path':
          sessionOf(effect.association)?.onpathchange?.(effect.from, effect.to);
          break;
      }
    }
  }

  #onOpen(association: Peer): void {
    const existing = sessionOf(association);
    if (existing !== undefined) {
      existing.reportOpen();
      return;
    }
    const session = new AssociationSession(this, association);
    association.owner = session;
    this.#onSession(session);
  }

  #setTimer(): void {
    const at = this.engine.nextPollAtMs;
    if (this.#stopped || at >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = at;
    this.#timer = setTimeout(
      () => {
        this.#timerAtMs = Number.POSITIVE_INFINITY;
        this.#poll();
      },
      Math.min(MAX_DELAY_MS, Math.max(1, at - this.nowMs())),
    );
    this.#timer.unref();
  }
}

function sessionOf(association: Peer): AssociationSession | undefined {
  return association.owner instanceof AssociationSession ? association.owner : undefined;
}
