/** Every place of a request where a device can write what it likes. */
import { HANDSHAKE } from '../wire/raw-device.ts';

export interface WireField {
  readonly name: string;
  readonly verb: string;
  /** The whole request with the text in it. */
  readonly bytes: (text: string) => Buffer;
}

const POST = 'POST /v1/telemetry HTTP/1.1';
const JSON_TYPE = 'Content-Type: application/json';

/** Text goes over the wire as UTF-8, lone surrogates in the form that is no UTF-8. */
function octets(text: string): Buffer {
  return Buffer.concat(
    Array.from(text, (one) => {
      const unit = one.charCodeAt(0);
      if (one.length > 1 || unit < 0xd800 || unit > 0xdfff) return Buffer.from(one);
      return Buffer.from([0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f)]);
    }),
  );
}

function request(line: Buffer, fields: readonly Buffer[], body: Buffer): Buffer {
  const head = [
    line,
    Buffer.from('Host: localhost'),
    ...fields,
    ...(body.length > 0 ? [Buffer.from(`Content-Length: ${body.length}`)] : []),
  ];
  return Buffer.concat([...head.flatMap((one) => [one, Buffer.from('\r\n')]), Buffer.from('\r\n'), body]);
}

const BODY = Buffer.from('{"temperature":1}');
const around = (before: string, text: Buffer, after = '') =>
  Buffer.concat([Buffer.from(before), text, Buffer.from(after)]);
const field = (name: string, before: string, after = ''): WireField => ({
  name,
  verb: 'POST',
  bytes: (text) => request(Buffer.from(POST), [Buffer.from(JSON_TYPE), around(before, octets(text), after)], BODY),
});
const line = (name: string, before: string, after: string, spelled: (text: string) => Buffer = octets): WireField => ({
  name,
  verb: 'POST',
  bytes: (text) => request(around(before, spelled(text), after), [Buffer.from(JSON_TYPE)], BODY),
});
const percent = (text: string) => Buffer.from(octets(text).toString('hex').replace(/../g, '%$&'));
const body = (name: string, make: (text: string) => Buffer): WireField => ({
  name,
  verb: 'POST',
  bytes: (text) => request(Buffer.from(POST), [Buffer.from(JSON_TYPE)], make(text)),
});

export const WIRE_FIELDS: readonly WireField[] = [
  field('header value', 'X-Note: '),
  field('header name', 'X-', ': 1'),
  field('user agent', 'User-Agent: sensor/'),
  field('host', 'Host: ', '.example'),
  line('path', 'POST /v1/', ' HTTP/1.1'),
  line('path, encoded', 'POST /v1/', ' HTTP/1.1', percent),
  line('query, encoded', 'POST /v1/telemetry?a=', ' HTTP/1.1', percent),
  line('method', '', ' /v1/telemetry HTTP/1.1'),
  {
    name: 'content type',
    verb: 'POST',
    bytes: (text) => request(Buffer.from(POST), [around('Content-Type: application/', octets(text))], BODY),
  },
  body('text in the payload', (text) => Buffer.from(JSON.stringify({ temperature: 1, note: text }))),
  body('key in the payload', (text) => Buffer.from(JSON.stringify({ [text]: 1 }))),
  body('payload', (text) => octets(text)),
  {
    name: 'subprotocol',
    verb: 'GET',
    bytes: (text) =>
      request(
        Buffer.from('GET /v1/frames HTTP/1.1'),
        [...HANDSHAKE.map((one) => Buffer.from(one)), around('Sec-WebSocket-Protocol: ', octets(text))],
        Buffer.alloc(0),
      ),
  },
];
