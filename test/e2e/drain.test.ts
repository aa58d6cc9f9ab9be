/**
 * SIGTERM under way: what has begun ends well, nothing new begins, WebSockets are told 1001, and the process ends with 0
 * within limits.drainTimeoutMs with a ledger that verifies. Who is too slow is cut off then; a second signal means now.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type DecisionEntry, entryFrom, type OutcomeEntry } from '../../src/ledger/entry.ts';
import { verifyLedger } from '../../src/ledger/verify.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';

const BODY = '{"temperature":21.5}';
let gateway: RunningGateway;
/** The cloud's answers that wait for the test. */
let held: ServerResponse[] = [];

async function open(drainTimeout: string): Promise<void> {
  held = [];
  gateway = await RunningGateway.open({
    devices: { 'thermo-1': 'sensors', 'thermo-2': 'sensors', 'camera-1': 'sensors' },
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0" }
# One device may hold a quarter of a worker’s share of these.
upstreams: { cloud: { url: "${cloud}", connections: 32 } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
      held: { allow: POST /v1/held, to: cloud, privacy: readings }
      frames: { allow: "WS /v1/frames/{device.id}", to: cloud, privacy: readings }
privacy:
  readings: { keep: [temperature, received] }
limits: { drainTimeoutMs: ${drainTimeout} }
`,
    answer: (incoming, response) => {
      if (incoming.url === '/v1/held') held.push(response);
      else response.end('{}');
    },
  });
}
afterEach(() => gateway?.remove());

/** Waits for what must come true sooner or later; the test's own timeout is the limit. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((later) => setTimeout(later, 10));
}

const accepts = (): Promise<boolean> =>
  new Promise((done) => {
    const socket = connectTcp(gateway.port, '127.0.0.1');
    socket.once('connect', () => done(true)).once('error', () => done(false));
    socket.once('close', () => socket.destroy());
  });

async function handshake(id: string): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: gateway.port,
    ...gateway.tls(id),
    ALPNProtocols: ['http/1.1'],
  });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

async function channel(id: string): Promise<WebSocket> {
  const socket = new WebSocket(`wss://localhost:${gateway.port}/v1/frames/${id}`, {
    ...gateway.tls(id),
    perMessageDeflate: false,
  });
  socket.on('error', () => undefined);
  await once(socket, 'open');
  socket.send(BODY);
  await once(socket, 'message');
  return socket;
}

const head = (path: string, length: number) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

function entries(): (DecisionEntry | OutcomeEntry)[] {
  return gateway
    .ledger()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => entryFrom(line))
    .filter((entry) => entry?.kind === 'decision' || entry?.kind === 'outcome');
}

/** Signals, and resolves with exit code and milliseconds until the end. */
async function ended(signal: NodeJS.Signals): Promise<{ code: number | null; tookMs: number }> {
  const began = performance.now();
  const exit = once(gateway.child as NonNullable<typeof gateway.child>, 'exit');
  gateway.child?.kill(signal);
  const [code] = (await exit) as [number | null];
  return { code, tookMs: performance.now() - began };
}

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it('lets end what has begun, begins nothing, and ends with 0 in time', async () => {
    await open('30 s');
    const requests = [1, 2, 3].map((number) =>
      gateway.send(gateway.agent('thermo-1'), 'POST', '/v1/held', `{"temperature":${number}}`),
    );
    const half = await handshake('thermo-2');
    half.write(head('/v1/telemetry', BODY.length) + BODY.slice(0, 5));
    const idle = await handshake('thermo-2');
    const webSocket = await channel('camera-1');
    await until(() => held.length === 3);

    const said = once(webSocket, 'close').then(([code, reason]) => `${code} ${reason}`);
    const idleClosed = once(idle, 'close');
    const end = ended(signal);
    // While three requests still wait for the cloud, whoever waits for nothing is sent away, and nobody is let in.
    await until(async () => !(await accepts()));
    await idleClosed;
    expect(await said).toBe('1001 SP_GATEWAY_DRAINING');
    expect(gateway.child?.exitCode).toBeNull();

    const late = once(half, 'data').then(([data]) => String(data));
    half.write(BODY.slice(5));
    expect((await late).split('\r\n')[0]).toBe('HTTP/1.1 200 OK');
    for (const response of held) response.end('{}');
    const answers = await Promise.all(requests);
    expect(answers.map(({ status, headers }) => [status, headers.connection])).toEqual(Array(3).fill([200, 'close']));
    const { code, tookMs } = await end;
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(30_000);
    console.log(`${signal}: 4 requests and a WebSocket under way; ended ${tookMs.toFixed(0)} ms after the signal`);

    expect(await verifyLedger(join(gateway.directory, 'ledger'))).toMatchObject({ ok: true });
    // Upgrade, message, its answer, and the four requests; nobody was cut off.
    expect(entries().map(({ kind }) => kind)).toEqual(Array(7).fill('decision'));
    expect(gateway.received.map(({ body }) => body).filter((body) => body.includes('temperature'))).toHaveLength(5);
    expect(gateway.output()).not.toMatch(/"level":"(?:error|warn)"/);
  });
});

describe('SIGTERM', () => {
  it('cuts off at limits.drainTimeoutMs whoever is not done, on record, and still ends with 0', async () => {
    await open('2 s');
    const cut = gateway.send(gateway.agent('thermo-1'), 'POST', '/v1/held', BODY).then(
      ({ status }) => `answered ${status}`,
      (error: NodeJS.ErrnoException) => error.code,
    );
    const half = await handshake('thermo-2');
    half.write(head('/v1/telemetry', BODY.length) + BODY.slice(0, 5));
    const halfClosed = once(half, 'close');
    await until(() => held.length === 1);
    const given = once(held[0] as ServerResponse, 'close');

    const { code, tookMs } = await ended('SIGTERM');
    expect(code).toBe(0);
    expect(tookMs).toBeGreaterThan(1_900);
    expect(tookMs).toBeLessThan(10_000);
    expect(await cut).toBe('ECONNRESET');
    await halfClosed;
    await given; // the cloud is not left waiting either

    expect(await verifyLedger(join(gateway.directory, 'ledger'))).toMatchObject({ ok: true });
    const [decision, outcome] = entries() as [DecisionEntry, OutcomeEntry];
    expect(decision).toMatchObject({ kind: 'decision', verdict: 'permitted' });
    expect(outcome).toMatchObject({ kind: 'outcome', decision: decision.decision, fault: 'SP_EXCHANGE_CANCELLED' });
    // The half request was never decided, so nothing of it is on record, and nothing reached the cloud.
    expect(entries()).toHaveLength(2);
    expect(gateway.received).toHaveLength(1);
  });

  it('twice means now', async () => {
    await open('60 s');
    const cut = gateway.send(gateway.agent('thermo-1'), 'POST', '/v1/held', BODY).then(
      ({ status }) => `answered ${status}`,
      () => 'cut',
    );
    const webSocket = await channel('camera-1');
    const gone = once(webSocket, 'close');
    await until(() => held.length === 1);
    gateway.child?.kill('SIGTERM');
    await until(async () => !(await accepts()));
    const { code, tookMs } = await ended('SIGTERM');
    expect(code).toBe(1);
    expect(tookMs).toBeLessThan(5_000);
    expect(await cut).toBe('cut');
    await gone;
    expect(await verifyLedger(join(gateway.directory, 'ledger'))).toMatchObject({ ok: true });
    // What it left behind does not keep the next one from starting.
    await gateway.start();
    expect((await gateway.send(gateway.agent('thermo-1'), 'POST', '/v1/telemetry', BODY)).status).toBe(200);
  });
});
