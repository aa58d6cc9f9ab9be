/**
 * Small devices, typed as their owners type it: a folder with --coaps-port, devices by pre-shared key, raw public key and
 * certificate, libcoap's own client on the other side, and the same cloud, route and privacy rule as over HTTPS. A missing
 * client fails in CI and is skipped loudly elsewhere.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { ask } from '../../src/admin/client.ts';
import { Endpoint } from '../../src/coap/endpoint.ts';
import { connect } from '../../src/dtls/endpoint.ts';
import type { DtlsSession } from '../../src/dtls/options.ts';

const TOOLS = ['coap-client-openssl', 'coap-client-gnutls'];
const missing = TOOLS.filter((tool) => spawnSync('which', [tool]).status !== 0);
if (missing.length > 0) {
  if (process.env.CI) throw new Error(`missing: ${missing.join(', ')} (Debian: libcoap3-bin)`);
  console.warn(`SKIPPED: ${missing.join(', ')} not installed (Debian: libcoap3-bin)`);
}

const run = promisify(execFile);
const root = new URL('../..', import.meta.url).pathname;
const scratch = mkdtempSync(join(tmpdir(), 'sallyport-coaps-'));
const gw = join(scratch, 'gw');
const sallyport = `${process.execPath} ${join(root, 'src', 'launch.mjs')} -C ${gw}`;
const received: string[] = [];
const reading = { serial: 'SN-7', temperature: 4.5, owner: 'Ada' };
let cloud: Server;
let sockets: WebSocketServer;
let answerLate = 0;
let gateway: ChildProcess | undefined;
let said = '';
let ports: { https: number; coaps: number; cloud: number };
/** What `device add` said, by device. */
const added = new Map<string, { coap: string; curl: string; folder: string; key: string }>();

interface Shell {
  readonly code: number;
  readonly out: string;
}

async function type(command: string): Promise<Shell> {
  try {
    const { stdout, stderr } = await run('/bin/sh', ['-c', command], { cwd: scratch, encoding: 'utf8' });
    return { code: 0, out: stdout + stderr };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
    return { code, out: stdout + stderr };
  }
}

/** The line that `device add` gave for this device. */
function line(id: string): string {
  return added.get(id)?.coap ?? '';
}

/** As the line of probe-7 goes, but for another method and path. */
function probe(method: string, path: string, more = ''): string {
  return line('probe-7')
    .replace(/ -t application\/json -e '[^']*'/, '')
    .replace('-m post', `-m ${method} ${more}`)
    .replace('/v1/telemetry', path);
}

async function addDevice(id: string, how: string): Promise<Shell> {
  const told = await type(`${sallyport} device add ${id} --segment sensors ${how} --json`);
  if (told.code === 0) added.set(id, JSON.parse(told.out) as never);
  return told;
}

async function freePorts(): Promise<{ https: number; coaps: number }> {
  const tcp = createTcpServer().listen(0, '127.0.0.1');
  const udp = createSocket('udp4').bind(0, '127.0.0.1');
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  const found = { https: (tcp.address() as AddressInfo).port, coaps: udp.address().port };
  tcp.close();
  udp.close();
  await Promise.all([once(tcp, 'close'), once(udp, 'close')]);
  return found;
}

async function drops(): Promise<Readonly<Record<string, number>>> {
  return (await ask(gw, 'status')).drops;
}

/** A device of our own making, to see what no client tells: when it is cut off, and whether it may resume. */
async function shakeHands(id: string, session?: DtlsSession['session']): Promise<DtlsSession> {
  const { folder } = added.get(id) as { folder: string };
  const dtls = await connect('127.0.0.1', ports.coaps, {
    pskIdentity: id,
    pskKey: readFileSync(join(folder, 'psk.txt')),
    connectionId: { length: 8 },
    ...(session && { session }),
    limits: { handshakeDeadlineMs: 1_000, unauthenticAlertGraceMs: 50 },
  });
  return dtls;
}

function speaker(dtls: DtlsSession): Endpoint<string> {
  const endpoint: Endpoint<string> = new Endpoint<string>({
    send: (_, bytes) => {
      dtls.send(bytes);
    },
    now: () => performance.now(),
  });
  dtls.onmessage = (datagram) => endpoint.receive('gateway', datagram, performance.now());
  void dtls.closed.then(() => endpoint.close());
  return endpoint;
}

async function post(dtls: DtlsSession): Promise<string> {
  const endpoint = speaker(dtls);
  const payload = Buffer.from(JSON.stringify(reading));
  const { code } = await endpoint.request('gateway', { method: 'POST', pathSegments: ['v1', 'telemetry'], payload });
  return `${code >> 5}.${String(code & 31).padStart(2, '0')}`;
}

describe.skipIf(missing.length > 0)('a small device', () => {
  beforeAll(async () => {
    cloud = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        received.push(Buffer.concat(chunks).toString());
        setTimeout(() => response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":1}'), answerLate);
      });
    }).listen(0, '127.0.0.1');
    await once(cloud, 'listening');
    sockets = new WebSocketServer({ server: cloud });
    ports = { ...(await freePorts()), cloud: (cloud.address() as AddressInfo).port };
    const init = `${process.execPath} ${join(root, 'src', 'launch.mjs')} init ${gw} --host 127.0.0.1 --cloud http://127.0.0.1:${ports.cloud} --https-port ${ports.https} --coaps-port ${ports.coaps}`;
    expect(await type(init)).toMatchObject({ code: 0 });
    expect(await type(`${sallyport} config check`)).toMatchObject({ code: 0 });
    for (const [id, how] of [
      ['probe-7', '--psk'],
      ['probe-8', '--psk --psk-identity plant:8'],
      ['bare-1', '--raw-key'],
      ['thermo-1', ''],
    ] as const)
      expect(await addDevice(id, how)).toMatchObject({ code: 0 });
    gateway = spawn('/bin/sh', ['-c', `exec ${sallyport} run`], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [gateway.stdout, gateway.stderr])
      stream?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    for (let attempt = 0; attempt < 500; attempt++) {
      if ((await ask(gw, 'status').catch(() => undefined))?.ready) break;
      await new Promise((later) => setTimeout(later, 20));
    }
  });

  afterAll(async () => {
    if (gateway && gateway.exitCode === null && gateway.signalCode === null) {
      gateway.kill('SIGTERM');
      await once(gateway, 'exit');
    }
    for (const socket of sockets.clients) socket.terminate();
    cloud.close();
    cloud.closeAllConnections();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('with a pre-shared key, its line pasted, is one with the HTTPS device: same route, same rule, same pseudonym', async () => {
    const { folder, curl } = { ...added.get('probe-7'), curl: added.get('thermo-1')?.curl ?? '' } as never as {
      folder: string;
      curl: string;
    };
    for (const name of ['psk.json', 'psk.txt']) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect(line('probe-7')).toContain(`coaps://localhost:${ports.coaps}/v1/telemetry`);
    const typed = line('probe-7').replace(/-t application\/json -e '[^']*'/, `-e '${JSON.stringify(reading)}'`);
    expect(await type(typed)).toEqual({ code: 0, out: '{"ok":1}\n' });
    expect(await type(`${curl.replace('SN-1', 'SN-7').replace('21.5', '4.5')} -s`)).toEqual({
      code: 0,
      out: '{"ok":1}',
    });
    const [overCoap, overHttps] = received.map((body) => JSON.parse(body) as unknown);
    expect(overCoap).toEqual({ serial: expect.stringMatching(/^p\d+\.[\w-]{22}$/), temperature: 4.5 });
    expect(overHttps).toEqual(overCoap);
    expect(received.join()).not.toMatch(/SN-7|Ada/);
  });

  it.each(['probe-8', 'bare-1', 'thermo-1'])('%s with its own proof, the line pasted as it was printed', async (id) => {
    const before = received.length;
    expect((await type(line(id))).out).toContain('{"ok":1}');
    expect(received).toHaveLength(before + 1);
    expect(await ask(gw, 'device-show', { id })).toMatchObject({ id, state: 'active' });
  });

  it('sends a body in blocks, and waits for a slow cloud', async () => {
    const file = join(scratch, 'large.json');
    writeFileSync(file, JSON.stringify({ ...reading, owner: 'A'.repeat(3_000) }));
    answerLate = 800;
    const before = received.length;
    const { out } = await type(probe('post', '/v1/telemetry', `-b 64 -t application/json -f ${file}`));
    answerLate = 0;
    expect(out).toContain('{"ok":1}');
    expect(received.slice(before).map((body) => JSON.parse(body) as object)).toEqual([
      { serial: expect.any(String), temperature: 4.5 },
    ]);
  });

  it('with a wrong key, an unknown identity or no proof at all sends nothing, and is counted', async () => {
    const before = { messages: received.length, ...(await drops()) };
    const to = `-m post -e '{}' coaps://localhost:${ports.coaps}/v1/telemetry`;
    const clients = [
      `coap-client-openssl -B 2 -u probe-7 -k wrong ${to}`,
      `coap-client-openssl -B 2 -u nobody -k wrong ${to}`,
      `coap-client-gnutls -B 2 -u probe-7 -k wrong ${to}`,
      `coap-client-openssl -B 2 -c ${added.get('thermo-1')?.folder}/cert.pem -j ${added.get('thermo-1')?.folder}/key.pem -C ${added.get('thermo-1')?.folder}/cert.pem ${to}`,
    ];
    for (const { out } of await Promise.all(clients.map(type))) expect(out).not.toContain('ok');
    expect(received).toHaveLength(before.messages);
    await expect
      .poll(async () => (await drops())['handshake-failed'] ?? 0, { timeout: 5_000 })
      .toBeGreaterThanOrEqual(3);
  });

  it('is told 4.03 with reason and decision, and explain says which line would allow it', async () => {
    const { out } = await type(probe('get', '/admin'));
    const [, reason, decision] = /4\.03 (\S+) (\S+)/.exec(out) ?? [];
    expect(reason).toBe('no-route');
    const explained = await type(`${sallyport} explain ${decision}`);
    expect(explained).toMatchObject({ code: 0 });
    expect(explained.out).toContain('probe-7');
    expect(explained.out).toContain('admin: { allow: GET /admin, to: cloud }');
  });

  it.each([
    ['a method without counterpart', 'fetch', '/v1/telemetry', "-t application/json -e '{}'", /4\.05 SP_COAP_METHOD/],
    ['an empty segment', 'post', '/v1//telemetry', "-e '{}'", /4\.00 SP_COAP_TARGET/],
    ['an option that must be understood', 'post', '/v1/telemetry', "-O 65001,x -e '{}'", /4\.02 option 65001/],
    ['a proxy for elsewhere', 'get', '/v1/telemetry', '-O 35,coap://10.0.0.1/x', /5\.05 proxy-not-supported/],
    ['JSON that is none', 'post', '/v1/telemetry', "-t application/json -e '{'", /4\.00 SP_PAYLOAD_SYNTAX/],
    ['a payload of no known kind', 'post', '/v1/telemetry', "-e 'hello'", /4\.1?[0-9]+ \S+ 0/],
  ])('with %s is refused by name', async (_, method, path, more, expected) => {
    const before = received.length;
    expect((await type(probe(method, path, more))).out).toMatch(expected);
    expect(received).toHaveLength(before);
  });

  it('with a body over limits.inspectedBodyBytes is told 4.13', async () => {
    const file = join(scratch, 'huge');
    writeFileSync(file, `{"owner":"${'A'.repeat(300_000)}"}`);
    expect((await type(probe('post', '/v1/telemetry', `-t application/json -f ${file}`))).out).toMatch(
      /4\.13 body-too-large/,
    );
  });

  it('learns what it may reach, and nothing else', async () => {
    expect((await type(probe('get', '/.well-known/core'))).out.trim()).toBe('</v1/telemetry>');
  });

  it('shares neither key nor identity with another', async () => {
    expect(await addDevice('probe-9', '--psk --psk-identity probe-7')).toMatchObject({ code: 1 });
    const again = `--raw-key ${added.get('bare-1')?.folder}/public.pem`;
    expect(await addDevice('bare-2', again)).toMatchObject({ code: 1 });
    const [fingerprint] = [added.get('probe-7')?.key ?? ''];
    const entry = { id: 'probe-9', segment: 'sensors', labels: {}, psk: { identity: 'probe-9', fingerprint } };
    await expect(ask(gw, 'device-add', entry)).rejects.toMatchObject({ code: 'SP_DEVICE_EXISTS' });
    expect((await ask(gw, 'device-list')).map(({ id }) => id)).not.toContain('probe-9');
  });

  it('is decided anew under another policy, on the association it has', async () => {
    const dtls = await shakeHands('probe-7');
    expect(await post(dtls)).toBe('2.04');
    const file = join(gw, 'sallyport.yaml');
    const before = readFileSync(file, 'utf8');
    writeFileSync(file, before.replace('privacy: readings, rate', 'over: [https], privacy: readings, rate'));
    await ask(gw, 'reload');
    expect(await post(dtls)).toBe('4.03');
    writeFileSync(file, before);
    await ask(gw, 'reload');
    expect(await post(dtls)).toBe('2.04');
    dtls.close();
  });

  it('resumes; disabled, it loses its association within two seconds, and with it resumption and handshake', async () => {
    const first = await shakeHands('probe-7');
    expect(await post(first)).toBe('2.04');
    expect(first.hasConnectionId).toBe(true);
    const second = await shakeHands('probe-7', first.session);
    expect(second.reused).toBe(true);
    expect(await post(second)).toBe('2.04');
    const bystander = await type(line('probe-8'));
    expect(bystander.out).toContain('{"ok":1}');

    expect(await type(`${sallyport} device disable probe-7`)).toMatchObject({ code: 0 });
    const told = performance.now();
    await Promise.all([first.closed, second.closed]);
    expect(performance.now() - told).toBeLessThan(2_000);
    await expect(shakeHands('probe-7', first.session)).rejects.toThrow();
    await expect(shakeHands('probe-7')).rejects.toThrow();
    expect((await type(line('probe-8'))).out).toContain('{"ok":1}');

    await ask(gw, 'device-state', { id: 'probe-7', state: 'active' });
    const third = await shakeHands('probe-7', first.session);
    // What could be resumed before went with the permission.
    expect(third.reused).toBe(false);
    expect(await post(third)).toBe('2.04');
    third.close();
  });

  it('that was disabled while it was away may not resume what it had before', async () => {
    const before = await shakeHands('probe-7');
    expect(await post(before)).toBe('2.04');
    before.close();
    await before.closed;
    const resumed = await shakeHands('probe-7', before.session);
    expect(resumed.reused).toBe(true);
    resumed.close();
    for (const state of ['disabled', 'active'] as const) await ask(gw, 'device-state', { id: 'probe-7', state });
    const after = await shakeHands('probe-7', before.session);
    expect(after.reused).toBe(false);
    after.close();
  });

  it('in quarantine connects and is told so', async () => {
    await ask(gw, 'device-state', { id: 'probe-7', state: 'quarantined' });
    for (const path of ['/v1/telemetry', '/.well-known/core'])
      expect((await type(probe('get', path))).out).toMatch(/4\.03 device-quarantined/);
    await ask(gw, 'device-state', { id: 'probe-7', state: 'active' });
  });

  it('observes what its cloud sends down, each message an exchange, until its policy ends', async () => {
    const file = join(gw, 'sallyport.yaml');
    const before = readFileSync(file, 'utf8');
    const route = '      commands: { allow: "WS /v1/commands/{device.id}", to: cloud, privacy: readings }\n';
    writeFileSync(file, before.replace(/( +telemetry:.*\n)/, `$1${route}`));
    await ask(gw, 'reload');
    expect((await type(probe('get', '/.well-known/core'))).out.trim()).toBe(
      '</v1/telemetry>,</v1/commands/probe-7>;obs',
    );
    expect((await type(probe('get', '/v1/commands/probe-8', '-s 1'))).out).toContain('4.03 no-route');

    // A valve that is opened and closed; libcoap's client prints what it is told and then cancels.
    const opened: string[] = [];
    let gone = 0;
    sockets.on('connection', (socket, { url }) => {
      opened.push(url ?? '');
      for (const [n, temperature] of [1, 2, 3].entries())
        setTimeout(() => socket.send(JSON.stringify({ temperature })), 200 + 300 * n);
      socket.on('close', () => {
        gone += 1;
      });
    });
    const { out } = await type(probe('get', '/v1/commands/probe-7', '-s 2'));
    expect(out.trim()).toBe('{"temperature":1}{"temperature":2}{"temperature":3}');
    await expect.poll(() => gone).toBe(1);

    // Our own client hears the end of its permission, and the cloud sees it leave.
    const dtls = await shakeHands('probe-7');
    const endpoint = speaker(dtls);
    const heard: string[] = [];
    const ended = new Promise<string>((resolve) => {
      void endpoint.observe(
        'gateway',
        { method: 'GET', pathSegments: ['v1', 'commands', 'probe-7'] },
        {
          notification: ({ payload }) => heard.push(Buffer.from(payload).toString()),
          end: (reason, last) => resolve(`${reason} ${Buffer.from(last?.payload ?? []).toString()}`),
        },
      );
    });
    await expect.poll(() => heard).toHaveLength(3);
    writeFileSync(file, before);
    await ask(gw, 'reload');
    expect(await ended).toMatch(/^error-response policy-denied /);
    await expect.poll(() => gone).toBe(2);
    expect(opened).toEqual(['/v1/commands/probe-7', '/v1/commands/probe-7']);
    dtls.close();
    const records = (await type(`cat ${gw}/ledger/*.jsonl | grep '"protocol":"coaps"' | grep '"direction":"toDevice"'`))
      .out;
    expect(records.trim().split('\n')).toHaveLength(6);
  });

  it('keeps its secret: it is in its own folder and in keys/, and nowhere else', async () => {
    const secret = readFileSync(join(added.get('probe-7')?.folder ?? '', 'psk.txt'), 'utf8');
    const hits = await type(`grep -rlaF -e '${secret}' -e '${Buffer.from(secret).toString('hex')}' ${gw} | sort`);
    expect(hits.out.trim().split('\n')).toEqual([
      join(gw, 'devices/probe-7/psk.json'),
      join(gw, 'devices/probe-7/psk.txt'),
      join(gw, 'keys/psk/probe-7.json'),
    ]);
    expect(said).toContain('"protocol":"coaps"');
    expect(said).not.toContain(secret);
  });

  it('removed, it and its key are gone for good', async () => {
    const dtls = await shakeHands('probe-7');
    expect(await type(`${sallyport} device remove probe-7`)).toMatchObject({ code: 0 });
    await dtls.closed;
    expect((await type(`ls ${gw}/keys/psk`)).out.trim()).toBe('probe-8.json');
    expect(await addDevice('probe-7', '--psk')).toMatchObject({ code: 0 });
    expect((await type(line('probe-7'))).out).toContain('{"ok":1}');
    expect(await type(`${sallyport} audit verify`)).toMatchObject({ code: 0 });
  });
});
