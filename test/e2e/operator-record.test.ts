/** What an auditor asks: who changed what may pass, what did a device get an answer to that no policy saw, why did one not get in. */
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask } from '../../src/admin/client.ts';
import { Authority } from '../../src/identity/ca/authority.ts';
import { decisionBody } from '../../src/ledger/encode.ts';
import type { LedgerEntry } from '../../src/ledger/entry.ts';
import { chained, fileName, GENESIS } from '../../src/ledger/format.ts';
import { tailAll } from '../../src/ledger/streams.ts';
import { command } from '../attack/wire/command.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { decisionId, START, sample } from '../unit/ledger/samples.ts';

interface Shown {
  readonly kind: string;
  readonly decision: string;
  readonly act?: string;
  readonly outcome?: string;
}

let gateway: RunningGateway;
const on = (...words: string[]) => command('-C', gateway.directory, ...words);

async function records(): Promise<Shown[]> {
  return (await tailAll(join(gateway.directory, 'ledger'), 200)) as (LedgerEntry & Shown)[];
}

const acts = async () =>
  (await records()).filter(({ kind }) => kind === 'operator').map(({ act, outcome }) => `${act} ${outcome}`);

beforeAll(async () => {
  gateway = await RunningGateway.open({
    devices: { 'thermo-1': 'sensors' },
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0", metrics: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
  cameras:
    routes: {}
privacy:
  readings: { keep: [temperature] }
`,
  });
});
afterAll(() => gateway?.remove());

describe('the ledger', () => {
  it('has what operators did, from before the first start', async () => {
    expect(await acts()).toEqual(['device-add begun', 'device-add done', 'start begun', 'start done']);
  });

  it('has each act on the running gateway, and explain says what it was', async () => {
    const agent = gateway.agent('thermo-1');
    const post = () => gateway.send(agent, 'POST', '/v1/telemetry', '{"temperature":1}');
    expect((await post()).status).toBe(200);
    expect(await on('device', 'set', 'thermo-1', '--segment', 'cameras', '--label', 'site=north')).toMatchObject({
      code: 0,
    });
    // At once, on a connection that was open before.
    expect((await post()).status).toBe(403);
    expect((await on('device', 'set', 'thermo-1', '--segment', 'nowhere')).code).toBe(2);
    await ask(gateway.directory, 'device-set', { id: 'thermo-1', segment: 'sensors' });
    expect((await post()).status).toBe(200);
    await ask(gateway.directory, 'device-state', { id: 'thermo-1', state: 'disabled' });
    await ask(gateway.directory, 'device-state', { id: 'thermo-1', state: 'active' });
    writeFileSync(join(gateway.directory, 'sallyport.yaml'), configurationAgain(), { mode: 0o600 });
    await ask(gateway.directory, 'reload');
    expect((await acts()).slice(4)).toEqual(
      ['device-set', 'device-set', 'device-disable', 'device-enable', 'reload'].flatMap((act) => [
        `${act} begun`,
        `${act} done`,
      ]),
    );
    const disable = (await records()).find(({ act }) => act === 'device-disable');
    const { code, stdout } = await on('explain', disable?.decision ?? '');
    expect(code).toBe(0);
    expect(stdout).toMatch(/OPERATOR {2}device-disable thermo-1 {2}active → disabled/);
    expect(stdout).toMatch(/through the running gateway, revision [0-9a-f]{12}/);
    expect((await on('audit', 'tail')).stdout).toMatch(/operator +thermo-1 +device-disable active → disabled +done/);
    expect((await on('audit', 'verify')).code).toBe(0);
  });

  it('has what the listener refused, under the id that the device was told', async () => {
    const answer = await gateway.send(gateway.agent('thermo-1'), 'GET', '/v1//telemetry');
    expect(answer.status).toBe(400);
    const { decision } = JSON.parse(answer.body) as { decision: string };
    const { code, stdout } = await on('explain', decision);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/REFUSED {2}SP_HTTP_TARGET/);
    expect(stdout).toContain('thermo-1  from 127.0.0.1');
    // One that nobody gave out: when it was made, and where else to look.
    const unknown = await on('explain', '0198c1d2-0000-7000-8000-000000000000');
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toMatch(/the id was made at 2025-08-19 .*\n.*search the gateway’s log/);
  });
});

it('what another version wrote is explained as far as this one can', async () => {
  const other = await RunningGateway.open({ idle: true, devices: {} });
  try {
    const record = sample(0, { verdict: 'denied', reasons: ['moon-phase' as 'no-route'] });
    const damaged = `{"seq":2,"kind":"decision","decision":"${decisionId(START, 1)}","reasons":7}`;
    const { text } = chained(0, decisionBody(record), GENESIS);
    writeFileSync(join(other.directory, 'ledger', fileName(0)), `${text}${damaged}\n`);
    const explain = (id: string) => command('-C', other.directory, 'explain', id);
    const unknown = await explain(record.decision);
    expect(unknown).toMatchObject({ code: 0, stderr: '' });
    expect(unknown.stdout).toContain('This version of Sallyport does not know the reason "moon-phase"');
    const broken = await explain(decisionId(START, 1));
    expect(broken.code).toBe(1);
    expect(broken.stderr).toMatch(/cannot be explained: it is not as a gateway writes it.*\n.*SP_LEDGER_BROKEN/s);
  } finally {
    await other.remove();
  }
});

it('a device left in a segment that is gone is named by config check and doctor', async () => {
  const other = await RunningGateway.open({ idle: true, devices: { 'thermo-1': 'sensors', 'lost-1': 'gone' } });
  try {
    const check = await command('-C', other.directory, 'config', 'check');
    expect(check.code).toBe(0);
    expect(check.stdout).toMatch(/lost-1: in segment "gone".*\n.*device set lost-1 --segment sensors/);
    const doctor = await command('-C', other.directory, 'doctor', '--json');
    expect(doctor.code).toBe(1);
    const { findings } = JSON.parse(doctor.stdout) as { findings: { check: string; level: string; text: string }[] };
    expect(findings.filter(({ level }) => level === 'problem')).toMatchObject([
      { check: 'devices', text: expect.stringContaining('lost-1') },
    ]);
  } finally {
    await other.remove();
  }
});

it('the log says why a certificate was not accepted', async () => {
  const knock = (cert: string, key: string) =>
    gateway
      .send(new Agent({ cert, key, ca: gateway.tls('thermo-1').ca, servername: 'localhost' }), 'GET', '/')
      .then(() => 'answered')
      .catch(() => 'refused');
  const own = await Authority.open(gateway.directory);
  const ghost = await own.issueDevice('ghost-1');
  const stranger = await RunningGateway.open({ idle: true });
  try {
    const { cert, key } = stranger.tls('thermo-1');
    expect(await knock(cert, key)).toBe('refused');
    expect(await knock(ghost.certificatePem, ghost.keyPem ?? '')).toBe('refused');
    await ask(gateway.directory, 'device-state', { id: 'thermo-1', state: 'disabled' });
    const known = gateway.tls('thermo-1');
    expect(await knock(known.cert, known.key)).toBe('refused');
  } finally {
    await stranger.remove();
  }
  await expect
    .poll(() => gateway.output(), { timeout: 5_000 })
    .toMatch(/"reason":"identity-refused","why":"device-disabled","device":"thermo-1"/);
  expect(gateway.output()).toMatch(/"reason":"handshake-failed","why":"[A-Z_]*(?:CERT|VERIFY)[A-Z_]*","address"/);
  expect(gateway.output()).toMatch(/"why":"unknown-identity","claims":"ghost-1"/);
});

function configurationAgain(): string {
  return `
gateway: test
listen: { https: "127.0.0.1:0", metrics: "127.0.0.1:0" }
upstreams: { cloud: { url: "${gateway.cloudUrl}" } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
      more: { allow: POST /v1/more, to: cloud, privacy: readings }
  cameras:
    routes: {}
privacy:
  readings: { keep: [temperature] }
`;
}
