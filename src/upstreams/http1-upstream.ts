/**
 * An HTTP/1.1 upstream: a few lanes (connections), a fair and bounded queue before them, a circuit breaker before that. A
 * message is written at most once, whatever its method: it is tried again only if no connection was made for it.
 */
import type { Limits, UpstreamSettings } from '../config/settings.ts';
import type { Cancellation } from '../exchange/cancellation.ts';
import type { Reply } from '../exchange/message.ts';
import { Sealed } from '../exchange/sealed.ts';
import type { FaultCode } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { Dial, Origin } from './dial.ts';
import { FairQueue } from './fair-queue.ts';
import type { HttpUpstream, UpstreamStatus } from './http-upstream.ts';
import { Lane } from './lane.ts';
import { RequestStream } from './request-body.ts';
import { requestHead } from './request-head.ts';
import { type Carrier, Transfer, type TransferOwner, type TransferRequest } from './transfer.ts';
import { isPassing } from './upstream-fault.ts';

export class Http1Upstream implements HttpUpstream, TransferOwner {
  readonly name: string;
  readonly limits: Limits;
  readonly #origin: Origin;
  readonly #dial: Dial;
  readonly #connections: number;
  readonly #timeoutMs: number;
  readonly #now: () => number;
  readonly #circuit = new CircuitBreaker(() => performance.now());
  /** All that were opened, at most `connections`; each knows what it carries. */
  readonly #lanes: Lane[] = [];
  readonly #idle: Carrier[] = [];
  #inFlight = 0;
  readonly #queue: FairQueue<Transfer>;
  #lastError: FaultCode | undefined;
  #lastErrorAt: number | undefined;
  #closed = false;
  #drained: (() => void) | undefined;

  /** @param now milliseconds since the epoch, for the status */
  constructor(
    settings: Pick<UpstreamSettings, 'name' | 'connections' | 'timeoutMs'>,
    origin: Origin,
    dial: Dial,
    limits: Limits,
    now: () => number,
  ) {
    this.name = settings.name;
    this.#connections = settings.connections;
    this.#queue = new FairQueue(settings.connections);
    this.#timeoutMs = settings.timeoutMs;
    this.#origin = origin;
    this.#dial = dial;
    this.limits = limits;
    this.#now = now;
  }

  request(sealed: Sealed, signal: Cancellation): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const request = this.#admit(Sealed.assert(sealed), signal);
      const transfer = new Transfer(this, request, resolve, reject);
      if (this.#mayStart(transfer.device, transfer.streamed)) {
        this.#queue.hold(transfer);
        this.#dispatch(transfer, this.#freeLane());
      } else {
        this.#queue.wait(transfer);
      }
    });
  }

  get status(): UpstreamStatus {
    return {
      name: this.name,
      state: this.#circuit.state,
      inFlight: this.#inFlight,
      waiting: this.#queue.waiting,
      ...(this.#lastError !== undefined && { lastError: this.#lastError }),
      ...(this.#lastErrorAt !== undefined && { lastErrorAt: this.#lastErrorAt }),
    };
  }

  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    if (this.#inFlight + this.#queue.waiting > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
        setTimeout(resolve, graceMs).unref();
      });
    }
    const draining = new Fault('SP_GATEWAY_DRAINING');
    for (const transfer of this.#queue.all()) transfer.stop(draining);
    for (const { transfer } of this.#lanes) transfer?.stop(draining);
    for (const lane of this.#lanes) lane.destroy();
  }

  /** Everything that can be refused before anything is held. */
  #admit(sealed: Sealed, signal: Cancellation): TransferRequest {
    const { message, permitted } = sealed;
    if (this.#closed) throw new Fault('SP_GATEWAY_DRAINING');
    if (signal.aborted) throw new Fault('SP_EXCHANGE_CANCELLED');
    const head = requestHead(message, permitted.identified.arrival.id);
    const { streamedBodyBytes } = this.limits;
    const { body } = message;
    if (body.kind === 'stream' && (body.length ?? 0) > streamedBodyBytes) throw new Fault('SP_HTTP_BODY_TOO_LARGE');
    const device = permitted.identified.device.id;
    const waits = !this.#mayStart(device, body.kind === 'stream');
    if (waits && !this.#queue.hasRoom(device)) throw this.#note(new Fault('SP_UPSTREAM_BUSY'));
    // A probe that waits for its own device's share would keep the circuit from closing for all the others.
    const ticket = waits && this.#circuit.state !== 'closed' ? undefined : this.#circuit.admit();
    if (ticket === undefined) throw this.#note(new Fault('SP_UPSTREAM_CIRCUIT_OPEN'));
    return {
      device,
      head,
      body:
        body.kind === 'bytes'
          ? body.bytes
          : body.kind === 'stream'
            ? new RequestStream(body, streamedBodyBytes)
            : undefined,
      contentLength: body.kind === 'stream' ? body.length : undefined,
      ticket,
      signal,
      timeoutMs: this.#timeoutMs,
    };
  }

  /** Overtakes nobody: while a lane is free, nothing waits that may hold it. */
  #mayStart(device: string, streamed: boolean): boolean {
    return this.#inFlight < this.#connections && this.#queue.allows(device, streamed);
  }

  #freeLane(): Carrier {
    // The one used last: the others may then grow old and be closed.
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const lane = new Lane(this.#origin, this.#dial, this.limits);
    this.#lanes.push(lane);
    return lane;
  }

  #dispatch(transfer: Transfer, lane: Carrier): void {
    transfer.attempts++;
    if (transfer.lane === undefined) this.#inFlight++;
    transfer.lane = lane;
    lane.dispatch(transfer);
  }

  // --- TransferOwner

  settled(transfer: Transfer, fault: Fault | undefined): void {
    const waited = transfer.lane === undefined && this.#queue.cancel(transfer);
    if (fault) this.#note(fault);
    if (fault && (fault.entry.blame !== 'upstream' || waited)) {
      // The device left, or the request never got to the upstream.
      this.#circuit.abandoned(transfer.ticket);
    } else if (fault && FAILURES.has(fault.code)) {
      if (!this.#circuit.failed(transfer.ticket)) return;
      for (const waiting of this.#queue.all()) waiting.stop(new Fault('SP_UPSTREAM_CIRCUIT_OPEN'));
    } else {
      this.#circuit.succeeded();
    }
  }

  failedUnsent(transfer: Transfer, error: unknown): boolean {
    const { lane } = transfer;
    if (lane === undefined || transfer.attempts > RETRIES_UNSENT || !isPassing(error)) return false;
    setImmediate(() => {
      if (!transfer.settled) this.#dispatch(transfer, lane);
    });
    return true;
  }

  released(transfer: Transfer, cut: boolean): void {
    const { lane } = transfer;
    if (lane === undefined) return;
    if (cut) {
      lane.cut();
      // Others may reach their deadline in this very moment: what only waited is not to be sent for that.
      setImmediate(() => this.#free(lane, transfer));
    } else {
      this.#free(lane, transfer);
    }
  }

  #free(lane: Carrier, transfer: Transfer): void {
    this.#inFlight--;
    this.#idle.push(lane);
    this.#queue.release(transfer);
    // More than one, if the lane was not what they waited for but this device's share or a stream's place.
    while (this.#inFlight < this.#connections) {
      const next = this.#queue.next();
      if (next === undefined) break;
      this.#dispatch(next, this.#freeLane());
    }
    if (this.#inFlight === 0) this.#drained?.();
  }

  #note(fault: Fault): Fault {
    // An open circuit is a consequence; the status shows the cause.
    if (fault.entry.blame === 'upstream' && fault.code !== 'SP_UPSTREAM_CIRCUIT_OPEN') {
      this.#lastError = fault.code;
      this.#lastErrorAt = this.#now();
    }
    return fault;
  }
}

/** What speaks against an upstream. A malformed answer does not: it was reached, and it answered. */
const FAILURES: ReadonlySet<FaultCode> = new Set([
  'SP_UPSTREAM_UNREACHABLE',
  'SP_UPSTREAM_CERTIFICATE',
  'SP_UPSTREAM_TIMEOUT',
]);
const RETRIES_UNSENT = 1;
