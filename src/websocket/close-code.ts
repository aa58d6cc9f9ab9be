/**
 * Which close codes (RFC 6455 section 7.4) may cross the gateway. A code is the only thing of a close that does: the reason
 * is text that no policy saw and no privacy rule touched, so it stays behind.
 */

/** Registered codes that mean the same to both ends. The others speak about one hop only. */
const END_TO_END: ReadonlySet<number> = new Set([
  1000, // normal closure
  1001, // going away
  1003, // unsupported data
  1007, // invalid payload
  1008, // policy violation
  1009, // message too big
  1011, // internal error
  1012, // service restart
  1013, // try again later
]);

export const NORMAL_CLOSURE = 1000;
export const GOING_AWAY = 1001;
export const INTERNAL_ERROR = 1011;
const NO_STATUS_RECEIVED = 1005;
const ABNORMAL_CLOSURE = 1006;

/** The code for the other side, when this side closed with `code`. Always one that may stand in a frame. */
export function relayedCloseCode(code: number): number {
  if (END_TO_END.has(code) || (code >= 3000 && code <= 4999)) return code;
  if (code === NO_STATUS_RECEIVED) return NORMAL_CLOSURE;
  if (code === ABNORMAL_CLOSURE) return GOING_AWAY;
  return INTERNAL_ERROR;
}
