/** The strict layer, rule by rule, over the facts of a head. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../../../src/config/settings.ts';
import type { FaultCode } from '../../../../src/faults/catalogue.ts';
import { Fault } from '../../../../src/faults/fault.ts';
import { checkRequest, type RequestHead } from '../../../../src/listeners/https/check-request.ts';
import type { CheckedRequest } from '../../../../src/listeners/https/checked-request.ts';

type Wish = Partial<RequestHead> & { readonly headers?: readonly string[]; readonly host?: readonly string[] };

function check({ headers = [], host = ['Host', 'gw.example:8443'], ...head }: Wish): CheckedRequest {
  const whole = { method: 'POST', url: '/a', httpVersion: '1.1', rawHeaders: [...host, ...headers], ...head };
  return checkRequest(whole, DEFAULT_LIMITS);
}

function refusal(wish: Wish): FaultCode | undefined {
  try {
    check(wish);
    return undefined;
  } catch (thrown) {
    return Fault.from(thrown).code;
  }
}

const WEBSOCKET = [
  ...['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Version', '13'],
  ...['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='],
];

describe('what is accepted', () => {
  it('is told in full', () => {
    expect(
      check({
        url: '/~cam/v1/x?y',
        headers: [
          ...['Content-Type', 'Application/JSON;charset="UTF-8" ; v=1', 'Content-Length', '12', 'X-A', '1', 'x-a', '2'],
          ...['Connection', 'close', 'Keep-Alive', '5', 'Proxy-Connection', 'x', 'Proxy-Authorization', 'secret'],
          ...['Expect', '100-Continue', 'Accept', ''],
        ],
      }),
    ).toEqual({
      verb: 'POST',
      path: '/v1/x',
      query: 'y',
      targetDevice: 'cam',
      headers: [
        ['host', 'gw.example:8443'],
        ['content-type', 'Application/JSON;charset="UTF-8" ; v=1'],
        ['x-a', '1'],
        ['x-a', '2'],
        ['accept', ''],
      ],
      contentType: 'application/json',
      contentLength: 12,
      chunked: false,
      upgrade: undefined,
      version: '1.1',
      persistent: false,
      expectContinue: true,
    });
  });

  it.each([
    ['chunks', { headers: ['Transfer-Encoding', 'Chunked'] }, { chunked: true, contentLength: undefined }],
    ['no content', { headers: ['Content-Length', '0'], method: 'GET' }, { contentLength: 0 }],
    ['HTTP/1.0 without Host', { host: [], httpVersion: '1.0' }, { verb: 'POST' }],
    [
      'an expectation on HTTP/1.0',
      { httpVersion: '1.0', headers: ['Expect', '100-continue'] },
      { expectContinue: false },
    ],
    ['an IPv6 host', { host: ['hOST', '[2001:db8::1]:443'] }, { verb: 'POST' }],
    ['several connection options', { headers: ['Connection', 'Keep-Alive , close', 'Connection', 'close'] }, {}],
    ['a WebSocket', { method: 'GET', headers: WEBSOCKET }, { upgrade: 'websocket' }],
    [
      'a content type with a boundary',
      { headers: ['Content-Type', 'multipart/form-data; boundary="a b;c"'] },
      { contentType: 'multipart/form-data' },
    ],
    ['DELETE with content', { method: 'DELETE', headers: ['Content-Length', '5'] }, { contentLength: 5 }],
  ] as const)('%s', (_, wish, expected) => {
    expect(check(wish as Wish)).toMatchObject(expected);
  });
});

describe('what is refused', () => {
  const many = Array.from({ length: 64 }, () => ['a', 'b']).flat();
  it.each([
    ['HTTP/0.9', { httpVersion: '0.9' }, 'SP_HTTP_VERSION'],
    ['HTTP/2.0', { httpVersion: '2.0' }, 'SP_HTTP_VERSION'],
    ['TRACE', { method: 'TRACE' }, 'SP_HTTP_METHOD'],
    ['CONNECT', { method: 'CONNECT', url: 'a:443' }, 'SP_HTTP_METHOD'],
    ['WS as a method', { method: 'WS' }, 'SP_HTTP_METHOD'],
    ['no method', { method: undefined }, 'SP_HTTP_METHOD'],
    ['a method in lowercase', { method: 'get' }, 'SP_HTTP_METHOD'],
    ['a bad target', { url: '//a' }, 'SP_HTTP_TARGET'],
    ['no host', { host: [] }, 'SP_HTTP_HOST'],
    ['two hosts', { headers: ['HOST', 'b'] }, 'SP_HTTP_HOST'],
    ['two equal hosts', { host: ['Host', 'a', 'Host', 'a'] }, 'SP_HTTP_HOST'],
    ['two hosts on HTTP/1.0', { httpVersion: '1.0', headers: ['host', 'b'] }, 'SP_HTTP_HOST'],
    ['an empty host', { host: ['Host', ''] }, 'SP_HTTP_HOST'],
    ['user information', { host: ['Host', 'a@b'] }, 'SP_HTTP_HOST'],
    ['a list of hosts', { host: ['Host', 'a,b'] }, 'SP_HTTP_HOST'],
    ['a host with a space', { host: ['Host', 'a b'] }, 'SP_HTTP_HOST'],
    ['a host with a path', { host: ['Host', 'a/b'] }, 'SP_HTTP_HOST'],
    ['a host with a port beyond', { host: ['Host', 'a:65536'] }, 'SP_HTTP_HOST'],
    ['a host with an empty port', { host: ['Host', 'a:'] }, 'SP_HTTP_HOST'],
    ['a long host', { host: ['Host', 'a'.repeat(262)] }, 'SP_HTTP_HOST'],
    ['two lengths', { headers: ['Content-Length', '1', 'Content-Length', '2'] }, 'SP_HTTP_FRAMING'],
    ['two equal lengths', { headers: ['Content-Length', '1', 'content-length', '1'] }, 'SP_HTTP_FRAMING'],
    ['a list of lengths', { headers: ['Content-Length', '1, 1'] }, 'SP_HTTP_FRAMING'],
    ['a signed length', { headers: ['Content-Length', '+1'] }, 'SP_HTTP_FRAMING'],
    ['a negative length', { headers: ['Content-Length', '-1'] }, 'SP_HTTP_FRAMING'],
    ['a hexadecimal length', { headers: ['Content-Length', '0x1'] }, 'SP_HTTP_FRAMING'],
    ['an octal length', { headers: ['Content-Length', '010'] }, 'SP_HTTP_FRAMING'],
    ['an empty length', { headers: ['Content-Length', ''] }, 'SP_HTTP_FRAMING'],
    ['a fractional length', { headers: ['Content-Length', '1.0'] }, 'SP_HTTP_FRAMING'],
    ['an exponent', { headers: ['Content-Length', '1e3'] }, 'SP_HTTP_FRAMING'],
    ['a length of 2^53', { headers: ['Content-Length', '9007199254740992'] }, 'SP_HTTP_FRAMING'],
    ['a length of 2^64 - 1', { headers: ['Content-Length', '18446744073709551615'] }, 'SP_HTTP_FRAMING'],
    ['length and chunks', { headers: ['Content-Length', '1', 'Transfer-Encoding', 'chunked'] }, 'SP_HTTP_FRAMING'],
    ['chunks twice', { headers: ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'] }, 'SP_HTTP_FRAMING'],
    ['gzip and chunks', { headers: ['Transfer-Encoding', 'gzip, chunked'] }, 'SP_HTTP_FRAMING'],
    ['identity', { headers: ['Transfer-Encoding', 'identity'] }, 'SP_HTTP_FRAMING'],
    ['quoted chunks', { headers: ['Transfer-Encoding', '"chunked"'] }, 'SP_HTTP_FRAMING'],
    ['chunks and a comma', { headers: ['Transfer-Encoding', 'chunked,'] }, 'SP_HTTP_FRAMING'],
    ['chunks with a vertical tab', { headers: ['Transfer-Encoding', '\x0bchunked'] }, 'SP_HTTP_HEADER'],
    ['chunks on HTTP/1.0', { httpVersion: '1.0', headers: ['Transfer-Encoding', 'chunked'] }, 'SP_HTTP_FRAMING'],
    ['TE', { headers: ['TE', 'trailers'] }, 'SP_HTTP_FRAMING'],
    ['Trailer', { headers: ['Trailer', 'X-A'] }, 'SP_HTTP_FRAMING'],
    ['GET with content', { method: 'GET', headers: ['Content-Length', '1'] }, 'SP_HTTP_FRAMING'],
    ['HEAD with chunks', { method: 'HEAD', headers: ['Transfer-Encoding', 'chunked'] }, 'SP_HTTP_FRAMING'],
    ['OPTIONS with content', { method: 'OPTIONS', headers: ['Content-Length', '1'] }, 'SP_HTTP_FRAMING'],
    ['an underscore', { headers: ['X_Device_Id', 'a'] }, 'SP_HTTP_HEADER'],
    ['a dot', { headers: ['X.Device.Id', 'a'] }, 'SP_HTTP_HEADER'],
    ['another token', { headers: ["X'Device", 'a'] }, 'SP_HTTP_HEADER'],
    ['a space in a name', { headers: ['Content-Length ', '1'] }, 'SP_HTTP_HEADER'],
    ['an empty name', { headers: ['', 'a'] }, 'SP_HTTP_HEADER'],
    ['a name that lowercases to another', { headers: ['\u212aeep-Alive', 'a'] }, 'SP_HTTP_HEADER'],
    ['a line break', { headers: ['A', 'b\r\nc: d'] }, 'SP_HTTP_HEADER'],
    ['NUL', { headers: ['A', 'b\0'] }, 'SP_HTTP_HEADER'],
    ['obs-text', { headers: ['A', 'caf\xe9'] }, 'SP_HTTP_HEADER'],
    ['two content types', { headers: ['Content-Type', 'a/b', 'Content-Type', 'a/b'] }, 'SP_HTTP_HEADER'],
    ['two authorizations', { headers: ['Authorization', 'a', 'authorization', 'b'] }, 'SP_HTTP_HEADER'],
    ['two encodings', { headers: ['Content-Encoding', 'gzip', 'Content-Encoding', 'br'] }, 'SP_HTTP_HEADER'],
    ['a content type without subtype', { headers: ['Content-Type', 'json'] }, 'SP_HTTP_HEADER'],
    ['two types in one', { headers: ['Content-Type', 'a/b, c/d'] }, 'SP_HTTP_HEADER'],
    ['an empty content type', { headers: ['Content-Type', ''] }, 'SP_HTTP_HEADER'],
    ['another charset', { headers: ['Content-Type', 'application/json; charset=utf-16'] }, 'SP_HTTP_HEADER'],
    ['another charset in capitals', { headers: ['Content-Type', 'a/b; CHARSET=latin1'] }, 'SP_HTTP_HEADER'],
    ['two charsets', { headers: ['Content-Type', 'a/b; charset=utf-8; charset=utf-8'] }, 'SP_HTTP_HEADER'],
    ['a broken parameter', { headers: ['Content-Type', 'a/b; charset'] }, 'SP_HTTP_HEADER'],
    ['a nominated field', { headers: ['Connection', 'close, X-A', 'X-A', 'b'] }, 'SP_HTTP_HEADER'],
    ['a nominated Host', { headers: ['Connection', 'Host'] }, 'SP_HTTP_HEADER'],
    ['an empty connection option', { headers: ['Connection', 'close,,keep-alive'] }, 'SP_HTTP_HEADER'],
    ['another expectation', { headers: ['Expect', '200-ok'] }, 'SP_HTTP_EXPECT'],
    ['two expectations', { headers: ['Expect', '100-continue', 'Expect', '100-continue'] }, 'SP_HTTP_EXPECT'],
    ['h2c', { method: 'GET', headers: ['Connection', 'Upgrade', 'Upgrade', 'h2c'] }, 'SP_HTTP_UPGRADE'],
    ['h2c settings', { headers: ['HTTP2-Settings', 'AAA'] }, 'SP_HTTP_UPGRADE'],
    ['an upgrade without Connection', { method: 'GET', headers: WEBSOCKET.slice(2) }, 'SP_HTTP_UPGRADE'],
    ['Connection without upgrade', { method: 'GET', headers: ['Connection', 'upgrade'] }, 'SP_HTTP_UPGRADE'],
    ['a WebSocket on HTTP/1.0', { method: 'GET', httpVersion: '1.0', headers: WEBSOCKET }, 'SP_HTTP_UPGRADE'],
    ['a WebSocket by POST', { headers: WEBSOCKET }, 'SP_HTTP_UPGRADE'],
    ['a WebSocket with two keys', { method: 'GET', headers: [...WEBSOCKET, ...WEBSOCKET.slice(6)] }, 'SP_HTTP_UPGRADE'],
    ['a WebSocket with a short key', { method: 'GET', headers: [...WEBSOCKET.slice(0, 7), 'dGhl'] }, 'SP_HTTP_UPGRADE'],
    ['a WebSocket with a length', { method: 'GET', headers: [...WEBSOCKET, 'Content-Length', '0'] }, 'SP_HTTP_UPGRADE'],
    [
      'a WebSocket with an expectation',
      { method: 'GET', headers: [...WEBSOCKET, 'Expect', '100-continue'] },
      'SP_HTTP_UPGRADE',
    ],
    ['a WebSocket key without upgrade', { method: 'GET', headers: WEBSOCKET.slice(6) }, 'SP_HTTP_UPGRADE'],
    ['too many fields', { headers: many }, 'SP_HTTP_HEADERS_TOO_LARGE'],
    ['too large fields', { headers: ['A', 'b'.repeat(16_384)] }, 'SP_HTTP_HEADERS_TOO_LARGE'],
  ] as const)('%s', (_, wish, code) => {
    expect(refusal(wish as Wish)).toBe(code);
  });

  it('never repeats what was sent', () => {
    try {
      check({ headers: ['X_Secret', 'canary-1'] });
      expect.unreachable();
    } catch (thrown) {
      const { message, details } = Fault.from(thrown);
      expect(JSON.stringify([message, details])).not.toMatch(/secret|canary/i);
    }
  });
});
