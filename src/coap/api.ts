/**
 * The public shape of the library: what a server's handler sees and gives, what a client asks and receives, and what the endpoint
 * needs from outside (a way to send, a clock, randomness). `endpoint.ts` is the door. RFC 7252, 7641, 7959, 8132, 9175, 7967.
 * No sockets here: a peer is whatever the transport calls it (a DTLS session, "address:port"), told apart as a Map tells keys apart.
 */
import type { Method } from './codes.ts';
import type { CoapLimits } from './limits.ts';
import type { CoapStats, DropReason, RefusalReason } from './stats.ts';

/** One option as on the wire. */
export interface CoapOption {
  readonly number: number;
  readonly value: Uint8Array;
}

/** A request that a peer sent, whole: Block1 is assembled. Bytes are views; copy what outlives the handler. */
export interface CoapRequest<Peer> {
  readonly peer: Peer;
  readonly method: Method;
  /** Decoded Uri-Path segments; never `.` or `..`, always UTF-8. */
  readonly pathSegments: readonly string[];
  /** As RFC 7252 section 6.5 composes it: `/a/b%2Fc`; `/` when there is no segment. */
  readonly path: string;
  /** Decoded Uri-Query values. */
  readonly queries: readonly string[];
  /** Composed without `?`, percent-encoded; empty when there is none. */
  readonly query: string;
  readonly uriHost: string | undefined;
  readonly uriPort: number | undefined;
  readonly contentFormat: number | undefined;
  readonly accept: number | undefined;
  readonly etags: readonly Uint8Array[];
  /** Only when `criticalOptions` names 1 and 5. */
  readonly ifMatch: readonly Uint8Array[];
  readonly ifNoneMatch: boolean;
  readonly payload: Uint8Array;
  /** Present for GET and FETCH with Observe 0 or 1. */
  readonly observe: 'register' | 'deregister' | undefined;
  readonly confirmable: boolean;
  readonly token: Uint8Array;
  /** Every option, in order; Block, Size and Echo included. */
  readonly options: readonly CoapOption[];
  /** Aborts when the peer leaves (`forgetPeer`). */
  readonly signal: AbortSignal;
  /** RFC 9175 section 2.3: the request carries an Echo value that this peer was given at most `withinMs` ago. Else answer `challenge: true`. */
  isFresh(withinMs: number): boolean;
}

/** What a handler answers, and what a notification carries. */
export interface CoapResponse<Peer = unknown> {
  /** A number of `CODE` or any other of class 2, 4 or 5. */
  readonly code: number;
  /** Larger than a block: sent block-wise. Kept as it is until its last block is fetched, so it must not be written to any more. */
  readonly payload?: Uint8Array | undefined;
  readonly contentFormat?: number | undefined;
  readonly maxAgeS?: number | undefined;
  /** 1 to 8 bytes. */
  readonly etag?: Uint8Array | undefined;
  readonly locationPath?: readonly string[] | undefined;
  readonly locationQuery?: readonly string[] | undefined;
  /** Further options; the ones above, Block, Observe, Size and Echo belong to the library. */
  readonly options?: readonly CoapOption[] | undefined;
  /** Attaches a new Echo value (usually to a 4.01), RFC 9175 section 2. */
  readonly challenge?: boolean | undefined;
  /** Takes up an observation. Called once, after the response went out, when the peer asked for one and may have one. */
  readonly observe?: ((relation: ObserveRelation<Peer>) => void) | undefined;
}

/** One observer of one resource (RFC 7641), server side. */
export interface ObserveRelation<Peer> {
  readonly peer: Peer;
  readonly path: string;
  readonly query: string;
  /** Aborts when the relation is over, whatever ended it: deregistration, reset, silence, an error notification, the peer's leaving. */
  readonly signal: AbortSignal;
  /** Sends the present representation. A code of class 4 or 5 ends the relation. When the peer is behind, only the last one is sent. */
  notify(response: CoapResponse<Peer>, options?: { readonly confirmable?: boolean }): void;
  /** Ends it without a further word, or with a last notification of class 4 or 5. */
  end(last?: CoapResponse<Peer>): void;
}

export interface CoapHandling<Peer> {
  /** Thrown or rejected: 5.00 without a word of why. A response given directly costs no promise. */
  handle(request: CoapRequest<Peer>): CoapResponse<Peer> | Promise<CoapResponse<Peer>>;
}

/** A request to send. The path and query are given decoded, as segments and values. */
export interface OutgoingRequest {
  readonly method: Method;
  readonly pathSegments?: readonly string[] | undefined;
  readonly queries?: readonly string[] | undefined;
  readonly uriHost?: string | undefined;
  readonly uriPort?: number | undefined;
  readonly contentFormat?: number | undefined;
  readonly accept?: number | undefined;
  readonly etags?: readonly Uint8Array[] | undefined;
  readonly ifMatch?: readonly Uint8Array[] | undefined;
  readonly ifNoneMatch?: boolean | undefined;
  /** Larger than a block: sent block-wise with Size1 and Request-Tag. */
  readonly payload?: Uint8Array | undefined;
  readonly options?: readonly CoapOption[] | undefined;
  /** Default true. */
  readonly confirmable?: boolean | undefined;
  /** RFC 7967: bit mask of the classes of response that are not wanted. With all of them unwanted the promise resolves with 0.00 when sent. */
  readonly noResponse?: number | undefined;
  /** Largest block to send and to ask for; default `limits.blockBytes`. */
  readonly blockBytes?: number | undefined;
  /** One token for all blocks, against RFC 9175 section 4: for old servers that tell bodies apart by token. Default false. */
  readonly sameToken?: boolean | undefined;
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** From now to the last block of the response; default `limits.responseTimeoutMs` for each exchange. */
  readonly timeoutMs?: number | undefined;
}

/** A response that came, whole: Block2 is assembled. Its bytes are its own. */
export interface ReceivedResponse {
  readonly code: number;
  readonly payload: Uint8Array;
  readonly contentFormat: number | undefined;
  /** 60 when the peer named none (RFC 7252 section 5.10.5). */
  readonly maxAgeS: number;
  readonly etag: Uint8Array | undefined;
  readonly locationPath: readonly string[];
  readonly locationQuery: readonly string[];
  readonly options: readonly CoapOption[];
}

/** A resource that is being observed, client side. */
export interface Observation {
  /** The answer to the registration. */
  readonly first: ReceivedResponse;
  /** False when the server answered without taking up the observation; nothing more will come then. */
  readonly active: boolean;
  /** `deregister`: tells the server (RFC 7641 section 3.6). `forget`: the next notification is answered with a reset. */
  cancel(how?: 'deregister' | 'forget'): void;
}

export interface ObserveCallbacks {
  /** In order of age; a late one is not delivered. */
  notification(response: ReceivedResponse): void;
  /** No more will come: error notification, silence at re-registration, the peer's leaving, cancel. */
  end?(
    reason: 'cancelled' | 'error-response' | 'lost' | 'peer-forgotten' | 'not-observable',
    last?: ReceivedResponse,
  ): void;
}

export interface EndpointOptions<Peer> {
  /** Sends one datagram; must not throw, must not keep the bytes it was given after the peer acknowledged them (it may keep them as long as it likes: they are never written again). */
  send(peer: Peer, bytes: Uint8Array): void;
  /** Monotonic clock in milliseconds. */
  now(): number;
  /** Answers requests; without it each is refused with 4.04. */
  readonly server?: CoapHandling<Peer> | undefined;
  /** Critical options that the handler understands beyond those of the library (RFC 7252 section 5.4.1); 1 (If-Match) and 5 (If-None-Match) included. */
  readonly criticalOptions?: readonly number[] | undefined;
  readonly limits?: Partial<CoapLimits> | undefined;
  /** Fills with unpredictable bytes; default Web Crypto's `getRandomValues`. */
  random?(bytes: Uint8Array): void;
  /** The earliest deadline moved forward to this time: call `advance` then. */
  deadline?(atMs: number): void;
  /** Told of every drop and refusal; counted in `stats` all the same. */
  refused?(peer: Peer, reason: DropReason | RefusalReason): void;
  /** What a handler threw. */
  failed?(peer: Peer, error: unknown): void;
}

/** Implemented by `Endpoint` in endpoint.ts. */
export interface CoapEndpoint<Peer> {
  readonly stats: CoapStats;
  readonly limits: CoapLimits;
  /** Peers with any state, for gauges. */
  readonly peerCount: number;
  readonly observationCount: number;
  /** Takes one datagram. Never throws. The bytes must not be overwritten as long as a handler may look at its request. */
  receive(peer: Peer, datagram: Uint8Array, nowMs: number, viaMulticast?: boolean): void;
  /** Absolute time of the next thing to do; Infinity when there is none. */
  readonly nextDeadlineMs: number;
  /** Milliseconds from `nowMs` until then, at least 0; Infinity when there is none. */
  nextTimeoutMs(nowMs: number): number;
  /** Does what is due. */
  advance(nowMs: number): void;
  request(peer: Peer, request: OutgoingRequest, options?: RequestOptions): Promise<ReceivedResponse>;
  /** Only GET and FETCH. */
  observe(
    peer: Peer,
    request: OutgoingRequest,
    callbacks: ObserveCallbacks,
    options?: RequestOptions,
  ): Promise<Observation>;
  /** RFC 7252 section 4.3: an empty confirmable message, resolved by the peer's reset. */
  ping(peer: Peer): Promise<void>;
  /** Frees everything of that peer: handlers' signals abort, observations end, client exchanges reject. */
  forgetPeer(peer: Peer): void;
  /** All peers. */
  close(): void;
}
