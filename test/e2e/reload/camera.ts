/** A WebSocket that keeps a few messages on their way, and remembers how it ended. */
import { WebSocket } from 'ws';
import type { RunningGateway } from '../../fixtures/running-gateway.ts';
import { until } from './until.ts';

/** Messages on their way at a time. */
const WINDOW = 8;

/** Sends nothing by itself until it is started. */
export class Camera {
  readonly socket: WebSocket;
  readonly closed: Promise<string>;
  sent = 0;
  answered = 0;
  #running = false;

  constructor(gateway: RunningGateway, id: string, path: string) {
    this.socket = new WebSocket(`wss://localhost:${gateway.port}${path}/${id}`, {
      ...gateway.tls(id),
      perMessageDeflate: false,
    });
    this.socket.on('error', () => undefined);
    this.closed = new Promise((done) => this.socket.once('close', (code, reason) => done(`${code} ${reason}`)));
    this.socket.on('message', () => {
      this.answered += 1;
      if (this.#running) this.#send();
    });
  }

  static async open(gateway: RunningGateway, id: string, path: string): Promise<Camera> {
    const camera = new Camera(gateway, id, path);
    await new Promise((opened, failed) => camera.socket.once('open', opened).once('close', failed));
    return camera;
  }

  start(): void {
    this.#running = true;
    for (let at = 0; at < WINDOW; at++) this.#send();
  }

  async stop(): Promise<void> {
    this.#running = false;
    await until(() => this.answered === this.sent || this.socket.readyState !== WebSocket.OPEN);
  }

  #send(): void {
    this.sent += 1;
    this.socket.send(`{"n":${this.sent},"a":1,"b":1}`);
  }
}
