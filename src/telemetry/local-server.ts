/**
 * /healthz, /readyz and /metrics on a local port: plain HTTP for the machine's own monitoring. Reads nothing but the path,
 * answers GET and HEAD only, and demands a Host that means this machine: a web page whose name was rebound to 127.0.0.1
 * (DNS rebinding) sends its own.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import type { Address } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { METRICS_CONTENT_TYPE } from './metrics.ts';

export interface LocalServerOptions {
  readonly address: Address;
  /** Further names that monitoring may use for this machine, lowercase. */
  readonly hostnames?: readonly string[];
  /** What must be well to serve. */
  readonly ready: () => Readonly<Record<string, boolean>> | Promise<Readonly<Record<string, boolean>>>;
  readonly metrics: { render(): string | Promise<string> };
}

const MAX_CONNECTIONS = 64;
const MAX_HEADER_BYTES = 4_096;
const MAX_HEADERS = 32;
const HEADERS_TIMEOUT_MS = 3_000;
const REQUEST_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 5_000;
const MAX_REQUESTS_PER_CONNECTION = 1_000;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly allow?: string;
}

const PLAIN = 'text/plain; charset=utf-8';

export class LocalServer {
  readonly #options: LocalServerOptions;
  readonly #names: ReadonlySet<string>;
  readonly #server: Server;

  constructor(options: LocalServerOptions) {
    this.#options = options;
    this.#names = new Set(['localhost', options.address.host.toLowerCase(), ...(options.hostnames ?? [])]);
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: 1_000,
        keepAliveTimeout: KEEP_ALIVE_MS,
        requireHostHeader: true,
      },
      (request, response) => void this.#respond(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.maxHeadersCount = MAX_HEADERS;
    this.#server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
    this.#server.on('checkContinue', (request, response) => void this.#respond(request, response));
  }

  /** Resolves with the address in use, `host:port`; port 0 asks for a free one. Throws SP_GATEWAY_LISTEN. */
  listen(): Promise<string> {
    const { host, port } = this.#options.address;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const details = { host, port };
        reject(
          new Fault('SP_GATEWAY_LISTEN', `The metrics address ${host}:${port} cannot be used.`, { cause, details }),
        );
      });
      this.#server.listen({ host, port }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', () => {});
        const used = (this.#server.address() as AddressInfo).port;
        resolve(`${isIP(host) === 6 ? `[${host}]` : host}:${used}`);
      });
    });
  }

  /** Ends every connection. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, type, text, allow } = await this.#answer(request);
    const bytes = Buffer.from(text);
    response.writeHead(status, {
      'content-type': type,
      'content-length': bytes.byteLength,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(allow !== undefined && { allow }),
      // Whoever sent something strange, or a body nobody reads, has to begin anew.
      ...(status >= 400 && status < 500 && { connection: 'close' }),
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    if (!this.#isLocal(request)) return refusal(421, 'This name is not served here.');
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return { ...refusal(405, 'GET or HEAD.'), allow: 'GET, HEAD' };
    const { headers } = request;
    if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined || headers.expect) {
      return refusal(400, 'No body is expected.');
    }
    switch (request.url?.split('?', 1)[0]) {
      case '/healthz':
        return { status: 200, type: PLAIN, text: 'ok\n' };
      case '/readyz':
        return this.#ready();
      case '/metrics':
        return { status: 200, type: METRICS_CONTENT_TYPE, text: await this.#options.metrics.render() };
      default:
        return refusal(404, '/healthz, /readyz or /metrics.');
    }
  }

  async #ready(): Promise<Answer> {
    const checks = await this.#options.ready();
    const ready = Object.values(checks).every((well) => well);
    return { status: ready ? 200 : 503, type: 'application/json', text: `${JSON.stringify({ ready, checks })}\n` };
  }

  /** Does Host name this machine: a configured name, a loopback address, or the very address that was connected to? */
  #isLocal(request: IncomingMessage): boolean {
    const hosts = request.rawHeaders.filter((_, index) => index % 2 === 1 && isHost(request.rawHeaders[index - 1]));
    const parts = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(hosts[0] ?? '');
    if (hosts.length !== 1 || !parts) return false;
    const host = (parts[1] ?? parts[2] ?? '').toLowerCase();
    if (isIP(host) === 0) return this.#names.has(host);
    const local = (request.socket.localAddress ?? '').replace(/^::ffff:/, '');
    return this.#names.has(host) || host === '::1' || host.startsWith('127.') || host === local;
  }
}

function isHost(name: string | undefined): boolean {
  return name?.toLowerCase() === 'host';
}

function refusal(status: number, text: string): Answer {
  return { status, type: PLAIN, text: `${text}\n` };
}
