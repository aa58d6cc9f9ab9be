/** Acts of operators with a real registry and a real ledger, on a disk that may refuse. */
import { randomUUIDv7 } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type ActPorts, type ActRecord, onRecord } from '../../../src/admin/acts.ts';
import { deviceOperations } from '../../../src/admin/device-operations.ts';
import { Ledger } from '../../../src/ledger/ledger.ts';
import { tail } from '../../../src/ledger/read.ts';
import { credential, faultOf, openRegistry } from '../identity/identity-fixture.ts';
import { MemoryFiles } from '../ledger/memory-files.ts';

const DIRECTORY = '/ledger';

async function opened() {
  const files = new MemoryFiles();
  const ledger = await Ledger.open(DIRECTORY, {
    gateway: 'test',
    maxFileBytes: 1_000_000,
    maxQueue: 100,
    reopenIntervalMs: 1,
    files,
  });
  const unrecorded: ActRecord[] = [];
  const acts: ActPorts = {
    by: 'gateway',
    record: (record) => ledger.operator(record),
    keep: (record) => ledger.keepOperator(record),
    revision: () => 'r7',
    now: Date.now,
    decisionId: () => randomUUIDv7(),
    onUnrecorded: (record) => unrecorded.push(record),
  };
  const { registry } = await openRegistry();
  const operations = deviceOperations({ registry, acts, maxCertificateBytes: 16_384 });
  await registry.add('thermo-1', { segment: 'sensors', labels: { site: 'north' } }, credential('thermo-1'));
  const onDisk = async () => {
    await ledger.close();
    return tail(DIRECTORY, 99, files);
  };
  return { files, ledger, acts, registry, operations, unrecorded, onDisk };
}

const full = () => ({ code: 'ENOSPC', reached: 0 }) as const;

describe('acts of operators', () => {
  it('are on record before they take effect, and how they ended after it', async () => {
    const { registry, operations, onDisk, files } = await opened();
    let before: unknown;
    registry.onChange(() => {
      before ??= [...files.files.values()].map(({ durable }) => durable.toString()).join('');
    });
    await operations['device-state']({ id: 'thermo-1', state: 'disabled' });
    expect(before).toMatch(/"act":"device-disable".*"outcome":"begun"/);
    await operations['device-state']({ id: 'thermo-1', state: 'active' });
    await operations['device-set']({ id: 'thermo-1', segment: 'cameras', labels: { site: '', room: '12' } });
    expect(await faultOf(() => operations['device-state']({ id: 'nobody', state: 'disabled' }))).toBe(
      'SP_DEVICE_UNKNOWN',
    );
    const facts = { by: 'gateway', revision: 'r7', device: 'thermo-1' };
    expect(await onDisk()).toMatchObject([
      { ...facts, act: 'device-disable', from: 'active', to: 'disabled', outcome: 'begun' },
      { ...facts, act: 'device-disable', from: 'active', to: 'disabled', outcome: 'done' },
      { ...facts, act: 'device-enable', from: 'disabled', to: 'active', outcome: 'begun' },
      { outcome: 'done' },
      { ...facts, act: 'device-set', from: 'sensors', to: 'cameras, label site, label room', outcome: 'begun' },
      { outcome: 'done' },
      { act: 'device-disable', device: 'nobody', outcome: 'begun' },
      { act: 'device-disable', device: 'nobody', outcome: 'failed', fault: 'SP_DEVICE_UNKNOWN' },
    ]);
    expect(registry.byId('thermo-1')).toMatchObject({ segment: 'cameras', labels: { room: '12' } });
  });

  it('that close happen although the ledger cannot be written, and are on record when it can', async () => {
    const { registry, operations, files, unrecorded, ledger, onDisk } = await opened();
    files.refuse = full;
    const began = performance.now();
    await operations['device-state']({ id: 'thermo-1', state: 'quarantined' });
    await operations['device-state']({ id: 'thermo-1', state: 'disabled' });
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(registry.byId('thermo-1')?.state).toBe('disabled');
    expect(unrecorded).toMatchObject([{ act: 'device-quarantine' }, { act: 'device-disable' }]);
    files.refuse = () => undefined;
    await expect.poll(() => ledger.failure, { interval: 1 }).toBeUndefined();
    expect(await onDisk()).toMatchObject([
      { act: 'device-quarantine', outcome: 'begun' },
      { act: 'device-quarantine', outcome: 'done' },
      { act: 'device-disable', outcome: 'begun' },
      { act: 'device-disable', outcome: 'done' },
    ]);
  });

  it('that open do not happen without their record', async () => {
    const { registry, operations, files } = await opened();
    await operations['device-state']({ id: 'thermo-1', state: 'disabled' });
    files.refuse = full;
    const { certificatePem } = { certificatePem: 'not looked at' };
    expect(await faultOf(() => operations['device-state']({ id: 'thermo-1', state: 'active' }))).toBe(
      'SP_LEDGER_WRITE',
    );
    // In quarantine it could at least connect.
    expect(await faultOf(() => operations['device-state']({ id: 'thermo-1', state: 'quarantined' }))).toBe(
      'SP_LEDGER_WRITE',
    );
    expect(await faultOf(() => operations['device-set']({ id: 'thermo-1', segment: 'cameras' }))).toBe(
      'SP_LEDGER_WRITE',
    );
    expect(registry.byId('thermo-1')).toMatchObject({ state: 'disabled', segment: 'sensors' });
    expect(await faultOf(() => operations['device-renew']({ id: 'thermo-1', certificatePem }))).toBe(
      'SP_CERTIFICATE_INVALID',
    );
  });

  it('that open do nothing at all, whatever they are', async () => {
    const { acts, files } = await opened();
    files.refuse = full;
    let done = false;
    const work = async () => {
      done = true;
    };
    expect(await faultOf(() => onRecord(acts, 'opens', { act: 'reload', from: 'r7', to: 'r8' }, work))).toBe(
      'SP_LEDGER_WRITE',
    );
    expect(done).toBe(false);
    await expect(onRecord(acts, 'opens', { act: 'start' }, work)).rejects.toThrow('nothing was changed');
  });
});
