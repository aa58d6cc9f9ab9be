/**
 * The README's five-minute story, typed word for word: its commands are read from the README itself, only folder and ports
 * are replaced by free ones. Then what it promises: pseudonym, denial, explanation, disablement, verification, tampering.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const root = new URL('../..', import.meta.url).pathname;
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const scratch = mkdtempSync(join(tmpdir(), 'sallyport-story-'));
const gw = join(scratch, 'gw');
const received: string[] = [];
let cloud: Server;
let gateway: ChildProcess;
let ports: { https: number; cloud: number };

/** The line of the README that begins so, with our folder and ports. */
function line(beginning: string): string {
  const found = readme
    .replaceAll('\\\n', ' ')
    .split('\n')
    .find((one) => one.startsWith(beginning));
  if (!found) throw new Error(`the README has no line that begins with "${beginning}"`);
  return found
    .replaceAll('./gw', gw)
    .replaceAll(' gw/', ` ${gw}/`)
    .replaceAll('8443', String(ports.https))
    .replaceAll('9001', String(ports.cloud));
}

interface Shell {
  readonly code: number;
  readonly out: string;
}

async function type(command: string): Promise<Shell> {
  try {
    const { stdout, stderr } = await run('/bin/sh', ['-c', command], { cwd: root, encoding: 'utf8' });
    return { code: 0, out: stdout + stderr };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
    return { code, out: stdout + stderr };
  }
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

beforeAll(async () => {
  cloud = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push(Buffer.concat(chunks).toString());
      response.end('{}');
    });
  }).listen(0, '127.0.0.1');
  await once(cloud, 'listening');
  ports = { https: await freePort(), cloud: (cloud.address() as AddressInfo).port };
});

afterAll(async () => {
  if (gateway && gateway.exitCode === null && gateway.signalCode === null) {
    gateway.kill('SIGTERM');
    await once(gateway, 'exit');
  }
  cloud?.close();
  rmSync(scratch, { recursive: true, force: true });
});

const curl = () => line('curl --cacert');
const admin = () =>
  curl().replace(/https:\S+ .*$/, `https://localhost:${ports.https}/admin --silent --show-error --include`);

it('init and device add make what they say, readable by the owner alone', async () => {
  expect(await type(line('npx sallyport init'))).toMatchObject({ code: 0 });
  const added = await type(line('npx sallyport -C ./gw device add'));
  expect(added.code).toBe(0);
  expect(added.out).toContain('curl --cacert');
  for (const file of ['cert.pem', 'key.pem', 'ca.pem']) {
    expect(statSync(join(gw, 'devices', 'thermo-1', file)).mode & 0o777).toBe(0o600);
  }
  const configuration = readFileSync(join(gw, 'sallyport.yaml'), 'utf8');
  expect(configuration.split('\n').length).toBeLessThanOrEqual(31);
});

it('run, and the first reading arrives: temperature as it is, serial as a pseudonym, no owner', async () => {
  gateway = spawn('/bin/sh', ['-c', `exec ${line('npx sallyport -C ./gw run')}`], { cwd: root, stdio: 'ignore' });
  for (let attempt = 0; attempt < 200; attempt++) {
    if ((await type(`npx sallyport -C ${gw} status --json`)).code === 0) break;
  }
  expect(await type(`${curl()} --silent --show-error --fail`)).toMatchObject({ code: 0 });
  expect(await type(`${curl().replace('21.5', '22.5')} --silent --show-error --fail`)).toMatchObject({ code: 0 });
  const [first, second] = received.map((body) => JSON.parse(body) as Record<string, unknown>);
  expect(first).toEqual({ serial: expect.stringMatching(/^p\d+\.[\w-]{22}$/), temperature: 21.5 });
  expect(second).toEqual({ serial: first?.serial, temperature: 22.5 });
  expect(received.join()).not.toMatch(/SN-1|Ada/);
});

it('what nobody allowed is 403 with reason and decision, and explain says which line would allow it', async () => {
  const { out } = await type(admin());
  expect(out).toMatch(/^HTTP\/1\.1 403 /);
  expect(out.toLowerCase()).toContain('content-type: application/problem+json');
  const problem = JSON.parse(out.split('\r\n\r\n')[1] as string) as Record<string, string>;
  expect(Object.keys(problem).sort()).toEqual(['decision', 'reason', 'status', 'title', 'type']);
  expect(problem.reason).toBe('no-route');
  const explained = await type(`npx sallyport -C ${gw} explain ${problem.decision}`);
  expect(explained.code).toBe(0);
  expect(explained.out).toContain('telemetry');
  expect(explained.out).toContain('admin: { allow: GET /admin, to: cloud }');
  expect(explained.out).toContain('segments.sensors.routes');
  expect((await type(`npx sallyport -C ${gw} explain 00000000-0000-7000-8000-000000000000`)).code).toBe(1);
  expect((await type(`npx sallyport -C ${gw} explain nonsense`)).code).toBe(2);

  // The suggested line works as it is printed.
  const file = join(gw, 'sallyport.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, before.replace(/( +)(telemetry:.*\n)/, '$1$2$1admin: { allow: GET /admin, to: cloud }\n'));
  expect(await type(`npx sallyport -C ${gw} config reload`)).toMatchObject({ code: 0 });
  expect((await type(admin())).out).toMatch(/^HTTP\/1\.1 200 /);
  writeFileSync(file, before);
  expect(await type(`npx sallyport -C ${gw} config reload`)).toMatchObject({ code: 0 });
  expect((await type(admin())).out).toMatch(/^HTTP\/1\.1 403 /);
});

it('device disable takes effect at once', async () => {
  expect(await type(line('npx sallyport -C ./gw device disable'))).toMatchObject({ code: 0 });
  const refused = await type(`${curl()} --silent --show-error`);
  expect(refused.code).not.toBe(0);
  expect(received).toHaveLength(3);
});

it('the ledger verifies, and one changed byte is named', async () => {
  expect(await type(line('npx sallyport -C ./gw audit verify'))).toMatchObject({ code: 0 });
  gateway.kill('SIGTERM');
  await once(gateway, 'exit');
  // Each worker has a stream of its own, and which one was asked is the kernel's choice.
  const files = readdirSync(join(gw, 'ledger'), { recursive: true, encoding: 'utf8' });
  const found = files
    .filter((one) => one.endsWith('.jsonl'))
    .map((one) => ({ file: join(gw, 'ledger', one), text: readFileSync(join(gw, 'ledger', one), 'utf8') }))
    .find(({ text }) => text.includes('"verdict":"denied"'));
  const { file, text } = found as { file: string; text: string };
  const target = text.split('\n').find((one) => one.includes('"verdict":"denied"')) as string;
  const decision = /"decision":"([^"]+)"/.exec(target)?.[1] as string;
  writeFileSync(file, text.replace(target, target.replace('/admin', '/bdmin')));
  const verdict = await type(`npx sallyport -C ${gw} audit verify`);
  expect(verdict.code).toBe(1);
  expect(verdict.out).toContain(decision);
});

it('the gateway ends with the npx that started it; without one, status says so and exits with 3', async () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    if ((await type(`npx sallyport -C ${gw} status`)).code === 3) break;
  }
  expect((await type(`npx sallyport -C ${gw} status`)).code).toBe(3);
});
