import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { deviceOperations } from '../../../src/admin/device-operations.ts';
import type { DeviceEntry } from '../../../src/admin/operations.ts';
import { fingerprintOf, makePsk } from '../../../src/identity/psk.ts';
import { faultOf, openRegistry } from '../identity/identity-fixture.ts';

async function setUp() {
  const { registry } = await openRegistry();
  const recorded: string[] = [];
  const operations = deviceOperations({
    registry,
    maxCertificateBytes: 16_384,
    acts: {
      by: 'gateway',
      record: async (record) => void recorded.push(JSON.stringify(record)),
      keep: async (record) => void recorded.push(JSON.stringify(record)),
      now: () => 0,
      decisionId: () => 'd',
      onUnrecorded: () => undefined,
    },
  });
  return { operations, recorded };
}

const bare = { id: 'probe-7', segment: 'sensors', labels: {} };
const publicKeyPem = () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
};

describe('a device without a certificate', () => {
  it('is added by the fingerprint of its key, shown as what it is, and on record without the key', async () => {
    const { operations, recorded } = await setUp();
    const { key } = makePsk('plant:7');
    const psk = { identity: 'plant:7', fingerprint: fingerprintOf(key) };
    const view = await operations['device-add']({ ...bare, psk });
    expect(view).toMatchObject({ method: 'psk', key: psk.fingerprint, names: ['PSK:plant:7'], issuer: 'psk' });
    expect(recorded.join()).toContain(psk.fingerprint);
    expect(recorded.join() + JSON.stringify(await operations['device-list']())).not.toContain(key);
  });

  it('is added by its raw public key', async () => {
    const { operations } = await setUp();
    const view = await operations['device-add']({ ...bare, publicKeyPem: publicKeyPem() });
    expect(view).toMatchObject({ method: 'raw-key', names: [], key: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  it.each<[string, Partial<DeviceEntry> | Record<string, unknown>]>([
    ['no proof at all', {}],
    ['two of them', { psk: { identity: 'a', fingerprint: 'a'.repeat(64) }, publicKeyPem: publicKeyPem() }],
    ['a fingerprint that is none', { psk: { identity: 'a', fingerprint: 'secret' } }],
    ['a key beside its fingerprint', { psk: { identity: 'a', fingerprint: 'a'.repeat(64), key: 'secret' } }],
  ])('with %s is refused', async (_, entry) => {
    const { operations } = await setUp();
    expect(await faultOf(() => operations['device-add']({ ...bare, ...entry } as DeviceEntry))).toBe('SP_USAGE');
    expect(await operations['device-list']()).toEqual([]);
  });
});
