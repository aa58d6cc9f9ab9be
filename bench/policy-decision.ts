/**
 * What one policy decision costs: the shipped policy with the golden configuration, an input of about 300 bytes, everything
 * from the identified message to the Decision; beside it the public opa-wasm library on the same module and input.
 *
 *     node bench/policy-decision.ts [rounds]
 */
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseConfiguration } from '../src/config/load.ts';
import { DEFAULT_LIMITS } from '../src/config/settings.ts';
import { type Arrival, EMPTY_BODY } from '../src/exchange/arrival.ts';
import { Identified } from '../src/exchange/identified.ts';
import type { Device, Peer } from '../src/exchange/peer.ts';
import { canariesFor } from '../src/policy/canaries.ts';
import { policyData } from '../src/policy/data.ts';
import { PolicyDecider } from '../src/policy/decider.ts';
import { PolicyInputWriter } from '../src/policy/input.ts';
import { RateLimits } from '../src/policy/rate.ts';
import { PolicyWall } from '../src/policy/wall.ts';

const rounds = Number(process.argv[2] ?? 200_000);
const CONFIGURATION = `
gateway: plant-7
listen: { https: "0.0.0.0:8443" }
upstreams: { cloud: { url: "https://ingest.example.com" } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: unchanged }
      config: { allow: "GET /v1/devices/{device.id}/config", to: cloud }
      limited: { allow: POST /v1/limited, to: cloud, privacy: unchanged, rate: 1000000/s }
`;
const { settings } = parseConfiguration(CONFIGURATION, '/nonexistent');
const wasm = readFileSync(new URL('../policies/compiled/policy.wasm', import.meta.url));
const data = policyData(settings);
const digests = {
  sha256: (text: string) => createHash('sha256').update(text).digest('hex'),
  hmacSha256: (text: string, key: string) => createHmac('sha256', key).update(text).digest('hex'),
};

const device: Device = {
  id: 'thermo-1',
  segment: 'sensors',
  state: 'active',
  labels: {},
  model: 'T-100',
  key: '0'.repeat(64),
};
const peer: Peer = {
  method: 'certificate',
  address: '10.0.3.17',
  key: device.key,
  names: [],
  issuer: 'CN=Sallyport devices',
  serial: '5F0A9C',
  notBefore: 0,
  notAfter: Date.UTC(2027, 0, 1),
  clientAuthentication: true,
};
const arrival = (verb: string, path: string): Arrival => ({
  id: '0198c1d2-0000-7000-8000-000000000000',
  protocol: 'https',
  listener: 'https',
  direction: 'toCloud',
  receivedAt: Date.UTC(2026, 10, 22, 14, 3, 11, 482),
  peer,
  verb,
  path,
  query: '',
  headers: [],
  contentType: 'application/json',
  body: verb === 'POST' ? { kind: 'bytes', bytes: new Uint8Array(56) } : EMPTY_BODY,
  signal: new AbortController().signal,
});
const identified = (verb: string, path: string): Identified => {
  const made = Identified.by(
    { identify: () => device, admit: () => undefined },
    { decode: () => undefined },
    arrival(verb, path),
  );
  if (!(made instanceof Identified)) throw new Error('not identified');
  return made;
};

/** The least of ten trials: what the machine's other work adds is not ours. */
function microseconds(work: () => void): number {
  for (let at = 0; at < rounds / 5; at += 1) work();
  const trials = Array.from({ length: 10 }, () => {
    const started = process.hrtime.bigint();
    for (let at = 0; at < rounds / 10; at += 1) work();
    return Number(process.hrtime.bigint() - started) / 1_000 / (rounds / 10);
  });
  return Math.min(...trials);
}

function report(what: string, cost: number): void {
  process.stdout.write(
    `${what.padEnd(56)} ${cost.toFixed(2).padStart(8)} us  ${Math.round(1e6 / cost)
      .toString()
      .padStart(9)}/s\n`,
  );
}

const loadStarted = performance.now();
const policy = PolicyWall.activate({
  wasm,
  data: data.json,
  entrypoint: 'sallyport/gate/verdict',
  revision: '7',
  limits: DEFAULT_LIMITS,
  digests,
  canaries: canariesFor(['sensors']),
});
process.stdout.write(`activation with canaries: ${(performance.now() - loadStarted).toFixed(1)} ms\n`);
const decider = new PolicyDecider({
  policy,
  rates: new RateLimits(() => performance.now()),
  limits: DEFAULT_LIMITS,
  gateway: 'plant-7',
  revision: '7',
  inspects: () => false,
  inspectsRoute: () => false,
  knowsUpstream: () => true,
  knowsPrivacy: () => true,
  reachableDevice: () => undefined,
});

const permitted = identified('POST', '/v1/telemetry');
const writer = new PolicyInputWriter(DEFAULT_LIMITS.policyInputBytes);
const context = { sentinel: 1, gateway: 'plant-7', revision: '7' };
const bytes = writer.write(permitted, context).slice();
process.stdout.write(`input: ${bytes.byteLength} bytes; ${JSON.stringify(decider.decide(permitted))}\n`);

report(
  'input alone',
  microseconds(() => writer.write(permitted, context)),
);
report(
  'wall alone (evaluate, read, parse the verdict)',
  microseconds(() => policy.decide(bytes, 1, 0n)),
);
report(
  'decider: permitted',
  microseconds(() => decider.decide(permitted)),
);
const limited = identified('POST', '/v1/limited');
report(
  'decider: permitted, with a rate',
  microseconds(() => decider.decide(limited)),
);
const bound = identified('GET', '/v1/devices/thermo-1/config');
report(
  'decider: permitted, path with the device’s id',
  microseconds(() => decider.decide(bound)),
);
const denied = identified('GET', '/admin');
report(
  'decider: denied',
  microseconds(() => decider.decide(denied)),
);

interface Library {
  loadPolicySync(wasm: Uint8Array, memory: object): { setData(data: object): void; evaluate(input: object): unknown };
}
// Its types for `import` name exports that its module for `import` does not have.
const opaWasm = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as Library;
const library = opaWasm.loadPolicySync(wasm, { initial: 20, maximum: 4_096 });
library.setData(JSON.parse(data.json) as object);
const document = JSON.parse(new TextDecoder().decode(bytes)) as object;
report(
  'opa-wasm 1.10.0 with an object',
  microseconds(() => library.evaluate(document)),
);
report(
  'opa-wasm 1.10.0 with bytes',
  microseconds(() => library.evaluate(bytes.slice().buffer)),
);
