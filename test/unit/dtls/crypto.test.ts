/** Vectors and independent re-computations of what the record layer and the key schedule are made of. */
import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { additionalData, open, seal, selfTest } from '../../../src/dtls/crypto/aead.ts';
import { generateKeyShare, pskPremaster } from '../../../src/dtls/crypto/kx.ts';
import { exporter, keyBlock, masterSecret, prf, verifyData } from '../../../src/dtls/crypto/prf.ts';
import { DEFAULT_SUITES, SUITES, type Suite, suiteByName } from '../../../src/dtls/crypto/suites.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex'));

describe('PRF', () => {
  // The vectors of the TLS working group's list, as used by every implementation of RFC 5246 5.
  it('P_SHA256', () => {
    const secret = bytes('9bbe436ba940f017b17652849a71db35');
    const seed = bytes('a0ba9f936cda311827a6f796ffd5198c');
    expect(hex(prf('sha256', secret, 'test label', seed, 100))).toBe(
      'e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7' +
        '077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66',
    );
  });

  it('P_SHA384', () => {
    const secret = bytes('b80b733d6ceefcdc71566ea48e5567df');
    const seed = bytes('cd665cf6a8447dd6ff8b27555edb7465');
    expect(hex(prf('sha384', secret, 'test label', seed, 148))).toBe(
      '7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb40' +
        '0fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d' +
        '31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a26854308d5eaa3be85e0990703d73e56f',
    );
  });

  it('derivations differ by label and by who speaks', () => {
    const master = masterSecret('sha256', new Uint8Array(32), true, new Uint8Array(32));
    const classic = masterSecret('sha256', new Uint8Array(32), false, new Uint8Array(32));
    expect(master).toHaveLength(48);
    expect(hex(master)).not.toBe(hex(classic));
    const hash = new Uint8Array(32);
    expect(hex(verifyData('sha256', master, 'client', hash))).not.toBe(
      hex(verifyData('sha256', master, 'server', hash)),
    );
    const client = new Uint8Array(32).fill(1);
    const server = new Uint8Array(32).fill(2);
    // RFC 5246 6.3: server random first in the key block, RFC 5705 4: client random first in the exporter.
    expect(hex(keyBlock('sha256', master, client, server, 40))).toBe(
      hex(prf('sha256', master, 'key expansion', Buffer.concat([server, client]), 40)),
    );
    expect(hex(exporter('sha256', master, client, server, 'EXPORTER-x', undefined, 20) as Uint8Array)).toBe(
      hex(prf('sha256', master, 'EXPORTER-x', Buffer.concat([client, server]), 20)),
    );
    const context = exporter('sha256', master, client, server, 'EXPORTER-x', new Uint8Array(0), 20) as Uint8Array;
    expect(hex(context)).toBe(
      hex(prf('sha256', master, 'EXPORTER-x', Buffer.concat([client, server, Buffer.from([0, 0])]), 20)),
    );
    expect(exporter('sha256', master, client, server, 'key expansion', undefined, 20)).toBeUndefined();
  });

  it('PSK premaster secrets (RFC 4279 2, RFC 5489 2)', () => {
    expect(hex(pskPremaster(bytes('aabbcc'), undefined))).toBe('000300000000 03aabbcc'.replace(/ /g, ''));
    expect(hex(pskPremaster(bytes('aabb'), bytes('010203')))).toBe('00030102030002aabb');
  });
});

/** CCM out of single AES blocks (RFC 3610 2), to compare OpenSSL's mode and our nonce, AAD and layout with. */
function ccm(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array, tagBytes: number): Uint8Array {
  const block = (input: Uint8Array) => {
    const aes = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    return new Uint8Array(aes.update(input));
  };
  const xor = (one: Uint8Array, other: Uint8Array) => one.map((byte, i) => byte ^ (other[i] ?? 0));
  const pad = (data: Uint8Array) => Buffer.concat([data, Buffer.alloc((16 - (data.length % 16)) % 16)]);
  const b0 = Buffer.alloc(16);
  b0[0] = 0x40 | (((tagBytes - 2) / 2) << 3) | 2;
  b0.set(nonce, 1);
  b0.writeUIntBE(plaintext.length, 13, 3);
  const head = Buffer.alloc(2);
  head.writeUInt16BE(aad.length);
  const data = Buffer.concat([b0, pad(Buffer.concat([head, aad])), pad(plaintext)]);
  let mac = new Uint8Array(16);
  for (let at = 0; at < data.length; at += 16) mac = new Uint8Array(block(xor(mac, data.subarray(at, at + 16))));
  const counter = (i: number) => {
    const a = Buffer.alloc(16);
    a[0] = 2;
    a.set(nonce, 1);
    a.writeUIntBE(i, 13, 3);
    return block(a);
  };
  const sealed = Buffer.from(plaintext);
  for (let at = 0; at < sealed.length; at += 16)
    sealed.set(xor(sealed.subarray(at, at + 16), counter(at / 16 + 1)), at);
  return Buffer.concat([sealed, xor(mac, counter(0)).subarray(0, tagBytes)]);
}

describe('records', () => {
  it.each([
    ['TLS_PSK_WITH_AES_128_CCM_8', undefined],
    ['TLS_PSK_WITH_AES_128_CCM', undefined],
    ['TLS_PSK_WITH_AES_128_CCM_8', '0102030405060708'],
  ] as const)('%s with Connection ID %s is CCM over the nonce and AAD of the RFCs', (name, cidText) => {
    const suite = suiteByName(name) as Suite;
    const key = { key: bytes('404142434445464748494a4b4c4d4e4f'), iv: bytes('10111213') };
    const cid = cidText === undefined ? undefined : bytes(cidText);
    const plaintext = bytes('202122232425262728292a2b2c2d2e2f3031');
    const target = new Uint8Array(plaintext.length + 8 + suite.tagBytes);
    seal(suite, key, cid === undefined ? 23 : 25, 1, 0x0000_1234_5678, cid, plaintext, target, 0);
    const explicit = bytes('0001 000012345678');
    const aad =
      cid === undefined
        ? bytes('0001000012345678 17 fefd 0012')
        : bytes(`ffffffffffffffff 19 08 19 fefd 0001 000012345678 ${cidText} 0012`);
    const expected = Buffer.concat([
      explicit,
      ccm(key.key, Buffer.concat([key.iv, explicit]), aad, plaintext, suite.tagBytes),
    ]);
    expect(hex(target)).toBe(hex(expected));
  });

  it('CCM itself is that of RFC 3610, packet vector 1', () => {
    const key = bytes('c0c1c2c3c4c5c6c7c8c9cacbcccdcecf');
    const cipher = createCipheriv('aes-128-ccm', key, bytes('00000003020100a0a1a2a3a4a5'), { authTagLength: 8 });
    cipher.setAAD(bytes('0001020304050607'), { plaintextLength: 23 });
    const sealed = cipher.update(bytes('08090a0b0c0d0e0f101112131415161718191a1b1c1d1e'));
    cipher.final();
    expect(hex(Buffer.concat([sealed, cipher.getAuthTag()]))).toBe(
      '588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0',
    );
  });

  it('AAD with Connection ID has the layout of RFC 9146 5.3', () => {
    expect(hex(additionalData(25, 1, 5, bytes('aabbccdd'), 300))).toBe(
      'ffffffffffffffff' + '19' + '04' + '19' + 'fefd' + '0001' + '000000000005' + 'aabbccdd' + '012c',
    );
    expect(hex(additionalData(23, 1, 2 ** 48 - 1, undefined, 1))).toBe('0001ffffffffffff17fefd0001');
  });

  it('of every suite open again, and not with one bit changed anywhere', () => {
    selfTest();
    for (const suite of SUITES) {
      const key = { key: new Uint8Array(suite.keyBytes).fill(3), iv: new Uint8Array(suite.saltBytes).fill(4) };
      for (const length of [0, 1, 64]) {
        const plaintext = new Uint8Array(length).fill(5);
        const record = new Uint8Array(length + suite.explicitNonceBytes + suite.tagBytes);
        expect(seal(suite, key, 23, 1, 9, undefined, plaintext, record, 0)).toBe(record.length);
        expect(hex(open(suite, key, 23, 1, 9, undefined, record) as Uint8Array)).toBe(hex(plaintext));
        for (let at = 0; at < record.length; at++) {
          const forged = Uint8Array.from(record);
          forged[at] = (forged[at] as number) ^ 1;
          expect(open(suite, key, 23, 1, 9, undefined, forged), `${suite.name} ${at}`).toBeUndefined();
        }
        expect(open(suite, key, 22, 1, 9, undefined, record)).toBeUndefined();
        expect(open(suite, key, 23, 1, 10, undefined, record)).toBeUndefined();
        expect(open(suite, key, 23, 1, 9, Uint8Array.of(1), record)).toBeUndefined();
        // CVE-2026-75806 class: shorter than nonce and tag.
        for (let cut = 0; cut < Math.min(record.length, 24); cut++) {
          expect(open(suite, key, 23, 1, 9, undefined, record.subarray(0, cut))).toBeUndefined();
        }
      }
    }
  });
});

describe('key agreement', () => {
  it.each([23, 29])('group %d agrees, and refuses points that are none', (group) => {
    const one = generateKeyShare(group);
    const other = generateKeyShare(group);
    if (one === undefined || other === undefined) throw new Error('no share');
    expect(hex(one.agree(other.publicKey) as Uint8Array)).toBe(hex(other.agree(one.publicKey) as Uint8Array));
    expect(one.agree(new Uint8Array(0))).toBeUndefined();
    expect(one.agree(other.publicKey.subarray(1))).toBeUndefined();
    expect(one.agree(new Uint8Array(other.publicKey.length))).toBeUndefined();
  });

  it('compressed points are refused although node:crypto takes them (RFC 8422 5.1.1)', () => {
    const other = generateKeyShare(23) as NonNullable<ReturnType<typeof generateKeyShare>>;
    const compressed = Uint8Array.from(other.publicKey.subarray(0, 33));
    compressed[0] = 2 + ((other.publicKey[64] as number) & 1);
    expect(generateKeyShare(23)?.agree(compressed)).toBeUndefined();
    const hybrid = Uint8Array.from(other.publicKey);
    hybrid[0] = 6 + ((other.publicKey[64] as number) & 1);
    expect(generateKeyShare(23)?.agree(hybrid)).toBeUndefined();
  });

  it('points off the curve and of low order are refused', () => {
    const share = generateKeyShare(23) as NonNullable<ReturnType<typeof generateKeyShare>>;
    const off = Uint8Array.from(share.publicKey);
    off[64] = (off[64] as number) ^ 1;
    expect(share.agree(off)).toBeUndefined();
    for (const low of [
      '00'.repeat(32),
      `01${'00'.repeat(31)}`,
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ]) {
      expect(generateKeyShare(29)?.agree(bytes(low))).toBeUndefined();
    }
  });
});

it('the suites on by default are AEAD only, in the order of preference', () => {
  expect(DEFAULT_SUITES.map(({ id }) => id.toString(16))).toEqual([
    'c02b',
    'cca9',
    'c0ac',
    'c0ae',
    'ccac',
    'd001',
    'd005',
    'd003',
    'a8',
    'c0a4',
    'c0a8',
  ]);
});
