import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Peer } from '../../../src/exchange/peer.ts';
import { peerFromCertificate } from '../../../src/identity/certificate.ts';
import { DeviceIdentifier } from '../../../src/identity/identifier.ts';
import type { Credential } from '../../../src/identity/lifecycle.ts';
import {
  alternativeNames,
  CLIENT,
  certificate,
  dns,
  extensionsFor,
  integer,
  name,
  newKey,
  type Parts,
  purposes,
  uri,
  utf8,
} from './certificate-maker.ts';
import { credential, NOW, openRegistry, peerOf } from './identity-fixture.ts';

const SENSORS = { segment: 'sensors' };
const DAY_MS = 86_400_000;

async function setUp() {
  const opened = await openRegistry();
  const clock = { time: NOW, lowest: 0, now: () => clock.time, floor: () => clock.lowest };
  return { ...opened, clock, identifier: new DeviceIdentifier(opened.registry, clock) };
}

describe('identify', () => {
  it('finds the device by its key', async () => {
    const { registry, identifier } = await setUp();
    const known = credential('a');
    const device = await registry.add('a', SENSORS, known);
    expect(identifier.identify(peerOf(known))).toBe(device);
    expect(identifier.admit(peerOf(known))).toBeUndefined();
  });

  it.each<[string, Partial<Peer>, string]>([
    ['a key nobody has', { key: 'f'.repeat(64) }, 'unknown-identity'],
    ['no key at all', { key: '' }, 'unknown-identity'],
    ['another way to authenticate', { method: 'raw-key' }, 'identity-mismatch'],
    ['no names', { names: [] }, 'identity-mismatch'],
    ['another device’s name', { names: ['URI:urn:sallyport:device:b'] }, 'identity-mismatch'],
    [
      'another device’s name beside its own',
      { names: ['URI:urn:sallyport:device:a', 'URI:urn:sallyport:device:b'] },
      'identity-mismatch',
    ],
    ['its name as a DNS name', { names: ['DNS:urn:sallyport:device:a'] }, 'identity-mismatch'],
    ['its name in capitals', { names: ['URI:URN:SALLYPORT:DEVICE:A'] }, 'identity-mismatch'],
    ['its name and a NUL', { names: ['URI:urn:sallyport:device:a\0'] }, 'identity-mismatch'],
    ['another issuer', { issuer: 'CN=other' }, 'identity-mismatch'],
    ['a certificate that is not for clients', { clientAuthentication: false }, 'certificate-not-for-clients'],
    ['a certificate not yet valid', { notBefore: NOW + 1 }, 'certificate-expired'],
    ['an expired certificate', { notAfter: NOW - 1 }, 'certificate-expired'],
    ['a validity that is no number', { notAfter: Number.NaN }, 'certificate-expired'],
  ])('refuses %s', async (_, parts, reason) => {
    const { registry, identifier } = await setUp();
    const known = credential('a');
    await registry.add('a', SENSORS, known);
    expect(identifier.identify(peerOf(known, parts))).toBe(reason);
    expect(identifier.admit(peerOf(known, parts))).toBe(reason);
  });

  it('lets a certificate have more names than are registered, of other kinds than ours', async () => {
    const { registry, identifier } = await setUp();
    const known = credential('a', { names: ['DNS:a.plant.example'] });
    const device = await registry.add('a', SENSORS, known);
    expect(identifier.identify(peerOf(known, { names: ['DNS:x.example', 'DNS:a.plant.example'] }))).toBe(device);
    expect(identifier.identify(peerOf(known, { names: ['DNS:x.example'] }))).toBe('identity-mismatch');
  });

  it('takes a certificate that was registered without names only without names', async () => {
    const { registry, identifier } = await setUp();
    const known = credential('a', { names: [] });
    await registry.add('a', SENSORS, known);
    expect(identifier.identify(peerOf(known))).toMatchObject({ id: 'a' });
    expect(identifier.identify(peerOf(known, { names: ['DNS:a'] }))).toBe('identity-mismatch');
  });
});

describe('states', () => {
  it.each([
    ['disable', 'disabled', 'device-disabled'],
    ['quarantine', 'quarantined', undefined],
  ] as const)('after %s policy is asked, and the handshake ends as it must', async (step, state, refusal) => {
    const { registry, identifier } = await setUp();
    const known = credential('a');
    const peer = peerOf(known);
    await registry.add('a', SENSORS, known);
    expect(identifier.admit(peer)).toBeUndefined();
    await registry[step]('a');
    expect(identifier.identify(peer)).toMatchObject({ id: 'a', state });
    expect(identifier.admit(peer)).toBe(refusal);
    await registry.enable('a');
    expect(identifier.admit(peer)).toBeUndefined();
  });

  it('a removed device is refused with every key it had, also when its id is given anew', async () => {
    const { registry, identifier } = await setUp();
    const [first, second, third] = [credential('a'), credential('a'), credential('a')];
    await registry.add('a', SENSORS, first);
    await registry.renew('a', second);
    expect(identifier.admit(peerOf(second))).toBeUndefined();
    await registry.remove('a');
    await registry.add('a', SENSORS, third);
    for (const known of [first, second]) {
      expect(identifier.identify(peerOf(known))).toBe('device-retired');
      expect(identifier.admit(peerOf(known))).toBe('device-retired');
    }
    expect(identifier.identify(peerOf(third))).toMatchObject({ id: 'a', state: 'active' });
  });

  it('a key that was replaced is unknown from that moment on, on live connections too', async () => {
    const { registry, identifier } = await setUp();
    const [first, second] = [credential('a'), credential('a')];
    const live = peerOf(first);
    await registry.add('a', SENSORS, first);
    await registry.renew('a', second);
    expect(identifier.identify(live)).toMatchObject({ id: 'a', key: first.key });
    await registry.finishRenewal('a');
    expect(identifier.identify(live)).toBe('unknown-identity');
    expect(identifier.identify(peerOf(second))).toMatchObject({ id: 'a', key: second.key });
  });

  it('a device registered after its peer was refused is found by the same peer', async () => {
    const { registry, identifier } = await setUp();
    const known = credential('a');
    const peer = peerOf(known);
    expect(identifier.identify(peer)).toBe('unknown-identity');
    await registry.add('a', SENSORS, known);
    expect(identifier.identify(peer)).toMatchObject({ id: 'a' });
  });
});

describe('time', () => {
  it('is looked at for every request of a connection', async () => {
    const { registry, identifier, clock } = await setUp();
    const known = credential('a', { notAfter: NOW + DAY_MS });
    const peer = peerOf(known);
    await registry.add('a', SENSORS, known);
    expect(identifier.identify(peer)).toMatchObject({ id: 'a' });
    clock.time = NOW + DAY_MS;
    expect(identifier.identify(peer)).toMatchObject({ id: 'a' });
    clock.time++;
    expect(identifier.identify(peer)).toBe('certificate-expired');
  });

  it.each([1, 365, 3650])(
    'set back by %d days does not make an expired certificate valid below the floor',
    async (days) => {
      const { registry, identifier, clock } = await setUp();
      const known = credential('a', { notAfter: NOW - 1 });
      await registry.add('a', SENSORS, known);
      clock.lowest = NOW;
      clock.time = NOW - days * DAY_MS;
      expect(identifier.identify(peerOf(known))).toBe('certificate-expired');
    },
  );

  it('of a clock that is broken admits nobody', async () => {
    const { registry, identifier, clock } = await setUp();
    const known = credential('a');
    await registry.add('a', SENSORS, known);
    clock.time = Number.NaN;
    expect(identifier.identify(peerOf(known))).toBe('certificate-expired');
  });
});

describe('50 devices with each other’s names, serials and issuers', () => {
  const COUNT = 50;
  const idOf = (n: number) => `device-${n}`;
  const keys = Array.from({ length: COUNT }, newKey);
  const issuerOf = (n: number) => name(['2.5.4.3', utf8(`CA ${n}`)]);
  const serialOf = (n: number) => integer((0x1000 + n).toString(16));
  const read = (parts: Parts) => peerFromCertificate(certificate(parts), '10.0.3.17', 16_384);
  const partsOf = (n: number): Parts => ({
    publicKey: keys[n]!,
    serial: serialOf(n),
    issuer: issuerOf(n),
    extensions: extensionsFor(idOf(n)),
  });

  it('are never taken for one another', async () => {
    const { registry, identifier } = await setUp();
    for (let n = 0; n < COUNT; n++) {
      const { method: _, address: __, clientAuthentication: ___, ...facts } = read(partsOf(n));
      await registry.add(idOf(n), SENSORS, { ...facts, certificate: 'PEM' } satisfies Credential);
    }
    const counts = { own: 0, refused: 0, foreign: 0 };
    const judge = (mine: number, parts: Parts) => {
      const device = identifier.identify(read({ ...partsOf(mine), ...parts }));
      if (typeof device === 'string') counts.refused++;
      else if (device.id === idOf(mine)) counts.own++;
      else counts.foreign++;
    };
    for (let mine = 0; mine < COUNT; mine++) {
      judge(mine, {});
      for (let other = 0; other < COUNT; other++) {
        if (other === mine) continue;
        const names = (...all: Parameters<typeof alternativeNames>) => ({
          extensions: [purposes(CLIENT), alternativeNames(...all)],
        });
        const urn = (n: number) => uri(`urn:sallyport:device:${idOf(n)}`);
        judge(mine, { extensions: extensionsFor(idOf(other)) });
        judge(mine, names(urn(mine), urn(other)));
        judge(mine, names(dns(`urn:sallyport:device:${idOf(other)}`)));
        judge(mine, { ...partsOf(other), publicKey: keys[mine]! });
      }
    }
    expect(counts).toEqual({ own: COUNT, refused: COUNT * (COUNT - 1) * 4, foreign: 0 });
  });
});

describe('on the way of every message', () => {
  it('asks the registry once per connection, not once per request', async () => {
    const { registry, clock } = await setUp();
    let asked = 0;
    const counting = new Proxy(registry, {
      get(target, property) {
        if (property === 'byKey') asked++;
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const identifier = new DeviceIdentifier(counting, clock);
    const known = credential('a');
    await registry.add('a', SENSORS, known);
    const peer = peerOf(known);
    for (let n = 0; n < 1_000; n++) identifier.identify(peer);
    expect(asked).toBe(1);
  });
});

it('a certificate from node’s handshake is identified as the registered DER', async () => {
  const { registry, identifier } = await setUp();
  const der = certificate();
  const { method: _, address: __, clientAuthentication: ___, ...facts } = peerFromCertificate(der, '', 16_384);
  await registry.add('thermo-1', SENSORS, { ...facts, certificate: 'PEM' });
  expect(identifier.identify(peerFromCertificate(new X509Certificate(der), '::1', 16_384))).toMatchObject({
    id: 'thermo-1',
  });
});
