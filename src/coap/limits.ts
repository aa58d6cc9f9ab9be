/**
 * Every bound and time of the CoAP library, with unit and default (RFC 7252 section 4.8, RFC 7641 section 4.5, RFC 7959 section 2).
 * Nothing else in the library is a number that a peer can push.
 */

/** All limits; counts unless the name says a unit. */
export interface CoapLimits {
  /** Largest datagram we send and the largest we read (RFC 7252 section 4.6). */
  readonly maxMessageBytes: number;
  readonly maxReceivedBytes: number;
  /** Options in one message, and the longest token that is accepted (RFC 8974; ours have 8). */
  readonly maxOptions: number;
  readonly maxTokenBytes: number;

  /** First retransmission timeout, its random factor, and how often a message is repeated (RFC 7252 section 4.8). */
  readonly ackTimeoutMs: number;
  readonly ackRandomFactor: number;
  readonly maxRetransmit: number;
  /** Confirmable messages of ours that one peer has not acknowledged yet. */
  readonly nstart: number;
  /** Messages of ours waiting for their turn at one peer. */
  readonly maxQueuedPerPeer: number;
  /** How long a message ID is remembered (EXCHANGE_LIFETIME) once the peer used it. */
  readonly exchangeLifetimeMs: number;
  /** Answers kept for repeated requests of one peer: how many, and their bytes. */
  readonly maxKeptAnswers: number;
  readonly maxKeptAnswerBytes: number;
  /** Message IDs remembered beyond the kept answers: a repetition is then dropped, not answered, and never runs again. */
  readonly maxKeptMessageIds: number;

  /** A handler that takes longer gets an empty acknowledgement sent first (RFC 7252 section 5.2.2). */
  readonly separateAfterMs: number;
  /** Requests of one peer whose handlers are running. Above it: 4.29. */
  readonly maxRequestsPerPeer: number;
  /** Peers with any state at all; newcomers above it are dropped in silence. */
  readonly maxPeers: number;

  /** Body assembled from Block1 (4.13 on the first block that shows it), and body assembled by a client from Block2. */
  readonly maxRequestBodyBytes: number;
  readonly maxResponseBodyBytes: number;
  /** Largest block we send or ask for: 16 to 1,024 bytes, a power of two. */
  readonly blockBytes: number;
  /** Life of a half-sent body, either way, after its last block; no shorter than MAX_TRANSMIT_WAIT, or loss alone ends it. */
  readonly blockLifetimeMs: number;
  /** Bytes of half-received and half-sent bodies over all peers. Above it the longest idle one goes if it was idle for `evictableBlockIdleMs`. */
  readonly maxBlockBytes: number;
  readonly evictableBlockIdleMs: number;

  /** Observations one peer may hold, and all peers together. Above it a request is answered once, not observed. */
  readonly maxObservationsPerPeer: number;
  readonly maxObservations: number;
  /** A notification is confirmable when so many, or so long, went without one (RFC 7641 section 4.5). */
  readonly confirmEveryNotifications: number;
  readonly confirmEveryMs: number;

  /** Client: exchanges with one peer under way; time from a request to its response. */
  readonly maxExchangesPerPeer: number;
  readonly responseTimeoutMs: number;
  /** Life of an Echo value we gave out (RFC 9175 section 2). */
  readonly echoLifetimeMs: number;
}

export const DEFAULT_LIMITS: CoapLimits = Object.freeze({
  maxMessageBytes: 1_152,
  maxReceivedBytes: 65_507,
  maxOptions: 64,
  maxTokenBytes: 64,

  ackTimeoutMs: 2_000,
  ackRandomFactor: 1.5,
  maxRetransmit: 4,
  nstart: 1,
  maxQueuedPerPeer: 64,
  exchangeLifetimeMs: 247_000,
  maxKeptAnswers: 16,
  maxKeptAnswerBytes: 4_096,
  maxKeptMessageIds: 64,

  separateAfterMs: 500,
  maxRequestsPerPeer: 16,
  maxPeers: 200_000,

  maxRequestBodyBytes: 262_144,
  maxResponseBodyBytes: 262_144,
  blockBytes: 1_024,
  blockLifetimeMs: 93_000,
  maxBlockBytes: 67_108_864,
  evictableBlockIdleMs: 2_000,

  maxObservationsPerPeer: 16,
  maxObservations: 100_000,
  confirmEveryNotifications: 100,
  confirmEveryMs: 24 * 3_600_000,

  maxExchangesPerPeer: 64,
  responseTimeoutMs: 93_000,
  echoLifetimeMs: 60_000,
});
