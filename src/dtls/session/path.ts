/**
 * Address changes of a peer with a Connection ID (RFC 9146 6): only after an authentic record newer than all before it; until the
 * new address has proven that the peer receives there (RFC 9853, or the application says so), it gets three times what it sent.
 */
import type { PeerAddress } from '../options.ts';
import { equalBytes } from '../wire/bytes.ts';
import type { Association } from './association.ts';

/** return_routability_check messages (RFC 9853 4): type and 8 byte cookie. */
export const PathMessage = { challenge: 0, response: 1, drop: 2 } as const;
export const PATH_COOKIE_BYTES = 8;

export function sameAddress(one: PeerAddress, other: PeerAddress): boolean {
  return one.port === other.port && one.address === other.address;
}

/** Where `bytes` may go now, and counts them; undefined: the budget of the unproven address is spent. */
export function destinationOf(association: Association, bytes: number, factor: number): PeerAddress | undefined {
  const { candidate } = association;
  if (candidate === undefined) return association.address;
  if (candidate.sentBytes + bytes > candidate.receivedBytes * factor) return undefined;
  candidate.sentBytes += bytes;
  return candidate.address;
}

/**
 * A record was authentic. @param newest whether it is newer than all before it: an older one, replayed or reordered, moves nothing.
 * @returns true when a new candidate appeared, which should be challenged.
 */
export function onAuthentic(association: Association, from: PeerAddress, newest: boolean, bytes: number): boolean {
  const { candidate } = association;
  if (sameAddress(from, association.address)) {
    if (newest) association.candidate = undefined;
    return false;
  }
  if (candidate !== undefined && sameAddress(from, candidate.address)) {
    candidate.receivedBytes += bytes;
    return false;
  }
  if (!newest) return false;
  association.candidate = {
    address: from,
    receivedBytes: bytes,
    sentBytes: 0,
    challenge: undefined,
    challengeUntilMs: 0,
  };
  return true;
}

/** The answer to our challenge, from the address it went to. */
export function isProof(association: Association, from: PeerAddress, cookie: Uint8Array, nowMs: number): boolean {
  const { candidate } = association;
  if (candidate?.challenge === undefined || !sameAddress(from, candidate.address)) return false;
  return nowMs <= candidate.challengeUntilMs && equalBytes(candidate.challenge, cookie);
}
