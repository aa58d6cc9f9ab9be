import { createHmac, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { HmacSha256 } from '../../../src/privacy/hmac-sha256.ts';

const hex = (text: string) => Buffer.from(text, 'base64url').toString('hex');

describe('HmacSha256', () => {
  // RFC 4231, cut to 128 bits (test case 5 is given so there).
  it.each([
    ['case 1', '0b'.repeat(20), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b'],
    ['case 2', Buffer.from('Jefe').toString('hex'), 'what do ya want for nothing?', '5bdcc146bf60754e6a042426089575c7'],
    ['case 5', '0c'.repeat(20), 'Test With Truncation', 'a3b6167473100ee06e0c796c2955552b'],
  ])('RFC 4231 %s', (_, key, text, digest) => {
    expect(hex(new HmacSha256(Buffer.from(key, 'hex')).digest128(text))).toBe(digest);
  });

  it('agrees with node:crypto at every length around the blocks, ASCII or not', () => {
    for (let length = 0; length <= 200; length += 1) {
      const key = randomBytes(length % 65);
      const hmac = new HmacSha256(key);
      for (const text of ['x'.repeat(length), `${'x'.repeat(length)}é`, '😀'.repeat(length), '\u0000'.repeat(length)]) {
        const expected = createHmac('sha256', key).update(text).digest().subarray(0, 16).toString('hex');
        expect(hex(hmac.digest128(text)), `${length}`).toBe(expected);
      }
    }
  });

  it('refuses keys longer than a block, which it would have to hash first', () => {
    expect(() => new HmacSha256(new Uint8Array(65))).toThrow(RangeError);
  });

  it('does not print its key', () => {
    const hmac = new HmacSha256(Buffer.alloc(32, 7));
    expect(inspect(hmac, { showHidden: true, depth: 9 })).toBe('HmacSha256 [redacted]');
    expect(JSON.stringify({ hmac })).toBe('{"hmac":"[redacted]"}');
  });
});
