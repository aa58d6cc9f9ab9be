/** What may leave, what comes back, and the channel that carries messages. Plain data; the proof is Sealed's (sealed.ts). */
import type { Body } from './body.ts';

export interface Message {
  readonly verb: string;
  readonly path: string;
  readonly query: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly contentType: string;
  readonly body: Body;
}

/** What an upstream answered. */
export interface Reply {
  /** HTTP status; 101 with a channel, 204 for a message on a channel. */
  readonly status: number;
  /** Lowercase names, hop-by-hop fields already gone. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly contentType: string;
  readonly body: Body;
  readonly channel?: Channel;
}

/** Known to the type checker only; sealed.ts puts it on Sealed. */
export declare const sealedMark: unique symbol;

/** A message with the proof that it may leave. Only `Sealed` is one; it stands here so that a channel can ask for it. */
export interface SealedMessage {
  readonly [sealedMark]: true;
  readonly message: Message;
}

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

/** One end of an open two-way conversation (a WebSocket). Only sealed messages can be sent on it. */
export interface Channel {
  /** Resolves when the bytes are written or safely within the send budget. Rejects with SP_WEBSOCKET_CLOSED or SLOW_READER. */
  send(sealed: SealedMessage): Promise<void>;
  /** Messages in order. The far side is paused while the consumer is busy: that is the backpressure. Ends at close. */
  receive(): AsyncIterable<ChannelMessage>;
  close(code: number, reason: string): void;
  /** The subprotocol agreed in the handshake; absent or empty when there is none. */
  readonly subprotocol?: string;
  readonly closed: Promise<ChannelClose>;
}
