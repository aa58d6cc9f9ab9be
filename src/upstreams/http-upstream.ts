/**
 * What the forwarder asks of an HTTP upstream, whoever writes the bytes (http1-upstream.ts). Only a Sealed goes in, only a
 * bounded and checked Reply comes out.
 */
import type { Cancellation } from '../exchange/cancellation.ts';
import type { Reply } from '../exchange/message.ts';
import type { Sealed } from '../exchange/sealed.ts';
import type { FaultCode } from '../faults/catalogue.ts';
import type { CircuitState } from './circuit-breaker.ts';

/** For `sallyport status` and the metrics. */
export interface UpstreamStatus {
  readonly name: string;
  readonly state: CircuitState;
  /** Requests being sent or answered; those that wait for a connection are not among them. */
  readonly inFlight: number;
  /** For a connection, or for their device's share of them. */
  readonly waiting: number;
  readonly lastError?: FaultCode;
  /** Milliseconds since the epoch. */
  readonly lastErrorAt?: number;
}

export interface HttpUpstream {
  readonly name: string;
  /**
   * Sends the message once and resolves with its answer. Rejects with SP_UPSTREAM_*, SP_EXCHANGE_CANCELLED when `signal`
   * aborts, SP_HTTP_* when the device's body is at fault, SP_GATEWAY_DRAINING after `close`.
   */
  request(sealed: Sealed, signal: Cancellation): Promise<Reply>;
  readonly status: UpstreamStatus;
  /** Takes no more requests, lets those under way end within `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}
