/**
 * Threat 21: a payload that policy reads one way and the cloud another. Ten thousand ambiguous requests, from their bytes on
 * the wire through the strict layer and the real pipeline with the real policy: what leaves is byte for byte what policy was
 * shown, and what the policy module made of it is what every reader makes of it. A sample goes through the real gateway.
 */

import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfiguration } from '../../src/config/load.ts';
import type { Message } from '../../src/exchange/message.ts';
import { pass } from '../../src/exchange/pipeline.ts';
import { checkRequestBytes } from '../../src/listeners/https/check-request-bytes.ts';
import { PolicyDecider } from '../../src/policy/decider.ts';
import { RateLimits } from '../../src/policy/rate.ts';
import { PrivacyKeys } from '../../src/privacy/keys.ts';
import { PrivacyTransformer } from '../../src/privacy/transformer.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { seeded } from '../fixtures/seeded.ts';
import { arrivalOf, gateOf } from '../unit/exchange/gate-fixture.ts';
import { shippedPolicy } from '../unit/policy/shipped-policy.ts';
import { type Ambiguous, ambiguous, TECHNIQUE_COUNT } from './payload-ambiguity/documents.ts';
import { hasDuplicateKey } from './payload-ambiguity/duplicate-keys.ts';
import { echo } from './payload-ambiguity/echo.ts';
import { GoodClient } from './wire/good-client.ts';
import { RawDevice } from './wire/raw-device.ts';

const DOCUMENTS = process.env.SALLYPORT_LONG ? 200_000 : 10_000;
const SAMPLE = 400;
const random = seeded();

const configuration = (cloud: string) => `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams: { cloud: { url: "${cloud}" } }
segments:
  sensors:
    routes:
      as-it-is: { allow: POST /v1/unchanged, to: cloud, privacy: unchanged, inspect: true }
      ruled: { allow: POST /v1/ruled, to: cloud, privacy: readings, inspect: true }
privacy:
  readings:
    keep: ["**.temperature", "**.a", "**.reading", "**.key"]
    pseudonymise: ["**.serial"]
    tokenise: ["**.owner"]
`;

const PATHS = ['/v1/unchanged', '/v1/ruled'] as const;

/** The request as it goes over the wire. */
function wire(path: string, { fields, body }: Ambiguous): Buffer {
  const head = [`POST ${path} HTTP/1.1`, 'Host: localhost', ...fields, `Content-Length: ${body.length}`];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

interface Passage {
  /** Undefined: nothing left. */
  readonly message: Message | undefined;
  /** What policy was given; undefined: it was not asked. */
  readonly input: Buffer | undefined;
}

/** The gateway from the bytes of a request to the message that leaves, and what policy saw on the way. */
class Inspected {
  readonly #settings = parseConfiguration(configuration('http://127.0.0.1:9'), '/nonexistent').settings;
  readonly #transformer: PrivacyTransformer;
  readonly #decider: PolicyDecider;
  #input: Buffer | undefined;

  constructor(keys: PrivacyKeys) {
    const { limits, privacy } = this.#settings;
    this.#transformer = new PrivacyTransformer({ rules: privacy, keys, limits, literals: new Set() });
    const policy = shippedPolicy(this.#settings);
    const decide = policy.decide.bind(policy);
    policy.decide = (input, sentinel, now) => {
      this.#input = Buffer.from(input);
      return decide(input, sentinel, now);
    };
    this.#decider = new PolicyDecider({
      policy,
      rates: new RateLimits(() => 0),
      limits,
      gateway: 'test',
      revision: 'test',
      inspects: () => true,
      inspectsRoute: () => true,
      knowsUpstream: () => true,
      knowsPrivacy: () => true,
      reachableDevice: () => undefined,
    });
  }

  async pass(bytes: Buffer): Promise<Passage> {
    this.#input = undefined;
    const verdict = checkRequestBytes(bytes);
    if (verdict.kind !== 'accepted') return { message: undefined, input: undefined };
    const { verb, path, query, headers, contentType } = verdict.request;
    const messages: Message[] = [];
    const { gate } = gateOf({
      decider: this.#decider,
      transformer: this.#transformer,
      forwarder: {
        forward: async ({ message }) => {
          messages.push(message);
          return { status: 204, headers: [], contentType: '', body: { kind: 'empty' } };
        },
      },
    });
    const body = { kind: 'bytes', bytes: verdict.body } as const;
    await pass(arrivalOf({ verb, path, query, headers, contentType, body }), gate);
    return { message: messages[0], input: this.#input };
  }
}

function textOf({ body }: Message): string {
  return body.kind === 'bytes' ? Buffer.from(body.bytes).toString('utf8') : '';
}

/** The payload within what policy was given: its exact bytes. */
function payloadIn(input: string): string | undefined {
  const start = input.indexOf(',"payload":');
  const end = input.lastIndexOf(',"target":');
  return start < 0 ? undefined : input.slice(start + ',"payload":'.length, end);
}

describe('in the pipeline', () => {
  it(`${DOCUMENTS} ambiguous requests of ${TECHNIQUE_COUNT} kinds: policy and cloud see the same bytes (seed ${random.seed})`, async () => {
    const inspected = new Inspected(PrivacyKeys.generate());
    const read = echo();
    const wrong: string[] = [];
    let forwarded = 0;
    let refused = 0;
    for (let turn = 0; turn < DOCUMENTS; turn++) {
      const document = ambiguous(random, turn);
      const path = PATHS[turn % 2 === 0 ? 0 : 1];
      const problem = (what: string) => {
        wrong.push(
          `${document.technique} on ${path}: ${what}: ${document.fields.join('; ')} ${document.body.toString('latin1').slice(0, 200)}`,
        );
      };
      const { message, input } = await inspected.pass(wire(path, document));
      if (document.expected === 'refused') {
        refused += 1;
        if (message !== undefined) problem('left');
        continue;
      }
      if (message === undefined || input === undefined) {
        // A bare value has no members that a rule could name.
        problem('did not leave');
        continue;
      }
      forwarded += 1;
      const seen = payloadIn(input.toString('utf8'));
      const left = textOf(message);
      if (seen === undefined) problem('policy saw nothing');
      else if (path === '/v1/unchanged') {
        if (seen !== left) problem(`policy saw ${seen.slice(0, 100)}, ${left.slice(0, 100)} left`);
      } else {
        // Under a rule less leaves, and it is a function of what policy saw and of nothing else.
        const again = await inspected.pass(
          wire(path, { ...document, fields: ['Content-Type: application/json'], body: Buffer.from(seen) }),
        );
        if (again.message === undefined || textOf(again.message) !== left)
          problem('what left does not follow from what policy saw');
        if (payloadIn(again.input?.toString('utf8') ?? '') !== seen) problem('canonical form is not stable');
      }
      // What the module made of it, what the cloud will make of it, and what the device had said.
      const meant: unknown = JSON.parse(JSON.stringify(JSON.parse(document.body.toString('utf8')))); // -0 is 0
      if (!isDeepStrictEqual(JSON.parse(read(input) ?? '"(nothing)"'), meant))
        problem('the policy module read something else');
      if (path === '/v1/unchanged' && !isDeepStrictEqual(JSON.parse(left), meant))
        problem('the cloud reads something else');
      if (hasDuplicateKey(left)) problem('a key stands twice in what left');
      const types = message.headers.filter(([name]) => name === 'content-type').map(([, value]) => value);
      // Under a rule the type is ours; unchanged, it is the one that policy saw.
      const typeHolds =
        path === '/v1/unchanged' ? input.includes(`"content_type":"${types[0]}"`) : types[0] === 'application/json';
      if (types.length !== 1 || !typeHolds) problem(`content type ${types.join(' and ')}`);
      if (message.headers.some(([name, value]) => name === 'content-encoding' && value.toLowerCase() !== 'identity'))
        problem('an encoding left');
    }
    console.log(
      `${DOCUMENTS} ambiguous requests: ${refused} refused, ${forwarded} forwarded with the very bytes that policy saw, ${wrong.length} otherwise`,
    );
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(forwarded).toBeGreaterThan(DOCUMENTS / 4);
    expect(refused).toBeGreaterThan(DOCUMENTS / 4);
  }, 600_000);
});

describe('through the real gateway', () => {
  let gateway: RunningGateway;

  beforeAll(async () => {
    gateway = await RunningGateway.open({ devices: { 'thermo-1': 'sensors', 'good-1': 'sensors' }, configuration });
  });
  afterAll(() => gateway?.remove());

  it(`${SAMPLE} of them leave, or do not leave, as the pipeline says`, async () => {
    const inspected = new Inspected(PrivacyKeys.load(join(gateway.directory, 'keys', 'privacy.json')));
    const good = new GoodClient(gateway, { id: 'good-1', path: '/v1/ruled' });
    const device = new RawDevice(gateway, 'thermo-1');
    const wrong: string[] = [];
    let forwarded = 0;
    for (let turn = 0; turn < SAMPLE; turn++) {
      const document = ambiguous(random, turn);
      // A mark by which the cloud's copy is known among the good client's.
      const path = PATHS[turn % 2 === 0 ? 0 : 1];
      const bytes = wire(path, document);
      const { message } = await inspected.pass(bytes);
      const before = gateway.received.length;
      const { status } = await device.exchange(bytes);
      const arrived = gateway.received.slice(before).filter(({ body }) => !/^\{"temperature":2\d\}$/.test(body));
      const expected = message === undefined ? [] : [textOf(message)];
      if (status === 200) forwarded += 1;
      if (
        (status === 200) !== (message !== undefined) ||
        !isDeepStrictEqual(
          arrived.map(({ body }) => body),
          expected,
        )
      ) {
        wrong.push(
          `${document.technique} on ${path}: ${status}, ${arrived.map(({ body }) => body.slice(0, 100)).join()} instead of ${expected.join().slice(0, 100)}`,
        );
      }
    }
    device.close();
    const report = await good.stop();
    console.log(
      `real gateway: ${SAMPLE} requests, ${forwarded} forwarded, ${wrong.length} otherwise than the pipeline says; good client: ${report.sent} sent, ${report.errors.length} errors`,
    );
    expect(wrong).toEqual([]);
    expect(report.errors).toEqual([]);
  }, 120_000);
});
