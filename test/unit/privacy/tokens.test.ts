import { type CipherGCM, createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PrivacyKey, PrivacyKeys } from '../../../src/privacy/keys.ts';
import { Pseudonyms, type TypedValue } from '../../../src/privacy/pseudonyms.ts';
import { Tokens } from '../../../src/privacy/tokens.ts';
import { codeOf, KEYS } from './privacy-fixture.ts';

const DEVICE = 'thermo-1';

const VALUES: readonly TypedValue[] = [
  'sSN-1',
  's',
  'n21.5',
  'btrue',
  's\u0080\u0000',
  's😀',
  `s${'x'.repeat(10_000)}`,
  's\u0000\u0000',
];

describe('AES-SIV of node:crypto', () => {
  it('is RFC 5297 (appendix A.1)', () => {
    const key = Buffer.from('fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 'hex');
    const cipher = createCipheriv('aes-128-siv', key, null) as CipherGCM;
    cipher.setAAD(Buffer.from('101112131415161718191a1b1c1d1e1f2021222324252627', 'hex'));
    const ciphertext = cipher.update(Buffer.from('112233445566778899aabbccddee', 'hex'));
    cipher.final();
    expect(cipher.getAuthTag().toString('hex')).toBe('85632d07c6e8f37f950acd320a2ecc93');
    expect(ciphertext.toString('hex')).toBe('40c02b9690c4dc04daef7f6afe5c');
  });
});

describe('Tokens', () => {
  const tokens = new Tokens(KEYS, 'readings');

  it('map back to the very value, type and all', () => {
    for (const value of VALUES) {
      const token = tokens.of(value, DEVICE);
      expect(token).toMatch(/^t1\.[A-Za-z0-9_-]{43,}$/);
      expect(tokens.of(value, DEVICE)).toBe(token);
      expect(tokens.open(token, DEVICE)).toBe(value);
    }
    expect(new Set(VALUES.map((value) => tokens.of(value, DEVICE))).size).toBe(VALUES.length);
  });

  it('hide the length of short values', () => {
    expect(tokens.of('sA', DEVICE).length).toBe(tokens.of('sSN-00012345-AB', DEVICE).length);
  });

  it('refuse every altered character, and every other spelling', () => {
    const token = tokens.of('sSN-1', DEVICE);
    for (let at = 3; at < token.length; at += 1) {
      for (const other of ['A', 'B', '_']) {
        if (token[at] === other) continue;
        const altered = token.slice(0, at) + other + token.slice(at + 1);
        expect(
          codeOf(() => tokens.open(altered, DEVICE)),
          altered,
        ).toBe('SP_PAYLOAD_TOKEN');
      }
    }
    // The last character of 43 carries two bits that decode to nothing.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const opened = [...alphabet].filter(
      (last) => codeOf(() => tokens.open(token.slice(0, -1) + last, DEVICE)) === 'passed',
    );
    expect(opened).toEqual([token.at(-1)]);
    for (const forged of [`${token}A`, `${token}${'A'.repeat(22)}`, token.slice(0, 46), `t1.${'A'.repeat(43)}`]) {
      if (forged !== token)
        expect(
          codeOf(() => tokens.open(forged, DEVICE)),
          forged,
        ).toBe('SP_PAYLOAD_TOKEN');
    }
  });

  it('refuse those of another purpose, key ring or key id', () => {
    const token = tokens.of('sSN-1', DEVICE);
    expect(codeOf(() => new Tokens(KEYS, 'frames').open(token, DEVICE))).toBe('SP_PAYLOAD_TOKEN');
    expect(codeOf(() => new Tokens(PrivacyKeys.generate(), 'readings').open(token, DEVICE))).toBe('SP_PAYLOAD_TOKEN');
    expect(codeOf(() => tokens.open(`t2${token.slice(2)}`, DEVICE))).toBe('SP_PAYLOAD_TOKEN');
  });

  it('refuse those of another device, however names and purposes are cut', () => {
    const token = tokens.of('sSN-1', DEVICE);
    expect(tokens.of('sSN-1', 'thermo-2')).not.toBe(token);
    for (const other of ['thermo-2', '', 'thermo-', 'thermo-1 ', 'THERMO-1']) {
      expect(
        codeOf(() => tokens.open(token, other)),
        other,
      ).toBe('SP_PAYLOAD_TOKEN');
    }
    const cut = new Tokens(KEYS, 'a/b').of('sSN-1', 'c');
    expect(codeOf(() => new Tokens(KEYS, 'a').open(cut, 'b/c'))).toBe('SP_PAYLOAD_TOKEN');
  });

  it('leave alone what does not look like one', () => {
    for (const text of [
      '',
      't1.',
      't1.abc',
      'SN-1',
      'p1.AAAAAAAAAAAAAAAAAAAAAA',
      `t.${'A'.repeat(43)}`,
      `t0.${'A'.repeat(43)}`,
      ` t1.${'A'.repeat(43)}`,
      `t1.${'A'.repeat(43)}!`,
      `t12345.${'A'.repeat(43)}`,
    ]) {
      expect(tokens.open(text, DEVICE)).toBeUndefined();
    }
  });

  it('are mapped back through a rotation until their key is retired', () => {
    const old = PrivacyKey.generate(1, '2026-01-01T00:00:00Z');
    const fresh = PrivacyKey.generate(2, '2026-06-01T00:00:00Z');
    const before = new Tokens(new PrivacyKeys([old]), 'readings').of('sSN-1', DEVICE);
    const during = new Tokens(new PrivacyKeys([old.withState('retiring'), fresh]), 'readings');
    expect(during.open(before, DEVICE)).toBe('sSN-1');
    expect(during.of('sSN-1', DEVICE)).toMatch(/^t2\./);
    expect(during.open(during.of('sSN-1', DEVICE), DEVICE)).toBe('sSN-1');
    const after = new Tokens(new PrivacyKeys([old.withState('retired'), fresh]), 'readings');
    expect(codeOf(() => after.open(before, DEVICE))).toBe('SP_PAYLOAD_TOKEN');
    expect(after.open(during.of('sSN-1', DEVICE), DEVICE)).toBe('sSN-1');
  });
});

describe('Pseudonyms', () => {
  it('are the same for the same value and purpose, and unrelated otherwise', () => {
    const of = (value: TypedValue, purpose = 'readings', keys = KEYS) => new Pseudonyms(keys, purpose).of(value);
    expect(of('sSN-1')).toMatch(/^p1\.[A-Za-z0-9_-]{22}$/);
    expect(of('sSN-1')).toBe(of('sSN-1'));
    const all = [
      of('sSN-1'),
      of('sSN-2'),
      of('sSN-1', 'frames'),
      of('sSN-1', 'readings', PrivacyKeys.generate()),
      of('s1'),
      of('n1'),
      of('strue'),
      of('btrue'),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  it('name the key that made them', () => {
    const keys = new PrivacyKeys([KEYS.active.withState('retiring'), PrivacyKey.generate(12, '2026-06-01T00:00:00Z')]);
    expect(new Pseudonyms(keys, 'readings').of('sSN-1')).toMatch(/^p12\.[A-Za-z0-9_-]{22}$/);
  });
});
