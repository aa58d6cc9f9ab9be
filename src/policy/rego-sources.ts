/**
 * Sources of policy: which files of a folder are compiled, and under which names. They are copied to a temporary folder
 * first: a module holds the paths of its sources, so the same policy built elsewhere would otherwise be another module.
 */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { Fault } from '../faults/fault.ts';

const MAX_SOURCE_FILES = 1_000;
const MAX_SOURCE_BYTES = 1_048_576;
const MAX_DEPTH = 16;

/**
 * What a build of these sources would list in its manifest. Needs no opa: a stale module shows without it.
 * @throws Fault SP_POLICY_TOOL if a source cannot be read
 */
export async function sourceDigests(sources: readonly string[]): Promise<Readonly<Record<string, string>>> {
  return withStage(sources, false, ({ folder, files }) => digests(folder, files));
}

export async function digests(folder: string, files: readonly string[]): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const file of files) found[file] = await sha256(await readFile(join(folder, file)));
  return found;
}

/** Lowercase hex. A name for bytes, nothing that protects them. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes))).toString('hex');
}

export interface Stage {
  readonly folder: string;
  /** Name of each source inside the folder. */
  readonly labels: readonly string[];
  /** All files, sorted, relative to the folder. */
  readonly files: readonly string[];
}

/** Copies the .rego files of the sources to a temporary folder, each source under the name of its last path segment. */
export async function withStage<Result>(
  sources: readonly string[],
  withTests: boolean,
  work: (stage: Stage) => Promise<Result>,
): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-policy-'));
  try {
    const labels: string[] = [];
    const files: string[] = [];
    for (const source of sources) {
      const label = freeLabel(basename(resolve(source)), labels);
      const found = await regoFiles(resolve(source), label, withTests);
      if (found.length === 0) throw new Fault('SP_POLICY_TOOL', `There is no .rego file in ${source}.`);
      labels.push(label);
      for (const [from, to] of found) {
        await mkdir(dirname(join(folder, to)), { recursive: true });
        await copyFile(from, join(folder, to));
        files.push(to);
      }
    }
    if (files.length > MAX_SOURCE_FILES) throw new Fault('SP_POLICY_TOOL', `More than ${MAX_SOURCE_FILES} sources.`);
    return await work({ folder, labels, files: files.sort() });
  } catch (thrown) {
    if (thrown instanceof Fault) throw thrown;
    throw new Fault('SP_POLICY_TOOL', (thrown as Error).message, { cause: thrown });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function freeLabel(wanted: string, taken: readonly string[]): string {
  let label = wanted;
  for (let count = 2; taken.includes(label); count++) label = `${count}-${wanted}`;
  return label;
}

/** Pairs of real path and path in the stage. Hidden files and symbolic links inside a folder are not followed. */
async function regoFiles(path: string, label: string, withTests: boolean, depth = 0): Promise<[string, string][]> {
  const facts = await stat(path);
  if (facts.isDirectory()) {
    if (depth > MAX_DEPTH) throw new Fault('SP_POLICY_TOOL', `${path} is nested too deeply.`);
    const found: [string, string][] = [];
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || !(entry.isDirectory() || entry.isFile())) continue;
      found.push(...(await regoFiles(join(path, entry.name), `${label}/${entry.name}`, withTests, depth + 1)));
    }
    return found;
  }
  if (!path.endsWith('.rego') || (!withTests && path.endsWith('_test.rego'))) return [];
  if (facts.size > MAX_SOURCE_BYTES) throw new Fault('SP_POLICY_TOOL', `${path} is larger than 1 MiB.`);
  return [[path, label]];
}
