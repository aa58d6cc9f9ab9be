/** Renewal: two keys for a while, then one; a stolen former key is out. And a clock that was ahead, and a link to the folder. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Ledger } from '../../src/ledger/ledger.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';

const LAUNCHER = new URL('../../src/launch.mjs', import.meta.url).pathname;
let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await RunningGateway.open({ devices: {} });
});
afterAll(() => gateway?.remove());

function sallyport(directory: string, ...args: string[]): Promise<{ code: number; out: string }> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      [LAUNCHER, '-C', directory, ...args],
      { encoding: 'utf8', timeout: 30_000 },
      (error, out, err) => {
        done({ code: error ? Number(error.code ?? 99) : 0, out: out + err });
      },
    );
  });
}

async function posts(folder: string): Promise<number> {
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  gateway.devices.set(folder, { id: folder, cert: read('cert.pem'), key: read('key.pem'), ca: read('ca.pem') });
  const agent = gateway.agent(folder);
  return gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":1}').then(
    ({ status }) => status,
    () => 0,
  );
}

it('a renewed device may use both keys until the renewal is finished, and then only the new one', async () => {
  const id = `thermo-${'x'.repeat(55)}`; // 62 characters: no room for anything behind it
  expect(await sallyport(gateway.directory, 'device', 'add', id, '--segment', 'sensors')).toMatchObject({ code: 0 });
  const folder = join(gateway.directory, 'devices', id);
  const stolen = {
    cert: readFileSync(join(folder, 'cert.pem'), 'utf8'),
    key: readFileSync(join(folder, 'key.pem'), 'utf8'),
  };
  expect(await sallyport(gateway.directory, 'device', 'renew', id)).toMatchObject({ code: 0 });
  expect(await posts(folder)).toBe(200);
  expect(await posts(join(folder, 'next'))).toBe(200);

  expect(await sallyport(gateway.directory, 'device', 'renew', id, '--finish')).toMatchObject({ code: 0 });
  expect(existsSync(join(folder, 'next'))).toBe(false);
  expect(await posts(folder)).toBe(200);
  gateway.devices.set('stolen', { id: 'stolen', ...stolen, ca: readFileSync(join(folder, 'ca.pem'), 'utf8') });
  await expect(gateway.send(gateway.agent('stolen'), 'POST', '/v1/telemetry', '{"temperature":1}')).rejects.toThrow();

  expect(await sallyport(gateway.directory, 'device', 'renew', id, '--finish')).toMatchObject({ code: 1 });
  expect(await sallyport(gateway.directory, 'device', 'remove', id)).toMatchObject({ code: 0 });
  expect(existsSync(folder)).toBe(false);
  expect(await sallyport(gateway.directory, 'device', 'add', id, '--segment', 'sensors')).toMatchObject({ code: 0 });
  expect(await sallyport(gateway.directory, 'device', 'renew', id)).toMatchObject({ code: 0 });
});

it('a folder reached through a link is served like the folder itself', async () => {
  await gateway.stop();
  const link = join(gateway.directory, '..', 'link');
  symlinkSync(gateway.directory, link);
  expect(await sallyport(link, 'config', 'check')).toMatchObject({ code: 0 });
  const second = new Promise<{ code: number; out: string }>((done) => void sallyport(link, 'run').then(done));
  for (let attempt = 0; attempt < 100 && (await sallyport(link, 'status')).code !== 0; attempt++);
  const { pid } = JSON.parse((await sallyport(link, 'status', '--json')).out) as { pid: number };
  process.kill(pid, 'SIGTERM');
  expect((await second).code).toBe(0);
});

it('a gateway started without the permission model is refused', async () => {
  const folder = join(gateway.directory, '..', '-h');
  mkdirSync(folder);
  const main = new URL('../../src/main.ts', import.meta.url).pathname;
  const ended = await new Promise<{ code: number; err: string }>((done) => {
    execFile(process.execPath, [main, '-C', gateway.directory, 'run'], { timeout: 20_000 }, (error, _, err) =>
      done({ code: Number(error?.code ?? 0), err }),
    );
  });
  expect(ended.code).toBe(2);
  expect(ended.err).toContain('SP_GATEWAY_PERMISSIONS');
});

it('a ledger from a clock that was ahead is not believed in silence, nor does it lock devices out for good', async () => {
  const ledger = await Ledger.open(join(gateway.directory, 'ledger'), {
    gateway: 'test',
    maxFileBytes: 1 << 26,
    maxQueue: 100,
  });
  await ledger.record({
    decision: '0198c1d2-0000-7000-8000-00000000000f',
    time: Date.now() + 5 * 365 * 86_400_000,
    verdict: 'denied',
    reasons: ['no-route'],
    revision: 'x',
    peer: { address: '127.0.0.1', key: '', serial: '' },
    action: { protocol: 'https', verb: 'GET', resource: '/', direction: 'toCloud', contentType: '', bytes: 0 },
    tookMicros: 1,
  });
  await ledger.close();
  const refused = await sallyport(gateway.directory, 'run');
  expect(refused.code).toBe(2);
  expect(refused.out).toContain('--accept-clock');
  expect((await sallyport(gateway.directory, 'doctor')).out).toContain('--accept-clock');
});
