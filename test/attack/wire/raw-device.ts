/** A device that writes its requests by hand: TLS with a real certificate, and then whatever bytes a test wants. */
import { once } from 'node:events';
import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { RunningGateway } from '../../fixtures/running-gateway.ts';

export interface RawAnswer {
  /** 0: the connection ended without an answer. */
  readonly status: number;
  /** Status line and fields. */
  readonly head: string;
  readonly body: string;
}

const NOTHING: RawAnswer = { status: 0, head: '', body: '' };

export interface RawOptions {
  /** Another certificate than the device's own; for attempts with forged ones. */
  readonly credentials?: { readonly cert: string; readonly key: string };
  readonly servername?: string;
}

/** One connection at a time, opened again when the gateway has closed it; TLS sessions are resumed. */
export class RawDevice {
  readonly #gateway: RunningGateway;
  readonly #id: string;
  readonly #options: RawOptions;
  #context: SecureContext | undefined;
  #socket: TLSSocket | undefined;
  #session: Buffer | undefined;
  #received = Buffer.alloc(0);
  #wake: () => void = () => {};
  /** Connections made so far. */
  connections = 0;

  constructor(gateway: RunningGateway, id: string, options: RawOptions = {}) {
    this.#gateway = gateway;
    this.#id = id;
    this.#options = options;
  }

  /** Sends the bytes and waits for one answer, or for the end of the connection. */
  async exchange(bytes: Buffer | string, verb = 'POST'): Promise<RawAnswer> {
    const socket = await this.#connected();
    if (socket === undefined) return NOTHING;
    this.#received = Buffer.alloc(0);
    socket.write(bytes);
    const deadline = setTimeout(() => socket.destroy(), 20_000);
    for (;;) {
      const answer = answerIn(this.#received, verb, socket.destroyed || socket.readableEnded);
      if (answer !== undefined || socket.destroyed || socket.readableEnded) {
        clearTimeout(deadline);
        if (answer === undefined || /\r\nconnection: close\r\n/i.test(`${answer.head}\r\n`)) this.close();
        return answer ?? NOTHING;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** A request with the usual fields and a body, and more fields as they are given. */
  send(verb: string, target: string, body = '', fields: readonly string[] = []): Promise<RawAnswer> {
    return this.exchange(requestText(verb, target, body, fields), verb);
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #connected(): Promise<TLSSocket | undefined> {
    if (this.#socket && !this.#socket.destroyed && !this.#socket.readableEnded) return this.#socket;
    const { servername = 'localhost', credentials } = this.#options;
    this.#context ??= createSecureContext({ ...this.#gateway.tls(this.#id), ...credentials });
    const socket = connect({
      host: '127.0.0.1',
      port: this.#gateway.port,
      secureContext: this.#context,
      servername,
      checkServerIdentity: () => undefined,
      ...(this.#session && { session: this.#session }),
      ALPNProtocols: ['http/1.1'],
    });
    this.connections += 1;
    socket.on('error', () => undefined);
    socket.on('session', (session: Buffer) => {
      this.#session = session;
    });
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('end', () => this.#wake());
    socket.on('close', () => this.#wake());
    await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]).catch(() => undefined);
    this.#socket = socket.destroyed ? undefined : socket;
    return this.#socket;
  }
}

/** The request as text; the first line of `fields` may replace Host. */
export function requestText(verb: string, target: string, body = '', fields: readonly string[] = []): string {
  const hasHost = fields.some((field) => /^host:/i.test(field));
  const hasType = fields.some((field) => /^content-type:/i.test(field));
  const framing = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const type = body === '' || hasType ? [] : ['Content-Type: application/json'];
  const lines = [`${verb} ${target} HTTP/1.1`, ...(hasHost ? [] : ['Host: localhost']), ...type, ...framing, ...fields];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** The fields of a WebSocket handshake. */
export const HANDSHAKE: readonly string[] = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

/** The first whole answer in what was received; undefined: there is none yet. */
function answerIn(bytes: Buffer, verb: string, atEnd: boolean): RawAnswer | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const status = Number(head.slice(9, 12));
  if (status === 101 || verb === 'HEAD' || status === 204 || status === 304) return { status, head, body: '' };
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const stop = end + 4 + Number(length);
    if (bytes.length < stop && !atEnd) return undefined;
    return { status, head, body: bytes.toString('utf8', end + 4, stop) };
  }
  const chunked = bytes.indexOf('0\r\n\r\n', end + 4);
  if (chunked >= 0) return { status, head, body: bytes.toString('utf8', end + 4, chunked) };
  return atEnd ? { status, head, body: bytes.toString('utf8', end + 4) } : undefined;
}
