/**
 * The admin door: a Unix socket, mode 0600, in a folder of mode 0700. Whoever may open it is the operator; there is no
 * password and no network address. One request, one operation: `POST /v1/<operation>` with a JSON body.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Fault } from '../faults/fault.ts';
import { OPERATION_NAMES, type OperationName, type Operations } from './operations.ts';
import { socketPath } from './socket.ts';

const MAX_BODY_BYTES = 1_048_576;

export class AdminServer {
  readonly #server: Server;
  readonly #path: string;
  readonly #operations: Operations;

  /**
   * @param directory the gateway's folder
   * @param operations what each operation does; a thrown Fault is told to the caller
   */
  constructor(directory: string, operations: Operations) {
    this.#path = socketPath(directory);
    this.#operations = operations;
    this.#server = createServer(
      { requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 4_096 },
      (request, response) => {
        void this.#answer(request, response);
      },
    );
    this.#server.maxConnections = 64;
  }

  /** Opens the socket. The caller holds the folder's lock, so a socket file that is there belongs to a dead process. */
  async listen(): Promise<void> {
    rmSync(this.#path, { force: true });
    const mask = process.umask(0o177);
    try {
      await new Promise<void>((done, fail) => {
        this.#server.once('error', fail);
        this.#server.listen(this.#path, done);
      });
      chmodSync(this.#path, 0o600);
    } finally {
      process.umask(mask);
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((done) => this.#server.close(() => done()));
    rmSync(this.#path, { force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const name = operationOf(request);
      const parameters = await bodyOf(request);
      const operation = this.#operations[name] as (parameters: unknown) => Promise<unknown>;
      send(response, 200, await operation.call(this.#operations, parameters));
    } catch (thrown) {
      const fault = Fault.from(thrown);
      send(response, fault.code === 'SP_INTERNAL' ? 500 : 422, { error: { code: fault.code, message: fault.message } });
    }
  }
}

function operationOf(request: IncomingMessage): OperationName {
  const name = /^\/v1\/([a-z-]{1,32})$/.exec(request.url ?? '')?.[1];
  const known = OPERATION_NAMES.find((operation) => operation === name);
  if (request.method !== 'POST' || request.headers['content-type'] !== 'application/json' || !known) {
    throw new Fault('SP_USAGE', 'Not an admin operation.');
  }
  return known;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) throw new Fault('SP_USAGE', 'The request to the gateway is larger than 1 MiB.');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new Fault('SP_USAGE', 'The request to the gateway is not JSON.', { cause });
  }
}

function send(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value ?? null);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
