import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { archiveFiles, withArchive } from '../../../src/cli/archive.ts';
import { Ledger, type LedgerOptions } from '../../../src/ledger/ledger.ts';
import { streamOf, verifyAll } from '../../../src/ledger/streams.ts';
import { faultOf } from '../identity/identity-fixture.ts';
import { sample } from '../ledger/samples.ts';

const OPTIONS: LedgerOptions = { gateway: 'test', maxFileBytes: 1_500, maxQueue: 100 };

/** Two streams of several files that are still open. */
async function opened() {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-archive-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const ledger = join(folder, 'ledger');
  const archive = join(folder, 'elsewhere', 'old');
  const streams = await Promise.all(
    [0, 1].map(async (worker) => {
      const { name, directory } = streamOf(ledger, worker);
      return Ledger.open(directory, { ...OPTIONS, stream: name });
    }),
  );
  const write = async (count: number) => {
    for (let at = 0; at < count; at++) for (const stream of streams) await stream.record(sample(at));
  };
  const close = () => Promise.all(streams.map((stream) => stream.close()));
  await write(20);
  return { ledger, archive, write, close };
}

const ledgerFiles = (folder: string) => readdirSync(folder).filter((name) => name.endsWith('.jsonl'));

describe('an archive of the ledger', () => {
  it('takes all but the last two files of each stream from under a writer, and both verify together', async () => {
    const { ledger, archive, write, close } = await opened();
    const before = await verifyAll(ledger);
    const moved = await archiveFiles(ledger, archive);
    expect(moved).toHaveLength(before.files - 4);
    expect([ledgerFiles(ledger).length, ledgerFiles(join(ledger, '1')).length]).toEqual([2, 2]);
    await write(20);
    expect((await archiveFiles(ledger, archive)).length).toBeGreaterThan(0);
    await close();
    const together = await verifyAll(ledger, { files: withArchive(ledger, archive) });
    expect(together).toMatchObject({ ok: true });
    expect(together.records).toBeGreaterThan(before.records + 39);
    expect((await verifyAll(ledger)).firstProblem).toMatchObject({ kind: 'file-missing' });
    // The gateway needs no more than what is left.
    const again = await Ledger.open(ledger, OPTIONS);
    await again.record(sample(99));
    await again.close();
    expect((await verifyAll(ledger, { files: withArchive(ledger, archive) })).ok).toBe(true);
  });

  it('that was changed does not verify', async () => {
    const { ledger, archive, close } = await opened();
    const [first] = await archiveFiles(ledger, archive);
    await close();
    const file = join(archive, first as string);
    writeFileSync(file, readFileSync(file, 'latin1').replace('"permitted"', '"permittee"'));
    expect(await verifyAll(ledger, { files: withArchive(ledger, archive) })).toMatchObject({
      ok: false,
      firstProblem: { kind: 'changed', file: first },
    });
  });

  it('is never written over', async () => {
    const { ledger, archive, close } = await opened();
    const [first] = await archiveFiles(ledger, archive);
    await close();
    writeFileSync(join(ledger, first as string), 'another');
    expect(await faultOf(() => archiveFiles(ledger, archive))).toBe('SP_FILE_EXISTS');
    expect(readFileSync(join(ledger, first as string), 'utf8')).toBe('another');
    expect(readFileSync(join(archive, first as string), 'utf8')).not.toBe('another');
  });
});
