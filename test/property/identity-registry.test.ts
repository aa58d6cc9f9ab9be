/**
 * The registry under random commands, two processes of it on one store: no key is ever accepted for two devices, none that
 * was given up is accepted again, and what is in memory is what a restart reads.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fault } from '../../src/faults/fault.ts';
import { DeviceIdentifier } from '../../src/identity/identifier.ts';
import { DeviceRegistry } from '../../src/identity/registry.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { credential, NOW, peerOf } from '../unit/identity/identity-fixture.ts';

const IDS = ['a', 'b', 'c'] as const;
const KEYS = Array.from({ length: 6 }, (_, n) => `${n + 1}`.repeat(64));
const EXPECTED = ['SP_DEVICE_EXISTS', 'SP_DEVICE_STATE', 'SP_DEVICE_UNKNOWN', 'SP_CERTIFICATE_INVALID'];

const command = fc.record({
  process: fc.nat(1),
  step: fc.constantFrom(
    'add',
    'add',
    'renew',
    'finishRenewal',
    'disable',
    'enable',
    'quarantine',
    'remove',
    'refresh' as const,
  ),
  id: fc.constantFrom(...IDS),
  key: fc.constantFrom(...KEYS),
  /** Whom the certificate names. */
  named: fc.constantFrom(...IDS),
});

it('keys keep their device and never come back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
      const folder = mkdtempSync(join(tmpdir(), 'sallyport-registry-'));
      const stores = [0, 1].map(() => SqliteStore.open(join(folder, 'state', 'registry.db')));
      try {
        const registries = await Promise.all(stores.map((store) => DeviceRegistry.open(store, () => NOW)));
        const owners = new Map<string, string>();
        const givenUp = new Set<string>();
        for (const { process, step, id, key, named } of commands) {
          const registry = registries[process]!;
          try {
            if (step === 'add') await registry.add(id, { segment: 's' }, credential(named, { key }));
            else if (step === 'renew') await registry.renew(id, credential(named, { key }));
            else if (step === 'refresh') await registry.refresh();
            else await registry[step](id);
          } catch (thrown) {
            expect(EXPECTED).toContain(Fault.from(thrown).code);
          }
          await registry.refresh();
          for (const each of KEYS) {
            const enrolment = registry.byKey(each);
            if (enrolment === undefined) {
              expect(owners.has(each)).toBe(false);
              continue;
            }
            expect(enrolment.device.id).toBe(owners.get(each) ?? enrolment.device.id);
            owners.set(each, enrolment.device.id);
            const accepted = enrolment.standing === 'current' || enrolment.standing === 'next';
            if (givenUp.has(each)) expect(accepted).toBe(false);
            if (!accepted) givenUp.add(each);
            const identifier = new DeviceIdentifier(registry, { now: () => NOW, floor: () => 0 });
            for (const claimed of IDS) {
              const peer = peerOf(credential(claimed, { key: each }));
              const device = identifier.identify(peer);
              if (typeof device === 'string') continue;
              expect([device.id, accepted]).toEqual([claimed, true]);
            }
          }
        }
        for (const registry of registries) await registry.refresh();
        const restarted = await DeviceRegistry.open(stores[0]!, () => NOW);
        for (const registry of registries) expect(registry.list()).toEqual(restarted.list());
      } finally {
        for (const store of stores) await store.close();
        rmSync(folder, { recursive: true, force: true });
      }
    }),
    { numRuns: 40 },
  );
});
