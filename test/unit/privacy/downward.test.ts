/** The way from the cloud to the device: replies, and messages on an open channel. */
import { describe, expect, it } from 'vitest';
import type { Reply } from '../../../src/exchange/message.ts';
import type { Device } from '../../../src/exchange/peer.ts';
import { Disguise } from '../../../src/privacy/disguise.ts';
import { PrivacyKey, PrivacyKeys } from '../../../src/privacy/keys.ts';
import { DEVICE } from '../exchange/gate-fixture.ts';
import { answer, bodyOf, codeOf, jsonArrival, KEYS, leave, ruleOf, textOf, transformerOf } from './privacy-fixture.ts';

const RULES = [ruleOf({ keep: ['v'], tokenise: ['serial'] }), ruleOf({ name: 'frames', purpose: 'frames' })];
const transformer = transformerOf({ rules: RULES });
const disguise = new Disguise(KEYS, 'readings', DEVICE.id);
const foreign = new Disguise(KEYS, 'frames', DEVICE.id).token('sSN-1');
const neighbour: Device = { ...DEVICE, id: 'thermo-2', key: 'cd'.repeat(32) };
const json = (text: string) => ({
  contentType: 'application/json',
  body: { kind: 'bytes' as const, bytes: Buffer.from(text) },
});

async function replied(...parameters: Parameters<typeof answer>): Promise<string> {
  try {
    return textOf(await answer(...parameters));
  } catch (thrown) {
    return codeOf(() => {
      throw thrown;
    });
  }
}

describe('a reply', () => {
  it('gives the device back what it sent as a token', async () => {
    const up = await bodyOf(transformer, jsonArrival('{"serial":"SN-1"}'));
    expect(up).toMatch(/^\{"serial":"t1\./);
    expect(await replied(transformer, json(up))).toBe('{"serial":"SN-1"}');
  });

  it('has tokens mapped back wherever they stand as a string, with their type', async () => {
    const tokens = (['sSN-1', 'n21.5', 'btrue', 's"\\\n'] as const).map((value) => disguise.token(value));
    const text = JSON.stringify({ a: [tokens[0], { b: tokens[1] }], c: tokens[2], d: tokens[3], e: 'plain', f: 1 });
    expect(await replied(transformer, json(text))).toBe(
      '{"a":["SN-1",{"b":21.5}],"c":true,"d":"\\"\\\\\\n","e":"plain","f":1}',
    );
    expect(await replied(transformer, json(JSON.stringify(tokens[0])))).toBe('"SN-1"');
    const escaped = `"\\u0074${tokens[0]?.slice(1)}"`;
    expect(await replied(transformer, json(escaped))).toBe('"SN-1"');
  });

  it('keeps pseudonyms: they are one-way', async () => {
    const pseudonym = JSON.stringify(disguise.pseudonym('sSN-1'));
    expect(await replied(transformer, json(pseudonym))).toBe(pseudonym);
  });

  it('drops nothing', async () => {
    expect(await replied(transformer, json('{"interval":60,"owner":"Ada"}'))).toBe('{"interval":60,"owner":"Ada"}');
  });

  it('with a forged, altered or foreign token is refused', async () => {
    const token = disguise.token('sSN-1');
    for (const bad of [foreign, `t1.${'A'.repeat(43)}`, `t9${token.slice(2)}`, `${token.slice(0, -2)}AA`]) {
      expect(await replied(transformer, json(JSON.stringify({ serial: bad })))).toBe('SP_PAYLOAD_TOKEN');
      expect(await replied(transformer, { headers: [['etag', bad]] })).toBe('SP_PAYLOAD_TOKEN');
      expect(await replied(transformer, { headers: [['location', `/v1/${bad}`]] })).toBe('SP_PAYLOAD_TOKEN');
    }
  });

  it('opens no token of another device: a cloud with one device at hand would have them all opened', async () => {
    const up = await bodyOf(transformer, jsonArrival('{"serial":"SN-1"}'));
    const token = (JSON.parse(up) as { serial: string }).serial;
    const to = (reply: Partial<Reply>, device: Device) => replied(transformer, reply, { privacy: 'readings' }, device);
    for (const reply of [
      json(up),
      { headers: [['etag', token]] },
      { headers: [['location', `/v1/${token}`]] },
    ] as const) {
      expect(await to(reply, neighbour)).toBe('SP_PAYLOAD_TOKEN');
      expect(await to(reply, DEVICE)).not.toContain('SP_PAYLOAD_TOKEN');
    }
    expect(await to(json(up), DEVICE)).toBe('{"serial":"SN-1"}');
    const theirs = await bodyOf(transformer, jsonArrival('{"serial":"SN-1"}'), { privacy: 'readings' }, neighbour);
    expect(theirs).not.toBe(up);
    expect(await to(json(theirs), neighbour)).toBe('{"serial":"SN-1"}');
  });

  it('opens only tokens of the permit’s own rule', async () => {
    expect(await replied(transformer, json(JSON.stringify(foreign)), { privacy: 'frames' })).toBe('"SN-1"');
    expect(await replied(transformer, json(JSON.stringify(foreign)), { privacy: 'readings' })).toBe('SP_PAYLOAD_TOKEN');
    expect(await replied(transformer, json(JSON.stringify(foreign)), { privacy: 'unchanged' })).toBe(
      JSON.stringify(foreign),
    );
    expect(await replied(transformer, json(JSON.stringify(foreign)), {})).toBe(JSON.stringify(foreign));
  });

  it.each(['{"a":1,"a":2}', '{', '[1e309]', '\ufeff{}', `${'['.repeat(40)}${']'.repeat(40)}`])(
    'that is no clean JSON is the upstream’s fault: %s',
    async (text) => {
      expect(await replied(transformer, json(text))).toBe('SP_UPSTREAM_RESPONSE');
    },
  );

  it('that is not JSON, encoded, a stream or empty passes as it is', async () => {
    const bytes = Buffer.from(disguise.token('sSN-1'));
    const body = { kind: 'bytes' as const, bytes };
    expect((await answer(transformer, { contentType: 'text/plain', body })).body).toBe(body);
    const encoded = [['content-encoding', 'gzip']] as const;
    expect((await answer(transformer, { contentType: 'application/json', headers: encoded, body })).body).toBe(body);
    expect(await replied(transformer, {})).toBe('(empty)');
  });

  it('is bounded', async () => {
    const small = transformerOf({ rules: RULES, limits: { responseBytes: 10 } });
    expect(await replied(small, json(`"${'x'.repeat(9)}"`), {})).toBe('SP_UPSTREAM_TOO_LARGE');
    expect(await replied(small, json(`"${'x'.repeat(8)}"`), {})).toBe('"xxxxxxxx"');
  });

  it('has tokens in headers mapped back, and no header about the bytes that were', async () => {
    const { headers } = await answer(transformer, {
      ...json('{}'),
      headers: [
        ['x-serial', disguise.token('sSN-1')],
        ['location', `/v1/devices/${disguise.token('sSN 1/2')}/config?a=1`],
        ['content-length', '2'],
        ['content-digest', 'x'],
        ['retry-after', '5'],
      ],
    });
    expect(headers).toEqual([
      ['x-serial', 'SN-1'],
      ['location', '/v1/devices/SN%201%2F2/config?a=1'],
      ['retry-after', '5'],
    ]);
  });

  it('never has a header split by a value that once was a token', async () => {
    for (const value of ['sx\r\nSet-Cookie: a=b', 's\u0000', 'sé', 's '] as const) {
      expect(await replied(transformer, { headers: [['x-serial', disguise.token(value)]] })).toBe('SP_PAYLOAD_TOKEN');
    }
  });

  it('never has a dot segment in its Location that once was a token', async () => {
    const token = disguise.token('s..');
    expect((await answer(transformer, { headers: [['location', `/a/${token}`]] })).headers).toEqual([
      ['location', `/a/${token}`],
    ]);
  });

  it('is mapped back through a rotation of keys', async () => {
    const old = PrivacyKey.generate(1, '2026-01-01T00:00:00Z');
    const fresh = PrivacyKey.generate(2, '2026-06-01T00:00:00Z');
    const token = new Disguise(new PrivacyKeys([old]), 'readings', DEVICE.id).token('sSN-1');
    const during = transformerOf({ rules: RULES, keys: new PrivacyKeys([old.withState('retiring'), fresh]) });
    const after = transformerOf({ rules: RULES, keys: new PrivacyKeys([old.withState('retired'), fresh]) });
    expect(await replied(during, json(JSON.stringify(token)))).toBe('"SN-1"');
    expect(await replied(after, json(JSON.stringify(token)))).toBe('SP_PAYLOAD_TOKEN');
  });
});

describe('a message of the cloud on an open channel', () => {
  const down = (text: string, contentType = 'application/json') =>
    jsonArrival(text, { direction: 'toDevice', protocol: 'websocket', verb: 'WS', query: '', contentType });

  it('has tokens mapped back and drops nothing', async () => {
    const text = JSON.stringify({ serial: disguise.token('sSN-1'), command: 'restart' });
    expect(await bodyOf(transformer, down(text))).toBe('{"serial":"SN-1","command":"restart"}');
  });

  it('is refused with a forged or foreign token', async () => {
    expect(await bodyOf(transformer, down(JSON.stringify(foreign)))).toBe('SP_PAYLOAD_TOKEN');
  });

  it('is refused with a token of another device', async () => {
    const message = down(JSON.stringify({ serial: disguise.token('sSN-1') }));
    expect(await bodyOf(transformer, message, { privacy: 'readings' }, neighbour)).toBe('SP_PAYLOAD_TOKEN');
    expect(await bodyOf(transformer, message, { privacy: 'readings' }, DEVICE)).toContain('SN-1');
  });

  it('passes as it is if it is not JSON', async () => {
    expect(await bodyOf(transformer, down('ping', 'text/plain'))).toBe('ping');
  });

  it('that is no clean JSON is the upstream’s fault', async () => {
    expect(await bodyOf(transformer, down('{"a":1,"a":2}'))).toBe('SP_UPSTREAM_RESPONSE');
  });

  it('needs a rule like every payload', async () => {
    expect(await leave(transformer, down('{}'), {})).toBe('payload-not-covered');
    expect(await bodyOf(transformer, down('{ }'), { privacy: 'unchanged' })).toBe('{}');
  });
});
