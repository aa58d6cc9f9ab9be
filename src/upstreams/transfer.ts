/**
 * One request on its way to an upstream and its answer on the way back. It settles exactly once: with a Reply, or with a
 * Fault by whoever is first of upstream, deadline and device; then its lane is free.
 */
import type { Limits } from '../config/settings.ts';
import type { Cancellation } from '../exchange/cancellation.ts';
import type { Reply } from '../exchange/message.ts';
import { Fault } from '../faults/fault.ts';
import type { Ticket } from './circuit-breaker.ts';
import { RequestStream } from './request-body.ts';
import type { RequestHead } from './request-head.ts';
import { ResponseBody } from './response-body.ts';
import { judgeResponse, type RawResponseHead, type ResponseHead } from './response-head.ts';
import type { ResponseReader } from './response-parser.ts';
import { upstreamFault } from './upstream-fault.ts';

/** Who dispatches transfers: Http1Upstream. */
export interface TransferOwner {
  readonly name: string;
  readonly limits: Limits;
  /** The promise has its end; `fault` is undefined for an answer. Once. */
  settled(transfer: Transfer, fault: Fault | undefined): void;
  /** It ended before its first byte was written: true if it is dispatched again. */
  failedUnsent(transfer: Transfer, error: unknown): boolean;
  /** It is over for the lane as well, if it has one: `cut` if the lane does not know yet. Once. */
  released(transfer: Transfer, cut: boolean): void;
}

/** What carries it: a connection slot (lane.ts). */
export interface Carrier {
  dispatch(transfer: Transfer): void;
  /** Ends what it carries, and the connection with it. */
  cut(): void;
}

export interface TransferRequest {
  /** Id of the device whose message it is. */
  readonly device: string;
  readonly head: RequestHead;
  readonly body: Uint8Array | RequestStream | undefined;
  readonly contentLength: number | undefined;
  readonly ticket: Ticket;
  readonly signal: Cancellation;
  readonly timeoutMs: number;
}

export class Transfer implements ResponseReader {
  readonly device: string;
  readonly streamed: boolean;
  readonly ticket: Ticket;
  readonly request: TransferRequest;
  readonly #owner: TransferOwner;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (fault: Fault) => void;
  readonly #timer: NodeJS.Timeout;
  #head: ResponseHead | undefined;
  #body: ResponseBody | undefined;
  #interim = 0;
  #settled = false;
  #started = false;
  #sent = false;
  attempts = 0;
  /** The connection slot it was given; undefined while it waits for one. */
  lane: Carrier | undefined;

  constructor(
    owner: TransferOwner,
    request: TransferRequest,
    resolve: (reply: Reply) => void,
    reject: (fault: Fault) => void,
  ) {
    const { device, body, ticket, signal, timeoutMs } = request;
    this.#owner = owner;
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.device = device;
    this.streamed = body instanceof RequestStream;
    this.ticket = ticket;
    this.#timer = setTimeout(Transfer.#late, timeoutMs, this);
    signal.addEventListener('abort', this);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** True from the moment before the first byte was written. */
  get started(): boolean {
    return this.#started;
  }

  /** The device left. */
  handleEvent(): void {
    this.stop(new Fault('SP_EXCHANGE_CANCELLED'));
  }

  /** Ends it with a fault, and what it has of a connection with it. */
  stop(fault: Fault): void {
    if (this.#settled) return;
    this.#settle(fault);
    this.#owner.released(this, true);
  }

  static #late(this: void, transfer: Transfer): void {
    const { body } = transfer.request;
    const slowDevice = body instanceof RequestStream && body.waitsForDevice;
    // A device that dribbles its body must not open the circuit for all the others.
    transfer.stop(
      new Fault(slowDevice ? 'SP_HTTP_TIMEOUT' : 'SP_UPSTREAM_TIMEOUT', undefined, { details: transfer.#place() }),
    );
  }

  #place() {
    const stage = this.#head ? 'content' : this.#sent ? 'answer' : this.started ? 'request' : 'connection';
    return { upstream: this.#owner.name, stage };
  }

  // --- The lane's side.

  /** The moment before its first byte. */
  onStart(): void {
    this.#started = true;
  }

  onSent(): void {
    this.#sent = true;
  }

  onInterim(status: number): void {
    // Neither 100 nor 101 was asked for. Early hints are let pass by, but not for ever.
    if (status <= 101 || ++this.#interim > MAX_INTERIM_RESPONSES) {
      throw new Fault('SP_UPSTREAM_RESPONSE', undefined, { details: { what: `status ${status}` } });
    }
  }

  onHead(raw: RawResponseHead): ResponseHead {
    const { limits } = this.#owner;
    const head = judgeResponse(raw, this.request.head.method, limits);
    this.#head = head;
    this.#body = new ResponseBody(head.bodiless ? 0 : limits.responseBytes);
    return head;
  }

  onContent(piece: Uint8Array): void {
    this.#body?.add(piece);
  }

  /** The answer is whole. */
  onEnd(): void {
    if (!this.#settled) {
      if (this.#head && this.#body) this.#answer(this.#head, this.#body);
      else this.#settle(new Fault('SP_INTERNAL', 'A response ended that never began.'));
    }
    this.#owner.released(this, false);
  }

  /** It came to nothing: no connection, a broken one, or an answer that is refused. */
  onError(thrown: unknown): void {
    if (this.#settled) return;
    if (!this.#started && this.#owner.failedUnsent(this, thrown)) return;
    this.#settle(upstreamFault(thrown, this.#started, this.#owner.name));
    this.#owner.released(this, false);
  }

  #answer(head: ResponseHead, body: ResponseBody): void {
    const { status, headers, contentType } = head;
    this.#close();
    this.#resolve({ status, headers, contentType, body: body.take() });
    this.#owner.settled(this, undefined);
  }

  #settle(fault: Fault): void {
    this.#close();
    this.#reject(fault);
    this.#owner.settled(this, fault);
  }

  #close(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
    const { signal, body } = this.request;
    signal.removeEventListener('abort', this);
    if (body instanceof RequestStream) body.readable.destroy();
  }
}

/** RFC 9110 section 15.2 lets a server send any number; a real one sends one or two. */
const MAX_INTERIM_RESPONSES = 8;
