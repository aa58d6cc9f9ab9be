/**
 * Reads the requests of one connection from bytes as they come (RFC 9112), strictly, one at a time: the next head is looked
 * at only when it is asked for. Line ends are CR LF and nothing less, a field has no space before its colon, lines are not
 * folded. What a head may say is check-request.ts's. Linear in its input; holds what nobody has read yet and no more.
 */
import type { Limits } from '../../config/settings.ts';
import type { FaultCode } from '../../faults/catalogue.ts';
import { Fault } from '../../faults/fault.ts';
import { checkRequest, METHODS, type RequestHead } from './check-request.ts';
import type { CheckedRequest } from './checked-request.ts';

export type ReaderLimits = Pick<Limits, 'headerBytes' | 'headerCount' | 'targetBytes' | 'streamedBodyBytes'>;

type Stage = 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer';

export class RequestReader {
  readonly #limits: () => ReaderLimits;
  #bytes: Buffer = NOTHING;
  /** Where in #bytes the first octet is that nobody has read. */
  #at = 0;
  /** Up to here, behind #at, there is no line end. */
  #searched = 0;
  #stage: Stage = 'head';
  #line: Pick<RequestHead, 'method' | 'url' | 'httpVersion'> | undefined;
  #rawHeaders: string[] = [];
  /** Octets of the head so far, empty lines before it included. */
  #headBytes = 0;
  /** Octets of content before the next framing. */
  #left = 0;
  #content = 0;
  #extensions = 0;
  #head: RequestHead | undefined;

  /** @param limits asked when a line is read, so that a reload holds for open connections too */
  constructor(limits: () => ReaderLimits) {
    this.#limits = limits;
  }

  /** Takes the next bytes; nothing is looked at yet. */
  push(chunk: Buffer): void {
    if (this.#at === this.#bytes.length) {
      this.#bytes = chunk;
      this.#searched = 0;
    } else {
      this.#searched -= this.#at;
      this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), chunk]);
    }
    this.#at = 0;
    if (this.#searched < 0) this.#searched = 0;
  }

  /** Octets that nobody has read. */
  get buffered(): number {
    return this.#bytes.length - this.#at;
  }

  /** A head has begun, and is not whole yet. */
  get began(): boolean {
    return this.#stage === 'head' && (this.#headBytes > 0 || this.buffered > 0);
  }

  /** The content of the present request was read to its end, or there is no present request. */
  get ended(): boolean {
    return this.#stage === 'head';
  }

  /** The head that `head` returned last, as it was sent. */
  get raw(): RequestHead {
    if (this.#head === undefined) throw new Fault('SP_INTERNAL', 'No head was read.');
    return this.#head;
  }

  /** What is unread, for whoever takes the connection over. */
  rest(): Buffer {
    const rest = this.#bytes.subarray(this.#at);
    this.#bytes = NOTHING;
    this.#at = 0;
    return rest;
  }

  /** The next request's head; undefined while it is not whole. Throws SP_HTTP_*: then nothing more can be read. */
  head(): CheckedRequest | undefined {
    const limits = this.#limits();
    for (;;) {
      const line = this.#nextLine(limits.headerBytes + limits.targetBytes);
      if (line === undefined) return undefined;
      this.#headBytes += line.length + 2;
      if (this.#headBytes > limits.headerBytes + limits.targetBytes + FRAMING_BYTES * limits.headerCount) {
        refuse('SP_HTTP_HEADERS_TOO_LARGE', 'size of the head');
      }
      if (this.#line === undefined) {
        // RFC 9112 section 2.2: a server should ignore an empty line before the request line.
        if (line !== '') this.#line = readRequestLine(line);
      } else if (line === '') {
        return this.#checked(this.#line, limits);
      } else {
        if (this.#rawHeaders.length === limits.headerCount * 2) refuse('SP_HTTP_HEADERS_TOO_LARGE', 'number of fields');
        readField(line, this.#rawHeaders);
      }
    }
  }

  /** The next piece of content; undefined if more bytes are needed, or there is no more (`ended`). Throws SP_HTTP_*. */
  content(): Buffer | undefined {
    while (this.#stage !== 'head') {
      if (this.#stage === 'length' || this.#stage === 'chunk') return this.#piece();
      const line = this.#nextLine(MAX_CHUNK_LINE_BYTES);
      if (line === undefined) return undefined;
      this.#framing(line);
    }
    return undefined;
  }

  #checked(line: Pick<RequestHead, 'method' | 'url' | 'httpVersion'>, limits: ReaderLimits): CheckedRequest {
    this.#head = { ...line, rawHeaders: this.#rawHeaders };
    this.#line = undefined;
    this.#rawHeaders = [];
    this.#headBytes = 0;
    const checked = checkRequest(this.#head, limits);
    this.#content = 0;
    this.#extensions = 0;
    this.#left = checked.contentLength ?? 0;
    if (checked.chunked) this.#stage = 'chunk-size';
    else if (this.#left > 0) this.#stage = 'length';
    return checked;
  }

  #piece(): Buffer | undefined {
    const { buffered } = this;
    if (buffered === 0) return undefined;
    const length = Math.min(this.#left, buffered);
    const piece = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    this.#left -= length;
    if (this.#left === 0) this.#stage = this.#stage === 'length' ? 'head' : 'chunk-end';
    return piece;
  }

  /** RFC 9112 section 7.1. Extensions are read over; trailers would arrive after the decision and are refused. */
  #framing(line: string): void {
    if (this.#stage === 'chunk-end') {
      if (line !== '') refuse('SP_HTTP_FRAMING', 'end of a chunk');
      this.#stage = 'chunk-size';
    } else if (this.#stage === 'trailer') {
      if (line !== '') refuse('SP_HTTP_FRAMING', 'trailer');
      this.#stage = 'head';
    } else {
      const digits = CHUNK.exec(line);
      if (digits === null) refuse('SP_HTTP_FRAMING', 'chunk');
      const size = digits[1] as string;
      this.#extensions += line.length - size.length;
      if (this.#extensions > MAX_CHUNK_LINE_BYTES) refuse('SP_HTTP_FRAMING', 'chunk extensions');
      this.#left = Number.parseInt(size, 16);
      this.#content += this.#left;
      if (this.#content > this.#limits().streamedBodyBytes) refuse('SP_HTTP_BODY_TOO_LARGE', 'chunks');
      this.#stage = this.#left === 0 ? 'trailer' : 'chunk';
    }
  }

  /** RFC 9112 section 2.2: a bare CR or a bare LF is no line end. Undefined: it has not ended yet. */
  #nextLine(mostBytes: number): string | undefined {
    const bytes = this.#bytes;
    const from = Math.max(this.#at, this.#searched);
    const end = bytes.indexOf(LF, from);
    const stop = end < 0 ? bytes.length : end;
    if (stop - this.#at > mostBytes) refuse(this.#tooLong(), 'length of a line');
    if (end < 0) {
      // What can never become a line is refused without waiting for its end, for instance a TLS record inside TLS.
      for (let at = from; at < stop; at += 1)
        if (isStray(bytes, at, stop)) refuse('SP_HTTP_SYNTAX', 'control character');
      // A CR at the very end is looked at again together with what follows it.
      this.#searched = stop > this.#at && bytes[stop - 1] === CR ? stop - 1 : stop;
      return undefined;
    }
    if (end === this.#at || bytes[end - 1] !== CR)
      refuse(this.#stage === 'chunk-end' ? 'SP_HTTP_FRAMING' : 'SP_HTTP_SYNTAX', 'line end');
    const line = bytes.toString('latin1', this.#at, end - 1);
    if (line.includes('\r')) refuse('SP_HTTP_SYNTAX', 'line end');
    this.#at = end + 1;
    this.#searched = this.#at;
    return line;
  }

  #tooLong(): FaultCode {
    return this.#stage === 'head' ? 'SP_HTTP_HEADERS_TOO_LARGE' : 'SP_HTTP_FRAMING';
  }
}

/** A control character that no line has, or a CR that is not the last octet so far. */
function isStray(bytes: Buffer, at: number, stop: number): boolean {
  const octet = bytes[at] as number;
  if (octet === CR) return at < stop - 1;
  return (octet < SPACE && octet !== TAB) || octet === DELETE;
}

/** RFC 9112 section 3: method, target and version, with exactly one space between them. */
function readRequestLine(line: string): Pick<RequestHead, 'method' | 'url' | 'httpVersion'> {
  const [method, url, version, ...rest] = line.split(' ');
  if (!method || !METHOD.test(method)) refuse('SP_HTTP_SYNTAX', 'request line');
  // The preface of HTTP/2 (RFC 9113 section 3.4) is told by its version, before its method.
  const digits = version === undefined ? null : VERSION.exec(version);
  if (rest.length === 0 && version !== undefined && digits === null) refuse('SP_HTTP_VERSION', 'version');
  if (!METHODS.has(method)) refuse('SP_HTTP_METHOD', 'method');
  // RFC 1945 section 4.1: method and target alone are HTTP/0.9.
  if (url === undefined || version === undefined) refuse('SP_HTTP_VERSION', 'version');
  if (rest.length > 0 || digits === null) refuse('SP_HTTP_SYNTAX', 'request line');
  return { method, url, httpVersion: digits[1] as string };
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

function isSpace(octet: number): boolean {
  return octet === SPACE || octet === TAB;
}

function refuse(code: FaultCode, part: string): never {
  throw new Fault(code, undefined, { details: { part } });
}

const NOTHING = Buffer.alloc(0);
const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const DELETE = 0x7f;
const METHOD = /^[!#$%&'*+.^_`|~A-Za-z0-9-]+$/;
/** RFC 9112 section 2.3. */
const VERSION = /^HTTP\/(1\.[01])$/;
const FIELD_NAME = /^[!#$%&'*+.^_`|~A-Za-z0-9-]+$/;
const CHUNK = /^([0-9A-Fa-f]+)(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
/** A size with its extensions; and all extensions of a request together. */
const MAX_CHUNK_LINE_BYTES = 16_384;
/** Colon, space and line end of a field. */
const FRAMING_BYTES = 4;
