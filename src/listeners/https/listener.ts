/**
 * The HTTPS listener: TCP -> doorstep (caps) -> TLS -> identity -> connection (sequence, time) -> exchange. TLS is Node's,
 * HTTP is read and written here. It knows no policy and no upstream.
 */
import { type AddressInfo, Socket } from 'node:net';
import { createSecureContext, createServer, type Server, type TLSSocket } from 'node:tls';
import type { Address, Limits } from '../../config/settings.ts';
import type { Passage } from '../../exchange/gate.ts';
import type { Peer } from '../../exchange/peer.ts';
import { Fault } from '../../faults/fault.ts';
import { Connection } from './connection.ts';
import { Doorstep } from './doorstep.ts';
import type { HttpContext } from './http-context.ts';
import { peerAddress } from './peer-address.ts';
import { type Elsewhere, Tally } from './tally.ts';
import { chainLength, type PeerCertificate, secureContext, type TlsMaterial } from './tls-context.ts';
import type { Upgrader } from './upgrader.ts';

export interface HttpsListenerOptions {
  /** Its name in arrivals; default `https`. */
  readonly name?: string;
  readonly address: Address;
  readonly tls: TlsMaterial;
  readonly limits: Limits;
  readonly passage: Passage;
  /** Who the certificate of this connection is of. Throws a Fault to refuse. */
  readonly peerOf: (certificate: PeerCertificate, address: string) => Peer;
  /** Absent: WebSockets are refused. */
  readonly upgrader?: Upgrader;
  /** Other processes listen on the same address (SO_REUSEPORT), and count against the same caps. */
  readonly elsewhere?: Elsewhere;
}

export class HttpsListener {
  readonly #options: HttpsListenerOptions;
  readonly #context: HttpContext;
  readonly #doorstep: Doorstep;
  readonly #devices: Tally;
  readonly #connections = new Map<Socket, Connection>();
  readonly #server: Server;
  #ticking: NodeJS.Timeout | undefined;
  #tickedAt = 0;

  /** Throws SP_CERTIFICATE_INVALID if the TLS material cannot be used. */
  constructor(options: HttpsListenerOptions) {
    this.#options = options;
    const { name = 'https', passage, upgrader, limits } = options;
    this.#context = { listener: name, passage, upgrader, exchanges: new Tally(), limits, draining: false };
    this.#doorstep = new Doorstep(this.#context, options.elsewhere);
    this.#devices = new Tally(options.elsewhere);
    this.#server = this.#create();
    this.#takeOver();
  }

  /** Throws SP_CERTIFICATE_INVALID if the material cannot be used. */
  static check(tls: TlsMaterial): void {
    orCertificateFault(() => createSecureContext(secureContext(tls)));
  }

  /** Throws SP_GATEWAY_LISTEN. */
  listen(): Promise<void> {
    const { host, port } = this.#options.address;
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(new Fault('SP_GATEWAY_LISTEN', `${host}:${port}: ${cause.message}`, { cause, details: { host, port } }));
      this.#server.once('error', fail);
      const reusePort = this.#options.elsewhere !== undefined;
      this.#server.listen({ host, port, backlog: BACKLOG, reusePort }, () => {
        this.#server.off('error', fail);
        // accept(2) failing for want of descriptors must not end the process.
        this.#server.on('error', () => this.#options.passage.drop('connection-cap', { address: '' }));
        this.#tickedAt = performance.now();
        this.#ticking = setInterval(() => this.#tick(), TICK_MS).unref();
        resolve();
      });
    });
  }

  /** Where it listens; the port is the real one when 0 was asked for. */
  address(): Address {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Open connections, handshakes included. */
  get connections(): number {
    return this.#doorstep.connections;
  }

  /** For new connections from now on. Throws SP_CERTIFICATE_INVALID, and then nothing changed. */
  setSecureContext(tls: TlsMaterial): void {
    orCertificateFault(() => this.#server.setSecureContext(secureContext(tls)));
  }

  /** From now on, for open connections too. */
  setLimits(limits: Limits): void {
    this.#context.limits = limits;
  }

  /** Takes nothing new, lets what is under way end within `drainTimeoutMs`, then cuts it. */
  async close(drainTimeoutMs: number): Promise<void> {
    this.#context.draining = true;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#doorstep.clear();
    for (const connection of this.#connections.values()) connection.drain();
    const deadline = setTimeout(() => {
      this.#doorstep.clear();
      for (const connection of this.#connections.values()) connection.close('draining');
    }, drainTimeoutMs);
    await closed;
    clearTimeout(deadline);
    clearInterval(this.#ticking);
  }

  #create(): Server {
    const { limits, tls } = this.#options;
    return orCertificateFault(() =>
      createServer({
        ...secureContext(tls),
        requestCert: true,
        rejectUnauthorized: true,
        ALPNProtocols: ['http/1.1'],
        // A second net behind doorstep.ts.
        handshakeTimeout: limits.handshakeTimeoutMs + 2 * TICK_MS,
        noDelay: true,
      }),
    );
  }

  #takeOver(): void {
    const server = this.#server;
    // Our listener decides whether Node's is called at all.
    const startTls = taken(server, 'connection');
    server.on('connection', (socket: Socket) => {
      if (this.#doorstep.enter(socket)) startTls(socket);
    });
    server.on('secureConnection', (socket: TLSSocket) => this.#welcome(socket));
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      this.#doorstep.blame(underneath(socket), whyOf(error, socket));
      socket.destroy();
    });
  }

  /** The end of a handshake, full or resumed: who is it, may he come in, and is there room. */
  #welcome(socket: TLSSocket): void {
    const { passage } = this.#options;
    const { limits } = this.#context;
    this.#doorstep.pass(socket);
    const address = peerAddress(socket.remoteAddress);
    const peer = this.#identify(socket, address);
    const refused = typeof peer === 'string' ? peer : passage.admit(peer);
    if (typeof peer === 'string' || refused !== undefined) {
      passage.drop('identity-refused', typeof peer === 'string' ? { address } : peer, refused);
      socket.destroy();
      return;
    }
    if (!this.#devices.take(peer.key, limits.connectionsPerDevice)) {
      passage.drop('identity-cap', peer);
      socket.destroy();
      return;
    }
    // TLS 1.2: a peer could change its certificate in the middle, and handshakes are expensive (CVE-2011-1473).
    socket.disableRenegotiation();
    const connection = new Connection(socket, peer, this.#context);
    this.#connections.set(socket, connection);
    socket.once('close', () => {
      this.#connections.delete(socket);
      this.#devices.give(peer.key);
    });
    connection.attend(); // may close it at once
    if (!socket.destroyed) connection.start();
  }

  /** Who it is, or why that cannot be said. */
  #identify(socket: TLSSocket, address: string): Peer | string {
    try {
      if (!socket.authorized) return 'not-authorized';
      const certificate = socket.getPeerX509Certificate();
      if (certificate === undefined) return 'no-certificate';
      if (chainLength(certificate) > this.#context.limits.certificateChain) return 'chain-too-long';
      return this.#options.peerOf(certificate, address);
    } catch (thrown) {
      return Fault.from(thrown).message;
    }
  }

  #tick(): void {
    const now = performance.now();
    // Time in which we did not get to look is not the peers' time.
    const elapsedMs = Math.min(now - this.#tickedAt, TICK_MS);
    this.#tickedAt = now;
    this.#doorstep.tick(elapsedMs);
    for (const connection of this.#connections.values()) connection.tick(elapsedMs);
  }
}

/** Removes Node's own listener from the server and returns it as a function. */
function taken(server: Server, event: 'connection'): (socket: Socket) => void {
  const listeners = server.listeners(event);
  server.removeAllListeners(event);
  return (socket) => {
    for (const listener of listeners) listener.call(server, socket);
  };
}

/** Why a handshake failed: what OpenSSL found wrong with the certificate, else what went wrong in the handshake itself. */
function whyOf(error: NodeJS.ErrnoException, socket: TLSSocket): string | undefined {
  // Node keeps the code of a certificate's verification here, though its type says Error.
  const verification: unknown = socket.authorizationError;
  const code = typeof verification === 'string' ? verification : error.code;
  return code !== undefined && /^[A-Z][A-Z0-9_]{0,63}$/.test(code) ? code : undefined;
}

/**
 * The TCP connection under a TLS socket that is destroyed already, and has forgotten its addresses. Node has no public name
 * for it; without one the log says less.
 */
function underneath(socket: TLSSocket): Socket {
  const parent: unknown = Reflect.get(socket, '_parent');
  return parent instanceof Socket ? parent : socket;
}

function orCertificateFault<T>(use: () => T): T {
  try {
    return use();
  } catch (cause) {
    throw new Fault('SP_CERTIFICATE_INVALID', 'The listener’s certificate, key or client authorities cannot be used.', {
      cause,
    });
  }
}

/** The granularity of every time limit here. */
const TICK_MS = 1_000;
const BACKLOG = 1_024;
