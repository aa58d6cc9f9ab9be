/**
 * One whole HTTP/1.1 request read from raw bytes (RFC 9112) and put through the strict layer: the listener's judgement
 * without a listener. Linear in the input. What it accepts is what the listener accepts, Node's own tolerances included
 * that leave no trace behind its parser: empty lines before the request line (section 2.2), several spaces in it
 * (section 3), `RTSP/1.0` and `ICE/1.0` taken for HTTP/1.0, chunk extensions. They do no harm, for the gateway writes every
 * request anew. Leaves out time limits and whatever depends on the connection (pipelining, caps).
 */
import { DEFAULT_LIMITS, type Limits } from '../../config/settings.ts';
import type { FaultCode } from '../../faults/catalogue.ts';
import { Fault } from '../../faults/fault.ts';
import { checkRequest, METHODS } from './check-request.ts';
import type { CheckedRequest } from './checked-request.ts';

export type ByteLimits = Pick<Limits, 'headerBytes' | 'headerCount' | 'targetBytes' | 'streamedBodyBytes'>;

export type ByteVerdict =
  | {
      readonly kind: 'accepted';
      readonly request: CheckedRequest;
      /** The content, chunks joined. */
      readonly body: Uint8Array;
      /** Octets of the input that this request takes; what follows is the next one. */
      readonly consumedBytes: number;
    }
  | { readonly kind: 'refused'; readonly code: FaultCode; readonly part: string }
  /** So far acceptable; more bytes are needed. */
  | { readonly kind: 'incomplete' };

/** Judges the first request in `bytes`. Never throws. */
export function checkRequestBytes(bytes: Uint8Array, limits: ByteLimits = DEFAULT_LIMITS): ByteVerdict {
  try {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const head = readHead(buffer, limits);
    const request = checkRequest(head, limits);
    const { body, end } = request.chunked
      ? readChunks(buffer, head.end, limits)
      : readLength(buffer, head.end, request.contentLength ?? 0, limits);
    return { kind: 'accepted', request, body, consumedBytes: end };
  } catch (thrown) {
    if (thrown === INCOMPLETE) return { kind: 'incomplete' };
    const fault = Fault.from(thrown);
    return { kind: 'refused', code: fault.code, part: String(fault.details.part ?? '') };
  }
}

interface Head {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: string[];
  /** Offset of the first octet behind the empty line. */
  readonly end: number;
}

/** RFC 9112 section 2.1: start-line, field lines, empty line, each ended by CR LF and nothing less. */
function readHead(buffer: Buffer, limits: ByteLimits): Head {
  const start = skipEmptyLines(buffer);
  const lineLimit = limits.headerBytes + limits.targetBytes;
  const line = readLine(buffer, start, lineLimit);
  const { method, url, httpVersion } = readRequestLine(line.text);
  const rawHeaders: string[] = [];
  let at = line.next;
  for (let count = 0; ; count += 1) {
    const field = readLine(buffer, at, lineLimit);
    at = field.next;
    if (field.text === '') return { method, url, httpVersion, rawHeaders, end: at };
    if (count === limits.headerCount) refuse('SP_HTTP_HEADERS_TOO_LARGE', 'number of fields');
    readField(field.text, rawHeaders);
  }
}

/** RFC 9112 section 2.2: a server should ignore an empty line before the request line. */
function skipEmptyLines(buffer: Buffer): number {
  let at = 0;
  while (buffer[at] === CR || buffer[at] === LF) at += 1;
  return at;
}

/** RFC 9112 section 2.2: a bare CR or a bare LF is no line end. */
function readLine(buffer: Buffer, from: number, limit: number): { readonly text: string; readonly next: number } {
  const end = buffer.indexOf(LF, from);
  if ((end < 0 ? buffer.length : end) - from > limit) refuse('SP_HTTP_HEADERS_TOO_LARGE', 'length of a line');
  if (end < 0) throw INCOMPLETE;
  const text = buffer.toString('latin1', from, end);
  if (!text.endsWith('\r') || text.indexOf('\r') !== text.length - 1) refuse('SP_HTTP_SYNTAX', 'line end');
  return { text: text.slice(0, -1), next: end + 1 };
}

/** RFC 9112 section 3: method, target and version, with one space between them, or more. */
function readRequestLine(line: string): Pick<Head, 'method' | 'url' | 'httpVersion'> {
  const [method, url, version, ...rest] = line.split(/ +/);
  if (!method || !METHOD.test(method)) refuse('SP_HTTP_SYNTAX', 'request line');
  if (!METHODS.has(method)) refuse('SP_HTTP_METHOD', 'method');
  // RFC 1945 section 4.1: method and target alone are HTTP/0.9.
  if (url === undefined || version === undefined) refuse('SP_HTTP_VERSION', 'version');
  if (rest.length > 0) refuse('SP_HTTP_SYNTAX', 'request line');
  const digits = VERSION.exec(version);
  if (digits === null) refuse('SP_HTTP_VERSION', 'version');
  return { method, url, httpVersion: digits[1] ?? '1.0' };
}

/** RFC 9112 section 5: no space before the colon, and no folding (section 5.2). */
function readField(line: string, rawHeaders: string[]): void {
  const colon = line.indexOf(':');
  const name = line.slice(0, Math.max(colon, 0));
  if (!FIELD_NAME.test(name)) refuse('SP_HTTP_HEADER', 'name of a field');
  let from = colon + 1;
  let to = line.length;
  while (from < to && isSpace(line.charCodeAt(from))) from += 1;
  while (to > from && isSpace(line.charCodeAt(to - 1))) to -= 1;
  rawHeaders.push(name, line.slice(from, to));
}

function readLength(buffer: Buffer, from: number, length: number, limits: ByteLimits): Content {
  if (length > limits.streamedBodyBytes) refuse('SP_HTTP_BODY_TOO_LARGE', 'content-length');
  if (buffer.length - from < length) throw INCOMPLETE;
  return { body: buffer.subarray(from, from + length), end: from + length };
}

interface Content {
  readonly body: Uint8Array;
  readonly end: number;
}

/** RFC 9112 section 7.1. Extensions are read over; trailers would arrive after the decision and are refused. */
function readChunks(buffer: Buffer, from: number, limits: ByteLimits): Content {
  const chunks: Uint8Array[] = [];
  let at = from;
  let total = 0;
  for (;;) {
    const line = readLine(buffer, at, MAX_CHUNK_LINE_BYTES);
    const digits = CHUNK.exec(line.text);
    if (digits === null) refuse('SP_HTTP_FRAMING', 'chunk');
    const size = Number.parseInt(digits[1] as string, 16);
    at = line.next;
    if (size === 0) break;
    total += size;
    if (total > limits.streamedBodyBytes) refuse('SP_HTTP_BODY_TOO_LARGE', 'chunks');
    const end = at + size;
    if (buffer.length >= end + 1 && buffer[end] !== CR) refuse('SP_HTTP_FRAMING', 'end of a chunk');
    if (buffer.length < end + 2) throw INCOMPLETE;
    if (buffer[end + 1] !== LF) refuse('SP_HTTP_FRAMING', 'end of a chunk');
    chunks.push(buffer.subarray(at, end));
    at = end + 2;
  }
  const last = readLine(buffer, at, limits.headerBytes);
  if (last.text !== '') refuse('SP_HTTP_FRAMING', 'trailer');
  return { body: Buffer.concat(chunks), end: last.next };
}

function isSpace(octet: number): boolean {
  return octet === SPACE || octet === TAB;
}

function refuse(code: FaultCode, part: string): never {
  throw new Fault(code, undefined, { details: { part } });
}

const INCOMPLETE = Symbol('incomplete');
const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const METHOD = /^[!#$%&'*+.^_`|~A-Za-z0-9-]+$/;
/** RFC 9112 section 2.3. */
const VERSION = /^(?:HTTP\/([0-9]\.[0-9])|RTSP\/1\.0|ICE\/1\.0)$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~A-Za-z0-9-]+$/;
const CHUNK = /^([0-9A-Fa-f]+)(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const MAX_CHUNK_LINE_BYTES = 16_384;
