/**
 * Why things were refused: two closed lists, one for datagrams and records that were dropped in silence, one for associations
 * that ended. They are the metric labels too, so nothing outside these lists is ever counted.
 */

/** Silent drops: no answer left, no state changed. */
export const DROP_REASONS = [
  'datagram-size',
  'source-port-zero',
  'record-truncated',
  'record-too-long',
  'content-type-unknown',
  'version-wrong',
  'association-unknown',
  'connection-id-unknown',
  'connection-id-missing',
  'connection-id-unexpected',
  'epoch-unknown',
  'epoch-zero-forbidden',
  'next-epoch-full',
  'record-too-short',
  'record-replayed',
  'record-unauthentic',
  'auth-failures-alarm',
  'inner-plaintext-empty',
  'record-empty',
  'alert-unauthenticated',
  'alert-malformed',
  'data-before-open',
  'change-cipher-spec-malformed',
  'message-unexpected',
  'message-repeated',
  'message-too-far-ahead',
  'message-too-long',
  'fragment-malformed',
  'fragment-inconsistent',
  'reassembly-full',
  'hello-malformed',
  'hello-fragmented',
  'hello-rate',
  'hello-version',
  'hello-repeated',
  'answer-larger-than-request',
  'cookie-wrong',
  'half-open-full',
  'half-open-host-full',
  'associations-full',
  'renegotiation',
  'send-path-unproven',
  'path-response-wrong',
  'rim-queue-full',
  'closed',
  'internal',
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

/** Why an association (or a handshake that never became one) ended. */
export const CLOSE_REASONS = [
  'local-close',
  'peer-close',
  'peer-alert',
  'idle',
  'age-limit',
  'record-limit',
  'auth-failure-limit',
  'record-overflow',
  'replaced',
  'evicted',
  'revoked',
  'endpoint-closed',
  'handshake-deadline',
  'handshake-silence',
  'handshake-superseded',
  'malformed-message',
  'illegal-parameter',
  'unsupported-extension',
  'protocol-version',
  'no-suite-in-both',
  'no-group-in-both',
  'no-signature-in-both',
  'no-application-protocol',
  'no-credential',
  'server-name-unknown',
  'missing-extended-master-secret',
  'point-invalid',
  'signature-wrong',
  'certificate-missing',
  'certificate-unreadable',
  'certificate-refused',
  'raw-public-key-refused',
  'key-wrong',
  'finished-wrong',
  'not-authorized',
  'authorization-failed',
  'transcript-limit',
  'internal',
] as const;

export type CloseReason = (typeof CLOSE_REASONS)[number];

/** Counters of one engine. */
export class DtlsStats {
  readonly drops: Record<DropReason, number> = zeroes(DROP_REASONS);
  readonly closes: Record<CloseReason, number> = zeroes(CLOSE_REASONS);
  datagramsReceived = 0;
  datagramsSent = 0;
  bytesReceived = 0;
  bytesSent = 0;
  helloVerifySent = 0;
  handshakesStarted = 0;
  handshakesFull = 0;
  handshakesResumed = 0;
  flightsResent = 0;
  pathsChanged = 0;

  /** Sum of all drops. */
  get dropped(): number {
    let sum = 0;
    for (const reason of DROP_REASONS) sum += this.drops[reason];
    return sum;
  }
}

function zeroes<Key extends string>(keys: readonly Key[]): Record<Key, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number>;
}
