/**
 * Threat 19: a policy that throws, traps, runs out of memory or answers anything but a verdict. Through the real gateway with
 * a module that misbehaves in 33 ways by path, 100 requests each: every one denied, every one on record, nothing forwarded,
 * and a well-behaved device's good requests between them all answered.
 */
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { entryFrom } from '../../src/ledger/entry.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';

const VECTORS = new URL('../vectors/policy/misbehaving/', import.meta.url);
const names = JSON.parse(readFileSync(new URL('names.json', VECTORS), 'utf8')) as string[];
const EACH = 100;

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await RunningGateway.open({
    idle: true,
    configuration: (cloud) => `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments: { sensors: { routes: {} } }
policy: { module: policy/policy.wasm }
limits: { policyMemoryBytes: 64 MiB }
`,
    devices: { 'thermo-1': 'sensors', 'good-1': 'sensors' },
    files: (directory) => copyFileSync(new URL('policy.wasm', VECTORS), join(directory, 'policy', 'policy.wasm')),
  });
});
afterAll(() => gateway?.remove());

it(`${names.length} injected failures x ${EACH} requests: all denied, all on record, none forwarded`, async () => {
  await gateway.start();
  const agent = gateway.agent('thermo-1');
  const goodAgent = gateway.agent('good-1');
  let denied = 0;
  let good = 0;
  const leaked: string[] = [];
  for (let index = 0; index < names.length; index++) {
    const path = `/fail/${String(index + 1).padStart(2, '0')}`;
    for (let batch = 0; batch < EACH / 10; batch++) {
      const answers = await Promise.all(Array.from({ length: 10 }, () => gateway.send(agent, 'POST', path, '{"a":1}')));
      for (const { status, body } of answers) {
        const { reason } = JSON.parse(body) as { reason: string };
        if (status === 403 && (reason.startsWith('SP_POLICY_') || reason === 'policy-denied')) denied += 1;
        else leaked.push(`${names[index]}: ${status} ${body}`);
      }
    }
    const answer = await gateway.send(goodAgent, 'POST', '/ok', `{"good":${index}}`);
    if (answer.status === 200) good += 1;
  }
  expect(leaked).toEqual([]);
  const records = gateway
    .ledger()
    .split('\n')
    .map(entryFrom)
    .filter((entry) => entry?.kind === 'decision');
  const refused = records.filter(
    (entry) => entry?.kind === 'decision' && entry.verdict !== 'permitted' && entry.reasons.length > 0,
  );
  console.log(
    `${denied} of ${names.length * EACH} denied, ${refused.length} on record, ${gateway.received.length} good requests forwarded of ${names.length}`,
  );
  expect(denied).toBe(names.length * EACH);
  expect(refused).toHaveLength(names.length * EACH);
  expect(good).toBe(names.length);
  expect(gateway.received.map(({ target }) => target)).toEqual(names.map(() => '/ok'));
}, 180_000);
