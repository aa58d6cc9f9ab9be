/**
 * Two workers, as users of a machine with two processors get them: both serve and both are on record, what is decided for the
 * gateway holds in both, and either may be killed without the service going.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Agent } from 'node:https';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask } from '../../src/admin/client.ts';
import { DeviceRegistry } from '../../src/identity/registry.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { findAll, tailAll, verifyAll } from '../../src/ledger/streams.ts';
import { SqliteStore } from '../../src/store/sqlite-store.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/launch.mjs', import.meta.url));

const configuration = (cloud: string, more = '', port = 0) => `
gateway: test
workers: 2
listen: { https: "127.0.0.1:${port}", metrics: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
      limited: { allow: POST /v1/limited, to: cloud, privacy: readings, rate: { limit: 1/h, burst: 5 } }
${more}
privacy: { readings: { keep: [temperature] } }
limits: { connectionsPerDevice: 24 }
`;

let gateway: RunningGateway;
let ledger: string;

beforeAll(async () => {
  gateway = await RunningGateway.open({ configuration, devices: { 'thermo-1': 'sensors', 'thermo-2': 'sensors' } });
  ledger = join(gateway.directory, 'ledger');
});
afterAll(() => gateway?.remove());

const pidOf = async (worker: number) =>
  (await ask(gateway.directory, 'status')).workers?.find((one) => one.worker === worker)?.pid;

/** A request on a connection of its own. */
async function request(id = 'thermo-1', path = '/v1/telemetry') {
  const agent = gateway.agent(id);
  try {
    return await gateway.send(agent, 'POST', path, '{"temperature":20}');
  } finally {
    agent.destroy();
  }
}

/** Agents with one kept connection each, until both workers have one. */
async function agentsAtBoth(id: string): Promise<Agent[]> {
  const agents: Agent[] = [];
  const streams = new Set<string>();
  while (streams.size < 2 && agents.length < 20) {
    const agent = gateway.agent(id);
    agents.push(agent);
    await gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":20}');
    streams.add(lastStream());
  }
  expect(streams.size).toBe(2);
  return agents;
}

/** Where the message is on record that the cloud received last. */
function lastStream(): string {
  const { rawHeaders } = gateway.received.at(-1) ?? { rawHeaders: [] as string[] };
  const decision = rawHeaders[rawHeaders.indexOf('sallyport-decision') + 1] as string;
  const file = gateway.ledgerFiles().find((one) => readFileSync(one, 'latin1').includes(decision));
  return file?.startsWith(join(ledger, '1')) ? 'worker-1' : 'main';
}

const isDecision = (entry: LedgerEntry) => entry.kind === 'decision';

describe('two workers', () => {
  it('both serve, each with a stream of its own, and are read as one ledger', async () => {
    const { workers, pid } = await ask(gateway.directory, 'status');
    expect(workers).toHaveLength(2);
    expect(pid).toBe(gateway.child?.pid);
    expect(workers?.map((one) => one.pid).sort()).toEqual(gateway.workers().sort());
    const agents = await agentsAtBoth('thermo-1');
    const entries = (await tailAll(ledger, 100)).filter(isDecision);
    expect(entries).toHaveLength(agents.length);
    expect(entries.map(({ time }) => time)).toEqual(entries.map(({ time }) => time).sort());
    for (const { decision } of entries) expect(await findAll(ledger, decision)).toHaveLength(1);
    expect((await ask(gateway.directory, 'status')).permitted).toBe(agents.length);
    const { connections } = await ask(gateway.directory, 'device-show', { id: 'thermo-1' });
    expect(connections).toBe(agents.length);
    for (const agent of agents) agent.destroy();
  });

  it('one page of metrics adds up', async () => {
    const { listen, permitted } = await ask(gateway.directory, 'status');
    const page = await (await fetch(`http://${listen.metrics}/metrics`)).text();
    expect(page).toContain(
      `sallyport_exchanges_total{protocol="https",verdict="permitted",reason="none"} ${permitted}\n`,
    );
    expect(page.match(/^sallyport_policy_revision_info\{.*\} 1$/gm)).toHaveLength(1);
    expect(page.match(/^# TYPE sallyport_exchange_seconds /gm)).toHaveLength(1);
    expect(await (await fetch(`http://${listen.metrics}/readyz`)).json()).toMatchObject({ ready: true });
  });

  it('a session begun at one worker is resumed at the other, and the registry is still asked', async () => {
    let session: Buffer | undefined;
    const used = new Set<string>();
    let resumed = 0;
    for (let count = 0; count < 12; count++) {
      const { socket, answer } = await raw(session);
      used.add(lastStream());
      if (socket.isSessionReused()) resumed += 1;
      else session = undefined;
      session = answer.session ?? session;
      socket.destroy();
    }
    expect([...used].sort()).toEqual(['main', 'worker-1']);
    expect(resumed).toBe(11);
    await ask(gateway.directory, 'device-state', { id: 'thermo-1', state: 'disabled' });
    for (let count = 0; count < 6; count++) await expect(raw(session)).rejects.toThrow();
    await ask(gateway.directory, 'device-state', { id: 'thermo-1', state: 'active' });
  });

  it('a device that is disabled is out of both when the command returns', async () => {
    const agents = await agentsAtBoth('thermo-2');
    const began = performance.now();
    const view = await ask(gateway.directory, 'device-state', { id: 'thermo-2', state: 'disabled' });
    expect(performance.now() - began).toBeLessThan(2_000);
    expect(view.connections).toBe(0);
    for (const agent of agents) {
      await expect(gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":20}')).rejects.toThrow();
    }
    await ask(gateway.directory, 'device-state', { id: 'thermo-2', state: 'active' });
  });

  it('a follower finds a revocation by itself when the lead tells it nothing', async () => {
    const agents = await agentsAtBoth('thermo-2');
    const follower = new Set<Agent>();
    for (const agent of agents) {
      await gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":20}');
      if (lastStream() === 'worker-1') follower.add(agent);
    }
    const lead = (await pidOf(0)) ?? 0;
    process.kill(lead, 'SIGSTOP');
    try {
      const store = SqliteStore.open(join(gateway.directory, 'state', 'registry.db'));
      const registry = await DeviceRegistry.open(store, Date.now);
      await registry.disable('thermo-2');
      await store.close();
      const began = performance.now();
      const closed = [...follower]
        .flatMap(({ sockets, freeSockets }) => [...Object.values(sockets), ...Object.values(freeSockets)].flat())
        .map((one) => once(one as TLSSocket, 'close'));
      expect(closed).toHaveLength(follower.size);
      await Promise.all(closed);
      expect(performance.now() - began).toBeLessThan(2_000);
      console.log(`a device disabled behind a stopped lead was out after ${Math.round(performance.now() - began)} ms`);
    } finally {
      process.kill(lead, 'SIGCONT');
    }
    const passes = (agent: Agent) =>
      gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":20}').then(
        () => true,
        () => false,
      );
    // The lead too finds what it did not write, as soon as it runs again.
    for (const agent of agents) await expect.poll(() => passes(agent), { timeout: 2_000 }).toBe(false);
    await ask(gateway.directory, 'device-state', { id: 'thermo-2', state: 'active' });
  });

  it('a rate and a cap on connections hold for both together', async () => {
    let passed = 0;
    for (let count = 0; count < 16; count++) {
      passed += (await request('thermo-2', '/v1/limited')).status === 200 ? 1 : 0;
      await new Promise((later) => setTimeout(later, 30));
    }
    // One after the other, with the news in between: the burst, not the burst of each. A busy machine is late with news.
    expect(passed).toBeGreaterThanOrEqual(5);
    expect(passed).toBeLessThanOrEqual(7);
    const held: TLSSocket[] = [];
    const refused = async () => {
      const socket = open('thermo-2');
      held.push(socket);
      const data = new Promise<boolean>((done) => {
        socket.once('close', () => done(true));
        socket.once('data', () => done(false));
      });
      socket.write('POST /v1/telemetry HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n');
      return data;
    };
    let first = 0;
    while (first < 40 && !(await refused())) first += 1;
    // The other worker hears of a connection within a few hundredths of a second.
    expect(first).toBeGreaterThanOrEqual(20);
    expect(first).toBeLessThanOrEqual(32);
    for (const socket of held) socket.destroy();
  });

  it('a reload is for both or for none', async () => {
    const { revision } = await ask(gateway.directory, 'status');
    const added = '      new: { allow: POST /v1/new, to: cloud, privacy: readings }';
    // Both read the folder themselves: a follower that cannot is as good as a lead that cannot.
    writeFileSync(join(gateway.directory, 'sallyport.yaml'), `${configuration(gateway.cloudUrl, added)}nonsense: 1\n`);
    await expect(ask(gateway.directory, 'reload')).rejects.toMatchObject({ code: 'SP_CONFIG_INVALID' });
    for (let count = 0; count < 8; count++) expect((await request('thermo-1', '/v1/new')).status).toBe(403);
    writeFileSync(join(gateway.directory, 'sallyport.yaml'), configuration(gateway.cloudUrl, added));
    const reloaded = await ask(gateway.directory, 'reload');
    expect(reloaded.revision).not.toBe(revision);
    for (let count = 0; count < 8; count++) expect((await request('thermo-1', '/v1/new')).status).toBe(200);
    const revisions = (await tailAll(ledger, 8)).flatMap((entry) => (isDecision(entry) ? entry.revision : []));
    expect(new Set(revisions)).toEqual(new Set([reloaded.revision]));
  });

  it('a second start is refused, by the folder and by the port', async () => {
    expect(await start(gateway.directory)).toMatchObject({
      code: 2,
      says: expect.stringMatching(/SP_GATEWAY_RUNNING/),
    });
    const other = await RunningGateway.open({
      configuration: (cloud) => configuration(cloud, '', gateway.port),
      idle: true,
    });
    try {
      const refused = await start(other.directory);
      expect(refused).toMatchObject({ code: 2, says: expect.stringMatching(/SP_GATEWAY_LISTEN/) });
      expect(refused.says.match(/SP_GATEWAY/g)).toHaveLength(1);
    } finally {
      await other.remove();
    }
    expect((await ask(gateway.directory, 'status')).ready).toBe(true);
  });

  it.each([
    ['follower', 1],
    ['lead', 0],
  ])('the %s killed: the other serves on, a new one comes, a revocation reaches all', async (_, worker) => {
    const before = (await pidOf(worker)) ?? 0;
    const failures: unknown[] = [];
    const answers: number[] = [];
    process.kill(before, 'SIGKILL');
    const deadline = performance.now() + 10_000;
    let after: number | undefined;
    while (performance.now() < deadline) {
      // A connection that waited for the killed one is reset, as with any process that dies.
      await request('thermo-2').then(
        ({ status }) => answers.push(status),
        (error) => failures.push(error),
      );
      const workers = (await ask(gateway.directory, 'status').catch(() => undefined))?.workers ?? [];
      after = workers.find((one) => one.worker === worker)?.pid;
      if (workers.length === 2 && after !== before) break;
    }
    expect(after).toBeGreaterThan(0);
    expect(after).not.toBe(before);
    expect(new Set(answers)).toEqual(new Set([200]));
    expect(failures.length).toBeLessThanOrEqual(2);
    const agents = await agentsAtBoth('thermo-1');
    await ask(gateway.directory, 'device-state', { id: 'thermo-1', state: 'disabled' });
    for (const agent of agents) {
      await expect(gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":20}')).rejects.toThrow();
    }
    await ask(gateway.directory, 'device-state', { id: 'thermo-1', state: 'active' });
  });

  it('SIGTERM drains both; the whole ledger verifies, and what is taken from it is missed', async () => {
    await gateway.stop();
    expect(gateway.child?.exitCode).toBe(0);
    expect(await verifyAll(ledger)).toMatchObject({ ok: true, streams: [{ stream: 'main' }, { stream: 'worker-1' }] });
    const recorded = gateway.ledger();
    for (const { rawHeaders } of gateway.received) {
      expect(recorded).toContain(rawHeaders[rawHeaders.indexOf('sallyport-decision') + 1]);
    }
    const file = join(ledger, '1', '0000000000000000.jsonl');
    const whole = readFileSync(file);
    const changed = Buffer.from(whole);
    changed[whole.indexOf('"verdict":"') + 12] = 0x58;
    writeFileSync(file, changed);
    expect(await verifyAll(ledger)).toMatchObject({ ok: false, firstProblem: { file: '1/0000000000000000.jsonl' } });
    // A worker that cannot start keeps all from it, is the one that says why, and leaves nothing running.
    const refused = await start(gateway.directory);
    expect(refused).toMatchObject({ code: 1, says: expect.stringMatching(/SP_LEDGER_BROKEN/) });
    const lines = whole.toString('latin1').split('\n');
    writeFileSync(file, `${lines.slice(0, -3).join('\n')}\n`);
    expect(await verifyAll(ledger)).toMatchObject({ ok: false, firstProblem: { kind: 'truncated' } });
    writeFileSync(file, '');
    expect(await verifyAll(ledger)).toMatchObject({ ok: false });
  });
});

function open(id: string, session?: Buffer): TLSSocket {
  const socket = connect({ ...gateway.tls(id), host: '127.0.0.1', port: gateway.port, ...(session && { session }) });
  socket.on('error', () => {});
  return socket;
}

/** One request and the ticket that came with it. */
async function raw(session: Buffer | undefined) {
  const socket = open('thermo-1', session);
  const answer: { text: string; session: Buffer | undefined } = { text: '', session: undefined };
  socket.on('session', (ticket: Buffer) => {
    answer.session = ticket;
  });
  const done = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      answer.text += chunk.toString('latin1');
      if (answer.text.includes('\r\n\r\n{}')) resolve();
    });
    socket.once('close', () => reject(new Error('closed')));
  });
  socket.write(
    'POST /v1/telemetry HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{"temperature":1}',
  );
  await done;
  return { socket, answer };
}

async function start(directory: string): Promise<{ code: number | null; says: string }> {
  const child = spawn(process.execPath, [LAUNCHER, '-C', directory, 'run'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let says = '';
  child.stdout.on('data', (chunk) => {
    says += chunk;
  });
  child.stderr.on('data', (chunk) => {
    says += chunk;
  });
  await once(child, 'exit');
  return { code: child.exitCode, says };
}
