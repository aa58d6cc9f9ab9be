/**
 * Threat 26: a value that was to be dropped, or to become a pseudonym, leaks by another way. Ten thousand canaries in seven
 * spellings are planted in every place of permitted and refused requests, WebSocket messages, certificates, and answers of
 * the cloud; then everything the gateway has put out is searched for them in every spelling: what reached the cloud, ledger,
 * log, metrics, problem documents, what commands print, and every file of its folder but the keys.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ask } from '../../src/admin/client.ts';
import { Authority } from '../../src/identity/ca/authority.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { seeded } from '../fixtures/seeded.ts';
import { uri, utf8 } from '../unit/identity/certificate-maker.ts';
import { Canaries, digests, ENCODINGS, encoded, findings, type Kind, MARKS } from './canaries/canary.ts';
import { payload, permitted, REFUSED } from './canaries/requests.ts';
import { command } from './wire/command.ts';
import { forged } from './wire/forged-certificate.ts';
import { GoodClient } from './wire/good-client.ts';
import { HANDSHAKE, type RawAnswer, RawDevice } from './wire/raw-device.ts';

const PLANTED = process.env.SALLYPORT_LONG ? 100_000 : 10_000;
const random = seeded();
const canaries = new Canaries(random.random);

let gateway: RunningGateway;
/** What devices were told when they were refused. */
const refusals: string[] = [];
/** What the cloud is to answer with next, if not with `{}`. */
let answer: ((request: IncomingMessage, response: ServerResponse, body: string) => void) | undefined;

beforeAll(async () => {
  gateway = await RunningGateway.open({
    devices: { 'thermo-1': 'sensors', 'thermo-2': 'sensors', 'good-1': 'sensors' },
    answer: (request, response, body) => {
      if (answer) answer(request, response, body);
      else response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    },
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0", metrics: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: people }
      users: { allow: POST /v1/users/*/telemetry, to: cloud, privacy: people, inspect: true }
      others: { allow: POST /v1/others, to: cloud, privacy: others }
      bare: { allow: "* /v1/bare", to: cloud }
      frames: { allow: WS /v1/frames/*, to: cloud, privacy: people }
    reach: { sensors: [GET /v1/status] }
privacy:
  people:
    keep: [temperature, note, received]
    pseudonymise: ["**.serial"]
    tokenise: ["**.owner"]
    coarsen: { power: 10 }
    query: { keep: [keep], pseudonymise: [pseudo], tokenise: [token] }
    headers: { keep: [x-keep], pseudonymise: [x-pseudo], tokenise: [x-token] }
    path: { pseudonymise: [users, frames] }
  others: { keep: [temperature], tokenise: [owner] }
log: { level: debug }
`,
  });
  const authority = await Authority.open(gateway.directory);
  const { certificatePem, keyPem = '' } = await authority.issueDevice('labelled-1');
  const labels = { owner: canaries.mint('label') };
  const facts = {
    manufacturer: canaries.mint('label'),
    model: canaries.mint('label'),
    firmware: canaries.mint('label'),
  };
  await ask(gateway.directory, 'device-add', {
    id: 'labelled-1',
    segment: 'sensors',
    certificatePem,
    labels,
    ...facts,
  });
  gateway.devices.set('labelled-1', { id: 'labelled-1', cert: certificatePem, key: keyPem, ca: authority.certificate });
});
afterAll(() => gateway?.remove());

const plant = async (device: RawDevice, bytes: Buffer, verb: string): Promise<RawAnswer> => {
  const answered = await device.exchange(bytes, verb);
  if (answered.status >= 400) refusals.push(`${answered.head}\r\n\r\n${answered.body}`);
  return answered;
};

describe('a search that finds nothing', () => {
  it('would find each spelling', () => {
    for (const kind of Object.keys(MARKS) as Kind[]) {
      for (const encoding of ENCODINGS) {
        const value = encoded(new Canaries(random.random).mint(kind), encoding);
        for (const text of [
          value,
          `a${value}b`,
          `{"a":"${value}"}`,
          Buffer.from(value, 'utf16le').toString('latin1'),
        ]) {
          // Only plain text is looked for in UTF-16.
          if (text.includes('\u0000') && !['plain', 'upper', 'lower'].includes(encoding)) continue;
          expect(findings(text, [kind]).length, `${kind} ${encoding}`).toBeGreaterThan(0);
        }
      }
      for (const offset of ['', 'a', 'ab', 'abc']) {
        expect(findings(Buffer.from(`${offset}${MARKS[kind]}123`).toString('base64'), [kind])).not.toEqual([]);
      }
      expect(findings('nothing of it', [kind])).toEqual([]);
    }
  });
});

it(`${PLANTED} canaries in ${ENCODINGS.length} spellings: none in any output (seed ${random.seed})`, async () => {
  const good = new GoodClient(gateway, { id: 'good-1' });
  const device = new RawDevice(gateway, 'thermo-1');
  await plantCertificates();
  let requests = 0;
  let turn = 0;
  const unexpected: string[] = [];
  while (canaries.values.length < PLANTED - 1_500) {
    const one = permitted(canaries, turn);
    requests += 1;
    const { status } = await plant(device, one.bytes, one.verb);
    if (status !== 200) unexpected.push(`${one.name}: ${status}`);
    for (let count = 0; count < 2; count++) {
      const refused = (REFUSED[turn++ % REFUSED.length] as (typeof REFUSED)[number])(canaries);
      requests += 1;
      const told = await plant(device, refused.bytes, refused.verb);
      if (told.status < 400 && told.status !== 0) unexpected.push(`${refused.name}: ${told.status}`);
    }
  }
  expect(unexpected).toEqual([]);
  await plantFrames();
  await plantAnswers(device);
  const labelled = new RawDevice(gateway, 'labelled-1');
  while (canaries.values.length < PLANTED) {
    const one = permitted(canaries, turn++);
    requests += 1;
    await plant(labelled, one.bytes, one.verb);
  }
  labelled.close();
  device.close();
  const report = await good.stop();

  const outputs = await everything();
  const found: string[] = [];
  let bytes = 0;
  for (const [name, { kinds, content }] of outputs) {
    bytes += content.length;
    for (const finding of findings(content, kinds)) found.push(`${name}: ${finding}`);
  }
  const guessable = digests(
    [...outputs.values()].map(({ content }) => content),
    canaries.forms,
  );
  console.log(
    `${canaries.values.length} canaries in ${ENCODINGS.length} spellings, ${requests} requests, ${REFUSED.length} kinds of refusal: ${found.length} hits in ${outputs.size} outputs (${Math.round(bytes / 1_024)} KiB), ${guessable.length} digests without key; good client: ${report.sent} sent, ${report.errors.length} errors`,
  );
  expect(found).toEqual([]);
  expect(guessable).toEqual([]);
  // And what was to be kept did arrive.
  expect(findings(outputs.get('cloud')?.content ?? '', ['kept'])).not.toEqual([]);
  expect(report.errors).toEqual([]);
}, 240_000);

it('a token comes back as what it was, to its own device and rule alone', async () => {
  const secret = canaries.mint();
  let token = '';
  let echo = '';
  answer = (_request, response, body) => {
    token ||= (JSON.parse(body) as { owner: string }).owner;
    const headers = { 'content-type': 'application/json', location: `/v1/users/${token}` };
    response.writeHead(201, headers).end(JSON.stringify({ owner: token, a: [token] }));
  };
  try {
    const first = gateway.agent('thermo-1');
    const back = await gateway.send(first, 'POST', '/v1/telemetry', `{"owner":"${secret}"}`);
    expect(token).toMatch(/^t1\./);
    expect(JSON.parse(back.body)).toEqual({ owner: secret, a: [secret] });
    expect(back.headers.location).toBe(`/v1/users/${secret}`);
    // To another device it is nothing, even under the same rule: a cloud could have one open the tokens of all.
    const thief = await gateway.send(gateway.agent('thermo-2'), 'POST', '/v1/telemetry', '{"temperature":1}');
    expect(thief.status).toBe(502);
    expect(findings(JSON.stringify([thief.headers, thief.body]), ['secret'])).toEqual([]);
    // And the token of one purpose opens under no other.
    const other = await gateway.send(first, 'POST', '/v1/others', '{"owner":"somebody"}');
    echo = other.body;
    expect(other.status).toBe(502);
    expect(findings(echo, ['secret'])).toEqual([]);
  } finally {
    answer = undefined;
  }
});

/** Certificates with canaries in their names: of no authority, and of the gateway's own for a key that nobody registered. */
async function plantCertificates(): Promise<void> {
  const authority = {
    certificate: readFileSync(join(gateway.directory, 'ca', 'cert.pem'), 'utf8'),
    key: readFileSync(join(gateway.directory, 'ca', 'key.pem'), 'utf8'),
  };
  const { key } = await gateway.addDevice('spare-1', 'sensors');
  await ask(gateway.directory, 'device-state', { id: 'spare-1', state: 'disabled' });
  for (const signer of [authority, { key }]) {
    for (let count = 0; count < 20; count++) {
      const commonName = utf8(canaries.planted());
      const cert = forged(signer, { commonName, names: [uri(`urn:sallyport:device:${canaries.mint()}`)], keyPem: key });
      const device = new RawDevice(gateway, 'spare-1', {
        credentials: { cert, key },
        servername: `${canaries.mint()}.example`,
      });
      expect((await device.send('GET', `/${canaries.planted('path')}`)).status).toBe(0);
    }
  }
}

/** Messages on open WebSockets: treated, and refused. */
async function plantFrames(): Promise<void> {
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(
      `wss://localhost:${gateway.port}/v1/frames/${canaries.mint()}?drop=${canaries.planted()}`,
      {
        ...gateway.tls('thermo-2'),
        perMessageDeflate: false,
        headers: { 'x-serial': canaries.planted(), cookie: canaries.planted() },
      },
    );
    socket.on('error', () => undefined);
    await Promise.race([once(socket, 'open'), once(socket, 'close')]);
    return socket;
  };
  const offering = new RawDevice(gateway, 'thermo-2');
  const offer = [...HANDSHAKE, `Sec-WebSocket-Protocol: ${canaries.mint()}, ${canaries.planted()}`];
  expect((await offering.send('GET', `/v1/frames/${canaries.planted('path')}`, '', offer)).status).toBe(101);
  offering.close();
  const one = await open();
  expect(one.readyState).toBe(WebSocket.OPEN);
  for (let count = 0; count < 40; count++) {
    const next = once(one, 'message');
    one.send(payload(canaries, count));
    await next;
    await new Promise((later) => setTimeout(later, 12));
  }
  one.ping(canaries.mint());
  one.close(1000, canaries.mint());
  await once(one, 'close');
  const bad: (string | Buffer)[] = [
    `{"a":"${canaries.mint()}`,
    canaries.mint(),
    Buffer.from(canaries.mint()),
    `{"${canaries.mint()}":1,"a":1,"a":2}`,
    `{"power":"${canaries.planted()}"}`,
    `{"a":"${canaries.mint()}${'x'.repeat(300_000)}"}`,
  ];
  for (const message of bad) {
    const socket = await open();
    const closed = once(socket, 'close');
    socket.send(message);
    const [, reason] = (await closed) as [number, Buffer];
    refusals.push(reason.toString());
  }
}

/** What the cloud says is nothing for ledger, log, metrics or commands either. */
async function plantAnswers(device: RawDevice): Promise<void> {
  const bad: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(500, { 'x-secret': canaries.mint() }).end(canaries.mint()),
    (response) => response.writeHead(200, { 'content-type': 'application/json' }).end(`{"a":"${canaries.mint()}`),
    (response) =>
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(`{"a":"t1.${Buffer.from(canaries.mint().repeat(3)).toString('base64url')}"}`),
    (response) => response.writeHead(302, { location: `https://${canaries.mint()}.example/` }).end(),
    (response) => response.socket?.end(`HTTP/1.1 200 OK\r\n${canaries.mint()}\r\n\r\n`),
    (response) => response.socket?.end(`HTTP/9.9 ${canaries.mint()}\r\n\r\n`),
    (response) => response.socket?.end(`${canaries.mint()}\r\n\r\n`),
    (response) => response.socket?.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: ${canaries.mint()}\r\n\r\n`),
    (response) =>
      response.socket?.end(`HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\nX-A: ${canaries.mint()}\r\n\r\n`),
    (response) => response.socket?.end(`HTTP/1.1 200 OK\r\nX-A: ${canaries.mint()}${'x'.repeat(40_000)}\r\n\r\n`),
  ];
  const held = new RawDevice(gateway, 'thermo-2');
  for (const [index, respond] of bad.entries()) {
    answer = (request, response) => {
      // The good client goes on being answered.
      if (request.url === '/v1/telemetry') response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      else respond(response);
    };
    const one = permitted(canaries, index);
    const told = await (index % 2 === 0 ? device : held).exchange(one.bytes, one.verb);
    if (told.status === 502) refusals.push(`${told.head}\r\n\r\n${told.body}`);
    // Two failures in a row and more would open the circuit, and the rest would never be asked.
    answer = undefined;
    const between = permitted(canaries, index);
    await device.exchange(between.bytes, between.verb);
  }
  held.close();
}

interface Output {
  /** Which canaries must not be there. */
  readonly kinds: readonly Kind[];
  readonly content: Buffer;
}

/** Everything the gateway has put out. */
async function everything(): Promise<Map<string, Output>> {
  const outputs = new Map<string, Output>();
  const add = (name: string, content: string | Buffer, kinds: readonly Kind[] = ['secret', 'kept', 'label']) =>
    outputs.set(name, { kinds, content: Buffer.from(content) });
  const { directory } = gateway;
  add(
    'cloud',
    gateway.received
      .map(({ verb, target, rawHeaders, body }) => `${verb} ${target}\n${rawHeaders.join('\n')}\n${body}`)
      .join('\n\n'),
    ['secret', 'label'],
  );
  add('problem documents', refusals.join('\n'));
  add('log', gateway.output());
  const status = await ask(directory, 'status');
  add('status by socket', JSON.stringify(status));
  for (const page of ['metrics', 'readyz', 'healthz'])
    add(page, await (await fetch(`http://${status.listen.metrics}/${page}`)).text());

  const decisions = refusals.flatMap((text) => /"decision":"([0-9a-f-]{36})"/.exec(text)?.[1] ?? []);
  const lines = gateway.ledger().split('\n');
  const asked = new Set<string>();
  for (const reason of [
    'no-route',
    'payload-not-covered',
    'target-unknown',
    'reach-not-allowed',
    'stream-not-allowed',
    'SP_PAYLOAD_SYNTAX',
    'SP_UPSTREAM_RESPONSE',
  ]) {
    const about = lines
      .filter((line) => line.includes(reason))
      .map((line) => /"decision":"([0-9a-f-]{36})"/.exec(line)?.[1]);
    const one = about.find((id) => id !== undefined);
    if (one !== undefined) asked.add(one);
  }
  expect(decisions.length).toBeGreaterThan(100);
  expect(asked.size).toBeGreaterThanOrEqual(5);
  const commands: string[][] = [
    ['status'],
    ['status', '--json'],
    ['audit', 'tail', '-n', '100000'],
    ['audit', 'tail', '-n', '100000', '--json'],
    ['audit', 'verify'],
    ['device', 'list', '--json'],
    ...[...asked].flatMap((id, index) => [['explain', id, ...(index % 2 === 0 ? [] : ['--json'])]]),
  ];
  for (const words of commands) {
    const { code, stdout, stderr } = await command('-C', directory, ...words);
    expect(code, `${words.join(' ')}: ${stderr}`).toBe(0);
    add(
      words.join(' '),
      `${stdout}\n${stderr}`,
      words[0] === 'device' ? ['secret', 'kept'] : ['secret', 'kept', 'label'],
    );
  }
  for (const file of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, file);
    if (file.startsWith('keys') || !statSync(path).isFile()) continue;
    add(
      `file ${relative(directory, path)}`,
      readFileSync(path),
      file.startsWith('state') ? ['secret', 'kept'] : ['secret', 'kept', 'label'],
    );
  }
  return outputs;
}
