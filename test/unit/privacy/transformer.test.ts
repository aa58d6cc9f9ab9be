import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Body } from '../../../src/exchange/arrival.ts';
import type { Message } from '../../../src/exchange/message.ts';
import { Disguise } from '../../../src/privacy/disguise.ts';
import { PrivacyKeys } from '../../../src/privacy/keys.ts';
import { PrivacyTransformer } from '../../../src/privacy/transformer.ts';
import { arrivalOf } from '../exchange/gate-fixture.ts';
import { bodyOf, codeOf, jsonArrival, KEYS, leave, permittedOf, ruleOf, transformerOf } from './privacy-fixture.ts';

const RULE = ruleOf({ keep: ['temperature', 'humidity', 'time'], pseudonymise: ['serial'] });
const READING = '{"serial":"SN-1","temperature":21.5,"owner":"Ada"}';
const transformer = transformerOf({ rules: [RULE] });

const bytes = (text: string): Body => ({ kind: 'bytes', bytes: Buffer.from(text) });
const EMPTY: Body = { kind: 'empty' };

async function* chunks() {
  yield Buffer.from('frame');
}
const stream: Body = { kind: 'stream', stream: chunks(), length: undefined };

async function left(...parameters: Parameters<typeof leave>): Promise<Message> {
  const message = await leave(...parameters);
  if (typeof message === 'string') throw new Error(message);
  return message;
}

describe('under a rule', () => {
  it('a reading leaves with what is kept, a pseudonym, and nothing else', async () => {
    const body = await bodyOf(transformer, jsonArrival(READING));
    expect(body).toMatch(/^\{"serial":"p1\.[\w-]{22}","temperature":21\.5\}$/);
    expect(await bodyOf(transformer, jsonArrival(READING))).toBe(body);
  });

  it.each([
    'text/plain',
    'application/octet-stream',
    'application/cbor',
    '',
    'application/jsonx',
    'multipart/form-data',
  ])('a body of type %j is refused', async (contentType) => {
    expect(await bodyOf(transformer, jsonArrival(READING, { contentType }))).toBe('SP_PAYLOAD_TYPE');
  });

  it.each(['application/senml+json', 'application/secret-patient-ada+json', 'ada/x+json'])(
    'a type ending in +json is JSON, and leaves as that alone: %s',
    async (contentType) => {
      const headers = [['content-type', contentType]] as const;
      const message = await left(transformer, jsonArrival('{"temperature":1}', { contentType, headers }));
      expect(message.contentType).toBe('application/json');
      expect(message.headers).toEqual([['content-type', 'application/json']]);
    },
  );

  it.each(['gzip', 'br', 'identity, gzip', 'x-unknown'])(
    'a body in content encoding %s is refused',
    async (encoding) => {
      const arrival = jsonArrival(READING, { headers: [['content-encoding', encoding]] });
      expect(await bodyOf(transformer, arrival)).toBe('SP_PAYLOAD_TYPE');
    },
  );

  it('a body in content encoding identity is not', async () => {
    const arrival = jsonArrival(READING, { headers: [['content-encoding', 'Identity']] });
    expect((await left(transformer, arrival)).headers).toEqual([['content-type', 'application/json']]);
  });

  it.each([
    ['{"temperature":1', 'SP_PAYLOAD_SYNTAX'],
    ['{"a":1,"a":2}', 'SP_PAYLOAD_DUPLICATE_KEY'],
    ['{"a":1e309}', 'SP_PAYLOAD_NUMBER'],
    ['{"serial":{"raw":"SN-1"}}', 'SP_PAYLOAD_VALUE'],
    ['"SN-1"', 'SP_PAYLOAD_VALUE'],
  ])('%s is refused with %s', async (text, code) => {
    expect(await bodyOf(transformer, jsonArrival(text))).toBe(code);
  });

  it('a request without a body needs none', async () => {
    for (const body of [EMPTY, bytes('')]) {
      const message = await left(transformer, jsonArrival('', { body, verb: 'GET' }));
      expect(message).toMatchObject({ verb: 'GET', contentType: '', headers: [], body: EMPTY });
    }
  });

  it('a rule that does not exist denies', async () => {
    expect(await bodyOf(transformer, jsonArrival(READING), { privacy: 'gone' })).toBe('SP_POLICY_OBLIGATION');
  });

  it('counts fields', async () => {
    const counting = transformerOf({ rules: [RULE] });
    await bodyOf(counting, jsonArrival(READING));
    await bodyOf(counting, jsonArrival(READING));
    expect(counting.counts.get('readings')).toEqual({
      kept: 2,
      dropped: 2,
      pseudonymised: 2,
      tokenised: 0,
      coarsened: 0,
    });
  });
});

describe('headers under a rule', () => {
  const withHeaders = transformerOf({
    rules: [ruleOf({ headers: { keep: ['X-Batch'], pseudonymise: ['x-serial'], tokenise: ['x-line'] } })],
  });

  it('leave only if they are named', async () => {
    const arrival = jsonArrival('{}', {
      headers: [
        ['authorization', 'Bearer SECRET'],
        ['cookie', 'SECRET'],
        ['user-agent', 'SECRET'],
        ['x-unknown', 'SECRET'],
        ['accept', 'application/json'],
        ['accept-language', 'ada-lovelace'],
        ['content-type', 'application/json; owner=SECRET'],
        ['x-batch', '7'],
        ['x-serial', 'SN-1'],
        ['x-line', 'line 4'],
      ],
    });
    const { headers } = await left(withHeaders, arrival);
    expect(headers).toEqual([
      ['content-type', 'application/json'],
      ['accept', 'application/json'],
      ['x-batch', '7'],
      ['x-serial', new Disguise(KEYS, 'readings').pseudonym('sSN-1')],
      ['x-line', expect.stringMatching(/^t1\.[\w-]{43,}$/)],
    ]);
  });

  it.each([
    ['*/*', '*/*'],
    ['text/plain;serial=SN-1', 'text/plain'],
    ['Application/JSON ; q=0.9,text/*;q=0.1', 'application/json, text/*'],
    ['application/senml+json, application/cbor, application/problem+json', undefined],
    ['application/octet-stream,application/*,text/plain', 'application/*, text/plain, application/octet-stream'],
    ['text/plain, ada/lovelace, application/secret-ada+json', 'text/plain'],
    ['text/plain;x="a,application/json", SN-1', 'text/plain'],
    ['text/plain,text/plain,text/plain', 'text/plain'],
    ['text/plain;q=0, application/json;Q=0.000, */*', '*/*'],
    ['text/html', ''],
    ['ada-lovelace', ''],
    ['', ''],
    [`text/plain,${'x'.repeat(257)}`, ''],
  ])('Accept %j leaves as %j', async (sent, expected) => {
    const wanted = expected ?? 'application/cbor, application/problem+json, application/senml+json';
    const accept = wanted === '' ? [] : [['accept', wanted]];
    const headers = [
      ['accept', sent],
      ['accept-language', 'ada-lovelace'],
    ] as const;
    const ruled = await left(withHeaders, jsonArrival('{}', { headers }));
    expect(ruled.headers).toEqual([['content-type', 'application/json'], ...accept]);
    const bare = await left(transformer, arrivalOf({ verb: 'GET', headers, query: '', body: EMPTY }), {});
    expect(bare.headers).toEqual(accept);
  });

  it('Accept and Accept-Language leave as they are if the rule names them', async () => {
    const naming = transformerOf({
      rules: [ruleOf({ headers: { keep: ['accept', 'Accept-Language'], pseudonymise: [], tokenise: [] } })],
    });
    const headers = [
      ['accept', 'text/html;q=0.1'],
      ['accept-language', 'de-AT'],
    ] as const;
    const message = await left(naming, arrivalOf({ verb: 'GET', headers, query: '', body: EMPTY }));
    expect(message.headers).toEqual(headers);
  });
});

describe('the query under a rule', () => {
  const withQuery = transformerOf({
    rules: [ruleOf({ query: { keep: ['from', 'größe', 'flag'], pseudonymise: ['serial'], tokenise: ['line'] } })],
  });
  const query = async (text: string) => {
    const message = await leave(withQuery, arrivalOf({ query: text, body: EMPTY, headers: [] }));
    return typeof message === 'string' ? message : message.query;
  };

  it.each([
    ['', ''],
    ['from=2026&owner=Ada', 'from=2026'],
    ['%66rom=%41+%2b%20b', 'from=A%20%2B%20b'],
    ['gr%c3%b6%c3%9fe=1&flag', 'gr%C3%B6%C3%9Fe=1&flag'],
    ['flag=', 'flag='],
    ['&&from=a=b&', 'from=a%3Db'],
    ['from=a;owner=Ada', 'from=a%3Bowner%3DAda'],
    ['from=%0d%0aX:1', 'from=%0D%0AX%3A1'],
  ])('%j leaves as %j', async (text, canonical) => {
    expect(await query(text)).toBe(canonical);
  });

  it('pseudonymises like the payload', async () => {
    expect(await query('serial=SN%2d1')).toBe(`serial=${new Disguise(KEYS, 'readings').pseudonym('sSN-1')}`);
    expect(await query('line=4')).toMatch(/^line=t1\.[\w-]{43,}$/);
  });

  it.each(['from=1&from=2', 'from=1&%66rom=2', 'owner=1&owner=2', 'from&from'])('%j has two readings', async (text) => {
    expect(await query(text)).toBe('SP_PAYLOAD_DUPLICATE_KEY');
  });

  it.each(['from=%', 'from=%4', 'from=%zz', 'from=%ff', 'from=%c0%af', 'from=%ed%a0%80', '%=1', 'owner=%ff'])(
    '%j is not percent-encoded UTF-8',
    async (text) => {
      expect(await query(text)).toBe('SP_PAYLOAD_SYNTAX');
    },
  );
});

describe('the path under a rule', () => {
  const withPath = transformerOf({ rules: [ruleOf({ path: { pseudonymise: ['devices'], tokenise: ['lines'] } })] });
  const path = async (text: string) => {
    const message = await leave(withPath, arrivalOf({ path: text, query: '', body: EMPTY, headers: [] }));
    return typeof message === 'string' ? message : message.path;
  };
  const pseudonym = (text: string) => new Disguise(KEYS, 'readings').pseudonym(`s${text}`);

  it('has a pseudonym after each named word', async () => {
    expect(await path('/v1/devices/SN-1/config')).toBe(`/v1/devices/${pseudonym('SN-1')}/config`);
    expect(await path('/v1/devices/S%4e-1')).toBe(`/v1/devices/${pseudonym('SN-1')}`);
    expect(await path('/lines/4')).toMatch(/^\/lines\/t1\.[\w-]{43,}$/);
    expect(await path('/v1/other/SN%2D1/')).toBe('/v1/other/SN%2D1/');
    expect(await path('/v1/devices/')).toBe('/v1/devices/');
    expect(await path('/devices/devices/x')).toBe(`/devices/${pseudonym('devices')}/${pseudonym('x')}`);
  });

  it('also if the word is spelled in percent-encoding', async () => {
    expect(await path('/v1/d%65vices/SN-1')).toBe(`/v1/d%65vices/${pseudonym('SN-1')}`);
  });

  it('is refused if it does not decode', async () => {
    expect(await path('/v1/devices/%ff')).toBe('SP_PAYLOAD_SYNTAX');
  });
});

describe('without a rule', () => {
  it('neither payload nor query leaves', async () => {
    for (const arrival of [
      jsonArrival(READING),
      jsonArrival('x', { contentType: 'text/plain' }),
      arrivalOf({ body: EMPTY, query: 'a=1' }),
      arrivalOf({ body: stream, query: '' }),
    ]) {
      expect(await leave(transformer, arrival, { stream: true })).toBe('payload-not-covered');
    }
  });

  it('a bare request leaves, with the headers that choose the answer', async () => {
    const headers = [
      ['accept', '*/*'],
      ['cookie', 'SECRET'],
      ['content-type', 'text/plain'],
    ] as const;
    const message = await left(transformer, arrivalOf({ verb: 'GET', headers, query: '', body: bytes('') }), {});
    expect(message).toMatchObject({ headers: [['accept', '*/*']], query: '', contentType: '', body: EMPTY });
  });
});

describe('unchanged', () => {
  const obligations = { privacy: 'unchanged' };

  it('JSON leaves as the very bytes that policy saw', async () => {
    const text = '{ "b" : 1.0, "a" : "\\u0041" , "__proto__" : null }\n';
    const permitted = await permittedOf(transformer, jsonArrival(text), obligations);
    const seen = permitted.identified.document()?.json;
    const message = transformer.transform(permitted);
    expect(seen).toBe('{"b":1,"a":"A","__proto__":null}');
    expect(
      typeof message === 'object' && message.body.kind === 'bytes' && Buffer.from(message.body.bytes).toString(),
    ).toBe(seen);
  });

  it('JSON that has two readings does not leave', async () => {
    expect(await bodyOf(transformer, jsonArrival('{"a":1,"a":2}'), obligations)).toBe('SP_PAYLOAD_DUPLICATE_KEY');
  });

  it('other types leave as they are, with query and headers', async () => {
    const arrival = jsonArrival('frame', {
      contentType: 'image/jpeg',
      query: 'a=1&a=%ff',
      headers: [
        ['content-type', 'image/jpeg; q=1'],
        ['content-encoding', 'gzip'],
        ['x-frame', '7'],
        ['host', 'evil.example'],
        ['content-length', '99'],
        ['transfer-encoding', 'chunked'],
      ],
    });
    const message = await left(transformer, arrival, obligations);
    expect(message).toMatchObject({ query: 'a=1&a=%ff', contentType: 'image/jpeg', body: arrival.body });
    expect(message.headers).toEqual([
      ['content-type', 'image/jpeg; q=1'],
      ['content-encoding', 'gzip'],
      ['x-frame', '7'],
    ]);
  });

  it('JSON under a content encoding is refused: nobody could have looked at it', async () => {
    const arrival = jsonArrival(READING, { headers: [['content-encoding', 'gzip']] });
    expect(await bodyOf(transformer, arrival, obligations)).toBe('SP_PAYLOAD_TYPE');
  });
});

describe('a stream', () => {
  it.each([
    [{ privacy: 'unchanged' }, 'stream-not-allowed'],
    [{ privacy: 'readings' }, 'stream-not-allowed'],
    [{ privacy: 'readings', stream: true }, 'stream-not-allowed'],
    [{}, 'stream-not-allowed'],
    [{ stream: true }, 'payload-not-covered'],
  ] as const)('under %j is denied: %s', async (obligations, reason) => {
    expect(await leave(transformer, arrivalOf({ body: stream, query: '' }), obligations)).toBe(reason);
  });

  it('passes only unchanged and with the obligation', async () => {
    const message = await left(transformer, arrivalOf({ body: stream }), { privacy: 'unchanged', stream: true });
    expect(message.body).toBe(stream);
  });
});

describe('PrivacyTransformer', () => {
  it('refuses rules with problems', () => {
    expect(codeOf(() => transformerOf({ rules: [ruleOf({ keep: ['a'], tokenise: ['a'] })] }))).toBe(
      'SP_CONFIG_INVALID',
    );
  });

  it('prints neither keys nor payloads', async () => {
    const permitted = await permittedOf(transformer, jsonArrival('{"serial":"RAW-VALUE"}'));
    const document = permitted.identified.document();
    const shown = `${inspect({ transformer, document }, { depth: 20, showHidden: true })}${JSON.stringify({ document })}`;
    expect(shown).not.toContain('RAW-VALUE');
    expect(shown).not.toMatch(/Int32Array|<Buffer/);
  });

  it('gives pseudonyms that need the key', async () => {
    const other = new PrivacyTransformer({
      rules: new Map([['readings', RULE]]),
      keys: PrivacyKeys.generate(),
      limits: { ...(await import('../../../src/config/settings.ts')).DEFAULT_LIMITS },
      literals: new Set(),
    });
    expect(await bodyOf(other, jsonArrival(READING))).not.toBe(await bodyOf(transformer, jsonArrival(READING)));
  });
});
