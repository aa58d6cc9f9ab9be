/**
 * The local port that `init --metrics-port` asks for: /healthz, /readyz and /metrics for the machine's own monitoring. The
 * page of metrics is read as Prometheus reads it, strictly and to its end; its counters count what happened; no device is
 * on it. Whoever comes under another name (DNS rebinding) or asks for more gets nothing.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ask } from '../../src/admin/client.ts';
import { METRICS, METRICS_CONTENT_TYPE } from '../../src/telemetry/metrics.ts';
import { command } from '../attack/wire/command.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { type Page, readPage } from './health/prometheus.ts';

let gateway: RunningGateway;
const held: ServerResponse[] = [];

beforeAll(async () => {
  const scratch = mkdtempSync(join(tmpdir(), 'sallyport-health-'));
  const folder = join(scratch, 'gw');
  const words = ['init', folder, '--cloud', 'http://127.0.0.1:1', '--https-port', '0', '--host', '127.0.0.1'];
  expect(await command(...words, '--metrics-port', '0')).toMatchObject({ code: 0 });
  const written = readFileSync(join(folder, 'sallyport.yaml'), 'utf8');
  rmSync(scratch, { recursive: true, force: true });
  expect(written).toMatch(/^ {2}metrics: 127\.0\.0\.1:0\b/m);
  gateway = await RunningGateway.open({
    configuration: (cloud) =>
      written
        .replace('http://127.0.0.1:1', cloud)
        .replace('    routes:\n', '    routes:\n      live: { allow: WS /v1/live, to: cloud, privacy: readings }\n'),
    answer: (_, response, body) => {
      if (body.includes('99')) held.push(response);
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    },
  });
});
afterAll(() => gateway?.remove());

interface Said {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** One request by hand; the connection ends with it. */
async function say(request: string): Promise<Said> {
  const port = Number(gateway.status?.listen.metrics?.split(':').at(-1));
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.write(request);
  await new Promise((closed) => socket.once('close', closed));
  const text = Buffer.concat(chunks).toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  return { status: Number(text.slice(9, 12)), head: text.slice(0, end), body: text.slice(end + 4) };
}

const get = (path: string, host = 'localhost') =>
  say(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

async function metrics(): Promise<Page> {
  const { status, head, body } = await get('/metrics');
  expect(status).toBe(200);
  expect(head.toLowerCase()).toContain(`content-type: ${METRICS_CONTENT_TYPE}`.toLowerCase());
  return readPage(body);
}

describe('the page of metrics', () => {
  it('is Prometheus text from its first to its last line, and has every metric there is', async () => {
    const { families } = await metrics();
    expect([...families.keys()]).toEqual(METRICS.map(({ name }) => name));
    for (const { name, type, labels } of METRICS) {
      const family = families.get(name);
      expect([name, family?.type]).toEqual([name, type]);
      const own = new Set(family?.samples.flatMap((sample) => Object.keys(sample.labels)));
      own.delete('le');
      expect([name, [...own].every((label) => (labels as readonly string[]).includes(label))]).toEqual([name, true]);
    }
  });

  it('counts what happens', async () => {
    const before = await metrics();
    const agent = gateway.agent('thermo-1');
    for (let n = 0; n < 3; n++) await gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":1}');
    await gateway.send(agent, 'GET', '/admin');
    await gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":');
    await gateway.send(agent, 'GET', '//evil.example/admin');
    const anonymous = connectTls({ host: '127.0.0.1', port: gateway.port, rejectUnauthorized: false });
    anonymous.on('error', () => undefined);
    await new Promise((closed) => anonymous.once('close', closed));
    const socket = new WebSocket(`wss://localhost:${gateway.port}/v1/live`, {
      ...gateway.tls('thermo-1'),
      perMessageDeflate: false,
    });
    await once(socket, 'open');
    socket.send('{"temperature":2}');
    await once(socket, 'message');
    const during = await metrics();
    const moved = (name: string, labels: Record<string, string> = {}) =>
      during.value(name, labels) - before.value(name, labels);

    const https = { protocol: 'https' };
    expect(moved('sallyport_exchanges_total', { ...https, verdict: 'permitted', reason: 'none' })).toBe(3);
    expect(moved('sallyport_exchanges_total', { ...https, verdict: 'denied', reason: 'no-route' })).toBe(1);
    expect(moved('sallyport_exchanges_total', { ...https, verdict: 'failed', reason: 'SP_PAYLOAD_SYNTAX' })).toBe(1);
    expect(moved('sallyport_refusals_total', { code: 'SP_HTTP_TARGET' })).toBe(1);
    expect(moved('sallyport_drops_total', { reason: 'handshake-failed' })).toBe(1);
    // The upgrade, the message and its answer.
    const channel = { protocol: 'websocket', verdict: 'permitted', reason: 'none' };
    expect(moved('sallyport_exchanges_total', channel)).toBe(3);
    expect(moved('sallyport_upstream_requests_total', { upstream: 'cloud', outcome: '2xx' })).toBeGreaterThanOrEqual(3);
    expect(moved('sallyport_upstream_requests_total', { upstream: 'cloud', outcome: '1xx' })).toBe(1);
    expect(moved('sallyport_exchange_seconds_count', https)).toBe(5);
    expect(moved('sallyport_exchange_seconds_sum', https)).toBeGreaterThan(0);
    expect(moved('sallyport_decision_seconds_count')).toBe(8);
    // The decisions, and the listener's refusal.
    expect(moved('sallyport_ledger_records_total')).toBe(9);
    expect(moved('sallyport_ledger_bytes_total')).toBeGreaterThan(8 * 300);
    expect(moved('sallyport_ledger_commit_seconds_count')).toBeGreaterThan(0);
    expect(moved('sallyport_connections', { protocol: 'websocket' })).toBe(1);
    expect(during.value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(moved('process_cpu_seconds_total')).toBeGreaterThan(0);
    expect(Math.abs(during.value('process_start_time_seconds') - Date.now() / 1_000)).toBeLessThan(600);

    socket.close();
    await once(socket, 'close');
    let after = await metrics();
    while (after.value('sallyport_connections', { protocol: 'websocket' }) > 0) after = await metrics();
  });

  it('names the revision in force, and after a reload the next one', async () => {
    const revisions = async () =>
      (await metrics()).families
        .get('sallyport_policy_revision_info')
        ?.samples.map(({ labels, value }) => [labels.revision, value]);
    const { revision } = await ask(gateway.directory, 'status');
    expect(await revisions()).toEqual([[revision, 1]]);
    const file = join(gateway.directory, 'sallyport.yaml');
    writeFileSync(file, `${readFileSync(file, 'utf8')}# another revision\n`);
    const next = await ask(gateway.directory, 'reload');
    expect(next.revision).not.toBe(revision);
    expect(await revisions()).toEqual([[next.revision, 1]]);
  });

  it('has no device on it, whatever devices did', async () => {
    const { body } = await get('/metrics');
    const { key, serial } = await ask(gateway.directory, 'device-show', { id: 'thermo-1' });
    for (const name of ['thermo', key, serial, '127.0.0.1', '/v1/', 'admin', 'evil']) expect(body).not.toContain(name);
  });
});

describe('health', () => {
  it('is told as long as the process lives, readiness with what it depends on', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, body: 'ok\n' });
    const ready = await get('/readyz');
    expect([ready.status, JSON.parse(ready.body)]).toEqual([
      200,
      { ready: true, checks: { listening: true, ledger: true } },
    ]);
    const head = await say('HEAD /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    expect([head.status, head.body]).toEqual([200, '']);
  });
});

describe('who may ask, and what', () => {
  it.each(['localhost', 'localhost:1', '127.0.0.1', '127.0.0.1:9464', '127.0.0.2', '[::1]:9464', 'LOCALHOST'])(
    'Host %s is this machine',
    async (host) => {
      expect((await get('/healthz', host)).status).toBe(200);
    },
  );

  it.each([
    'evil.example',
    'evil.example:9464',
    'localhost.evil.example',
    '10.0.0.1',
    '0.0.0.0',
    '',
    'localhost evil',
    '127.0.0.1.nip.io',
    '[::2]',
    'localhost:1:2',
  ])('Host %j is not, and gets nothing', async (host) => {
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      const said = await get(path, host);
      expect([400, 421]).toContain(said.status);
      expect(said.body).not.toMatch(/sallyport|ok|ready/);
    }
  });

  it.each<[string, string, number]>([
    ['two Hosts', 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n', 421],
    ['no Host', 'GET /metrics HTTP/1.1\r\n\r\n', 400],
    ['HTTP/1.0 without Host', 'GET /metrics HTTP/1.0\r\n\r\n', 421],
    ['POST', 'POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n', 405],
    ['a body', 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc', 400],
    ['another path', 'GET /metrics/../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n', 404],
    ['the admin’s path', 'GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n', 404],
    ['a long header', `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(8_000)}\r\n\r\n`, 431],
    ['nonsense', 'hello\r\n\r\n', 400],
  ])('%s is refused and the connection closed', async (_, request, status) => {
    const said = await say(request);
    expect([said.status, said.body.includes('sallyport_')]).toEqual([status, false]);
  });
});

describe('while it drains', () => {
  it('it is healthy, and not ready', async () => {
    const answer = gateway.send(gateway.agent('thermo-1'), 'POST', '/v1/telemetry', '{"temperature":99}');
    while (held.length === 0) await new Promise((later) => setTimeout(later, 10));
    gateway.child?.kill('SIGTERM');
    let ready = await get('/readyz');
    while (ready.status === 200) ready = await get('/readyz');
    expect([ready.status, JSON.parse(ready.body)]).toMatchObject([503, { ready: false, checks: { listening: false } }]);
    expect((await get('/healthz')).status).toBe(200);
    held[0]?.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    expect((await answer).status).toBe(200);
  });
});
