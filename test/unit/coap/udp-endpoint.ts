/** The library over plain UDP on loopback, for tests and the bench alone: a peer is "address:port". */
import { createSocket, type Socket } from 'node:dgram';
import type { EndpointOptions } from '../../../src/coap/api.ts';
import { Endpoint } from '../../../src/coap/endpoint.ts';

export class UdpEndpoint {
  readonly socket: Socket;
  readonly endpoint: Endpoint<string>;
  #timer: NodeJS.Timeout | undefined;
  /** Share of datagrams lost on purpose, out and in; 0 to 1. */
  lossOut = 0;
  lossIn = 0;
  random = Math.random;

  private constructor(socket: Socket, options: Partial<EndpointOptions<string>>) {
    this.socket = socket;
    this.endpoint = new Endpoint<string>({
      send: (peer, bytes) => {
        if (this.lossOut > 0 && this.random() < this.lossOut) return;
        const colon = peer.lastIndexOf(':');
        socket.send(bytes, Number(peer.slice(colon + 1)), peer.slice(0, colon), () => undefined);
      },
      now: () => performance.now(),
      deadline: (atMs) => this.#wakeAt(atMs),
      ...options,
    });
    socket.on('message', (bytes, from) => {
      if (this.lossIn > 0 && this.random() < this.lossIn) return;
      this.endpoint.receive(`${from.address}:${from.port}`, bytes, performance.now());
    });
    socket.on('error', () => undefined);
  }

  static async open(options: Partial<EndpointOptions<string>> = {}): Promise<UdpEndpoint> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    return new UdpEndpoint(socket, options);
  }

  get port(): number {
    return this.socket.address().port;
  }

  #wakeAt(atMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.endpoint.advance(performance.now()), Math.max(1, atMs - performance.now()));
  }

  async close(): Promise<void> {
    this.endpoint.close();
    clearTimeout(this.#timer);
    await new Promise<void>((resolve) => this.socket.close(resolve));
  }
}
