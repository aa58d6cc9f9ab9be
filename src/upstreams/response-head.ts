/**
 * Judges the head of an upstream's response (RFC 9110 section 15, RFC 9112 section 6) after response-parser.ts has read it:
 * statuses below 200 and above 599, any transfer coding but one chunked, a body without a length, hundreds of fields end
 * here. Whatever is not in PASSED_DOWN does not reach the device.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Limits } from '../config/settings.ts';
import type { Reply } from '../exchange/message.ts';
import { Fault } from '../faults/fault.ts';

export interface ResponseHead {
  readonly status: number;
  readonly headers: Reply['headers'];
  readonly contentType: string;
  /** No content may follow: HEAD, 204, 205, 304. */
  readonly bodiless: boolean;
  /** As declared; undefined for a chunked one. */
  readonly length: number | undefined;
}

export interface RawResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** Header fields, repeated ones counted each. */
  readonly fields: number;
}

/** The final response's head, or SP_UPSTREAM_RESPONSE / SP_UPSTREAM_TOO_LARGE. */
export function judgeResponse(raw: RawResponseHead, method: string, limits: Limits): ResponseHead {
  const { status, headers, fields, reason } = raw;
  if (status < 200 || status > 599) throw unclean(`status ${status}`);
  if (fields > limits.headerCount)
    throw new Fault('SP_UPSTREAM_TOO_LARGE', 'More header fields than limits.headerCount.');
  if (reason.length > MAX_REASON_CHARACTERS) throw unclean('a reason phrase of excessive length');
  const encoding = headers['content-encoding'];
  // It was not asked for, and what cannot be read cannot be mapped back: nothing is decompressed here, so no bomb goes off.
  if (encoding !== undefined && encoding !== 'identity') throw unclean('a content coding that was not asked for');
  const bodiless = method === 'HEAD' || status === 204 || status === 205 || status === 304;
  const length = declaredLength(headers, bodiless, status);
  if (length !== undefined && length > limits.responseBytes && !bodiless) throw new Fault('SP_UPSTREAM_TOO_LARGE');
  const passed: (readonly [string, string])[] = [];
  const nominated = String(headers.connection ?? '').toLowerCase();
  for (const name of PASSED_DOWN) {
    // RFC 9110 section 7.6.1: what Connection names ends at this hop.
    if (nominated.includes(name)) continue;
    let value: unknown = headers[name];
    if (value === undefined) continue;
    // RFC 9110 section 5.3: of these only Cache-Control is a list that may come in several fields.
    if (Array.isArray(value) && name === 'cache-control') value = value.join(', ');
    if (typeof value !== 'string') throw unclean(`${name} more than once`);
    if (value.length > MAX_VALUE_CHARACTERS || !VISIBLE.test(value)) throw unclean(`a bad value of ${name}`);
    // Towards somewhere else it would be a redirect that policy never saw.
    if (name === 'location' && !RELATIVE.test(value)) continue;
    passed.push([name, value]);
  }
  return { status, headers: passed, contentType: mediaType(headers['content-type']), bodiless, length };
}

/** RFC 9112 section 6.3: exactly one way to tell where the content ends, and never the end of the connection. */
function declaredLength(headers: Readonly<IncomingHttpHeaders>, bodiless: boolean, status: number): number | undefined {
  const coding: unknown = headers['transfer-encoding'];
  const length: unknown = headers['content-length'];
  if (coding !== undefined) {
    if (typeof coding !== 'string' || coding.toLowerCase() !== 'chunked')
      throw unclean('a transfer coding other than chunked');
    if (length !== undefined) throw unclean('Content-Length beside Transfer-Encoding');
    // RFC 9112 section 6.1: a server must not send Transfer-Encoding with 204.
    if (status === 204 || status === 205) throw unclean(`a transfer coding with ${status}`);
    return undefined;
  }
  if (length === undefined) {
    // A body that ends with the connection cannot be told from one that was cut short.
    if (!bodiless) throw unclean('no length');
    return 0;
  }
  if (typeof length !== 'string' || !/^\d{1,15}$/.test(length)) throw unclean('a bad Content-Length');
  const bytes = Number(length);
  // RFC 9110 section 8.6 and 15.3.6.
  if (bytes > 0 && (status === 204 || status === 205)) throw unclean(`content with ${status}`);
  return bytes;
}

function mediaType(value: string | undefined): string {
  if (value === undefined) return '';
  const type = value.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (!MEDIA_TYPE.test(type)) throw unclean('a bad content type');
  return type;
}

function unclean(what: string): Fault {
  return new Fault('SP_UPSTREAM_RESPONSE', undefined, { details: { what } });
}

/**
 * The only response headers a device gets to see: what the content is, whether it may be kept, when to ask again, and a
 * Location on the same upstream. No cookies, no challenges, no server names, nothing that an upstream thinks up.
 */
export const PASSED_DOWN = [
  'content-type',
  'content-range',
  'etag',
  'last-modified',
  'cache-control',
  'retry-after',
  'location',
] as const;

const MAX_REASON_CHARACTERS = 256;
const MAX_VALUE_CHARACTERS = 1_024;
const VISIBLE = /^[\t -~]*$/;
/** One slash, no second one, no backslash (which browsers read as a slash). */
const RELATIVE = /^\/(?![/\\])[!-[\]-~]*$/;
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127}$/;
