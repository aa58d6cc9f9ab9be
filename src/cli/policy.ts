/** `sallyport policy check|test|build|eval`: for those who write Rego. The gateway itself never runs the opa tool. */
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { loadConfiguration } from '../config/load.ts';
import { DEFAULT_LIMITS } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { PolicyBatch } from '../policy/batch.ts';
import { policyData } from '../policy/data.ts';
import {
  buildPolicy,
  checkPolicy,
  SHIPPED_ENTRYPOINT,
  SHIPPED_MODULE,
  SHIPPED_SOURCE,
  testPolicy,
} from '../policy/opa-tool.ts';
import { PolicyWall } from '../policy/wall.ts';
import { DIGESTS, provision } from '../provision.ts';
import { answering, EXIT } from './command.ts';
import { paint, withProgress } from './terminal.ts';

interface EvalOptions {
  readonly batch?: string;
  readonly input?: string;
  readonly data?: string;
  readonly wasm?: string;
  readonly entrypoint?: string;
  readonly timeout: string;
}

export function registerPolicy(root: Command): void {
  const policy = root.command('policy').description('check, test, build and try policy written in Rego');

  policy
    .command('check')
    .description(
      'load the active policy as the gateway would, canaries included; and your Rego with `opa check`, if there is any',
    )
    .action(
      answering(async ({ directory }) => {
        const { settings, revision } = await provision(directory);
        const own = ownSources(directory);
        const report = own.length > 0 ? await checkPolicy([SHIPPED_SOURCE, ...own]) : undefined;
        const module = settings.policy.module ?? 'the module that ships';
        if (report && !report.ok)
          return {
            json: { ok: false, output: report.output },
            text: `${paint('red', '✗')} ${report.output}`,
            exit: EXIT.no,
          };
        return {
          json: { ok: true, module, revision, sources: own },
          text: `${paint('green', '✓')} ${module} loads, passes its canaries; revision ${revision}`,
        };
      }),
    );

  policy
    .command('test')
    .description('run the tests of the shipped Rego and of yours in policy/ (opa test)')
    .action(
      answering(async ({ directory }) => {
        const report = await withProgress('testing', () => testPolicy([SHIPPED_SOURCE, ...ownSources(directory)]));
        return { json: report, text: report.output.trimEnd(), exit: report.ok ? EXIT.yes : EXIT.no };
      }),
    );

  policy
    .command('build')
    .description('compile the shipped Rego and yours in policy/ into one module (opa build)')
    .option('-o, --out <file>', 'where to; policy/policy.wasm of the folder when left out')
    .option('-e, --entrypoint <rule...>', 'the rules that may be asked', [SHIPPED_ENTRYPOINT])
    .action(
      answering<{ out?: string; entrypoint: string[] }>(async ({ directory }, _, { out, entrypoint }) => {
        const target = out ?? join(directory, 'policy', 'policy.wasm');
        if (out === undefined) loadConfiguration(directory);
        const sources = [SHIPPED_SOURCE, ...ownSources(directory)];
        const manifest = await withProgress('compiling', () =>
          buildPolicy({ sources, entrypoints: entrypoint, out: target }),
        );
        const next =
          out === undefined ? '\n  use it: policy: { module: policy/policy.wasm }, then `sallyport config reload`' : '';
        return { json: { out: target, ...manifest }, text: `${paint('green', '✓')} ${target}${next}` };
      }),
    );

  policy
    .command('eval')
    .description('ask a policy module, through the wall that the gateway uses')
    .option('--input <file>', 'the input document, JSON; - for standard input')
    .option('--data <file>', 'the data document, JSON; the folder’s configuration when left out')
    .option('--wasm <file>', 'the module; the folder’s or the shipped one when left out')
    .option('-e, --entrypoint <rule>', 'the rule to ask')
    .option('--timeout <ms>', 'longest time for one evaluation', '5000')
    .option(
      '--batch <file>',
      'many at once: a line in is {"id","wasm","entrypoint","data","input"}, a line out {"id","result"} or {"id","error"}',
    )
    .action(
      answering<EvalOptions>(async ({ directory }, _, options) => {
        const timeoutMs = Number(options.timeout);
        if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 600_000)
          throw new Fault('SP_USAGE', '--timeout: milliseconds, 1 to 600000.');
        if (options.batch !== undefined) return batch(options.batch, timeoutMs);
        const result = one(directory, options, timeoutMs);
        // Printed as the text it is: a parse and a stringify would round what exceeds 2^53.
        process.stdout.write(`${result ?? 'undefined'}\n`);
        process.exitCode = result === undefined ? EXIT.no : EXIT.yes;
        return undefined;
      }),
    );
}

function ownSources(directory: string): string[] {
  const folder = join(directory, 'policy');
  if (!existsSync(folder)) return [];
  const holdsRego = readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((name) => name.endsWith('.rego'));
  return holdsRego ? [folder] : [];
}

function one(directory: string, options: EvalOptions, timeoutMs: number): string | undefined {
  const text = (file: string) => readFileSync(file === '-' ? 0 : file, 'utf8');
  const configured = options.wasm === undefined || options.data === undefined ? settingsOf(directory) : undefined;
  const wasm = readFileSync(options.wasm ?? configured?.policy.module ?? SHIPPED_MODULE);
  const data = options.data === undefined ? (configured ? policyData(configured).json : '{}') : text(options.data);
  const entrypoint = options.entrypoint ?? configured?.policy.entrypoint ?? SHIPPED_ENTRYPOINT;
  const limits = configured?.limits ?? DEFAULT_LIMITS;
  const active = PolicyWall.activate({
    wasm,
    data,
    entrypoint,
    revision: 'eval',
    limits,
    digests: DIGESTS,
    canaries: [],
    print: (line) => process.stderr.write(`${line}\n`),
  });
  return active.evaluate(options.input === undefined ? undefined : text(options.input), { timeoutMs });
}

/** The folder's settings, if it is a gateway's; a module may be tried without one. */
function settingsOf(directory: string) {
  try {
    return loadConfiguration(directory).settings;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.code === 'SP_CONFIG_MISSING') return undefined;
    throw thrown;
  }
}

async function batch(file: string, timeoutMs: number): Promise<undefined> {
  if (file !== '-' && !existsSync(file)) throw new Fault('SP_USAGE', `There is no file ${file}.`);
  const lines = createInterface({
    input: file === '-' ? process.stdin : createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  const evaluator = new PolicyBatch({
    readModule: (path) => readFileSync(path),
    limits: DEFAULT_LIMITS,
    digests: DIGESTS,
    timeoutMs,
  });
  for await (const line of lines) {
    if (line.trim() === '') continue;
    const answer = evaluator.line(line);
    if (!process.stdout.write(`${answer}\n`)) await new Promise((drained) => process.stdout.once('drain', drained));
  }
  // The answers are in the lines; the batch itself went well.
  process.exitCode = EXIT.yes;
  return undefined;
}
