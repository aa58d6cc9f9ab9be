/** A message as a listener hands it over: translated from the wire, not yet believed. */
import type { Body } from './body.ts';
import type { Cancellation } from './cancellation.ts';
import type { Channel } from './message.ts';
import type { Peer } from './peer.ts';

export { type Body, EMPTY_BODY } from './body.ts';

export type Protocol = 'https' | 'websocket' | 'coaps' | 'mqtt' | 'egress';
export type Direction = 'toCloud' | 'toDevice';

export interface Arrival {
  /** Decision id, UUIDv7. The listener asks its Passage for one. */
  readonly id: string;
  readonly protocol: Protocol;
  /** The listener's name, e.g. `https`. */
  readonly listener: string;
  readonly direction: Direction;
  /** Milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly peer: Peer;
  /** HTTP method in capitals; `WS` for a WebSocket upgrade and each of its messages. */
  readonly verb: string;
  /** Raw absolute path: one leading slash, percent-encoding valid and kept, no dot segments, no query. */
  readonly path: string;
  /** Raw query without `?`; empty when there is none. */
  readonly query: string;
  /** The device named by a leading `/~<id>` of the target (device-to-device); already removed from `path`. */
  readonly targetDevice?: string;
  /** Lowercase names, in order of arrival. Hop-by-hop fields are already gone. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Media type in lowercase without parameters; empty when the message has none. */
  readonly contentType: string;
  readonly body: Body;
  /** Aborts when the peer leaves. */
  readonly signal: Cancellation;
  /** For a message on an open channel: the channel it is to leave by. */
  readonly channel?: Channel;
}
