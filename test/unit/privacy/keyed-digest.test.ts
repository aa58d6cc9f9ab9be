import { createHmac, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { KeyedDigest } from '../../../src/privacy/keyed-digest.ts';

const hex = (text: string) => Buffer.from(text, 'base64url').toString('hex');

describe('KeyedDigest', () => {
  // RFC 4231, cut to 128 bits (test case 5 is given so there).
  it.each([
    ['case 1', '0b'.repeat(20), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b'],
    ['case 2', Buffer.from('Jefe').toString('hex'), 'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c7'],
    ['case 5', '0c'.repeat(20), 'Test With Truncation', 'a3b6167473100ee06e0c796c2955552b'],
  ])('RFC 4231 %s', (_, key, text, digest) => {
    expect(hex(new KeyedDigest(Buffer.from(key, 'hex')).digest128(text))).toBe(digest);
  });

  it('agrees with node:crypto at every length around the blocks, ASCII or not', () => {
    for (let length = 0; length <= 200; length += 1) {
      const key = randomBytes(length % 65);
      const hmac = new KeyedDigest(key);
      for (const text of ['x'.repeat(length), `${'x'.repeat(length)}é`, '😀'.repeat(length), '\u0000'.repeat(length)]) {
        const expected = createHmac('sha256', key).update(text).digest().subarray(0, 16).toString('hex');
        expect(hex(hmac.digest128(text)), `${length}`).toBe(expected);
      }
    }
  });

  it('remembers a bounded number of short texts, and gives the same answer with and without', () => {
    const hmac = new KeyedDigest(Buffer.alloc(32, 7));
    const first = hmac.digest128('SN-1');
    for (let index = 0; index < 10_000; index += 1) hmac.digest128(`SN-${index}`);
    expect(hmac.digest128('SN-1')).toBe(first);
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 200; index += 1) hmac.digest128(`${index}`.repeat(50_000));
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1_048_576);
  });

  it('does not print its key', () => {
    const hmac = new KeyedDigest(Buffer.alloc(32, 7));
    expect(inspect(hmac, { showHidden: true, depth: 9 })).toBe('KeyedDigest [redacted]');
    expect(JSON.stringify({ hmac })).toBe('{"hmac":"[redacted]"}');
  });
});
