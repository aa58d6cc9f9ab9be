/** Which addresses are groups (RFC 5771, RFC 4291 section 2.7): requests to them are refused and never sent (RFC 7252 section 8 is left out). */

/** @param address IPv4 or IPv6 in text, with or without brackets and zone. True for multicast and for the IPv4 limited broadcast. */
export function isMulticastAddress(address: string): boolean {
  const [bare = ''] = address.replace(/^\[/, '').replace(/\]$/, '').toLowerCase().split('%', 1);
  if (bare.includes(':')) {
    if (/^ff[0-9a-f]{2}:/.test(bare)) return true;
    const mapped = /^(?:0*:)*(?:ffff:)?(\d+\.\d+\.\d+\.\d+)$/.exec(bare) ?? /::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
    if (mapped !== null) return isMulticastAddress(mapped[1] as string);
    const hexadecimal = /(?:^|:)ffff:([0-9a-f]{1,4}):[0-9a-f]{1,4}$/.exec(bare);
    if (hexadecimal === null || !/^[0:]*:ffff:/.test(bare)) return false;
    const high = Number.parseInt(hexadecimal[1] as string, 16) >> 8;
    return high >= 224 && high <= 239;
  }
  const first = Number(/^(\d+)\.\d+\.\d+\.\d+$/.exec(bare)?.[1] ?? Number.NaN);
  return (first >= 224 && first <= 239) || bare === '255.255.255.255';
}
