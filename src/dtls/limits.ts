/**
 * Every bound of the DTLS library, with unit and default (the budgets of RFC 6347 4.2, RFC 7925 11 and RFC 9147 4.5.3).
 * A caller may change any of them; nothing else in the library is a number that an attacker can push.
 */

/** All limits; counts unless the name says a unit. */
export interface DtlsLimits {
  /** Smallest and largest datagram that is read at all. */
  readonly maxDatagramBytes: number;
  /** Largest datagram we send (IPv6 minimum 1,280 less headers). From the third send of a flight `fallbackMtuBytes` holds. */
  readonly mtuBytes: number;
  readonly fallbackMtuBytes: number;

  /** HelloVerifyRequests per second of one engine, and of one /24 or /56. Above it the ClientHello is dropped unparsed. */
  readonly helloVerifyPerSecond: number;
  readonly helloVerifyPerNetworkPerSecond: number;
  /** How long one cookie key makes cookies; the one before is still accepted. */
  readonly cookieKeyLifetimeMs: number;

  /** Handshakes under way: of the engine, and of one host address. Above it: silence. */
  readonly maxHalfOpen: number;
  readonly maxHalfOpenPerHost: number;
  /** A handshake that has not finished after this is wiped, whatever progress it made. */
  readonly handshakeDeadlineMs: number;
  /** First retransmission timeout, its ceiling after doubling, and how often a flight is sent in all. */
  readonly retransmitFirstMs: number;
  readonly retransmitMaxMs: number;
  readonly maxFlightSends: number;
  /** Least time between two resends of a flight that a peer's repetition asked for. */
  readonly resendSpacingMs: number;
  /** How long a handshake still lives after a fatal alert that nobody authenticated: a forged one only hurries it. */
  readonly unauthenticAlertGraceMs: number;
  /** Records with the new keys that fail before Finished until the handshake is given up as wrong key. */
  readonly maxBadFinishedRecords: number;

  /** Reassembly: one message, all messages under way, how many later than the next one, how far ahead. */
  readonly maxHandshakeMessageBytes: number;
  readonly maxReassemblyBytes: number;
  readonly maxReassemblyMessages: number;
  readonly reassemblyWindow: number;
  /** Transcript of one handshake. */
  readonly maxTranscriptBytes: number;
  /** Records of the next epoch that are kept until their keys exist. */
  readonly maxDeferredRecords: number;
  readonly maxDeferredBytes: number;
  /** Certificates in a chain. */
  readonly maxChainLength: number;
  readonly maxPskIdentityBytes: number;

  /** Open associations. When the table is full one that was idle for `evictableIdleMs` goes; if none was, newcomers wait. */
  readonly maxAssociations: number;
  readonly evictableIdleMs: number;
  readonly maxAssociationsPerHost: number;
  /** Of one principal; its oldest goes. With Connection IDs a device that restarts would otherwise leave one each time. */
  readonly maxAssociationsPerPrincipal: number;
  /** Idle time until an association is closed: found by its address, and found by its Connection ID. */
  readonly idleTimeoutMs: number;
  readonly idleTimeoutWithCidMs: number;
  /** Age and number of records sent after which the association is closed, so that the peer makes new keys. */
  readonly maxAssociationAgeMs: number;
  readonly maxRecordsPerKey: number;
  /** Records that failed authentication: from here on opens are throttled, and counted under `auth-failures-alarm`. */
  readonly authFailureAlarm: number;
  readonly authFailureOpensPerSecond: number;
  /** RFC 9147 4.5.3: closed at this many, for 64-bit tags and for full ones. */
  readonly maxAuthFailuresShortTag: number;
  readonly maxAuthFailures: number;
  /** Bytes to an address not yet proven, as a multiple of the bytes received from it (RFC 9146 6). */
  readonly unprovenPathFactor: number;
  readonly pathChallengeTimeoutMs: number;
  /** Answers "no renegotiation" to one association no more often than this. */
  readonly noRenegotiationSpacingMs: number;

  /** Sessions kept for resumption by id; lifetime of ids and tickets. */
  readonly maxCachedSessions: number;
  readonly sessionLifetimeMs: number;
  /** Principals whose tickets are refused one by one; one more and all tickets of the engine are void. */
  readonly maxRevokedPrincipals: number;

  /**
   * Socket rim: handshake datagrams get this share of all time, saved up to so many milliseconds; beyond that they wait behind
   * established traffic, so many at most.
   */
  readonly handshakeTimeShare: number;
  readonly handshakeTurnMs: number;
  readonly maxQueuedHandshakeDatagrams: number;
}

export const DEFAULT_LIMITS: DtlsLimits = Object.freeze({
  maxDatagramBytes: 65_507,
  mtuBytes: 1_200,
  fallbackMtuBytes: 548,

  helloVerifyPerSecond: 20_000,
  helloVerifyPerNetworkPerSecond: 2_000,
  cookieKeyLifetimeMs: 60_000,

  maxHalfOpen: 1_000,
  maxHalfOpenPerHost: 20,
  handshakeDeadlineMs: 30_000,
  retransmitFirstMs: 2_000,
  retransmitMaxMs: 60_000,
  maxFlightSends: 5,
  resendSpacingMs: 200,
  unauthenticAlertGraceMs: 4_000,
  maxBadFinishedRecords: 2,

  maxHandshakeMessageBytes: 8_192,
  maxReassemblyBytes: 8_192,
  maxReassemblyMessages: 4,
  reassemblyWindow: 8,
  maxTranscriptBytes: 16_384,
  maxDeferredRecords: 2,
  maxDeferredBytes: 2_048,
  maxChainLength: 4,
  maxPskIdentityBytes: 128,

  maxAssociations: 100_000,
  evictableIdleMs: 60_000,
  maxAssociationsPerHost: 10_000,
  maxAssociationsPerPrincipal: 4,
  idleTimeoutMs: 30 * 60_000,
  idleTimeoutWithCidMs: 24 * 3_600_000,
  maxAssociationAgeMs: 24 * 3_600_000,
  maxRecordsPerKey: 2 ** 32,
  authFailureAlarm: 2 ** 16,
  authFailureOpensPerSecond: 100,
  maxAuthFailuresShortTag: 2 ** 20,
  maxAuthFailures: 2 ** 23,
  unprovenPathFactor: 3,
  pathChallengeTimeoutMs: 1_000,
  noRenegotiationSpacingMs: 60_000,

  maxCachedSessions: 10_000,
  sessionLifetimeMs: 24 * 3_600_000,
  maxRevokedPrincipals: 10_000,

  handshakeTimeShare: 0.5,
  handshakeTurnMs: 5,
  maxQueuedHandshakeDatagrams: 4_096,
});
