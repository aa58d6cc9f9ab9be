/**
 * The scene of `https`, `https-opa` and `https-node`: one cloud, our gateway and one other in front of it, `ab` as 64
 * connections of a device that posts 256 bytes of JSON. Checks after every round that each request was answered with 2xx
 * and reached the cloud, and at the end that the cloud saw pseudonyms and the ledger holds every decision.
 */
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { apacheBench } from './apache-bench.ts';
import type { BenchOptions } from './bench.ts';
import { Workplace } from './children.ts';
import { Cloud } from './cloud.ts';
import { type DeviceFiles, House, standardConfiguration } from './gateway.ts';
import type { Peer } from './nginx.ts';
import { type LineOptions, lineOf, type Outcome, rowOf } from './outcome.ts';
import { progress } from './progress.ts';
import { account, alternate, type Round, typical } from './rounds.ts';

const CONNECTIONS = 64;
const SERIAL = 'SN-10000001';
const WARM_UP_REQUESTS = 20_000;

export interface HttpsScene {
  readonly name: string;
  readonly against: string;
  readonly bar: LineOptions['bar'];
  readonly of?: LineOptions['of'];
  /** Starts what we are compared with. */
  readonly peer: (workplace: Workplace, house: House, cloud: Cloud) => Promise<Peer>;
}

export async function httpsScene(scene: HttpsScene, { rounds, seconds }: BenchOptions): Promise<Outcome> {
  const workplace = new Workplace();
  const cloud = await Cloud.open(workplace);
  try {
    const house = await House.open(workplace, cloud.origin, standardConfiguration(cloud.origin));
    const device = await house.addDevice('thermo-1');
    const body = workplace.path('body.json');
    writeFileSync(body, payload());
    const peer = await scene.peer(workplace, house, cloud);
    const ours = await house.start();
    let decided = 0;

    const load = async (subject: Peer, requests: number) => {
      const before = await cloud.answered();
      const url = `https://127.0.0.1:${subject.port}/v1/telemetry`;
      const result = await apacheBench(workplace, { url, device, body, requests, connections: CONNECTIONS });
      const reached = (await cloud.answered()) - before;
      if (reached !== requests) throw new Error(`${subject.name}: the cloud saw ${reached} of ${requests} requests`);
      if (subject === ours) decided += requests;
      return { ...result, operations: requests };
    };
    const requestsFor = new Map<Peer, number>();
    for (const subject of [peer, ours]) {
      const status = await post(subject.port, device, '/v1/telemetry', payload());
      if (status !== 200)
        throw new Error(`${subject.name} answers ${status}: ${subject.processes.map((one) => one.output()).join('')}`);
      if (subject === ours) decided += 1;
      progress(`warming up ${subject.name}`);
      await load(subject, WARM_UP_REQUESTS);
      const { perSecond } = await load(subject, WARM_UP_REQUESTS);
      requestsFor.set(subject, Math.max(2_000, Math.round(perSecond * seconds)));
    }
    decided += await checkPrivacy(ours, device, cloud);
    const results = await alternate([peer, ours], rounds, async (subject) => {
      // ab opens its connections anew: what their handshakes cost is measured by themselves and taken off.
      const handshakes = await account(subject, () => load(subject, CONNECTIONS));
      const round = await account(subject, () => load(subject, requestsFor.get(subject) as number));
      return without(round, handshakes);
    });
    progress('verifying the ledger');
    const onRecord = await house.stopAndVerify(ours);
    if (onRecord !== decided) throw new Error(`${decided} requests were decided, ${onRecord} are on the ledger`);

    const of = (subject: Peer) => results.get(subject) as Round[];
    const cpu = (subject: Peer) => of(subject).map((round) => round.cpuMicros);
    return {
      lines: [
        lineOf({
          name: scene.name,
          unit: 'µs CPU per request',
          against: scene.against,
          baseline: cpu(peer),
          ours: cpu(ours),
          bar: scene.bar,
          ...(scene.of && { of: scene.of }),
        }),
      ],
      table: [peer, ours].map((subject) => rowOf(subject.name, typical(of(subject)))),
      method: `${CONNECTIONS} kept mTLS connections, POST of 256 bytes of JSON; load: \`ab -k -E\`. ${decided} decisions of ours on the ledger, verified.`,
    };
  } finally {
    await cloud.close();
    await workplace.close();
  }
}

function without(round: Round, handshakes: Round): Round {
  const micros = round.cpuMicros * round.operations - handshakes.cpuMicros * handshakes.operations;
  return { ...round, cpuMicros: micros / (round.operations - handshakes.operations) };
}

/** Exactly 256 bytes: what the rule keeps, what it makes a pseudonym of, and what it drops. */
export function payload(serial = SERIAL): string {
  const document = {
    serial,
    temperature: 21.5,
    humidity: 40.25,
    time: '2026-11-25T06:50:00Z',
    owner: 'A person who lives here',
    firmware: 'v1.2.3 (release, signed)',
    position: { lat: 48.1234, lon: 11.5 },
    note: '',
  };
  return JSON.stringify({ ...document, note: 'n'.repeat(256 - JSON.stringify(document).length) });
}

/** One more message, whose way ends at the recorder: the serial must have become a pseudonym, the owner must be gone. */
export async function checkPrivacy(ours: Peer, device: DeviceFiles, cloud: Cloud): Promise<number> {
  cloud.take();
  const status = await post(ours.port, device, '/v1/telemetry?look=1', payload());
  const [seen] = cloud.take();
  if (status !== 200 || !seen) throw new Error(`the check of privacy was answered with ${status}`);
  const { body } = seen;
  if (!/"serial":"p[^"]+\.[\w-]{22}"/.test(body) || body.includes(SERIAL) || /owner|person|position/i.test(body))
    throw new Error(`the cloud received what it should not: ${body}`);
  return 1;
}

export function post(port: number, { pem }: DeviceFiles, path: string, body: string): Promise<number> {
  return new Promise((done, fail) => {
    const call = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: 'POST',
        agent: false,
        servername: 'localhost',
        ...pem,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.resume();
        response.on('end', () => done(response.statusCode ?? 0));
      },
    );
    call.on('error', fail);
    call.end(body);
  });
}
