import { describe, expect, it } from 'vitest';
import { decisionBody, headerBody } from '../../../src/ledger/encode.ts';
import { chained, fileName, GENESIS } from '../../../src/ledger/format.ts';
import { Ledger, type LedgerOptions } from '../../../src/ledger/ledger.ts';
import type { OperatorRecord, RefusalRecord } from '../../../src/ledger/operator-record.ts';
import { find, tail } from '../../../src/ledger/read.ts';
import { RefusalQuota } from '../../../src/ledger/refusal-quota.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { MemoryFiles } from './memory-files.ts';
import { decisionId, START, sample } from './samples.ts';

const OPTIONS: LedgerOptions = { gateway: 'plant-7', maxFileBytes: 1_000_000, maxQueue: 100, reopenIntervalMs: 1 };
const DIRECTORY = '/ledger';

const ACT: OperatorRecord = {
  decision: decisionId(START, 7),
  time: START,
  act: 'device-disable',
  by: 'gateway',
  device: 'thermo-1',
  from: 'active',
  to: 'disabled',
  revision: '0123456789ab',
  outcome: 'begun',
};

const REFUSAL: RefusalRecord = {
  decision: decisionId(START, 8),
  time: START,
  fault: 'SP_HTTP_FRAMING',
  device: 'thermo-1',
  peer: { address: '10.0.3.17', key: 'ab'.repeat(32), serial: '5F' },
  unrecorded: 3,
};

function openIn(files: MemoryFiles, options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  return Ledger.open(DIRECTORY, { ...OPTIONS, files, ...options });
}

describe('acts of operators', () => {
  it('stand in the chain, both halves found by the id of the act', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    await ledger.operator(ACT);
    await ledger.keepOperator({ ...ACT, outcome: 'failed', fault: 'SP_DEVICE_UNKNOWN' });
    await ledger.close();
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 3 });
    expect(await find(DIRECTORY, ACT.decision, files)).toMatchObject([
      { kind: 'operator', ...ACT },
      { kind: 'operator', outcome: 'failed', fault: 'SP_DEVICE_UNKNOWN' },
    ]);
  });

  it('that must be on record are refused by a disk that refuses; the others are kept until it takes them', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    files.refuse = () => ({ code: 'ENOSPC', reached: 0 });
    const kept = ledger.keepOperator(ACT);
    await expect(ledger.operator({ ...ACT, act: 'device-enable' })).rejects.toMatchObject({ code: 'SP_LEDGER_WRITE' });
    expect(await Promise.race([kept, 'waiting'])).toBe('waiting');
    files.refuse = () => undefined;
    await kept;
    await ledger.close();
    expect(await tail(DIRECTORY, 9, files)).toMatchObject([{ act: 'device-disable' }]);
  });

  it('find room in a queue that devices have filled', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files, { maxQueue: 2 });
    const waiting = [ledger.record(sample(0)), ledger.record(sample(1))];
    await expect(ledger.record(sample(2))).rejects.toMatchObject({ code: 'SP_LEDGER_WRITE' });
    await Promise.all([...waiting, ledger.operator(ACT), ledger.keepOperator(ACT)]);
    await ledger.close();
  });

  it('have bounded, printable texts', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    await ledger.operator({ ...ACT, device: `x\u001b[2J\u202e"\n${'y'.repeat(2_000)}` });
    await ledger.close();
    const line = files.files
      .get(`${DIRECTORY}/${fileName(0)}`)!
      .seen.toString()
      .split('\n')[1]!;
    expect(line).toMatch(/^[ -~]+$/);
    expect(line.length).toBeLessThan(1_200);
  });
});

describe('refusals of a listener', () => {
  it('are appended without anybody waiting, and not while the disk refuses', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    ledger.refusal(REFUSAL);
    await ledger.record(sample(0));
    files.refuse = () => ({ code: 'EIO', reached: 0 });
    await expect(ledger.record(sample(1))).rejects.toMatchObject({ code: 'SP_LEDGER_WRITE' });
    ledger.refusal(REFUSAL);
    expect(ledger.queued).toBe(0);
    files.refuse = () => undefined;
    await ledger.close();
    expect(await find(DIRECTORY, REFUSAL.decision, files)).toMatchObject([{ kind: 'refusal', ...REFUSAL }]);
  });

  it('of one device are recorded 20 at once and six a minute; the rest is counted in the next', () => {
    const quota = new RefusalQuota();
    let now = 0;
    const taken = Array.from({ length: 1_000 }, () => quota.take('a', now)).filter((one) => one !== undefined);
    expect(taken).toHaveLength(20);
    expect(quota.take('b', now)).toBe(0);
    now += 10_000;
    expect(quota.take('a', now)).toBe(980);
    expect(quota.take('a', now)).toBeUndefined();
  });

  it('of all devices together are bounded too, and no device takes memory for ever', () => {
    const quota = new RefusalQuota();
    let recorded = 0;
    for (let second = 0; second < 60; second++) {
      for (let device = 0; device < 1_000; device++) {
        if (quota.take(`device ${second} ${device}`, second * 1_000) !== undefined) recorded += 1;
      }
    }
    expect(recorded).toBeGreaterThan(500);
    expect(recorded).toBeLessThan(500 + 2 * 60 + 1);
    // Some were forgotten: what was counted for them is declared with whoever comes next.
    expect(quota.take('next', 120_000)).toBeGreaterThan(0);
  });
});

describe('a ledger of format 1', () => {
  it('is read and verified, and goes on in a new file', async () => {
    const files = new MemoryFiles();
    const header = chained(
      0,
      headerBody({ format: 1, time: START, gateway: 'plant-7', stream: 'main', reason: 'first' }),
      GENESIS,
    );
    const record = chained(1, decisionBody(sample(0)), header.hash);
    const old = Buffer.from(header.text + record.text);
    files.files.set(`${DIRECTORY}/${fileName(0)}`, { seen: old, durable: Buffer.from(old) });
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 2 });
    const ledger = await openIn(files);
    await ledger.operator(ACT);
    await ledger.close();
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 4, files: 2 });
    expect(files.files.get(`${DIRECTORY}/${fileName(0)}`)!.seen).toEqual(old);
    expect(files.files.get(`${DIRECTORY}/${fileName(2)}`)!.seen.toString()).toContain('"format":2');
    expect(await tail(DIRECTORY, 9, files)).toMatchObject([{ kind: 'decision' }, { kind: 'operator' }]);
  });
});
