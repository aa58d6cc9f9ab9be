import { describe, expect, it } from 'vitest';
import type { Fault } from '../../../src/faults/fault.ts';
import { type InputContext, type PolicyInput, PolicyInputWriter } from '../../../src/policy/input.ts';
import { DEVICE, identifiedAs, PEER, type Told } from './policy-source.ts';

const context: InputContext = { sentinel: 42, gateway: 'plant-7', revision: 'r7' };

function written(told: Told = {}, changes: Partial<InputContext> = {}, writer = new PolicyInputWriter(65_536)): string {
  return new TextDecoder().decode(writer.write(identifiedAs(told), { ...context, ...changes }));
}

function parsed(told: Told = {}, changes: Partial<InputContext> = {}): PolicyInput {
  return JSON.parse(written(told, changes)) as PolicyInput;
}

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    return (thrown as Fault).code;
  }
  return 'nothing thrown';
}

describe('the policy input', () => {
  it('says who, what, where to and when, and nothing else', () => {
    expect(parsed()).toEqual({
      v: 42,
      device: {
        id: 'thermo-1',
        segment: 'sensors',
        labels: { site: 'north' },
        model: 'T-100',
        state: 'active',
        auth: {
          method: 'certificate',
          issuer: 'CN=Sallyport devices',
          serial: '5F0A9C',
          not_after: '2027-01-01T00:00:00.000Z',
        },
      },
      action: {
        protocol: 'https',
        verb: 'POST',
        resource: '/v1/telemetry',
        content_type: 'application/json',
        bytes: 56,
        direction: 'toCloud',
      },
      target: {},
      context: { time: '2026-11-22T14:03:11.482Z', listener: 'https', gateway: 'plant-7', revision: 'r7' },
    } satisfies PolicyInput);
  });

  it('holds no query, header or body of the message', () => {
    expect(written()).not.toMatch(/secret/);
  });

  it('gives the length of a stream, and -1 when nobody knows it', () => {
    const stream = (async function* () {})();
    expect(parsed({ arrival: { body: { kind: 'stream', stream, length: 70_000_000 } } }).action.bytes).toBe(70_000_000);
    expect(parsed({ arrival: { body: { kind: 'stream', stream, length: undefined } } }).action.bytes).toBe(-1);
    expect(parsed({ arrival: { body: { kind: 'empty' } } }).action.bytes).toBe(0);
  });

  it('splices the payload in as it is, every digit of it', () => {
    const document = { json: '{"n":9007199254740993,"x":1.50}' };
    expect(written({}, { document })).toContain('"payload":{"n":9007199254740993,"x":1.50},');
    expect(parsed()).not.toHaveProperty('payload');
  });

  it('names the target device, and its segment and place only if it can be reached', () => {
    const arrival = { targetDevice: 'valve-2' };
    expect(parsed({ arrival }).target).toEqual({ device: 'valve-2' });
    const target = { ...DEVICE, id: 'valve-2', segment: 'valves' };
    expect(parsed({ arrival }, { target }).target).toEqual({ device: 'valve-2', segment: 'valves' });
    const at = (address: string) => parsed({ arrival }, { target: { ...target, address } }).target;
    expect(at('https://10.0.3.18:8443')).toEqual({
      device: 'valve-2',
      segment: 'valves',
      host: '10.0.3.18',
      port: 8443,
    });
    expect(at('https://valve.lan')).toMatchObject({ host: 'valve.lan', port: 443 });
    expect(at('http://valve.lan')).toMatchObject({ port: 80 });
    expect(at('not a url')).toEqual({ device: 'valve-2', segment: 'valves' });
  });

  it('escapes what would otherwise end a string and begin another key', () => {
    const evil = '","allow":true,"x":"';
    const input = parsed({
      arrival: {
        verb: evil,
        path: evil,
        contentType: evil,
        listener: evil,
        targetDevice: evil,
        peer: { ...PEER, issuer: evil, serial: evil },
      },
      device: {
        id: evil,
        segment: evil,
        model: evil,
        firmware: evil,
        manufacturer: evil,
        labels: { [evil]: evil, ['__proto__']: evil },
      },
    });
    expect(input.device).toMatchObject({ id: evil, segment: evil, model: evil, firmware: evil, manufacturer: evil });
    expect(input.device.labels[evil]).toBe(evil);
    expect(Object.keys(input)).toEqual(['v', 'device', 'action', 'target', 'context']);
    expect(input.action).toMatchObject({ verb: evil, resource: evil, content_type: evil });
    expect(input.target).toEqual({ device: evil });
  });

  it('refuses strings that have no UTF-8 form, wherever they stand', () => {
    const lone = 'a\ud800';
    for (const told of [
      { arrival: { path: lone } },
      { arrival: { verb: lone } },
      { arrival: { targetDevice: lone } },
      { arrival: { peer: { ...PEER, issuer: lone } } },
      { device: { labels: { a: lone } } },
      { device: { model: lone } },
    ]) {
      expect(refusal(() => written(told))).toBe('SP_POLICY_INPUT');
    }
  });

  it('refuses what is longer than the limit, to the byte', () => {
    const length = written().length;
    expect(written({}, {}, new PolicyInputWriter(length))).toHaveLength(length);
    expect(refusal(() => written({}, {}, new PolicyInputWriter(length - 1)))).toBe('SP_POLICY_INPUT');
    const document = { json: JSON.stringify('ä'.repeat(40_000)) };
    expect(refusal(() => written({}, { document }))).toBe('SP_POLICY_INPUT');
  });

  it('refuses a time that is none', () => {
    expect(refusal(() => written({ arrival: { receivedAt: Number.NaN } }))).toBe('SP_POLICY_INPUT');
    expect(refusal(() => written({ arrival: { peer: { ...PEER, notAfter: 1e300 } } }))).toBe('SP_POLICY_INPUT');
  });

  it('keeps nothing of one message for the next, however the caches are filled', () => {
    const writer = new PolicyInputWriter(65_536);
    for (let at = 0; at < 600; at += 1) {
      const input = JSON.parse(
        written(
          { arrival: { contentType: `text/${at}`, receivedAt: at }, device: { id: `d-${at}` } },
          { sentinel: at },
          writer,
        ),
      ) as PolicyInput;
      expect(input.v).toBe(at);
      expect(input.device.id).toBe(`d-${at}`);
      expect(input.action.content_type).toBe(`text/${at}`);
      expect(input.context.time).toBe(new Date(at).toISOString());
    }
    expect(JSON.parse(written({}, { revision: 'r8' }, writer))).toMatchObject({ context: { revision: 'r8' } });
  });
});
