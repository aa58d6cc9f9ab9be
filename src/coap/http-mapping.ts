/**
 * CoAP to HTTP and back, the tables of RFC 8075 section 6 and 7 and RFC 7252 section 10, as pure functions. Nothing here chooses a
 * target: scheme, host and port are the caller's, and a request that names one itself (Proxy-Uri, absolute-form) is never mapped.
 */
import type { CoapRequest, CoapResponse, OutgoingRequest, ReceivedResponse } from './api.ts';
import { CODE, type Method } from './codes.ts';
import { contentFormatOf, mediaTypeOf } from './content-formats.ts';
import { splitPath, splitQuery } from './uri.ts';

/** Names in lower case. */
export type HttpHeaders = readonly (readonly [name: string, value: string])[];

/** RFC 8132 section 2: FETCH has no counterpart in HTTP; iPATCH and PATCH are both PATCH. */
const HTTP_METHODS: ReadonlyMap<Method, string> = new Map([
  ['GET', 'GET'],
  ['POST', 'POST'],
  ['PUT', 'PUT'],
  ['DELETE', 'DELETE'],
  ['PATCH', 'PATCH'],
  ['iPATCH', 'PATCH'],
]);
const COAP_METHODS: ReadonlyMap<string, Method> = new Map([
  ['GET', 'GET'],
  ['HEAD', 'GET'],
  ['POST', 'POST'],
  ['PUT', 'PUT'],
  ['DELETE', 'DELETE'],
  ['PATCH', 'PATCH'],
]);

/** Undefined: answer 4.05. */
export function httpMethodOf(method: Method): string | undefined {
  return HTTP_METHODS.get(method);
}
/** Undefined: answer 501. */
export function coapMethodOf(method: string): Method | undefined {
  return COAP_METHODS.get(method);
}

/** RFC 8075 table 2. 304 only when the HTTP client asked conditionally; 2.02 and 2.04 without a body are 204. */
export function httpStatusOf(
  code: number,
  options: { readonly hasPayload: boolean; readonly conditional: boolean },
): number {
  switch (code) {
    case CODE.created:
      return 201;
    case CODE.deleted:
    case CODE.changed:
      return options.hasPayload ? 200 : 204;
    case CODE.valid:
      return options.conditional ? 304 : 502;
    case CODE.unauthorized:
      // HTTP's 401 needs a WWW-Authenticate that nobody here could honour.
      return 403;
    case CODE.badOption:
    case CODE.methodNotAllowed:
      // 405 would need an Allow that CoAP does not give.
      return 400;
    case CODE.continue:
    case CODE.requestEntityIncomplete:
    case CODE.proxyingNotSupported:
      // Block-wise is this side's own business; a server that refuses it is a bad gateway.
      return 502;
    case CODE.hopLimitReached:
      return 508;
  }
  const status = (code >> 5) * 100 + (code & 0x1f);
  if (HTTP_TWINS.has(status)) return status;
  // RFC 7252 section 5.9: an unknown code is the first of its class.
  const kind = code >> 5;
  return kind === 2 ? 200 : kind === 4 ? 400 : kind === 5 ? 500 : 502;
}

/** Same class and detail in both protocols; 2.05 is left to the class. */
const HTTP_TWINS: ReadonlySet<number> = new Set([
  400, 403, 404, 406, 409, 412, 413, 415, 422, 429, 500, 501, 502, 503, 504,
]);

/** The other way. 1xx and redirections are no answer to a device: 5.02. */
export function coapCodeOf(status: number, method: Method): number {
  const reading = method === 'GET' || method === 'FETCH';
  switch (status) {
    case 200:
    case 202:
    case 203:
    case 204:
      return reading ? CODE.content : method === 'DELETE' ? CODE.deleted : CODE.changed;
    case 201:
      return CODE.created;
    case 304:
      return reading ? CODE.valid : CODE.badGateway;
    case 401:
      return CODE.unauthorized;
    case 405:
      return CODE.methodNotAllowed;
    case 410:
      return CODE.notFound;
    case 508:
      return CODE.hopLimitReached;
  }
  if (HTTP_TWINS.has(status)) return ((Math.floor(status / 100) << 5) | (status % 100)) & 0xff;
  if (status >= 400 && status < 500) return CODE.badRequest;
  return status >= 500 && status < 600 ? CODE.internalServerError : CODE.badGateway;
}

export interface MappedHttpRequest {
  readonly method: string;
  /** Percent-encoded, with `?query` when there is one; to be put behind the caller's own origin. */
  readonly target: string;
  readonly headers: HttpHeaders;
}

/** A device's request for an HTTP upstream. @returns undefined when the method has no counterpart. */
export function httpRequestOf(request: CoapRequest<unknown>): MappedHttpRequest | undefined {
  const method = httpMethodOf(request.method);
  if (method === undefined) return undefined;
  const headers: (readonly [string, string])[] = [];
  if (request.contentFormat !== undefined) headers.push(['content-type', mediaTypeOf(request.contentFormat)]);
  if (request.accept !== undefined) headers.push(['accept', mediaTypeOf(request.accept)]);
  if (request.etags.length > 0) headers.push(['if-none-match', request.etags.map(httpTag).join(', ')]);
  if (request.ifMatch.length > 0)
    headers.push([
      'if-match',
      request.ifMatch.some((tag) => tag.length === 0) ? '*' : request.ifMatch.map(httpTag).join(', '),
    ]);
  if (request.ifNoneMatch) headers.push(['if-none-match', '*']);
  const query = request.query;
  return { method, target: query === '' ? request.path : `${request.path}?${query}`, headers };
}

/** What an HTTP upstream answered, for the device. */
export function coapResponseOf(
  status: number,
  headers: ReadonlyMap<string, string>,
  method: Method,
  payload: Uint8Array,
): CoapResponse {
  const code = coapCodeOf(status, method);
  const type = headers.get('content-type');
  const location = headers.get('location');
  const place = location === undefined ? undefined : coapLocation(location);
  return {
    code,
    payload: code === CODE.valid ? undefined : payload,
    contentFormat: payload.length === 0 || type === undefined ? undefined : contentFormatOf(type),
    maxAgeS: maxAgeOf(code, headers),
    etag: coapTag(headers.get('etag')),
    locationPath: code === CODE.created ? place?.path : undefined,
    locationQuery: code === CODE.created ? place?.query : undefined,
  };
}

export interface HttpRequestHead {
  readonly method: string;
  /** In origin form, `/a?b`. */
  readonly target: string;
  readonly headers: ReadonlyMap<string, string>;
}

export type MappedCoapRequest =
  | { readonly request: OutgoingRequest }
  /** The status to refuse with. */
  | { readonly refused: 400 | 406 | 415 | 501 };

/** An HTTP request for a CoAP upstream (RFC 8075 section 5 without its URI templates: the caller chose the server already). */
export function coapRequestOf(head: HttpRequestHead, payload: Uint8Array): MappedCoapRequest {
  const method = coapMethodOf(head.method);
  if (method === undefined) return { refused: 501 };
  if (!head.target.startsWith('/')) return { refused: 400 };
  const mark = head.target.indexOf('?');
  const pathSegments = splitPath(mark < 0 ? head.target : head.target.slice(0, mark));
  const queries = splitQuery(mark < 0 ? '' : head.target.slice(mark + 1));
  if (pathSegments === undefined || queries === undefined) return { refused: 400 };
  const type = head.headers.get('content-type');
  const contentFormat = payload.length === 0 || type === undefined ? undefined : contentFormatOf(type);
  if (payload.length > 0 && type !== undefined && contentFormat === undefined) return { refused: 415 };
  const accept = acceptOf(head.headers.get('accept'));
  if (accept === 'none') return { refused: 406 };
  const ifNoneMatch = head.headers.get('if-none-match');
  const etags = method === 'GET' ? coapTags(ifNoneMatch) : [];
  const ifMatch = conditionsOf(head.headers.get('if-match'));
  // A condition that cannot be carried must not be dropped: the request would then act unconditionally.
  if (ifMatch === undefined || (method !== 'GET' && ifNoneMatch !== undefined && ifNoneMatch.trim() !== '*'))
    return { refused: 400 };
  return {
    request: {
      method,
      pathSegments,
      queries,
      contentFormat,
      accept,
      etags,
      ifMatch,
      ifNoneMatch: method !== 'GET' && ifNoneMatch !== undefined,
      payload,
    },
  };
}

/** What a CoAP upstream answered, for the HTTP client. The body is `response.payload`, empty for 204 and 304. */
export function httpResponseOf(
  response: ReceivedResponse,
  conditional: boolean,
): { readonly status: number; readonly headers: HttpHeaders } {
  const hasPayload = response.payload.length > 0;
  const status = httpStatusOf(response.code, { hasPayload, conditional });
  const headers: (readonly [string, string])[] = [];
  if (hasPayload && status !== 304) {
    // RFC 7252 section 5.5.2: an error without a format carries a diagnostic text.
    const format = response.contentFormat ?? (response.code >= 0x80 ? 0 : undefined);
    headers.push(['content-type', format === undefined ? 'application/octet-stream' : mediaTypeOf(format)]);
  }
  if (response.etag !== undefined) headers.push(['etag', httpTag(response.etag)]);
  if (response.code === CODE.content || response.code === CODE.valid)
    headers.push(['cache-control', `max-age=${response.maxAgeS}`]);
  if (response.code === CODE.serviceUnavailable || response.code === CODE.tooManyRequests)
    headers.push(['retry-after', String(response.maxAgeS)]);
  if (status === 201 && (response.locationPath.length > 0 || response.locationQuery.length > 0)) {
    const path = response.locationPath.map(encodeURIComponent).join('/');
    const query = response.locationQuery.map(encodeURIComponent).join('&');
    headers.push(['location', query === '' ? `/${path}` : `/${path}?${query}`]);
  }
  return { status, headers };
}

/** Bytes as a strong entity tag in hexadecimal. */
function httpTag(tag: Uint8Array): string {
  let text = '"';
  for (const byte of tag) text += byte.toString(16).padStart(2, '0');
  return `${text}"`;
}

/** Only tags in our own hexadecimal form come back as bytes; another would not survive the way there and back. */
function coapTag(tag: string | undefined): Uint8Array | undefined {
  const digits = /^"((?:[0-9a-f]{2}){1,8})"$/.exec(tag ?? '')?.[1];
  if (digits === undefined) return undefined;
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
}

function coapTags(list: string | undefined): readonly Uint8Array[] {
  return (list ?? '')
    .split(',')
    .map((one) => coapTag(one.trim()))
    .filter((tag) => tag !== undefined);
}

function conditionsOf(ifMatch: string | undefined): readonly Uint8Array[] | undefined {
  if (ifMatch === undefined) return [];
  if (ifMatch.trim() === '*') return [new Uint8Array(0)];
  const tags = coapTags(ifMatch);
  return tags.length === ifMatch.split(',').length ? tags : undefined;
}

/** CoAP has one Accept without weights: the first acceptable type that has a number; a range that takes everything takes the option away. */
function acceptOf(accept: string | undefined): number | undefined | 'none' {
  if (accept === undefined) return undefined;
  const types = accept.split(',').map((one) => one.trim());
  for (const type of types) {
    const weight = /;\s*q=([0-9.]+)\s*$/i.exec(type);
    if (weight !== null && Number(weight[1]) === 0) continue;
    const bare = weight === null ? type : type.slice(0, weight.index);
    if (/^(?:\*|application|text)\/\*$/.test(bare.trim())) return undefined;
    const format = contentFormatOf(bare);
    if (format !== undefined) return format;
  }
  return 'none';
}

/** RFC 8075 section 7: Max-Age and Cache-Control. What HTTP does not call fresh is not fresh for the default 60 seconds either. */
function maxAgeOf(code: number, headers: ReadonlyMap<string, string>): number | undefined {
  if (code === CODE.serviceUnavailable || code === CODE.tooManyRequests) {
    const seconds = /^\d{1,9}$/.exec(headers.get('retry-after')?.trim() ?? '')?.[0];
    return seconds === undefined ? undefined : Number(seconds);
  }
  if (code !== CODE.content && code !== CODE.valid) return undefined;
  const control = headers.get('cache-control')?.toLowerCase() ?? '';
  if (/(?:^|[,\s])(?:no-store|no-cache|private)\b/.test(control)) return 0;
  const seconds = /(?:^|[,\s])max-age="?(\d{1,9})"?(?:$|[,\s])/.exec(control)?.[1];
  return seconds === undefined ? 0 : Number(seconds);
}

/** Only a path of the same server; an absolute address would tell the device where the upstream is. */
function coapLocation(location: string): { path: readonly string[]; query: readonly string[] } | undefined {
  if (!location.startsWith('/') || location.startsWith('//')) return undefined;
  const mark = location.indexOf('?');
  const path = splitPath(mark < 0 ? location : location.slice(0, mark));
  const query = splitQuery(mark < 0 ? '' : location.slice(mark + 1));
  const fits = (texts: readonly string[]) => texts.every((text) => new TextEncoder().encode(text).length <= 255);
  return path === undefined || query === undefined || !fits(path) || !fits(query) ? undefined : { path, query };
}
