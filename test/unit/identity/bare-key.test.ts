import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pskCredential, pskPeer, rawKeyCredential, rawKeyPeer } from '../../../src/identity/bare-key.ts';
import { DeviceIdentifier } from '../../../src/identity/identifier.ts';
import { fingerprintOf, makePsk, pskFile, readPsk, removePsk, writePsk } from '../../../src/identity/psk.ts';
import { keyOf } from '../../../src/identity/public-key.ts';
import { credential, faultOf, openRegistry, scratch } from './identity-fixture.ts';

const SENSORS = { segment: 'sensors' };
const clock = { now: Date.now, floor: () => 0 };
const pair = () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { spki, pem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
};

describe('a pre-shared key', () => {
  it('is known by its fingerprint, found by its identity, and survives a restart', async () => {
    const { registry, file } = await openRegistry();
    const print = fingerprintOf(makePsk('probe-7').key);
    await registry.add('probe-7', SENSORS, pskCredential('probe-7', print));
    const { registry: second } = await openRegistry(file);
    for (const one of [registry, second]) {
      expect(one.byPskIdentity('probe-7')).toMatchObject({ device: { id: 'probe-7', key: print }, issuer: 'psk' });
      expect(one.byPskIdentity('probe-8')).toBeUndefined();
      const identifier = new DeviceIdentifier(one, clock);
      expect(identifier.identify(pskPeer('probe-7', print, '::1'))).toMatchObject({ id: 'probe-7' });
      expect(identifier.identify(pskPeer('probe-8', print, '::1'))).toBe('identity-mismatch');
      expect(identifier.identify({ ...pskPeer('probe-7', print, '::1'), method: 'certificate' })).toBe(
        'identity-mismatch',
      );
    }
  });

  it('and its identity belong to one device', async () => {
    const { registry } = await openRegistry();
    const print = fingerprintOf(makePsk('a').key);
    await registry.add('probe-7', SENSORS, pskCredential('probe-7', print));
    expect(await faultOf(() => registry.add('probe-8', SENSORS, pskCredential('probe-8', print)))).toBe(
      'SP_DEVICE_EXISTS',
    );
    const other = fingerprintOf(makePsk('a').key);
    expect(await faultOf(() => registry.add('probe-8', SENSORS, pskCredential('probe-7', other)))).toBe(
      'SP_DEVICE_EXISTS',
    );
    await registry.remove('probe-7');
    expect(registry.byPskIdentity('probe-7')).toBeUndefined();
    // The identity is free again, the key is not.
    expect(await faultOf(() => registry.add('probe-8', SENSORS, pskCredential('probe-8', print)))).toBe(
      'SP_DEVICE_EXISTS',
    );
    await registry.add('probe-8', SENSORS, pskCredential('probe-7', other));
    expect(registry.byPskIdentity('probe-7')?.device.id).toBe('probe-8');
  });

  it.each(['', 'a b', 'a"b', "a'b", '$(a)', '-a', 'ä', 'a\n', 'x'.repeat(65)])(
    'has no identity like %j',
    async (identity) => {
      expect(await faultOf(async () => pskCredential(identity, '0'.repeat(64)))).toBe('SP_DEVICE_FACT');
    },
  );

  it('lies in a file for the owner alone, is read only if it is the registered one, and is random', async () => {
    const directory = scratch();
    const psk = makePsk('probe-7');
    expect(psk.key).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{31}$/);
    expect(makePsk('probe-7').key).not.toBe(psk.key);
    writePsk(directory, 'probe-7', psk);
    const file = pskFile(directory, 'probe-7');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readPsk(directory, 'probe-7', fingerprintOf(psk.key))).toEqual(Buffer.from(psk.key));
    expect(readPsk(directory, 'probe-7', fingerprintOf('another'))).toBeUndefined();
    chmodSync(file, 0o644);
    expect(await faultOf(async () => readPsk(directory, 'probe-7', fingerprintOf(psk.key)))).toBe('SP_KEY_INVALID');
    chmodSync(file, 0o600);
    writeFileSync(file, readFileSync(file, 'utf8').replace(psk.key, 'short'));
    expect(readPsk(directory, 'probe-7', fingerprintOf('short'))).toBeUndefined();
    removePsk(directory, 'probe-7');
    removePsk(directory, 'probe-7');
    expect(await faultOf(async () => readPsk(directory, 'probe-7', fingerprintOf(psk.key)))).toBe('SP_KEY_INVALID');
    expect(await faultOf(async () => pskFile(directory, '../privacy'))).toBe('SP_DEVICE_ID');
  });
});

describe('a raw public key', () => {
  it('is the hash of its one encoding, and belongs to one device', async () => {
    const { registry } = await openRegistry();
    const { spki, pem } = pair();
    await registry.add('probe-9', SENSORS, rawKeyCredential(pem));
    const identifier = new DeviceIdentifier(registry, clock);
    expect(identifier.identify(rawKeyPeer(spki, '::1'))).toMatchObject({ id: 'probe-9', key: keyOf(spki) });
    expect(identifier.identify(rawKeyPeer(pair().spki, '::1'))).toBe('unknown-identity');
    expect(await faultOf(() => registry.add('probe-8', SENSORS, rawKeyCredential(pem)))).toBe('SP_DEVICE_EXISTS');
    expect((await registry.show('probe-9')).credentials[0]?.certificate).toBe(pem);
  });

  it('does not stand in for a certificate of the same key', async () => {
    const { registry } = await openRegistry();
    const certified = credential('thermo-1');
    await registry.add('thermo-1', SENSORS, certified);
    const identifier = new DeviceIdentifier(registry, clock);
    const bare = { ...rawKeyPeer(pair().spki, '::1'), key: certified.key };
    expect(identifier.identify(bare)).toBe('identity-mismatch');
  });

  it('that is none is refused', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    for (const bad of ['', 'nonsense', pem]) {
      expect(await faultOf(async () => rawKeyCredential(bad))).toBe('SP_CERTIFICATE_INVALID');
    }
    for (const bad of [new Uint8Array(), Buffer.concat([pair().spki, Buffer.of(0)])]) {
      expect(await faultOf(async () => rawKeyPeer(bad, '::1'))).toBe('SP_CERTIFICATE_INVALID');
    }
  });
});
