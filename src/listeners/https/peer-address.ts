/** An address as it is counted and shown: without port, IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2) written as IPv4. */
export function peerAddress(remoteAddress: string | undefined): string {
  if (remoteAddress === undefined) return '';
  return MAPPED.test(remoteAddress) ? remoteAddress.slice(MAPPED_PREFIX_LENGTH) : remoteAddress;
}

const MAPPED = /^::ffff:[0-9.]+$/i;
const MAPPED_PREFIX_LENGTH = 7;
