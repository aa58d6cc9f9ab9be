/** docs/performance.json: the latest results of each benchmark, and the page that is made of them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { performancePages, type Result } from './page.ts';

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url));
const NOTES = fileURLToPath(new URL('../notes', import.meta.url));
const RESULTS = join(DOCS, 'performance.json');

export function readResults(): readonly Result[] {
  return existsSync(RESULTS) ? (JSON.parse(readFileSync(RESULTS, 'utf8')) as Result[]) : [];
}

/** Puts the new in the place of the old, in the order of `names`. */
export function keepResults(fresh: readonly Result[], names: readonly string[]): void {
  const all = new Map([...readResults(), ...fresh].map((result) => [result.name, result]));
  const kept = names.flatMap((name) => all.get(name) ?? []);
  writeFileSync(RESULTS, `${JSON.stringify(kept, undefined, 2)}\n`);
}

/** What stands in docs/ when it is fresh: file name -> content. */
export function expectedPages(): Map<string, string> {
  return performancePages(readResults(), readNotes());
}

export function writePages(): void {
  for (const [name, content] of expectedPages()) {
    mkdirSync(dirname(join(DOCS, name)), { recursive: true });
    writeFileSync(join(DOCS, name), content);
  }
}

/** bench/notes/<benchmark>.md: what a person has to say about its figures. */
function readNotes(): Map<string, string> {
  if (!existsSync(NOTES)) return new Map();
  const names = readdirSync(NOTES).filter((name) => name.endsWith('.md'));
  return new Map(names.map((name) => [name.slice(0, -'.md'.length), readFileSync(join(NOTES, name), 'utf8')]));
}
