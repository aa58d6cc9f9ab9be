import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fault } from '../../../src/faults/fault.ts';
import { Ledger, type LedgerOptions } from '../../../src/ledger/ledger.ts';
import { tail } from '../../../src/ledger/read.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { MemoryFiles } from './memory-files.ts';
import { decisionId, START, sample } from './samples.ts';

const OPTIONS: LedgerOptions = { gateway: 'plant-7', maxFileBytes: 1_000_000, maxQueue: 100, reopenIntervalMs: 1 };
const DIRECTORY = '/ledger';

function openIn(files: MemoryFiles, options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  return Ledger.open(DIRECTORY, { ...OPTIONS, files, ...options });
}

async function recovered(ledger: Ledger): Promise<void> {
  await expect.poll(() => ledger.failure, { interval: 1 }).toBeUndefined();
}

describe('on a disk', () => {
  let directory: string;
  beforeEach(() => {
    directory = join(mkdtempSync(join(tmpdir(), 'ledger-')), 'ledger');
  });
  afterEach(() => {
    rmSync(join(directory, '..'), { recursive: true });
  });

  it('keeps records for their owner alone, synchronously, and verifies', async () => {
    const ledger = await Ledger.open(directory, OPTIONS);
    await Promise.all([0, 1, 2].map((count) => ledger.record(sample(count))));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory)).toEqual(['0000000000000000.jsonl']);
    expect(statSync(join(directory, '0000000000000000.jsonl')).mode & 0o777).toBe(0o600);
    // A write is only acknowledged from the disk if the file was opened with O_SYNC (04010000, octal, on Linux).
    expect(openFlags('0000000000000000.jsonl') & 0o4010000).toBe(0o4010000);
    const head = ledger.head;
    await ledger.close();
    expect(head.seq).toBe(3);
    expect(await verifyLedger(directory)).toMatchObject({ ok: true, records: 4, files: 1, head });
  });

  it('goes on where it ended, and rotates', async () => {
    for (let run = 0; run < 3; run++) {
      const ledger = await Ledger.open(directory, { ...OPTIONS, maxFileBytes: 2_000 });
      for (let count = 0; count < 5; count++) await ledger.record(sample(run * 5 + count));
      await ledger.close();
    }
    const { ok, files, records } = await verifyLedger(directory);
    expect(ok).toBe(true);
    expect(files).toBeGreaterThan(3);
    expect(records).toBe(15 + files);
    expect((await tail(directory, 100)).map((entry) => 'decision' in entry && entry.decision)).toEqual(
      Array.from({ length: 15 }, (_, count) => sample(count).decision),
    );
  });

  it('notices that its file was deleted, and acknowledges nothing more', async () => {
    const ledger = await Ledger.open(directory, OPTIONS);
    await ledger.record(sample(0));
    unlinkSync(join(directory, ledger.head.file));
    await expect(ledger.record(sample(1))).rejects.toMatchObject({ code: 'SP_LEDGER_WRITE' });
    await expect(ledger.record(sample(2))).rejects.toMatchObject({ code: 'SP_LEDGER_WRITE' });
    await ledger.close();
  });

  function openFlags(name: string): number {
    for (const descriptor of readdirSync('/proc/self/fd')) {
      try {
        if (!readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) continue;
        if (statSync(`/proc/self/fd/${descriptor}`).ino !== statSync(join(directory, name)).ino) continue;
        return Number.parseInt(
          /flags:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1] ?? '',
          8,
        );
      } catch {
        // the descriptor of the listing itself is gone by now
      }
    }
    return 0;
  }
});

describe('group commit', () => {
  it('puts all that arrive during a write into the next one', async () => {
    const files = new MemoryFiles();
    const sizes: number[] = [];
    const ledger = await openIn(files, { onCommit: (records) => sizes.push(records) });
    const { promise, resolve } = Promise.withResolvers<void>();
    files.hold = promise;
    const first = ledger.record(sample(0));
    await new Promise(setImmediate);
    setImmediate(resolve);
    await Promise.all([first, ...Array.from({ length: 50 }, (_, count) => ledger.record(sample(count + 1)))]);
    expect(sizes).toEqual([1, 50]);
  });

  it('splits what would exceed one write', async () => {
    const files = new MemoryFiles();
    const sizes: number[] = [];
    const ledger = await openIn(files, {
      maxQueue: 10_000,
      maxFileBytes: 10_000_000,
      onCommit: (_, bytes) => sizes.push(bytes),
    });
    await Promise.all(Array.from({ length: 3_000 }, (_, count) => ledger.record(sample(count))));
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_048_576);
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 3_001 });
  });

  it('refuses what exceeds the queue', async () => {
    const ledger = await openIn(new MemoryFiles(), { maxQueue: 10 });
    const results = await Promise.allSettled(Array.from({ length: 12 }, (_, count) => ledger.record(sample(count))));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    const refused = results.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(refused.reason).toBeInstanceOf(Fault);
    expect(refused.reason).toMatchObject({ code: 'SP_LEDGER_WRITE' });
  });

  it('records what was decided, not what became of the object', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    const record = { ...sample(0) };
    const done = ledger.record(record);
    record.revision = 'changed';
    await done;
    expect(await tail(DIRECTORY, 1, files)).toMatchObject([{ revision: '7' }]);
  });

  it('refuses a record it cannot encode, and goes on', async () => {
    const ledger = await openIn(new MemoryFiles());
    await expect(ledger.record({ decision: 'x' } as unknown as ReturnType<typeof sample>)).rejects.toThrow();
    await ledger.record(sample(0));
    expect(ledger.head.seq).toBe(1);
  });

  it('writes what is queued before it closes, then refuses', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    const done = ledger.record(sample(0));
    await ledger.close();
    await done;
    await expect(ledger.record(sample(1))).rejects.toMatchObject({ code: 'SP_LEDGER_WRITE' });
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 2 });
  });
});

describe('outcomes', () => {
  const outcome = { decision: decisionId(START), time: START, fault: 'SP_UPSTREAM_BUSY' } as const;

  it('are appended without anybody waiting', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    ledger.outcome(outcome);
    await ledger.close();
    expect(await tail(DIRECTORY, 9, files)).toMatchObject([{ kind: 'outcome', ...outcome }]);
  });

  it('are kept while the disk refuses', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    files.refuse = () => ({ code: 'EIO', reached: 0 });
    ledger.outcome(outcome);
    await expect(ledger.record(sample(0))).rejects.toMatchObject({ code: 'SP_LEDGER_WRITE' });
    ledger.outcome(outcome);
    files.refuse = () => undefined;
    await recovered(ledger);
    await ledger.close();
    expect((await tail(DIRECTORY, 9, files)).map(({ kind }) => kind)).toEqual(['outcome', 'outcome']);
  });

  it('are counted in the ledger when they are lost', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files, { maxQueue: 2 });
    for (let count = 0; count < 5; count++) ledger.outcome(outcome);
    expect(ledger.lostOutcomes).toBe(3);
    await ledger.close();
    expect(await tail(DIRECTORY, 9, files)).toMatchObject([
      { kind: 'loss', outcomes: 3 },
      { kind: 'outcome' },
      { kind: 'outcome' },
    ]);
  });
});

describe('a disk that refuses', () => {
  it('ENOSPC and EIO at each of the first 200 writes: no record is acknowledged that is not there, and it recovers', async () => {
    let refusedRecords = 0;
    for (const code of ['ENOSPC', 'EIO'] as const) {
      for (let failing = 2; failing <= 201; failing++) {
        const files = new MemoryFiles();
        // A full disk takes a part of the write; a failing one shows all of it to readers and keeps nothing.
        const reached = (bytes: number) => (code === 'EIO' ? bytes : failing % bytes);
        const durable = failing % 4 === 0;
        files.refuse = (call, bytes) => (call === failing ? { code, reached: reached(bytes), durable } : undefined);
        const ledger = await openIn(files, { maxFileBytes: 6_000 });
        const acknowledged: string[] = [];
        let failures = 0;
        for (let count = 0; files.writes < failing + 3; count++) {
          try {
            await ledger.record(sample(count));
            acknowledged.push(sample(count).decision);
          } catch (thrown) {
            expect(thrown).toMatchObject({ code: 'SP_LEDGER_WRITE' });
            failures++;
            await recovered(ledger);
          }
        }
        expect(failures).toBe(1);
        refusedRecords += failures;
        await ledger.close();
        if (failing % 2 === 0) files.losePower();
        expect((await verifyLedger(DIRECTORY, { files })).firstProblem).toBeUndefined();
        await (await openIn(files)).close();
        expect((await verifyLedger(DIRECTORY, { files })).firstProblem).toBeUndefined();
        const kept = (await tail(DIRECTORY, 1_000, files)).map((entry) =>
          entry.kind === 'decision' ? entry.decision : '',
        );
        expect(kept).toEqual(acknowledged);
      }
    }
    expect(refusedRecords).toBe(400);
  }, 60_000);

  it('refuses everybody in the batch and behind it', async () => {
    const files = new MemoryFiles();
    const failures: Fault[] = [];
    const ledger = await openIn(files, { onFailure: (fault) => failures.push(fault), reopenIntervalMs: 60_000 });
    files.refuse = () => ({ code: 'ENOSPC', reached: 10 });
    const { promise, resolve } = Promise.withResolvers<void>();
    files.hold = promise;
    const five = () => Promise.allSettled(Array.from({ length: 5 }, (_, count) => ledger.record(sample(count))));
    const first = five();
    await new Promise(setImmediate);
    const second = five();
    expect(ledger.queued).toBe(5);
    resolve();
    const results = [...(await first), ...(await second)];
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(10);
    await expect(ledger.record(sample(10))).rejects.toMatchObject({
      code: 'SP_LEDGER_WRITE',
      details: { code: 'ENOSPC' },
    });
    expect(ledger.failure).toBe(failures[0]);
    expect(ledger.head.seq).toBe(0);
  });

  it('never writes into a file again after a write into it failed', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    await ledger.record(sample(0));
    files.refuse = (_, bytes) => ({ code: 'EIO', reached: bytes });
    await expect(ledger.record(sample(1))).rejects.toThrow();
    files.refuse = () => undefined;
    await recovered(ledger);
    await ledger.record(sample(2));
    expect(await files.list(DIRECTORY)).toEqual(['0000000000000000.jsonl', '0000000000000002.jsonl']);
    files.losePower();
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 4 });
  });

  it('leaves no pile of files behind while the disk stays full', async () => {
    const files = new MemoryFiles();
    let attempts = 0;
    const ledger = await openIn(files, { onFailure: () => attempts++ });
    await ledger.record(sample(0));
    // A header still fits, a record does not.
    files.refuse = (_, bytes) => (bytes > 500 ? { code: 'ENOSPC', reached: 100 } : undefined);
    while (attempts < 20) {
      await ledger.record(sample(1)).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    files.refuse = () => undefined;
    await recovered(ledger);
    await ledger.record(sample(2));
    expect(await files.list(DIRECTORY)).toHaveLength(2);
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 4 });
  });

  it('stays closed if acknowledged records are gone when it looks again', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    await ledger.record(sample(0));
    await ledger.record(sample(1));
    files.refuse = () => ({ code: 'EIO', reached: 0 });
    await expect(ledger.record(sample(2))).rejects.toThrow();
    files.refuse = () => undefined;
    const file = files.files.get(`${DIRECTORY}/0000000000000000.jsonl`)!;
    file.seen = file.seen.subarray(0, file.seen.length - 10);
    await expect.poll(() => ledger.failure?.code, { interval: 1 }).toBe('SP_LEDGER_BROKEN');
    await expect(ledger.record(sample(3))).rejects.toMatchObject({ code: 'SP_LEDGER_BROKEN' });
    await ledger.close();
  });
});
