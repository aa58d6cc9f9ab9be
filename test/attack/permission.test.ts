/**
 * Threat 36: break-out of whoever runs code inside the gateway. A probe is started with the very flags of a running gateway,
 * read off its process: no process, worker, addon or foreign file is within its reach. And under the same flags every
 * function of the gateway works: HTTPS, WebSocket, mutual TLS to the cloud, admin, reload, rotation, a policy of one's own.
 */
import { spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ask } from '../../src/admin/client.ts';
import { writeNewFolder } from '../../src/identity/atomic-file.ts';
import { Authority } from '../../src/identity/ca/authority.ts';
import { verifyAll } from '../../src/ledger/streams.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { command } from './wire/command.ts';
import { GoodClient } from './wire/good-client.ts';

const ROOT = realpathSync(fileURLToPath(new URL('../../', import.meta.url))).replace(/\/$/, '');
const CODE = new URL('permission/', import.meta.url);

let gateway: RunningGateway;
let secure: Server;
const environment: Record<string, string> = {};
const outside = mkdtempSync(join(tmpdir(), 'sallyport-outside-'));

const configuration = (cloud: string, more = '') => `
gateway: test
listen: { https: "127.0.0.1:0", metrics: "127.0.0.1:0" }
upstreams:
  cloud: { url: "${cloud}" }
  secure:
    url: https://localhost:${(secure.address() as AddressInfo).port}
    ca: certs/cloud-ca.pem
    certificate: certs/gateway
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
      secure: { allow: POST /v1/secure, to: secure, privacy: readings }
      large: { allow: POST /v1/large, to: cloud, privacy: unchanged, stream: true }
      frames: { allow: WS /v1/frames, to: cloud, privacy: readings }
${more}
privacy:
  readings: { keep: [temperature, received], tokenise: [owner] }
limits: { ledgerFileBytes: 8 KiB }
`;

beforeAll(async () => {
  gateway = await RunningGateway.open({
    idle: true,
    environment,
    devices: { 'thermo-1': 'sensors', 'good-1': 'sensors' },
  });
  const { directory } = gateway;
  const authority = await Authority.open(directory);
  const server = await authority.issueServer(['localhost'], []);
  const client = await authority.issueClient('test');
  secure = createServer(
    {
      cert: server.certificatePem,
      key: server.keyPem,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"secure":true}'),
  );
  secure.listen(0, '127.0.0.1');
  await once(secure, 'listening');
  rmSync(join(directory, 'certs', 'gateway'), { recursive: true, force: true });
  writeNewFolder(join(directory, 'certs', 'gateway'), {
    'cert.pem': client.certificatePem,
    'key.pem': client.keyPem ?? '',
  });
  copyFileSync(join(directory, 'ca', 'cert.pem'), join(directory, 'certs', 'cloud-ca.pem'));
  const { key } = gateway.devices.get('thermo-1') as { key: string };
  writeNewFolder(join(directory, 'devices', 'thermo-1'), { 'key.pem': key });
  // They must lie where the gateway may read.
  for (const file of ['attempts.mjs', 'probe.mjs', 'implant.mjs']) {
    copyFileSync(new URL(file, CODE), join(directory, 'policy', file));
  }
  copyFileSync(join(ROOT, 'policies', 'compiled', 'policy.wasm'), join(directory, 'policy', 'policy.wasm'));
  writeFileSync(join(directory, 'policy', 'addon.node'), '');
  environment.NODE_OPTIONS = `--import=${join(directory, 'policy', 'implant.mjs')}`;
  environment.SALLYPORT_IMPLANT = JSON.stringify([directory, ROOT, outside]);
  writeFileSync(join(directory, 'sallyport.yaml'), configuration(gateway.cloudUrl));
  await gateway.start();
});
afterAll(async () => {
  await gateway?.remove();
  secure?.close();
  rmSync(outside, { recursive: true, force: true });
});

/** The words of a running process before its program, and the program. */
function runningFlags(pid = gateway.workers()[0]): { node: string; flags: string[] } {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  const program = words.findIndex((word) => word.endsWith('/main.ts'));
  expect(program).toBeGreaterThan(0);
  return { node: words[0] as string, flags: words.slice(1, program) };
}

it('each running process has the permission model, exact paths, and nothing that loosens it', () => {
  const [{ flags } = { flags: [] }, ...others] = gateway.workers().map((pid) => runningFlags(pid));
  // The machine decides how many there are.
  for (const other of others) expect(other.flags).toEqual(flags);
  const { directory } = gateway;
  expect(flags).toContain('--permission');
  expect(flags).toContain('--disable-proto=delete');
  expect(flags).toContain('--disallow-code-generation-from-strings');
  const known =
    /^--(?:permission|allow-net|allow-fs-(?:read|write)=\/.+|disable-proto=delete|disable-warning=\w+|disallow-code-generation-from-strings)$/;
  expect(flags.filter((flag) => !known.test(flag))).toEqual([]);
  const written = flags.flatMap((flag) => /^--allow-fs-write=(.*)$/.exec(flag)?.[1] ?? []);
  expect(written.sort()).toEqual(['ledger', 'run', 'state'].map((part) => join(directory, part)));
  const read = flags.flatMap((flag) => /^--allow-fs-read=(.*)$/.exec(flag)?.[1] ?? []);
  for (const path of read) {
    expect(path).not.toContain('*');
    expect([ROOT, directory]).toContain(
      path.startsWith(`${directory}/`) ? directory : path.startsWith(`${ROOT}/`) ? ROOT : path,
    );
    for (const secret of ['ca/key.pem', 'devices/thermo-1/key.pem']) {
      expect(`${join(directory, secret)}/`.startsWith(`${path}/`)).toBe(false);
    }
  }
});

interface Outcomes {
  readonly attempts: Readonly<Record<string, string>>;
  readonly databases: Readonly<Record<string, string>>;
}

/** Refused, but in another way; everything else is ERR_ACCESS_DENIED. */
const OTHERWISE: Readonly<Record<string, string>> = {
  addon: 'ERR_DLOPEN_DISABLED',
  'addon by require': 'ERR_DLOPEN_DISABLED',
  eval: 'EvalError',
  'new Function': 'EvalError',
  'own permission': 'false',
  'read devices: import': 'ERR_UNSUPPORTED_DIR_IMPORT',
  // There is nothing to remove.
  'write new key: remove': 'ENOENT',
  'write trust: remove': 'ENOENT',
};

const undue = (
  outcomes: Readonly<Record<string, string>>,
  otherwise: Readonly<Record<string, string>>,
  usual: string,
) => Object.entries(outcomes).filter(([name, code]) => (otherwise[name] ?? usual) !== code);

/** Nothing was made, nothing was changed. */
function expectUntouched(): void {
  expect(readdirSync(outside)).toEqual([]);
  for (const name of ['copy', 'link', 'symlink'])
    expect(existsSync(join(gateway.directory, 'state', name))).toBe(false);
}

it('a process with the same flags can start, load, read and write nothing', async () => {
  const { node, flags } = runningFlags();
  const words = [...flags, join(gateway.directory, 'policy', 'probe.mjs'), gateway.directory, ROOT, outside];
  const child = spawn(node, words, { env: { PATH: process.env.PATH } });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  await once(child, 'close');
  const text = Buffer.concat(output).toString('utf8');
  const line = text.split('\n').find((one) => one.startsWith('{'));
  if (line === undefined) expect.fail(text.slice(0, 2_000));
  const { attempts, databases } = JSON.parse(line) as Outcomes;
  const codes = Object.values(attempts);
  console.log(
    `${codes.length} attempts in a process of the same flags: ${codes.filter((code) => code === 'ERR_ACCESS_DENIED').length} ERR_ACCESS_DENIED, ${undue(attempts, OTHERWISE, 'ERR_ACCESS_DENIED').length} not refused`,
  );
  expect(undue(attempts, OTHERWISE, 'ERR_ACCESS_DENIED')).toEqual([]);
  // What Node's permission model leaves open, and why the gateway seals it: databases, but no other kind of file.
  const made = Object.entries(databases).filter(([, code]) => code === 'done');
  expect(made.map(([name]) => name).filter((name) => name.endsWith('read'))).toEqual([]);
  for (const file of readdirSync(outside)) rmSync(join(outside, file));
  expectUntouched();
});

it('code inside the running gateway can do no more, and no less while devices are served', async () => {
  const good = new GoodClient(gateway, { id: 'good-1' });
  const left: [string, string][] = [];
  let tried = 0;
  // One worker after the other: they would find each other's traces.
  for (const pid of gateway.workers()) {
    const at = join(gateway.directory, 'run', `outcomes-${pid}.json`);
    writeFileSync(join(gateway.directory, 'run', `go-${pid}`), '');
    await expect.poll(() => existsSync(at) && readFileSync(at, 'utf8') !== '', { timeout: 20_000 }).toBe(true);
    const { attempts, databases } = JSON.parse(readFileSync(at, 'utf8')) as Outcomes;
    left.push(...undue(attempts, OTHERWISE, 'ERR_ACCESS_DENIED'), ...undue(databases, {}, 'TypeError'));
    tried += Object.keys(attempts).length + Object.keys(databases).length;
  }
  const { sent, errors } = await good.stop();
  console.log(
    `${tried} attempts inside the running gateway, ${left.length} not refused; good client: ${sent} sent, ${errors.length} errors`,
  );
  expect(left).toEqual([]);
  expectUntouched();
  expect(errors).toEqual([]);
});

it('no process of the gateway opens a debugger for whoever asks', async () => {
  const processes = [...new Set([gateway.child?.pid ?? 0, ...gateway.workers()])];
  for (const pid of processes) process.kill(pid, 'SIGUSR1');
  await new Promise((later) => setTimeout(later, 500));
  const listening = (pid: number) =>
    readFileSync(`/proc/${pid}/net/tcp`, 'latin1')
      .split('\n')
      // 9229, in state LISTEN.
      .filter((line) => /^ *\d+: \S+:240D \S+ 0A /.test(line));
  expect(processes.flatMap(listening)).toEqual([]);
  expect(gateway.output()).not.toContain('Debugger listening');
  for (const pid of processes) expect(existsSync(`/proc/${pid}/exe`)).toBe(true);
});

it('a database cannot become an authority', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'sallyport-evil-'));
  const trusted = join(gateway.directory, 'ca', 'trusted');
  try {
    const evil = await Authority.create(elsewhere, 'evil');
    const digest = createHash('sha256').update(new X509Certificate(evil.certificate).raw).digest('hex').slice(0, 32);
    mkdirSync(trusted, { recursive: true });
    const file = join(trusted, `${digest}.pem`);
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE a (b)');
    database.prepare('INSERT INTO a VALUES (?)').run(`\n${evil.certificate}\n`);
    database.close();
    // OpenSSL would find it.
    expect(new X509Certificate(readFileSync(file)).subject).toContain('evil');
    await expect(ask(gateway.directory, 'reload')).rejects.toMatchObject({ code: 'SP_KEY_INVALID' });
    // Nor may a certificate stand under another one's name.
    writeFileSync(file, new X509Certificate(readFileSync(join(gateway.directory, 'ca', 'cert.pem'))).toString());
    await expect(ask(gateway.directory, 'reload')).rejects.toMatchObject({ code: 'SP_KEY_INVALID' });
  } finally {
    rmSync(trusted, { recursive: true, force: true });
    rmSync(elsewhere, { recursive: true, force: true });
  }
  await ask(gateway.directory, 'reload');
});

it('no secret is in its arguments or its environment', () => {
  const { directory } = gateway;
  const seen = [gateway.child?.pid, ...gateway.workers()]
    .flatMap((pid) => ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8')))
    .join('\n');
  const files = [
    'keys/privacy.json',
    'certs/listener/key.pem',
    'certs/gateway/key.pem',
    'ca/key.pem',
    'devices/thermo-1/key.pem',
  ];
  const secrets = files.flatMap(
    (file) => readFileSync(join(directory, file), 'utf8').match(/[A-Za-z0-9+/_-]{40,}/g) ?? [],
  );
  expect(secrets.length).toBeGreaterThanOrEqual(files.length);
  expect(secrets.filter((secret) => seen.includes(secret))).toEqual([]);
  expect(seen).not.toMatch(/PRIVATE KEY|passphrase|password=/i);
});

it('and every function of the gateway works under it', async () => {
  const { directory } = gateway;
  const good = new GoodClient(gateway, { id: 'good-1' });
  const agent = gateway.agent('thermo-1');
  const statusOf = async (path: string, body: string) => (await gateway.send(agent, 'POST', path, body)).status;

  expect(await statusOf('/v1/telemetry', '{"temperature":1,"owner":"Ada"}')).toBe(200);
  expect(await gateway.send(agent, 'POST', '/v1/secure', '{"temperature":1}')).toMatchObject({
    status: 200,
    body: '{"secure":true}',
  });
  expect(await statusOf('/v1/large', `"${'x'.repeat(400_000)}"`)).toBe(200);
  const denied = await gateway.send(agent, 'GET', '/admin');
  expect(denied.status).toBe(403);
  const socket = new WebSocket(`wss://localhost:${gateway.port}/v1/frames`, {
    ...gateway.tls('thermo-1'),
    perMessageDeflate: false,
  });
  await once(socket, 'open');
  socket.send('{"temperature":2}');
  await once(socket, 'message');

  // Admin: a device more, and one less.
  await gateway.addDevice('late-1', 'sensors');
  const late = gateway.agent('late-1');
  expect((await gateway.send(late, 'POST', '/v1/telemetry', '{"temperature":3}')).status).toBe(200);
  await ask(directory, 'device-state', { id: 'late-1', state: 'disabled' });
  await expect(gateway.send(late, 'POST', '/v1/telemetry', '{"temperature":3}')).rejects.toThrow();

  // SIGHUP: a new route, and a policy of one's own.
  expect(await statusOf('/v1/new', '{"temperature":4}')).toBe(403);
  const added = '      new: { allow: POST /v1/new, to: cloud, privacy: readings }';
  writeFileSync(
    join(directory, 'sallyport.yaml'),
    `${configuration(gateway.cloudUrl, added)}policy: { module: policy/policy.wasm }\n`,
  );
  const { revision } = await ask(directory, 'status');
  gateway.child?.kill('SIGHUP');
  await expect.poll(async () => (await ask(directory, 'status')).revision, { timeout: 10_000 }).not.toBe(revision);
  expect((await ask(directory, 'status')).lastReload?.ok).toBe(true);
  expect(await statusOf('/v1/new', '{"temperature":4}')).toBe(200);
  expect(socket.readyState).toBe(WebSocket.OPEN);
  socket.close();

  // Rotation, metrics, and the commands beside it.
  for (let number = 0; number < 60; number++)
    expect(await statusOf('/v1/telemetry', `{"temperature":${number}}`)).toBe(200);
  expect(gateway.ledgerFiles().length).toBeGreaterThan(3);
  const status = await ask(directory, 'status');
  const metrics = await (await fetch(`http://${status.listen.metrics}/metrics`)).text();
  expect(metrics).toContain('sallyport_exchanges_total');
  const { decision } = JSON.parse(denied.body) as { decision: string };
  const explained = await command('-C', directory, 'explain', decision);
  expect(explained.code).toBe(0);
  const { sent, errors } = await good.stop();

  const began = performance.now();
  await gateway.stop();
  const drained = Math.round(performance.now() - began);
  const verification = await verifyAll(join(directory, 'ledger'));
  expect(verification.firstProblem).toBeUndefined();
  expect(gateway.output()).not.toMatch(/ERR_ACCESS_DENIED|SP_INTERNAL|"event":"fatal"/);
  console.log(
    `under --permission: HTTPS, mutual TLS, stream, WebSocket, admin, SIGHUP, policy, ${verification.files} ledger files, metrics, drained in ${drained} ms; good client: ${sent} sent, ${errors.length} errors`,
  );
  expect(errors).toEqual([]);
});

it('the packages bring no addon into the running gateway', () => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; hasInstallScript?: boolean }>;
  };
  const running = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev);
  const addons = running.flatMap(([path]) => {
    const folder = join(ROOT, path);
    if (!existsSync(folder) || dirname(path) === '') return [];
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.node'))
      .map((file) => join(path, file));
  });
  expect(running.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([]);
  expect(addons).toEqual([]);
});
