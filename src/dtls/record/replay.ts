/**
 * Anti-replay window (RFC 6347 4.1.2.6): the last 64 sequence numbers of an epoch in two 32-bit words. `isFresh` asks before
 * authentication, `mark` is called after it: a forged record must not move the window (CVE-2016-2181, CVE-2021-42142).
 */

export interface ReplayWindow {
  /** Highest sequence number authenticated; -1 before the first. */
  highest: number;
  /** Bit i of `low` stands for highest - i, of `high` for highest - 32 - i. */
  low: number;
  high: number;
}

const WINDOW = 64;

export function isFresh(window: ReplayWindow, sequence: number): boolean {
  if (sequence > window.highest) return true;
  const age = window.highest - sequence;
  if (age >= WINDOW) return false;
  const word = age < 32 ? window.low : window.high;
  return (word & (1 << (age & 31))) === 0;
}

/** @returns true when the record is newer than all before it. */
export function mark(window: ReplayWindow, sequence: number): boolean {
  if (sequence <= window.highest) {
    const age = window.highest - sequence;
    if (age < 32) window.low |= 1 << age;
    else window.high |= 1 << (age - 32);
    return false;
  }
  const shift = sequence - window.highest;
  if (window.highest < 0 || shift >= WINDOW) {
    window.low = 0;
    window.high = 0;
  } else if (shift >= 32) {
    window.high = shift === 32 ? window.low : window.low << (shift - 32);
    window.low = 0;
  } else {
    window.high = (window.high << shift) | (window.low >>> (32 - shift));
    window.low <<= shift;
  }
  window.low |= 1;
  window.highest = sequence;
  return true;
}
