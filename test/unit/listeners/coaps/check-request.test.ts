import { describe, expect, it } from 'vitest';
import type { CoapRequest } from '../../../../src/coap/api.ts';
import { composePath, composeQuery } from '../../../../src/coap/uri.ts';
import { Fault } from '../../../../src/faults/fault.ts';
import { checkCoapRequest } from '../../../../src/listeners/coaps/check-request.ts';

function request(parts: {
  method?: CoapRequest<unknown>['method'];
  segments?: string[];
  queries?: string[];
  payload?: string;
  contentFormat?: number;
  accept?: number;
}): CoapRequest<unknown> {
  const { method = 'POST', segments = ['v1'], queries = [], payload = '', contentFormat, accept } = parts;
  return {
    method,
    path: composePath(segments),
    query: composeQuery(queries),
    payload: Buffer.from(payload),
    contentFormat,
    accept,
    etags: [],
    ifMatch: [],
    ifNoneMatch: false,
  } as never;
}

const check = (parts: Parameters<typeof request>[0]) => checkCoapRequest(request(parts), 4_096);
const codeOf = (parts: Parameters<typeof request>[0]) => {
  try {
    check(parts);
  } catch (thrown) {
    return Fault.from(thrown).code;
  }
  return 'none';
};

describe('the target', () => {
  it.each<[string[], string[], string, string, string | undefined]>([
    [['v1', 'telemetry'], [], '/v1/telemetry', '', undefined],
    [[], [], '/', '', undefined],
    [['v1', ''], [], '/v1/', '', undefined],
    [['a b', 'ä'], ['x=1', 'y=a&b', 'z=ü'], '/a%20b/%C3%A4', 'x=1&y=a%26b&z=%C3%BC', undefined],
    [['~door-1', 'lock'], [], '/lock', '', 'door-1'],
    [['~door-1'], [], '/', '', 'door-1'],
  ])('%j with %j is %s', (segments, queries, path, query, targetDevice) => {
    expect(check({ segments, queries })).toMatchObject({ path, query, ...(targetDevice && { targetDevice }) });
  });

  it.each([
    [['', 'evil.example']],
    [['a', '', 'b']],
    [['a/b']],
    [['a\\b']],
    [['a\0b']],
    [['%41']],
    [['%2e%2e', 'x']],
    [['..;x']],
    [['~Door']],
    [['~']],
    [['x'.repeat(5_000)]],
  ])('%j is refused', (segments) => {
    expect(codeOf({ segments })).toBe('SP_COAP_TARGET');
  });
});

describe('the verb', () => {
  it.each([
    ['GET', 'GET'],
    ['PUT', 'PUT'],
    ['PATCH', 'PATCH'],
    ['iPATCH', 'PATCH'],
    ['DELETE', 'DELETE'],
  ] as const)('%s is %s', (method, verb) => {
    expect(check({ method }).verb).toBe(verb);
  });

  it('FETCH has none', () => {
    expect(codeOf({ method: 'FETCH' })).toBe('SP_COAP_METHOD');
  });
});

describe('the payload', () => {
  it.each<[string, number | undefined, string, string]>([
    ['{"a":1}', 50, 'application/json', 'application/json'],
    ['hello', 0, 'text/plain', 'text/plain;charset=utf-8'],
    ['x', 60, 'application/cbor', 'application/cbor'],
    ['x', 65_000, 'application/coap-payload', 'application/coap-payload;cf=65000'],
    // Without a format what begins as JSON has to be JSON.
    [' \r\n\t{"a":1}', undefined, 'application/json', 'application/json'],
    ['[1]', undefined, 'application/json', 'application/json'],
  ])('%j in format %j is %s', (payload, contentFormat, contentType, header) => {
    const checked = check({ payload, ...(contentFormat !== undefined && { contentFormat }) });
    expect(checked.contentType).toBe(contentType);
    expect(checked.headers).toContainEqual(['content-type', header]);
    expect(checked.body).toEqual({ kind: 'bytes', bytes: Buffer.from(payload) });
  });

  it.each(['hello', '"a"', '1', '   '])('%j without a format has no type', (payload) => {
    expect(check({ payload })).toMatchObject({ contentType: '', headers: [], body: { kind: 'bytes' } });
  });

  it('of a GET means nothing, and neither does its format', () => {
    expect(check({ method: 'GET', payload: '{}', contentFormat: 50, accept: 50 })).toMatchObject({
      contentType: '',
      headers: [['accept', 'application/json']],
      body: { kind: 'empty' },
    });
  });
});
