/** What a device is called: in the registry, in its folder, in paths (`/~<id>`) and in the certificates we issue. */
import { Fault } from '../faults/fault.ts';

/** Also a file name and a path segment, so no slash, no leading dot, no capitals that a file system might fold. */
const DEVICE_ID = /^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$/;
const URN_PREFIX = 'urn:sallyport:device:';
const NAME_PREFIX = `URI:${URN_PREFIX}`;

/** Returns `id` if it is one. Throws SP_DEVICE_ID. */
export function checkedDeviceId(id: string): string {
  if (!DEVICE_ID.test(id)) throw new Fault('SP_DEVICE_ID');
  return id;
}

/** The URI that stands in the subject alternative name of a certificate of ours. */
export function urnOf(id: string): string {
  return URN_PREFIX + id;
}

/**
 * The device that a certificate says it is of: for a log, because only what can be an id is let through. Everything else in
 * a name was written by whoever made the certificate, and may be anything.
 */
export function claimedDevice(names: readonly string[]): string | undefined {
  const ids = names.filter((name) => name.startsWith(NAME_PREFIX)).map((name) => name.slice(NAME_PREFIX.length));
  return ids.find((id) => DEVICE_ID.test(id));
}

/** True if `names` (as in Peer.names) has one of our URNs that belongs to another device than `id`. */
export function namesAnother(names: readonly string[], id: string): boolean {
  return names.some((name) => name.startsWith(NAME_PREFIX) && name !== NAME_PREFIX + id);
}
