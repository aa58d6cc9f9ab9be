/** One end of an open two-way conversation (a WebSocket). Only sealed messages can be sent on it. */
import type { Sealed } from './sealed.ts';

export interface ChannelMessage {
  readonly bytes: Uint8Array;
  /** True for a binary message, false for UTF-8 text. */
  readonly binary: boolean;
}

export interface ChannelClose {
  /** RFC 6455 section 7.4. */
  readonly code: number;
  readonly reason: string;
}

export interface Channel {
  /** Resolves when the bytes are written or safely within the send budget. Rejects with SP_WEBSOCKET_CLOSED or SLOW_READER. */
  send(sealed: Sealed): Promise<void>;
  /** Messages in order. The far side is paused while the consumer is busy: that is the backpressure. Ends at close. */
  receive(): AsyncIterable<ChannelMessage>;
  close(code: number, reason: string): void;
  /** The subprotocol agreed in the handshake; absent or empty when there is none. */
  readonly subprotocol?: string;
  readonly closed: Promise<ChannelClose>;
}
