/**
 * One request on its way to an upstream and its answer on the way back, as undici's handler. It settles exactly once: with
 * a Reply, or with a Fault by whoever is first of upstream, deadline and device. After that it only waits to be let go.
 */
import type { Dispatcher } from 'undici';
import type { Limits } from '../config/settings.ts';
import type { Reply } from '../exchange/message.ts';
import { Fault } from '../faults/fault.ts';
import type { Ticket } from './circuit-breaker.ts';
import { RequestStream } from './request-body.ts';
import type { RequestHead } from './request-head.ts';
import { ResponseBody } from './response-body.ts';
import { judgeResponse, type ResponseHead } from './response-head.ts';
import { upstreamFault } from './upstream-fault.ts';

/** Who dispatches transfers: UndiciUpstream. */
export interface TransferOwner {
  readonly name: string;
  readonly limits: Limits;
  /** The promise has its end; `fault` is undefined for an answer. Once. */
  settled(transfer: Transfer, fault: Fault | undefined): void;
  /** undici ended a transfer before its first byte was written: true if it is dispatched again. */
  failedUnsent(transfer: Transfer, error: Error): boolean;
  /** undici holds the transfer no longer. Once. */
  released(transfer: Transfer): void;
  /** Called after the answer's last byte was parsed, with whatever came along behind it: what is wrong, if anything. */
  trailing(transfer: Transfer): Fault | undefined;
}

export interface TransferRequest {
  /** Id of the device whose message it is. */
  readonly device: string;
  readonly head: RequestHead;
  readonly body: Uint8Array | RequestStream | undefined;
  readonly contentLength: number | undefined;
  readonly ticket: Ticket;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

export class Transfer implements Dispatcher.DispatchHandler {
  readonly device: string;
  readonly streamed: boolean;
  readonly ticket: Ticket;
  readonly options: Dispatcher.DispatchOptions;
  readonly #owner: TransferOwner;
  readonly #request: TransferRequest;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (fault: Fault) => void;
  readonly #timer: NodeJS.Timeout;
  #controller: Dispatcher.DispatchController | undefined;
  #head: ResponseHead | undefined;
  #body: ResponseBody | undefined;
  #interim = 0;
  #fault: Fault | undefined;
  #settled = false;
  #sent = false;
  attempts = 0;

  constructor(
    owner: TransferOwner,
    request: TransferRequest,
    resolve: (reply: Reply) => void,
    reject: (fault: Fault) => void,
  ) {
    const { device, head, body, contentLength, ticket, signal, timeoutMs } = request;
    this.#owner = owner;
    this.#request = request;
    this.#resolve = resolve;
    this.#reject = reject;
    this.device = device;
    this.streamed = body instanceof RequestStream;
    this.ticket = ticket;
    const { headers } = head;
    if (contentLength !== undefined) headers.push('content-length', String(contentLength));
    this.options = {
      method: head.method,
      path: head.target,
      headers,
      body: body instanceof RequestStream ? body.readable : (body ?? null),
    };
    this.#timer = setTimeout(Transfer.#late, timeoutMs, this);
    signal.addEventListener('abort', this);
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** True from the moment before the first byte was written. */
  get started(): boolean {
    return this.#controller !== undefined;
  }

  /** True once a final response's head was accepted. */
  get answered(): boolean {
    return this.#head !== undefined;
  }

  /** The device left. */
  handleEvent(): void {
    this.stop(new Fault('SP_EXCHANGE_CANCELLED'));
  }

  /** Ends it with a fault, and what it has of a connection with it. */
  stop(fault: Fault): void {
    if (this.#settled) return;
    this.#settle(fault);
    this.#controller?.abort(fault);
  }

  static #late(this: void, transfer: Transfer): void {
    const { body } = transfer.#request;
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

  // --- undici's side. What is thrown in these comes back in onResponseError, and the connection is destroyed.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Nobody waits for it any more: it ends here, before its first byte.
    if (this.#settled) controller.abort(this.#fault ?? new Fault('SP_EXCHANGE_CANCELLED'));
    else this.#controller = controller;
  }

  onRequestSent(): void {
    this.#sent = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2],
    reason?: string,
  ): void {
    const { limits } = this.#owner;
    if (status >= 100 && status < 200) {
      // 101 was not asked for. Early hints are let pass by, but not for ever.
      if (status === 101 || ++this.#interim > MAX_INTERIM_RESPONSES) {
        throw new Fault('SP_UPSTREAM_RESPONSE', undefined, { details: { what: `status ${status}` } });
      }
      return;
    }
    const fields = (controller.rawHeaders as unknown[] | undefined)?.length ?? 0;
    const raw = { status, reason: reason ?? '', headers, fields: fields / 2 };
    this.#head = judgeResponse(raw, this.#request.head.method, limits);
    this.#body = new ResponseBody(this.#head.bodiless ? 0 : limits.responseBytes);
  }

  onResponseData(_controller: Dispatcher.DispatchController, piece: Uint8Array): void {
    this.#body?.add(piece);
  }

  onResponseEnd(): void {
    // The parser is still inside its chunk; what it makes of the bytes behind this answer shows when it returns.
    queueMicrotask(() => this.#complete());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#settled) {
      if (!this.started && this.#owner.failedUnsent(this, error)) return;
      this.#settle(upstreamFault(error, this.started, this.#owner.name));
    }
    this.#owner.released(this);
  }

  #complete(): void {
    if (!this.#settled) {
      const fault = this.#owner.trailing(this);
      if (fault) this.#settle(fault);
      else if (this.#head && this.#body) this.#answer(this.#head, this.#body);
      else this.#settle(new Fault('SP_INTERNAL', 'A response ended that never began.'));
    }
    this.#owner.released(this);
  }

  #answer(head: ResponseHead, body: ResponseBody): void {
    const { status, headers, contentType } = head;
    this.#close();
    this.#resolve({ status, headers, contentType, body: body.take() });
    this.#owner.settled(this, undefined);
  }

  #settle(fault: Fault): void {
    this.#fault = fault;
    this.#close();
    this.#reject(fault);
    this.#owner.settled(this, fault);
  }

  #close(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
    const { signal, body } = this.#request;
    signal.removeEventListener('abort', this);
    if (body instanceof RequestStream) body.readable.destroy();
  }
}

/** RFC 9110 section 15.2 lets a server send any number; a real one sends one or two. */
const MAX_INTERIM_RESPONSES = 8;
