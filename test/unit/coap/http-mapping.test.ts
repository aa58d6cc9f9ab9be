/** CoAP and HTTP: the tables of RFC 8075 and RFC 7252 section 10, and what is not carried over. */
import { describe, expect, it } from 'vitest';
import type { CoapRequest, ReceivedResponse } from '../../../src/coap/api.ts';
import { CODE, type Method } from '../../../src/coap/codes.ts';
import { contentFormatOf, mediaTypeOf } from '../../../src/coap/content-formats.ts';
import {
  coapCodeOf,
  coapMethodOf,
  coapRequestOf,
  coapResponseOf,
  httpMethodOf,
  httpRequestOf,
  httpResponseOf,
  httpStatusOf,
} from '../../../src/coap/http-mapping.ts';
import { OPTION, textOption } from '../../../src/coap/option-table.ts';
import { message, NONE, Rig, text } from './rig.ts';

const coded = (dotted: string): number => {
  const [kind = '', detail = ''] = dotted.split('.');
  return (Number(kind) << 5) | Number(detail);
};

describe('codes', () => {
  it.each([
    ['2.01', 201, 201],
    ['2.02', 200, 204],
    ['2.04', 200, 204],
    ['2.05', 200, 200],
    ['2.31', 502, 502],
    ['4.00', 400, 400],
    ['4.01', 403, 403],
    ['4.02', 400, 400],
    ['4.03', 403, 403],
    ['4.04', 404, 404],
    ['4.05', 400, 400],
    ['4.06', 406, 406],
    ['4.08', 502, 502],
    ['4.09', 409, 409],
    ['4.12', 412, 412],
    ['4.13', 413, 413],
    ['4.15', 415, 415],
    ['4.22', 422, 422],
    ['4.29', 429, 429],
    ['4.30', 400, 400],
    ['5.00', 500, 500],
    ['5.01', 501, 501],
    ['5.02', 502, 502],
    ['5.03', 503, 503],
    ['5.04', 504, 504],
    ['5.05', 502, 502],
    ['5.08', 508, 508],
    ['5.31', 500, 500],
  ])('CoAP %s is HTTP %i with and %i without a body (RFC 8075 table 2)', (code, withBody, without) => {
    expect(httpStatusOf(coded(code), { hasPayload: true, conditional: false })).toBe(withBody);
    expect(httpStatusOf(coded(code), { hasPayload: false, conditional: false })).toBe(without);
  });

  it('2.03 is 304 to who asked conditionally, else the gateway’s fault', () => {
    expect(httpStatusOf(CODE.valid, { hasPayload: false, conditional: true })).toBe(304);
    expect(httpStatusOf(CODE.valid, { hasPayload: false, conditional: false })).toBe(502);
  });

  it.each([
    [200, 'GET', '2.05'],
    [200, 'POST', '2.04'],
    [200, 'DELETE', '2.02'],
    [201, 'PUT', '2.01'],
    [204, 'PUT', '2.04'],
    [204, 'DELETE', '2.02'],
    [301, 'GET', '5.02'],
    [304, 'GET', '2.03'],
    [304, 'POST', '5.02'],
    [400, 'GET', '4.00'],
    [401, 'GET', '4.01'],
    [403, 'GET', '4.03'],
    [404, 'GET', '4.04'],
    [405, 'GET', '4.05'],
    [410, 'GET', '4.04'],
    [418, 'GET', '4.00'],
    [413, 'POST', '4.13'],
    [429, 'POST', '4.29'],
    [500, 'GET', '5.00'],
    [503, 'GET', '5.03'],
    [599, 'GET', '5.00'],
    [101, 'GET', '5.02'],
    [999, 'GET', '5.02'],
  ] as const)('HTTP %i to %s is CoAP %s', (status, method, code) => {
    expect(coapCodeOf(status, method)).toBe(coded(code));
  });

  it('every status gives a code that a response may have', () => {
    for (let status = 0; status < 1_000; status++) {
      const code = coapCodeOf(status, 'GET');
      expect([2, 4, 5]).toContain(code >> 5);
    }
  });
});

describe('methods', () => {
  it('have counterparts, but FETCH, OPTIONS, TRACE and CONNECT have none', () => {
    expect(
      ['GET', 'POST', 'PUT', 'DELETE', 'FETCH', 'PATCH', 'iPATCH'].map((one) => httpMethodOf(one as Method)),
    ).toEqual(['GET', 'POST', 'PUT', 'DELETE', undefined, 'PATCH', 'PATCH']);
    expect(['GET', 'HEAD', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'get'].map(coapMethodOf)).toEqual([
      'GET',
      'GET',
      'PATCH',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('content formats', () => {
  it.each([
    ['text/plain', 0],
    ['text/plain; charset=UTF-8', 0],
    ['text/plain; charset=iso-8859-1', undefined],
    ['application/json', 50],
    ['Application/JSON; charset="utf-8"', 50],
    ['application/json; profile=x', undefined],
    ['application/cbor', 60],
    ['application/cbor; charset=utf-8', undefined],
    ['application/senml+json', 110],
    ['application/coap-payload;cf=12345', 12_345],
    ['application/coap-payload;cf=99999', undefined],
    ['image/png', undefined],
    ['', undefined],
  ])('%s', (type, number) => {
    expect(contentFormatOf(type)).toBe(number);
  });

  it('every known number comes back', () => {
    for (const number of [0, 40, 41, 42, 47, 50, 51, 52, 60, 61, 110, 112, 256, 320, 65_000])
      expect(contentFormatOf(mediaTypeOf(number))).toBe(number);
  });
});

describe('a device’s request', () => {
  const seen = (parts: Parameters<typeof message>[0]): CoapRequest<string> => {
    const rig = new Rig({ criticalOptions: [OPTION.ifMatch, OPTION.ifNoneMatch] });
    rig.receive(message(parts));
    return rig.handled[0] as CoapRequest<string>;
  };

  it('becomes path, query and headers, and no origin', () => {
    const request = seen({
      code: 3,
      path: '/a/caf\u00e9',
      payload: text('{}'),
      options: [
        textOption(OPTION.uriQuery, 'x=1&2'),
        textOption(OPTION.uriHost, '169.254.169.254'),
        { number: OPTION.contentFormat, value: Uint8Array.of(50) },
        { number: OPTION.accept, value: Uint8Array.of(60) },
        { number: OPTION.ifMatch, value: Uint8Array.of(0xca, 0xfe) },
      ],
    });
    expect(httpRequestOf(request)).toEqual({
      method: 'PUT',
      target: '/a/caf%C3%A9?x=1%262',
      headers: [
        ['content-type', 'application/json'],
        ['accept', 'application/cbor'],
        ['if-match', '"cafe"'],
      ],
    });
  });

  it('cannot smuggle a header or a line through path, query or format', () => {
    const request = seen({
      options: [
        textOption(OPTION.uriPath, 'a\r\nHost: evil'),
        textOption(OPTION.uriPath, '?x#y'),
        textOption(OPTION.uriQuery, 'q\r\n\r\n'),
        { number: OPTION.accept, value: Uint8Array.of(0xff, 0xff) },
      ],
    });
    const mapped = httpRequestOf(request);
    expect(mapped?.target).toBe('/a%0D%0AHost:%20evil/%3Fx%23y?q%0D%0A%0D%0A');
    expect(mapped?.headers).toEqual([['accept', 'application/coap-payload;cf=65535']]);
  });

  it('conditions: ETag, If-None-Match, an If-Match of nothing', () => {
    const get = seen({ options: [{ number: OPTION.etag, value: text('v') }] });
    expect(httpRequestOf(get)?.headers).toEqual([['if-none-match', '"76"']]);
    const put = seen({ code: 3, options: [{ number: OPTION.ifNoneMatch, value: NONE }] });
    expect(httpRequestOf(put)?.headers).toEqual([['if-none-match', '*']]);
    const any = seen({ code: 3, options: [{ number: OPTION.ifMatch, value: NONE }] });
    expect(httpRequestOf(any)?.headers).toEqual([['if-match', '*']]);
  });

  it('FETCH is not mapped', () => {
    expect(httpRequestOf(seen({ code: 5, payload: text('x') }))).toBeUndefined();
  });
});

describe('an HTTP upstream’s answer', () => {
  const answer = (status: number, headers: Record<string, string>, method: Method = 'GET') =>
    coapResponseOf(status, new Map(Object.entries(headers)), method, text('x'));

  it('carries format, ETag and freshness', () => {
    const headers = { 'content-type': 'application/json', etag: '"cafe"', 'cache-control': 'public, max-age=30' };
    expect(answer(200, headers)).toMatchObject({
      code: CODE.content,
      contentFormat: 50,
      etag: Uint8Array.of(0xca, 0xfe),
      maxAgeS: 30,
    });
  });

  it.each([
    ['no word', {}, 0],
    ['no-store', { 'cache-control': 'no-store, max-age=30' }, 0],
    ['s-maxage alone', { 'cache-control': 's-maxage=30' }, 0],
    ['a max-age of no number', { 'cache-control': 'max-age=soon' }, 0],
  ])('what HTTP does not call fresh is not: %s', (_, headers, seconds) => {
    expect(answer(200, headers as Record<string, string>).maxAgeS).toBe(seconds);
  });

  it('foreign ETags and absolute locations stay behind', () => {
    expect(answer(200, { etag: 'W/"x"' }).etag).toBeUndefined();
    expect(answer(200, { etag: '"0123456789abcdef01"' }).etag).toBeUndefined();
    const post = (location: string) => answer(201, { location }, 'POST').locationPath;
    expect(post('https://inside.example/new')).toBeUndefined();
    expect(post('//inside.example/new')).toBeUndefined();
    expect(post('/a/../b')).toBeUndefined();
    expect(post('/new/7?x')).toEqual(['new', '7']);
  });

  it('Retry-After becomes Max-Age', () => {
    expect(answer(503, { 'retry-after': '120' }).maxAgeS).toBe(120);
    expect(answer(429, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }).maxAgeS).toBeUndefined();
  });
});

describe('an HTTP request for a CoAP upstream', () => {
  const map = (method: string, target: string, headers: Record<string, string> = {}, body = NONE) =>
    coapRequestOf({ method, target, headers: new Map(Object.entries(headers)) }, body);

  it('becomes segments, values and options', () => {
    const headers = { 'content-type': 'application/json', accept: 'text/html, application/cbor;q=0.5' };
    expect(map('PUT', '/a/b%2Fc?x=1&y', headers, text('{}'))).toMatchObject({
      request: { method: 'PUT', pathSegments: ['a', 'b/c'], queries: ['x=1', 'y'], contentFormat: 50, accept: 60 },
    });
  });

  it.each([
    ['absolute form (never an open proxy)', 'GET', 'coap://other/x', {}, 400],
    ['a broken escape', 'GET', '/%zz', {}, 400],
    ['an escape that is no UTF-8', 'GET', '/%ff', {}, 400],
    ['a dot segment', 'GET', '/a/%2e%2e/b', {}, 400],
    ['OPTIONS', 'OPTIONS', '/a', {}, 501],
    ['a type without a number', 'POST', '/a', { 'content-type': 'image/png' }, 415],
    ['nothing acceptable', 'GET', '/a', { accept: 'image/png' }, 406],
    ['a condition that cannot be carried', 'PUT', '/a', { 'if-match': 'W/"x"' }, 400],
    ['an If-None-Match that cannot be carried', 'PUT', '/a', { 'if-none-match': '"x"' }, 400],
  ])('%s is refused', (_, method, target, headers, refused) => {
    expect(map(method, target, headers as Record<string, string>, method === 'GET' ? NONE : text('x'))).toEqual({
      refused,
    });
  });

  it('accepting everything is accepting', () => {
    expect(map('GET', '/a', { accept: '*/*' })).toMatchObject({ request: { accept: undefined } });
  });
});

describe('a CoAP upstream’s answer', () => {
  const response = (parts: Partial<ReceivedResponse>): ReceivedResponse => ({
    code: CODE.content,
    payload: text('x'),
    contentFormat: undefined,
    maxAgeS: 60,
    etag: undefined,
    locationPath: [],
    locationQuery: [],
    options: [],
    ...parts,
  });

  it('carries format, ETag and freshness', () => {
    expect(httpResponseOf(response({ contentFormat: 50, etag: text('v') }), false)).toEqual({
      status: 200,
      headers: [
        ['content-type', 'application/json'],
        ['etag', '"76"'],
        ['cache-control', 'max-age=60'],
      ],
    });
  });

  it('a location with line ends stays one line', () => {
    const { headers } = httpResponseOf(
      response({ code: CODE.created, locationPath: ['a\r\nb'], payload: NONE }),
      false,
    );
    expect(headers).toEqual([['location', '/a%0D%0Ab']]);
  });

  it('an error’s text is text, and 5.03 says when', () => {
    expect(httpResponseOf(response({ code: CODE.serviceUnavailable, maxAgeS: 9 }), false)).toEqual({
      status: 503,
      headers: [
        ['content-type', 'text/plain;charset=utf-8'],
        ['retry-after', '9'],
      ],
    });
  });
});
