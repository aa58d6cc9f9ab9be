/**
 * Why messages were refused: two closed lists, one for what got no answer (or a bare reset), one for what was answered with an
 * error before any handler saw it. They are metric labels too, so nothing outside these lists is ever counted.
 */

/** No response: silence, or a reset where RFC 7252 section 4.2 asks for one. */
export const DROP_REASONS = [
  'datagram-size',
  'version-unknown',
  'header-truncated',
  'token-malformed',
  'token-too-long',
  'option-malformed',
  'option-overrun',
  'options-too-many',
  'payload-marker-empty',
  'code-reserved',
  'type-code-mismatch',
  'empty-with-content',
  'ping',
  'multicast',
  'peers-full',
  'duplicate',
  'duplicate-answer-gone',
  'critical-option',
  'acknowledgement-unknown',
  'token-unknown',
  'response-unreadable',
  'notification-stale',
  'no-response-wanted',
  'send-failed',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** Answered with an error code of the library's own. */
export const REFUSAL_REASONS = [
  'option-not-understood',
  'option-value-invalid',
  'method-unknown',
  'proxy-not-supported',
  'too-many-requests',
  'block-malformed',
  'block-out-of-order',
  'block-unknown',
  'body-too-large',
  'block-memory-full',
  'handler-failed',
  'response-not-sendable',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Counters of one endpoint. */
export class CoapStats {
  readonly drops: Record<DropReason, number> = zeroes(DROP_REASONS);
  readonly refusals: Record<RefusalReason, number> = zeroes(REFUSAL_REASONS);
  received = 0;
  sent = 0;
  retransmitted = 0;
  requestsHandled = 0;
  separateResponses = 0;
  notifications = 0;
  observationsRefused = 0;
  gaveUp = 0;
}

function zeroes<Key extends string>(keys: readonly Key[]): Record<Key, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number>;
}
