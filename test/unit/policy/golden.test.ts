/** The shipped policy, its compiled module and the golden cases hold together: in opa itself and behind our wall. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DENIALS } from '../../../src/faults/catalogue.ts';
import { policyData } from '../../../src/policy/data.ts';
import {
  buildPolicy,
  checkPolicy,
  findOpa,
  formattedPolicy,
  manifestPath,
  type PolicyManifest,
  run,
  SHIPPED_ENTRYPOINT,
  SHIPPED_MODULE,
  SHIPPED_SOURCE,
  TESTED_OPA_VERSION,
  testPolicy,
} from '../../../src/policy/opa-tool.ts';
import { sha256, sourceDigests } from '../../../src/policy/rego-sources.ts';
import { goldenCases, goldenConfiguration, shippedPolicy, type Verdict, verdictOf } from './shipped-policy.ts';

const cases = goldenCases();
const manifest = JSON.parse(readFileSync(manifestPath(SHIPPED_MODULE), 'utf8')) as PolicyManifest;
const opa = await findOpa().catch(() => undefined);
if (opa === undefined) process.stderr.write('SKIPPED: opa is missing; golden cases run through the module only.\n');

describe('golden cases', () => {
  test('are many, and each is told from the others', () => {
    expect(cases.length).toBeGreaterThanOrEqual(120);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    expect(new Set(cases.map(({ input }) => input.v)).size).toBe(cases.length);
  });

  const policy = shippedPolicy(goldenConfiguration());
  test.each(cases)('$name', ({ input, verdict }) => {
    expect(verdictOf(policy, input)).toEqual(verdict);
  });

  test('mean the same to the gateway: a decision with known reasons and known obligations', () => {
    for (const { name, input, verdict } of cases) {
      const decision = policy.decide(Buffer.from(JSON.stringify(input)), input.v, 0n);
      expect(decision.allow, name).toBe(verdict.allow);
      if (decision.allow) expect(decision.obligations.route, name).toBe(verdict.obligations.route);
      else expect(decision.reasons, name).toEqual(verdict.reasons);
    }
  });

  test.skipIf(opa === undefined)('opa eval gives the same verdicts', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-golden-'));
    try {
      const data = JSON.parse(policyData(goldenConfiguration()).json) as object;
      writeFileSync(join(folder, 'data.json'), JSON.stringify({ ...data, cases: cases.map(({ input }) => input) }));
      const query = 'x := [verdict | some c in data.cases; verdict := data.sallyport.gate.verdict with input as c]';
      const flags = ['--format=json', '--strict-builtin-errors=false', '-d', SHIPPED_SOURCE, '-d', 'data.json'];
      const { ok, output } = await run(opa!.path, ['eval', ...flags, query], folder);
      expect(ok, output).toBe(true);
      const answer = JSON.parse(output) as { result: { bindings: { x: Verdict[] } }[] };
      const verdicts = answer.result[0]!.bindings.x;
      expect(verdicts).toHaveLength(cases.length);
      for (const [index, { name, verdict }] of cases.entries()) expect(verdicts[index], name).toEqual(verdict);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the committed module', () => {
  test('is the one its manifest names', async () => {
    expect(await sha256(readFileSync(SHIPPED_MODULE))).toBe(manifest.sha256);
    expect(manifest.opa).toBe(TESTED_OPA_VERSION);
    expect(manifest.entrypoints).toEqual([SHIPPED_ENTRYPOINT]);
  });

  test('was made from these sources', async () => {
    expect(
      await sourceDigests([SHIPPED_SOURCE]),
      'run `npx sallyport policy build -o policies/compiled/policy.wasm`',
    ).toEqual(manifest.sources);
  });

  test.skipIf(opa?.version !== TESTED_OPA_VERSION)('is what a build gives, byte for byte', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-build-'));
    try {
      const out = join(folder, 'policy.wasm');
      const built = await buildPolicy({ sources: [SHIPPED_SOURCE], entrypoints: [SHIPPED_ENTRYPOINT], out }, opa);
      expect(built).toEqual(manifest);
      expect(readFileSync(out).equals(readFileSync(SHIPPED_MODULE))).toBe(true);
      expect(readFileSync(manifestPath(out), 'utf8')).toBe(readFileSync(manifestPath(SHIPPED_MODULE), 'utf8'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the Rego that ships', () => {
  const files = readdirSync(SHIPPED_SOURCE, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.rego'));
  const sources = files.map((file) => ({ file, text: readFileSync(join(SHIPPED_SOURCE, file), 'utf8') }));

  test('ranks every reason of the catalogue and no other', () => {
    const verdict = sources.find(({ file }) => file === join('gate', 'verdict.rego'))!.text;
    const order = /_order := \[([^\]]*)\]/.exec(verdict)![1]!;
    const ranked = [...order.matchAll(/"([a-z-]+)"/g)].map((match) => match[1]!);
    expect([...ranked].sort()).toEqual(Object.keys(DENIALS).sort());
    expect(new Set(ranked).size).toBe(ranked.length);
  });

  test('denies for reasons of the catalogue only', () => {
    const reasons = sources
      .filter(({ file }) => !file.endsWith('_test.rego'))
      .flatMap(({ text }) => [...text.matchAll(/(?:denials|deny) contains "([^"]*)"/g)].map((match) => match[1]!));
    expect(reasons.length).toBeGreaterThanOrEqual(10);
    for (const reason of reasons) expect(Object.keys(DENIALS)).toContain(reason);
  });

  test('has its tests beside it, in the package its path says', () => {
    for (const { file, text } of sources) {
      const folder = file.split(/[\\/]/)[0]!;
      const expected = `package sallyport.${folder}${file.endsWith('_test.rego') ? '_test' : ''}`;
      expect(text.split('\n'), file).toContain(expected);
      if (!file.endsWith('_test.rego')) expect(files).toContain(file.replace(/\.rego$/, '_test.rego'));
    }
  });

  test.skipIf(opa === undefined)('passes opa check --strict with schemas, opa fmt and opa test', async () => {
    expect(await checkPolicy([SHIPPED_SOURCE], opa)).toEqual({ ok: true, output: '' });
    expect(await formattedPolicy([SHIPPED_SOURCE], opa)).toEqual({ ok: true, output: '' });
    const tested = await testPolicy([SHIPPED_SOURCE], { coverage: true }, opa);
    expect(tested.ok, tested.output).toBe(true);
    const { coverage } = JSON.parse(tested.output) as { coverage: number };
    expect(coverage).toBeGreaterThan(99);
  });
});
