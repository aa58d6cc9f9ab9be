import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { DeviceEntry, DeviceOperations, DeviceView } from '../../../src/admin/operations.ts';
import { bareDevice } from '../../../src/cli/bare-device.ts';
import type { Settings } from '../../../src/config/settings.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { faultOf } from '../identity/identity-fixture.ts';

const facts: DeviceEntry = { id: 'probe-7', segment: 'sensors', labels: {} };

function setUp(add: (entry: DeviceEntry) => void = () => undefined) {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-bare-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const settings = { directory, listen: {} } as unknown as Settings;
  const asked: DeviceEntry[] = [];
  const operations = {
    'device-add': async (entry: DeviceEntry) => {
      asked.push(entry);
      add(entry);
      return {
        id: entry.id,
        segment: entry.segment,
        method: 'psk',
        key: 'a'.repeat(64),
        names: [],
      } as unknown as DeviceView;
    },
  } as unknown as DeviceOperations;
  return { directory, settings, asked, reached: { operations, live: false } };
}

it('is asked for by its options alone', () => {
  expect(bareDevice(setUp().settings, 'probe-7', {})).toBeUndefined();
});

it('tells the gateway no key, and takes its files back when it is refused', async () => {
  const { directory, settings, asked, reached } = setUp(() => {
    throw new Fault('SP_DEVICE_EXISTS');
  });
  const device = bareDevice(settings, 'probe-7', { psk: true });
  expect(await faultOf(() => device?.add(reached, facts))).toBe('SP_DEVICE_EXISTS');
  expect(JSON.stringify(asked)).toContain('"fingerprint"');
  expect(Object.keys(asked[0]?.psk ?? {})).toEqual(['identity', 'fingerprint']);
  expect(existsSync(join(directory, 'devices', 'probe-7'))).toBe(false);
  expect(existsSync(join(directory, 'keys', 'psk', 'probe-7.json'))).toBe(false);
});

it('says when nothing listens for it, and never its key', async () => {
  const { directory, settings, reached } = setUp();
  const answer = await bareDevice(settings, 'probe-7', { psk: true })?.add(reached, facts);
  expect(answer?.text).toContain('coaps: 0.0.0.0:5684');
  const key = readFileSync(join(directory, 'devices', 'probe-7', 'psk.txt'), 'utf8');
  expect(`${answer?.text}${JSON.stringify(answer?.json)}`).not.toContain(key);
});

it('takes a public key that was brought, and no private one', async () => {
  const { directory, settings, asked, reached } = setUp();
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const file = join(directory, 'key.pem');
  writeFileSync(file, privateKey.export({ type: 'sec1', format: 'pem' }));
  const device = bareDevice(settings, 'probe-7', { rawKey: file });
  expect(await faultOf(() => device?.add(reached, facts))).toBe('SP_USAGE');
  expect(asked).toEqual([]);
  writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }));
  await device?.add(reached, facts);
  expect(asked[0]?.publicKeyPem).toContain('PUBLIC KEY');
});

it.each([
  [{ psk: true, address: 'https://10.0.0.1' }, 'SP_USAGE'],
  [{ rawKey: true as const, address: 'https://10.0.0.1' }, 'SP_USAGE'],
  [{ psk: true, pskIdentity: '$(id)' }, 'SP_DEVICE_FACT'],
])('%j is refused', async (options, code) => {
  expect(await faultOf(async () => bareDevice(setUp().settings, 'probe-7', options))).toBe(code);
});
