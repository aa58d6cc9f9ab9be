/**
 * `decision`: from the proven key to the decision, inside the process, with few and with many registered devices; beside
 * the public opa-wasm library on the same module and question, and `opa run --server` asked over REST.
 */
import { createHash, createHmac } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { registryFile } from '../src/cli/devices.ts';
import { loadConfiguration } from '../src/config/load.ts';
import { DEFAULT_LIMITS } from '../src/config/settings.ts';
import type { Arrival } from '../src/exchange/arrival.ts';
import { Identified } from '../src/exchange/identified.ts';
import { DeviceRegistry } from '../src/identity/registry.ts';
import { canariesFor } from '../src/policy/canaries.ts';
import { policyData } from '../src/policy/data.ts';
import { PolicyDecider } from '../src/policy/decider.ts';
import { PolicyInputWriter } from '../src/policy/input.ts';
import { SHIPPED_ENTRYPOINT, SHIPPED_MODULE } from '../src/policy/opa-tool.ts';
import { RateLimits } from '../src/policy/rate.ts';
import { PolicyWall } from '../src/policy/wall.ts';
import { SqliteStore } from '../src/store/sqlite-store.ts';
import { apacheBench } from './core/apache-bench.ts';
import type { Bench, BenchOptions } from './core/bench.ts';
import { Workplace } from './core/children.ts';
import { House } from './core/gateway.ts';
import { cpuPerOperation } from './core/in-process.ts';
import { fillRegistry } from './core/many-devices.ts';
import { startOpa } from './core/opa.ts';
import { lineOf, type Outcome, round } from './core/outcome.ts';
import { progress } from './core/progress.ts';
import { account, alternate } from './core/rounds.ts';
import { median } from './core/statistics.ts';

const DEVICES = [10, 1_000, 20_000, 100_000] as const;
/** Devices that ask in turn, spread over all there are. */
const ASKING = 256;
const PER_SECOND = 30_000;
const REST_PER_SECOND = 2_500;
const REST_CONNECTIONS = 16;

interface Subject {
  readonly name: string;
  measure(): Promise<number>;
}

export const decision: Bench = {
  name: 'decision',
  about: 'one policy decision, with 10 to 100,000 devices; beside opa-wasm and OPA over REST',
  needs: ['ab', 'opa'],
  run,
};

async function run({ rounds, seconds }: BenchOptions): Promise<Outcome> {
  const workplace = new Workplace();
  try {
    const house = await House.open(workplace, 'http://127.0.0.1:9');
    await house.addDevice('thermo-1');
    const operations = Math.round(PER_SECOND * seconds);
    const ours: Subject[] = [];
    const parts: Subject[] = [];
    let question = '';
    for (const count of DEVICES) {
      progress(`registering ${count} devices`);
      fillRegistry(registryFile(house.directory), count);
      const made = await decisions(house.directory, count);
      question = made.question;
      ours.push({ name: `sallyport, ${count} devices`, measure: () => cpuPerOperation(operations, made.decide) });
      if (count !== DEVICES[0]) continue;
      parts.push({ name: 'sallyport, of it: input', measure: () => cpuPerOperation(operations, made.write) });
      parts.push({ name: 'sallyport, of it: policy', measure: () => cpuPerOperation(operations, made.evaluate) });
    }
    const ask = library(house.directory, question);
    const wasm: Subject = { name: 'opa-wasm, object', measure: () => cpuPerOperation(operations, ask) };
    const { child, port } = await startOpa(workplace, house, ['thermo-1']);
    const body = workplace.path('input.json');
    writeFileSync(body, question);
    const url = `http://127.0.0.1:${port}/v0/data/bench/permitted`;
    const rest: Subject = {
      name: 'OPA over REST',
      measure: async () => {
        const requests = Math.round(REST_PER_SECOND * seconds);
        const load = () => apacheBench(workplace, { url, body, requests, connections: REST_CONNECTIONS });
        const peer = { name: 'opa', port, processes: [child] };
        return (await account(peer, async () => ({ ...(await load()), operations: requests }))).cpuMicros;
      },
    };
    const subjects = [wasm, rest, ...ours, ...parts];
    for (const subject of subjects) {
      progress(`warming up ${subject.name}`);
      await subject.measure();
    }
    const results = await alternate(subjects, rounds, (subject) => subject.measure());
    const of = (subject: Subject) => results.get(subject) as number[];
    const [few, many] = [ours[0] as Subject, ours.at(-1) as Subject];
    const line = { unit: 'µs CPU per decision' };
    return {
      lines: [
        lineOf({
          ...line,
          name: 'decision',
          against: 'opa-wasm 1.10.0, object input, same module and data',
          baseline: of(wasm),
          ours: of(few),
          bar: { kind: 'ours', atMost: 6, unit: 'µs' },
        }),
        lineOf({
          ...line,
          name: 'decision/devices',
          against: 'sallyport, 10 devices',
          baseline: of(few),
          ours: of(many),
          bar: { kind: 'ratio', atMost: 1.2 },
        }),
      ],
      table: subjects.map((subject) => ({ name: subject.name, figures: { 'CPU µs': round(median(of(subject))) } })),
      method: `Input of ${question.length} bytes, the shipped policy. Ours: registry, proof, input, policy, verdict, in one process by its CPU time. REST: \`ab -k\`, ${REST_CONNECTIONS} connections, the server’s CPU time.`,
    };
  } finally {
    await workplace.close();
  }
}

/** The gateway's own parts, put together as it does, asked by devices of the registry in turn. */
async function decisions(directory: string, count: number) {
  const { settings } = loadConfiguration(directory);
  const store = SqliteStore.open(registryFile(directory));
  const registry = await DeviceRegistry.open(store, Date.now);
  await store.close();
  if (registry.size !== count) throw new Error(`${registry.size} devices are registered, not ${count}`);
  const data = policyData(settings);
  const policy = PolicyWall.activate({
    wasm: readFileSync(SHIPPED_MODULE),
    data: data.json,
    entrypoint: SHIPPED_ENTRYPOINT,
    revision: '7',
    limits: DEFAULT_LIMITS,
    digests: {
      sha256: (text) => createHash('sha256').update(text).digest('hex'),
      hmacSha256: (text, key) => createHmac('sha256', key).update(text).digest('hex'),
    },
    canaries: canariesFor(['sensors']),
  });
  const decider = new PolicyDecider({
    policy,
    rates: new RateLimits(() => performance.now()),
    limits: DEFAULT_LIMITS,
    gateway: 'bench',
    revision: '7',
    inspects: () => false,
    inspectsRoute: () => false,
    knowsUpstream: () => true,
    knowsPrivacy: () => true,
    reachableDevice: () => undefined,
  });
  const all = registry.list();
  const keys = Array.from(
    { length: Math.min(ASKING, count) },
    (_, index) => all[Math.floor((index * count) / ASKING) % count]?.key ?? '',
  );
  const arrivals = keys.map(arrivalOf);
  const identify = (key: string) => registry.byKey(key)?.device;
  const identified = (arrival: Arrival) => {
    const made = Identified.by(
      { identify: () => identify(arrival.peer.key) as never, admit: () => undefined },
      { decode: () => undefined },
      arrival,
    );
    if (!(made instanceof Identified)) throw new Error('not identified');
    return made;
  };
  const first = identified(arrivals[0] as Arrival);
  const verdict = decider.decide(first);
  if (!('allow' in verdict) || verdict.allow !== true) throw new Error(`denied: ${JSON.stringify(verdict)}`);
  const context = { sentinel: 1, gateway: 'bench', revision: '7' };
  const writer = new PolicyInputWriter(DEFAULT_LIMITS.policyInputBytes);
  const input = writer.write(first, context).slice();
  const question = Buffer.from(input).toString();
  let next = 0;
  const decide = (times: number) => {
    for (let done = 0; done < times; done += 1) {
      decider.decide(identified(arrivals[next] as Arrival));
      next = (next + 1) % arrivals.length;
    }
  };
  const write = (times: number) => {
    for (let done = 0; done < times; done += 1) writer.write(first, context);
  };
  const evaluate = (times: number) => {
    for (let done = 0; done < times; done += 1) policy.decide(input, 1, 0n);
  };
  return { decide, write, evaluate, question };
}

function arrivalOf(key: string): Arrival {
  return {
    id: '0198c1d2-0000-7000-8000-000000000000',
    protocol: 'https',
    listener: 'https',
    direction: 'toCloud',
    receivedAt: Date.now(),
    peer: {
      method: 'certificate',
      address: '10.0.3.17',
      key,
      names: [],
      issuer: 'CN=Sallyport devices',
      serial: '5F0A9C',
      notBefore: 0,
      notAfter: Date.now() + 31_536_000_000,
      clientAuthentication: true,
    },
    verb: 'POST',
    path: '/v1/telemetry',
    query: '',
    headers: [],
    contentType: 'application/json',
    body: { kind: 'bytes', bytes: new Uint8Array(256) },
    signal: new AbortController().signal,
  };
}

interface Library {
  loadPolicySync(wasm: Uint8Array, memory: object): { setData(data: object): void; evaluate(input: object): unknown };
}

function library(directory: string, question: string): (times: number) => void {
  // Its types for `import` name exports that its module for `import` does not have.
  const { loadPolicySync } = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as Library;
  const policy = loadPolicySync(readFileSync(SHIPPED_MODULE), { initial: 20, maximum: 4_096 });
  policy.setData(JSON.parse(policyData(loadConfiguration(directory).settings).json) as object);
  const input = JSON.parse(question) as object;
  if (!JSON.stringify(policy.evaluate(input)).includes('"allow":true')) throw new Error('opa-wasm denies');
  return (times) => {
    for (let done = 0; done < times; done += 1) policy.evaluate(input);
  };
}
