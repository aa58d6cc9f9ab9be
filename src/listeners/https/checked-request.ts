/** An HTTP request head that passed the strict layer (check-request.ts): what the gateway decides on and nothing else. */

export interface CheckedRequest {
  /** One of the seven methods devices may use, in capitals. */
  readonly verb: string;
  /** Raw absolute path: one leading slash, no dot or empty inner segments, percent-encoding valid and kept. */
  readonly path: string;
  /** Raw query without `?`; empty when there is none. */
  readonly query: string;
  /** The device named by a leading `/~<id>`; already removed from `path`. */
  readonly targetDevice: string | undefined;
  /**
   * Lowercase names in order of arrival. Hop-by-hop fields, framing fields (RFC 9112 section 6) and the fields of the
   * WebSocket handshake are gone; `sec-websocket-protocol` stays, for it is the application's.
   */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Media type in lowercase without parameters; empty when there is none. */
  readonly contentType: string;
  readonly contentLength: number | undefined;
  /** The body is framed by `Transfer-Encoding: chunked`. */
  readonly chunked: boolean;
  /** A complete WebSocket handshake (RFC 6455 section 4.2.1); every other upgrade is refused. */
  readonly upgrade: 'websocket' | undefined;
  readonly version: '1.0' | '1.1';
  /** The sender keeps the connection (RFC 9112 section 9.3). */
  readonly persistent: boolean;
  /** The client waits for `100 Continue` before it sends the body. */
  readonly expectContinue: boolean;
}
