/** `npm run bench`: it explains itself, refuses what it does not know, and its page is made of its results. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expectedPages, readResults } from '../../../bench/core/results-file.ts';

const root = new URL('../../..', import.meta.url).pathname;

const NAMES = [
  ...['https', 'https-opa', 'https-node', 'handshake', 'websocket', 'decision'],
  ...['privacy', 'ledger', 'devices', 'connections', 'start', 'workers'],
];

function bench(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    execFile('npm', ['run', '--silent', 'bench', '--', ...words], { cwd: root, encoding: 'utf8' }, (error, out, err) =>
      done({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

describe('npm run bench', () => {
  it('--help names every benchmark', async () => {
    const { code, out } = await bench('--help');
    expect(code).toBe(0);
    for (const name of NAMES) expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
  });

  it.each([
    [['nonsense'], 'no benchmark nonsense'],
    [['--rounds', '2'], '--rounds 2'],
    [['--write', '--quick'], '--quick'],
    [['--nonsense'], '--nonsense'],
  ])('%j is wrong usage', async (words, said) => {
    const { code, out, err } = await bench(...words);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(said);
  });
});

describe('docs/performance.md', () => {
  it.each([...expectedPages()])('%s is what its results make (node bench/report.ts)', (name, content) => {
    expect(existsSync(`${root}/docs/${name}`)).toBe(true);
    expect(readFileSync(`${root}/docs/${name}`, 'utf8')).toBe(content);
  });

  it('no ratio stands where the baseline was restless', () => {
    for (const { lines } of readResults())
      for (const { spread, ratio, ok, bar } of lines) {
        if (!spread || spread.baseline <= 0.2) continue;
        expect(ratio).toBeNull();
        if (bar.endsWith('x')) expect(ok).toBe(false);
      }
  });
});
