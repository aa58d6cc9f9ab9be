/**
 * Headers that belong to one connection or describe the bytes of one body (RFC 9110 sections 7.6.1 and 8, RFC 6455
 * section 11.3). No rule can name them: a device would frame or name what the gateway itself frames and names.
 */
export const UNFORWARDABLE: ReadonlySet<string> = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-version',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
