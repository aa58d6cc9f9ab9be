import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LedgerEntry } from '../../../src/ledger/entry.ts';
import { Ledger, type LedgerOptions } from '../../../src/ledger/ledger.ts';
import { countSimilar, find, follow, tail } from '../../../src/ledger/read.ts';
import { MemoryFiles } from './memory-files.ts';
import { decisionId, START, sample } from './samples.ts';

const DIRECTORY = '/ledger';

async function filled(records: number, options: Partial<LedgerOptions> = {}, minutesApart = 0) {
  const files = new MemoryFiles();
  let count = 0;
  const time = (index: number) => START + index * minutesApart * 60_000;
  const ledger = await Ledger.open(DIRECTORY, {
    gateway: 'plant-7',
    maxFileBytes: 4_000,
    maxQueue: 100,
    files,
    now: () => time(count),
    ...options,
  });
  for (; count < records; count++) {
    await ledger.record(sample(count, { decision: decisionId(time(count), count), time: time(count) }));
  }
  await ledger.close();
  return files;
}

function decisions(entries: readonly LedgerEntry[]): number[] {
  return entries.map((entry) => ('decision' in entry ? Number.parseInt(entry.decision.slice(-12), 16) : -1));
}

describe('tail', () => {
  it('gives the last records, oldest first, over several files, headers left out', async () => {
    const files = await filled(30);
    expect((await files.list(DIRECTORY)).length).toBeGreaterThan(3);
    expect(decisions(await tail(DIRECTORY, 12, files))).toEqual([18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
    expect(decisions(await tail(DIRECTORY, 1, files))).toEqual([29]);
    expect(await tail(DIRECTORY, 1_000, files)).toHaveLength(30);
  });

  it('reads back more than one piece of a file', async () => {
    const files = await filled(700, { maxFileBytes: 10_000_000 });
    expect(decisions(await tail(DIRECTORY, 600, files))).toEqual(
      Array.from({ length: 600 }, (_, index) => index + 100),
    );
  });

  it('gives nothing of nothing', async () => {
    expect(await tail(DIRECTORY, 10, new MemoryFiles())).toEqual([]);
    expect(await tail(DIRECTORY, 10, await filled(0))).toEqual([]);
  });
});

describe('find', () => {
  it('finds each decision with its outcome', async () => {
    const files = await filled(30);
    const ledger = await Ledger.open(DIRECTORY, { gateway: 'g', maxFileBytes: 4_000, maxQueue: 10, files });
    ledger.outcome({ decision: sample(3).decision, time: START, fault: 'SP_UPSTREAM_BUSY' });
    await ledger.close();
    const id = decisionId(START, 3);
    // The sample's own id carries its own time; the recorded one the ledger's clock.
    expect((await find(DIRECTORY, id, files)).map(({ kind }) => kind)).toEqual(['decision']);
    expect((await find(DIRECTORY, sample(3).decision, files)).map(({ kind }) => kind)).toEqual(['outcome']);
    for (let count = 0; count < 30; count++) {
      expect(decisions(await find(DIRECTORY, decisionId(START, count), files))).toEqual([count]);
    }
  });

  it('skips files by the time in the id', async () => {
    const files = await filled(60, { maxFileBytes: 2_000 }, 30);
    const opened: string[] = [];
    const open = files.openForReading.bind(files);
    files.openForReading = async (path) => {
      const file = await open(path);
      return {
        ...file,
        read: (buffer, position) => {
          if (position > 0 || buffer.byteLength > 8_192) opened.push(path);
          return file.read(buffer, position);
        },
      };
    };
    expect(await find(DIRECTORY, decisionId(START + 30 * 30 * 60_000, 30), files)).toHaveLength(1);
    expect(new Set(opened).size).toBeLessThanOrEqual(2);
    expect((await files.list(DIRECTORY)).length).toBeGreaterThan(15);
  });

  it('finds a decision made while the clock was wrong', async () => {
    const files = await filled(10, {}, 30);
    const ledger = await Ledger.open(DIRECTORY, { gateway: 'g', maxFileBytes: 1, maxQueue: 10, files });
    await ledger.record(sample(0, { decision: decisionId(1_000, 77) }));
    await ledger.close();
    expect(decisions(await find(DIRECTORY, decisionId(1_000, 77), files))).toEqual([77]);
  });

  it('finds nothing for an id that was not made here, or is none', async () => {
    const files = await filled(5);
    expect(await find(DIRECTORY, decisionId(START, 99), files)).toEqual([]);
    expect(await find(DIRECTORY, '"verdict":"permitted"', files)).toEqual([]);
  });

  it('cannot be led astray by text in a record', async () => {
    const files = new MemoryFiles();
    const ledger = await Ledger.open(DIRECTORY, { gateway: 'g', maxFileBytes: 4_000, maxQueue: 10, files });
    const { action } = sample(0);
    const resource = `/","decision":"${decisionId(START, 5)}`;
    await ledger.record(sample(0, { action: { ...action, resource } }));
    await ledger.close();
    expect(await find(DIRECTORY, decisionId(START, 5), files)).toEqual([]);
  });
});

describe('countSimilar', () => {
  it('counts the like of a decision by device and time', async () => {
    const files = new MemoryFiles();
    const ledger = await Ledger.open(DIRECTORY, { gateway: 'g', maxFileBytes: 3_000, maxQueue: 10, files });
    const denial = (device: string, minutesAgo: number, reason: 'no-route' | 'device-quarantined' = 'no-route') =>
      sample(0, {
        time: START - minutesAgo * 60_000,
        verdict: 'denied',
        reasons: [reason],
        device: { id: device, segment: 'sensors', state: 'active' },
      });
    const all = [
      denial('a', 90),
      denial('a', 50),
      denial('b', 40),
      denial('a', 30, 'device-quarantined'),
      denial('a', 20),
      sample(1),
    ];
    for (const record of all) await ledger.record(record);
    await ledger.close();
    expect(await countSimilar(DIRECTORY, denial('a', 0), START - 3_600_000, files)).toEqual({
      sameDevice: 2,
      otherDevices: 1,
      partial: false,
    });
    expect(await countSimilar(DIRECTORY, denial('c', 0), 0, files)).toMatchObject({ sameDevice: 0, otherDevices: 4 });
  });
});

describe('follow', () => {
  it('yields what is appended, over rotations, until it is aborted', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'ledger-'));
    try {
      const ledger = await Ledger.open(directory, { gateway: 'g', maxFileBytes: 1_500, maxQueue: 100 });
      for (let count = 0; count < 5; count++) await ledger.record(sample(count));
      const stop = new AbortController();
      const seen: number[] = [];
      const following = (async () => {
        for await (const entry of follow(directory, { signal: stop.signal, last: 2, intervalMs: 2 })) {
          seen.push(...decisions([entry]));
          if (seen.length === 12) stop.abort();
        }
      })();
      await expect.poll(() => seen.length).toBe(2);
      for (let count = 5; count < 15; count++) await ledger.record(sample(count));
      await following;
      await ledger.close();
      expect(seen).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
