/** The one error the library throws or rejects with: misuse by the caller, or an exchange that ended. Datagrams never cause a throw. */

export type CoapErrorCode =
  /** The caller gave something that cannot be sent. */
  | 'invalid-message'
  | 'message-too-large'
  /** An exchange of the client side that ended without a response. */
  | 'timeout'
  | 'reset'
  | 'aborted'
  | 'peer-forgotten'
  | 'queue-full'
  | 'response-unreadable'
  | 'response-too-large'
  | 'block-broken'
  /** The server answered an observe request without taking it up; `observe` rejects with this when asked to insist. */
  | 'not-observable';

export class CoapError extends Error {
  readonly code: CoapErrorCode;
  constructor(code: CoapErrorCode, message: string) {
    super(message);
    this.name = 'CoapError';
    this.code = code;
  }
}
