/**
 * A cloud stand-in: HTTPS and WebSocket with mutual TLS, so the gateway meets what it meets in the field. It believes
 * nobody without a certificate of the gateway's authority, and shows whatever it is sent to whoever started it.
 */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

export interface CloudMessage {
  readonly protocol: 'https' | 'websocket';
  readonly verb: string;
  /** Path and query as received. */
  readonly target: string;
  /** Raw header lines joined, for leak checks. */
  readonly headers: string;
  readonly body: string;
  readonly decision: string | undefined;
}

export interface CloudCertificates {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** The only authority whose client certificates are believed. */
  readonly authorityPem: string;
}

const MAX_BODY_BYTES = 16 * 1_048_576;

const COMMANDS = '/v1/commands/';
const COMMAND_MS = 500;

/** Opens and closes a valve until it hangs up. */
function command(socket: WebSocket): void {
  let open = false;
  const timer = setInterval(() => {
    open = !open;
    socket.send(JSON.stringify({ valve: open ? 'open' : 'closed' }));
  }, COMMAND_MS);
  socket.on('close', () => clearInterval(timer));
}

export class CloudStandIn {
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  /** Requests without a valid client certificate. */
  refusedHandshakes = 0;

  constructor(certificates: CloudCertificates, onMessage: (message: CloudMessage) => void) {
    this.#server = createServer({
      cert: certificates.certificatePem,
      key: certificates.keyPem,
      ca: certificates.authorityPem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
    });
    this.#server.on('tlsClientError', () => {
      this.refusedHandshakes += 1;
    });
    this.#server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      request.on('data', (chunk: Buffer) => {
        size += chunk.byteLength;
        if (size > MAX_BODY_BYTES) request.destroy();
        else chunks.push(chunk);
      });
      request.on('end', () => {
        const target = request.url ?? '/';
        onMessage({
          protocol: 'https',
          verb: request.method ?? 'GET',
          target,
          headers: request.rawHeaders.join('\n'),
          body: Buffer.concat(chunks).toString('utf8'),
          decision: request.headers['sallyport-decision'] as string | undefined,
        });
        const answer = JSON.stringify(target.includes('/config') ? { intervalSeconds: 60 } : { accepted: true });
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) });
        response.end(answer);
      });
    });
    this.#sockets = new WebSocketServer({ server: this.#server, maxPayload: MAX_BODY_BYTES, perMessageDeflate: false });
    this.#sockets.on('connection', (socket: WebSocket, request) => {
      let count = 0;
      if (request.url?.startsWith(COMMANDS)) command(socket);
      socket.on('error', () => socket.terminate());
      socket.on('message', (data: Buffer) => {
        count += 1;
        onMessage({
          protocol: 'websocket',
          verb: 'WS',
          target: request.url ?? '/',
          headers: request.rawHeaders.join('\n'),
          body: data.toString('utf8'),
          decision: request.headers['sallyport-decision'] as string | undefined,
        });
        socket.send(JSON.stringify({ received: count }));
      });
    });
  }

  /** Listens on loopback; returns the origin, e.g. `https://localhost:40001`. */
  async listen(port = 0, host = '127.0.0.1'): Promise<string> {
    await new Promise<void>((done, fail) => {
      this.#server.once('error', fail);
      this.#server.listen(port, host, done);
    });
    return `https://localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
  }
}
