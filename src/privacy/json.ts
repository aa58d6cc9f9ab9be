/**
 * A strict JSON parser (RFC 8259) over bytes: one pass, linear. Stricter than the RFC where two readers could see two
 * messages: duplicate keys, lone surrogates, numbers that a double cannot hold, a byte order mark and any byte that is not
 * UTF-8 are refused. Leaves out: streaming; a body is at most limits.inspectedBodyBytes.
 */
import type { FaultCode } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import { DocumentWriter } from './document-writer.ts';
import {
  ARRAY,
  ESCAPED_KEY,
  ESCAPED_STRING,
  FALSE,
  type JsonDocument,
  KEY,
  NULL,
  NUMBER,
  OBJECT,
  STRING,
  TRUE,
} from './json-document.ts';
import { canonicalNumber } from './json-number.ts';
import { ADDED, DUPLICATE, HASH_START, hashEnd, hashKey, hashStep, type KeySource, KeyTable } from './key-table.ts';

export interface JsonBounds {
  /** Nesting of objects and arrays; never more than DEPTH_CEILING. */
  readonly jsonDepth: number;
  /** Values of every kind, containers included, keys not. */
  readonly jsonValues: number;
}

/** The parser and all that read its documents recurse; so deep is safe on any stack Node is started with. */
export const DEPTH_CEILING = 256;

/**
 * Parses one JSON text.
 *
 * @param bytes the text in UTF-8, without byte order mark
 * @throws SP_PAYLOAD_SYNTAX, SP_PAYLOAD_DUPLICATE_KEY, SP_PAYLOAD_NUMBER, SP_PAYLOAD_TOO_DEEP, SP_PAYLOAD_TOO_LONG; a
 *   fault tells the place, never the content
 */
export function parseJson(bytes: Uint8Array, bounds: JsonBounds): JsonDocument {
  return new Scanner(decode(bytes), bounds).document();
}

/** A byte order mark is kept, and the scanner refuses it (RFC 8259 section 8.1). */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Fault('SP_PAYLOAD_SYNTAX', 'The payload is not UTF-8.');
  }
}

const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** What stands after the last character. */
const END = -1;

/** A decimal of so many digits always survives the way through a double. */
const EXACT_DIGITS = 15;
/** Number::toString writes numbers below 10^-6 with an exponent. */
const PLAIN_FRACTION_DIGITS = 6;

/** One table for all documents, which are parsed one after the other. */
const table = new KeyTable();

class Scanner implements KeySource {
  readonly #text: string;
  readonly #writer: DocumentWriter;
  readonly #maxDepth: number;
  readonly #maxValues: number;
  #values = 0;
  /** The string scanned last has an escape. */
  #hasEscape = false;

  constructor(text: string, bounds: JsonBounds) {
    this.#text = text;
    this.#writer = new DocumentWriter(text);
    this.#maxDepth = Math.min(bounds.jsonDepth, DEPTH_CEILING);
    this.#maxValues = bounds.jsonValues;
    table.clear();
  }

  document(): JsonDocument {
    const end = this.#skip(this.#value(this.#skip(0), 0));
    if (end !== this.#text.length) this.#refuse('SP_PAYLOAD_SYNTAX', end, 'text after the end');
    return this.#writer.document();
  }

  /** Scans the value at `at`; returns the place after it, as every method below does. */
  #value(at: number, depth: number): number {
    if (++this.#values > this.#maxValues) this.#refuse('SP_PAYLOAD_TOO_LONG', at, 'too many values');
    const code = this.#code(at);
    if (code === QUOTE) {
      const end = this.#string(at);
      return this.#hasEscape ? this.#escapedString(at, end) : this.#writer.put(STRING, at, end);
    }
    if (code === OPEN_BRACE) return this.#object(at, depth + 1);
    if (code === OPEN_BRACKET) return this.#array(at, depth + 1);
    if (code === MINUS || (code >= ZERO && code <= NINE)) return this.#number(at);
    return this.#literal(at, code);
  }

  #object(start: number, depth: number): number {
    if (depth > this.#maxDepth) this.#refuse('SP_PAYLOAD_TOO_DEEP', start, 'nested too deep');
    const token = this.#writer.open(OBJECT, start);
    let at = this.#skip(start + 1);
    if (this.#code(at) !== CLOSE_BRACE) {
      for (;;) {
        at = this.#skip(this.#key(at, token));
        if (this.#code(at) !== COLON) this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a colon is missing');
        at = this.#skip(this.#value(this.#skip(at + 1), depth));
        const code = this.#code(at);
        if (code === CLOSE_BRACE) break;
        if (code !== COMMA) this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a comma or brace is missing');
        at = this.#skip(at + 1);
      }
    }
    return this.#writer.close(token, at + 1);
  }

  #array(start: number, depth: number): number {
    if (depth > this.#maxDepth) this.#refuse('SP_PAYLOAD_TOO_DEEP', start, 'nested too deep');
    const token = this.#writer.open(ARRAY, start);
    let at = this.#skip(start + 1);
    if (this.#code(at) !== CLOSE_BRACKET) {
      for (;;) {
        at = this.#skip(this.#value(at, depth));
        const code = this.#code(at);
        if (code === CLOSE_BRACKET) break;
        if (code !== COMMA) this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a comma or bracket is missing');
        at = this.#skip(at + 1);
      }
    }
    return this.#writer.close(token, at + 1);
  }

  /** A key of the object at token `object`. */
  #key(start: number, object: number): number {
    if (this.#code(start) !== QUOTE) this.#refuse('SP_PAYLOAD_SYNTAX', start, 'a key is missing');
    const text = this.#text;
    const length = text.length;
    let hash = HASH_START;
    for (let at = start + 1; at < length; at += 1) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) return this.#addKey(KEY, start, at + 1, hashEnd(hash), object);
      if (code === BACKSLASH) return this.#escapedKey(start, object);
      if (code < SPACE) this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a control character in a key');
      hash = hashStep(hash, code);
    }
    return this.#refuse('SP_PAYLOAD_SYNTAX', length, 'a key does not end');
  }

  /** Keys are compared unescaped: `"a"` and `"\u0061"` are the same key to whoever reads them. */
  #escapedKey(start: number, object: number): number {
    const end = this.#string(start);
    const key = JSON.parse(this.#text.slice(start, end)) as string;
    const canonical = JSON.stringify(key);
    const kind = canonical.length === key.length + 2 ? KEY : ESCAPED_KEY;
    this.#addKey(kind, start, start + canonical.length, hashKey(key), object);
    return this.#writer.replace(start, end, canonical);
  }

  #addKey(kind: number, start: number, end: number, hash: number, object: number): number {
    const token = this.#writer.putKey(kind, start, end, hash);
    const found = table.add(object, token, hash, this);
    if (found === ADDED) return end;
    if (found === DUPLICATE) this.#refuse('SP_PAYLOAD_DUPLICATE_KEY', start, 'a key stands twice in its object');
    return this.#refuse('SP_PAYLOAD_TOO_LONG', start, 'too many keys that are hard to tell apart');
  }

  keyAt(token: number): string {
    const start = this.#writer.origin(token);
    return JSON.parse(this.#text.slice(start, this.#string(start))) as string;
  }

  /** The scanner has checked the escapes; JSON.parse sees one string and can make nothing but a string of it. */
  #escapedString(start: number, end: number): number {
    const value = JSON.parse(this.#text.slice(start, end)) as string;
    const canonical = JSON.stringify(value);
    this.#writer.put(canonical.length === value.length + 2 ? STRING : ESCAPED_STRING, start, start + canonical.length);
    return this.#writer.replace(start, end, canonical);
  }

  #string(start: number): number {
    const text = this.#text;
    const length = text.length;
    this.#hasEscape = false;
    let at = start + 1;
    while (at < length) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) return at + 1;
      if (code === BACKSLASH) at = this.#escape(at);
      else if (code < SPACE) this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a control character in a string');
      else at += 1;
    }
    return this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a string does not end');
  }

  #escape(at: number): number {
    this.#hasEscape = true;
    if ('"\\/bfnrt'.includes(this.#text.charAt(at + 1)) && at + 1 < this.#text.length) return at + 2;
    const unit = this.#unicode(at);
    // RFC 8259 section 8.2: a lone surrogate means different things to different readers. Raw ones cannot be: UTF-8 has none.
    if (unit >= 0xdc00 && unit <= 0xdfff) this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a lone surrogate');
    if (unit < 0xd800 || unit > 0xdfff) return at + 6;
    const second = this.#unicode(at + 6);
    if (second < 0xdc00 || second > 0xdfff) this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a lone surrogate');
    return at + 12;
  }

  /** The code unit of the `\uXXXX` at `at`. */
  #unicode(at: number): number {
    let unit = this.#code(at) === BACKSLASH && this.#code(at + 1) === 0x75 ? 0 : Number.NaN;
    for (let index = at + 2; index < at + 6; index += 1) unit = unit * 16 + hexDigit(this.#code(index));
    return Number.isNaN(unit) ? this.#refuse('SP_PAYLOAD_SYNTAX', at, 'not an escape, or half a surrogate pair') : unit;
  }

  #number(start: number): number {
    const isNegative = this.#code(start) === MINUS;
    const whole = isNegative ? start + 1 : start;
    let at = this.#digits(whole);
    const startsWithZero = this.#code(whole) === ZERO;
    if (startsWithZero && at > whole + 1) this.#refuse('SP_PAYLOAD_SYNTAX', start, 'a number with a leading zero');
    let isPlain = at - whole <= EXACT_DIGITS && !(startsWithZero && isNegative);

    if (this.#code(at) === POINT) {
      const fraction = at + 1;
      at = this.#digits(fraction);
      isPlain &&= at - whole - 1 <= EXACT_DIGITS && this.#code(at - 1) !== ZERO;
      isPlain &&= !startsWithZero || at - fraction <= PLAIN_FRACTION_DIGITS;
    }
    const code = this.#code(at);
    if (code === 0x65 || code === 0x45) {
      const sign = this.#code(at + 1);
      at = this.#digits(sign === PLUS || sign === MINUS ? at + 2 : at + 1);
      isPlain = false;
    }
    if (isPlain) return this.#writer.put(NUMBER, start, at);

    const literal = this.#text.slice(start, at);
    const canonical = canonicalNumber(literal);
    if (canonical === undefined) this.#refuse('SP_PAYLOAD_NUMBER', start, 'a number would lose precision');
    this.#writer.put(NUMBER, start, start + canonical.length);
    return this.#writer.replace(start, at, canonical);
  }

  /** At least one digit. */
  #digits(start: number): number {
    let at = start;
    for (let code = this.#code(at); code >= ZERO && code <= NINE; code = this.#code(at)) at += 1;
    return at > start ? at : this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a digit is missing');
  }

  #literal(at: number, code: number): number {
    if (code === 0x74 && this.#text.startsWith('true', at)) return this.#writer.put(TRUE, at, at + 4);
    if (code === 0x66 && this.#text.startsWith('false', at)) return this.#writer.put(FALSE, at, at + 5);
    if (code === 0x6e && this.#text.startsWith('null', at)) return this.#writer.put(NULL, at, at + 4);
    return this.#refuse('SP_PAYLOAD_SYNTAX', at, 'a value is missing');
  }

  /** Past whitespace (RFC 8259 section 2), which the canonical text has none of. */
  #skip(start: number): number {
    let at = start;
    for (let code = this.#code(at); code <= SPACE && code !== END; code = this.#code(at)) {
      if (code !== SPACE && code !== 0x0a && code !== 0x0d && code !== 0x09) break;
      at += 1;
    }
    return at === start ? at : this.#writer.replace(start, at, '');
  }

  #code(at: number): number {
    return at < this.#text.length ? this.#text.charCodeAt(at) : END;
  }

  /** The place helps the author of a device's firmware; the content would leak into the log. */
  #refuse(code: FaultCode, at: number, what: string): never {
    throw new Fault(code, `The payload is refused at character ${at}: ${what}.`, { details: { at } });
  }
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN;
}
