import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Ledger } from '../../../src/ledger/ledger.ts';
import { tail } from '../../../src/ledger/read.ts';
import { verifyLedger } from '../../../src/ledger/verify.ts';
import { seeded } from './samples.ts';

const CHILD = new URL('appending-child.ts', import.meta.url).pathname;
const SOURCES = new URL('../../../', import.meta.url).pathname;
const KILLS = 20;

const directory = mkdtempSync(join(tmpdir(), 'ledger-crash-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs the child and kills it when it has acknowledged `after` records and some microseconds; returns its output. */
async function killed(folder: string, run: number, after: number, flags: readonly string[] = []): Promise<string[]> {
  const child = spawn(process.execPath, [...flags, CHILD, folder, String(run)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  for await (const chunk of child.stdout) {
    output += chunk;
    if (output.split('\n').length > after) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
  return output.split('\n').slice(0, -1);
}

it(`kill -9 at ${KILLS} random moments: every acknowledged record is there, in a ledger that verifies`, async () => {
  const seed = Number(process.env.LEDGER_SEED ?? Date.now() % 1_000_000);
  const below = seeded(seed);
  const acknowledged: string[] = [];
  const folder = join(directory, 'kills');
  for (let run = 0; run < KILLS; run++) {
    const [ready, ...ids] = await killed(folder, run, 2 + below(400));
    expect(Number(ready?.slice(6)), 'milliseconds until it was open').toBeLessThan(2_000);
    acknowledged.push(...ids);
  }
  await (await Ledger.open(folder, { gateway: 'plant-7', maxFileBytes: 100_000, maxQueue: 10 })).close();
  const verified = await verifyLedger(folder);
  expect(verified.firstProblem, `LEDGER_SEED=${seed}`).toBeUndefined();
  const kept = new Set((await tail(folder, 1_000_000)).map((entry) => 'decision' in entry && entry.decision));
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(1_000);
}, 60_000);

it('works under the permission model, which refuses fsync', async () => {
  const folder = join(directory, 'permission');
  // With a star: a folder that does not exist yet is otherwise taken for the name of a file.
  const paths = [`--allow-fs-read=${folder}/*`, `--allow-fs-write=${folder}/*`];
  const flags = ['--permission', `--allow-fs-read=${SOURCES}*`, ...paths];
  const [, ...ids] = await killed(folder, 0, 300, flags);
  expect(ids.length).toBeGreaterThan(200);
  expect((await verifyLedger(folder, { live: true })).firstProblem).toBeUndefined();
}, 20_000);
