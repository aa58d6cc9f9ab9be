/**
 * Threat 32: text that forges a line, drives a terminal or hides from a reader. Every naughty string in every place where a
 * device can write, through the real gateway: each line of log and ledger parses, and nothing that was put out has a control
 * character or a text beyond its cap. The same for what could be written if the strict layer were not in front of it.
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ask } from '../../src/admin/client.ts';
import type { DecisionRecord } from '../../src/exchange/gate.ts';
import { Denied, Failed } from '../../src/exchange/outcome.ts';
import { Fault } from '../../src/faults/fault.ts';
import { entryFrom } from '../../src/ledger/entry.ts';
import { MAX_LINE_BYTES } from '../../src/ledger/format.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { verifyLedger } from '../../src/ledger/verify.ts';
import { openLog } from '../../src/telemetry/log.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { arrivalOf, DEVICE, PEER } from '../unit/exchange/gate-fixture.ts';
import { uri, utf8 } from '../unit/identity/certificate-maker.ts';
import { NAUGHTY as FROM_TESTS_OF_PARTS } from '../unit/telemetry/naughty-strings.ts';
import { inProcess } from './configuration/in-process.ts';
import { WIRE_FIELDS } from './logs/wire-fields.ts';
import { command } from './wire/command.ts';
import { forged } from './wire/forged-certificate.ts';
import { GoodClient } from './wire/good-client.ts';
import { RawDevice } from './wire/raw-device.ts';

const NAUGHTY = [...new Set(FROM_TESTS_OF_PARTS)].slice(0, process.env.SALLYPORT_LONG ? undefined : 515);
/** Controls, directions, joiners, surrogates, separators: everything that is not seen where it stands. Not the line's end. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
/** Longest text in a line of log or ledger, UTF-16 units. */
const MAX_TEXT = 512;
const AT_ONCE = 8;

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await RunningGateway.open({
    devices: { 'thermo-1': 'sensors', 'camera-1': 'sensors', 'good-1': 'sensors' },
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0", metrics: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
      frames: { allow: WS /v1/frames, to: cloud, privacy: readings }
privacy:
  readings: { keep: [temperature, received] }
limits: { webSocketMessagesPerSecond: 100000 }
log: { level: debug }
`,
  });
});
afterAll(() => gateway?.remove());

/** Every text in a value, keys included. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [key, ...textsIn(inner)]);
}

/** What is wrong with an output of JSON lines: nothing, if every line parses, is seen and keeps to the cap. */
function wrongLines(output: string, maximum: number): string[] {
  const wrong: string[] = [];
  for (const line of output.split('\n')) {
    if (line === '') continue;
    if (UNSEEN.test(line)) wrong.push(`unseen: ${JSON.stringify(line.slice(0, 200))}`);
    try {
      const texts = textsIn(JSON.parse(line));
      const long = texts.find((text) => text.length > maximum);
      if (long !== undefined) wrong.push(`${long.length} characters: ${line.slice(0, 200)}`);
    } catch {
      wrong.push(`no JSON: ${line.slice(0, 200)}`);
    }
  }
  return wrong;
}

function wrongText(output: string): string[] {
  return output
    .split('\n')
    .filter((line) => UNSEEN.test(line))
    .map((line) => `unseen: ${JSON.stringify(line.slice(0, 200))}`);
}

it(`${NAUGHTY.length} naughty strings in ${WIRE_FIELDS.length + 3} places of the wire: every line parses, 0 control bytes, caps held`, async () => {
  expect(NAUGHTY.length).toBeGreaterThanOrEqual(515);
  expect(WIRE_FIELDS.length).toBeGreaterThanOrEqual(12);
  const good = new GoodClient(gateway, { id: 'good-1' });
  const told: string[] = [];
  const statuses = new Map<number, number>();
  const waiting = NAUGHTY.flatMap((text) => WIRE_FIELDS.map((field) => ({ text, field })));
  let attempts = waiting.length;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      const device = new RawDevice(gateway, 'thermo-1');
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        const { status, head, body } = await device.exchange(next.field.bytes(next.text), next.field.verb);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status >= 400) told.push(head, body);
        if (status === 0) told.push(`no answer to ${next.field.name}`);
        if (status === 101) device.close();
      }
      device.close();
    }),
  );
  expect(told.filter((text) => text.startsWith('no answer'))).toEqual([]);
  attempts += (await frames()) + (await certificates());
  const report = await good.stop();

  const ledger = gateway.ledger();
  const wrong = {
    'problem documents': [
      ...wrongText(told.join('\n').replaceAll('\r', '')),
      ...told.filter(
        (text) =>
          text.startsWith('{') &&
          Object.keys(JSON.parse(text) as object).join() !== 'type,title,status,reason,decision',
      ),
    ],
    log: wrongLines(gateway.output(), MAX_TEXT),
    ledger: [
      ...wrongLines(ledger, MAX_TEXT),
      ...ledger
        .split('\n')
        .filter(
          (line) =>
            !/^[ -~]*$/.test(line) || line.length > MAX_LINE_BYTES || (line !== '' && entryFrom(line) === undefined),
        ),
    ],
    metrics: wrongMetrics(
      await (await fetch(`http://${(await ask(gateway.directory, 'status')).listen.metrics}/metrics`)).text(),
    ),
    ...(await commands(gateway.directory)),
  };
  const total = Object.values(wrong).reduce((sum, list) => sum + list.length, 0);
  const shown = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} x ${status}`);
  console.log(
    `${attempts} naughty requests (${shown.join(', ')}): ${gateway.output().split('\n').length} log lines, ${ledger.split('\n').length} records, ${total} of them wrong; good client: ${report.sent} sent, ${report.errors.length} errors`,
  );
  expect(wrong).toEqual(Object.fromEntries(Object.keys(wrong).map((name) => [name, []])));
  expect((await verifyLedger(join(gateway.directory, 'ledger'), { live: true })).firstProblem).toBeUndefined();
  expect(report.errors).toEqual([]);
}, 240_000);

/** In messages of an open WebSocket, and as the reason of its end. */
async function frames(): Promise<number> {
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`wss://localhost:${gateway.port}/v1/frames`, {
      ...gateway.tls('camera-1'),
      perMessageDeflate: false,
    });
    socket.on('error', () => undefined);
    await once(socket, 'open');
    return socket;
  };
  const socket = await open();
  let messages = 0;
  for (const text of NAUGHTY) {
    if (!text.isWellFormed()) continue;
    const answer = once(socket, 'message');
    socket.send(JSON.stringify({ temperature: 1, [text]: text }));
    await answer;
    messages += 1;
  }
  socket.terminate();
  const reasons = NAUGHTY.filter((text, index) => index % 12 === 0 && Buffer.byteLength(text) < 124);
  for (const reason of reasons) {
    const one = await open();
    const closed = once(one, 'close');
    one.close(4_000, reason);
    await closed;
  }
  return messages + reasons.length;
}

/** As names in certificates that are turned away: of nobody, and of the gateway's own authority for a key of nobody. */
async function certificates(): Promise<number> {
  const authority = {
    certificate: readFileSync(join(gateway.directory, 'ca', 'cert.pem'), 'utf8'),
    key: readFileSync(join(gateway.directory, 'ca', 'key.pem'), 'utf8'),
  };
  const { key } = await gateway.addDevice('spare-1', 'sensors');
  const tried = NAUGHTY.filter((text, index) => index % 4 === 0 && text.length < 8_000);
  for (const [index, text] of tried.entries()) {
    const names = [uri(text), uri(`urn:sallyport:device:${text}`)];
    const cert = forged(index % 2 === 0 ? authority : { key }, { commonName: utf8(text), names, keyPem: key });
    const device = new RawDevice(gateway, 'thermo-1', { credentials: { cert, key } });
    const { status } = await device.send('POST', '/v1/telemetry', '{"temperature":1}');
    if (status !== 0) expect.fail(`let in with ${JSON.stringify(text)}: ${status}`);
  }
  return tried.length;
}

/** Prometheus text format 0.0.4: a comment, or a name with labels and a number. */
function wrongMetrics(page: string): string[] {
  const line =
    /^(?:# (?:HELP|TYPE) [a-z0-9_]+ .+|[a-z0-9_]+(?:\{[a-z_]+="[ -~]*"(?:,[a-z_]+="[ -~]*")*\})? (?:[\d.e+-]+|\+Inf|NaN))$/;
  return page.split('\n').filter((one) => one !== '' && (UNSEEN.test(one) || !line.test(one)));
}

/** What commands print about a ledger. */
async function commands(directory: string): Promise<Record<string, string[]>> {
  const tail = ['-C', directory, 'audit', 'tail', '-n', '100000'];
  const text = await command(...tail);
  const json = await command(...tail, '--json');
  const status = await command('-C', directory, 'status');
  expect([text.code, json.code, status.code]).toEqual([0, 0, 0]);
  return {
    'audit tail': wrongText(text.stdout + text.stderr),
    'audit tail --json': wrongLines(json.stdout, MAX_TEXT),
    status: wrongText(status.stdout),
  };
}

it(`${NAUGHTY.length} strings x 20 fields behind the strict layer: log, ledger and audit tail hold by themselves`, async () => {
  const lines: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-naughty-'));
  try {
    writeFileSync(join(folder, 'sallyport.yaml'), readFileSync(join(gateway.directory, 'sallyport.yaml')));
    const ledger = await Ledger.open(join(folder, 'ledger'), {
      gateway: 'test',
      maxFileBytes: 67_108_864,
      maxQueue: 10_000,
    });
    for (const [index, text] of NAUGHTY.entries()) {
      const destination = { write: (line: string) => void lines.push(line) };
      const log = openLog('debug', { destination, gateway: text });
      const peer = { ...PEER, address: text, key: text, names: [text], issuer: text, serial: text };
      const device = { ...DEVICE, id: text, segment: text, labels: { [text]: text }, manufacturer: text };
      const arrival = arrivalOf({
        id: text,
        listener: text,
        verb: text,
        path: text,
        query: text,
        contentType: text,
        headers: [[text, text]],
        peer,
      });
      log.outcome(arrival, new Denied(text, ['no-route']), device);
      log.outcome(
        arrival,
        new Failed(text, new Fault('SP_INTERNAL', text, { cause: new Error(text), details: { fact: text } })),
        device,
      );
      log.drop('handshake-failed', { address: text, key: text });
      log.refusal('SP_HTTP_SYNTAX', text, peer);
      const record = recordOf(text, index);
      await Promise.all([ledger.record(record), ledger.record({ ...record, verdict: 'permitted', reasons: [] })]);
      ledger.outcome({ decision: text, time: index, fault: 'SP_UPSTREAM_RESPONSE' });
    }
    await ledger.close();
    const onDisk = readFileSync(join(folder, 'ledger', '0000000000000000.jsonl'), 'latin1');
    const wrong = {
      log: wrongLines(lines.join(''), MAX_TEXT),
      ledger: [...wrongLines(onDisk, MAX_TEXT), ...onDisk.split('\n').filter((line) => !/^[ -~]*$/.test(line))].slice(
        0,
        10,
      ),
      ...(await tailOf(folder)),
    };
    console.log(
      `${lines.length} log lines and ${onDisk.split('\n').length} records made of naughty strings: ${Object.values(wrong).flat().length} wrong`,
    );
    expect(wrong).toEqual(Object.fromEntries(Object.keys(wrong).map((name) => [name, []])));
    expect((await verifyLedger(join(folder, 'ledger'))).ok).toBe(true);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);

function recordOf(text: string, time: number): DecisionRecord {
  return {
    decision: text,
    time,
    verdict: 'denied',
    reasons: [text as 'no-route', 'no-route'],
    revision: text,
    device: { id: text, segment: text, state: text },
    peer: { address: text, key: text, serial: text },
    action: {
      protocol: text as 'https',
      verb: text,
      resource: text,
      direction: text as 'toCloud',
      contentType: text,
      bytes: Number.NaN,
      targetDevice: text,
    },
    obligations: { route: text, upstream: text, privacy: text, rate: { bucket: text, perSecond: 1, burst: 1 } },
    tookMicros: Number.POSITIVE_INFINITY,
  };
}

async function tailOf(folder: string): Promise<Record<string, string[]>> {
  const text = await inProcess('-C', folder, 'audit', 'tail', '-n', '100000');
  const json = await inProcess('-C', folder, 'audit', 'tail', '-n', '100000', '--json');
  expect([text.code, json.code]).toEqual([0, 0]);
  return {
    'audit tail': wrongText(text.stdout).slice(0, 10),
    'audit tail --json': wrongLines(json.stdout, MAX_TEXT).slice(0, 10),
  };
}

it('a ledger that somebody has written into is shown without effect', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-forged-'));
  try {
    writeFileSync(join(folder, 'sallyport.yaml'), readFileSync(join(gateway.directory, 'sallyport.yaml')));
    const ids = NAUGHTY.map((_, index) => `0198c1d2-0000-7000-8000-${String(index).padStart(12, '0')}`);
    const lines = NAUGHTY.flatMap((text, index) => {
      const { verdict: _, ...record } = recordOf(text, index);
      const forgery = {
        seq: index,
        kind: 'decision',
        ...record,
        verdict: text,
        decision: ids[index],
        prev: text,
        hash: text,
      };
      const outcome = { kind: 'outcome', time: index, decision: ids[index], fault: text };
      return [forgery, outcome, { kind: 'decision', time: text }, { kind: 'loss', time: 1e99, outcomes: text }];
    });
    mkdirSync(join(folder, 'ledger'));
    writeFileSync(
      join(folder, 'ledger', '0000000000000000.jsonl'),
      lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    );
    const wrong: string[] = [];
    for (const words of [
      ['audit', 'tail', '-n', '100000'],
      ['audit', 'verify'],
      ...ids.filter((_, index) => index % 6 === 0).map((id) => ['explain', id]),
    ]) {
      const { stdout, stderr } = await inProcess('-C', folder, ...words);
      wrong.push(...wrongText(`${stdout}\n${stderr}`).map((one) => `${words.join(' ')}: ${one}`));
      if (words[0] === 'audit') expect(stderr).not.toContain('SP_INTERNAL');
    }
    console.log(`${lines.length} forged records: ${wrong.length} act on a terminal`);
    expect(wrong.slice(0, 5)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);

it('naughty arguments, labels and certificates of an operator are refused or shown without effect', async () => {
  const { directory } = gateway;
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-naughty-'));
  const wrong: string[] = [];
  let shown = 0;
  try {
    const { key } = gateway.devices.get('thermo-1') as { key: string };
    const some = NAUGHTY.filter(
      (text, index) => index % 9 === 0 && !text.includes('\u0000') && !text.startsWith('-') && text !== '',
    );
    for (const [index, text] of some.entries()) {
      const cert = join(folder, `${index}.pem`);
      // A maker with such a name, whose device carries it too.
      writeFileSync(cert, forged({ key }, { commonName: utf8(text), names: [uri(`urn:maker:${index}`)], keyPem: key }));
      const calls = [
        ['device', 'show', text],
        ['device', 'add', `naughty-${index}`, '--segment', text],
        ['device', 'add', `naughty-${index}`, '--segment', 'sensors', '--label', `a=${text}`],
        ['device', 'add', `naughty-${index}`, '--segment', 'sensors', '--label', text],
        ['device', 'add', `labelled-${index}`, '--segment', 'sensors', '--manufacturer', text],
        ['device', 'add', `certified-${index}`, '--segment', 'sensors', '--certificate', cert],
        ['device', 'add', `imported-${index}`, '--segment', 'sensors', '--certificate', text],
        ['explain', text],
        ['config', 'explain', text],
      ];
      for (const words of [calls[index % calls.length], calls[(index + 4) % calls.length]] as string[][]) {
        const { stdout, stderr } = await inProcess('-C', directory, ...words);
        shown += 1;
        wrong.push(
          ...wrongText(`${stdout}\n${stderr}`.replaceAll('\t', ' ')).map(
            (one) => `${words.slice(0, 2).join(' ')}: ${one}`,
          ),
        );
      }
    }
    for (const words of [
      ['device', 'list'],
      ['device', 'list', '--json'],
    ]) {
      const { stdout } = await inProcess('-C', directory, ...words);
      wrong.push(...wrongText(stdout));
    }
    console.log(`${shown} commands with naughty arguments, ${wrong.length} of their lines act on a terminal`);
    expect(wrong).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
