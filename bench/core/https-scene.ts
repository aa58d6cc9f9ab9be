/**
 * The scene of `https`, `https-opa` and `https-node`: one cloud, our gateway and one other in front of it, `ab` as 64
 * connections of a device that posts 256 bytes of JSON. Checks after every round that each request was answered with 2xx
 * and reached the cloud, and at the end that the cloud saw pseudonyms and the ledger holds every decision.
 */
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { apacheBench } from './apache-bench.ts';
import type { BenchOptions } from './bench.ts';
import { LOAD_CORE, Workplace } from './children.ts';
import { Cloud } from './cloud.ts';
import { type DeviceFiles, House, type OurGateway } from './gateway.ts';
import type { Peer } from './nginx.ts';
import { type LineOptions, lineOf, type Outcome, rowOf } from './outcome.ts';
import { progress } from './progress.ts';
import { account, alternate, type Round, typical } from './rounds.ts';

const CONNECTIONS = 64;
const SERIAL = 'SN-10000001';
const WARM_UP_REQUESTS = 10_000;

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
    const house = await House.open(workplace, cloud.origin);
    const device = await house.addDevice('thermo-1');
    const peer = await scene.peer(workplace, house, cloud);
    const ours = await house.start();
    const posting = new Posting(workplace, cloud, seconds);
    for (const subject of [peer, ours]) await posting.prepare(subject, device);
    await posting.checkPrivacy(ours);
    const results = await alternate([peer, ours], rounds, (subject) => posting.round(subject));
    progress('verifying the ledger');
    const decided = await posting.checkLedger(house, ours);

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
      method: `${CONNECTIONS} kept mTLS connections, POST of 256 bytes of JSON; load: \`ab -k -E\`, whose handshakes are measured apart and taken off. ${decided} decisions of ours on the ledger, verified.`,
    };
  } finally {
    await cloud.close();
    await workplace.close();
  }
}

/** Devices that post, and what must have come of it. */
export class Posting {
  readonly #workplace: Workplace;
  readonly #cloud: Cloud;
  readonly #seconds: number;
  readonly #core: number | string;
  readonly #body: string;
  readonly #prepared = new Map<Peer, { readonly device: DeviceFiles; requests: number; answered: number }>();

  constructor(workplace: Workplace, cloud: Cloud, seconds: number, core: number | string = LOAD_CORE) {
    this.#core = core;
    this.#workplace = workplace;
    this.#cloud = cloud;
    this.#seconds = seconds;
    this.#body = workplace.path('body.json');
    writeFileSync(this.#body, payload());
  }

  /** Warms up, and finds out how many requests make a round of the wanted length. */
  async prepare(peer: Peer, device: DeviceFiles): Promise<void> {
    const prepared = { device, requests: 0, answered: 0 };
    this.#prepared.set(peer, prepared);
    progress(`warming up ${peer.name}`);
    const status = await post(peer.port, device, '/v1/telemetry', payload());
    prepared.answered += 1;
    if (status !== 200) {
      const said = peer.processes.map((one) => one.output()).join('');
      throw new Error(`${peer.name} answers ${status}: ${said}`);
    }
    await this.#load(peer, WARM_UP_REQUESTS);
    const { perSecond } = await this.#load(peer, WARM_UP_REQUESTS);
    prepared.requests = Math.max(2_000, Math.round(perSecond * this.#seconds));
  }

  async round(peer: Peer): Promise<Round> {
    const { requests } = this.#of(peer);
    // ab opens its connections anew: what their handshakes cost is measured by themselves and taken off.
    const handshakes = await account(peer, () => this.#load(peer, CONNECTIONS));
    const round = await account(peer, () => this.#load(peer, requests));
    const micros = round.cpuMicros * round.operations - handshakes.cpuMicros * handshakes.operations;
    return { ...round, cpuMicros: micros / (round.operations - handshakes.operations) };
  }

  /** One more message, whose way ends at the recorder: the serial must have become a pseudonym, the owner must be gone. */
  async checkPrivacy(ours: Peer): Promise<void> {
    const of = this.#of(ours);
    this.#cloud.take();
    const status = await post(ours.port, of.device, '/v1/telemetry?look=1', payload());
    const [seen] = this.#cloud.take();
    if (status !== 200 || !seen) throw new Error(`the check of privacy was answered with ${status}`);
    of.answered += 1;
    const { body } = seen;
    if (!/"serial":"p[^"]+\.[\w-]{22}"/.test(body) || body.includes(SERIAL) || /owner|person|position/i.test(body))
      throw new Error(`the cloud received what it should not: ${body}`);
  }

  /** Stops the gateway. Every answer must have a decision on the ledger, and no decision may be there without one. */
  async checkLedger(house: House, ours: OurGateway): Promise<number> {
    const { answered } = this.#of(ours);
    const onRecord = await house.stopAndVerify(ours);
    if (onRecord !== answered) throw new Error(`${answered} requests were answered, ${onRecord} are on the ledger`);
    return onRecord;
  }

  async #load(peer: Peer, requests: number) {
    const of = this.#of(peer);
    const before = await this.#cloud.answered();
    const url = `https://127.0.0.1:${peer.port}/v1/telemetry`;
    const { device } = of;
    const result = await apacheBench(this.#workplace, {
      url,
      device,
      body: this.#body,
      requests,
      connections: CONNECTIONS,
      core: this.#core,
    });
    const reached = (await this.#cloud.answered()) - before;
    if (reached !== requests) throw new Error(`${peer.name}: the cloud saw ${reached} of ${requests} requests`);
    of.answered += requests;
    return { ...result, operations: requests };
  }

  #of(peer: Peer) {
    const prepared = this.#prepared.get(peer);
    if (!prepared) throw new Error(`${peer.name} was not prepared`);
    return prepared;
  }
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
