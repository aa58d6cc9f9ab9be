/** `device disable` on a running gateway: open connections and WebSockets close, resumption is refused, within two seconds. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ask } from '../../src/admin/client.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await RunningGateway.open({
    devices: { 'camera-2': 'cameras', 'camera-3': 'cameras' },
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  cameras:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: frames }
      frames: { allow: "WS /v1/frames/{device.id}", to: cloud, privacy: frames }
privacy:
  frames: { keep: [frame, received] }
`,
  });
});
afterAll(() => gateway?.remove());

async function open(id: string, session?: Buffer): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: gateway.port,
    ...gateway.tls(id),
    ...(session && { session }),
    ALPNProtocols: ['http/1.1'],
  });
  socket.on('error', () => undefined);
  await Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]);
  return socket;
}

/** Sends one request by hand; resolves with what came back before the socket closed or answered. */
async function post(socket: TLSSocket): Promise<string> {
  const body = '{"frame":1}';
  socket.write(
    `POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  const answer = await Promise.race([
    once(socket, 'data').then(([data]) => String(data)),
    once(socket, 'close').then(() => 'closed'),
  ]);
  return answer.split('\r\n')[0] as string;
}

it('disabling a device ends everything it has open, and its session tickets are worth nothing', async () => {
  let session: Buffer | undefined;
  const first = await open('camera-2');
  first.on('session', (ticket: Buffer) => {
    session = ticket;
  });
  expect(await post(first)).toContain('200');
  const resumed = await open('camera-2', session);
  expect(resumed.isSessionReused()).toBe(true);
  expect(await post(resumed)).toContain('200');

  const socket = new WebSocket(`wss://localhost:${gateway.port}/v1/frames/camera-2`, {
    ...gateway.tls('camera-2'),
    perMessageDeflate: false,
  });
  await once(socket, 'open');
  socket.send('{"frame":1}');
  await once(socket, 'message');
  const other = await open('camera-3');
  expect(await post(other)).toContain('200');

  const began = performance.now();
  const closed = Promise.all([once(first, 'close'), once(resumed, 'close'), once(socket, 'close')]);
  await ask(gateway.directory, 'device-state', { id: 'camera-2', state: 'disabled' });
  await closed;
  const tookMs = performance.now() - began;
  console.log(`closed two connections and a WebSocket ${tookMs.toFixed(0)} ms after the command began`);
  expect(tookMs).toBeLessThan(2_000);

  const again = await open('camera-2', session);
  expect(again.destroyed ? 'closed' : await post(again)).toBe('closed');
  expect(await post(other)).toContain('200');
  expect(gateway.received.filter(({ body }) => body.includes('frame')).length).toBe(5);

  await ask(gateway.directory, 'device-state', { id: 'camera-2', state: 'active' });
  const back = await open('camera-2');
  expect(await post(back)).toContain('200');
  for (const one of [other, back]) one.destroy();
});

it('a quarantined device may connect, and is told no', async () => {
  await ask(gateway.directory, 'device-state', { id: 'camera-3', state: 'quarantined' });
  const agent = gateway.agent('camera-3');
  const answer = await gateway.send(agent, 'POST', '/v1/telemetry', '{"frame":1}');
  expect(answer.status).toBe(403);
  expect(JSON.parse(answer.body)).toMatchObject({ reason: 'device-quarantined' });
  await ask(gateway.directory, 'device-state', { id: 'camera-3', state: 'active' });
});
