/**
 * Rego values as text: strict JSON in (RFC 8259), the module's own notation in and out (JSON plus sets `{1, 2}`, `set()` and
 * keys of any type), JSON out as OPA prints results, and the notation that OPA shows people.
 */
import { NUMBER } from './number.ts';
import { PolicyAbort } from './policy-abort.ts';
import { compareText, RegoNumber, RegoObject, RegoSet, type Value } from './value.ts';

/** Deeper than any document that the gateway lets in (limits.jsonDepth), and well within the JavaScript stack. */
const MAX_DEPTH = 512;

/** @returns the value, or undefined if the text is not exactly one JSON document */
export function parseJson(text: string): Value | undefined {
  const reader = new Reader(text, false);
  const value = reader.document();
  return reader.failed ? undefined : value;
}

/** Reads what opa_value_dump wrote. Aborts the evaluation if it cannot be read. */
export function parseModuleText(text: string): Value {
  const reader = new Reader(text, true);
  const value = reader.document();
  if (reader.failed) throw new PolicyAbort('The module handed out a value that cannot be read.');
  return value;
}

const WHITESPACE = /[ \t\n\r]*/y;
/** Rego also writes `.5`, and the module keeps what was written. */
const BARE_FRACTION = /(-?)(\.[0-9]+(?:[eE][+-]?[0-9]+)?)/y;
const LITERAL = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

class Reader {
  readonly #text: string;
  readonly #sets: boolean;
  #at = 0;
  #depth = 0;
  failed = false;

  constructor(text: string, sets: boolean) {
    this.#text = text;
    this.#sets = sets;
  }

  document(): Value {
    const value = this.#value();
    this.#space();
    if (this.#at !== this.#text.length) this.failed = true;
    return value;
  }

  #value(): Value {
    this.#space();
    const character = this.#text[this.#at];
    switch (character) {
      case '"':
        return this.#string();
      case '{':
        return this.#nested(() => this.#braces());
      case '[':
        return this.#nested(() => this.#array());
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      case 's':
        return this.#sets ? this.#word('set()', RegoSet.of([])) : this.#fail();
      default:
        return this.#number();
    }
  }

  #nested(read: () => Value): Value {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) return this.#fail();
    this.#at += 1;
    const value = read();
    this.#depth -= 1;
    return value;
  }

  #array(): Value {
    const items: Value[] = [];
    if (this.#takes(']')) return items;
    while (!this.failed) {
      items.push(this.#value());
      if (this.#takes(']')) return items;
      if (!this.#takes(',')) return this.#fail();
    }
    return null;
  }

  /** An object, or in the module's notation a set. */
  #braces(): Value {
    if (this.#takes('}')) return RegoObject.of([]);
    const entries: [Value, Value][] = [];
    const items: Value[] = [];
    while (!this.failed) {
      this.#space();
      if (!this.#sets && this.#text[this.#at] !== '"') return this.#fail();
      const key = this.#value();
      if (this.#takes(':')) entries.push([key, this.#value()]);
      else if (this.#sets) items.push(key);
      else return this.#fail();
      if (this.#takes('}')) {
        if (entries.length > 0 && items.length > 0) return this.#fail();
        return items.length > 0 ? RegoSet.of(items) : RegoObject.of(entries);
      }
      if (!this.#takes(',')) return this.#fail();
    }
    return null;
  }

  #string(): Value {
    const start = this.#at;
    const text = this.#text;
    let escaped = false;
    for (let at = start + 1; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (code < 0x20) return this.#fail();
      if (code === BACKSLASH) {
        escaped = true;
        at += 1;
      } else if (code === QUOTE) {
        this.#at = at + 1;
        // A lone surrogate has no UTF-8 form; OPA replaces it too.
        return (escaped ? this.#unescape(text.slice(start, at + 1)) : text.slice(start + 1, at)).toWellFormed();
      }
    }
    this.#fail();
    return null;
  }

  #unescape(literal: string): string {
    try {
      return JSON.parse(literal) as string;
    } catch {
      this.#fail();
      return '';
    }
  }

  #number(): Value {
    LITERAL.lastIndex = this.#at;
    const literal = LITERAL.exec(this.#text);
    if (literal === null) return this.#sets ? this.#bareFraction() : this.#fail();
    this.#at = LITERAL.lastIndex;
    return new RegoNumber(literal[0]);
  }

  #bareFraction(): Value {
    BARE_FRACTION.lastIndex = this.#at;
    const literal = BARE_FRACTION.exec(this.#text);
    if (literal === null) return this.#fail();
    this.#at = BARE_FRACTION.lastIndex;
    return new RegoNumber(`${literal[1]}0${literal[2]}`);
  }

  #word<T extends Value>(word: string, value: T): Value {
    if (!this.#text.startsWith(word, this.#at)) return this.#fail();
    this.#at += word.length;
    return value;
  }

  #takes(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #space(): void {
    WHITESPACE.lastIndex = this.#at;
    WHITESPACE.exec(this.#text);
    this.#at = WHITESPACE.lastIndex;
  }

  #fail(): null {
    this.failed = true;
    this.#at = this.#text.length + 1;
    return null;
  }
}

/** For opa_value_parse. */
export function toModuleText(value: Value): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof RegoNumber) return literalOf(value);
  if (value instanceof RegoSet) {
    return value.items.length === 0 ? 'set()' : `{${value.items.map(toModuleText).join(',')}}`;
  }
  if (value instanceof RegoObject) {
    return `{${value.entries.map(([key, item]) => `${toModuleText(key)}:${toModuleText(item)}`).join(',')}}`;
  }
  return `[${value.map(toModuleText).join(',')}]`;
}

/** JSON as OPA prints results: sets become arrays, keys that are no strings become their JSON text; numbers keep their text. */
export function toJson(value: Value, quoteText: (text: string) => string = quote): string {
  if (typeof value === 'string') return quoteText(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof RegoNumber) return literalOf(value);
  if (value instanceof RegoObject) {
    const entries = value.entries.map(([key, item]) => [
      typeof key === 'string' ? key : toJson(key, quoteForGo),
      toJson(item, quoteText),
    ]);
    const unique = new Map(entries as [string, string][]);
    const sorted = [...unique].sort((a, b) => compareText(a[0], b[0]));
    return `{${sorted.map(([key, item]) => `${quoteText(key)}:${item}`).join(',')}}`;
  }
  const items = value instanceof RegoSet ? value.items : value;
  return `[${items.map((item) => toJson(item, quoteText)).join(',')}]`;
}

/** Go's encoding/json: like JSON, with `<`, `>`, `&`, U+2028 and U+2029 escaped. */
export function toGoJson(value: Value): string {
  return toJson(value, quoteForGo);
}

function quoteForGo(text: string): string {
  return quote(text).replace(/[<>&\u2028\u2029]/g, escapeUnit);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The notation in which OPA shows a value to people. */
export function toRegoText(value: Value): string {
  if (typeof value === 'string') return quoteGo(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (value instanceof RegoNumber) return value.text;
  if (value instanceof RegoSet) {
    return value.items.length === 0 ? 'set()' : `{${value.items.map(toRegoText).join(', ')}}`;
  }
  if (value instanceof RegoObject) {
    return `{${value.entries.map(([key, item]) => `${toRegoText(key)}: ${toRegoText(item)}`).join(', ')}}`;
  }
  return `[${value.map(toRegoText).join(', ')}]`;
}

const GO_ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
  '"': '\\"',
};

/** Go's strconv.Quote. */
export function quoteGo(text: string): string {
  let quoted = '"';
  for (const character of text) quoted += GO_ESCAPES[character] ?? printable(character);
  return `${quoted}"`;
}

function printable(character: string): string {
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) return character;
  const code = character.codePointAt(0) as number;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code < 0x1_0000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
}

function literalOf(number: RegoNumber): string {
  if (!NUMBER.test(number.text)) throw new PolicyAbort('A number is not one of JSON.');
  return number.text;
}

function quote(text: string): string {
  if (!text.isWellFormed()) throw new PolicyAbort('A string is not well-formed Unicode.');
  return JSON.stringify(text);
}
