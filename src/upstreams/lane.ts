/**
 * One connection slot to an upstream: at most one socket, one request at a time, written and read here (RFC 9112). A socket
 * on which anything unexpected came, or that did not end a response cleanly, is never used again.
 */
import type { Socket } from 'node:net';
import type { Limits } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import type { Dial, Origin } from './dial.ts';
import { RequestStream } from './request-body.ts';
import { ResponseParser } from './response-parser.ts';
import type { Carrier, Transfer } from './transfer.ts';

export class Lane implements Carrier {
  readonly #dial: Dial;
  readonly #limits: Limits;
  /** `Host` and what stands in every head. */
  readonly #preamble: string;
  #socket: Socket | undefined;
  #dialling = false;
  #destroyed = false;
  #transfer: Transfer | undefined;
  #parser: ResponseParser | undefined;
  /** The whole request was given to the socket. */
  #written = false;
  /** When an idle socket is too old to be trusted with a request, by performance.now(). */
  #freshUntilMs = 0;

  constructor(origin: Origin, dial: Dial, limits: Limits) {
    this.#dial = dial;
    this.#limits = limits;
    // RFC 9110 section 7.2: the authority, without the default port.
    this.#preamble = `host: ${new URL(origin.url).host}\r\nconnection: keep-alive\r\n`;
  }

  /** What it carries at the moment. */
  get transfer(): Transfer | undefined {
    return this.#transfer;
  }

  /** Sends the transfer's request; it is told of everything that becomes of it. */
  dispatch(transfer: Transfer): void {
    this.#transfer = transfer;
    this.#written = false;
    const socket = this.#socket;
    if (socket?.writable && performance.now() < this.#freshUntilMs) {
      this.#write(transfer, socket);
      return;
    }
    this.#drop();
    this.#connect();
  }

  /** Ends what is under way, and the connection with it: half a request or half an answer is on it. */
  cut(): void {
    const started = this.#transfer?.started === true;
    this.#transfer = undefined;
    // A connection that is only now being made is as good for the next one.
    if (started) this.#drop();
  }

  destroy(): void {
    this.#destroyed = true;
    this.#transfer = undefined;
    this.#drop();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#parser = undefined;
    socket?.destroy();
  }

  #connect(): void {
    if (this.#dialling) return;
    this.#dialling = true;
    this.#dial((error, socket) => {
      this.#dialling = false;
      if (this.#destroyed) {
        socket?.destroy();
        this.#fail(new Fault('SP_GATEWAY_DRAINING'));
        return;
      }
      if (socket === undefined) {
        this.#fail(error ?? new Fault('SP_UPSTREAM_UNREACHABLE'));
        return;
      }
      this.#adopt(socket);
      // It may have been cut meanwhile: then the connection waits for the next one.
      if (this.#transfer !== undefined) this.#write(this.#transfer, socket);
    });
  }

  #adopt(socket: Socket): void {
    this.#socket = socket;
    this.#freshUntilMs = performance.now() + IDLE_MS;
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket === socket) this.#read(chunk);
    });
    // An idle connection that is not needed for long goes; the upstream would close it at a worse moment.
    socket.setTimeout(LONGEST_IDLE_MS, () => {
      if (this.#socket === socket && this.#transfer === undefined) this.#drop();
    });
    const ended = (): void => {
      if (this.#socket === socket) this.#onEnd(socket);
    };
    socket.on('end', ended).on('close', ended);
  }

  #write(transfer: Transfer, socket: Socket): void {
    transfer.onStart();
    const { head, body, contentLength } = transfer.request;
    const { method, target, headers } = head;
    this.#parser = new ResponseParser(method, transfer, this.#limits);
    let text = `${method} ${target} HTTP/1.1\r\n${this.#preamble}`;
    for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`;
    if (body instanceof RequestStream) {
      text +=
        contentLength === undefined ? 'transfer-encoding: chunked\r\n\r\n' : `content-length: ${contentLength}\r\n\r\n`;
      socket.write(text, 'latin1');
      this.#stream(transfer, socket, body, contentLength === undefined);
      return;
    }
    const length = body?.byteLength ?? 0;
    // RFC 9110 section 8.6: a method that anticipates content says when there is none.
    text += length > 0 || ANTICIPATES_CONTENT.has(method) ? `content-length: ${length}\r\n\r\n` : '\r\n';
    this.#written = true;
    transfer.onSent();
    if (body === undefined || length === 0) {
      socket.write(text, 'latin1');
    } else if (length <= COPIED_BODY_BYTES) {
      // One write of one piece.
      const bytes = Buffer.allocUnsafe(text.length + length);
      bytes.write(text, 0, 'latin1');
      bytes.set(body, text.length);
      socket.write(bytes);
    } else {
      socket.cork();
      socket.write(text, 'latin1');
      socket.write(body);
      socket.uncork();
    }
  }

  /** RFC 9112 section 7.1. As fast as the upstream takes it, and ended only if the device's body was whole. */
  #stream(transfer: Transfer, socket: Socket, body: RequestStream, chunked: boolean): void {
    const { readable } = body;
    const current = (): boolean => this.#socket === socket && this.#transfer === transfer;
    const goOn = (): void => void readable.resume();
    readable.on('data', (piece: Uint8Array) => {
      if (!current()) return;
      if (chunked) {
        socket.cork();
        socket.write(`${piece.byteLength.toString(16)}\r\n`, 'latin1');
        socket.write(piece);
        socket.write('\r\n', 'latin1');
        socket.uncork();
      } else {
        socket.write(piece);
      }
      if (!socket.writableNeedDrain) return;
      readable.pause();
      socket.once('drain', goOn);
    });
    readable.on('end', () => {
      if (!current()) return;
      if (chunked) socket.write('0\r\n\r\n', 'latin1');
      this.#written = true;
      transfer.onSent();
    });
    readable.on('error', (error) => {
      if (current()) this.#fail(error);
    });
    readable.on('close', () => socket.off('drain', goOn));
  }

  #read(chunk: Buffer): void {
    const parser = this.#parser;
    // Bytes that nobody asked for, or not yet.
    if (parser === undefined || this.#transfer === undefined) {
      this.#drop();
      return;
    }
    try {
      parser.read(chunk);
    } catch (thrown) {
      this.#fail(thrown);
      return;
    }
    if (parser.done) this.#complete(parser);
  }

  #complete(parser: ResponseParser): void {
    const transfer = this.#transfer as Transfer;
    this.#transfer = undefined;
    this.#parser = undefined;
    const { idleMs = IDLE_MS } = parser;
    const freshMs = Math.min(idleMs - IDLE_MARGIN_MS, LONGEST_IDLE_MS);
    // An answer before the request's end is an answer; what the rest of the request would be read as, nobody knows.
    if (!parser.keepsAlive || !this.#written || freshMs <= 0) this.#drop();
    else this.#freshUntilMs = performance.now() + freshMs;
    transfer.onEnd();
  }

  #onEnd(socket: Socket): void {
    const transfer = this.#transfer;
    if (transfer === undefined || !transfer.started) {
      this.#drop();
      return;
    }
    this.#fail(
      socket.errored ?? new Fault('SP_UPSTREAM_RESPONSE', 'The upstream closed before its answer was complete.'),
    );
  }

  #fail(thrown: unknown): void {
    const transfer = this.#transfer;
    this.#transfer = undefined;
    this.#drop();
    transfer?.onError(thrown);
  }
}

const ANTICIPATES_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);
/** Copying more costs more than a second piece. */
const COPIED_BODY_BYTES = 16_384;
/** Short, because a request that meets a closing connection is lost: it is never sent twice. */
const IDLE_MS = 5_000;
/** How much earlier than the upstream says it is not used any more. */
const IDLE_MARGIN_MS = 1_000;
/** Whatever the upstream says that it keeps connections (Keep-Alive: timeout). */
const LONGEST_IDLE_MS = 60_000;
