/**
 * The device's opening handshake (RFC 6455 section 4.2.1), read strictly from the raw headers: everything that must be there
 * is there exactly once. Extensions are not looked at: without compression none is ever agreed.
 */
import { Fault } from '../../faults/fault.ts';

/** What of a request the handshake is read from; node:http's IncomingMessage has it. */
export interface UpgradeRequest {
  readonly method?: string | undefined;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

export interface Handshake {
  /** In the device's order of preference; tokens, none twice. */
  readonly subprotocols: readonly string[];
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** 16 bytes in base64, spelled the one way that decodes back to itself: the last digit before the padding has 2 bits. */
const KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const VERSION = '13';
const MAX_SUBPROTOCOLS = 16;

/** Throws SP_HTTP_UPGRADE if the request is not a handshake that may be answered with 101. */
export function checkHandshake(request: UpgradeRequest): Handshake {
  const headers = collect(request.rawHeaders);
  // RFC 6455 section 4.2.1: 1. a GET of HTTP/1.1 or higher
  demand(request.method === 'GET' && request.httpVersion === '1.1', 'It is not a GET of HTTP/1.1.');
  // 3. and 4. Upgrade: websocket, Connection: Upgrade. A list of several protocols would leave the choice to us.
  demand(only(headers, 'upgrade').toLowerCase() === 'websocket', 'Upgrade is not websocket.');
  demand(
    listed(headers, 'connection').some((token) => token.toLowerCase() === 'upgrade'),
    'Connection lacks Upgrade.',
  );
  // 5. and 6. key and version
  demand(KEY.test(only(headers, 'sec-websocket-key')), 'Sec-WebSocket-Key is not 16 bytes in base64.');
  demand(only(headers, 'sec-websocket-version') === VERSION, 'Sec-WebSocket-Version is not 13.');
  // Bytes of a body would be taken for frames, and the other way round.
  demand(!headers.has('content-length') && !headers.has('transfer-encoding'), 'An upgrade carries no body.');
  checkOrigin(headers);
  const subprotocols = listed(headers, 'sec-websocket-protocol');
  demand(subprotocols.length <= MAX_SUBPROTOCOLS, 'Too many subprotocols.');
  demand(
    subprotocols.every((subprotocol) => TOKEN.test(subprotocol)),
    'A subprotocol is not a token.',
  );
  demand(new Set(subprotocols).size === subprotocols.length, 'A subprotocol is offered twice.');
  return { subprotocols };
}

/**
 * Only browsers must send an Origin, and a page of another site must not speak with the certificate of a browser that has
 * one (RFC 6455 section 10.2). Libraries that send one send the gateway's own.
 */
function checkOrigin(headers: ReadonlyMap<string, readonly string[]>): void {
  if (!headers.has('origin')) return;
  const origin = only(headers, 'origin').toLowerCase();
  const host = only(headers, 'host').toLowerCase();
  const same = origin.startsWith('https://') && withPort(origin.slice('https://'.length)) === withPort(host);
  demand(same, 'The request comes from a page of another origin.');
}

function withPort(authority: string): string {
  return /:\d+$/.test(authority) ? authority : `${authority}:443`;
}

function collect(rawHeaders: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const headers = new Map<string, string[]>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    const value = (rawHeaders[at + 1] as string).trim();
    const values = headers.get(name);
    if (values === undefined) headers.set(name, [value]);
    else values.push(value);
  }
  return headers;
}

/** The value of a header that must be there once. */
function only(headers: ReadonlyMap<string, readonly string[]>, name: string): string {
  const values = headers.get(name);
  demand(values?.length === 1, `${name} is missing or repeated.`);
  return values?.[0] ?? '';
}

/** The elements of a header that is a list; empty when it is absent. An empty element is refused. */
function listed(headers: ReadonlyMap<string, readonly string[]>, name: string): readonly string[] {
  const elements = (headers.get(name) ?? []).flatMap((value) => value.split(',')).map((element) => element.trim());
  demand(!elements.includes(''), `${name} has an empty element.`);
  return elements;
}

function demand(condition: boolean, otherwise: string): void {
  if (!condition) throw new Fault('SP_HTTP_UPGRADE', otherwise);
}
