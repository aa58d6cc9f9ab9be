import { describe, expect, it } from 'vitest';
import { Ledger, type LedgerOptions } from '../../../src/ledger/ledger.ts';
import { tail } from '../../../src/ledger/read.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { MemoryFiles } from './memory-files.ts';
import { sample, seeded } from './samples.ts';

const DIRECTORY = '/ledger';
const FIRST = `${DIRECTORY}/0000000000000000.jsonl`;
const OPTIONS: LedgerOptions = { gateway: 'plant-7', maxFileBytes: 1_000_000, maxQueue: 100, reopenIntervalMs: 1 };

function openIn(files: MemoryFiles, options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  return Ledger.open(DIRECTORY, { ...OPTIONS, files, ...options });
}

async function filled(records: number, options: Partial<LedgerOptions> = {}): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  const ledger = await openIn(files, options);
  for (let count = 0; count < records; count++) await ledger.record(sample(count));
  await ledger.close();
  return files;
}

function content(files: MemoryFiles, path = FIRST): Buffer {
  return files.files.get(path)!.seen;
}

function replace(files: MemoryFiles, bytes: Buffer, path = FIRST): void {
  files.files.set(path, { seen: bytes, durable: Buffer.from(bytes) });
}

describe('a torn tail', () => {
  it('is set aside, kept and recorded, wherever the last line was torn', async () => {
    const whole = content(await filled(3));
    const lastLine = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
    for (let length = lastLine + 1; length < whole.length; length += 7) {
      const files = new MemoryFiles();
      replace(files, whole.subarray(0, length));
      const ledger = await openIn(files);
      await ledger.record(sample(9));
      await ledger.close();
      const kept = `0000000000000000.jsonl.${lastLine}.torn`;
      expect(content(files, `${DIRECTORY}/${kept}`)).toEqual(whole.subarray(lastLine, length));
      expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 5 });
      expect(await tail(DIRECTORY, 2, files)).toMatchObject([
        { kind: 'recovered', file: '0000000000000000.jsonl', bytes: length - lastLine, kept },
        { decision: sample(9).decision },
      ]);
    }
  });

  it('may have holes after a power loss', async () => {
    const files = await filled(3);
    const whole = content(files);
    replace(files, Buffer.concat([whole, Buffer.alloc(4_096), Buffer.from('abc"}\n'), Buffer.alloc(100)]));
    await (await openIn(files)).close();
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 5 });
  });

  it('is kept under a name of its own if an interrupted start left one', async () => {
    const files = await filled(3);
    const whole = content(files);
    replace(files, whole.subarray(0, whole.length - 1));
    const lastLine = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
    replace(files, Buffer.from('evidence'), `${FIRST}.${lastLine}.torn`);
    await (await openIn(files)).close();
    expect(content(files, `${FIRST}.${lastLine}.torn`).toString()).toBe('evidence');
    expect(content(files, `${FIRST}.${lastLine}.2.torn`)).toEqual(whole.subarray(lastLine, -1));
  });

  it('of a file that was just begun takes the file away', async () => {
    for (const left of ['', '{"seq":4,"kind":"hea']) {
      const files = await filled(3);
      replace(files, Buffer.from(left), `${DIRECTORY}/0000000000000004.jsonl`);
      const ledger = await openIn(files);
      await ledger.close();
      expect(ledger.head).toMatchObject({ seq: 4, file: '0000000000000000.jsonl' });
      expect(content(files, `${DIRECTORY}/0000000000000004.jsonl.0.torn`).toString()).toBe(left);
      expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 5 });
    }
  });

  it('of the very first header begins the ledger anew', async () => {
    const files = new MemoryFiles();
    replace(files, Buffer.from('{"seq":0'));
    await (await openIn(files)).close();
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 2 });
    expect(await tail(DIRECTORY, 9, files)).toMatchObject([{ kind: 'recovered', bytes: 8 }]);
  });
});

describe('a ledger that a crash cannot have left so', () => {
  const broken = { code: 'SP_LEDGER_BROKEN' };

  it('is not opened: any changed byte of the last file but its last newline', async () => {
    const whole = content(await filled(4));
    const below = seeded(1);
    for (let attempt = 0; attempt < 300; attempt++) {
      const files = new MemoryFiles();
      const changed = Buffer.from(whole);
      const at = below(whole.length - 1);
      // Printable, as somebody would do it who wants the record to look like one.
      changed[at] = 0x20 + ((changed[at]! - 0x20 + 1 + below(94)) % 95);
      replace(files, changed);
      await expect(openIn(files)).rejects.toMatchObject(broken);
      expect(content(files)).toEqual(changed);
    }
  });

  it('is not opened: bytes no record can contain, but whole records after them', async () => {
    const files = await filled(4);
    const changed = Buffer.from(content(files));
    changed[changed.indexOf('thermo-1')] = 0;
    replace(files, changed);
    await expect(openIn(files)).rejects.toMatchObject(broken);
  });

  it('is not opened: a record removed or repeated', async () => {
    const lines = content(await filled(4))
      .toString()
      .split('\n');
    for (const changed of [
      lines.toSpliced(2, 1),
      lines.toSpliced(2, 0, lines[2]!),
      lines.toSpliced(1, 2, lines[2]!, lines[1]!),
    ]) {
      const files = new MemoryFiles();
      replace(files, Buffer.from(changed.join('\n')));
      await expect(openIn(files)).rejects.toMatchObject(broken);
    }
  });

  it('is not opened: the file before the last is missing, cut, grown or another', async () => {
    const options = { maxFileBytes: 1_500 };
    const names = (await (await filled(6, options)).list(DIRECTORY)).sort();
    expect(names.length).toBeGreaterThanOrEqual(3);
    const before = `${DIRECTORY}/${names.at(-2)}`;
    const lastLine = (bytes: Buffer) => bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
    const attacks: ((files: MemoryFiles) => void)[] = [
      (files) => files.files.delete(before),
      (files) => replace(files, content(files, before).subarray(0, lastLine(content(files, before))), before),
      (files) => replace(files, Buffer.concat([content(files, before), Buffer.from('{}\n')]), before),
      (files) => replace(files, content(files), before),
    ];
    for (const attack of attacks) {
      const files = await filled(6, options);
      attack(files);
      await expect(openIn(files, options)).rejects.toMatchObject(broken);
    }
  });

  it('is not opened: a last file of nonsense', async () => {
    const files = await filled(3);
    replace(files, Buffer.alloc(10_000, 'x'), `${DIRECTORY}/0000000000000004.jsonl`);
    await expect(openIn(files)).rejects.toMatchObject(broken);
  });

  it('is not opened: a file of a format of the future', async () => {
    const files = await filled(0);
    replace(files, Buffer.from(content(files).toString().replace('"format":2', '"format":3')));
    await expect(openIn(files)).rejects.toMatchObject(broken);
  });

  it('is not opened: the folder of another stream', async () => {
    const files = await filled(1, { stream: 'worker-1' });
    await expect(openIn(files, { stream: 'worker-2' })).rejects.toMatchObject(broken);
  });

  it('is opened when the operator says so: the rest is set aside and the ledger says it', async () => {
    const files = await filled(4);
    const whole = content(files);
    const changed = Buffer.from(whole.toString().replace(sample(1).decision, sample(2).decision));
    replace(files, changed);
    await (await openIn(files, { dangerouslySetBrokenAside: true })).close();
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 3 });
    expect((await tail(DIRECTORY, 9, files)).map(({ kind }) => kind)).toEqual(['decision', 'recovered']);
  });
});

describe('a start after a failed write', () => {
  it('brings to the disk what only readers could see', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files, { reopenIntervalMs: 60_000 });
    await ledger.record(sample(0));
    files.refuse = (_, bytes) => ({ code: 'EIO', reached: bytes });
    await expect(ledger.record(sample(1))).rejects.toThrow();
    // The process ends here; the page cache lives on, and the next process reads records that the disk does not have.
    files.refuse = () => undefined;
    const again = await openIn(files);
    await again.record(sample(2));
    files.losePower();
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 4 });
  });

  it('does not begin before the cut of the refused bytes is on the disk', async () => {
    const files = new MemoryFiles();
    const ledger = await openIn(files);
    await ledger.record(sample(0));
    files.refuse = (_, bytes) => ({ code: 'EIO', reached: bytes, durable: true });
    await expect(ledger.record(sample(1))).rejects.toThrow();
    files.refuse = () => undefined;
    await expect.poll(() => ledger.failure, { interval: 1 }).toBeUndefined();
    await ledger.record(sample(2));
    files.losePower();
    expect(await verifyLedger(DIRECTORY, { files })).toMatchObject({ ok: true, records: 4 });
  });

  it('refuses to open on a disk that refuses', async () => {
    const files = new MemoryFiles();
    files.refuse = () => ({ code: 'ENOSPC', reached: 0 });
    await expect(openIn(files)).rejects.toMatchObject({ code: 'SP_LEDGER_WRITE', details: { code: 'ENOSPC' } });
  });
});
