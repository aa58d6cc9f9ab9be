/** Sets the demo's stage in a temporary folder: gateway, authority, a cloud that demands our certificate, and the devices. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ask } from '../admin/client.ts';
import { withDevices } from '../cli/devices.ts';
import { initialise } from '../cli/init.ts';
import { CONFIGURATION_FILE, loadConfiguration } from '../config/load.ts';
import { Fault } from '../faults/fault.ts';
import { Authority } from '../identity/ca/authority.ts';
import { fingerprintOf, makePsk, writePsk } from '../identity/psk.ts';
import { type CloudMessage, CloudStandIn } from './cloud.ts';
import { SimulatedDevice } from './device.ts';
import { SmallDevice } from './small-device.ts';

const LAUNCHER = fileURLToPath(new URL('../launch.mjs', import.meta.url));
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 12_000;

export interface House {
  readonly directory: string;
  readonly https: string;
  readonly cloud: CloudStandIn;
  /** From starting the gateway's process until it answered that it is ready. */
  readonly readyMs: number;
  readonly devices: Readonly<Record<'thermo-1' | 'thermo-2' | 'greedy-9' | 'camera-2', SimulatedDevice>>;
  /** Speaks CoAP, and is known by a pre-shared key. */
  readonly probe: SmallDevice;
  /** Speaks CoAP, and observes what it is to do. */
  readonly valve: SmallDevice;
  /** Says to be the probe, and does not have its key. */
  readonly pretender: SmallDevice;
  /** A certificate that nobody here issued, and one of ours that nobody registered. */
  readonly thieves: Readonly<Record<'foreign' | 'unregistered', SimulatedDevice>>;
  /** Ends the gateway (SIGTERM, and waits) and the cloud; the folder stays for a last look. */
  stop(): Promise<void>;
  /** What the gateway wrote: its log, and every file of its ledger. For leak checks. */
  written(): string;
  remove(): void;
}

/** Builds and starts everything. Whatever fails is cleaned up before the error is thrown. */
export async function openHouse(onMessage: (message: CloudMessage) => void): Promise<House> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-demo-'));
  const closers: (() => Promise<void> | void)[] = [() => rmSync(directory, { recursive: true, force: true })];
  try {
    const gateway = join(directory, 'gw');
    await initialise(gateway, {
      cloud: 'https://localhost:9',
      httpsPort: '0',
      host: '127.0.0.1',
      name: 'demo',
      cloudCa: 'authority',
      serverName: [],
    });
    const authority = await Authority.open(gateway);
    const server = await authority.issueServer(['localhost'], []);
    const cloud = new CloudStandIn(
      { certificatePem: server.certificatePem, keyPem: server.keyPem ?? '', authorityPem: authority.certificate },
      onMessage,
    );
    const origin = await cloud.listen();
    closers.push(() => cloud.close());
    writeFileSync(join(gateway, CONFIGURATION_FILE), configurationFor(origin));

    const certificates = new Map<string, { certificatePem: string; keyPem: string; authorityPem: string }>();
    const { settings } = loadConfiguration(gateway);
    const keys = { 'probe-7': makePsk('probe-7'), 'valve-4': makePsk('valve-4') };
    for (const [id, psk] of Object.entries(keys)) writePsk(gateway, id, psk);
    await withDevices(settings, async ({ operations }) => {
      for (const [id, segment] of Object.entries({
        'thermo-1': 'sensors',
        'thermo-2': 'sensors',
        'greedy-9': 'sensors',
        'camera-2': 'cameras',
      })) {
        const issued = await authority.issueDevice(id);
        await operations['device-add']({ id, segment, certificatePem: issued.certificatePem, labels: {} });
        certificates.set(id, {
          certificatePem: issued.certificatePem,
          keyPem: issued.keyPem ?? '',
          authorityPem: authority.certificate,
        });
      }
      for (const [id, { identity, key }] of Object.entries(keys)) {
        const psk = { identity, fingerprint: fingerprintOf(key) };
        await operations['device-add']({ id, segment: id === 'valve-4' ? 'valves' : 'sensors', psk, labels: {} });
      }
    });
    const unregistered = await authority.issueDevice('thermo-3');
    const elsewhere = await Authority.create(join(directory, 'elsewhere'), 'Somebody Else');
    const foreign = await elsewhere.issueDevice('thermo-1');

    const started = performance.now();
    const child = startGateway(gateway);
    closers.push(() => stopGateway(child.process));
    const { https, coaps } = await ready(gateway, child);
    const readyMs = Math.round(performance.now() - started);

    const port = Number(https.split(':').at(-1));
    const device = (id: string, own: { certificatePem: string; keyPem?: string | undefined }) =>
      new SimulatedDevice(
        id,
        { certificatePem: own.certificatePem, keyPem: own.keyPem ?? '', authorityPem: authority.certificate },
        '127.0.0.1',
        port,
      );
    const registered = (id: string) => device(id, certificates.get(id) ?? unregistered);
    const devices = {
      'thermo-1': registered('thermo-1'),
      'thermo-2': registered('thermo-2'),
      'greedy-9': registered('greedy-9'),
      'camera-2': registered('camera-2'),
    };
    const thieves = { foreign: device('unknown', foreign), unregistered: device('thermo-3', unregistered) };
    const coapsPort = Number(coaps.split(':').at(-1));
    const probe = new SmallDevice('probe-7', keys['probe-7'], coapsPort);
    const valve = new SmallDevice('valve-4', keys['valve-4'], coapsPort);
    const pretender = new SmallDevice('probe-7', makePsk('probe-7'), coapsPort);
    return {
      directory: gateway,
      https,
      probe,
      valve,
      pretender,
      cloud,
      readyMs,
      devices,
      thieves,
      stop: async () => {
        for (const one of [...Object.values(devices), ...Object.values(thieves), probe, valve, pretender]) one.close();
        await stopGateway(child.process);
        await cloud.close();
      },
      written: () =>
        [
          child.log(),
          // Other workers' streams are in the folders below.
          ...readdirSync(join(gateway, 'ledger'), { recursive: true, encoding: 'utf8' })
            .filter((name) => name.endsWith('.jsonl'))
            .map((name) => readFileSync(join(gateway, 'ledger', name), 'utf8')),
        ].join('\n'),
      remove: () => rmSync(directory, { recursive: true, force: true }),
    };
  } catch (thrown) {
    for (const close of closers.reverse()) await close();
    throw thrown;
  }
}

interface Started {
  readonly process: ChildProcess;
  /** Everything it has said so far. */
  log(): string;
}

function startGateway(directory: string): Started {
  const chunks: Buffer[] = [];
  const child = spawn(process.execPath, [LAUNCHER, '-C', directory, 'run', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, SALLYPORT_LAUNCHER: String(process.pid) },
  });
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  return { process: child, log: () => Buffer.concat(chunks).toString('utf8') };
}

async function ready(directory: string, child: Started): Promise<{ https: string; coaps: string }> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline && child.process.exitCode === null) {
    const status = await ask(directory, 'status').catch(() => undefined);
    const { https, coaps } = status?.listen ?? {};
    if (status?.ready && https !== undefined && coaps !== undefined) return { https, coaps };
    await new Promise((later) => setTimeout(later, 15));
  }
  throw new Fault('SP_GATEWAY_NOT_RUNNING', `The gateway did not become ready:\n${child.log().slice(-2_000)}`);
}

async function stopGateway(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}

function configurationFor(cloud: string): string {
  return `gateway: demo

listen:
  https: 127.0.0.1:0
  coaps: 127.0.0.1:0

upstreams:
  cloud:
    url: ${cloud}
    certificate: certs/gateway
    ca: certs/cloud-ca.pem

segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings, rate: 100/s }
      config: { allow: "GET /v1/devices/{device.id}/config", to: cloud }
  valves:
    routes:
      commands: { allow: "WS /v1/commands/{device.id}", to: cloud, privacy: commands }
  cameras:
    routes:
      frames: { allow: "WS /v1/frames/{device.id}", to: cloud, privacy: frames }

privacy:
  readings:
    keep: [temperature, humidity, time]
    pseudonymise: [serial]
    coarsen: { location: 0.1° }
  commands:
    keep: [valve]
  frames:
    keep: [frame, persons, received]
    pseudonymise: [camera]

limits:
  webSocketMessageBytes: 16 KiB
`;
}
