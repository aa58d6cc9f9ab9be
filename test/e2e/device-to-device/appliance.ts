/** A device that others may call: a TLS server with a device's certificate that lets in the gateway of its authority alone. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';

export interface Papers {
  readonly cert: string;
  readonly key: string;
}

export class Appliance {
  readonly heard: string[] = [];
  readonly callers = new Set<string>();
  handshakes = 0;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;

  private constructor(server: Server) {
    this.#server = server;
    this.#sockets = new WebSocketServer({ server });
    server.on('secureConnection', (socket: TLSSocket) => {
      this.handshakes += 1;
      this.callers.add(socket.getPeerCertificate().subjectaltname ?? '');
    });
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        this.heard.push(`${request.method} ${request.url} ${body}`.trim());
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"open":true}');
      });
    });
    this.#sockets.on('connection', (socket, request) => {
      socket.on('error', () => socket.terminate());
      socket.on('message', (data: Buffer) => {
        this.heard.push(`WS ${request.url} ${data.toString('utf8')}`);
        socket.send('{"open":true}');
      });
    });
  }

  static async serve({ cert, key }: Papers, ca: string): Promise<Appliance> {
    const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: true });
    const appliance = new Appliance(server);
    server.listen(0, '127.0.0.1');
    await new Promise((listening) => server.once('listening', listening));
    return appliance;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
