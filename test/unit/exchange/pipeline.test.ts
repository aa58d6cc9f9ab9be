/** The pipeline: its order, its refusals, and that nothing unproven or unrecorded is ever forwarded. */
import { describe, expect, it } from 'vitest';
import { Identified } from '../../../src/exchange/identified.ts';
import { Delivered, Denied, Failed } from '../../../src/exchange/outcome.ts';
import { Permitted } from '../../../src/exchange/permitted.ts';
import { pass, reconsider } from '../../../src/exchange/pipeline.ts';
import { Sealed, SealedReply } from '../../../src/exchange/sealed.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { arrivalOf, gateOf } from './gate-fixture.ts';

describe('the order', () => {
  it('is identify, decide, transform, record, forward', async () => {
    const { gate, trace } = gateOf();
    const outcome = await pass(arrivalOf(), gate);
    expect(outcome).toBeInstanceOf(Delivered);
    expect(trace.steps).toEqual(['identify', 'decide', 'transform', 'record-permitted', 'forward', 'transform-reply']);
    expect(trace.observed).toEqual([outcome]);
  });

  it('forwards only after the record is durable', async () => {
    let durable = (): void => undefined;
    const { gate, trace } = gateOf();
    const waiting = {
      ...gate,
      recorder: { ...gate.recorder, record: () => new Promise<void>((done) => (durable = done)) },
    };
    const passing = pass(arrivalOf(), waiting);
    await new Promise((later) => setTimeout(later, 20));
    expect(trace.forwarded).toEqual([]);
    durable();
    await passing;
    expect(trace.forwarded).toHaveLength(1);
  });

  it('records one decision with identity, action, verdict, route and revision, and no payload', async () => {
    const { gate, trace } = gateOf();
    await pass(arrivalOf(), gate);
    expect(trace.records).toHaveLength(1);
    expect(trace.records[0]).toMatchObject({
      verdict: 'permitted',
      reasons: [],
      revision: 'r1',
      device: { id: 'thermo-1', segment: 'sensors', state: 'active' },
      action: { protocol: 'https', verb: 'POST', resource: '/v1/telemetry', direction: 'toCloud', bytes: 17 },
      obligations: { route: 'sensors/telemetry', upstream: 'cloud' },
    });
    expect(JSON.stringify(trace.records)).not.toContain('SN-1');
  });
});

describe('a no at any step', () => {
  it('unknown sender: denied on record, nothing decided or forwarded', async () => {
    const { gate, trace } = gateOf({ identifier: { identify: () => 'unknown-identity', admit: () => undefined } });
    const outcome = await pass(arrivalOf(), gate);
    expect(outcome).toMatchObject({ kind: 'denied', reasons: ['unknown-identity'] });
    expect(trace.steps).toEqual(['record-denied']);
    expect(trace.records[0]?.device).toBeUndefined();
  });

  it('policy: denied on record with all its reasons', async () => {
    const { gate, trace } = gateOf({
      decider: { revision: 'r1', decide: () => ({ allow: false, reasons: ['outside-schedule', 'no-route'] }) },
    });
    const outcome = await pass(arrivalOf(), gate);
    expect(outcome).toBeInstanceOf(Denied);
    expect(trace.records[0]).toMatchObject({ verdict: 'denied', reasons: ['outside-schedule', 'no-route'] });
    expect(trace.forwarded).toEqual([]);
  });

  it('privacy: a payload that no rule covers is denied', async () => {
    const { gate, trace } = gateOf();
    const strict = { ...gate, transformer: { ...gate.transformer, transform: () => 'payload-not-covered' as const } };
    expect(await pass(arrivalOf(), strict)).toMatchObject({ kind: 'denied', reasons: ['payload-not-covered'] });
    expect(trace.forwarded).toEqual([]);
  });

  it.each([
    ['identify', 'SP_INTERNAL'],
    ['decide', 'SP_POLICY_EVALUATION'],
    ['transform', 'SP_PAYLOAD_DUPLICATE_KEY'],
  ] as const)('%s throws: failed, on record, nothing forwarded', async (step, code) => {
    const thrower = () => {
      throw step === 'identify' ? new TypeError('boom') : new Fault(code);
    };
    const { gate, trace } = gateOf();
    const broken = {
      ...gate,
      ...(step === 'identify' && { identifier: { identify: thrower, admit: () => undefined } }),
      ...(step === 'decide' && { decider: { revision: 'r1', decide: thrower } }),
      ...(step === 'transform' && { transformer: { ...gate.transformer, transform: thrower } }),
    };
    const outcome = await pass(arrivalOf(), broken);
    expect(outcome).toBeInstanceOf(Failed);
    expect(trace.records).toEqual([expect.objectContaining({ verdict: 'failed', reasons: [code] })]);
    expect(trace.forwarded).toEqual([]);
  });
});

describe('the record', () => {
  const failing = { record: async () => Promise.reject(new Fault('SP_LEDGER_WRITE')), outcome: () => undefined };

  it('cannot be written: a permitted message is not forwarded', async () => {
    const { gate, trace } = gateOf({ recorder: failing });
    expect(await pass(arrivalOf(), gate)).toMatchObject({ kind: 'failed', fault: { code: 'SP_LEDGER_WRITE' } });
    expect(trace.forwarded).toEqual([]);
  });

  it('cannot be written: a denial is still a refusal', async () => {
    const { gate } = gateOf({
      recorder: failing,
      decider: { revision: 'r1', decide: () => ({ allow: false, reasons: ['no-route'] }) },
    });
    expect(await pass(arrivalOf(), gate)).toMatchObject({ kind: 'failed', fault: { code: 'SP_LEDGER_WRITE' } });
  });

  it('of a permitted message is followed by how its forwarding failed', async () => {
    const { gate, trace } = gateOf({
      forwarder: { forward: async () => Promise.reject(new Fault('SP_UPSTREAM_TIMEOUT')) },
    });
    expect(await pass(arrivalOf(), gate)).toMatchObject({ kind: 'failed', fault: { code: 'SP_UPSTREAM_TIMEOUT' } });
    expect(trace.records.map(({ verdict }) => verdict)).toEqual(['permitted']);
    expect(trace.outcomes).toEqual([expect.objectContaining({ fault: 'SP_UPSTREAM_TIMEOUT' })]);
  });
});

describe('proof', () => {
  it('a forged value is refused at run time at every step', async () => {
    const { gate, trace } = gateOf();
    const forged = Object.create(Sealed.prototype) as Sealed;
    expect(() => Sealed.assert(forged)).toThrow(expect.objectContaining({ code: 'SP_EXCHANGE_UNPROVEN' }));
    expect(() => Permitted.assert(Object.create(Permitted.prototype))).toThrow(Fault);
    expect(() => Identified.assert(Object.create(Identified.prototype))).toThrow(Fault);
    expect(() => SealedReply.assert(Object.create(SealedReply.prototype))).toThrow(Fault);
    expect(() => Sealed.by(gate.transformer, Object.create(Permitted.prototype))).toThrow(Fault);
    await expect(Permitted.by(gate.decider, Object.create(Identified.prototype))).rejects.toThrow(Fault);
    expect(() => SealedReply.by(gate.transformer, forged, {} as never)).toThrow(Fault);
    expect(trace.steps).toEqual([]);
  });

  it('a proxy around a sealed value is not that value', async () => {
    const { gate, trace } = gateOf();
    await pass(arrivalOf(), gate);
    const sealed = trace.forwarded[0] as Sealed;
    expect(Sealed.assert(sealed)).toBe(sealed);
    expect(() => Sealed.assert(new Proxy(sealed, {}))).toThrow(Fault);
    expect(() => Sealed.assert({ ...sealed } as Sealed)).toThrow(Fault);
  });

  it('a constructor called with another symbol makes nothing', () => {
    const forge = (stage: unknown) => () => Reflect.construct(stage as new () => unknown, [Symbol('sealed'), {}, {}]);
    for (const stage of [Identified, Permitted, Sealed, SealedReply]) expect(forge(stage)).toThrow(Fault);
  });
});

describe('cancellation', () => {
  it('a peer that left before the decision is on record gets nothing forwarded', async () => {
    const controller = new AbortController();
    controller.abort();
    const { gate, trace } = gateOf();
    const outcome = await pass(arrivalOf({ signal: controller.signal }), gate);
    expect(outcome).toMatchObject({ kind: 'failed', fault: { code: 'SP_EXCHANGE_CANCELLED' } });
    expect(trace.forwarded).toEqual([]);
    expect(trace.records.map(({ verdict }) => verdict)).toEqual(['failed']);
  });
});

describe('reconsider', () => {
  it('says nothing while it is still permitted, and neither records nor forwards', async () => {
    const { gate, trace } = gateOf();
    expect(await reconsider(arrivalOf(), gate)).toBeUndefined();
    expect(trace.steps).toEqual(['identify', 'decide']);
  });

  it('returns and records a denial; a policy that throws is one too', async () => {
    const denying = gateOf({ decider: { revision: 'r2', decide: () => ({ allow: false, reasons: ['no-route'] }) } });
    expect(await reconsider(arrivalOf(), denying.gate)).toMatchObject({ kind: 'denied' });
    expect(denying.trace.records).toHaveLength(1);
    const throwing = gateOf({
      decider: {
        revision: 'r2',
        decide: () => {
          throw new Fault('SP_POLICY_EVALUATION');
        },
      },
    });
    expect(await reconsider(arrivalOf(), throwing.gate)).toMatchObject({ kind: 'failed' });
  });
});

it('the payload is decoded once: policy and transformation see one document', async () => {
  let decoded = 0;
  const { gate } = gateOf();
  const counting = {
    ...gate,
    decider: {
      revision: 'r1',
      decide: (identified: Identified) => {
        identified.document();
        return { allow: true as const, obligations: { route: 'a/b', upstream: 'cloud' } };
      },
    },
    transformer: {
      ...gate.transformer,
      decode: () => {
        decoded += 1;
        return { json: '{}' };
      },
      transform: (permitted: Permitted) => {
        permitted.identified.document();
        return gate.transformer.transform(permitted);
      },
    },
  };
  await pass(arrivalOf(), counting);
  expect(decoded).toBe(1);
});
