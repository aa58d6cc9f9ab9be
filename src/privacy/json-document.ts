/**
 * A parsed JSON text: the text itself and a tape of where its values lie. No tree of objects is ever built, so a key such as
 * `__proto__` is just text and the order of keys is the sender's. Whoever forwards any of it does so in canonical form.
 *
 * Canonical form: no insignificant whitespace, keys in the order they came, strings with no escape but the necessary ones,
 * numbers as json-number.ts writes them. It equals `JSON.stringify(JSON.parse(text))` wherever that keeps the order of keys.
 *
 * The tape holds four numbers for each token, in the order of the text:
 *
 *     kind | start in the text | end in the text | index of the next sibling's token (for a key: its hash)
 */
import { inspect } from 'node:util';
import type { Document } from '../exchange/gate.ts';
import { canonicalNumber } from './json-number.ts';

export const TOKEN_WIDTH = 4;

/** An object's key; its value is the next token. */
export const KEY = 0;
/** A key with at least one escape. */
export const ESCAPED_KEY = 10;
export const OBJECT = 1;
export const ARRAY = 2;
export const STRING = 3;
/** A string with at least one escape: its text is not its value. */
export const ESCAPED_STRING = 4;
export const NUMBER = 5;
/** A number that is not written in canonical form. */
export const LOOSE_NUMBER = 6;
export const TRUE = 7;
export const FALSE = 8;
export const NULL = 9;

/** Index of the token of the document's one value. */
export const ROOT = 0;

const NONE: ReadonlyMap<number, string> = new Map();

export class JsonDocument implements Document {
  /** The text as it was sent. */
  readonly text: string;
  readonly tape: Int32Array;
  /** The text is canonical as it stands. */
  readonly isCanonical: boolean;
  #json: string | undefined;

  constructor(text: string, tape: Int32Array, isCanonical: boolean) {
    this.text = text;
    this.tape = tape;
    this.isCanonical = isCanonical;
    this.#json = isCanonical ? text : undefined;
  }

  /** The whole document in canonical form. */
  get json(): string {
    this.#json ??= this.#write(ROOT);
    return this.#json;
  }

  kind(token: number): number {
    return this.tape[token] as number;
  }

  /** Token after this value and everything in it. */
  after(token: number): number {
    return this.tape[token + 3] as number;
  }

  /** The hash of a key's unescaped text. */
  hash(token: number): number {
    return this.tape[token + 3] as number;
  }

  /** True if a key token spells `key`. */
  isKey(token: number, key: string): boolean {
    if (this.kind(token) === ESCAPED_KEY) return this.string(token) === key;
    const start = (this.tape[token + 1] as number) + 1;
    return (this.tape[token + 2] as number) - start - 1 === key.length && this.text.startsWith(key, start);
  }

  /** The whole document in canonical form with some values replaced: token to canonical JSON. */
  jsonWith(replacements: ReadonlyMap<number, string>): string {
    return replacements.size === 0 ? this.json : this.#write(ROOT, replacements);
  }

  /** A value or key in canonical form. */
  canonical(token: number): string {
    return this.isCanonical ? this.#slice(token) : this.#write(token);
  }

  /** Neighbouring members of one object in canonical form, from a key to a value. */
  canonicalMembers(key: number, lastValue: number): string {
    if (this.isCanonical) return this.text.slice(this.tape[key + 1], this.tape[lastValue + 2]);
    let written = this.#write(key);
    for (let token = key + TOKEN_WIDTH; ; ) {
      written += `:${this.#write(token)}`;
      if (token === lastValue) return written;
      const next = this.after(token);
      written += `,${this.#write(next)}`;
      token = next + TOKEN_WIDTH;
    }
  }

  /** The unescaped text of a string or key. */
  string(token: number): string {
    const start = this.tape[token + 1] as number;
    const end = this.tape[token + 2] as number;
    // The scanner has checked the escapes; JSON.parse sees one string and can make nothing but a string of it.
    const kind = this.kind(token);
    if (kind === ESCAPED_STRING || kind === ESCAPED_KEY) return JSON.parse(this.text.slice(start, end)) as string;
    return this.text.slice(start + 1, end - 1);
  }

  /** A device's payload is never printed by accident. */
  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return 'JsonDocument [redacted]';
  }

  #slice(token: number): string {
    return this.text.slice(this.tape[token + 1], this.tape[token + 2]);
  }

  /** Recursion is bounded by limits.jsonDepth, which the scanner has held. */
  #write(token: number, replacements = NONE): string {
    const replacement = replacements.get(token);
    if (replacement !== undefined) return replacement;
    switch (this.kind(token)) {
      case OBJECT:
        return this.#writeObject(token, replacements);
      case ARRAY:
        return this.#writeArray(token, replacements);
      case ESCAPED_STRING:
      case ESCAPED_KEY:
        return JSON.stringify(this.string(token));
      case LOOSE_NUMBER:
        return canonicalNumber(this.#slice(token)) as string;
      default:
        return this.#slice(token);
    }
  }

  #writeObject(token: number, replacements: ReadonlyMap<number, string>): string {
    const end = this.after(token);
    let written = '';
    for (let key = token + TOKEN_WIDTH; key < end; key = this.after(key + TOKEN_WIDTH)) {
      if (written !== '') written += ',';
      written += `${this.#write(key)}:${this.#write(key + TOKEN_WIDTH, replacements)}`;
    }
    return `{${written}}`;
  }

  #writeArray(token: number, replacements: ReadonlyMap<number, string>): string {
    const end = this.after(token);
    let written = '';
    for (let item = token + TOKEN_WIDTH; item < end; item = this.after(item)) {
      if (written !== '') written += ',';
      written += this.#write(item, replacements);
    }
    return `[${written}]`;
  }
}
