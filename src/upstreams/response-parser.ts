/**
 * Reads the responses of one connection (RFC 9112), strictly, from bytes as they come. What two readers could read in two
 * ways is refused: bare CR or LF, folded lines, space before a colon, a length that is not plain digits, bytes behind the
 * answer. It knows framing alone; what a response may say is response-head.ts's.
 */
import type { Limits } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import type { RawResponseHead, ResponseHead } from './response-head.ts';

/** Who gets what was read. What these throw is thrown by `read`. */
export interface ResponseReader {
  /** A final response's head: what it means, or a Fault. */
  onHead(head: RawResponseHead): ResponseHead;
  /** A response before the final one (RFC 9110 section 15.2). */
  onInterim(status: number): void;
  onContent(piece: Uint8Array): void;
}

export type ParserLimits = Pick<Limits, 'responseHeaderBytes' | 'responseBytes'>;

type Stage = 'head' | 'length' | 'chunk' | 'chunk-size' | 'chunk-end' | 'trailer' | 'done';

export class ResponseParser {
  readonly #method: string;
  readonly #limits: ParserLimits;
  readonly #reader: ResponseReader;
  #stage: Stage = 'head';
  /** The line, or head, that has not ended yet. */
  #held: Buffer | undefined;
  /** Bytes of content to come before the next framing. */
  #left = 0;
  #content = 0;
  #framing = 0;
  #keepsAlive = false;
  #idleMs: number | undefined;

  /** @param method of the request that is answered */
  constructor(method: string, reader: ResponseReader, limits: ParserLimits) {
    this.#method = method;
    this.#reader = reader;
    this.#limits = limits;
  }

  /** The final response was read to its end. */
  get done(): boolean {
    return this.#stage === 'done';
  }

  /** Whether the connection may carry another request after this response (RFC 9112 section 9.3). */
  get keepsAlive(): boolean {
    return this.#keepsAlive;
  }

  /** How long the upstream says that it keeps an idle connection; undefined if it does not say. */
  get idleMs(): number | undefined {
    return this.#idleMs;
  }

  /** Takes the next bytes. Throws SP_UPSTREAM_RESPONSE or SP_UPSTREAM_TOO_LARGE; then the connection is of no use any more. */
  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#stage === 'head') at = this.#readHead(chunk, at);
      else if (this.#stage === 'length' || this.#stage === 'chunk') at = this.#readContent(chunk, at);
      else if (this.#stage === 'done') at = this.#readBehind(chunk);
      else at = this.#readFraming(chunk, at);
    }
  }

  /** RFC 9110 section 9.3.2: some servers answer HEAD with the content all the same. It is let go with the connection. */
  #readBehind(chunk: Buffer): number {
    if (this.#method !== 'HEAD') throw unclean('Bytes that belong to no response follow the answer.');
    return chunk.length;
  }

  #readHead(chunk: Buffer, at: number): number {
    const { responseHeaderBytes } = this.#limits;
    const before = this.#held?.length ?? 0;
    const bytes = this.#held === undefined ? chunk.subarray(at) : Buffer.concat([this.#held, chunk.subarray(at)]);
    if (!beginsLikeStatusLine(bytes)) throw unclean('The answer does not begin with HTTP/1.');
    const end = bytes.indexOf(HEAD_END, Math.max(0, before - 3));
    if (end < 0) {
      // A line that ends in another way than CRLF will not become better by waiting.
      if (hasBareLineEnd(bytes)) throw unclean('A line of the head does not end in CRLF.');
      if (bytes.length > responseHeaderBytes) throw tooLarge('The head is larger than limits.responseHeaderBytes.');
      // A copy: the chunk is a large buffer's part, and a head may take long to come.
      this.#held = Buffer.from(bytes);
      return chunk.length;
    }
    if (end > responseHeaderBytes) throw tooLarge('The head is larger than limits.responseHeaderBytes.');
    this.#held = undefined;
    this.#onHead(bytes.toString('latin1', 0, end));
    return at + end + HEAD_END.length - before;
  }

  #onHead(text: string): void {
    const lineEnd = text.indexOf('\r\n');
    const statusLine = STATUS_LINE.exec(lineEnd < 0 ? text : text.slice(0, lineEnd));
    if (statusLine === null) throw unclean('a malformed status line');
    const status = Number(statusLine[2]);
    const { headers, fields } = lineEnd < 0 ? { headers: {}, fields: 0 } : readFields(text, lineEnd + 2);
    this.#framing += text.length;
    if (status >= 100 && status < 200) {
      this.#reader.onInterim(status);
      return;
    }
    const head = this.#reader.onHead({ status, reason: statusLine[3] ?? '', headers, fields });
    this.#persistence(statusLine[1] === '1', headers);
    this.#content = 0;
    this.#framing = 0;
    if (head.bodiless || head.length === 0) {
      this.#stage = 'done';
    } else if (head.length !== undefined) {
      this.#left = head.length;
      this.#stage = 'length';
    } else {
      this.#stage = 'chunk-size';
    }
  }

  #persistence(persistent: boolean, headers: RawResponseHead['headers']): void {
    const options = tokensOf(headers.connection);
    this.#keepsAlive =
      this.#method !== 'HEAD' && !options.includes('close') && (persistent || options.includes('keep-alive'));
    const hint: unknown = headers['keep-alive'];
    const seconds = typeof hint === 'string' ? KEEP_ALIVE_TIMEOUT.exec(hint) : null;
    this.#idleMs = seconds === null ? undefined : Number(seconds[1]) * 1_000;
  }

  #readContent(chunk: Buffer, at: number): number {
    const piece = at === 0 && chunk.length <= this.#left ? chunk : chunk.subarray(at, at + this.#left);
    this.#left -= piece.length;
    this.#content += piece.length;
    this.#reader.onContent(piece);
    if (this.#left === 0) this.#stage = this.#stage === 'length' ? 'done' : 'chunk-end';
    return at + piece.length;
  }

  /** RFC 9112 section 7.1: a line of chunked framing. */
  #readFraming(chunk: Buffer, at: number): number {
    const held = this.#held?.length ?? 0;
    const lineFeed = chunk.indexOf(LINE_FEED, at);
    const end = lineFeed < 0 ? chunk.length : lineFeed + 1;
    this.#framing += end - at;
    const { responseHeaderBytes } = this.#limits;
    if (this.#framing > FREE_FRAMING_BYTES + responseHeaderBytes + this.#content * FRAMING_SHARE) {
      throw tooLarge('The answer is mostly framing.');
    }
    if (held + end - at > MAX_LINE_BYTES) throw tooLarge('The answer is mostly framing: one line of it is too long.');
    const part = chunk.subarray(at, end);
    const line = this.#held === undefined ? part : Buffer.concat([this.#held, part]);
    if (lineFeed < 0) {
      this.#held = Buffer.from(line);
      return end;
    }
    this.#held = undefined;
    if (line.length < 2 || line[line.length - 2] !== CARRIAGE_RETURN) throw unclean('a bare line feed');
    this.#onLine(line.toString('latin1', 0, line.length - 2));
    return end;
  }

  #onLine(line: string): void {
    if (this.#stage === 'chunk-end') {
      if (line !== '') throw unclean('a chunk is longer than it says');
      this.#stage = 'chunk-size';
    } else if (this.#stage === 'trailer') {
      // RFC 9110 section 6.5.1: what comes behind the content must not frame it. All else must be well-formed, and is left out.
      if (line === '') this.#stage = 'done';
      else if (!FIELD.test(line) || FRAMING_FIELD.test(line)) throw unclean('a malformed trailer');
    } else {
      const size = CHUNK_SIZE.exec(line);
      if (size === null) throw unclean('a malformed chunk size');
      this.#left = Number.parseInt(size[1] as string, 16);
      if (this.#left > this.#limits.responseBytes) throw tooLarge();
      this.#stage = this.#left === 0 ? 'trailer' : 'chunk';
    }
  }
}

/** RFC 9112 section 5. Repeated fields become a list of their values. */
function readFields(text: string, from: number): Pick<RawResponseHead, 'headers' | 'fields'> {
  const headers: Record<string, string | string[]> = Object.create(null);
  let fields = 0;
  for (let at = from; at < text.length; ) {
    let end = text.indexOf('\r\n', at);
    if (end < 0) end = text.length;
    const field = FIELD.exec(text.slice(at, end));
    if (field === null) throw unclean('a malformed header field');
    const name = (field[1] as string).toLowerCase();
    const value = trimmed(field[2] as string);
    const present = headers[name];
    if (present === undefined) headers[name] = value;
    else if (typeof present === 'string') headers[name] = [present, value];
    else present.push(value);
    fields++;
    at = end + 2;
  }
  return { headers, fields };
}

/** RFC 9110 section 5.6.3: optional whitespace is space and tab, and nothing else that a language calls white. */
function trimmed(value: string): string {
  let from = 0;
  let to = value.length;
  while (from < to && isSpace(value.charCodeAt(from))) from++;
  while (to > from && isSpace(value.charCodeAt(to - 1))) to--;
  return value.slice(from, to);
}

function isSpace(octet: number): boolean {
  return octet === 0x20 || octet === 0x09;
}

function tokensOf(connection: unknown): readonly string[] {
  if (connection === undefined) return NO_TOKENS;
  return String(connection)
    .toLowerCase()
    .split(',')
    .map((token) => token.trim());
}

function beginsLikeStatusLine(bytes: Buffer): boolean {
  for (let at = 0; at < STATUS_LINE_START.length && at < bytes.length; at++) {
    if (bytes[at] !== STATUS_LINE_START[at]) return false;
  }
  return true;
}

function hasBareLineEnd(bytes: Buffer): boolean {
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CARRIAGE_RETURN) return true;
  }
  return false;
}

function unclean(what: string): Fault {
  return new Fault('SP_UPSTREAM_RESPONSE', undefined, { details: { what } });
}

function tooLarge(text?: string): Fault {
  return new Fault('SP_UPSTREAM_TOO_LARGE', text);
}

const NO_TOKENS: readonly string[] = [];
const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const STATUS_LINE_START = Buffer.from('HTTP/1.');
/** RFC 9112 section 4. The space before an absent reason phrase is left out by some servers; nothing depends on it. */
const STATUS_LINE = /^HTTP\/1\.([01]) ([0-9]{3})(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
/** RFC 9112 section 5: no space before the colon, no folding, no control characters. */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)$/;
/** RFC 9112 section 7.1.1: extensions are to be ignored. Twelve digits are more than any answer is long. */
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,12})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/;
const FRAMING_FIELD = /^(?:content-length|transfer-encoding):/i;
const KEEP_ALIVE_TIMEOUT = /(?:^|[,;\s])timeout=([0-9]{1,6})(?:$|[,;\s])/i;
/** A size with extensions, or a trailer. */
const MAX_LINE_BYTES = 4_096;
/** Chunked framing may add so much to pieces of any size, and this share of the content on top. */
const FREE_FRAMING_BYTES = 65_536;
const FRAMING_SHARE = 0.25;
