/**
 * One device's TLS connection as HTTP/1.1 sees it (RFC 9112 section 9): requests strictly one after the other, however they
 * were pipelined, and every way a connection ends, each counted. Node queues responses by itself, but would run pipelined
 * requests side by side, and let a `100 Continue` out between the head and the body of the response before it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Session } from '../../exchange/gate.ts';
import type { Peer } from '../../exchange/peer.ts';
import type { FaultCode } from '../../faults/catalogue.ts';
import type { DropReason } from '../../faults/drop.ts';
import { Fault } from '../../faults/fault.ts';
import { problem, rawAnswer } from './answer.ts';
import { checkRequest } from './check-request.ts';
import type { CheckedRequest } from './checked-request.ts';
import type { HttpContext } from './http-context.ts';
import { HttpExchange } from './http-exchange.ts';
import { parserFault } from './parser-fault.ts';

export class Connection implements Session {
  readonly protocol = 'https';
  readonly peer: Peer;
  readonly #socket: TLSSocket;
  readonly #context: HttpContext;
  readonly #queue: HttpExchange[] = [];
  #current: HttpExchange | undefined;
  /** What is queued is answered, then the connection ends. */
  #ending = false;
  #closed = false;
  #upgraded = false;
  #stalled = false;
  #stalledMs = 0;
  #signOff: () => void = () => {};

  constructor(socket: TLSSocket, peer: Peer, context: HttpContext) {
    this.#socket = socket;
    this.peer = peer;
    this.#context = context;
    // What went wrong is told by 'clientError' and 'close'; an error that nobody hears would end the process.
    socket.on('error', () => {});
    socket.once('close', () => this.#leave());
  }

  /** Registers the connection as a live session, so that a revocation closes it. */
  attend(): void {
    this.#signOff = this.#context.passage.attend(this);
  }

  /** Ends it now, whatever is under way. */
  close(reason: DropReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#context.passage.drop(reason, this.peer);
    this.#socket.destroy();
  }

  /** A parsed request head, in order of arrival. */
  accept(request: IncomingMessage, response: ServerResponse): void {
    if (this.#closed || this.#ending || this.#current?.closing) return;
    const exchange = new HttpExchange(request, response, this.peer, this.#context);
    if (this.#current === undefined) {
      void this.#run(exchange);
      return;
    }
    this.#queue.push(exchange);
    if (this.#queue.length < MAX_PIPELINED) return;
    // One read can bring thousands of pipelined requests. These are answered, the rest has to come again.
    this.#ending = true;
    this.#refuse('SP_GATEWAY_OVERLOADED');
  }

  /** Whether this request head may end HTTP on the connection: a checked WebSocket handshake with nothing before it. */
  checkUpgrade(request: IncomingMessage): CheckedRequest | undefined {
    const { upgrader, limits, draining } = this.#context;
    if (upgrader === undefined || draining || this.#closed || this.#ending || this.#current !== undefined)
      return undefined;
    try {
      const checked = checkRequest(request, limits);
      return checked.upgrade === 'websocket' ? checked : undefined;
    } catch {
      return undefined; // refused, with the same fault, on the ordinary way
    }
  }

  /** Hands the connection over. */
  upgrade(request: IncomingMessage, checked: CheckedRequest, head: Buffer): void {
    this.#upgraded = true;
    this.#context.upgrader?.upgrade(request, checked, this.peer, this.#socket, head, () => this.#signOff());
  }

  /** The parser or the transport found fault with what arrived. */
  onClientError(error: NodeJS.ErrnoException): void {
    const code = parserFault(error);
    if (code === undefined) {
      this.#onBreak(error);
      return;
    }
    if (this.#closed || this.#ending || this.#current?.closing) return;
    this.#ending = true;
    const latest = this.#queue.at(-1) ?? this.#current;
    if (latest === undefined) {
      this.#end(code);
    } else if (latest.arrived) {
      // A complete request is under way, and its answer comes first: a 400 in its place would be taken for that answer.
      this.#refuse(code);
    } else {
      latest.fail(new Fault(code));
    }
  }

  /** CONNECT: the parser has let go of the connection (RFC 9110 section 9.3.6). A device has its gateway, not a proxy. */
  onConnect(): void {
    if (this.#closed) return;
    if (this.#current === undefined) this.#end('SP_HTTP_METHOD');
    else this.close('malformed-request');
  }

  /** limits.idleTimeoutMs passed between two requests. */
  onIdle(): void {
    this.close('idle-timeout');
  }

  /** Called once a second. */
  tick(elapsedMs: number): void {
    if (this.#closed || this.#upgraded) return;
    this.#current?.tick(elapsedMs);
    // What was written a tick ago is still in our memory: the peer does not read.
    this.#stalledMs = this.#stalled ? this.#stalledMs + elapsedMs : 0;
    this.#stalled = this.#socket.writableLength > 0;
    if (this.#stalled && this.#stalledMs >= this.#context.limits.requestTimeoutMs) this.close('slow-peer');
  }

  /** The gateway is stopping: ends at once if nothing is under way. */
  drain(): void {
    if (this.#upgraded || this.#current !== undefined) return;
    this.close('draining');
  }

  async #run(first: HttpExchange): Promise<void> {
    const last = (): boolean => this.#queue.length === 0 && (this.#ending || this.#context.draining);
    let exchange: HttpExchange | undefined = first;
    while (exchange !== undefined && !this.#closed) {
      this.#current = exchange;
      const goesOn: boolean = await exchange.run(last);
      this.#stalled = false;
      // Behind a refused request may stand what its sender meant to be its body: nothing queued is looked at.
      if (!goesOn) break;
      exchange = this.#queue.shift();
    }
    const ends = exchange !== undefined || this.#ending || this.#context.draining;
    this.#current = undefined;
    if (!ends) return;
    this.#ending = true;
    this.#queue.length = 0;
    if (!this.#closed) this.#socket.destroySoon();
  }

  /** The bytes ended where they should not. */
  #onBreak({ code }: NodeJS.ErrnoException): void {
    const latest = this.#queue.at(-1) ?? this.#current;
    if (code === 'HPE_CLOSED_CONNECTION' && latest !== undefined) {
      // Data behind a request that announced itself as the last: nobody is to look at it.
      this.#ending = true;
    } else if (code === 'HPE_INVALID_EOF_STATE' && !this.#ending && latest?.arrived !== false) {
      this.close('peer-gone'); // in the middle of a head; in the middle of a body the exchange counts it
    } else {
      this.#socket.destroy();
    }
  }

  /** Answers on the bare socket and closes. */
  #end(code: FaultCode): void {
    const decision = this.#refuse(code);
    this.#ending = true;
    if (!this.#socket.writable) {
      this.#socket.destroy();
      return;
    }
    this.#socket.end(rawAnswer(problem(code, decision)));
    // Closing while the peer still sends turns into a reset, which can overtake the answer.
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  #refuse(code: FaultCode): string {
    const decision = this.#context.passage.decisionId();
    this.#context.passage.refuse(code, decision, this.peer);
    return decision;
  }

  #leave(): void {
    this.#closed = true;
    this.#signOff();
    this.#current?.leave();
    for (const exchange of this.#queue.splice(0)) exchange.leave();
  }
}

/** Requests waiting behind the one under way. */
const MAX_PIPELINED = 16;
const LINGER_MS = 1_000;
