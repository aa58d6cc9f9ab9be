/** Requests full of canaries: permitted ones, and refused ones of every kind. */
import { HANDSHAKE } from '../wire/raw-device.ts';
import type { Canaries } from './canary.ts';

export interface Planted {
  readonly name: string;
  readonly verb: string;
  /** The request as it goes over the wire. */
  readonly bytes: Buffer;
}

function request(name: string, line: string, fields: readonly string[], body: string | Buffer = ''): Planted {
  const content = typeof body === 'string' ? Buffer.from(body) : body;
  const framed = fields.some((field) => /^(?:content-length|transfer-encoding)/i.test(field)) || content.length === 0;
  const hosted = fields.some((field) => /^host/i.test(field));
  const lines = [
    line,
    ...(hosted ? [] : ['Host: localhost']),
    ...fields,
    ...(framed ? [] : [`Content-Length: ${content.length}`]),
  ];
  return {
    name,
    verb: line.split(' ')[0] ?? '',
    bytes: Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), content]),
  };
}

const JSON_TYPE = 'Content-Type: application/json';

/** Headers in which devices say who they are. */
function headers(canaries: Canaries): string[] {
  return [
    `User-Agent: sensor/${canaries.planted()}`,
    `Authorization: Bearer ${canaries.planted()}`,
    `Cookie: session=${canaries.planted()}`,
    `Referer: https://${canaries.mint().toLowerCase()}.example/`,
    `X-Serial: ${canaries.planted()}`,
    `X-Pseudo: ${canaries.planted()}`,
    `X-Token: ${canaries.planted()}`,
    `From: ${canaries.planted()}@example.com`,
    `Accept: application/json, text/${canaries.mint()};q=0.5, */*;${canaries.mint()}=1`,
    `Accept-Language: ${canaries.mint()}`,
    `X-${canaries.mint()}: ${canaries.planted()}`,
  ];
}

const json = (canaries: Canaries) => `"${canaries.planted('json')}"`;

/** A body whose every secret is dropped, pseudonymised, tokenised or rounded. */
export function payload(canaries: Canaries, number: number): string {
  return `{"temperature":${number},"note":"${canaries.mint('kept')}","serial":${json(canaries)},"owner":${json(canaries)},"unknown":${json(canaries)},"nested":{"a":[${json(canaries)},{"b":${json(canaries)}}]},"${canaries.mint()}":1,"list":[${json(canaries)}],"readings":[{"serial":${json(canaries)},"comment":${json(canaries)}}]}`;
}

/** Permitted: everything in it is treated as its rule says. */
export function permitted(canaries: Canaries, number: number): Planted {
  const query = `keep=${canaries.mint('kept')}&pseudo=${canaries.planted()}&token=${canaries.planted()}&drop=${canaries.planted()}&${canaries.mint()}=1`;
  const types = [
    JSON_TYPE,
    `${JSON_TYPE}; profile="${canaries.planted()}"`,
    `Content-Type: application/vnd.${canaries.mint()}+json`,
  ];
  const type = types[number % types.length] as string;
  const line = `POST /v1/users/${canaries.planted('path')}/telemetry?${query} HTTP/1.1`;
  return request(
    'permitted',
    line,
    [type, ...headers(canaries), `X-Keep: ${canaries.mint('kept')}`],
    payload(canaries, number),
  );
}

type Maker = (canaries: Canaries) => Planted;
const body = (
  name: string,
  text: (canaries: Canaries) => string | Buffer,
  fields: readonly string[] = [JSON_TYPE],
): Maker => {
  return (canaries) => request(name, 'POST /v1/users/a/telemetry HTTP/1.1', fields, text(canaries));
};
const field = (name: string, text: (canaries: Canaries) => string): Maker => {
  return (canaries) =>
    request(name, 'POST /v1/users/a/telemetry HTTP/1.1', [JSON_TYPE, text(canaries)], '{"temperature":1}');
};
const target = (name: string, text: (canaries: Canaries) => string): Maker => {
  return (canaries) => request(name, `POST ${text(canaries)} HTTP/1.1`, [JSON_TYPE], '{"temperature":1}');
};
const upgrade = (
  name: string,
  path: (canaries: Canaries) => string,
  fields: (canaries: Canaries) => string[] = () => [],
): Maker => {
  return (canaries) => request(name, `GET ${path(canaries)} HTTP/1.1`, [...HANDSHAKE, ...fields(canaries)]);
};

/** Refused, each in its own way. */
export const REFUSED: readonly Maker[] = [
  // --- by policy
  (canaries) =>
    request(
      'no route',
      `POST /admin/${canaries.planted('path')}?a=${canaries.planted()} HTTP/1.1`,
      [JSON_TYPE, ...headers(canaries)],
      payload(canaries, 1),
    ),
  (canaries) => request('another verb', `DELETE /v1/users/${canaries.planted('path')} HTTP/1.1`, headers(canaries)),
  (canaries) => request('no rule', 'POST /v1/bare HTTP/1.1', [JSON_TYPE, ...headers(canaries)], payload(canaries, 1)),
  (canaries) =>
    request(
      'no rule for a query',
      `GET /v1/bare?${canaries.planted()}=${canaries.planted()} HTTP/1.1`,
      headers(canaries),
    ),
  target('another device', (canaries) => `/~${canaries.mint().toLowerCase()}/v1/${canaries.planted('path')}`),
  target('another device that is none', (canaries) => `/~${canaries.mint()}/v1`),
  body('too large to look at', (canaries) => `{"a":"${canaries.planted()}${'x'.repeat(300_000)}"}`),
  // --- the payload
  body('half', (canaries) => `{"serial":"${canaries.planted()}`),
  body('no quotes', (canaries) => `{serial:${canaries.mint()}}`),
  body('a word', (canaries) => canaries.mint()),
  body('text behind', (canaries) => `{} ${canaries.planted()}`),
  body('a key twice', (canaries) => {
    const key = canaries.planted();
    return `{"${key}":1,"${key}":2}`;
  }),
  body('a long number', (canaries) => `{"${canaries.mint()}":123456789012345678901}`),
  body('a lone surrogate', (canaries) => `{"a":"${canaries.mint()}\\ud800"}`),
  body('no UTF-8', (canaries) =>
    Buffer.concat([Buffer.from(`{"a":"${canaries.mint()}`), Buffer.from([0xff]), Buffer.from('"}')]),
  ),
  body('too deep', (canaries) => `${`{"${canaries.mint()}":`.repeat(40)}1${'}'.repeat(40)}`),
  body('a value that cannot be rounded', (canaries) => `{"power":"${canaries.planted()}"}`),
  body('a bare value', (canaries) => `"${canaries.planted()}"`),
  body('another type', (canaries) => canaries.mint(), ['Content-Type: text/plain']),
  (canaries) =>
    request(
      'an unknown type',
      'POST /v1/users/a/telemetry HTTP/1.1',
      [`Content-Type: application/x-${canaries.mint()}`],
      'a',
    ),
  (canaries) =>
    request('an unknown kind', 'POST /v1/users/a/telemetry HTTP/1.1', [`Content-Type: ${canaries.mint()}/json`], 'a'),
  body('a content encoding', (canaries) => canaries.mint(), [JSON_TYPE, 'Content-Encoding: gzip']),
  // --- the head
  target('an encoded letter', (canaries) => `/v1/%61${canaries.mint()}`),
  target('a fragment', (canaries) => `/v1#${canaries.mint()}`),
  target('dot segments', (canaries) => `/v1/../${canaries.mint()}`),
  target('absolute form', (canaries) => `http://${canaries.mint()}/v1`),
  target('an authority', (canaries) => `//${canaries.mint()}/v1`),
  target('a space', (canaries) => `/v1/${canaries.mint()} x`),
  target('broken encoding', (canaries) => `/v1/%zz${canaries.mint()}`),
  target('too long', (canaries) => `/v1/${canaries.mint()}${'x'.repeat(5_000)}`),
  target('query that is no UTF-8', (canaries) => `/v1/users/a/telemetry?a=%ff${canaries.mint()}`),
  target(
    'parameter twice',
    (canaries) => `/v1/users/a/telemetry?${canaries.mint()}=1&token=${canaries.planted()}&token=2`,
  ),
  field('an underscore', (canaries) => `X_${canaries.mint()}: 1`),
  field('a control', (canaries) => `X-A: ${canaries.mint()}\u0001`),
  field('beyond ASCII', (canaries) => `X-A: ${canaries.mint()}\u00e9`),
  field('folded', (canaries) => `X-A: 1\r\n ${canaries.mint()}`),
  field('no colon', (canaries) => canaries.mint()),
  field('a space in a name', (canaries) => `X ${canaries.mint()} : 1`),
  field('too large', (canaries) => `X-A: ${canaries.mint()}${'x'.repeat(20_000)}`),
  field('another transfer encoding', (canaries) => `Transfer-Encoding: ${canaries.mint()}`),
  field('an expectation', (canaries) => `Expect: ${canaries.mint()}`),
  field('another upgrade', (canaries) => `Upgrade: ${canaries.mint()}`),
  field('an option of connection', (canaries) => `Connection: ${canaries.mint()}`),
  field('a trailer announced', (canaries) => `Trailer: ${canaries.mint()}`),
  field('another charset', (canaries) => `Content-Type: application/json; charset=${canaries.mint()}`),
  field('a Host twice', (canaries) => `Host: ${canaries.mint()}\r\nHost: a`),
  field('a Host that is none', (canaries) => `Host: ${canaries.mint()}@a`),
  field('a length that is none', (canaries) => `Content-Length: ${canaries.mint()}`),
  (canaries) => request('another method', `${canaries.mint()} /v1 HTTP/1.1`, []),
  (canaries) => request('another version', `POST /v1 HTTP/1.1${canaries.mint()}`, []),
  (canaries) => request('no version', `POST /${canaries.mint()}`, []),
  (canaries) => request('a connect', `CONNECT ${canaries.mint()}:443 HTTP/1.1`, []),
  (canaries) =>
    request(
      'a chunk that is none',
      'POST /v1/users/a/telemetry HTTP/1.1',
      [JSON_TYPE, 'Transfer-Encoding: chunked'],
      `${canaries.mint()}\r\n`,
    ),
  (canaries) =>
    request(
      'trailers',
      'POST /v1/users/a/telemetry HTTP/1.1',
      [JSON_TYPE, 'Transfer-Encoding: chunked'],
      `2\r\n{}\r\n0\r\nX-A: ${canaries.mint()}\r\n\r\n`,
    ),
  (canaries) =>
    request(
      'chunk extension',
      'POST /v1/users/a/telemetry HTTP/1.1',
      [JSON_TYPE, 'Transfer-Encoding: chunked'],
      `3;${canaries.mint()}=1\r\n{]}\r\n0\r\n\r\n`,
    ),
  // --- upgrades
  upgrade(
    'upgrade without route',
    (canaries) => `/v1/${canaries.planted('path')}?a=${canaries.planted()}`,
    (canaries) => headers(canaries),
  ),
  upgrade(
    'upgrade with a bad subprotocol',
    () => '/v1/frames',
    (canaries) => [`Sec-WebSocket-Protocol: ${canaries.mint()}, ${canaries.mint()};`],
  ),
  upgrade(
    'upgrade from another page',
    () => '/v1/frames',
    (canaries) => [`Origin: https://${canaries.mint()}`],
  ),
  upgrade(
    'upgrade with a bad key',
    () => '/v1/frames',
    (canaries) => [`Sec-WebSocket-Key: ${canaries.mint()}`],
  ),
];
