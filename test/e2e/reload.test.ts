/**
 * Configuration, policy and keys changed under load, by SIGHUP and by `config reload`: no connection is dropped, no good
 * request fails, and every decision is of one revision from its route to the cloud it went to. A WebSocket whose route is
 * gone is closed with 1008; a broken file changes nothing; after a rotation old tokens still find their way back.
 */
import { chmodSync, copyFileSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ask } from '../../src/admin/client.ts';
import { type DecisionEntry, entryFrom } from '../../src/ledger/entry.ts';
import { verifyLedger } from '../../src/ledger/verify.ts';
import { PrivacyKeys } from '../../src/privacy/keys.ts';
import { DECISION } from '../../src/upstreams/request-head.ts';
import { command } from '../attack/wire/command.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { Camera } from './reload/camera.ts';
import { Sensor } from './reload/sensor.ts';
import { until } from './reload/until.ts';

const LOAD_MS = Number(process.env.SALLYPORT_RELOAD_MS ?? 8_000);
const SHIPPED_POLICY = new URL('../../policies/compiled/policy.wasm', import.meta.url);
const SENSORS = ['sensor-1', 'sensor-2', 'sensor-3', 'sensor-4'];
const CAMERAS = ['camera-1', 'camera-2', 'camera-3', 'camera-4'];

let gateway: RunningGateway;
let other: Server;
/** Decision id -> body, as the other cloud heard them. */
let otherHeard: Map<string, string>;

async function end(): Promise<void> {
  await gateway?.remove();
  other?.closeAllConnections();
  other?.close();
}

async function startOther(): Promise<string> {
  otherHeard = new Map();
  other = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      otherHeard.set(String(request.headers[DECISION]), Buffer.concat(chunks).toString('utf8'));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  }).listen(0, '127.0.0.1');
  await new Promise((listening) => other.once('listening', listening));
  return `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
}

/**
 * Two revisions that differ in everything but what devices ask for: `a` sends telemetry to one cloud and keeps field a, `b`
 * to the other and keeps field b, under a policy module of its own. Only `a` has a route for alerts.
 */
function configuration(variant: 'a' | 'b', streamUrl: string, cloudUrl: string): string {
  return `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams:
  stream: { url: "${streamUrl}" }
  cloud: { url: "${cloudUrl}" }
segments:
  sensors:
    routes:
      telemetry-${variant}: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
      frames-${variant}: { allow: "WS /v1/frames/{device.id}", to: stream, privacy: readings }
${variant === 'a' ? '      alerts-a: { allow: "WS /v1/alerts/{device.id}", to: stream, privacy: readings }' : ''}
privacy:
  readings: { keep: [n, received, ${variant}] }
${variant === 'b' ? 'policy: { module: policy/policy.wasm }' : ''}
limits: { webSocketMessagesPerSecond: 100000, drainTimeoutMs: 500 }
log: { level: error }
`;
}

/** As an editor saves: the gateway never sees half a file. */
function save(text: string): void {
  const file = join(gateway.directory, 'sallyport.yaml');
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

const revision = async () => (await ask(gateway.directory, 'status')).revision;

function decisions(): DecisionEntry[] {
  return gateway
    .ledger()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => entryFrom(line))
    .filter((entry) => entry?.kind === 'decision');
}

describe('under load', () => {
  afterEach(end);

  it('a reload drops no connection, fails no good request and mixes no revisions', { timeout: 180_000 }, async () => {
    const otherUrl = await startOther();
    gateway = await RunningGateway.open({
      devices: Object.fromEntries([...SENSORS, ...CAMERAS, 'alarm-1'].map((id) => [id, 'sensors'])),
      configuration: (cloud) => configuration('a', cloud, cloud),
      files: (directory) => copyFileSync(SHIPPED_POLICY, join(directory, 'policy', 'policy.wasm')),
    });
    const variants = {
      a: configuration('a', gateway.cloudUrl, gateway.cloudUrl),
      b: configuration('b', gateway.cloudUrl, otherUrl),
    };
    const revisions = { a: await revision(), b: '' };
    const sensors = SENSORS.map((id) => new Sensor(gateway, id, (n) => `{"n":${n},"a":1,"b":1}`));
    const cameras = await Promise.all(CAMERAS.map((id) => Camera.open(gateway, id, '/v1/frames')));
    for (const camera of cameras) camera.start();

    const closes: string[] = [];
    let reloads = 0;
    const began = performance.now();
    while (performance.now() - began < LOAD_MS || reloads % 2 === 1) {
      const next = reloads % 2 === 0 ? 'b' : 'a';
      const alarm = next === 'b' ? await Camera.open(gateway, 'alarm-1', '/v1/alerts') : undefined;
      save(variants[next]);
      // Twice by signal, twice by command: each way in both directions.
      if (reloads % 4 < 2) {
        gateway.child?.kill('SIGHUP');
        if (next === 'b' && revisions.b === '') await until(async () => (await revision()) !== revisions.a);
      } else {
        expect(await command('-C', gateway.directory, 'config', 'reload')).toMatchObject({ code: 0 });
      }
      if (revisions.b === '') revisions.b = await revision();
      await until(async () => (await revision()) === revisions[next]);
      if (alarm) closes.push(await alarm.closed);
      reloads += 1;
    }
    await Promise.all([...sensors, ...cameras].map((one) => one.stop()));

    const open = cameras.filter(({ socket }) => socket.readyState === WebSocket.OPEN).length;
    const requests = sensors.reduce((sum, { sent }) => sum + sent, 0);
    const messages = cameras.reduce((sum, { sent }) => sum + sent, 0);
    const all = decisions();
    const mixed = all.filter((entry) => !isOfOneRevision(entry, revisions));
    console.log(
      `${reloads} reloads in ${((performance.now() - began) / 1_000).toFixed(0)} s: ${requests} requests and ${messages} messages, ` +
        `${sensors.flatMap(({ errors }) => errors).length} failed, ${cameras.length - open} connections dropped; ` +
        `${all.length} decisions, ${mixed.length} with a mixed revision`,
    );
    expect(sensors.flatMap(({ errors }) => errors)).toEqual([]);
    expect(sensors.map(({ connections }) => connections)).toEqual(SENSORS.map(() => 1));
    expect(open).toBe(CAMERAS.length);
    expect(cameras.map(({ answered }) => answered)).toEqual(cameras.map(({ sent }) => sent));
    expect(closes).toEqual(Array(reloads / 2).fill('1008 revoked'));
    expect(mixed).toEqual([]);
    expect(new Set(all.map((entry) => entry.revision))).toEqual(new Set(Object.values(revisions)));
    expect(requests).toBeGreaterThan(50);
    expect(gateway.received.filter(({ verb }) => verb === 'POST').length + otherHeard.size).toBe(requests);
    expect(await verifyLedger(join(gateway.directory, 'ledger'), { live: true })).toMatchObject({ ok: true });
  });
});

/** Route, fields and cloud are those of the revision on record. */
function isOfOneRevision(entry: DecisionEntry, revisions: { a: string; b: string }): boolean {
  const variant = entry.revision === revisions.a ? 'a' : entry.revision === revisions.b ? 'b' : undefined;
  const { action, obligations, verdict } = entry;
  if (variant === undefined) return false;
  if (verdict !== 'permitted') {
    // Only the alarm is ever denied, and only where it has no route.
    return variant === 'b' && action.resource.startsWith('/v1/alerts') && entry.reasons[0] === 'no-route';
  }
  if (!obligations?.route.endsWith(`-${variant}`)) return false;
  if (action.verb !== 'POST') return true;
  const heard = { a: heardHere().get(entry.decision), b: otherHeard.get(entry.decision) };
  const body = heard[variant];
  if (body === undefined || heard[variant === 'a' ? 'b' : 'a'] !== undefined) return false;
  return (
    Object.keys(JSON.parse(body) as object)
      .sort()
      .join() === `${variant},n`
  );
}

let here: { readonly upTo: number; readonly bodies: ReadonlyMap<string, string> } = { upTo: -1, bodies: new Map() };

/** Decision id -> body, as the gateway's own cloud heard them. */
function heardHere(): ReadonlyMap<string, string> {
  const { received } = gateway;
  if (here.upTo !== received.length) {
    const bodies = new Map(
      received.map(({ rawHeaders, body }) => [rawHeaders[rawHeaders.indexOf(DECISION) + 1] ?? '', body]),
    );
    here = { upTo: received.length, bodies };
  }
  return here.bodies;
}

describe('a change', () => {
  afterEach(end);

  it('of what the cloud is leaves no message on the way to the old one', async () => {
    const otherUrl = await startOther();
    gateway = await RunningGateway.open({
      devices: { 'camera-1': 'sensors' },
      configuration: (cloud) => configuration('a', cloud, cloud),
    });
    const camera = await Camera.open(gateway, 'camera-1', '/v1/frames');
    camera.socket.send('{"n":1}');
    await until(() => camera.answered === 1);
    // The name stays, the place changes: the open WebSocket leads to where nothing of this device may go any more.
    save(configuration('a', otherUrl, otherUrl));
    await ask(gateway.directory, 'reload');
    const end = Promise.race([camera.closed, new Promise((later) => setTimeout(later, 5_000, 'still open'))]);
    camera.socket.send('{"n":2}');
    expect(await end).toBe('1001 ');
    expect(gateway.received.map(({ body }) => body)).toEqual(['{"n":1}']);
  });
});

describe('what is broken', () => {
  const good = () => configuration('a', gateway.cloudUrl, gateway.cloudUrl);
  const next = () => configuration('b', gateway.cloudUrl, gateway.cloudUrl);
  const file = (...path: string[]) => join(gateway.directory, ...path);
  let sensor: Agent;
  let camera: Camera;

  beforeAll(async () => {
    gateway = await RunningGateway.open({
      devices: { 'sensor-1': 'sensors', 'camera-1': 'sensors' },
      configuration: (cloud) => configuration('a', cloud, cloud),
      files: (directory) => copyFileSync(SHIPPED_POLICY, join(directory, 'policy', 'policy.wasm')),
    });
    sensor = gateway.agent('sensor-1');
    camera = await Camera.open(gateway, 'camera-1', '/v1/frames');
  });
  afterAll(end);

  async function works(): Promise<void> {
    expect((await gateway.send(sensor, 'POST', '/v1/telemetry', '{"n":1,"a":1,"b":1}')).status).toBe(200);
    expect(gateway.received.at(-1)?.body).toBe('{"n":1,"a":1}');
    camera.sent += 1;
    camera.socket.send('{"n":1}');
    await until(() => camera.answered === camera.sent);
  }

  it.each<[string, () => void, string]>([
    ['not YAML', () => save('gateway: [test'), 'SP_CONFIG_INVALID'],
    ['half a file', () => save(next().slice(0, 300)), 'SP_CONFIG_INVALID'],
    ['a key that does not exist', () => save(`${next()}\nlimit: {}`), 'SP_CONFIG_INVALID'],
    ['an empty file', () => save(''), 'SP_CONFIG_INVALID'],
    ['no file', () => unlinkSync(file('sallyport.yaml')), 'SP_CONFIG_MISSING'],
    ['a selector that is none', () => save(good().replace('received', '"[["')), 'SP_CONFIG_INVALID'],
    [
      'a policy module cut off in the middle',
      () => {
        writeFileSync(file('policy', 'policy.wasm'), readFileSync(SHIPPED_POLICY).subarray(0, 50_000));
        save(next());
      },
      'SP_POLICY_MODULE',
    ],
    [
      'a policy module without the entrypoint',
      () => {
        copyFileSync(new URL('../vectors/policy/probes.wasm', import.meta.url), file('policy', 'policy.wasm'));
        save(next());
      },
      'SP_POLICY_ENTRYPOINT',
    ],
    [
      'keys that others may read',
      () => {
        chmodSync(file('keys', 'privacy.json'), 0o644);
        save(next());
      },
      'SP_KEY_INVALID',
    ],
    [
      'a listener’s certificate that is none, and another cloud beside it',
      () => {
        writeFileSync(file('certs', 'listener', 'cert.pem'), 'nonsense');
        save(configuration('a', gateway.cloudUrl, 'http://127.0.0.1:1'));
      },
      'SP_CERTIFICATE_INVALID',
    ],
  ])('%s changes nothing: the last good one goes on', async (_, breakIt, code) => {
    const certificate = readFileSync(file('certs', 'listener', 'cert.pem'));
    const before = await revision();
    await works();
    breakIt();
    expect((await command('-C', gateway.directory, 'config', 'reload')).code).not.toBe(0);
    gateway.child?.kill('SIGHUP');
    await until(async () => (await ask(gateway.directory, 'status')).lastReload?.ok === false);
    await works();
    // Not for a moment only: had it been taken over halfway, the old upstreams would be closed by now.
    await new Promise((later) => setTimeout(later, 700));
    await works();
    await expect(ask(gateway.directory, 'reload')).rejects.toMatchObject({ code });
    expect(await revision()).toBe(before);

    // Mended, it is taken over again.
    writeFileSync(file('certs', 'listener', 'cert.pem'), certificate);
    chmodSync(file('keys', 'privacy.json'), 0o600);
    save(good());
    expect(await ask(gateway.directory, 'reload')).toMatchObject({ revision: before });
    await works();
  });
});

describe('keys', () => {
  afterEach(end);

  const rotating = (cloud: string) => `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
privacy:
  readings: { keep: [n, known, from], pseudonymise: [serial], tokenise: [room] }
log: { level: error }
`;
  const keyFile = () => join(gateway.directory, 'keys', 'privacy.json');

  it('rotated under load lose nothing: each pseudonym names its key, and old tokens still map back', async () => {
    const seen: { readonly from: string; readonly serial: string; readonly room: string }[] = [];
    gateway = await RunningGateway.open({
      devices: Object.fromEntries(SENSORS.map((id) => [id, 'sensors'])),
      configuration: rotating,
      answer: (_, response, body) => {
        const message = JSON.parse(body) as (typeof seen)[number];
        seen.push(message);
        // The first token that it ever saw of this device, and the latest.
        const known = [seen.find(({ from }) => from === message.from)?.room, message.room];
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ known }));
      },
    });
    const agents = new Map(SENSORS.map((id) => [id, gateway.agent(id)]));
    const failures: string[] = [];
    let sent = 0;
    let stopped = false;
    const loops = [...agents].map(async ([from, agent]) => {
      while (!stopped) {
        sent += 1;
        const answer = await gateway.send(
          agent,
          'POST',
          '/v1/telemetry',
          `{"n":${sent},"from":"${from}","serial":"SN-1","room":"attic"}`,
        );
        if (answer.status !== 200 || answer.body !== '{"known":["attic","attic"]}')
          failures.push(JSON.stringify(answer));
      }
    });
    const ROTATIONS = 8;
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      const enough = seen.length + 80;
      await until(() => seen.length >= enough || failures.length > 0);
      PrivacyKeys.rotate(keyFile());
      if (rotation % 2 === 0) gateway.child?.kill('SIGHUP');
      else await ask(gateway.directory, 'reload');
      const fresh = (id: string) =>
        seen.some(({ from, serial }) => from === id && serial.startsWith(`p${rotation + 2}.`));
      await until(() => SENSORS.every(fresh) || failures.length > 0);
    }
    stopped = true;
    await Promise.all(loops);

    const pseudonyms = new Set(seen.map(({ serial }) => serial));
    const tokens = new Set(seen.map(({ room }) => room));
    console.log(
      `${ROTATIONS} rotations: ${sent} messages, ${failures.length} lost, ${pseudonyms.size} pseudonyms of one serial number`,
    );
    expect(failures).toEqual([]);
    expect(seen).toHaveLength(sent);
    // One pseudonym for each key, one token for each key and device.
    expect(pseudonyms.size).toBe(ROTATIONS + 1);
    expect(tokens.size).toBe((ROTATIONS + 1) * SENSORS.length);
    for (const { serial, room } of seen) {
      expect(serial).toMatch(/^p\d+\.[\w-]{22}$/);
      expect(room).toMatch(/^t\d+\.[\w-]{43,}$/);
      expect(room.split('.')[0]?.slice(1)).toBe(serial.split('.')[0]?.slice(1));
    }

    // Retiring ends the overlap: the first key's tokens are worth nothing from then on.
    PrivacyKeys.retire(keyFile(), 1);
    await ask(gateway.directory, 'reload');
    const late = await gateway.send(
      agents.get('sensor-1') as Agent,
      'POST',
      '/v1/telemetry',
      '{"n":0,"from":"sensor-1","serial":"SN-1","room":"attic"}',
    );
    expect([late.status, JSON.parse(late.body)]).toMatchObject([502, { reason: 'SP_PAYLOAD_TOKEN' }]);
  });

  it('rotated while the cloud thinks: its answer may use the new key already', async () => {
    let release: (() => void) | undefined;
    let latest = '';
    gateway = await RunningGateway.open({
      devices: { 'sensor-1': 'sensors' },
      configuration: rotating,
      answer: (_, response, body) => {
        const { n, room } = JSON.parse(body) as { n: number; room: string };
        latest = room;
        const reply = () =>
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ known: latest }));
        if (n === 1) release = reply;
        else reply();
      },
    });
    const slow = gateway.send(gateway.agent('sensor-1'), 'POST', '/v1/telemetry', '{"n":1,"room":"attic"}');
    await until(() => release !== undefined);
    PrivacyKeys.rotate(keyFile());
    await ask(gateway.directory, 'reload');
    const quick = await gateway.send(gateway.agent('sensor-1'), 'POST', '/v1/telemetry', '{"n":2,"room":"cellar"}');
    expect(quick.body).toBe('{"known":"cellar"}');
    expect(latest).toMatch(/^t2\./);
    release?.();
    expect(await slow).toMatchObject({ status: 200, body: '{"known":"cellar"}' });
  });
});
