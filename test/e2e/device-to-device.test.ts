/**
 * A device calls another one through the gateway: `/~valve-1/status` reaches the valve if the caller's segment has it in its
 * `reach`, the valve is active, and the server at its address shows the valve's own key. The valve is a real TLS server that
 * lets nobody in but the gateway; everything else is refused, on record, and never reaches it.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ask } from '../../src/admin/client.ts';
import { writeNewFolder } from '../../src/identity/atomic-file.ts';
import { Authority } from '../../src/identity/ca/authority.ts';
import { type DecisionEntry, entryFrom } from '../../src/ledger/entry.ts';
import { command } from '../attack/wire/command.ts';
import { type Answer, RunningGateway } from '../fixtures/running-gateway.ts';
import { Appliance, type Papers } from './device-to-device/appliance.ts';

const CALLERS = { 'heater-1': 'heating', 'thermo-1': 'sensors', 'meter-1': 'meters' };
let gateway: RunningGateway;
let authority: Authority;
const appliances: Appliance[] = [];

beforeAll(async () => {
  gateway = await RunningGateway.open({
    idle: true,
    devices: CALLERS,
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  heating:
    routes:
      anything: { allow: "* /**", to: cloud, privacy: unchanged }
    reach:
      valves:
        - GET /status
        - { allow: POST /setpoint, privacy: setpoints }
        - { allow: "WS /live/{device.id}", privacy: setpoints }
  sensors:
    routes:
      anything: { allow: "* /**", to: cloud, privacy: unchanged }
    reach:
      meters: [GET /status]
  valves: {}
  meters: {}
privacy:
  setpoints: { keep: [celsius, open], pseudonymise: [by] }
`,
  });
  authority = await Authority.open(gateway.directory);
  // What `init` makes for an https:// cloud: who the gateway is towards those that it calls.
  const { certificatePem, keyPem } = await authority.issueClient('test');
  writeNewFolder(join(gateway.directory, 'certs', 'gateway'), { 'cert.pem': certificatePem, 'key.pem': keyPem ?? '' });
  await gateway.start();
});
afterAll(async () => {
  for (const appliance of appliances) appliance.close();
  await gateway?.remove();
});

/** Registers a device at the address of a server that shows `shown`, by default its own certificate. */
async function register(id: string, segment: string, shown?: Papers): Promise<Appliance> {
  const own = await authority.issueDevice(id, { serves: true });
  const papers = shown ?? { cert: own.certificatePem, key: own.keyPem ?? '' };
  const appliance = await Appliance.serve(papers, authority.certificate);
  appliances.push(appliance);
  const { certificatePem } = own;
  await ask(gateway.directory, 'device-add', { id, segment, certificatePem, labels: {}, address: appliance.url });
  return appliance;
}

const agents = new Map<string, ReturnType<RunningGateway['agent']>>();

function call(from: string, method: string, path: string, body?: string): Promise<Answer> {
  const agent = agents.get(from) ?? gateway.agent(from);
  agents.set(from, agent);
  return gateway.send(agent, method, path, body);
}

function record({ body }: Pick<Answer, 'body'>): DecisionEntry {
  const { decision } = JSON.parse(body) as { decision: string };
  const entry = gateway
    .ledger()
    .split('\n')
    .map((line) => entryFrom(line))
    .find((one) => one?.kind === 'decision' && one.decision === decision);
  return entry as DecisionEntry;
}

describe('a device with an address', () => {
  it('is added by the command line with a certificate that servers may show', async () => {
    // The address is known before there is anything at it, as with a device that is commissioned.
    const spare = await Appliance.serve(
      {
        cert: readFileSync(join(gateway.directory, 'certs', 'listener', 'cert.pem'), 'utf8'),
        key: readFileSync(join(gateway.directory, 'certs', 'listener', 'key.pem'), 'utf8'),
      },
      authority.certificate,
    );
    const { url } = spare;
    spare.close();
    const added = await command(
      '-C',
      gateway.directory,
      'device',
      'add',
      'valve-9',
      '--segment',
      'valves',
      '--address',
      url,
      '--json',
    );
    expect(added.code, added.stderr).toBe(0);
    const read = (name: string) => readFileSync(join(gateway.directory, 'devices', 'valve-9', name), 'utf8');
    const server = createServer({
      cert: read('cert.pem'),
      key: read('key.pem'),
      ca: read('ca.pem'),
      requestCert: true,
    });
    server.on('request', (_, response) => response.end('{"valve":9}'));
    server.listen(Number(new URL(url).port), '127.0.0.1');
    await new Promise((listening) => server.once('listening', listening));
    const answer = await call('heater-1', 'GET', '/~valve-9/status');
    expect([answer.status, answer.body]).toEqual([200, '{"valve":9}']);
    server.closeAllConnections();
    server.close();
  });

  it('without anybody at the address is 502', async () => {
    const answer = await call('heater-1', 'GET', '/~valve-9/status');
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([502, { reason: 'SP_UPSTREAM_UNREACHABLE' }]);
  });
});

describe('who may reach whom', () => {
  it('is what `reach` says, for each caller, target, verb and path, and nothing else', async () => {
    const valve = await register('valve-1', 'valves');
    const meter = await register('meter-2', 'meters');
    const targets = ['valve-1', 'meter-2', 'meter-1', 'heater-1', 'nobody-1'];
    const actions: [string, string, string?][] = [
      ['GET', '/status'],
      ['POST', '/setpoint', '{"celsius":21}'],
      ['POST', '/status', '{"celsius":21}'],
      ['GET', '/setpoint'],
      ['GET', '/'],
      ['GET', '/status/'],
      ['GET', '/STATUS'],
      ['DELETE', '/status'],
      ['GET', '/v1/admin'],
    ];
    const permitted = new Set([
      'heater-1 > valve-1 GET /status',
      'heater-1 > valve-1 POST /setpoint',
      'thermo-1 > meter-2 GET /status',
    ]);
    const before = { valve: valve.heard.length, meter: meter.heard.length };
    const wrong: string[] = [];
    let tried = 0;
    for (const from of Object.keys(CALLERS)) {
      for (const to of targets) {
        for (const [verb, path, body] of actions) {
          tried += 1;
          const name = `${from} > ${to} ${verb} ${path}`;
          const answer = await call(from, verb, `/~${to}${path}`, body);
          if (permitted.has(name)) {
            if (answer.status !== 200) wrong.push(`${name}: ${answer.status} ${answer.body}`);
            continue;
          }
          const { verdict, reasons, device, action } = record(answer);
          // A name that nobody has could be anything that a device wants to have written down: it is not.
          const target = /^~[\w-]{8}$/.test(action.targetDevice ?? '') ? 'nobody-1' : action.targetDevice;
          const facts = [answer.status, verdict, reasons[0], device?.id, target].join();
          if (facts !== [403, 'denied', 'reach-not-allowed', from, to].join()) wrong.push(`${name}: ${facts}`);
        }
      }
    }
    console.log(
      `${tried} calls between devices: ${permitted.size} permitted, ${tried - permitted.size} denied and on record`,
    );
    expect(wrong).toEqual([]);
    expect(valve.heard.slice(before.valve)).toEqual(['GET /status', 'POST /setpoint {"celsius":21}']);
    expect(meter.heard.slice(before.meter)).toEqual(['GET /status']);
    // The route to the cloud that allows everything has no say about other devices, and none of it went there.
    expect(gateway.received).toEqual([]);
    expect([...valve.callers]).toEqual(['URI:urn:sallyport:gateway:test']);
  });

  it('says the same of a device that exists and of one that does not', async () => {
    const told = async (id: string) => {
      const answer = await call('meter-1', 'GET', `/~${id}/status`);
      const { decision: _, ...problem } = JSON.parse(answer.body) as Record<string, unknown>;
      return JSON.stringify([answer.status, problem]);
    };
    expect(await told('valve-1')).toBe(await told('nobody-1'));
  });

  it('cannot be named by Host, header or an odd spelling', async () => {
    const { length } = gateway.received;
    const odd = [
      '/%7Evalve-1/status',
      '/~VALVE-1/status',
      '/~valve-1%2Fstatus',
      '//~valve-1/status',
      '/x/../~valve-1/status',
    ];
    for (const path of odd) expect((await call('thermo-1', 'GET', path)).status).toBe(400);
    const agent = gateway.agent('thermo-1');
    const headers = { host: 'valve-1', 'x-forwarded-host': 'valve-1', forwarded: 'host=valve-1' };
    const answer = await gateway.send(agent, 'GET', '/status', undefined, headers);
    // What it names is the cloud's route, and there it goes, as anything of this segment may.
    expect(answer.status).toBe(200);
    expect(gateway.received.length).toBe(length + 1);
  });
});

describe('what is said', () => {
  it('passes the privacy rule of the reach, and a payload without one does not pass', async () => {
    const valve = await register('valve-2', 'valves');
    expect(
      (await call('heater-1', 'POST', '/~valve-2/setpoint', '{"celsius":21,"by":"Ada","room":"attic"}')).status,
    ).toBe(200);
    expect(valve.heard[0]).toMatch(/^POST \/setpoint \{"celsius":21,"by":"p1\.[\w-]{22}"\}$/);
    const query = await call('heater-1', 'GET', '/~valve-2/status?verbose=1');
    expect([query.status, record(query).reasons]).toEqual([403, ['payload-not-covered']]);
    expect(valve.heard).toHaveLength(1);
  });

  it('goes by WebSocket too, until the target is taken out of service', async () => {
    const valve = await register('valve-3', 'valves');
    const socket = new WebSocket(`wss://localhost:${gateway.port}/~valve-3/live/heater-1`, {
      ...gateway.tls('heater-1'),
      perMessageDeflate: false,
    });
    socket.on('error', () => undefined);
    await new Promise((opened, failed) => socket.once('open', opened).once('close', failed));
    const answer = new Promise((heard) => socket.once('message', (data) => heard(String(data))));
    socket.send('{"celsius":20,"by":"Ada"}');
    expect(await answer).toBe('{"open":true}');
    expect(valve.heard[0]).toMatch(/^WS \/live\/heater-1 \{"celsius":20,"by":"p1\.[\w-]{22}"\}$/);

    const closed = new Promise((done) => socket.once('close', (code, reason) => done(`${code} ${reason}`)));
    await ask(gateway.directory, 'device-state', { id: 'valve-3', state: 'disabled' });
    socket.send('{"celsius":99}');
    expect(await closed).toMatch(/^1008 /);
    expect(valve.heard).toHaveLength(1);
  });
});

describe('the target', () => {
  it('is known by its key: any other certificate of the same authority is refused, and hears nothing', async () => {
    const stranger = await authority.issueDevice('valve-4', { serves: true });
    const papers = { cert: stranger.certificatePem, key: stranger.keyPem ?? '' };
    const impostor = await register('valve-4', 'valves', papers);
    const answer = await call('heater-1', 'GET', '/~valve-4/status');
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([502, { reason: 'SP_UPSTREAM_CERTIFICATE' }]);
    const { upstreams } = await ask(gateway.directory, 'status');
    expect(upstreams.find(({ name }) => name === 'device:valve-4')?.lastError).toBe('SP_UPSTREAM_CERTIFICATE');
    expect(impostor.heard).toEqual([]);
  });

  it('needs a certificate for servers: one that a plain device has is not enough', async () => {
    const plain = await authority.issueDevice('valve-5');
    const papers = { cert: plain.certificatePem, key: plain.keyPem ?? '' };
    const valve = await Appliance.serve(papers, authority.certificate);
    appliances.push(valve);
    const { certificatePem } = plain;
    await ask(gateway.directory, 'device-add', {
      id: 'valve-5',
      segment: 'valves',
      certificatePem,
      labels: {},
      address: valve.url,
    });
    const answer = await call('heater-1', 'GET', '/~valve-5/status');
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([502, { reason: 'SP_UPSTREAM_CERTIFICATE' }]);
    expect(valve.heard).toEqual([]);
  });

  it.each(['disabled', 'quarantined'] as const)(
    'that is %s is unknown, and known again when it is enabled',
    async (state) => {
      const id = `valve-${state}`;
      const valve = await register(id, 'valves');
      expect((await call('heater-1', 'GET', `/~${id}/status`)).status).toBe(200);
      await ask(gateway.directory, 'device-state', { id, state });
      const answer = await call('heater-1', 'GET', `/~${id}/status`);
      expect([answer.status, record(answer).reasons]).toEqual([403, ['reach-not-allowed', 'target-unknown']]);
      await ask(gateway.directory, 'device-state', { id, state: 'active' });
      expect((await call('heater-1', 'GET', `/~${id}/status`)).status).toBe(200);
      expect(valve.heard).toEqual(['GET /status', 'GET /status']);
    },
  );

  it('without an address is unknown', async () => {
    const { certificatePem } = await authority.issueDevice('valve-6', { serves: true });
    await ask(gateway.directory, 'device-add', { id: 'valve-6', segment: 'valves', certificatePem, labels: {} });
    const answer = await call('heater-1', 'GET', '/~valve-6/status');
    expect([answer.status, record(answer).reasons]).toEqual([403, ['reach-not-allowed', 'target-unknown']]);
  });
});
