import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { FAULTS } from '../../../src/faults/catalogue.ts';
import {
  buildPolicy,
  checkPolicy,
  findOpa,
  formattedPolicy,
  manifestPath,
  SHIPPED_ENTRYPOINT,
  SHIPPED_SOURCE,
  testPolicy,
} from '../../../src/policy/opa-tool.ts';
import { sourceDigests } from '../../../src/policy/rego-sources.ts';
import { goldenCases, goldenConfiguration, policyFrom, verdictOf } from './shipped-policy.ts';

const root = mkdtempSync(join(tmpdir(), 'sallyport-opa-tool-'));
afterAll(() => rmSync(root, { recursive: true }));
let folder = '';
let count = 0;
beforeEach(() => {
  folder = join(root, String(++count));
  mkdirSync(folder);
});

const opa = await findOpa().catch(() => undefined);
if (opa === undefined) process.stderr.write('SKIPPED: opa is missing; building and testing Rego is not tried.\n');

function fakeOpa(script: string): string {
  const path = join(folder, 'opa');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

function source(files: Readonly<Record<string, string>>, name = 'own'): string {
  for (const [file, text] of Object.entries(files)) {
    const path = join(folder, name, file);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
  }
  return join(folder, name);
}

const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith('sallyport-policy-'));

describe('finding opa', () => {
  test('its absence is told with the remedy', async () => {
    const failure = await findOpa({ PATH: '/nonexistent', HOME: folder }).catch((thrown) => thrown);
    expect(failure).toMatchObject({ code: 'SP_POLICY_TOOL', message: expect.stringContaining('~/go/bin') });
    expect(failure.entry.remedy).toBe('go install github.com/open-policy-agent/opa@v1.22.2');
    expect(FAULTS.SP_POLICY_TOOL.remedy).toContain('go install');
  });

  test('SALLYPORT_OPA is the only place looked at when it is set', async () => {
    const path = fakeOpa('echo "Version: 1.30.0"');
    expect(await findOpa({ SALLYPORT_OPA: path, PATH: '', HOME: '/nonexistent' })).toEqual({ path, version: '1.30.0' });
    const missing = findOpa({ SALLYPORT_OPA: join(folder, 'none'), PATH: folder, HOME: '/nonexistent' });
    await expect(missing).rejects.toMatchObject({ code: 'SP_POLICY_TOOL', message: expect.stringContaining('none') });
  });

  test('PATH comes before ~/go/bin', async () => {
    const path = fakeOpa('echo "Version: 1.22.2"');
    expect(await findOpa({ PATH: folder, HOME: '/nonexistent' })).toEqual({ path, version: '1.22.2' });
  });

  test.each([
    ['too old', 'echo "Version: 1.21.9"'],
    ['of another major version', 'echo "Version: 2.0.0"'],
    ['from before Rego v1', 'echo "Version: 0.70.0"'],
    ['not opa', 'echo hello'],
    ['failing', 'exit 3'],
  ])('one that is %s is refused', async (_, script) => {
    const found = findOpa({ SALLYPORT_OPA: fakeOpa(script), PATH: '', HOME: '' });
    await expect(found).rejects.toMatchObject({ code: 'SP_POLICY_TOOL' });
  });

  test('one that dies is a fault, not an answer', async () => {
    const found = findOpa({ SALLYPORT_OPA: fakeOpa('kill -9 $$'), PATH: '', HOME: '' });
    await expect(found).rejects.toMatchObject({
      code: 'SP_POLICY_TOOL',
      message: expect.stringContaining('did not finish'),
    });
  });
});

describe('sources', () => {
  test('are the .rego files of a folder, without tests, hidden files and symbolic links', async () => {
    const own = source({
      'a.rego': 'package a',
      'a_test.rego': 'package a_test',
      'deep/b.rego': 'package b',
      '.hidden/c.rego': 'package c',
      'data.json': '{"configuration": {}}',
    });
    symlinkSync('/etc', join(own, 'etc'));
    symlinkSync(join(own, 'a.rego'), join(own, 'link.rego'));
    expect(Object.keys(await sourceDigests([own]))).toEqual(['own/a.rego', 'own/deep/b.rego']);
  });

  test('with the same last name are told apart', async () => {
    source({ 'a.rego': 'package a' }, 'one/policy');
    source({ 'a.rego': 'package b' }, 'two/policy');
    const digests = await sourceDigests([join(folder, 'one/policy'), join(folder, 'two/policy')]);
    expect(Object.keys(digests)).toEqual(['2-policy/a.rego', 'policy/a.rego']);
  });

  test('that are missing, empty or huge are refused, and nothing is left behind', async () => {
    const before = leftovers();
    const code = { code: 'SP_POLICY_TOOL' };
    await expect(sourceDigests([join(folder, 'none')])).rejects.toMatchObject(code);
    await expect(sourceDigests([source({ 'readme.txt': '' })])).rejects.toMatchObject(code);
    await expect(sourceDigests([source({ 'a.rego': '#'.repeat(1_048_577) }, 'huge')])).rejects.toMatchObject(code);
    expect(leftovers()).toEqual(before);
  });
});

describe.skipIf(opa === undefined)('a policy of one’s own', () => {
  const MAINTENANCE = `package sallyport.custom

deny contains "outside-schedule" if {
	data.custom.maintenance
	input.device.labels.site == "north"
	data.sallyport.gate.grant.upstream == "cloud"
}
`;

  test('is compiled together with the shipped one, can deny more and cannot allow more', async () => {
    const own = source({ 'maintenance.rego': MAINTENANCE });
    const out = join(folder, 'built', 'policy.wasm');
    const manifest = await buildPolicy({ sources: [SHIPPED_SOURCE, own], entrypoints: [SHIPPED_ENTRYPOINT], out }, opa);
    expect(Object.keys(manifest.sources)).toContain('own/maintenance.rego');
    expect(JSON.parse(readFileSync(manifestPath(out), 'utf8'))).toEqual(manifest);

    const file = join(folder, 'custom.json');
    writeFileSync(file, '{"maintenance": true}');
    const settings = goldenConfiguration();
    const quiet = policyFrom(readFileSync(out), settings);
    const denying = policyFrom(readFileSync(out), { ...settings, policy: { ...settings.policy, data: file } });
    let denied = 0;
    for (const { name, input, verdict } of goldenCases()) {
      expect(verdictOf(quiet, input), name).toEqual(verdict);
      const other = verdictOf(denying, input);
      if (!verdict.allow) expect(other.allow, name).toBe(false);
      if (verdict.allow && !other.allow) {
        expect(other.reasons).toEqual(['outside-schedule']);
        denied += 1;
      }
    }
    expect(denied).toBeGreaterThan(20);
  });

  test('as docs/policy.md shows one is checked, formatted, tested and built', async () => {
    const page = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8');
    const [rules, tests] = [...page.matchAll(/```rego\n(.*?)```/gs)].map((match) => match[1]!);
    const own = source({ 'maintenance.rego': rules!, 'maintenance_test.rego': tests! }, 'policy');
    const out = join(folder, 'policy.wasm');
    expect(await checkPolicy([SHIPPED_SOURCE, own], opa)).toEqual({ ok: true, output: '' });
    expect(await formattedPolicy([own], opa)).toEqual({ ok: true, output: '' });
    expect((await testPolicy([SHIPPED_SOURCE, own], {}, opa)).ok).toBe(true);
    const manifest = await buildPolicy({ sources: [SHIPPED_SOURCE, own], entrypoints: [SHIPPED_ENTRYPOINT], out }, opa);
    expect(Object.keys(manifest.sources)).toContain('policy/maintenance.rego');
    expect(Object.keys(manifest.sources)).not.toContain('policy/maintenance_test.rego');
  });

  test('gives the same bytes wherever its sources lie, and as often as it is built', async () => {
    const modules: Buffer[] = [];
    for (const place of ['here/own', 'there/below/own', 'here/own']) {
      const own = source({ 'maintenance.rego': MAINTENANCE }, place);
      const out = join(folder, `${modules.length}.wasm`);
      await buildPolicy({ sources: [SHIPPED_SOURCE, own], entrypoints: [SHIPPED_ENTRYPOINT], out }, opa);
      modules.push(readFileSync(out));
    }
    expect(modules[1]!.equals(modules[0]!)).toBe(true);
    expect(modules[2]!.equals(modules[0]!)).toBe(true);
  });

  test('with a mistake is refused with its place, and the last module stays', async () => {
    const own = source({ 'broken.rego': 'package sallyport.custom\n\ndeny contains x if {\n' });
    const out = join(folder, 'policy.wasm');
    writeFileSync(out, 'the last good one');
    const built = buildPolicy({ sources: [SHIPPED_SOURCE, own], entrypoints: [SHIPPED_ENTRYPOINT], out }, opa);
    await expect(built).rejects.toMatchObject({
      code: 'SP_POLICY_TOOL',
      message: expect.stringContaining('own/broken.rego:'),
    });
    expect(readFileSync(out, 'utf8')).toBe('the last good one');
    expect(readdirSync(folder).sort()).toEqual(['own', 'policy.wasm']);
  });

  test.each([
    'http.send({"method": "get", "url": "https://x"})',
    'opa.runtime()',
    'rand.intn("a", 2)',
    'json.patch({}, [])',
  ])('with a built-in that the gateway does not have is refused with its place: %s', async (call) => {
    const own = source({ 'a.rego': `package sallyport.custom\n\ndeny contains "policy-denied" if ${call}\n` });
    const out = join(folder, 'policy.wasm');
    const built = buildPolicy({ sources: [SHIPPED_SOURCE, own], entrypoints: [SHIPPED_ENTRYPOINT], out }, opa);
    const where = `own/a.rego:3: rego_type_error: undefined function ${call.split('(')[0]}`;
    await expect(built).rejects.toMatchObject({ code: 'SP_POLICY_TOOL', message: expect.stringContaining(where) });
  });

  test('without the entrypoint is refused', async () => {
    const own = source({ 'a.rego': 'package a\n\nallow := true\n' });
    const built = buildPolicy({ sources: [own], entrypoints: ['a/verdict'], out: join(folder, 'policy.wasm') }, opa);
    await expect(built).rejects.toMatchObject({ code: 'SP_POLICY_TOOL' });
  });

  test('goes nowhere but into a .wasm file', async () => {
    const built = buildPolicy(
      { sources: [SHIPPED_SOURCE], entrypoints: [SHIPPED_ENTRYPOINT], out: join(folder, 'x') },
      opa,
    );
    await expect(built).rejects.toMatchObject({ code: 'SP_USAGE' });
  });

  test('is checked against the schemas of input and data', async () => {
    // The annotation of the shipped custom.rego covers every file of its package.
    const rule = (text: string) => `package sallyport.custom\n\ndeny contains "policy-denied" if ${text}\n`;
    const good = source({ 'a.rego': rule('input.device.labels.site == "north"') }, 'good');
    expect(await checkPolicy([SHIPPED_SOURCE, good], opa)).toEqual({ ok: true, output: '' });
    const misspelt = source({ 'a.rego': rule('input.device.lables.site == "north"') }, 'misspelt');
    const report = await checkPolicy([SHIPPED_SOURCE, misspelt], opa);
    expect(report.ok).toBe(false);
    expect(report.output).toContain('misspelt/a.rego:3: rego_type_error: undefined ref: input.device.lables');
    const unknown = source({ 'a.rego': rule('data.configuration.segmentz') }, 'unknown');
    expect((await checkPolicy([SHIPPED_SOURCE, unknown], opa)).ok).toBe(false);
    const unused = source({ 'a.rego': 'package a\n\nallow if {\n\tx := 1\n}\n' }, 'unused');
    expect((await checkPolicy([unused], opa)).output).toContain('assigned var x unused');
  });

  test('is tested, and a failing test is told by name', async () => {
    const own = source({
      'a.rego': 'package a\n\nanswer := 42\n',
      'a_test.rego': 'package a_test\n\ntest_right if data.a.answer == 42\n\ntest_wrong if data.a.answer == 43\n',
    });
    const report = await testPolicy([own], {}, opa);
    expect(report.ok).toBe(false);
    expect(report.output).toContain('data.a_test.test_wrong: FAIL');
    expect(report.output).toContain('PASS: 1/2');
  });

  test('is told when it is not formatted', async () => {
    const own = source({ 'a.rego': 'package a\nallow:=true' });
    expect(await formattedPolicy([own], opa)).toEqual({ ok: false, output: expect.stringContaining('own/a.rego') });
  });
});
