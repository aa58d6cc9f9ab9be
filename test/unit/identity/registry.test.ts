import { describe, expect, it } from 'vitest';
import { type Change, DeviceRegistry } from '../../../src/identity/registry.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { credential, faultOf, NOW, openRegistry } from './identity-fixture.ts';

const SENSORS = { segment: 'sensors' };

describe('adding', () => {
  it('makes an active device that is found by id and by key', async () => {
    const { registry } = await openRegistry();
    const known = credential('thermo-1');
    const facts = {
      segment: 'sensors',
      labels: { hall: '3' },
      manufacturer: 'Ĥéat & Söns',
      model: 'T-1000',
      firmware: '1.2.3',
      address: 'https://10.0.3.17:8443/',
    };
    const device = await registry.add('thermo-1', facts, known);
    expect(device).toEqual({
      id: 'thermo-1',
      state: 'active',
      key: known.key,
      ...facts,
      address: 'https://10.0.3.17:8443',
    });
    expect(registry.byId('thermo-1')).toBe(device);
    expect(registry.byKey(known.key)).toEqual({
      device,
      names: known.names,
      issuer: known.issuer,
      standing: 'current',
    });
    expect(Object.isFrozen(device)).toBe(true);
  });

  it('survives a restart, every fact of it', async () => {
    const { registry, file } = await openRegistry();
    await registry.add('thermo-1', { segment: 'sensors', labels: { hall: '3' }, model: 'T' }, credential('thermo-1'));
    await registry.add('camera-2', { segment: 'cameras' }, credential('camera-2'));
    await registry.quarantine('camera-2');
    const { registry: second } = await openRegistry(file);
    expect(second.list()).toEqual(registry.list());
    expect(await second.show('camera-2')).toEqual(await registry.show('camera-2'));
  });

  it.each(['', 'Thermo', '-a', 'a-', '.', '..', '.a', 'a/b', '../a', 'a b', 'ä', 'a\n', 'a\0', 'a_b', 'x'.repeat(65)])(
    'refuses the id %j',
    async (id) => {
      const { registry } = await openRegistry();
      expect(await faultOf(() => registry.add(id, SENSORS, credential('x')))).toBe('SP_DEVICE_ID');
    },
  );

  it.each(['a', '0', 'a.b', 'a-b.c-1', `a${'.'.repeat(62)}z`])('accepts the id %j', async (id) => {
    const { registry } = await openRegistry();
    expect((await registry.add(id, SENSORS, credential(id))).id).toBe(id);
  });

  it.each([
    ['a segment with capitals', { segment: 'Sensors' }],
    ['an empty segment', { segment: '' }],
    ['a label named __proto__', { segment: 's', labels: JSON.parse('{"__proto__":"x"}') }],
    ['a label with a line break', { segment: 's', labels: { hall: 'a\nb' } }],
    ['33 labels', { segment: 's', labels: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`l${n}`, 'x'])) }],
    ['a bidirectional mark in the model', { segment: 's', model: 'a\u202eb' }],
    ['an escape sequence in the manufacturer', { segment: 's', manufacturer: '\u001b[31mred' }],
    ['a firmware of 129 characters', { segment: 's', firmware: 'x'.repeat(129) }],
    ['an address in clear', { segment: 's', address: 'http://10.0.3.17:80' }],
    ['an address in clear that looks like loopback', { segment: 's', address: 'http://127.0.0.1.evil.example' }],
    ['an address with a path', { segment: 's', address: 'https://10.0.3.17/admin' }],
    ['an address with an empty query', { segment: 's', address: 'https://10.0.3.17/?' }],
    ['an address with a password', { segment: 's', address: 'https://user:pass@10.0.3.17' }],
    ['an address of another scheme', { segment: 's', address: 'ftp://10.0.3.17' }],
    ['an address that is none', { segment: 's', address: '10.0.3.17:443' }],
  ])('refuses %s', async (_, facts) => {
    const { registry } = await openRegistry();
    expect(await faultOf(() => registry.add('thermo-1', facts, credential('thermo-1')))).toBe('SP_DEVICE_FACT');
    expect(registry.size).toBe(0);
  });

  it.each(['http://127.0.0.1:80', 'http://[::1]:8080', 'http://localhost:1', 'https://sensor.example'])(
    'accepts the address %s',
    async (address) => {
      const { registry } = await openRegistry();
      const device = await registry.add('a', { segment: 's', address }, credential('a'));
      expect(device.address).toBe(new URL(address).origin);
    },
  );

  it('refuses a second device with the same id, key, or issuer and serial', async () => {
    const { registry } = await openRegistry();
    const known = credential('a');
    await registry.add('a', SENSORS, known);
    const { key, serial } = known;
    expect(await faultOf(() => registry.add('a', SENSORS, credential('a')))).toBe('SP_DEVICE_EXISTS');
    expect(await faultOf(() => registry.add('b', SENSORS, credential('b', { key })))).toBe('SP_DEVICE_EXISTS');
    expect(await faultOf(() => registry.add('b', SENSORS, credential('b', { serial })))).toBe('SP_DEVICE_EXISTS');
    await registry.add('c', SENSORS, credential('c', { serial, issuer: 'CN=another' }));
    expect(registry.list().map(({ id }) => id)).toEqual(['a', 'c']);
  });

  it('refuses a certificate that names another device', async () => {
    const { registry } = await openRegistry();
    expect(await faultOf(() => registry.add('a', SENSORS, credential('b')))).toBe('SP_CERTIFICATE_INVALID');
  });
});

describe('states', () => {
  const steps = ['disable', 'enable', 'quarantine', 'remove'] as const;
  const result = { disable: 'disabled', enable: 'active', quarantine: 'quarantined', remove: 'retired' } as const;

  it.each(steps.flatMap((first) => steps.map((second) => [first, second] as const)))(
    '%s, then %s',
    async (first, second) => {
      const { registry, file } = await openRegistry();
      await registry.add('a', SENSORS, credential('a'));
      expect((await registry[first]('a')).state).toBe(result[first]);
      if (first === 'remove') {
        expect(await faultOf(() => registry[second]('a'))).toBe('SP_DEVICE_STATE');
      } else {
        expect((await registry[second]('a')).state).toBe(result[second]);
      }
      const { registry: reopened } = await openRegistry(file);
      expect(reopened.byId('a')).toEqual(registry.byId('a'));
    },
  );

  it('of an unknown device cannot change', async () => {
    const { registry } = await openRegistry();
    for (const step of steps) expect(await faultOf(() => registry[step]('a'))).toBe('SP_DEVICE_UNKNOWN');
    expect(await faultOf(() => registry.show('a'))).toBe('SP_DEVICE_UNKNOWN');
    expect(await faultOf(() => registry.update('a', {}))).toBe('SP_DEVICE_UNKNOWN');
  });

  it('list by state and segment, sorted', async () => {
    const { registry } = await openRegistry();
    for (const [id, segment] of [
      ['c', 'x'],
      ['a', 'x'],
      ['b', 'y'],
    ] as const)
      await registry.add(id, { segment }, credential(id));
    await registry.disable('c');
    expect(registry.list().map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(registry.list({ segment: 'x' }).map(({ id }) => id)).toEqual(['a', 'c']);
    expect(registry.list({ segment: 'x', state: 'disabled' }).map(({ id }) => id)).toEqual(['c']);
  });
});

describe('a removed device', () => {
  it('keeps its keys forbidden for ever, for every id and after a restart', async () => {
    const { registry, file } = await openRegistry();
    const known = credential('a');
    const next = credential('a');
    await registry.add('a', SENSORS, known);
    await registry.renew('a', next);
    await registry.remove('a');
    const { registry: reopened } = await openRegistry(file);
    for (const { key } of [known, next]) {
      for (const each of [registry, reopened]) {
        expect(each.byKey(key)?.standing).toBe('retired');
        expect(each.byKey(key)?.device.state).toBe('retired');
        expect(await faultOf(() => each.add('a', SENSORS, credential('a', { key })))).toBe('SP_DEVICE_EXISTS');
        expect(await faultOf(() => each.add('b', SENSORS, credential('b', { key })))).toBe('SP_DEVICE_EXISTS');
      }
    }
  });

  it('may come back under its id with a new key, and the old key stays retired', async () => {
    const { registry } = await openRegistry();
    const old = credential('a');
    await registry.add('a', { segment: 'sensors', model: 'old' }, old);
    await registry.remove('a');
    const fresh = credential('a');
    const device = await registry.add('a', SENSORS, fresh);
    expect(device).toEqual({ id: 'a', segment: 'sensors', state: 'active', labels: {}, key: fresh.key });
    expect(registry.byKey(old.key)).toMatchObject({ standing: 'retired', device: { state: 'retired' } });
    expect(registry.keysOf('a')).toEqual([old.key, fresh.key]);
    expect(await faultOf(() => registry.renew('a', old))).toBe('SP_DEVICE_EXISTS');
  });
});

describe('renewal', () => {
  it('accepts both keys until it is finished, then only the new one', async () => {
    const { registry, file } = await openRegistry();
    const [first, second] = [credential('a'), credential('a')];
    await registry.add('a', SENSORS, first);
    await registry.renew('a', second);
    expect([first, second].map(({ key }) => registry.byKey(key)?.standing)).toEqual(['current', 'next']);
    expect(registry.byKey(second.key)?.device).toMatchObject({ id: 'a', state: 'active', key: second.key });
    expect((await registry.finishRenewal('a')).key).toBe(second.key);
    const { registry: reopened } = await openRegistry(file);
    for (const each of [registry, reopened]) {
      expect([first, second].map(({ key }) => each.byKey(key)?.standing)).toEqual(['superseded', 'current']);
      expect(await faultOf(() => each.renew('a', first))).toBe('SP_DEVICE_EXISTS');
    }
  });

  it('gives up a next key when another one takes its place', async () => {
    const { registry } = await openRegistry();
    const [first, second, third] = [credential('a'), credential('a'), credential('a')];
    await registry.add('a', SENSORS, first);
    await registry.renew('a', second);
    await registry.renew('a', third);
    expect([first, second, third].map(({ key }) => registry.byKey(key)?.standing)).toEqual([
      'current',
      'superseded',
      'next',
    ]);
  });

  it('with the same key replaces the certificate', async () => {
    const { registry } = await openRegistry();
    const first = credential('a');
    await registry.add('a', SENSORS, first);
    const again = credential('a', { key: first.key });
    await registry.renew('a', again);
    const { credentials } = await registry.show('a');
    expect(credentials).toEqual([{ ...again, standing: 'current', addedAt: NOW }]);
  });

  it('cannot take another device’s key, and cannot finish without a next key', async () => {
    const { registry } = await openRegistry();
    const known = credential('b');
    await registry.add('a', SENSORS, credential('a'));
    await registry.add('b', SENSORS, known);
    expect(await faultOf(() => registry.renew('a', credential('a', { key: known.key })))).toBe('SP_DEVICE_EXISTS');
    expect(await faultOf(() => registry.finishRenewal('a'))).toBe('SP_DEVICE_STATE');
    expect(registry.byKey(known.key)?.device.id).toBe('b');
  });
});

describe('facts', () => {
  it('are replaced one by one, and stay when not given', async () => {
    const { registry } = await openRegistry();
    await registry.add('a', { segment: 'sensors', model: 'T', labels: { x: '1' } }, credential('a'));
    const device = await registry.update('a', { segment: 'cameras', firmware: '2' });
    expect(device).toMatchObject({ segment: 'cameras', model: 'T', firmware: '2', labels: { x: '1' } });
    expect(await faultOf(() => registry.update('a', { segment: 'No' }))).toBe('SP_DEVICE_FACT');
    await registry.remove('a');
    expect(await faultOf(() => registry.update('a', { segment: 'x' }))).toBe('SP_DEVICE_STATE');
  });
});

describe('two processes on one store', () => {
  it('see each other’s changes when they refresh, and tell their listeners', async () => {
    const { registry: gateway, file } = await openRegistry();
    const { registry: command } = await openRegistry(file);
    const changes: Change[] = [];
    gateway.onChange((change) => changes.push(change));
    const known = credential('a');
    await command.add('a', SENSORS, known);
    expect(gateway.byKey(known.key)).toBeUndefined();
    expect(await gateway.refresh()).toBe(1);
    await command.disable('a');
    expect(await gateway.refresh()).toBe(1);
    expect(await gateway.refresh()).toBe(0);
    expect(changes.map(({ id, before, after }) => [id, before?.state, after.state])).toEqual([
      ['a', undefined, 'active'],
      ['a', 'active', 'disabled'],
    ]);
  });

  it('do not overwrite each other: a write on old knowledge starts anew', async () => {
    const { registry: one, file } = await openRegistry();
    await one.add('a', SENSORS, credential('a'));
    const { registry: other } = await openRegistry(file);
    await other.disable('a');
    await one.update('a', { model: 'T' });
    expect(one.byId('a')).toMatchObject({ state: 'disabled', model: 'T' });
    await other.remove('a');
    expect(await faultOf(() => one.enable('a'))).toBe('SP_DEVICE_STATE');
  });

  it('do not miss a change between two own writes', async () => {
    const { registry: one, file } = await openRegistry();
    const { registry: other } = await openRegistry(file);
    await one.add('a', SENSORS, credential('a'));
    await other.add('b', SENSORS, credential('b'));
    await one.add('c', SENSORS, credential('c'));
    await one.refresh();
    expect(one.list().map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });

  it('cannot register one key for two devices at the same moment', async () => {
    const { registry: one, file } = await openRegistry();
    const { registry: other } = await openRegistry(file);
    const { key } = credential('x');
    const codes = await Promise.all([
      faultOf(() => one.add('a', SENSORS, credential('a', { key }))),
      faultOf(() => other.add('b', SENSORS, credential('b', { key }))),
    ]);
    expect(codes.sort()).toEqual(['SP_DEVICE_EXISTS', 'none']);
  });
});

describe('listeners', () => {
  it('are all told after the change is in force, also when one of them fails', async () => {
    const { registry } = await openRegistry();
    const seen: string[] = [];
    registry.onChange(() => {
      throw new TypeError('broken listener');
    });
    registry.onChange(({ id }) => seen.push(`${id} ${registry.byId(id)?.state}`));
    expect(await faultOf(() => registry.add('a', SENSORS, credential('a')))).toBe('SP_INTERNAL');
    expect(seen).toEqual(['a active']);
  });

  it('are told once of an own change, also when it is read back', async () => {
    const { registry } = await openRegistry();
    let told = 0;
    registry.onChange(() => told++);
    await registry.add('a', SENSORS, credential('a'));
    const { version } = registry;
    expect(await registry.refresh()).toBe(0);
    expect([told, registry.version]).toEqual([1, version]);
  });

  it('hear nothing after they left, nor of changes that are none', async () => {
    const { registry } = await openRegistry();
    await registry.add('a', SENSORS, credential('a'));
    let told = 0;
    const leave = registry.onChange(() => told++);
    await registry.enable('a');
    expect(told).toBe(0);
    await registry.disable('a');
    leave();
    await registry.enable('a');
    expect(told).toBe(1);
  });
});

describe('a store that fails', () => {
  it('leaves the registry as it was', async () => {
    const { registry, store } = await openRegistry();
    await registry.add('a', SENSORS, credential('a'));
    await store.close();
    expect(await faultOf(() => registry.disable('a'))).toBe('SP_STORE_FAILED');
    expect(await faultOf(() => registry.refresh())).toBe('SP_STORE_FAILED');
    expect(registry.byId('a')?.state).toBe('active');
  });

  it('is not fought with for ever', async () => {
    const stubborn: Store = {
      everything: async () => [],
      changedSince: async () => [],
      write: async () => ({ kind: 'stale' }),
      certificate: async () => undefined,
      stamp: () => 0,
      close: async () => {},
    };
    const registry = await DeviceRegistry.open(stubborn, () => NOW);
    expect(await faultOf(() => registry.add('a', SENSORS, credential('a')))).toBe('SP_STORE_FAILED');
  });
});

describe('100,000 devices', () => {
  it('are loaded at once and looked up as fast as a hundred', async () => {
    const { file, store } = await openRegistry();
    await fill(store, file, 100_000);
    const before = process.cpuUsage();
    const { registry } = await openRegistry(file);
    const loadMs = cpuMs(before);
    expect(registry.size).toBe(100_000);
    const { registry: small } = await openRegistry();
    for (let n = 0; n < 100; n++) await small.add(`d${n}`, SENSORS, credential(`d${n}`));
    const [large, little] = [lookUpMicros(registry), lookUpMicros(small)];
    console.log(
      `100,000 devices: ${loadMs.toFixed(0)} ms of CPU to load, ${large.toFixed(3)} µs a look-up (${little.toFixed(3)} for 100)`,
    );
    // CPU time, and a wide margin: other programs share the machine. A scan of the devices would take milliseconds.
    expect(large).toBeLessThan(20);
    expect(loadMs).toBeLessThan(5_000);
  }, 120_000);
});

/** CPU time of this process since then, which unlike the wall clock does not depend on who else runs. */
function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function lookUpMicros(registry: DeviceRegistry): number {
  const keys = registry.list().map(({ key }) => key);
  const rounds = 100_000;
  const before = process.cpuUsage();
  for (let n = 0; n < rounds; n++) registry.byKey(keys[(n * 7919) % keys.length] as string);
  return (cpuMs(before) * 1000) / rounds;
}

/** Straight into the tables: 100,000 commits with fsync are not what is measured here. */
async function fill(store: Store, file: string, count: number): Promise<void> {
  await store.close();
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(file);
  database.exec(`
    BEGIN;
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ${count})
    INSERT INTO devices SELECT 'd' || n, n, 'sensors', 'active', '{"hall":"' || (n % 9) || '"}', 'Maker', 'T', '1', NULL, 0, 0 FROM n;
    INSERT INTO credentials SELECT printf('%064x', revision), id, 'current', '["URI:urn:sallyport:device:' || id || '"]',
      'CN=plant-7,O=Sallyport', printf('%032X', revision), 0, 9e12, 0, printf('%900s', 'PEM') FROM devices;
    COMMIT`);
  database.close();
  expect(SqliteStore.open(file)).toBeDefined();
}
