import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../src/config/settings.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { judgeResponse, PASSED_DOWN } from '../../../src/upstreams/response-head.ts';

type Headers = Record<string, string | string[]>;

function judged(headers: Headers, status = 200, method = 'GET', reason = 'OK', fields = Object.keys(headers).length) {
  return judgeResponse({ status, reason, headers, fields } as never, method, DEFAULT_LIMITS);
}

function code(...parameters: Parameters<typeof judged>): string {
  try {
    judged(...parameters);
    return 'no fault';
  } catch (thrown) {
    return thrown instanceof Fault ? thrown.code : String(thrown);
  }
}

const LENGTH = { 'content-length': '2' };

describe('judgeResponse', () => {
  it('takes statuses 200 to 599', () => {
    for (const status of [200, 299, 307, 404, 599]) expect(code(LENGTH, status)).toBe('no fault');
    for (const status of [0, 99, 100, 101, 199, 600, 999]) expect(code(LENGTH, status)).toBe('SP_UPSTREAM_RESPONSE');
  });

  it.each<[string, Headers]>([
    ['no length', {}],
    ['both', { ...LENGTH, 'transfer-encoding': 'chunked' }],
    ['length twice', { 'content-length': ['2', '2'] }],
    ['a list', { 'content-length': '2, 2' }],
    ['a sign', { 'content-length': '+2' }],
    ['hexadecimal', { 'content-length': '0x2' }],
    ['nothing', { 'content-length': '' }],
    ['a space', { 'content-length': '2 ' }],
    ['gzip, chunked', { 'transfer-encoding': 'gzip, chunked' }],
    ['chunked twice', { 'transfer-encoding': ['chunked', 'chunked'] }],
    ['identity', { 'transfer-encoding': 'identity' }],
    ['gzip', { ...LENGTH, 'content-encoding': 'gzip' }],
    ['encodings', { ...LENGTH, 'content-encoding': ['identity', 'gzip'] }],
    ['content type twice', { ...LENGTH, 'content-type': ['a/b', 'c/d'] }],
    ['no content type', { ...LENGTH, 'content-type': 'text' }],
    ['etag twice', { ...LENGTH, etag: ['"1"', '"2"'] }],
    ['obs-text', { ...LENGTH, etag: '"é"' }],
    ['a long value', { ...LENGTH, etag: 'x'.repeat(1_025) }],
  ])('refuses %s', (_name, headers) => {
    expect(code(headers)).toBe('SP_UPSTREAM_RESPONSE');
  });

  it('takes a chunked one, a declared one, and none where there is none', () => {
    expect(judged({ 'transfer-encoding': 'Chunked' })).toMatchObject({ length: undefined, bodiless: false });
    expect(judged(LENGTH)).toMatchObject({ length: 2, bodiless: false });
    for (const [status, method] of [
      [200, 'HEAD'],
      [204, 'GET'],
      [205, 'GET'],
      [304, 'GET'],
    ] as const) {
      expect(judged({}, status, method).bodiless).toBe(true);
    }
  });

  it('204 and 205 have no content', () => {
    for (const status of [204, 205]) {
      expect(code({ 'content-length': '0' }, status)).toBe('no fault');
      expect(code(LENGTH, status)).toBe('SP_UPSTREAM_RESPONSE');
      expect(code({ 'transfer-encoding': 'chunked' }, status)).toBe('SP_UPSTREAM_RESPONSE');
    }
    expect(code(LENGTH, 304)).toBe('no fault');
  });

  it('bounds what is declared and counted', () => {
    const { responseBytes, headerCount } = DEFAULT_LIMITS;
    expect(code({ 'content-length': String(responseBytes) })).toBe('no fault');
    expect(code({ 'content-length': String(responseBytes + 1) })).toBe('SP_UPSTREAM_TOO_LARGE');
    expect(code({ 'content-length': String(responseBytes + 1) }, 200, 'HEAD')).toBe('no fault');
    expect(code(LENGTH, 200, 'GET', 'OK', headerCount)).toBe('no fault');
    expect(code(LENGTH, 200, 'GET', 'OK', headerCount + 1)).toBe('SP_UPSTREAM_TOO_LARGE');
    expect(code(LENGTH, 200, 'GET', 'O'.repeat(257))).toBe('SP_UPSTREAM_RESPONSE');
  });

  it('passes the listed headers and no others', () => {
    const all = {
      ...LENGTH,
      'set-cookie': 'a',
      server: 's',
      'www-authenticate': 'Basic',
      link: '<x>',
      'x-a': 'b',
      trailer: 'x',
    };
    expect(judged(all).headers).toEqual([]);
    const values: Headers = {
      'content-type': 'Text/Plain; a=b',
      'content-range': 'bytes 0-1/2',
      etag: 'W/"1"',
      location: '/a',
    };
    const { headers, contentType } = judged({
      ...LENGTH,
      ...values,
      'last-modified': 'x',
      'cache-control': ['a', 'b'],
      'retry-after': '5',
    });
    expect(headers.map(([name]) => name)).toEqual([...PASSED_DOWN]);
    expect(contentType).toBe('text/plain');
    expect(headers).toContainEqual(['cache-control', 'a, b']);
  });

  it('drops what Connection names', () => {
    const { headers } = judged({
      ...LENGTH,
      connection: ['close, ETag', 'location'],
      etag: '"1"',
      location: '/a',
      'retry-after': '1',
    });
    expect(headers).toEqual([['retry-after', '1']]);
  });

  it.each(['http://evil/', '//evil', '/\\evil', '\\evil', 'evil', '?a', '', '/a b', 'javascript:x'])(
    'drops the location %j',
    (location) => {
      expect(judged({ ...LENGTH, location }, 302).headers).toEqual([]);
    },
  );
});
