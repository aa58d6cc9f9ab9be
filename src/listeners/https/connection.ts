/**
 * One device's TLS connection as HTTP/1.1 sees it (RFC 9112 section 9): requests strictly one after the other, however they
 * were pipelined, and every way a connection ends, each counted. What comes early waits unread, in the kernel if it is much.
 */
import type { TLSSocket } from 'node:tls';
import type { Session } from '../../exchange/gate.ts';
import type { Peer } from '../../exchange/peer.ts';
import type { FaultCode } from '../../faults/catalogue.ts';
import type { DropReason } from '../../faults/drop.ts';
import { Fault } from '../../faults/fault.ts';
import { problem, rawAnswer } from './answer.ts';
import type { CheckedRequest } from './checked-request.ts';
import type { HttpContext } from './http-context.ts';
import { HttpExchange } from './http-exchange.ts';
import { RequestReader } from './request-reader.ts';

export class Connection implements Session {
  readonly protocol = 'https';
  readonly peer: Peer;
  readonly #socket: TLSSocket;
  readonly #context: HttpContext;
  readonly #reader: RequestReader;
  #current: HttpExchange | undefined;
  /** Nothing more is read. */
  #ending = false;
  #closed = false;
  #upgraded = false;
  #paused = false;
  /** Milliseconds since something that has its own limit began: a head, or the pause between two requests. */
  #waitedMs = 0;
  #idle = false;
  #stalled = false;
  #stalledMs = 0;
  /** Octets given to the socket up to the last tick. */
  #writtenBytes = 0;
  #signOff: () => void = () => {};
  readonly #last = (): boolean => this.#ending || this.#context.draining;

  constructor(socket: TLSSocket, peer: Peer, context: HttpContext) {
    this.#socket = socket;
    this.peer = peer;
    this.#context = context;
    this.#reader = new RequestReader(() => context.limits);
    // An error that nobody hears would end the process. Not each of them closes the connection: renegotiation does not.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#leave());
  }

  /** Registers the connection as a live session, so that a revocation closes it. */
  attend(): void {
    this.#signOff = this.#context.passage.attend(this);
  }

  /** Begins to read. */
  start(): void {
    this.#socket.on('data', this.#onData).on('end', this.#onEnd);
  }

  /** Ends it now, whatever is under way. */
  close(reason: DropReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.passage.drop(reason, this.peer);
    this.#socket.destroy();
  }

  /** Called once a second. */
  tick(elapsedMs: number): void {
    if (this.#closed || this.#upgraded) return;
    const { limits } = this.#context;
    this.#current?.tick(elapsedMs);
    // What was written a tick ago is still in our memory: the peer does not read. It does if more could be written since.
    const { writableLength, bytesWritten } = this.#socket;
    this.#stalledMs = this.#stalled && bytesWritten === this.#writtenBytes ? this.#stalledMs + elapsedMs : 0;
    this.#stalled = writableLength > 0;
    this.#writtenBytes = bytesWritten;
    if (this.#stalled && this.#stalledMs >= limits.requestTimeoutMs) this.close('slow-peer');
    if (this.#current !== undefined || this.#ending) return;
    this.#waitedMs += elapsedMs;
    if (this.#idle) {
      if (this.#waitedMs >= limits.idleTimeoutMs) this.close('idle-timeout');
    } else if (this.#waitedMs >= limits.headerTimeoutMs) {
      this.#end('SP_HTTP_TIMEOUT');
    }
  }

  /** The gateway is stopping: ends at once if nothing is under way. */
  drain(): void {
    if (this.#upgraded || this.#ending || this.#current !== undefined) return;
    this.close('draining');
  }

  readonly #onData = (chunk: Buffer): void => {
    // A refusal is on its way: what still comes is read so that the close is not a reset, and forgotten.
    if ((this.#closed || this.#ending) && this.#current === undefined) return;
    this.#reader.push(chunk);
    if (this.#current === undefined) {
      // The head's time begins with its first octet, not with the end of the request before.
      if (this.#idle) this.#waitedMs = 0;
      this.#idle = false;
      this.#next();
    } else {
      this.#current.onData();
    }
    this.#breathe();
  };

  /** FIN: what is not whole by now will never be, and nobody waits for an answer. */
  readonly #onEnd = (): void => {
    if (this.#upgraded) return;
    if (this.#current === undefined && this.#reader.began && !this.#ending) this.close('peer-gone');
    else this.#socket.destroy();
  };

  /** Looks for the next request in what has come. */
  #next(): void {
    while (this.#current === undefined && !this.#closed && !this.#ending) {
      let checked: CheckedRequest | undefined;
      try {
        checked = this.#reader.head();
      } catch (thrown) {
        this.#end(Fault.from(thrown).code);
        return;
      }
      if (checked === undefined) {
        if (!this.#reader.began && !this.#idle) this.#rest();
        return;
      }
      if (checked.upgrade === 'websocket' && this.#mayUpgrade()) {
        this.#upgrade(checked);
        return;
      }
      void this.#run(new HttpExchange(checked, this.#source, this.#socket, this.peer, this.#context));
    }
  }

  readonly #source = {
    content: (): Buffer | undefined => {
      const piece = this.#reader.content();
      if (this.#paused) this.#breathe();
      return piece;
    },
    isEnded: (): boolean => this.#reader.ended,
  };

  /** Between two requests. */
  #rest(): void {
    this.#idle = true;
    this.#waitedMs = 0;
  }

  /** Unread octets are kept up to a bound; beyond it TCP tells the peer to wait. */
  #breathe(): void {
    // With nothing under way all that is unread is one line, which has a bound of its own and needs the rest to come.
    const full = this.#current !== undefined && this.#reader.buffered > MAX_UNREAD_BYTES;
    if (full === this.#paused || this.#upgraded) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  async #run(exchange: HttpExchange): Promise<void> {
    this.#current = exchange;
    const goesOn = await exchange.run(this.#last);
    this.#current = undefined;
    this.#stalled = false;
    if (goesOn && !this.#last()) {
      this.#waitedMs = 0;
      this.#next();
      this.#breathe();
      return;
    }
    // Behind a refused request may stand what its sender meant to be its body: nothing is looked at any more.
    this.#ending = true;
    if (!this.#closed) this.#socket.destroySoon();
  }

  #mayUpgrade(): boolean {
    return this.#context.upgrader !== undefined && !this.#context.draining;
  }

  /** Hands the connection over. */
  #upgrade(checked: CheckedRequest): void {
    this.#upgraded = true;
    this.#socket.off('data', this.#onData).off('end', this.#onEnd);
    this.#socket.pause();
    const { url = '', rawHeaders } = this.#reader.raw;
    const headers: Record<string, string> = {};
    for (let at = 0; at < rawHeaders.length; at += 2) {
      headers[(rawHeaders[at] as string).toLowerCase()] = rawHeaders[at + 1] as string;
    }
    const request = { method: checked.verb, url, headers };
    this.#context.upgrader?.upgrade(request, checked, this.peer, this.#socket, this.#reader.rest(), () =>
      this.#signOff(),
    );
  }

  /** Answers without an exchange and closes. */
  #end(code: FaultCode): void {
    const { passage } = this.#context;
    const decision = passage.decisionId();
    passage.refuse(code, decision, this.peer);
    this.#ending = true;
    this.#paused = false;
    this.#socket.resume();
    if (!this.#socket.writable) {
      this.#socket.destroy();
      return;
    }
    this.#socket.end(rawAnswer(problem(code, decision)));
    // Closing while the peer still sends turns into a reset, which can overtake the answer.
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  #leave(): void {
    const counted = this.#closed;
    this.#closed = true;
    this.#signOff();
    this.#current?.leave(counted);
  }
}

/** What may wait unread behind the request under way; a body that is read does not count. */
const MAX_UNREAD_BYTES = 65_536;
const LINGER_MS = 1_000;
