/**
 * `ledger`: decisions on record, each on disk before it is acknowledged, by 64 writers who share what the disk must do;
 * beside SQLite with WAL and synchronous=FULL, one commit a decision. The disk decides: name a folder on the one that
 * matters in LEDGER_BENCH_DIRECTORY.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { DecisionRecord } from '../src/exchange/gate.ts';
import { decisionBody } from '../src/ledger/encode.ts';
import { Ledger } from '../src/ledger/ledger.ts';
import { verifyLedger } from '../src/ledger/verify.ts';
import type { Bench, BenchOptions } from './core/bench.ts';
import { cpuPerOperation } from './core/in-process.ts';
import { lineOf, type Outcome, round } from './core/outcome.ts';
import { progress } from './core/progress.ts';
import { alternate } from './core/rounds.ts';
import { median, percentile } from './core/statistics.ts';

const WRITERS = 64;
const OPTIONS = { gateway: 'bench', maxFileBytes: 67_108_864, maxQueue: 10_000 };
/** Between looks at the clock, where nothing else would turn the loop. */
const BATCH = 16;
const ENCODED = 200_000;

export const ledger: Bench = {
  name: 'ledger',
  about: 'decisions on record, group commits on disk; beside single commits of SQLite',
  needs: [],
  run,
};

interface Sample {
  readonly records: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMicros: number;
}

async function run({ rounds, seconds }: BenchOptions): Promise<Outcome> {
  const directory = mkdtempSync(join(process.env.LEDGER_BENCH_DIRECTORY ?? tmpdir(), 'sallyport-bench-ledger-'));
  const many = await Ledger.open(join(directory, 'many'), OPTIONS);
  const single = await Ledger.open(join(directory, 'one'), OPTIONS);
  const database = new DatabaseSync(join(directory, 'ledger.db'));
  try {
    database.exec(
      'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE ledger (seq INTEGER PRIMARY KEY, body TEXT)',
    );
    const insert = database.prepare('INSERT INTO ledger (body) VALUES (?)');
    const milliseconds = seconds * 1_000;
    const baseline = {
      name: 'SQLite, WAL, FULL, single commits',
      measure: () => writers(1, milliseconds, async (count) => void insert.run(decisionBody(record(count)))),
    };
    const ours = {
      name: `ledger, ${WRITERS} writers`,
      measure: () => writers(WRITERS, milliseconds, (count) => many.record(record(count))),
    };
    const alone = {
      name: 'ledger, 1 writer',
      measure: () => writers(1, milliseconds, (count) => single.record(record(count))),
    };
    const subjects = [baseline, ours, alone];
    for (const one of subjects) await one.measure();
    const results = await alternate(subjects, rounds, (one) => one.measure());
    const of = (one: (typeof subjects)[number], key: keyof Sample) =>
      (results.get(one) as Sample[]).map((sample) => sample[key]);
    const byHand = round(await cpuPerOperation(ENCODED, encoder(decisionBody)));
    const byStringify = round(await cpuPerOperation(ENCODED, encoder(JSON.stringify)));
    await many.close();
    progress('verifying the ledger');
    const { ok, records } = await verifyLedger(join(directory, 'many'));
    const written = of(ours, 'records').reduce((sum, count) => sum + count, 0);
    if (!ok || records < written) throw new Error(`${written} decisions were written, ${records} verify`);
    return {
      lines: [
        lineOf({
          name: 'ledger',
          unit: 'decisions per second',
          against: baseline.name,
          baseline: of(baseline, 'perSecond'),
          ours: of(ours, 'perSecond'),
          bar: { kind: 'ratio', atLeast: 10 },
        }),
        lineOf({
          name: 'ledger/p99',
          unit: 'ms p99 of a commit',
          against: 'the bar alone',
          ours: of(ours, 'p99Ms'),
          bar: { kind: 'ours', atMost: 10, unit: 'ms' },
        }),
      ],
      table: subjects.map((one) => ({
        name: one.name,
        figures: {
          'per second': Math.round(median(of(one, 'perSecond'))),
          'p50 ms': round(median(of(one, 'p50Ms'))),
          'p99 ms': round(median(of(one, 'p99Ms'))),
          'CPU µs': round(median(of(one, 'cpuMicros'))),
        },
      })),
      picture: { figure: 'per second', better: 'more' },
      method: `Each record is on disk (fdatasync) before its writer goes on, on either side. ${records} records of ours verified. Of the CPU time of a record ${byHand} µs write its text (JSON.stringify of the same: ${byStringify} µs).`,
    };
  } finally {
    database.close();
    await many.close().catch(() => undefined);
    await single.close().catch(() => undefined);
    rmSync(directory, { recursive: true, force: true });
  }
}

function encoder(encode: (decision: DecisionRecord) => string): (times: number) => void {
  const sample = record(1);
  return (times) => {
    let length = 0;
    for (let done = 0; done < times; done += 1) length += encode(sample).length;
    if (length === 0) throw new Error('nothing was written');
  };
}

async function writers(
  count: number,
  milliseconds: number,
  write: (count: number) => Promise<unknown>,
): Promise<Sample> {
  const tookMs: number[] = [];
  const cpu = process.cpuUsage();
  const began = performance.now();
  const one = async () => {
    while (performance.now() - began < milliseconds) {
      for (let done = 0; done < BATCH; done += 1) {
        const started = performance.now();
        await write(tookMs.length);
        tookMs.push(performance.now() - started);
      }
    }
  };
  await Promise.all(Array.from({ length: count }, one));
  const elapsed = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  return {
    records: tookMs.length,
    perSecond: (tookMs.length / elapsed) * 1_000,
    p50Ms: percentile(tookMs, 0.5),
    p99Ms: percentile(tookMs, 0.99),
    cpuMicros: (user + system) / tookMs.length,
  };
}

function record(count: number): DecisionRecord {
  return {
    decision: `0198c1d2-0000-7000-8000-${count.toString(16).padStart(12, '0')}`,
    time: 1_763_820_191_482,
    verdict: 'permitted',
    reasons: [],
    revision: '7',
    device: { id: 'thermo-1', segment: 'sensors', state: 'active' },
    peer: { address: '10.0.3.17', key: 'ab'.repeat(32), serial: '5F0A112233445566' },
    action: {
      protocol: 'https',
      verb: 'POST',
      resource: '/v1/telemetry',
      direction: 'toCloud',
      contentType: 'application/json',
      bytes: 57,
    },
    obligations: { route: 'sensors/telemetry', upstream: 'cloud', privacy: 'readings' },
    tookMicros: 6,
  };
}
