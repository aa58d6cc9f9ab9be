/** Holds the documentation to the code: generated pages are fresh, links lead somewhere, what a page names exists. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { generatedPages } from '../docs/generate.ts';
import { describeKeys } from '../src/config/describe.ts';
import { DENIALS, FAULTS, RETIRED } from '../src/faults/catalogue.ts';
import { DROPS } from '../src/faults/drop.ts';

const root = new URL('..', import.meta.url).pathname;
const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)));
const pages = tracked.filter((path) => path.endsWith('.md'));
const sources = tracked.filter((path) => /^src\/.*\.(?:ts|mjs)$/.test(path));
const text = (path: string) => readFileSync(join(root, path), 'utf8');

const generated = await generatedPages();

describe('generated pages', () => {
  it.each([...generated])('docs/%s is what `npm run docs` writes', (name, content) => {
    expect(text(`docs/${name}`)).toBe(content);
  });
});

describe('links', () => {
  it.each(pages)('%s leads to files and headings that exist', (page) => {
    const broken = [...text(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map((match) => match[1] as string)
      .filter((target) => !/^[a-z]+:/.test(target) && !reaches(page, target));
    expect(broken).toEqual([]);
  });
});

function reaches(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page : join(dirname(page), path);
  if (!existsSync(join(root, file))) return false;
  if (anchor === undefined || statSync(join(root, file)).isDirectory()) return true;
  const anchors = [...text(file).matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
  return anchors.includes(anchor);
}

describe('what pages name', () => {
  it('files of the project exist', () => {
    const missing = pages.flatMap((page) =>
      [
        ...text(page).matchAll(
          /`((?:src|test|docs|policies|docker|bench|certs|listeners|exchange|identity|policy|privacy|ledger|upstreams|faults|config|admin|telemetry|store|cli|websocket|demo)\/[\w./-]+\.(?:ts|mjs|md|rego|sh|yaml|json|wasm))`/g,
        ),
      ]
        .map((match) => match[1] as string)
        .filter((path) => !existsSync(join(root, path)) && !existsSync(join(root, 'src', path)))
        // The operator's own files, named in the documentation of commands.
        .filter((path) => !/^policy\/(?:policy\.wasm|[\w-]+\.(?:rego|json))$/.test(path))
        .map((path) => `${page}: ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('codes and reasons exist', () => {
    const known = new Set([...Object.keys(FAULTS), ...RETIRED]);
    const unknown = pages.flatMap((page) =>
      [...text(page).matchAll(/\bSP_[A-Z]+_[A-Z_0-9]+\b(?!\*)/g)]
        .map((match) => match[0])
        .filter((code) => !known.has(code) && !code.endsWith('_'))
        .map((code) => `${page}: ${code}`),
    );
    expect(unknown).toEqual([]);
  });

  it('limits exist', () => {
    const keys = new Set(describeKeys().map(({ key }) => key));
    const unknown = [...pages, 'src/faults/catalogue.ts', 'src/config/definitions.ts'].flatMap((page) =>
      [...text(page).matchAll(/\blimits\.(?!md\b)([a-z][A-Za-z]+)\b/g)]
        .filter((match) => !keys.has(`limits.${match[1]}`))
        .map((match) => `${page}: ${match[0]}`),
    );
    expect(unknown).toEqual([]);
  });

  it('the catalogue is whole: every code is used, every retired one is gone', () => {
    const code = sources
      .filter((path) => path !== 'src/faults/catalogue.ts' && path !== 'src/faults/drop.ts')
      .map(text)
      .join('\n');
    const rego = tracked
      .filter((path) => path.endsWith('.rego'))
      .map(text)
      .join('\n');
    const unused = Object.keys(FAULTS).filter((one) => !code.includes(one));
    const silent = Object.keys(DENIALS).filter((one) => !code.includes(`'${one}'`) && !rego.includes(`"${one}"`));
    const dropless = Object.keys(DROPS).filter((one) => !code.includes(`'${one}'`));
    expect({ unused, silent, dropless }).toEqual({ unused: [], silent: [], dropless: [] });
    for (const retired of RETIRED) expect(code).not.toContain(retired);
  });
});

describe('RFC citations', () => {
  it('are written so that they can be found: RFC NNNN, or RFC NNNN section N', () => {
    const odd = sources.flatMap((path) =>
      [...text(path).matchAll(/\bRFC[- ]?\d+\b(?! =|\.exec)[^\n]{0,24}/g)]
        .map((match) => match[0])
        .filter((citation) => !/^RFC \d{4}(?:\b)/.test(citation) || /§|\bsec\.|\bSection\b/.test(citation))
        .map((citation) => `${path}: ${citation}`),
    );
    expect(odd).toEqual([]);
  });

  it('the README lists each standard that the code follows', () => {
    const cited = new Set(
      sources.flatMap((path) => [...text(path).matchAll(/\bRFC (\d{4})\b/g)].map((match) => match[1] as string)),
    );
    const listed = pages.map(text).join('\n');
    expect([...cited].filter((number) => !listed.includes(number)).sort()).toEqual([]);
  });
});

describe('the tree', () => {
  it('names no machine, no package registry and holds no private key', () => {
    const hosts = ['registry.npm' + 'js', 'deb.deb' + 'ian', 'proxy.go' + 'lang'];
    const found = tracked
      .filter((path) => path !== 'package-lock.json' && statSync(join(root, path)).size < 1_000_000)
      .filter((path) => {
        const content = text(path);
        return (
          hosts.some((host) => content.includes(host)) ||
          /-----BEGIN (?:EC |RSA )?PRIVATE KEY-----\n[A-Za-z0-9+/]{40}/.test(content)
        );
      });
    expect(found).toEqual([]);
  });

  it('locks every package with its integrity, without addresses and without install scripts', () => {
    const lock = JSON.parse(text('package-lock.json')) as {
      packages: Record<string, { integrity?: string; resolved?: string; hasInstallScript?: boolean; link?: boolean }>;
    };
    const entries = Object.entries(lock.packages).filter(([name]) => name !== '');
    expect(entries.filter(([, entry]) => !entry.integrity).map(([name]) => name)).toEqual([]);
    expect(entries.filter(([, entry]) => entry.resolved !== undefined).map(([name]) => name)).toEqual([]);
    // fsevents is for macOS and never installed here.
    expect(
      entries
        .filter(([, entry]) => entry.hasInstallScript)
        .map(([name]) => name)
        .filter((name) => !name.endsWith('/fsevents')),
    ).toEqual([]);
    const { dependencies } = JSON.parse(text('package.json')) as { dependencies: Record<string, string> };
    expect(Object.keys(dependencies).length).toBeLessThanOrEqual(15);
    expect(Object.values(dependencies).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});
