/**
 * `npm run bench`: runs benchmarks and says what they found. People read tables; `--json` ends with one line that holds
 * everything as an array. Exit code 0: every bar was reached; 1: one was not, or a run proved nothing; 2: wrong usage.
 */
import { writeSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { connections } from './connections.ts';
import type { Bench, BenchOptions } from './core/bench.ts';
import { versionOf, Workplace } from './core/children.ts';
import { thisMachine } from './core/machine.ts';
import type { Line, Outcome } from './core/outcome.ts';
import type { Result } from './core/page.ts';
import { about, progress, progressDone } from './core/progress.ts';
import { keepResults, writePages } from './core/results-file.ts';
import { bePatient } from './core/rounds.ts';
import { MIN_ROUNDS } from './core/statistics.ts';
import { describeOutcome } from './core/tables.ts';
import { decision } from './decision.ts';
import { devices } from './devices.ts';
import { handshake } from './handshake.ts';
import { https } from './https.ts';
import { httpsNode } from './https-node.ts';
import { httpsOpa } from './https-opa.ts';
import { ledger } from './ledger.ts';
import { privacy } from './privacy.ts';
import { start } from './start.ts';
import { websocket } from './websocket.ts';
import { workers } from './workers.ts';

const BENCHES: readonly Bench[] = [
  https,
  httpsOpa,
  httpsNode,
  handshake,
  websocket,
  decision,
  privacy,
  ledger,
  devices,
  connections,
  start,
  workers,
];

const PACKAGES: Readonly<Record<string, string>> = {
  nginx: 'Debian: nginx-light',
  haproxy: 'Debian: haproxy',
  ab: 'Debian: apache2-utils',
  opa: 'go install github.com/open-policy-agent/opa@v1.22.2, in PATH or ~/go/bin',
  taskset: 'Debian: util-linux',
};

const PATIENCE_MS = 60_000;

const HELP = `npm run bench -- [name …] [options]      all of them when none is named, under 15 minutes

${BENCHES.map((bench) => `  ${bench.name.padEnd(12)} ${bench.about}`).join('\n')}

  --json         the last line is an array of {name, baseline, ours, unit, ratio, bar, ok}
  --rounds N     rounds of each, ${MIN_ROUNDS} or more (default ${MIN_ROUNDS})
  --write        keep the results in docs/performance.json and write docs/performance.md
  --patient      each round waits until the rest of the machine is quiet, up to a minute
  --quick        short rounds, to try things out; not for quoting
  --help         this text

Each builds what it compares with on loopback in a folder of its own; baseline and ours take turns. Servers are pinned to
processor 0, load and cloud to processor 1: leave the machine alone meanwhile. A run whose baseline moved more than 20 %
between rounds prints no ratio. Exit code 0: every bar reached; 1: not; 2: wrong usage.
`;

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => {
    progressDone();
    void Workplace.closeAll().finally(() => process.exit(code));
  });

process.exitCode = await main();

async function main(): Promise<number> {
  let parsed: ReturnType<typeof read>;
  try {
    parsed = read();
  } catch (thrown) {
    process.stderr.write(`${(thrown as Error).message}\n\n${HELP}`);
    return 2;
  }
  if (parsed.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const { benches, options, json, write } = parsed;
  const lines: Line[] = [];
  const results: Result[] = [];
  const machine = thisMachine();
  const load = loadavg()[0] ?? 0;
  let good = true;
  for (const bench of benches) {
    const outcome = await attempt(bench, options);
    lines.push(...outcome.lines);
    good &&=
      outcome.failed === undefined &&
      outcome.skipped === undefined &&
      outcome.lines.every(({ ok, refused }) => ok && refused === undefined);
    if (outcome.failed === undefined)
      results.push({ name: bench.name, about: bench.about, rounds: options.rounds, machine, load, ...outcome });
    progressDone();
    (json ? process.stderr : process.stdout).write(`${describeOutcome(bench, outcome)}\n`);
  }
  if (write) {
    keepResults(
      results,
      BENCHES.map(({ name }) => name),
    );
    writePages();
  }
  // At once and whole, whatever reads it.
  if (json) writeSync(1, `${JSON.stringify(lines.map(forPrograms))}\n`);
  return good ? 0 : 1;
}

function forPrograms({ name, baseline, ours, unit, ratio, bar, ok }: Line) {
  return { name, baseline, ours, unit, ratio, bar, ok };
}

async function attempt(bench: Bench, options: BenchOptions): Promise<Outcome & { readonly failed?: string }> {
  about(bench.name);
  const nothing = { lines: [], table: [], method: '' };
  const missing = [...bench.needs, 'taskset'].filter((program) => versionOf('command -v', program) === undefined);
  if (missing.length > 0 && !(missing.length === 1 && missing[0] === 'opa'))
    return { ...nothing, failed: `missing: ${missing.map((one) => `${one} (${PACKAGES[one]})`).join(', ')}` };
  const began = performance.now();
  try {
    const outcome = await bench.run(options);
    progress(`done in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
    return outcome;
  } catch (thrown) {
    return { ...nothing, failed: (thrown as Error).stack ?? String(thrown) };
  }
}

function read() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      patient: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false, short: 'h' },
      rounds: { type: 'string', default: String(MIN_ROUNDS) },
    },
  });
  const benches = positionals.length === 0 ? BENCHES : positionals.map(benchNamed);
  if (values.write && values.quick) throw new Error('--quick is not for quoting: nothing to --write.');
  if (values.patient) bePatient(PATIENCE_MS);
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < (values.quick ? 1 : MIN_ROUNDS) || rounds > 100)
    throw new Error(`--rounds ${values.rounds}: a number from ${MIN_ROUNDS} to 100.`);
  return {
    benches,
    json: values.json,
    write: values.write,
    help: values.help,
    options: { rounds, quick: values.quick, seconds: values.quick ? 0.5 : 2 },
  };
}

function benchNamed(name: string): Bench {
  const found = BENCHES.find((bench) => bench.name === name);
  if (!found) throw new Error(`There is no benchmark ${name}.`);
  return found;
}
