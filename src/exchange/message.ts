/** What may leave: the message after its obligations were met. Plain data; the proof is Sealed's. */
import type { Body } from './arrival.ts';
import type { Channel } from './channel.ts';

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
