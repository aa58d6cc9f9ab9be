/** A UDP socket, and nothing of DTLS: the only file of the library that opens one. */
import { createSocket, type Socket } from 'node:dgram';
import type { BindOptions, PeerAddress } from '../options.ts';

export class UdpSocket {
  readonly #socket: Socket;
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Binds. @throws the socket's error when the address is taken or unknown. */
  static async bind(options: BindOptions, peerHost = ''): Promise<UdpSocket> {
    const host = options.host ?? (peerHost.includes(':') ? '::' : '0.0.0.0');
    const socket = createSocket({
      type: host.includes(':') ? 'udp6' : 'udp4',
      // Addresses are numbers here: looking them up would only make each send wait for a turn of the event loop.
      lookup: (address, _options, done) => done(null, address, address.includes(':') ? 6 : 4),
      reusePort: options.reusePort ?? false,
      ...(options.udpReceiveBufferBytes === undefined ? {} : { recvBufferSize: options.udpReceiveBufferBytes }),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: host, port: options.port ?? 0 }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    // Later errors (an ICMP answer to something we sent) say nothing that we could believe.
    socket.on('error', () => {});
    return new UdpSocket(socket);
  }

  get address(): PeerAddress {
    const { address, port } = this.#socket.address();
    return { address, port };
  }

  listen(onDatagram: (datagram: Uint8Array, from: PeerAddress) => void): void {
    this.#socket.on('message', (datagram, { address, port }) => onDatagram(datagram, { address, port }));
  }

  send(datagram: Uint8Array, to: PeerAddress): void {
    if (!this.#closed) this.#socket.send(datagram, to.port, to.address, () => {});
  }

  /** The process may end while the socket is open. */
  unref(): void {
    this.#socket.unref();
  }

  /** May be called again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}
