/** docs/policy-builtins.md names every built-in there is, and none that is not. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { AMENDMENTS, BUILTINS } from '../../../../src/policy/builtins/table.ts';

const page = readFileSync(new URL('../../../../docs/policy-builtins.md', import.meta.url), 'utf8');

function namesIn(from: string, to: string): string[] {
  const part = page.slice(page.indexOf(from), page.indexOf(to));
  const cells = part.split('\n').filter((line) => line.startsWith('| `'));
  return cells.flatMap((line) => [...line.split('|')[1]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!));
}

it('names the built-ins of the table', () => {
  expect(namesIn('## From the gateway', '## From the module, mended').sort()).toEqual([...BUILTINS.keys()].sort());
});

it('names the functions that are mended', () => {
  const named = [...page.matchAll(/`((?:opa|builtin)_[a-z0-9_]+)`/g)].map((match) => match[1]!);
  expect(named.sort()).toEqual(AMENDMENTS.map((amendment) => amendment.function).sort());
});

it('promises nothing that it refuses', () => {
  const refused = page.slice(page.indexOf('## Not here'), page.indexOf('## Try them'));
  for (const [, name] of refused.matchAll(/`([a-z0-9_.]+)`/g)) expect(BUILTINS.has(name!), name).toBe(false);
});
