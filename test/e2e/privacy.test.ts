/**
 * The whole language of privacy rules through the real gateway: payload, query, headers and path on the way up, tokens
 * mapped back on the way down in answers and on WebSockets, one pseudonym for each purpose. And what no rule lets out is
 * nowhere: not at the cloud, not in the ledger, not in the log, not in any file that the gateway writes.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { ask } from '../../src/admin/client.ts';
import { type Answer, RunningGateway } from '../fixtures/running-gateway.ts';

const PSEUDONYM = /^p1\.[\w-]{22}$/;
const TOKEN = /^t1\.[\w-]{43,}$/;

/** Values that no file and no cloud may ever hold. Mixed case and digits, so that none is a word that may stand in a path. */
const SECRET = {
  serial: 'SN-Canary-4711',
  sensor: 'Sensor-Canary-12',
  mac: '0A:1B:Canary:44',
  owner: 'Ada Canary, attic',
  badge: 'Badge-Canary-9',
  room: 'Room-Canary-3',
  session: 'Session-Canary-5',
  user: 'User-Canary-8',
  cookie: 'Cookie-Canary-6',
} as const;

let gateway: RunningGateway;
let cloud: Server;
let sockets: WebSocketServer;
let agent: Agent;

interface Heard {
  readonly verb: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
const heard: Heard[] = [];
/** What the cloud answers: body, and headers besides. */
let reply: (heard: Heard) => { readonly body: string; readonly headers?: Record<string, string> };
beforeEach(() => {
  reply = () => ({ body: '{}' });
});

beforeAll(async () => {
  cloud = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const one = { verb: method, target: url, headers, body: Buffer.concat(chunks).toString('utf8') };
      heard.push(one);
      const { body, headers: more } = reply(one);
      response.writeHead(200, { 'content-type': 'application/json', ...more }).end(body);
    });
  }).listen(0, '127.0.0.1');
  await once(cloud, 'listening');
  sockets = new WebSocketServer({ server: cloud });
  sockets.on('connection', (socket, { url = '', headers }) => {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data: Buffer) => {
      const one = { verb: 'WS', target: url, headers, body: data.toString('utf8') };
      heard.push(one);
      socket.send(reply(one).body);
    });
  });
  const { port } = cloud.address() as AddressInfo;
  gateway = await RunningGateway.open({
    devices: { 'thermo-1': 'sensors', 'thermo-2': 'sensors' },
    configuration: () => `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams: { cloud: { url: "http://127.0.0.1:${port}" } }
segments:
  sensors:
    routes:
      readings: { allow: POST /v1/readings, to: cloud, privacy: readings }
      inspected: { allow: POST /v1/inspected, to: cloud, privacy: readings, inspect: true }
      billing: { allow: POST /v1/billing, to: cloud, privacy: billing }
      audit: { allow: POST /v1/audit, to: cloud, privacy: audit }
      meters: { allow: "PUT /v1/meters/*/rooms/*", to: cloud, privacy: readings }
      live: { allow: "WS /v1/live", to: cloud, privacy: readings }
privacy:
  readings:
    keep: [temperature, "samples[*].value", unit, known, note, seen]
    pseudonymise: [serial, "samples[*].sensor", "**.mac"]
    tokenise: [room, owner.badge]
    coarsen: { power: 10, humidity: 0.5, time: 60 s, epoch: 60 s, location: 0.1°, corner: 0.1° }
    query: { keep: [unit], pseudonymise: [user], tokenise: [session] }
    headers: { keep: [x-model], pseudonymise: [x-badge], tokenise: [x-visit] }
    path: { pseudonymise: [meters], tokenise: [rooms] }
  billing: { pseudonymise: [serial], tokenise: [room], keep: [known] }
  audit: { pseudonymise: [serial], tokenise: [room], keep: [known], purpose: readings }
log: { level: debug }
`,
  });
  agent = gateway.agent('thermo-1');
});
afterAll(async () => {
  await gateway?.remove();
  for (const socket of sockets?.clients ?? []) socket.terminate();
  cloud?.closeAllConnections();
  cloud?.close();
});

function send(path: string, value: unknown, headers: Record<string, string> = {}, verb = 'POST'): Promise<Answer> {
  return gateway.send(agent, verb, path, typeof value === 'string' ? value : JSON.stringify(value), headers);
}

/** What the cloud hears of a message. */
async function leaves(
  path: string,
  value: unknown,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const answer = await send(path, value, headers);
  expect(answer).toMatchObject({ status: 200 });
  return JSON.parse(heard.at(-1)?.body ?? '') as Record<string, unknown>;
}

const reason = ({ status, body }: Answer) => `${status} ${(JSON.parse(body) as { reason: string }).reason}`;

describe('on the way up', () => {
  it('what a rule keeps passes, what it disguises is disguised, and the rest is gone', async () => {
    const left = await leaves('/v1/readings', {
      temperature: 21.5,
      unit: { of: 'temperature', scale: ['C'] },
      samples: [
        { value: 1, sensor: SECRET.sensor, owner: SECRET.owner },
        { value: null, sensor: SECRET.sensor },
      ],
      serial: SECRET.serial,
      room: SECRET.room,
      owner: { badge: SECRET.badge, name: SECRET.owner },
      deep: { deeper: [{ mac: SECRET.mac, ip: SECRET.owner }] },
      unheardOf: SECRET.owner,
      [SECRET.owner]: 1,
    });
    expect(left).toEqual({
      temperature: 21.5,
      unit: { of: 'temperature', scale: ['C'] },
      samples: [
        { value: 1, sensor: expect.stringMatching(PSEUDONYM) },
        { value: null, sensor: expect.stringMatching(PSEUDONYM) },
      ],
      serial: expect.stringMatching(PSEUDONYM),
      room: expect.stringMatching(TOKEN),
      owner: { badge: expect.stringMatching(TOKEN) },
      deep: { deeper: [{ mac: expect.stringMatching(PSEUDONYM) }] },
    });
    const [first, second] = left.samples as { sensor: string }[];
    expect(first?.sensor).toBe(second?.sensor);
    expect(first?.sensor).not.toBe(left.serial);
  });

  it('numbers, times and positions are rounded', async () => {
    const left = await leaves('/v1/readings', {
      power: 1_234.5,
      humidity: 40.26,
      time: '2026-11-22T14:03:59.482+01:00',
      epoch: 1_795_000_123,
      location: { lat: 48.137_154, lon: 11.576_124 },
      corner: [-33.868_8, 151.209_3],
    });
    expect(left).toEqual({
      power: 1_230,
      humidity: 40.5,
      time: '2026-11-22T13:03:00Z',
      epoch: 1_795_000_080,
      location: { lat: 48.1, lon: 11.6 },
      corner: [-33.9, 151.2],
    });
  });

  it('what cannot be rounded is refused, not passed as it is', async () => {
    const { length } = heard;
    for (const value of [
      { power: 'much' },
      { time: 'soon' },
      { location: SECRET.owner },
      { location: { lat: 48.1, lon: 999 } },
    ]) {
      expect(reason(await send('/v1/readings', value))).toBe('400 SP_PAYLOAD_VALUE');
    }
    expect(heard).toHaveLength(length);
  });

  it('query, headers and path follow their own part of the rule', async () => {
    const answer = await send(
      `/v1/meters/${SECRET.serial}/rooms/${SECRET.room}?unit=C&user=${SECRET.user}&session=${SECRET.session}&debug=${SECRET.user}`,
      { temperature: 20 },
      {
        'x-model': 'T1000',
        'x-badge': SECRET.badge,
        'x-visit': SECRET.session,
        'x-owner': SECRET.badge,
        cookie: `id=${SECRET.cookie}`,
        authorization: `Bearer ${SECRET.cookie}`,
        'user-agent': SECRET.cookie,
        from: SECRET.cookie,
        'accept-language': SECRET.cookie,
        accept: `application/json, text/${SECRET.cookie}`,
      },
      'PUT',
    );
    expect(answer.status).toBe(200);
    const { target, headers } = heard.at(-1) as Heard;
    const { pathname, searchParams } = new URL(target, 'http://cloud');
    const [, , , meter, , room] = pathname.split('/');
    expect(pathname).toMatch(/^\/v1\/meters\/[^/]+\/rooms\/[^/]+$/);
    expect([meter, room]).toEqual([expect.stringMatching(PSEUDONYM), expect.stringMatching(TOKEN)]);
    expect([...searchParams.keys()]).toEqual(['unit', 'user', 'session']);
    expect(Object.fromEntries(searchParams)).toEqual({
      unit: 'C',
      user: expect.stringMatching(PSEUDONYM),
      session: expect.stringMatching(TOKEN),
    });
    expect(headers).toMatchObject({
      accept: 'application/json',
      'x-model': 'T1000',
      'x-badge': expect.stringMatching(PSEUDONYM),
      'x-visit': expect.stringMatching(TOKEN),
    });
    expect(Object.keys(headers).sort()).toEqual([
      ...['accept', 'accept-encoding', 'connection', 'content-length', 'content-type', 'host'],
      ...['sallyport-decision', 'x-badge', 'x-model', 'x-visit'],
    ]);
  });

  it('the same value has the same pseudonym wherever it stands, and so the same token', async () => {
    const { serial, room } = await leaves('/v1/readings', { serial: SECRET.serial, room: SECRET.room });
    await send(
      `/v1/meters/${SECRET.serial}/rooms/${SECRET.room}?user=${SECRET.serial}`,
      '{}',
      { 'x-badge': SECRET.serial },
      'PUT',
    );
    const { target, headers } = heard.at(-1) as Heard;
    expect(target).toBe(`/v1/meters/${serial}/rooms/${room}?user=${serial}`);
    expect(headers['x-badge']).toBe(serial);
  });

  it('a number and a text of the same digits are two values', async () => {
    const text = await leaves('/v1/readings', { serial: '4711' });
    const number = await leaves('/v1/readings', { serial: 4711 });
    expect(text.serial).not.toBe(number.serial);
  });

  it('what policy looks at is disguised all the same', async () => {
    const plain = await leaves('/v1/readings', { serial: SECRET.serial });
    expect(await leaves('/v1/inspected', { serial: SECRET.serial, owner: SECRET.owner })).toEqual(plain);
  });

  it.each([
    ['is no JSON', '{"serial":', {}, '400 SP_PAYLOAD_SYNTAX'],
    ['has two readings', `{"serial":"a","serial":"${SECRET.serial}"}`, {}, '400 SP_PAYLOAD_DUPLICATE_KEY'],
    ['is another type', SECRET.owner, { 'content-type': 'text/plain' }, '415 SP_PAYLOAD_TYPE'],
    ['is encoded', SECRET.owner, { 'content-encoding': 'gzip' }, '415 SP_PAYLOAD_TYPE'],
    [
      'does not say what it is',
      SECRET.owner,
      { 'content-type': 'application/x-www-form-urlencoded' },
      '415 SP_PAYLOAD_TYPE',
    ],
  ])('a payload that %s is refused', async (_, body, headers, told) => {
    const { length } = heard;
    expect(reason(await send('/v1/readings', body, headers))).toBe(told);
    expect(heard).toHaveLength(length);
  });
});

describe('two purposes', () => {
  it('give one value two pseudonyms and two tokens; rules of one purpose can be joined', async () => {
    const value = { serial: SECRET.serial, room: SECRET.room };
    const [readings, billing, audit] = [
      await leaves('/v1/readings', value),
      await leaves('/v1/billing', value),
      await leaves('/v1/audit', value),
    ];
    expect(billing.serial).toMatch(PSEUDONYM);
    expect(billing.room).toMatch(TOKEN);
    expect(billing.serial).not.toBe(readings.serial);
    expect(billing.room).not.toBe(readings.room);
    expect(audit).toEqual(readings);
  });

  it('do not open each other’s tokens', async () => {
    const { room } = await leaves('/v1/readings', { room: SECRET.room });
    reply = () => ({ body: JSON.stringify({ known: room }) });
    expect(reason(await send('/v1/billing', { known: 1 }))).toBe('502 SP_PAYLOAD_TOKEN');
    expect((await send('/v1/audit', { known: 1 })).body).toBe(JSON.stringify({ known: SECRET.room }));
  });
});

describe('on the way down', () => {
  it('tokens become what the device knows, pseudonyms stay what they are', async () => {
    const { serial, room, owner } = await leaves('/v1/readings', {
      serial: SECRET.serial,
      room: SECRET.room,
      owner: { badge: SECRET.badge },
    });
    const { badge } = owner as { badge: string };
    reply = () => ({
      body: JSON.stringify({ serial, rooms: [{ room }, room], text: `in ${room}`, badge }),
      headers: { location: `/v1/rooms/${room}?of=1`, etag: badge, 'x-hint': room as string, 'set-cookie': 'a=b' },
    });
    const answer = await send('/v1/readings', { temperature: 1 });
    expect(JSON.parse(answer.body)).toEqual({
      serial,
      rooms: [{ room: SECRET.room }, SECRET.room],
      text: `in ${room}`,
      badge: SECRET.badge,
    });
    expect(answer.headers).toMatchObject({ location: `/v1/rooms/${SECRET.room}?of=1`, etag: SECRET.badge });
    expect(Object.keys(answer.headers)).not.toContain('x-hint');
    expect(Object.keys(answer.headers)).not.toContain('set-cookie');
  });

  it('one device’s token is worth nothing to another', async () => {
    const { room } = await leaves('/v1/readings', { room: SECRET.room });
    reply = () => ({ body: JSON.stringify({ known: room }) });
    const other = await gateway.send(gateway.agent('thermo-2'), 'POST', '/v1/readings', '{"temperature":1}');
    expect(reason(other)).toBe('502 SP_PAYLOAD_TOKEN');
    expect((await send('/v1/readings', { temperature: 1 })).body).toBe(JSON.stringify({ known: SECRET.room }));
  });

  it('a token that was altered is refused, whatever was altered', async () => {
    const { room } = (await leaves('/v1/readings', { room: SECRET.room })) as { room: string };
    const altered = [
      `${room.slice(0, -1)}${room.endsWith('A') ? 'Q' : 'A'}`,
      `${room.slice(0, 3)}${room[3] === 'A' ? 'B' : 'A'}${room.slice(4)}`,
      room.replace('t1.', 't2.'),
      `${room}AAAA`,
    ];
    for (const forged of altered) {
      reply = () => ({ body: JSON.stringify({ known: forged }) });
      expect(reason(await send('/v1/readings', { temperature: 1 }))).toBe('502 SP_PAYLOAD_TOKEN');
    }
  });

  it('holds on a WebSocket, message by message and both ways', async () => {
    const { length } = heard;
    reply = ({ body }) => {
      const { room } = JSON.parse(body) as { room?: string };
      return { body: JSON.stringify({ go: room, seen: body.length > 0 }) };
    };
    const socket = new WebSocket(`wss://localhost:${gateway.port}/v1/live?user=${SECRET.user}&debug=1`, {
      ...gateway.tls('thermo-1'),
      perMessageDeflate: false,
      headers: { 'x-badge': SECRET.badge, cookie: SECRET.cookie },
    });
    socket.on('error', () => undefined);
    await once(socket, 'open');
    const next = () => once(socket, 'message').then(([data]) => JSON.parse(String(data)) as unknown);
    for (const room of [SECRET.room, SECRET.session]) {
      const answer = next();
      socket.send(JSON.stringify({ temperature: 20, serial: SECRET.serial, room, owner: SECRET.owner }));
      expect(await answer).toEqual({ go: room, seen: true });
    }
    const up = heard.slice(length);
    expect(up.map(({ body }) => JSON.parse(body))).toEqual(
      Array(2).fill({
        temperature: 20,
        serial: expect.stringMatching(PSEUDONYM),
        room: expect.stringMatching(TOKEN),
      }),
    );
    expect(up[0]?.target).toMatch(/^\/v1\/live\?user=p1\.[\w-]{22}$/);
    expect(up[0]?.headers['x-badge']).toMatch(PSEUDONYM);
    expect(up[0]?.headers.cookie).toBeUndefined();

    // A forged token ends the conversation: the cloud is at fault, and the device is not told a thing of it.
    const closed = once(socket, 'close').then(([code, why]) => `${code} ${why}`);
    reply = () => ({ body: '{"go":"t1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}' });
    socket.send('{"temperature":1}');
    expect(await closed).toBe('1014 SP_PAYLOAD_TOKEN');
  });
});

describe('nothing of it stays behind', () => {
  it('in what the cloud heard, the ledger, the log, or any file that the gateway writes', async () => {
    await send(`/v1/unknown/${SECRET.serial}?user=${SECRET.user}`, { owner: SECRET.owner });
    const status = await ask(gateway.directory, 'status');
    await gateway.stop();
    const places: Record<string, string> = {
      cloud: JSON.stringify(heard),
      log: gateway.output(),
      status: JSON.stringify(status),
      ...Object.fromEntries(['ledger', 'state', 'run'].flatMap((folder) => filesOf(join(gateway.directory, folder)))),
    };
    expect(places.log?.split('\n').length).toBeGreaterThan(30);
    expect(Object.values(places).join('').length).toBeGreaterThan(50_000);
    const found = Object.entries(places).flatMap(([place, text]) =>
      Object.values(SECRET).flatMap((secret) =>
        spellings(secret)
          .filter((spelling) => text.includes(spelling))
          .map((spelling) => `${place}: ${spelling}`),
      ),
    );
    expect(found).toEqual([]);
  });
});

function filesOf(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => [path, readFileSync(path, 'latin1')]);
}

function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    ...[secret, encodeURIComponent(secret), secret.toLowerCase(), secret.toUpperCase()],
    ...[bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, ''), [...secret].reverse().join('')],
  ];
}
