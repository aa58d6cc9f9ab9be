/** Addresses as they are counted and shown. */
import { describe, expect, it } from 'vitest';
import { peerAddress } from '../../../../src/listeners/https/peer-address.ts';

describe('peerAddress', () => {
  it.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:10.0.0.1', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    [undefined, ''],
  ])('%s', (address, expected) => {
    expect(peerAddress(address)).toBe(expected);
  });
});
