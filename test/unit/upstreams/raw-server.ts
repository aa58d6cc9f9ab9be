/** A TCP or TLS server that answers with whatever bytes a test wants, and remembers what it was sent. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type TlsOptions,
  type Server as TlsServer,
} from 'node:tls';

export interface RawConnection {
  readonly socket: Socket;
  /** Everything received so far, latin1. */
  received: string;
  closed: boolean;
}

export type Script = (connection: RawConnection, head: string, requests: number) => void;

export class RawServer {
  readonly #server: Server;
  readonly connections: RawConnection[] = [];
  /** Complete request heads over all connections. */
  requests = 0;

  /** @param script called once per request head that arrives */
  constructor(script: Script, tls?: TlsOptions) {
    const accept = (socket: Socket) => {
      const connection: RawConnection = { socket, received: '', closed: false };
      this.connections.push(connection);
      let seen = 0;
      socket.on('error', () => undefined);
      socket.on('close', () => {
        connection.closed = true;
      });
      socket.on('data', (chunk: Buffer) => {
        connection.received += chunk.toString('latin1');
        for (;;) {
          const end = connection.received.indexOf('\r\n\r\n', seen);
          if (end < 0) return;
          const head = connection.received.slice(seen, end + 4);
          const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
          if (connection.received.length < end + 4 + length) return;
          seen = end + 4 + length;
          this.requests++;
          script(connection, head, this.requests);
        }
      });
    };
    this.#server = tls ? createTlsServer(tls, accept) : createServer(accept);
    this.#server.on('tlsClientError', () => undefined);
  }

  async listen(host = '127.0.0.1'): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, host, resolve));
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Another certificate for connections from now on. */
  setSecureContext(options: SecureContextOptions): void {
    (this.#server as TlsServer).setSecureContext(options);
  }

  get received(): string {
    return this.connections.map(({ received }) => received).join('');
  }

  async close(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A well-formed response. */
export function response(body: string, headers = '', status = '200 OK'): string {
  return `HTTP/1.1 ${status}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`;
}

/** Polls until `condition` holds; throws after `timeoutMs`. */
export async function until(condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error('the awaited condition did not come about');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The code of the Fault that `promise` rejects with; throws if it does not reject. */
export async function faultCode(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  return 'no fault';
}
