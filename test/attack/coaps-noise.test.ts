/**
 * Noise on the UDP port of a whole gateway: junk, hellos whole, cut and altered, records of associations that do not exist. The
 * good device loses nothing, strangers never get more bytes than they sent, and what was no use is counted.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withDevices } from '../../src/cli/devices.ts';
import { Endpoint } from '../../src/coap/endpoint.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { connect } from '../../src/dtls/endpoint.ts';
import type { DtlsSession } from '../../src/dtls/options.ts';
import { fingerprintOf, makePsk, writePsk } from '../../src/identity/psk.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { type Seeded, seeded } from '../fixtures/seeded.ts';

const STRANGERS = 20_000;
let gateway: RunningGateway;
let port: number;
let good: DtlsSession;
let endpoint: Endpoint<string>;
let stranger: Socket;
let received = 0;

beforeAll(async () => {
  gateway = await RunningGateway.open({
    idle: true,
    devices: {},
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0", coaps: "127.0.0.1:0", metrics: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
privacy:
  readings: { keep: [temperature], pseudonymise: [serial] }
`,
  });
  const { directory } = gateway;
  const psk = makePsk('probe-7');
  writePsk(directory, 'probe-7', psk);
  const known = { identity: 'probe-7', fingerprint: fingerprintOf(psk.key) };
  await withDevices(loadConfiguration(directory).settings, ({ operations }) =>
    operations['device-add']({ id: 'probe-7', segment: 'sensors', psk: known, labels: {} }),
  );
  await gateway.start();
  port = Number(gateway.status?.listen.coaps?.split(':').at(-1));
  good = await connect('127.0.0.1', port, { pskIdentity: 'probe-7', pskKey: Buffer.from(psk.key) });
  endpoint = new Endpoint<string>({
    send: (_, bytes) => {
      good.send(bytes);
    },
    now: () => performance.now(),
  });
  good.onmessage = (datagram) => endpoint.receive('gateway', datagram, performance.now());
  stranger = createSocket('udp4').bind(0, '127.0.0.1');
  await once(stranger, 'listening');
  stranger.on('message', (datagram) => {
    received += datagram.length;
  });
});

afterAll(async () => {
  good?.close();
  stranger?.close();
  await gateway?.remove();
});

async function post(): Promise<number> {
  const began = performance.now();
  const payload = Buffer.from('{"serial":"SN-1","temperature":4.5}');
  const { code } = await endpoint.request('gateway', { method: 'POST', pathSegments: ['v1', 'telemetry'], payload });
  expect(code).toBe(0x44);
  return performance.now() - began;
}

/** A well-formed ClientHello of a client that never comes back, from what ours says. */
async function hello(): Promise<Buffer> {
  const listener = createSocket('udp4').bind(0, '127.0.0.1');
  await once(listener, 'listening');
  const heard = once(listener, 'message') as Promise<[Buffer]>;
  const client = connect('127.0.0.1', listener.address().port, {
    ...{ pskIdentity: 'x', pskKey: Buffer.alloc(16), limits: { handshakeDeadlineMs: 100 } },
  }).catch(() => undefined);
  const [datagram] = await heard;
  await client;
  listener.close();
  return datagram;
}

it('the good device loses nothing, and nobody gets more than he sends', async () => {
  const chance = seeded();
  const greeting = await hello();
  const quiet: number[] = [];
  for (let n = 0; n < 50; n++) quiet.push(await post());

  let sent = 0;
  let sending = true;
  const loud: number[] = [];
  const posting = (async () => {
    while (sending) loud.push(await post());
  })();
  for (let n = 0; n < STRANGERS; n++) {
    const datagram = noise(chance, greeting);
    sent += datagram.length;
    stranger.send(datagram, port, '127.0.0.1');
    if (n % 100 === 99) await new Promise((later) => setTimeout(later, 10));
  }
  sending = false;
  await posting;
  await new Promise((later) => setTimeout(later, 500));

  const p99 = (all: number[]) => [...all].sort((a, b) => a - b)[Math.floor(all.length * 0.99)] ?? 0;
  const page = await (await fetch(`http://${gateway.status?.listen.metrics}/metrics`)).text();
  const dropped = [...page.matchAll(/^sallyport_dtls_drops_total\{.*\} (\d+)$/gm)].reduce(
    (sum, one) => sum + Number(one[1]),
    0,
  );
  console.log(
    `${STRANGERS} datagrams of strangers, ${sent} bytes: ${received} bytes back, ${dropped} drops counted; good device ${loud.length} posts, ` +
      `p99 ${p99(loud).toFixed(1)} ms (${p99(quiet).toFixed(1)} before), 0 errors; seed ${chance.seed}`,
  );
  expect(received).toBeLessThan(sent);
  expect(dropped).toBeGreaterThan(STRANGERS / 2);
  expect(loud.length).toBeGreaterThan(10);
  expect(good.state).toBe('open');
  expect(gateway.ledger()).not.toContain('"verdict":"denied"');
});

function noise(chance: Seeded, greeting: Buffer): Buffer {
  const below = (limit: number) => chance.below(limit);
  const kind = below(6);
  if (kind === 0) return Buffer.from(Array.from({ length: 1 + below(80) }, () => below(256)));
  if (kind === 1) return greeting;
  const copy = Buffer.from(greeting);
  if (kind === 2) return copy.subarray(0, 1 + below(copy.length));
  if (kind === 3) {
    // A record of an association that is not his: every content type, both epochs, a Connection ID of his invention.
    const record = Buffer.alloc(60, below(256));
    record.set([20 + below(7), 0xfe, 0xfd, 0, below(3)]);
    record.writeUInt16BE(60 - 13, 11);
    return record;
  }
  for (let bit = 0; bit <= below(6); bit++) {
    const at = below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << below(8));
  }
  return copy;
}
