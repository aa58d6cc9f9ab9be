import { describe, expect, it } from 'vitest';
import { EMPTY_BODY } from '../../../src/exchange/arrival.ts';
import type { Message } from '../../../src/exchange/message.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { requestHead } from '../../../src/upstreams/request-head.ts';

const message: Message = {
  verb: 'POST',
  path: '/v1/telemetry',
  query: '',
  headers: [],
  contentType: '',
  body: { kind: 'bytes', bytes: Buffer.from('{}') },
};

function headers(fields: [string, string][], over: Partial<Message> = {}): Map<string, string> {
  const flat = requestHead({ ...message, headers: fields, ...over }, 'id-1').headers;
  return new Map(Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] as string, flat[2 * i + 1] as string]));
}

function code(over: Partial<Message>): string {
  try {
    requestHead({ ...message, ...over }, 'id-1');
    return 'no fault';
  } catch (thrown) {
    return thrown instanceof Fault ? thrown.code : String(thrown);
  }
}

describe('requestHead', () => {
  it('adds only what is ours', () => {
    expect([...headers([])]).toEqual([
      ['sallyport-decision', 'id-1'],
      ['accept-encoding', 'identity'],
      ['accept', '*/*'],
    ]);
  });

  it('passes what the privacy rule kept', () => {
    const kept = headers([
      ['x-model', 'T1000'],
      ['accept', 'application/json'],
      ['if-none-match', '"1"'],
    ]);
    expect(kept.get('x-model')).toBe('T1000');
    expect(kept.get('if-none-match')).toBe('"1"');
    expect(kept.get('accept')).toBe('application/json');
  });

  it.each([
    'host',
    'content-length',
    'transfer-encoding',
    'connection',
    'keep-alive',
    'te',
    'trailer',
    'upgrade',
    'expect',
    'proxy-authorization',
    'proxy-authenticate',
    'proxy-connection',
    'forwarded',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded',
    'x-forwarded-client-cert',
    'x-real-ip',
    'via',
    'max-forwards',
    'http2-settings',
    'sec-websocket-key',
    'x_device_id',
    'x.device.id',
    'X-Upper',
    'a b',
    'a:b',
    'é',
    '',
    'a\r\nb',
    'sallyport-anything',
    '__proto__',
  ])('never sends %j', (name) => {
    expect(headers([[name, '7']]).has(name)).toBe(false);
  });

  const believed = [
    ...['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'X-Original-URL', 'X-Original-URI'],
    ...[
      'X-Original-Method',
      'X-Rewrite-URL',
      'X-Middleware-Subrequest',
      'X-Host',
      'X-Real-IP',
      'X-Client-IP',
      'Client-IP',
    ],
    ...[
      'CF-Connecting-IP',
      'True-Client-IP',
      'X-Cluster-Client-IP',
      'Fastly-Client-IP',
      'X-Azure-ClientIP',
      'Forwarded',
    ],
    ...['X-Forwarded-For', 'X-Forwarded-User', 'X-Forwarded-Prefix', 'X-Envoy-Original-Path', 'X-Amz-Security-Token'],
    ...['X-Amzn-Oidc-Identity', 'X-Appengine-User-IP', 'Client-Cert', 'Client-Cert-Chain', 'X-Client-Cert'],
    ...[
      'X-Client-Certificate',
      'X-Client-Cert-DN',
      'X-Client-DN',
      'X-Client-Verify',
      'SSL-Client-Cert',
      'X-SSL-Client-S-DN',
    ],
    ...['X-SSL-Client-Verify', 'X-TLS-Client-Cert', 'X-ARR-ClientCert', 'X-Device-Id', 'X-Authenticated-User'],
    ...[
      'X-Authenticated-Userid',
      'X-Auth-Request-Email',
      'X-Remote-User',
      'X-Remote-Group',
      'Remote-User',
      'X-Webauth-User',
    ],
    ...[
      'X-Goog-Authenticated-User-Email',
      'X-Goog-IAP-JWT-Assertion',
      'X-MS-Client-Principal',
      'X-MS-Client-Principal-Id',
    ],
    ...['Front-End-HTTPS', 'Sallyport-Decision', 'Sallyport-Device', 'Proxy-Authorization'],
  ];

  it.each(believed)('never sends what a backend believes of a proxy, however it is spelled: %s', (name) => {
    const mixed = [...name].map((letter, at) => (at % 2 === 0 ? letter.toLowerCase() : letter.toUpperCase())).join('');
    const spellings = [name, name.toLowerCase(), name.toUpperCase(), mixed, name.replaceAll('-', '_')];
    const sent = requestHead(
      { ...message, headers: spellings.map((each) => [each, 'forged'] as const) },
      'id-1',
    ).headers;
    expect(sent).toEqual(requestHead(message, 'id-1').headers);
  });

  it('sends names that only look alike', () => {
    const alike = [
      'x-model',
      'x-device-model',
      'x-client-version',
      'x-http-version',
      'x-request-id',
      'x-amount',
      'x-authority',
    ];
    const sent = headers(alike.map((name) => [name, '7']));
    expect(alike.filter((name) => !sent.has(name))).toEqual([]);
  });

  it('says itself which decision this is and that it wants no compression', () => {
    const sent = requestHead(
      {
        ...message,
        headers: [
          ['sallyport-decision', 'forged'],
          ['accept-encoding', 'gzip'],
        ],
      },
      'id-1',
    ).headers;
    expect(sent.filter((text) => text === 'forged' || text === 'gzip')).toEqual([]);
  });

  it('drops what Connection names', () => {
    const sent = headers([
      ['connection', 'close, X-Secret ,te'],
      ['x-secret', '1'],
      ['x-other', '2'],
    ]);
    expect([sent.has('x-secret'), sent.has('connection'), sent.get('x-other')]).toEqual([false, false, '2']);
  });

  it.each(['a\r\nb: c', 'a\nb', 'a\rb', 'a\0b', 'a\x7fb', 'ä', 'a\u2028b'])('refuses the value %j', (value) => {
    expect(code({ headers: [['x-a', value]] })).toBe('SP_HTTP_HEADER');
    expect(code({ contentType: `text/plain${value}` })).toBe('SP_HTTP_HEADER');
  });

  it('keeps the parameters of the content type that policy saw, and of no other', () => {
    const multipart = 'multipart/form-data; boundary=x';
    expect(headers([['content-type', multipart]], { contentType: 'multipart/form-data' }).get('content-type')).toBe(
      multipart,
    );
    expect(
      headers([['content-type', 'Application/JSON; charset=utf-8']], { contentType: 'application/json' }).get(
        'content-type',
      ),
    ).toBe('Application/JSON; charset=utf-8');
    expect(headers([['content-type', 'text/html']], { contentType: 'application/json' }).get('content-type')).toBe(
      'application/json',
    );
    expect(headers([['content-type', 'text/html']]).has('content-type')).toBe(false);
    expect(headers([], { contentType: 'application/json', body: EMPTY_BODY }).has('content-type')).toBe(false);
  });

  it('joins path and query, and refuses what is not origin-form', () => {
    expect(requestHead({ ...message, path: '/a%2Fb', query: 'c=d&e=?' }, 'id').target).toBe('/a%2Fb?c=d&e=?');
    for (const path of ['', 'a', '*', '//a', 'http://a/', '/a b', '/a?b', '/a#b', '/a\r\nb', '/a\0', '/é', '/a\x7f']) {
      expect(code({ path }), path).toBe('SP_HTTP_TARGET');
    }
    for (const query of ['a b', 'a#b', 'a\r\nb', 'é', 'a\0']) expect(code({ query }), query).toBe('SP_HTTP_TARGET');
  });

  it('knows seven methods', () => {
    for (const verb of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
      expect(code({ verb })).toBe('no fault');
    for (const verb of ['CONNECT', 'TRACE', 'WS', 'get', '', 'GET /x HTTP/1.1\r\n', 'PRI'])
      expect(code({ verb })).toBe('SP_HTTP_METHOD');
  });
});
