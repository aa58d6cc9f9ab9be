/**
 * The strict layer over a parsed request head (RFC 9110, RFC 9112): everything that two readers could read differently is
 * refused. Callable on its own; no I/O. The bytes are request-reader.ts's.
 */
import type { Limits } from '../../config/settings.ts';
import type { FaultCode } from '../../faults/catalogue.ts';
import { Fault } from '../../faults/fault.ts';
import { checkTarget } from './check-target.ts';
import type { CheckedRequest } from './checked-request.ts';

/** What a reader found on the wire. */
export interface RequestHead {
  readonly method?: string | undefined;
  /** The raw target. */
  readonly url?: string | undefined;
  readonly httpVersion: string;
  /** Names and values by turns, as they were sent. */
  readonly rawHeaders: readonly string[];
}

export type HeadLimits = Pick<Limits, 'headerBytes' | 'headerCount' | 'targetBytes'>;

/** Throws a Fault SP_HTTP_* whose `details.part` says what it was about. */
export function checkRequest(head: RequestHead, limits: HeadLimits): CheckedRequest {
  const { method: verb = '', url = '', httpVersion } = head;
  if (httpVersion !== '1.1' && httpVersion !== '1.0') refuse('SP_HTTP_VERSION', 'version');
  if (!METHODS.has(verb)) refuse('SP_HTTP_METHOD', 'method');
  const { path, query, targetDevice } = checkTarget(url, limits.targetBytes);
  const fields = readFields(head.rawHeaders, limits, url.length);
  const modern = httpVersion === '1.1';

  checkHost(fields.host, modern);
  const { contentLength, chunked } = checkFraming(fields, modern);
  // RFC 9110 sections 9.3.1, 9.3.2 and 9.3.7: such a body has no meaning, and servers that do not read it take it for
  // the next request.
  if (BODILESS.has(verb) && (chunked || (contentLength ?? 0) > 0)) refuse('SP_HTTP_FRAMING', 'body of this method');
  const { wantsUpgrade, persistent } = checkConnection(fields.connection, modern);
  return {
    verb,
    path,
    query,
    targetDevice,
    headers: fields.kept,
    contentType: fields.contentType === undefined ? '' : checkContentType(fields.contentType),
    contentLength,
    chunked,
    upgrade: checkUpgrade(fields, wantsUpgrade, verb, modern, contentLength !== undefined || chunked),
    version: httpVersion,
    persistent,
    expectContinue: checkExpect(fields.expect, modern),
  };
}

/** The fields that the gateway itself acts on, apart from those that travel on. */
interface Fields {
  readonly kept: (readonly [name: string, value: string])[];
  host?: string;
  contentLength?: string;
  transferEncoding?: string;
  contentType?: string;
  expect?: string;
  upgrade?: string;
  connection?: string;
  webSocketKey?: string;
  webSocketVersion?: string;
}

function readFields(rawHeaders: readonly string[], limits: HeadLimits, targetBytes: number): Fields {
  if (rawHeaders.length > limits.headerCount * 2) refuse('SP_HTTP_HEADERS_TOO_LARGE', 'number of fields');
  const fields: Fields = { kept: [] };
  let seen: string[] | undefined;
  let bytes = targetBytes;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const rawName = rawHeaders[at] as string;
    const value = rawHeaders[at + 1] as string;
    bytes += rawName.length + value.length;
    // RFC 9110 section 5.1 allows every token; `X_Device` and `X.Device` become `X-Device` behind a CGI-like interface,
    // so that a device could speak for the gateway. Hence letters, digits and hyphen.
    if (!NAME.test(rawName)) refuse('SP_HTTP_HEADER', 'name of a field');
    // RFC 9110 section 5.5: obs-text is opaque data, and Latin-1 to one reader is UTF-8 to another.
    if (!VALUE.test(value)) refuse('SP_HTTP_HEADER', 'value of a field');
    const name = rawName.toLowerCase();
    const rule = RULES.get(name);
    if (rule === undefined) {
      fields.kept.push([name, value]);
      continue;
    }
    if (rule.once) {
      seen ??= [];
      if (seen.includes(name)) refuse(rule.code, `repeated ${name}`);
      seen.push(name);
    }
    if (rule.forbidden) refuse(rule.code, name);
    if (rule.as === 'connection' && fields.connection !== undefined) fields.connection += `,${value}`;
    else if (rule.as !== undefined) fields[rule.as] = value;
    if (rule.keep) fields.kept.push([name, value]);
  }
  if (bytes > limits.headerBytes) refuse('SP_HTTP_HEADERS_TOO_LARGE', 'size of the fields');
  return fields;
}

/** RFC 9112 section 3.2: exactly one Host on HTTP/1.1; here never with user information, and always with a name. */
function checkHost(host: string | undefined, required: boolean): void {
  if (host === undefined) {
    if (required) refuse('SP_HTTP_HOST', 'missing');
    return;
  }
  const port = HOST.exec(host);
  if (host.length > MAX_HOST_BYTES || port === null || Number(port[1] ?? 0) > 0xffff) {
    refuse('SP_HTTP_HOST', 'malformed');
  }
}

/** RFC 9112 section 6.3. A length in two ways, or in a way that is not plain, is how requests are smuggled. */
function checkFraming(fields: Fields, persistent: boolean): Pick<CheckedRequest, 'contentLength' | 'chunked'> {
  const { contentLength, transferEncoding } = fields;
  if (transferEncoding !== undefined) {
    if (contentLength !== undefined) refuse('SP_HTTP_FRAMING', 'content-length beside transfer-encoding');
    // RFC 9112 section 6.1: an HTTP/1.0 message with Transfer-Encoding has faulty framing.
    if (!persistent) refuse('SP_HTTP_FRAMING', 'transfer-encoding on HTTP/1.0');
    if (transferEncoding.toLowerCase() !== 'chunked') refuse('SP_HTTP_FRAMING', 'transfer-encoding');
    return { contentLength: undefined, chunked: true };
  }
  if (contentLength === undefined) return { contentLength: undefined, chunked: false };
  if (!LENGTH.test(contentLength)) refuse('SP_HTTP_FRAMING', 'content-length');
  const length = Number(contentLength);
  if (!Number.isSafeInteger(length)) refuse('SP_HTTP_FRAMING', 'content-length');
  return { contentLength: length, chunked: false };
}

/** RFC 9110 section 7.6.1. Options of its own would have fields removed between policy and cloud: only the known ones. */
function checkConnection(
  connection: string | undefined,
  modern: boolean,
): { readonly wantsUpgrade: boolean; readonly persistent: boolean } {
  if (connection === undefined) return { wantsUpgrade: false, persistent: modern };
  let wantsUpgrade = false;
  let closes = false;
  let keepsAlive = false;
  for (const option of connection.split(',')) {
    const token = option.trim().toLowerCase();
    if (token === 'upgrade') wantsUpgrade = true;
    else if (token === 'close') closes = true;
    else if (token === 'keep-alive') keepsAlive = true;
    else refuse('SP_HTTP_HEADER', 'option of connection');
  }
  // RFC 9112 section 9.3: 1.0 keeps a connection only if it says so.
  return { wantsUpgrade, persistent: !closes && (modern || keepsAlive) };
}

/** RFC 6455 section 4.2.1. h2c and every other protocol is refused: behind an upgrade nobody would look any more. */
function checkUpgrade(
  fields: Fields,
  wanted: boolean,
  verb: string,
  persistent: boolean,
  framed: boolean,
): CheckedRequest['upgrade'] {
  const { upgrade, webSocketKey, webSocketVersion } = fields;
  if (upgrade === undefined && !wanted) {
    if (webSocketKey !== undefined || webSocketVersion !== undefined) refuse('SP_HTTP_UPGRADE', 'not an upgrade');
    return undefined;
  }
  const complete =
    wanted &&
    upgrade?.toLowerCase() === 'websocket' &&
    verb === 'GET' &&
    persistent &&
    !framed &&
    fields.expect === undefined &&
    webSocketVersion === '13' &&
    webSocketKey !== undefined &&
    WEBSOCKET_KEY.test(webSocketKey);
  if (!complete) refuse('SP_HTTP_UPGRADE', 'handshake');
  return 'websocket';
}

/** RFC 9110 section 10.1.1: on HTTP/1.0 the expectation must be ignored. */
function checkExpect(expect: string | undefined, persistent: boolean): boolean {
  if (expect === undefined) return false;
  if (expect.toLowerCase() !== '100-continue') refuse('SP_HTTP_EXPECT', 'expectation');
  return persistent;
}

/** RFC 9110 section 8.3.1. A charset other than UTF-8 would show policy another text than the cloud reads. */
function checkContentType(contentType: string): string {
  const essence = MEDIA_TYPE.exec(contentType);
  if (essence === null) refuse('SP_HTTP_HEADER', 'content-type');
  let rest = contentType.slice(essence[0].length);
  let charset = false;
  while (rest !== '') {
    const parameter = PARAMETER.exec(rest);
    if (parameter === null) refuse('SP_HTTP_HEADER', 'parameter of content-type');
    rest = rest.slice(parameter[0].length);
    if ((parameter[1] as string).toLowerCase() !== 'charset') continue;
    const value = (parameter[2] as string).toLowerCase();
    if (charset || (value !== 'utf-8' && value !== '"utf-8"')) refuse('SP_HTTP_HEADER', 'charset of content-type');
    charset = true;
  }
  return essence[0].toLowerCase();
}

function refuse(code: FaultCode, part: string): never {
  throw new Fault(code, undefined, { details: { part } });
}

interface Rule {
  /** A second occurrence is refused: which of the two counts is for every reader to choose. */
  readonly once: boolean;
  readonly code: FaultCode;
  /** Travels on with the message. */
  readonly keep: boolean;
  readonly forbidden: boolean;
  readonly as: Exclude<keyof Fields, 'kept'> | undefined;
}

const RULES: ReadonlyMap<string, Rule> = new Map([
  ...rules(['host'], { code: 'SP_HTTP_HOST', keep: true, as: 'host' }),
  ...rules(['content-length'], { code: 'SP_HTTP_FRAMING', as: 'contentLength' }),
  ...rules(['transfer-encoding'], { code: 'SP_HTTP_FRAMING', as: 'transferEncoding' }),
  // RFC 9110 section 6.5: trailers arrive after policy has decided.
  ...rules(['trailer', 'te'], { code: 'SP_HTTP_FRAMING', forbidden: true }),
  ...rules(['content-type'], { keep: true, as: 'contentType' }),
  ...rules(['expect'], { code: 'SP_HTTP_EXPECT', as: 'expect' }),
  ...rules(['upgrade'], { code: 'SP_HTTP_UPGRADE', as: 'upgrade' }),
  ...rules(['http2-settings'], { code: 'SP_HTTP_UPGRADE', forbidden: true }),
  ...rules(['sec-websocket-key'], { code: 'SP_HTTP_UPGRADE', as: 'webSocketKey' }),
  ...rules(['sec-websocket-version'], { code: 'SP_HTTP_UPGRADE', as: 'webSocketVersion' }),
  ...rules(['sec-websocket-extensions', 'sec-websocket-accept'], { code: 'SP_HTTP_UPGRADE' }),
  ...rules(['sec-websocket-protocol'], { code: 'SP_HTTP_UPGRADE', keep: true }),
  ...rules(['connection'], { once: false, as: 'connection' }),
  // RFC 9110 section 7.6.1: for this hop only.
  ...rules(['keep-alive', 'proxy-connection', 'proxy-authorization', 'proxy-authenticate'], { once: false }),
  // RFC 9110: fields with one value. Node keeps the first and others the last.
  ...rules(
    [
      ...['authorization', 'content-disposition', 'content-encoding', 'content-language', 'content-location'],
      ...['content-md5', 'content-range', 'cookie', 'date', 'digest', 'etag', 'from', 'idempotency-key'],
      ...['if-modified-since', 'if-range', 'if-unmodified-since', 'last-modified', 'max-forwards', 'origin', 'range'],
      ...['referer', 'user-agent'],
    ],
    { keep: true },
  ),
]);

function rules(names: readonly string[], rule: Partial<Rule>): [string, Rule][] {
  const whole = { once: true, code: 'SP_HTTP_HEADER', keep: false, forbidden: false, as: undefined, ...rule } as const;
  return names.map((name) => [name, whole]);
}

/** What a device may use; the answer to any other method names them (RFC 9110 section 15.5.6). */
export const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const NAME = /^[A-Za-z0-9-]+$/;
const VALUE = /^[\t\x20-\x7e]*$/;
/** RFC 9110 section 7.2: uri-host and port. Underscore is no host name, but container networks hand it out. */
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$/;
/** RFC 1035 section 2.3.4 for the name, and the port. */
const MAX_HOST_BYTES = 261;
const LENGTH = /^(?:0|[1-9][0-9]{0,15})$/;
/** RFC 4648 section 4: 16 octets. */
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;
const MEDIA_TYPE = /^[!#$%&'*+.^_`|~A-Za-z0-9-]+\/[!#$%&'*+.^_`|~A-Za-z0-9-]+/;
const PARAMETER = /^[\t ]*;[\t ]*([!#$%&'*+.^_`|~A-Za-z0-9-]+)=([!#$%&'*+.^_`|~A-Za-z0-9-]+|"[\t !#-[\]-~]*")/;
