/**
 * The `opa` tool, for people who write policy: check, test and build. Only the command line comes here; the gateway itself
 * runs without child processes and needs no opa, because the compiled module is committed.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, copyFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { Fault } from '../faults/fault.ts';
import { BUILTINS } from './builtins/table.ts';
import { COMPILE_TIME_BUILTINS, NATIVE_BUILTINS } from './native-builtins.ts';
import { digests, type Stage, sha256, withStage } from './rego-sources.ts';
import { INPUT_SCHEMA } from './schema.ts';

/** The version that made the committed module; any 1.x of at least MINIMUM_MINOR is accepted for policies of one's own. */
export const TESTED_OPA_VERSION = '1.22.2';
const MINIMUM_MINOR = 22;

const POLICIES = fileURLToPath(new URL('../../policies/', import.meta.url));
/** The Rego that ships. An operator's own folders are compiled together with it. */
export const SHIPPED_SOURCE = join(POLICIES, 'sallyport');
/** The module compiled from it. */
export const SHIPPED_MODULE = join(POLICIES, 'compiled', 'policy.wasm');
export const SHIPPED_ENTRYPOINT = 'sallyport/gate/verdict';

const TIMEOUT_MS = 120_000;
const MAX_OUTPUT_BYTES = 16_777_216;
const MAX_MODULE_BYTES = 67_108_864;

export interface OpaTool {
  readonly path: string;
  /** As `opa version` tells it, e.g. `1.22.2`. */
  readonly version: string;
}

/** What opa said. `output` is for people and names files relative to their source folder. */
export interface ToolReport {
  readonly ok: boolean;
  readonly output: string;
}

/** Stands beside a module as `<name>.json`: what it was made of, and by what. */
export interface PolicyManifest {
  readonly opa: string;
  readonly entrypoints: readonly string[];
  /** SHA-256 of the module, lowercase hex. */
  readonly sha256: string;
  /** SHA-256 of each source, by the path it was compiled under. */
  readonly sources: Readonly<Record<string, string>>;
}

/**
 * Looks in SALLYPORT_OPA (a path; nothing else is tried then), PATH and ~/go/bin.
 * @throws Fault SP_POLICY_TOOL if there is none or its version is unsuitable
 */
export async function findOpa(environment: NodeJS.ProcessEnv = process.env): Promise<OpaTool> {
  const named = environment.SALLYPORT_OPA;
  const folders = [...(environment.PATH ?? '').split(delimiter), join(environment.HOME ?? homedir(), 'go', 'bin')];
  const candidates = named ? [resolve(named)] : folders.filter((folder) => folder !== '').map((f) => join(f, 'opa'));
  for (const path of candidates) {
    if (!(await isExecutable(path))) continue;
    const { output } = await run(path, ['version'], tmpdir());
    const version = /^Version: (\d+\.\d+\.\d+)/m.exec(output)?.[1];
    if (version !== undefined && isSuitable(version)) return { path, version };
    const found = version === undefined ? 'is not opa' : `is opa ${version}`;
    throw new Fault('SP_POLICY_TOOL', `${path} ${found}; version 1.${MINIMUM_MINOR} or later of 1.x is needed.`);
  }
  const looked = named ? `SALLYPORT_OPA=${named} is not an executable file` : 'It is neither on PATH nor in ~/go/bin';
  throw new Fault('SP_POLICY_TOOL', `The opa tool is missing. ${looked}.`);
}

function isSuitable(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  return major === 1 && (minor ?? 0) >= MINIMUM_MINOR;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/**
 * `opa check --strict` with the schemas of input and data: a misspelt field is an error with its place.
 * @param sources folders or .rego files; tests are checked too
 */
export async function checkPolicy(sources: readonly string[], tool?: OpaTool): Promise<ToolReport> {
  return staged(sources, true, tool, async ({ opa, folder, labels }) => {
    const schemas = join(folder, '.schemas');
    await mkdir(schemas);
    await writeFile(join(schemas, 'input.json'), JSON.stringify(INPUT_SCHEMA));
    await copyFile(join(POLICIES, 'configuration.schema.json'), join(schemas, 'configuration.json'));
    return run(opa.path, ['check', '--strict', '--schema', schemas, ...labels], folder);
  });
}

/**
 * `opa test`: every rule that begins with test_.
 * @param options `coverage`: the output is opa's coverage report as JSON
 */
export async function testPolicy(
  sources: readonly string[],
  options: { readonly coverage?: boolean } = {},
  tool?: OpaTool,
): Promise<ToolReport> {
  const flags = options.coverage ? ['--coverage', '--format=json'] : [];
  return staged(sources, true, tool, ({ opa, folder, labels }) => {
    return run(opa.path, ['test', ...flags, ...labels], folder);
  });
}

/** `opa fmt --list`: `ok` if every file is formatted, otherwise the output names those that are not. */
export async function formattedPolicy(sources: readonly string[], tool?: OpaTool): Promise<ToolReport> {
  return staged(sources, true, tool, async ({ opa, folder, labels }) => {
    const { ok, output } = await run(opa.path, ['fmt', '--list', ...labels], folder);
    return { ok: ok && output === '', output };
  });
}

/**
 * Compiles sources into one module and writes it to `out`, with its manifest beside it.
 * @param request `sources`: folders or .rego files (tests are left out); `out`: path that ends in .wasm
 * @throws Fault SP_POLICY_TOOL with what opa said
 */
export async function buildPolicy(
  request: { readonly sources: readonly string[]; readonly entrypoints: readonly string[]; readonly out: string },
  tool?: OpaTool,
): Promise<PolicyManifest> {
  const { sources, entrypoints, out } = request;
  if (!out.endsWith('.wasm')) throw new Fault('SP_USAGE', `A module's name ends in .wasm, and ${out} does not.`);
  return staged(sources, false, tool, async ({ opa, folder, files }) => {
    const bundle = join(folder, '.bundle.tar.gz');
    const capabilities = await ownCapabilities(opa, folder);
    const asked = entrypoints.flatMap((entrypoint) => ['-e', entrypoint]);
    const flags = ['-t', 'wasm', '--capabilities', capabilities, ...asked, '-o', bundle];
    const report = await run(opa.path, ['build', ...flags, ...files], folder);
    if (!report.ok) throw new Fault('SP_POLICY_TOOL', `opa build failed:\n${report.output}`);
    const module = moduleOf(await readFile(bundle));
    const manifest: PolicyManifest = {
      opa: opa.version,
      entrypoints,
      sha256: await sha256(module),
      sources: await digests(folder, files),
    };
    await replaceFile(out, module);
    await replaceFile(manifestPath(out), Buffer.from(`${JSON.stringify(manifest, undefined, 2)}\n`));
    return manifest;
  });
}

/** A file that tells opa which built-ins this gateway has; one that it lacks is then an error with its place. */
async function ownCapabilities(opa: OpaTool, folder: string): Promise<string> {
  const report = await run(opa.path, ['capabilities', '--current'], folder);
  if (!report.ok) throw new Fault('SP_POLICY_TOOL', `opa does not tell its capabilities:\n${report.output}`);
  const all = JSON.parse(report.output) as { readonly builtins: readonly { readonly name: string }[] };
  const known = new Set([...COMPILE_TIME_BUILTINS, ...NATIVE_BUILTINS, ...BUILTINS.keys()]);
  const path = join(folder, '.capabilities.json');
  await writeFile(path, JSON.stringify({ ...all, builtins: all.builtins.filter(({ name }) => known.has(name)) }));
  return path;
}

/** Path of the manifest that belongs to a module. */
export function manifestPath(module: string): string {
  return `${module.slice(0, -'.wasm'.length)}.json`;
}

async function staged<Result>(
  sources: readonly string[],
  withTests: boolean,
  tool: OpaTool | undefined,
  work: (stage: Stage & { readonly opa: OpaTool }) => Promise<Result>,
): Promise<Result> {
  const opa = tool ?? (await findOpa());
  return withStage(sources, withTests, (stage) => work({ ...stage, opa }));
}

/** Runs opa. A non-zero exit is a report; not starting, dying by a signal and taking too long are faults. */
export function run(path: string, args: readonly string[], cwd: string): Promise<ToolReport> {
  const options = { cwd, timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, env: { PATH: process.env.PATH } };
  return new Promise((done, fail) => {
    execFile(path, args, options, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`;
      if (error === null) done({ ok: true, output });
      else if (typeof error.code === 'number') done({ ok: false, output });
      else fail(new Fault('SP_POLICY_TOOL', `${path} did not finish: ${error.message}`, { cause: error }));
    });
  });
}

const TAR_BLOCK = 512;

/** The file policy.wasm of a gzipped tar archive (ustar, as opa writes it). */
function moduleOf(bundle: Uint8Array): Uint8Array {
  const tar = gunzipSync(bundle, { maxOutputLength: MAX_MODULE_BYTES });
  const text = (from: number, length: number) =>
    tar
      .toString('latin1', from, from + length)
      .split('\0', 1)[0]!
      .trim();
  for (let offset = 0; offset + TAR_BLOCK <= tar.byteLength; ) {
    const name = text(offset, 100);
    const size = Number.parseInt(text(offset + 124, 12) || '0', 8);
    const start = offset + TAR_BLOCK;
    if (name === '/policy.wasm') return tar.subarray(start, start + size);
    offset = start + Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
  }
  throw new Fault('SP_POLICY_TOOL', 'opa made a bundle without a module.');
}

/** Writes beside the target and renames: nobody ever reads half a module. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(resolve(path)), { recursive: true });
  const temporary = `${path}.${process.pid}.new`;
  await writeFile(temporary, bytes);
  await rename(temporary, path);
}
