/**
 * Properties of the policy wall: what it serialises is what policy sees, what it reads is what was written, nothing but a
 * Fault ever comes out, and the only way to an allow is an exact verdict. Beside it, the public opa-wasm library as a peer.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../src/faults/fault.ts';
import { PolicyBatch } from '../../src/policy/batch.ts';
import { BigFloat } from '../../src/policy/engine/big-float.ts';
import { compareNumbers } from '../../src/policy/engine/number.ts';
import { compareValues, RegoNumber, RegoObject, RegoSet, type Value } from '../../src/policy/engine/value.ts';
import { parseJson, parseModuleText, toJson, toModuleText } from '../../src/policy/engine/value-text.ts';
import { PolicyInputWriter } from '../../src/policy/input.ts';
import { parseVerdict } from '../../src/policy/verdict.ts';
import { PolicyWall } from '../../src/policy/wall.ts';
import {
  ARRIVAL,
  DEVICE,
  DIGESTS,
  identifiedAs,
  MISBEHAVING,
  PEER,
  PROBES,
  sourceOf,
} from '../unit/policy/policy-source.ts';
import { plainJson } from './plain-json.ts';

fc.configureGlobal({ ...fc.readConfigureGlobal(), numRuns: 1_000 });

const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.toWellFormed());
const anyText = fc.string({ unit: 'binary', maxLength: 40 }).chain((value) =>
  fc.oneof(
    fc.constant(value),
    fc.constantFrom('\ud800', 'a\udc00b', '\u0000', '"', '\\', '\u2028').map((odd) => value + odd),
  ),
);
const literal = fc.oneof(
  fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom('1.0', '1e3', '-0', '9007199254740993', '0.10', '1E-2'),
);
const value: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    text,
    literal.map((digits) => new RegoNumber(digits)),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(tie('value'), { maxLength: 5 }).map((items) => RegoSet.of(items)),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 5 }).map((entries) => RegoObject.of(entries)),
  ),
})).value;

describe('values', () => {
  it('come back from the module’s notation as they were', () => {
    fc.assert(fc.property(value, (one) => compareValues(parseModuleText(toModuleText(one)), one) === 0));
  });

  it('are in one order, and it is total', () => {
    fc.assert(
      fc.property(value, value, value, (a, b, c) => {
        expect(Math.sign(compareValues(a, b))).toBe(-Math.sign(compareValues(b, a)) + 0);
        expect(compareValues(a, a)).toBe(0);
        const sorted = [a, b, c].sort(compareValues) as [Value, Value, Value];
        expect(compareValues(sorted[0], sorted[2])).toBeLessThanOrEqual(0);
      }),
    );
  });

  it('of JSON are read as JSON.parse reads them, and nothing else is read', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        expect(plainJson(toJson(parseJson(json)!))).toEqual(plainJson(json));
      }),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc
            .tuple(fc.json(), fc.nat(), fc.string({ maxLength: 2 }))
            .map(([json, at, junk]) => json.slice(0, at % json.length) + junk + json.slice((at % json.length) + 1)),
        ),
        (json) => {
          let valid = true;
          try {
            JSON.parse(json);
          } catch {
            valid = false;
          }
          expect(parseJson(json) !== undefined).toBe(valid);
        },
      ),
    );
  });

  it('pass through a real module unharmed', () => {
    const policy = PolicyWall.activate(sourceOf({ wasm: PROBES, entrypoint: 'probes/answer' }));
    fc.assert(
      fc.property(fc.json({ maxDepth: 4, stringUnit: 'grapheme' }), literal, (json, digits) => {
        const sent = parseJson(`[${json},${digits}]`)!;
        const back = policy.evaluate(`{"id":1,"f":"array.concat","args":[${toJson(sent)},[]]}`);
        expect(back).toBe(toJson(sent));
      }),
      { numRuns: 300 },
    );
  });
});

describe('numbers', () => {
  it('compare as exact fractions', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }),
        fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }),
        fc.integer({ min: 0, max: 20 }),
        (a, b, zeros) => {
          const order = a < b ? -1 : a > b ? 1 : 0;
          expect(Math.sign(compareNumbers(`${a}`, `${b}`))).toBe(order);
          expect(Math.sign(compareNumbers(`${a}e${zeros}`, `${b}${'0'.repeat(zeros)}`))).toBe(order);
        },
      ),
    );
  });

  it('of 53 bits survive a float of 64', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        expect(Number(BigFloat.parse(JSON.stringify(number)).toString()) + 0).toBe(number + 0);
      }),
    );
  });
});

describe('the input', () => {
  const writer = new PolicyInputWriter(65_536);
  it('is well-formed JSON that says exactly what it was given, or is refused', () => {
    fc.assert(
      fc.property(
        fc.record({ verb: anyText, path: anyText, contentType: anyText, targetDevice: anyText }),
        fc.record({
          id: anyText,
          segment: anyText,
          firmware: anyText,
          labels: fc.dictionary(anyText, anyText, { maxKeys: 4 }),
        }),
        fc.record({ issuer: anyText, serial: anyText }),
        fc.nat(),
        (arrival, device, peer, sentinel) => {
          const told = { arrival: { ...arrival, peer: { ...PEER, ...peer } }, device };
          const strings = [
            ...Object.values(arrival),
            device.id,
            device.segment,
            device.firmware,
            ...Object.entries(device.labels).flat(),
            ...Object.values(peer),
          ];
          const wellFormed = strings.every((one) => one.isWellFormed());
          try {
            const bytes = writer.write(identifiedAs(told), { sentinel, gateway: 'g', revision: 'r' });
            const input = plainJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Record<string, unknown>;
            expect(wellFormed).toBe(true);
            expect(input).toEqual({
              v: sentinel,
              device: {
                id: device.id,
                segment: device.segment,
                labels: device.labels,
                model: DEVICE.model,
                firmware: device.firmware,
                state: DEVICE.state,
                auth: { method: 'certificate', ...peer, not_after: new Date(PEER.notAfter).toISOString() },
              },
              action: {
                protocol: 'https',
                verb: arrival.verb,
                resource: arrival.path,
                content_type: arrival.contentType,
                bytes: 56,
                direction: 'toCloud',
              },
              target: { device: arrival.targetDevice },
              context: {
                time: new Date(ARRIVAL.receivedAt).toISOString(),
                listener: 'https',
                gateway: 'g',
                revision: 'r',
              },
            });
          } catch (thrown) {
            if (!(thrown instanceof Fault)) throw thrown;
            expect(thrown.code).toBe('SP_POLICY_INPUT');
            expect(wellFormed).toBe(false);
          }
        },
      ),
    );
  });
});

describe('the verdict', () => {
  const key = fc.oneof(
    fc.constantFrom(
      'v',
      'allow',
      'reasons',
      'obligations',
      'route',
      'upstream',
      'rate',
      'result',
      '__proto__',
      'constructor',
    ),
    text,
  );
  const near = fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, true, false, 1, 7, 'cloud', 'no-route', 'r', '', []),
      text,
      fc.double(),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(key, tie('node'), { maxKeys: 5 }),
    ),
  })).node;

  it('is a Fault for whatever is none, and never an allow', () => {
    const attempt = (answer: string) => {
      try {
        const decision = parseVerdict(answer, 7);
        if (decision.allow) {
          const { v, allow, reasons, obligations } = (JSON.parse(answer) as [{ result: Record<string, unknown> }])[0]
            .result;
          expect([v, allow, reasons]).toEqual([7, true, []]);
          expect(obligations).toMatchObject({
            route: expect.any(String) as unknown,
            upstream: expect.any(String) as unknown,
          });
        } else expect(decision.reasons.length).toBeGreaterThan(0);
      } catch (thrown) {
        if (!(thrown instanceof Fault)) throw thrown;
        expect(thrown.code).toMatch(/^SP_POLICY_(VERDICT|OBLIGATION)$/);
      }
    };
    fc.assert(fc.property(near, (node) => attempt(JSON.stringify([{ result: node }]) ?? '')));
    fc.assert(
      fc.property(
        fc.record({ v: fc.constant(7), allow: near, reasons: near, obligations: near }, { requiredKeys: [] }),
        (node) => attempt(JSON.stringify([{ result: node }])),
      ),
    );
    fc.assert(fc.property(fc.string({ unit: 'binary' }), attempt));
  });
});

describe('a module damaged anywhere', () => {
  it('is refused, or denies, or answers; nothing else', () => {
    const ok = new TextEncoder().encode('{"v":1,"action":{"resource":"/ok","bytes":1}}');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(MISBEHAVING.length - 1), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 3,
        }),
        (damage) => {
          const wasm = Uint8Array.from(MISBEHAVING);
          for (const [at, change] of damage) wasm[at] = wasm[at]! ^ change;
          try {
            const canaries = [
              { name: 'ok', input: new TextDecoder().decode(ok), expect: 'verdict', sentinel: 1 },
            ] as const;
            PolicyWall.activate(
              sourceOf({ wasm, canaries, limits: { policyMemoryBytes: 1 << 25, policyTimeoutMs: 50 } }),
            ).decide(ok, 1, 0n);
          } catch (thrown) {
            if (!(thrown instanceof Fault)) throw thrown;
            expect(thrown.code).toMatch(/^SP_POLICY_/);
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('the batch', () => {
  it('answers any line with one line of JSON', () => {
    const batch = new PolicyBatch({
      readModule: () => PROBES,
      limits: sourceOf().limits,
      digests: DIGESTS,
      timeoutMs: 1_000,
    });
    const line = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc
        .record(
          {
            id: fc.jsonValue(),
            wasm: fc.constantFrom('p', 1),
            entrypoint: fc.constantFrom('probes/answer', 'x', null),
            data: fc.jsonValue(),
            input: fc.jsonValue(),
          },
          { requiredKeys: [] },
        )
        .map((one) => JSON.stringify(one)),
    );
    fc.assert(
      fc.property(line, (one) => {
        const answer = batch.line(one);
        expect(answer).not.toMatch(/[\n\r]/);
        expect(JSON.parse(answer)).toHaveProperty('id');
      }),
    );
  });
});

describe('the public opa-wasm library, on the shipped policy,', () => {
  interface Library {
    loadPolicySync(
      wasm: Uint8Array,
      memory: object,
    ): { setData(data: object): void; evaluate(input: object, entrypoint?: string): { result: unknown }[] };
  }
  const { loadPolicySync } = createRequire(import.meta.url)('@open-policy-agent/opa-wasm') as Library;

  it('gives the same verdicts', () => {
    const wasm = readFileSync(new URL('../../policies/compiled/policy.wasm', import.meta.url));
    const entrypoint = 'sallyport/gate/verdict';
    const data = '{"configuration":{"segments":{}}}';
    const policy = PolicyWall.activate(sourceOf({ wasm, data, entrypoint }));
    const peer = loadPolicySync(wasm, { initial: 20, maximum: 1_000 });
    peer.setData(JSON.parse(data) as object);
    const input = fc.record(
      {
        v: fc.nat(),
        device: fc.record(
          { id: text, segment: text, state: fc.constantFrom('active', 'disabled', 'quarantined', 'retired', 'x') },
          { requiredKeys: [] },
        ),
        action: fc.record(
          {
            protocol: fc.constantFrom('https', 'mqtt'),
            verb: text,
            resource: text,
            direction: fc.constantFrom('toCloud', 'toDevice'),
            bytes: fc.integer(),
          },
          { requiredKeys: [] },
        ),
        target: fc.record({ device: text, segment: text }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(input, (one) => {
        const ours = policy.evaluate(JSON.stringify(one));
        expect(ours === undefined ? undefined : plainJson(ours)).toEqual(peer.evaluate(one, entrypoint)[0]?.result);
      }),
      { numRuns: 300 },
    );
  });
});
