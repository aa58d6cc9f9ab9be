/**
 * Connections before they are anybody's: the caps per address and in all, taken before a single octet of TLS is read, and
 * the time a handshake may take. Every connection that does not get past here is counted exactly once.
 */
import type { Socket } from 'node:net';
import type { Passage } from '../../exchange/gate.ts';
import type { DropReason } from '../../faults/drop.ts';
import type { HttpContext } from './http-context.ts';
import { peerAddress } from './peer-address.ts';
import { type Elsewhere, Tally } from './tally.ts';

interface Handshake {
  readonly socket: Socket;
  readonly address: string;
  spentMs: number;
}

export class Doorstep {
  readonly #context: HttpContext;
  readonly #passage: Passage;
  readonly #addresses: Tally;
  readonly #handshakes = new Map<string, Handshake>();
  readonly #blamed = new WeakMap<Socket, string>();

  constructor(context: HttpContext, elsewhere?: Elsewhere) {
    this.#addresses = new Tally(elsewhere);
    this.#context = context;
    this.#passage = context.passage;
  }

  /** Open connections, handshakes included. */
  get connections(): number {
    return this.#addresses.total;
  }

  /** A new TCP connection. False: over a cap, counted and destroyed. */
  enter(socket: Socket): boolean {
    const address = peerAddress(socket.remoteAddress);
    const { connections, connectionsPerAddress } = this.#context.limits;
    if (this.#addresses.total >= connections) return this.#turnAway(socket, address, 'connection-cap');
    if (!this.#addresses.take(address, connectionsPerAddress)) return this.#turnAway(socket, address, 'address-cap');
    const name = nameOf(socket);
    this.#handshakes.set(name, { socket, address, spentMs: 0 });
    socket.once('close', () => {
      this.#addresses.give(address);
      if (this.#handshakes.get(name)?.socket !== socket) return;
      this.#handshakes.delete(name);
      // What was wrong is told a moment after the connection has closed.
      setImmediate(() => this.#passage.drop('handshake-failed', { address }, this.#blamed.get(socket)));
    });
    return true;
  }

  /** Its handshake is done. */
  pass(secured: Socket): void {
    this.#handshakes.delete(nameOf(secured));
  }

  /** Why the handshake of this TCP connection failed. */
  blame(socket: Socket, why: string | undefined): void {
    if (why !== undefined) this.#blamed.set(socket, why);
  }

  /** Called once a second. Node's own handshake timer is one of inactivity; this one cannot be fed. */
  tick(elapsedMs: number): void {
    for (const [name, handshake] of this.#handshakes) {
      handshake.spentMs += elapsedMs;
      if (handshake.spentMs < this.#context.limits.handshakeTimeoutMs) continue;
      this.#handshakes.delete(name);
      this.#passage.drop('handshake-timeout', { address: handshake.address });
      handshake.socket.destroy();
    }
  }

  /** The gateway is stopping. */
  clear(): void {
    for (const { socket, address } of this.#handshakes.values()) {
      this.#passage.drop('draining', { address });
      socket.destroy();
    }
    this.#handshakes.clear();
  }

  #turnAway(socket: Socket, address: string, reason: DropReason): false {
    this.#passage.drop(reason, { address });
    socket.destroy();
    return false;
  }
}

/** The same for a TCP connection and the TLS on top of it, and for no other open connection. */
function nameOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}
