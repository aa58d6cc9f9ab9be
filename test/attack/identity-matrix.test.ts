/**
 * Threat 11: a device speaks as another one. 50 x 50 devices over HTTPS and WebSocket through the real gateway, with routes
 * bound to `{device.id}`: by path, Host, headers, spelling, certificate names. Every attempt is denied and on record under
 * the name of who made it, no connection of anybody is taken over, and everybody's own access works throughout.
 */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Authority } from '../../src/identity/ca/authority.ts';
import { type DecisionEntry, entryFrom } from '../../src/ledger/entry.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { seeded } from '../fixtures/seeded.ts';
import { uri, utf8 } from '../unit/identity/certificate-maker.ts';
import { type Attempt, crossAttempts, identityFields, twofoldAttempts } from './identity-matrix/techniques.ts';
import { forged } from './wire/forged-certificate.ts';
import { GoodClient } from './wire/good-client.ts';
import { HANDSHAKE, type RawAnswer, RawDevice } from './wire/raw-device.ts';

const DEVICES = Number(process.env.SALLYPORT_DEVICES ?? 50);
/** Devices that attack at a time. */
const AT_ONCE = 8;
const ids = Array.from({ length: DEVICES }, (_, index) => `sensor-${String(index + 1).padStart(2, '0')}`);
const telemetry = (id: string) => `/v1/devices/${id}/telemetry`;
const frames = (id: string) => `/v1/frames/${id}`;
const random = seeded();

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await RunningGateway.open({
    devices: Object.fromEntries([...ids, 'good-1'].map((id) => [id, 'sensors'])),
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  sensors:
    routes:
      telemetry: { allow: "POST /v1/devices/{device.id}/telemetry", to: cloud, privacy: readings }
      frames: { allow: "WS /v1/frames/{device.id}", to: cloud, privacy: readings }
privacy:
  readings: { keep: [temperature, received] }
`,
  });
});
afterAll(() => gateway?.remove());

/** Runs one task per device, some at a time. */
async function eachDevice(task: (id: string, index: number) => Promise<void>): Promise<void> {
  const waiting = ids.map((id, index) => ({ id, index }));
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await task(next.id, next.index);
    }),
  );
}

interface Tried {
  readonly a: string;
  readonly b: string;
  readonly what: string;
  readonly answer: RawAnswer;
}

const othersOf = (id: string) => ids.filter((other) => other !== id);

it(`${DEVICES} x ${DEVICES} devices x HTTPS and WebSocket: nobody is somebody else (seed ${random.seed})`, async () => {
  const good = new GoodClient(gateway, { id: 'good-1', path: telemetry('good-1') });
  const channels = await openChannels();
  const tried: Tried[] = [];
  const twofold: Tried[] = [];

  await eachDevice(async (a, index) => {
    const device = new RawDevice(gateway, a);
    // A WebSocket refused ends its connection; it is not to end the one of the HTTPS attempts.
    const upgrading = new RawDevice(gateway, a);
    const attempt = async (list: Tried[], b: string, what: Attempt) => {
      const body = '{"temperature":-1,"device":"$B","serial":"$B"}'.replaceAll('$B', b);
      list.push({ a, b, what: `POST ${what.name}`, answer: await device.send('POST', what.target, body, what.fields) });
    };
    const upgrade = async (list: Tried[], b: string, what: Attempt) => {
      const fields = [...HANDSHAKE, ...what.fields];
      list.push({ a, b, what: `WS ${what.name}`, answer: await upgrading.send('GET', what.target, '', fields) });
    };
    for (const [turn, b] of othersOf(a).entries()) {
      // Every pair once over each protocol; the techniques take turns, so that each meets every device.
      const posts = crossAttempts(a, b, telemetry);
      const upgrades = crossAttempts(a, b, frames);
      await attempt(tried, b, posts[(turn + index) % posts.length] as Attempt);
      await upgrade(tried, b, upgrades[(turn + 2 * index) % upgrades.length] as Attempt);
    }
    const b = random.pick(othersOf(a));
    for (const what of twofoldAttempts(a, b, telemetry)) await attempt(twofold, b, what);
    const ways = twofoldAttempts(a, b, frames);
    await upgrade(twofold, b, ways[index % ways.length] as Attempt);
    device.close();
    upgrading.close();
  });

  // Denied: told so, with the reason alone.
  expect(
    tried.filter(({ answer }) => answer.status !== 403).map(({ what, answer }) => `${what}: ${answer.status}`),
  ).toEqual([]);
  expect(
    twofold.filter(({ answer }) => answer.status !== 400).map(({ what, answer }) => `${what}: ${answer.status}`),
  ).toEqual([]);
  for (const { answer, b } of tried) expect(answer.body).not.toContain(b);

  // On record, as the deed of the one who did it.
  const records = decisionsOnRecord();
  const unrecorded = tried.filter(({ a, answer }) => {
    const { decision } = JSON.parse(answer.body) as { decision: string };
    const record = records.get(decision);
    return record?.verdict !== 'denied' || record.device?.id !== a;
  });
  expect(unrecorded).toEqual([]);

  // No takeover: nothing of it reached the cloud, and everybody's WebSocket is its owner's.
  expect(gateway.received.filter(({ body }) => body.includes('-1'))).toEqual([]);
  const taken = await takenOver(channels);
  const foreign = gateway.received.filter(({ target, body }) => {
    const owner = ids[(JSON.parse(body) as { temperature: number }).temperature - 1_000];
    return owner !== undefined && target !== telemetry(owner) && target !== frames(owner);
  });
  expect(foreign).toEqual([]);
  const report = await good.stop();
  console.log(
    `${tried.length} cross attempts denied and on record, ${twofold.length} with two readings refused, ${taken} takeovers; ` +
      `good client: ${report.sent} sent, ${report.errors.length} errors, worst ${Math.round(report.worstMs)} ms`,
  );
  expect(tried.length).toBe(DEVICES * (DEVICES - 1) * 2);
  expect(taken).toBe(0);
  expect(report.errors).toEqual([]);
}, 300_000);

it("own access works for each, and the signs of another one's identity are worth nothing in it", async () => {
  const before = gateway.received.length;
  const statuses: number[] = [];
  await eachDevice(async (a, index) => {
    const b = random.pick(othersOf(a));
    // The name in the TLS handshake is B's as well.
    const device = new RawDevice(gateway, a, { servername: `${b}.example` });
    const body = `{"temperature":${1_000 + index},"device":"${b}"}`;
    for (const fields of [[], [`Host: ${b}`], identityFields(b)]) {
      statuses.push((await device.send('POST', telemetry(a), body, fields)).status);
    }
    device.close();
  });
  expect(statuses).toEqual(Array(DEVICES * 3).fill(200));
  const arrived = gateway.received.slice(before);
  expect(arrived).toHaveLength(DEVICES * 3);
  for (const { target, rawHeaders, body } of arrived) {
    const { temperature } = JSON.parse(body) as { temperature: number };
    const owner = ids[temperature - 1_000] as string;
    expect(target).toBe(telemetry(owner));
    const foreign = othersOf(owner).filter((other) => `${rawHeaders.join(' ')} ${body}`.includes(other));
    expect(foreign).toEqual([]);
  }
});

it("a certificate with B's name does not make A to B, whoever signed it", async () => {
  const before = gateway.received.length;
  const authority = {
    certificate: readFileSync(join(gateway.directory, 'ca', 'cert.pem'), 'utf8'),
    key: readFileSync(join(gateway.directory, 'ca', 'key.pem'), 'utf8'),
  };
  const elsewhere = mkdtempSync(join(tmpdir(), 'sallyport-foreign-'));
  try {
    // Another authority of the very same name.
    await Authority.create(elsewhere, 'Sallyport test');
    const foreign = {
      certificate: readFileSync(join(elsewhere, 'ca', 'cert.pem'), 'utf8'),
      key: readFileSync(join(elsewhere, 'ca', 'key.pem'), 'utf8'),
    };
    const unregistered = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString();
    const outcomes: string[] = [];
    await eachDevice(async (a) => {
      const b = random.pick(othersOf(a));
      const { key } = gateway.devices.get(a) as { key: string };
      const [own, other] = [a, b].map((id) => uri(`urn:sallyport:device:${id}`)) as [Uint8Array, Uint8Array];
      const claims = [
        { signer: authority, names: [other] },
        { signer: authority, names: [own, other] },
        { signer: authority, names: [other, own] },
        { signer: authority, names: [] },
        { signer: foreign, names: [other] },
        { signer: foreign, names: [own] },
        { signer: { key }, names: [other] },
        { signer: { key }, names: [own] },
        // A key that nobody registered, vouched for by the gateway's own authority.
        { signer: authority, names: [other], keyPem: unregistered },
        { signer: { key: unregistered }, names: [other], keyPem: unregistered },
      ];
      for (const { signer, names, keyPem = key } of claims) {
        const cert = forged(signer, { commonName: utf8(b), names, keyPem });
        const device = new RawDevice(gateway, a, { credentials: { cert, key: keyPem } });
        const { status } = await device.send('POST', telemetry(random.pick([a, b])), '{"temperature":-2}');
        if (status !== 0) outcomes.push(`${a} as ${b}: ${status}`);
        device.close();
      }
    });
    console.log(`${DEVICES * 10} certificates with names of others, ${outcomes.length} of them let in`);
    expect(outcomes).toEqual([]);
    expect(gateway.received.length).toBe(before);
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
}, 120_000);

/** A WebSocket of each device, open while everybody attacks everybody. */
async function openChannels(): Promise<Map<string, WebSocket>> {
  const channels = new Map<string, WebSocket>();
  await eachDevice(async (id) => {
    const socket = new WebSocket(`wss://localhost:${gateway.port}${frames(id)}`, {
      ...gateway.tls(id),
      perMessageDeflate: false,
    });
    await once(socket, 'open');
    channels.set(id, socket);
  });
  return channels;
}

/** Counts the WebSockets that are closed or carry somebody else's messages. */
async function takenOver(channels: ReadonlyMap<string, WebSocket>): Promise<number> {
  let taken = 0;
  await eachDevice(async (id, index) => {
    const socket = channels.get(id) as WebSocket;
    const answer = once(socket, 'message');
    socket.send(`{"temperature":${1_000 + index}}`);
    await answer.catch(() => undefined);
    const own = gateway.received.filter(({ verb, body }) => verb === 'WS' && body.includes(`:${1_000 + index}`));
    if (socket.readyState !== WebSocket.OPEN || own.length !== 1 || own[0]?.target !== frames(id)) taken += 1;
    socket.close();
  });
  return taken;
}

function decisionsOnRecord(): Map<string, DecisionEntry> {
  const records = new Map<string, DecisionEntry>();
  for (const line of gateway.ledger().split('\n')) {
    const entry = entryFrom(line);
    if (entry?.kind === 'decision') records.set(entry.decision, entry);
  }
  return records;
}
