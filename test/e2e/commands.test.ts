/** Every command as a script would use it: --json is one line of JSON, --help teaches, exit codes can be trusted, mistakes say how to mend them. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunningGateway } from '../fixtures/running-gateway.ts';

const LAUNCHER = new URL('../../src/launch.mjs', import.meta.url).pathname;
let gateway: RunningGateway;
let scratch: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'sallyport-commands-'));
  gateway = await RunningGateway.open({ devices: { 'thermo-1': 'sensors', 'thermo-2': 'sensors' } });
});
afterAll(async () => {
  await gateway?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function sallyport(...args: string[]): Promise<Ended> {
  return new Promise((done) => {
    execFile(process.execPath, [LAUNCHER, ...args], { encoding: 'utf8', cwd: scratch }, (error, out, err) => {
      done({ code: error ? Number(error.code) : 0, out, err });
    });
  });
}

const on = (...args: string[]) => sallyport('-C', gateway.directory, ...args);

describe('on a running gateway', () => {
  it.each([
    ['status', 0],
    ['device list', 0],
    ['device show thermo-1', 0],
    ['device show nobody', 1],
    ['config check', 0],
    ['config explain limits.headerBytes', 0],
    ['config explain nonsense', 2],
    ['config reload', 0],
    ['policy check', 0],
    ['audit tail', 0],
    ['audit verify', 0],
    ['doctor', 0],
    ['ca show', 0],
    ['explain 0198c1d2-0000-7000-8000-000000000000', 1],
    ['device quarantine thermo-2', 0],
    ['device enable thermo-2', 0],
    ['device disable thermo-2', 0],
    ['device remove thermo-2', 0],
    ['device enable thermo-2', 1],
    ['device add thermo-1 --segment sensors', 1],
    ['device add thermo-9 --segment senors', 2],
    ['device add UPPER --segment sensors', 2],
    ['run', 2],
  ])('%s --json answers one line of JSON and exits with %i', async (command, code) => {
    const ended = await on(...command.split(' '), '--json');
    expect(ended, ended.out + ended.err).toMatchObject({ code });
    const lines = ended.out.trim().split('\n');
    expect(lines).toHaveLength(1);
    const value = JSON.parse(lines[0] as string) as { error?: { code: string; message: string; remedy: string } };
    if (code !== 0)
      expect(value.error ?? value).toMatchObject(
        value.error ? { code: expect.stringMatching(/^SP_/), remedy: expect.any(String) } : {},
      );
  });

  it('a device added to the running gateway may come at once', async () => {
    const added = await on('device', 'add', 'thermo-7', '--segment', 'sensors', '--label', 'site=north', '--json');
    expect(JSON.parse(added.out)).toMatchObject({ id: 'thermo-7', live: true, labels: { site: 'north' } });
    const folder = join(gateway.directory, 'devices', 'thermo-7');
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    gateway.devices.set('thermo-7', {
      id: 'thermo-7',
      cert: read('cert.pem'),
      key: read('key.pem'),
      ca: read('ca.pem'),
    });
    const answer = await gateway.send(gateway.agent('thermo-7'), 'POST', '/v1/telemetry', '{"temperature":1}');
    expect(answer.status).toBe(200);
  });

  it('a second gateway on the same folder is refused', async () => {
    const second = await on('run');
    expect(second.code).toBe(2);
    expect(second.err).toContain('already runs');
  });

  it('without a terminal there is not one colour code, and FORCE_COLOR brings them', async () => {
    expect((await on('status')).out).not.toContain('\u001b');
    expect((await on('doctor')).out).not.toContain('\u001b');
  });

  it('a broken configuration changes nothing, and says where and how to mend it', async () => {
    const file = join(gateway.directory, 'sallyport.yaml');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, before.replace('privacy: readings', 'privcy: readings'));
    const reload = await on('config', 'reload');
    expect(reload.code).toBe(2);
    expect(reload.err).toMatch(
      /sallyport\.yaml:\d+:\d+ {2}segments\.sensors\.routes\.telemetry\.privcy {3}unknown key/,
    );
    expect(reload.err).toContain('did you mean "privacy"?');
    gateway.child?.kill('SIGHUP');
    await new Promise((later) => setTimeout(later, 300));
    const answer = await gateway.send(gateway.agent('thermo-1'), 'POST', '/v1/telemetry', '{"temperature":1}');
    expect(answer.status).toBe(200);
    expect(JSON.parse((await on('status', '--json')).out)).toMatchObject({ lastReload: { ok: false } });
    writeFileSync(file, before);
    expect((await on('config', 'reload')).code).toBe(0);
  });
});

describe('without a gateway', () => {
  it('says so with exit code 3, or 2 where there is not even a folder', async () => {
    expect((await sallyport('-C', join(scratch, 'none'), 'status')).code).toBe(3);
    expect((await sallyport('-C', join(scratch, 'none'), 'config', 'check')).code).toBe(2);
    expect((await sallyport('-C', join(scratch, 'none'), 'run')).code).toBe(2);
    expect((await sallyport('-C', join(scratch, 'none'), 'device', 'list')).code).toBe(2);
  });

  it.each([
    [['init', 'x', '--cloud', 'http://example.com'], 'Use https://'],
    [['init', 'x', '--cloud', 'ftp://example.com'], 'https://'],
    [['init', 'x', '--cloud', 'https://example.com/path'], 'origin'],
    [['init', 'x', '--cloud', 'https://example.com', '--https-port', '70000'], '65535'],
    [['init', 'x'], '--cloud'],
    [['frobnicate'], 'unknown command'],
    [['statis'], 'status'],
    [['status', '--jsn'], '--json'],
    [['device', 'add'], '--segment'],
    [['demo', '--seconds', 'soon'], 'number'],
  ])('%j is refused with exit code 2 and a hint', async (args, hint) => {
    const ended = await sallyport(...args);
    expect(ended.code).toBe(2);
    expect(ended.err).toContain(hint);
    expect(ended.err).not.toMatch(/\n {4}at /);
  });

  it('init refuses a folder that is not empty, and changes nothing', async () => {
    writeFileSync(join(scratch, 'mine.txt'), 'mine');
    const ended = await sallyport('init', scratch, '--cloud', 'https://example.com');
    expect(ended.code).toBe(2);
    expect(readFileSync(join(scratch, 'mine.txt'), 'utf8')).toBe('mine');
  });

  it.each([
    'init',
    'run',
    'demo',
    'device',
    'device add',
    'explain',
    'policy',
    'policy eval',
    'config',
    'audit verify',
    'status',
    'doctor',
    'ca',
  ])('%s --help teaches', async (command) => {
    const ended = await sallyport(...command.split(' '), '--help');
    expect(ended.code).toBe(0);
    expect(ended.out).toContain(`Usage: sallyport ${command}`);
  });
});
