/**
 * Which worker a datagram belongs to: the first byte of our Connection IDs is the worker's number. This routes and authenticates
 * nothing; the owner does. How the datagram gets there (a channel between processes, a socket) is the caller's.
 */
import { ContentType } from '../wire/registry.ts';

/** RFC 9146 4: the Connection ID stands after type, version, epoch and sequence number. */
const CID_OFFSET = 11;

/** The worker a protected record is addressed to, when it is not `own`; undefined for everything else. */
export function foreignWorker(datagram: Uint8Array, own: number): number | undefined {
  if (datagram[0] !== ContentType.tls12Cid) return undefined;
  const worker = datagram[CID_OFFSET];
  return worker === own ? undefined : worker;
}
