/**
 * The door of the library: `listen` and `connect` over UDP, in the shape of node:dtls.
 *
 *     const endpoint = await listen((session) => { session.onmessage = (data) => session.send(data); }, {
 *       port: 5684, cert, key, verifyPeer, psk: async (identity) => keys.get(identity),
 *       authorize: (peer) => ({ allowed: true, principal: nameOf(peer) }), isStillAllowed: (principal) => registry.has(principal),
 *     });
 *     endpoint.revoke('probe-7');                     // association, Connection ID, sessions and tickets, at once
 *     const session = await connect('127.0.0.1', 5684, { pskIdentity: 'probe-7', pskKey });
 *
 * DTLS 1.2 only (RFC 6347); AEAD suites only; no renegotiation, no compression. engine.ts is the same without sockets:
 * `receive(datagram, address, nowMs) -> effects`, which simulations and other transports drive.
 */
import { lookup } from 'node:dns/promises';
import { DtlsEngine } from './engine.ts';
import { Rim } from './net/rim.ts';
import { UdpSocket } from './net/udp.ts';
import type { BindOptions, ClientOptions, DtlsEndpoint, DtlsSession, PeerAddress, ServerOptions } from './options.ts';
import { AssociationSession } from './session.ts';
import type { DtlsStats } from './stats.ts';

/**
 * Binds a UDP socket and answers DTLS on it.
 * @param onSession called once per association when it is open: proven, authorized, Finished sent.
 * @throws DtlsError `option-invalid`, `key-unreadable` or `self-test`; the socket's own error when it cannot bind.
 */
export async function listen(
  onSession: (session: DtlsSession) => void,
  options: ServerOptions & BindOptions,
): Promise<DtlsEndpoint> {
  let rim: Rim | undefined;
  const engine = new DtlsEngine({ server: options, nowMs: wallClockMs(), onAnswer: () => rim?.wake() });
  const socket = await UdpSocket.bind(options);
  const { onForeignDatagram } = options;
  const worker = options.connectionId?.worker;
  const foreign =
    worker === undefined || onForeignDatagram === undefined ? undefined : { own: worker, hand: onForeignDatagram };
  rim = new Rim(engine, socket, onSession, foreign);
  return new UdpEndpoint(engine, socket, rim);
}

/**
 * Opens an association to a server from a socket of its own, which is closed with it.
 * @throws DtlsError with the close reason when the handshake fails, `option-invalid`, `key-unreadable`.
 */
export async function connect(host: string, port: number, options: ClientOptions & BindOptions): Promise<DtlsSession> {
  const { address } = await lookup(host);
  let rim: Rim | undefined;
  const engine = new DtlsEngine({
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    connectionIdLength: options.connectionId?.length ?? 0,
    nowMs: wallClockMs(),
    onAnswer: () => rim?.wake(),
  });
  const socket = await UdpSocket.bind(bindPart(options), address);
  rim = new Rim(engine, socket, () => {});
  try {
    // A name that was connected to is the name the server must prove; a bare address has none.
    const servername = options.servername ?? (address === host ? '' : host);
    const association = engine.connect({ address, port }, { ...options, servername }, rim.nowMs());
    const session = new AssociationSession(rim, association);
    association.owner = session;
    const { opened, closed } = session;
    void closed.then(() => {
      rim.stop();
      return socket.close();
    });
    rim.flush();
    await opened;
    return session;
  } catch (thrown) {
    rim.stop();
    await socket.close().catch(() => {});
    throw thrown;
  }
}

function bindPart({ reusePort, udpReceiveBufferBytes, ...options }: BindOptions): BindOptions {
  // `host` and `port` of ClientOptions & BindOptions are those of our own socket.
  return {
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(reusePort === undefined ? {} : { reusePort }),
    ...(udpReceiveBufferBytes === undefined ? {} : { udpReceiveBufferBytes }),
  };
}

function wallClockMs(): number {
  return Math.floor(performance.timeOrigin + performance.now());
}

class UdpEndpoint implements DtlsEndpoint {
  readonly #engine: DtlsEngine;
  readonly #socket: UdpSocket;
  readonly #rim: Rim;
  readonly #closed = Promise.withResolvers<void>();
  readonly address: PeerAddress;

  constructor(engine: DtlsEngine, socket: UdpSocket, rim: Rim) {
    this.#engine = engine;
    this.#socket = socket;
    this.#rim = rim;
    this.address = socket.address;
  }

  get stats(): DtlsStats {
    return this.#engine.stats;
  }

  get size(): number {
    return this.#engine.size;
  }

  get busy(): boolean {
    return this.#engine.busy;
  }

  set busy(value: boolean) {
    this.#engine.busy = value;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  revoke(principal: string): number {
    const ended = this.#engine.revoke(principal, this.#rim.nowMs());
    this.#rim.flush();
    return ended;
  }

  take(datagram: Uint8Array, from: PeerAddress): void {
    this.#rim.take(datagram, from);
  }

  async close(): Promise<void> {
    this.#engine.closeAll('endpoint-closed', this.#rim.nowMs());
    await this.#shut();
  }

  destroy(): void {
    this.#engine.closeAll('endpoint-closed', this.#rim.nowMs(), true);
    void this.#shut();
  }

  async #shut(): Promise<void> {
    this.#rim.flush();
    this.#rim.stop();
    await this.#socket.close();
    this.#closed.resolve();
  }
}
