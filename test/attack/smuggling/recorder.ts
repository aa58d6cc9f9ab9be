/**
 * A backend that says what it saw, run as a process of its own: node:http, once with its strict and once with its lenient
 * parser, and once more behind each proxy. One line of JSON on stdout per request, and one for all ports first.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Sighting {
  readonly backend: string;
  readonly method: string;
  readonly target: string;
  /** Names in lowercase and values by turns. */
  readonly headers: readonly string[];
  /** Latin-1. */
  readonly body: string;
  /** Bytes that were no request. */
  readonly error?: string;
}

const names = process.argv.slice(2);
const ports: Record<string, number> = {};
const say = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

for (const backend of names) {
  const server = createServer({ insecureHTTPParser: backend === 'node-lenient', keepAliveTimeout: 60_000 });
  server.on('request', (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const headers = request.rawHeaders.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text));
      const body = Buffer.concat(chunks).toString('latin1');
      say({ backend, method: request.method, target: request.url, headers, body });
      response.end('ok');
    });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code !== 'ECONNRESET') say({ backend, method: '', target: '', headers: [], body: '', error: error.code });
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ports[backend] = (server.address() as AddressInfo).port;
}
say({ ports });
