/** What many would put together instead: the package http-proxy behind node:https with mutual TLS, and no policy. */
import { readFileSync } from 'node:fs';
import { Agent, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';

interface Proxy {
  web(request: IncomingMessage, response: ServerResponse): void;
  ws(request: IncomingMessage, socket: unknown, head: Buffer): void;
  on(event: 'error', listener: (error: Error) => void): void;
}
const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as {
  createProxyServer(options: { target: string; agent: Agent }): Proxy;
};

const [port, target, certificate, key, authority] = process.argv.slice(2) as [string, string, string, string, string];
const proxy = createProxyServer({ target, agent: new Agent({ keepAlive: true, maxSockets: 256 }) });
proxy.on('error', (error) => process.stderr.write(`${error.message}\n`));
const server: Server = createServer(
  {
    cert: readFileSync(certificate),
    key: readFileSync(key),
    ca: readFileSync(authority),
    requestCert: true,
    rejectUnauthorized: true,
  },
  (request, response) => proxy.web(request, response),
);
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head));
server.keepAliveTimeout = 3_600_000;
server.listen(Number(port), '127.0.0.1');
