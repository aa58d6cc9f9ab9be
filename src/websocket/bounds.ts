/** What `ws` must be told so that no peer can make it keep more than the limits allow. The same for both sides. */
import type { Limits } from '../config/settings.ts';

/**
 * A closing handshake that is not over after this is ended by closing the socket: nobody keeps a connection by being slow
 * to say goodbye.
 */
export const CLOSE_TIMEOUT_MS = 1_000;

/** Received pieces that may wait for the rest of their frame, at the least; and for each so many bytes of a message. */
const MIN_WAITING_CHUNKS = 256;
const BYTES_PER_WAITING_CHUNK = 256;

/** The bounds of the receiving side; `autoPong` is off because the channel answers pings within its own limits. */
export interface ReceiverBounds {
  readonly maxPayload: number;
  readonly maxFragments: number;
  /** A frame that trickles in byte by byte costs some hundred bytes for each: without this, 256 KiB would cost 40 MiB. */
  readonly maxBufferedChunks: number;
  readonly skipUTF8Validation: false;
  readonly allowSynchronousEvents: true;
  readonly autoPong: false;
  readonly closeTimeout: number;
}

export function receiverBounds(limits: Limits): ReceiverBounds {
  return {
    maxPayload: limits.webSocketMessageBytes,
    maxFragments: limits.webSocketFragments,
    maxBufferedChunks: Math.max(MIN_WAITING_CHUNKS, Math.ceil(limits.webSocketMessageBytes / BYTES_PER_WAITING_CHUNK)),
    skipUTF8Validation: false,
    allowSynchronousEvents: true,
    autoPong: false,
    closeTimeout: CLOSE_TIMEOUT_MS,
  };
}

/** permessage-deflate (RFC 7692) as bounded as it gets. `ws` applies `maxPayload` to what comes out of the inflater. */
export interface Compression {
  readonly serverNoContextTakeover: true;
  readonly clientNoContextTakeover: true;
  readonly serverMaxWindowBits: number;
  readonly concurrencyLimit: number;
  /** Bytes; what is shorter is sent as it is. */
  readonly threshold: number;
  readonly zlibDeflateOptions: { readonly level: number; readonly memLevel: number };
  readonly zlibInflateOptions: { readonly chunkSize: number };
}

const COMPRESSION: Compression = {
  // No history from one message to the next: less memory for each connection, and a secret of one message cannot be
  // guessed from the length of another (CRIME).
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 12,
  concurrencyLimit: 4,
  threshold: 1_024,
  zlibDeflateOptions: { level: 3, memLevel: 5 },
  zlibInflateOptions: { chunkSize: 16_384 },
};

/** False unless the operator asked for it. */
export function compression(limits: Limits): Compression | false {
  return limits.webSocketCompression ? COMPRESSION : false;
}
