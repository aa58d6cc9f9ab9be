/**
 * One connection slot to an upstream: an undici Client, which has at most one socket and writes one request at a time, and
 * a guard in front of its parser that sees every byte the upstream sends. The guard counts what the parser does not
 * (interim responses, reason phrases, chunk extensions, trailers) and looks at the version, which the parser keeps to itself.
 */
import type { Socket } from 'node:net';
import { Client } from 'undici';
import type { Limits } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import type { Dial, Origin } from './dial.ts';
import type { Transfer } from './transfer.ts';

export class Lane {
  readonly #client: Client;
  readonly #limits: Limits;
  #socket: Socket | undefined;
  #transfer: Transfer | undefined;
  /** Bytes received since the present transfer was dispatched. */
  #received = 0;

  constructor(origin: Origin, dial: Dial, limits: Limits) {
    this.#limits = limits;
    this.#client = new Client(origin.url, {
      connect: (_options, callback) =>
        dial((error, socket) => {
          if (socket) this.#guard(socket);
          if (socket) callback(null, socket);
          else callback(error ?? new Fault('SP_UPSTREAM_UNREACHABLE'), null);
        }),
      pipelining: 1,
      allowH2: false,
      // The environment could choose the experimental parser otherwise.
      useMilo: false,
      strictContentLength: true,
      maxHeaderSize: limits.responseHeaderBytes,
      maxResponseSize: limits.responseBytes,
      // A Transfer has one deadline for all of its stages; undici's timers start anew with each interim response.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: LONGEST_IDLE_MS,
    });
  }

  get transfer(): Transfer | undefined {
    return this.#transfer;
  }

  dispatch(transfer: Transfer): void {
    this.#transfer = transfer;
    this.#received = 0;
    this.#client.dispatch(transfer.options, transfer);
  }

  release(): void {
    this.#transfer = undefined;
  }

  /** What undici found behind a complete response: it destroyed the socket for it, but says so to nobody. */
  trailing(): Fault | undefined {
    const error = this.#socket?.errored;
    // Everything else is a connection that ended in an ordinary way: Connection: close, HEAD, a FIN behind the answer.
    if (error?.name !== 'HTTPParserError' && error?.message !== 'bad response') return undefined;
    return new Fault('SP_UPSTREAM_RESPONSE', 'Bytes that belong to no response follow the answer.', { cause: error });
  }

  destroy(): void {
    void this.#client.destroy();
  }

  /** undici takes each chunk with socket.read(): this is where it can be looked at before it is parsed. */
  #guard(socket: Socket): void {
    this.#socket = socket;
    this.#received = 0;
    const read = socket.read.bind(socket);
    socket.read = (size?: number) => {
      const chunk: unknown = read(size);
      if (chunk instanceof Uint8Array && this.#socket === socket) this.#look(chunk);
      return chunk;
    };
  }

  #look(chunk: Uint8Array): void {
    const transfer = this.#transfer;
    // Bytes that nobody asked for, or not yet: undici drops the connection.
    if (transfer === undefined || !transfer.started || transfer.settled) return;
    const before = this.#received;
    this.#received += chunk.length;
    const { responseHeaderBytes, responseBytes } = this.#limits;
    const ceiling = MAX_CHUNK_BYTES + 2 * responseHeaderBytes + FRAMING_FACTOR * responseBytes;
    if (!continuesStatusLine(chunk, before)) {
      transfer.stop(new Fault('SP_UPSTREAM_RESPONSE', 'The answer does not begin with HTTP/1.'));
    } else if (!transfer.answered && before > responseHeaderBytes) {
      // The head may share a chunk with content, so it is what came before this chunk that must have held all of it.
      transfer.stop(new Fault('SP_UPSTREAM_TOO_LARGE', 'The head is larger than limits.responseHeaderBytes.'));
    } else if (this.#received > ceiling) {
      transfer.stop(new Fault('SP_UPSTREAM_TOO_LARGE', 'The answer is mostly framing.'));
    }
  }
}

function continuesStatusLine(chunk: Uint8Array, before: number): boolean {
  const end = Math.min(STATUS_LINE.length, before + chunk.length);
  for (let at = before; at < end; at++) {
    if (chunk[at - before] !== STATUS_LINE[at]) return false;
  }
  return true;
}

/** RFC 9112 section 2.3. 1.0 is still what small servers speak; the digit after the dot is the parser's to judge. */
const STATUS_LINE = Buffer.from('HTTP/1.');
/** One read of a socket. */
const MAX_CHUNK_BYTES = 65_536;
/** Chunked framing adds less than a quarter to pieces of the smallest average size that ResponseBody accepts. */
const FRAMING_FACTOR = 1.25;

/** Short, because a request that meets a closing connection is lost: it is never sent twice. */
const IDLE_MS = 4_000;
/** When the upstream says that it keeps connections longer (Keep-Alive: timeout). */
const LONGEST_IDLE_MS = 60_000;
