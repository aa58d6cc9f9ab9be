/**
 * Threat 34: a hostile sallyport.yaml, registry, key file or policy data. Prototype pollution in every map, YAML bombs, tags,
 * encodings, wrong types at every key, texts made against patterns: each is refused with exit code 2 and a place, nothing is
 * polluted, nothing takes long. And a running gateway that is told to take such a file over goes on as it was.
 */
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../../src/admin/client.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { GOOD, HOSTILE } from './configuration/hostile.ts';
import { inProcess } from './configuration/in-process.ts';
import { command } from './wire/command.ts';
import { GoodClient } from './wire/good-client.ts';

/** Everything an operator can be shown without it acting on the terminal. */
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const MAX_CPU_MS = 1_000;

let gateway: RunningGateway;
let directory: string;
const prototypes = [Object.prototype, Array.prototype, Map.prototype, Function.prototype, String.prototype];
const untouched = prototypes.map((one) => Reflect.ownKeys(one).length);

function expectUnpolluted(): void {
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  expect(prototypes.map((one) => Reflect.ownKeys(one).length)).toEqual(untouched);
}

beforeAll(async () => {
  gateway = await RunningGateway.open({ devices: { 'thermo-1': 'sensors', 'good-1': 'sensors' }, idle: true });
  directory = join(mkdtempSync(join(tmpdir(), 'sallyport-hostile-')), 'gw');
});
afterAll(async () => {
  await gateway?.remove();
  rmSync(join(directory, '..'), { recursive: true, force: true });
});

describe('sallyport.yaml', () => {
  beforeEach(() => cpSync(gateway.directory, directory, { recursive: true, force: true }));

  it(`${HOSTILE.length} hostile files: exit code 2, with a place, in time, nothing polluted, nothing for the terminal`, async () => {
    const file = join(directory, 'sallyport.yaml');
    writeFileSync(file, GOOD);
    expect(await inProcess('-C', directory, 'config', 'check')).toMatchObject({ code: 0, stderr: '' });

    const wrong: string[] = [];
    let worst = { name: '', cpuMs: 0 };
    for (const { kind, name, text } of HOSTILE) {
      writeFileSync(file, text);
      const label = `${kind}: ${name}`;
      const refused = await refusal();
      if (refused.problem !== undefined) wrong.push(`${label}: ${refused.problem}`);
      // What is not read has no lines.
      if (!refused.placed && !name.startsWith('larger than')) wrong.push(`${label}: no place`);
      if (({} as Record<string, unknown>).polluted !== undefined) wrong.push(`${label}: polluted`);
      // Another process may have had the processor's caches: only what is slow every time is slow.
      let { cpuMs } = refused;
      for (let again = 0; again < 2 && cpuMs > MAX_CPU_MS; again++) cpuMs = Math.min(cpuMs, (await refusal()).cpuMs);
      if (cpuMs > MAX_CPU_MS) wrong.push(`${label}: ${Math.round(cpuMs)} ms`);
      if (cpuMs > worst.cpuMs) worst = { name: label, cpuMs };
    }
    const kinds = new Map<string, number>();
    for (const { kind } of HOSTILE) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    console.log(
      `${HOSTILE.length - wrong.length} of ${HOSTILE.length} hostile configurations refused with a place (${[...kinds].map(([kind, count]) => `${count} ${kind}`).join(', ')}); worst ${Math.round(worst.cpuMs)} ms CPU for ${worst.name}`,
    );
    expect(wrong).toEqual([]);
    expectUnpolluted();
  }, 180_000);

  /** Asks for a check as a person does, and says what is wrong with the answer. */
  async function refusal(): Promise<{ cpuMs: number; placed: boolean; problem: string | undefined }> {
    const { code, stdout, stderr, cpuMs } = await inProcess('-C', directory, 'config', 'check');
    const placed = /sallyport\.yaml:\d+:\d+ {2}/.test(stderr);
    const seen = stderr.slice(0, 200);
    if (code !== 2 || stdout !== '' || !stderr.includes('SP_CONFIG_INVALID')) {
      return { cpuMs, placed, problem: `${code} ${stdout} ${seen}` };
    }
    if (CONTROL.test(stderr)) return { cpuMs, placed, problem: `a control character on the terminal: ${seen}` };
    const problem = stderr.length > 150_000 ? `${stderr.length} characters on the terminal` : undefined;
    return { cpuMs, placed, problem };
  }

  it('a real process refuses to start with them, and does not hang', async () => {
    const each = process.env.SALLYPORT_LONG
      ? HOSTILE
      : (['pollution', 'bomb', 'tag', 'encoding', 'type', 'pattern'] as const).map((kind, turn) => {
          const ofKind = HOSTILE.filter((one) => one.kind === kind);
          return ofKind[(turn * 7) % ofKind.length];
        });
    for (const hostile of each) {
      writeFileSync(join(directory, 'sallyport.yaml'), hostile?.text ?? '');
      const { code, stdout } = await command('-C', directory, 'run', '--json');
      expect(code, `${hostile?.name}: ${stdout}`).toBe(2);
      const { error } = JSON.parse(stdout) as { error: { code: string; problems: { line: number }[] } };
      expect(error).toMatchObject({ code: 'SP_CONFIG_INVALID' });
      expect(error.problems.every(({ line }) => line > 0)).toBe(true);
    }
  }, 600_000);
});

describe('the files beside it', () => {
  beforeEach(() => cpSync(gateway.directory, directory, { recursive: true, force: true }));

  it('a hostile key file is refused, and none of it is shown', async () => {
    const secret = 'A'.repeat(43);
    const key = { id: 1, created: '2026-11-22T14:03:11.482Z', secret, state: 'active' };
    const ring = (one: unknown) => JSON.stringify({ version: 1, keys: [one] });
    const files = [
      '',
      'null',
      '[]',
      '{',
      `{"version":1,"keys":[${JSON.stringify(key)}]`,
      '['.repeat(200_000),
      `{"version":1,"keys":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
      `{"__proto__":{"polluted":1},"version":1,"keys":[${JSON.stringify(key)}]}`,
      `{"version":1,"keys":[{"__proto__":{"polluted":1},"id":1}]}`,
      `{"version":1,"keys":[],"constructor":{"prototype":{"polluted":1}}}`,
      ring({ ...key, id: 0 }),
      ring({ ...key, id: 1e9 }),
      ring({ ...key, id: '1' }),
      ring({ ...key, state: 'ACTIVE' }),
      ring({ ...key, state: 'retired' }),
      ring({ ...key, secret: `${secret}=` }),
      ring({ ...key, secret: 'short' }),
      ring({ ...key, secret: secret.replace('A', '\u001b[2J') }),
      ring({ ...key, created: '\u001b[2J' }),
      ring({ ...key, more: 1 }),
      JSON.stringify({ version: 1, keys: [key, key] }),
      JSON.stringify({ version: 1, keys: Array(100).fill(key) }),
      JSON.stringify({ version: 2, keys: [key] }),
      `{"version":1,"keys":[${'0,'.repeat(100_000)}0]}`,
    ];
    for (const text of files) {
      writeFileSync(join(directory, 'keys', 'privacy.json'), text, { mode: 0o600 });
      const { code, stdout, stderr, cpuMs } = await inProcess('-C', directory, 'config', 'check');
      expect(code, text.slice(0, 80)).toBe(2);
      expect(stderr).toContain('SP_KEY_INVALID');
      expect(stderr + stdout).not.toContain(secret);
      expect(CONTROL.test(stderr)).toBe(false);
      expect(cpuMs).toBeLessThan(MAX_CPU_MS);
    }
    chmodSync(join(directory, 'keys', 'privacy.json'), 0o644);
    expect((await inProcess('-C', directory, 'config', 'check')).code).toBe(2);
    expectUnpolluted();
    console.log(`${files.length + 1} hostile key files refused`);
  });

  it('hostile policy data is refused or harmless', async () => {
    const configuration = readFileSync(join(directory, 'sallyport.yaml'), 'utf8');
    writeFileSync(join(directory, 'sallyport.yaml'), `${configuration}\npolicy: { data: policy/data.json }\n`);
    const files: [string, string][] = [
      ['nothing', ''],
      ['half', '{"a":'],
      ['a mark', '\ufeff{}'],
      ['text behind', '{} {}'],
      ['100,000 brackets', '['.repeat(100_000)],
      ['100,000 brackets, closed', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
      ['50,000 objects', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
      ['pollution', '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'],
      ['equal keys', `{${'"a":1,'.repeat(50_000)}"a":2}`],
      ['20,000 keys', `{${Array.from({ length: 20_000 }, (_, index) => `"k${index}":1`).join()}}`],
      ['a number without end', `{"a":1${'0'.repeat(100_000)}}`],
      ['an exponent without end', '{"a":1e999999999}'],
      ['a long text', JSON.stringify({ a: '\\u0000'.repeat(50_000) })],
      ['lone surrogate', '{"a":"\\ud800"}'],
      ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1')],
      ['the configuration itself', '{"configuration":{"segments":{"sensors":{"routes":[]}}}}'],
    ];
    let refused = 0;
    for (const [name, text] of files) {
      writeFileSync(join(directory, 'policy', 'data.json'), text, 'latin1');
      const { code, stderr, cpuMs } = await inProcess('-C', directory, 'config', 'check');
      if (code === 2) refused += 1;
      if (code === 2) expect(stderr, name).toMatch(/SP_(CONFIG_INVALID|POLICY_[A-Z]+)/);
      else expect(code, `${name}: ${stderr}`).toBe(0);
      expect(CONTROL.test(stderr), name).toBe(false);
      expect(stderr.length).toBeLessThan(2_000);
      expect(cpuMs, name).toBeLessThan(3 * MAX_CPU_MS);
    }
    expectUnpolluted();
    console.log(`${files.length} files of hostile policy data: ${refused} refused, ${files.length - refused} harmless`);
  }, 60_000);

  it('hostile rows of the registry stop the start or are harmless', async () => {
    const rows: [column: string, value: string | number][] = [
      ['labels', '{"__proto__":{"polluted":true}}'],
      ['labels', '{"__proto__":"polluted"}'],
      ['labels', '{"constructor":{"prototype":{"polluted":true}}}'],
      ['labels', '{"toString":"x"}'],
      ['labels', 'null'],
      ['labels', '[]'],
      ['labels', '[1]'],
      ['labels', '"text"'],
      ['labels', '{'],
      ['labels', '{\u001b[2J'],
      ['labels', '{"a":1}'],
      ['labels', '['.repeat(100_000)],
      ['labels', `{"a":${JSON.stringify('x'.repeat(500_000))}}`],
      ['labels', '{"a":"\\u001b[2J"}'],
      ['labels', '{"\\u001b[2J":"a"}'],
      ['segment', '__proto__'],
      ['segment', 'constructor'],
      ['segment', '\u001b[2J'],
      ['segment', '../../etc'],
      ['manufacturer', '\u001b]0;owned\u0007'],
      ['model', '\u202eevil'],
      ['firmware', 'x'.repeat(500_000)],
      ['address', 'http://169.254.169.254'],
      ['address', 'file:///etc/passwd'],
      ['address', '\u0000'],
      ['added_at', Number.MAX_SAFE_INTEGER],
      ['changed_at', -1e15],
    ];
    let stopped = 0;
    for (const [column, value] of rows) {
      cpSync(join(gateway.directory, 'state'), join(directory, 'state'), { recursive: true, force: true });
      const database = new DatabaseSync(join(directory, 'state', 'registry.db'));
      database.prepare(`UPDATE devices SET ${column} = ? WHERE id = 'thermo-1'`).run(value);
      database.close();
      for (const words of [
        ['device', 'list'],
        ['device', 'show', 'thermo-1'],
        ['device', 'list', '--json'],
      ]) {
        const { code, stdout, stderr } = await inProcess('-C', directory, ...words);
        const label = `${column} = ${String(value).slice(0, 40)}, ${words.join(' ')}`;
        if (code === 0) {
          if (CONTROL.test(stdout)) expect.fail(`${label}: a control character on the terminal`);
        } else {
          stopped += words.length === 2 ? 1 : 0;
          expect(stderr + stdout, label).toContain('SP_STORE_FAILED');
          expect(CONTROL.test(stderr), label).toBe(false);
          expect(stderr.length, label).toBeLessThan(1_000);
        }
      }
    }
    expectUnpolluted();
    console.log(`${rows.length} hostile rows: ${stopped} stop the start, ${rows.length - stopped} are harmless`);
  }, 60_000);
});

describe('a running gateway', () => {
  it('that is told to take over a hostile file changes nothing and serves on', async () => {
    const file = join(gateway.directory, 'sallyport.yaml');
    const configuration = readFileSync(file, 'utf8');
    await gateway.start();
    const good = new GoodClient(gateway, { id: 'good-1' });
    const before = (await ask(gateway.directory, 'status')).revision;
    const tried = HOSTILE.filter((_, index) => index % 12 === 0);
    for (const { name, text } of tried) {
      writeFileSync(file, text);
      const refused = await ask(gateway.directory, 'reload').catch((thrown: unknown) => thrown);
      expect(refused, name).toMatchObject({ code: 'SP_CONFIG_INVALID' });
    }
    const status = await ask(gateway.directory, 'status');
    expect(status).toMatchObject({ ready: true, revision: before, lastReload: { ok: false } });
    writeFileSync(file, configuration);
    await ask(gateway.directory, 'reload');
    expect((await ask(gateway.directory, 'status')).lastReload?.ok).toBe(true);
    const { sent, errors, worstMs } = await good.stop();
    console.log(
      `${tried.length} reloads of hostile files changed nothing; good client: ${sent} sent, ${errors.length} errors, worst ${Math.round(worstMs)} ms`,
    );
    expect(errors).toEqual([]);
    expect(gateway.output()).not.toContain('\u001b');
  }, 120_000);
});
