/**
 * What a decision on record costs: the ledger with 64 concurrent recorders and alone, beside what one would otherwise
 * take, SQLite with WAL and synchronous=FULL, one commit a decision. `node bench/ledger.ts [seconds]`; a folder for the
 * files may be named in LEDGER_BENCH_DIRECTORY (the disk decides the figures). Prints one JSON line per measurement.
 */
import { mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import type { DecisionRecord } from '../src/exchange/gate.ts';
import { decisionBody } from '../src/ledger/encode.ts';
import { Ledger } from '../src/ledger/ledger.ts';
import { find } from '../src/ledger/read.ts';
import { verifyLedger } from '../src/ledger/verify.ts';

const durationMs = Number(process.argv[2] ?? 5) * 1_000;
const directory = mkdtempSync(join(process.env.LEDGER_BENCH_DIRECTORY ?? tmpdir(), 'ledger-bench-'));
const OPTIONS = { gateway: 'bench', maxFileBytes: 67_108_864, maxQueue: 10_000 };

try {
  await recorders('ledger, 64 recorders', 64, join(directory, 'many'));
  await recorders('ledger, 1 recorder', 1, join(directory, 'one'));
  sqlite();
  await recorders('ledger, 64 recorders', 64, join(directory, 'many'));
  encoding();
  await reading(join(directory, 'many'));
} finally {
  rmSync(directory, { recursive: true });
}

async function recorders(name: string, concurrency: number, folder: string): Promise<void> {
  const ledger = await Ledger.open(folder, OPTIONS);
  const tookMs: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const started = performance.now();
  const one = async (): Promise<void> => {
    while (performance.now() - started < durationMs) {
      const begun = performance.now();
      await ledger.record(record(tookMs.length));
      tookMs.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  delay.disable();
  report(name, tookMs, performance.now() - started, { loopDelayP99Ms: round(delay.percentile(99) / 1e6) });
  await ledger.close();
}

function sqlite(): void {
  const database = new DatabaseSync(join(directory, 'ledger.db'));
  database.exec(
    'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE ledger (seq INTEGER PRIMARY KEY, body TEXT)',
  );
  const insert = database.prepare('INSERT INTO ledger (body) VALUES (?)');
  const tookMs: number[] = [];
  const started = performance.now();
  while (performance.now() - started < durationMs) {
    const begun = performance.now();
    insert.run(JSON.stringify(record(tookMs.length)));
    tookMs.push(performance.now() - begun);
  }
  report('SQLite WAL FULL, single commits', tookMs, performance.now() - started, {});
  database.close();
}

/** By hand against JSON.stringify of the record. */
function encoding(): void {
  const rounds = 300_000;
  for (const [name, encode] of [
    ['encode by hand', decisionBody],
    ['encode by JSON.stringify', JSON.stringify],
  ] as const) {
    const sample = record(1);
    let bytes = 0;
    for (let warm = 0; warm < 20_000; warm++) bytes += encode(sample).length;
    const started = performance.now();
    for (let round = 0; round < rounds; round++) bytes += encode(sample).length;
    print({ name, micros: round(((performance.now() - started) / rounds) * 1_000), bytes: bytes > 0 });
  }
}

async function reading(folder: string): Promise<void> {
  let started = performance.now();
  const { records } = await verifyLedger(folder);
  const verifyMs = performance.now() - started;
  started = performance.now();
  const { decision } = record(100);
  const found = (await find(folder, decision)).length;
  const findMs = performance.now() - started;
  started = performance.now();
  await (await Ledger.open(folder, OPTIONS)).close();
  const openMs = performance.now() - started;
  print({ name: 'reading', records, verifyMs: round(verifyMs), findMs: round(findMs), found, openMs: round(openMs) });
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

function report(name: string, tookMs: number[], elapsedMs: number, more: Record<string, number>): void {
  tookMs.sort((left, right) => left - right);
  const at = (share: number) => round(tookMs[Math.floor(tookMs.length * share)] ?? 0);
  const perSecond = Math.round((tookMs.length / elapsedMs) * 1_000);
  print({ name, perSecond, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), ...more });
}

function print(line: Record<string, unknown>): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
