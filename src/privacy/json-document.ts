/**
 * A parsed JSON text: the text in canonical form and a tape of where its values lie. No tree of objects is ever built, so a
 * key such as `__proto__` is just text and the order of keys is the sender's.
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

export const TOKEN_WIDTH = 4;

/** An object's key; its value is the next token. */
export const KEY = 0;
/** A key whose text has an escape, so that it is not its value. */
export const ESCAPED_KEY = 1;
export const OBJECT = 2;
export const ARRAY = 3;
export const STRING = 4;
export const ESCAPED_STRING = 5;
export const NUMBER = 6;
export const TRUE = 7;
export const FALSE = 8;
export const NULL = 9;

/** Index of the token of the document's one value. */
export const ROOT = 0;

export class JsonDocument implements Document {
  /** The whole document in canonical form. */
  readonly json: string;
  readonly tape: Int32Array;

  constructor(json: string, tape: Int32Array) {
    this.json = json;
    this.tape = tape;
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
    return (this.tape[token + 2] as number) - start - 1 === key.length && this.json.startsWith(key, start);
  }

  /** A value or key as JSON. */
  text(token: number): string {
    return this.textOf(token, token);
  }

  /** From one token to the end of another, with all between: neighbouring members of an object. */
  textOf(first: number, last: number): string {
    return this.json.slice(this.tape[first + 1], this.tape[last + 2]);
  }

  /** The unescaped text of a string or key. */
  string(token: number): string {
    const kind = this.kind(token);
    if (kind === ESCAPED_STRING || kind === ESCAPED_KEY) return JSON.parse(this.text(token)) as string;
    return this.json.slice((this.tape[token + 1] as number) + 1, (this.tape[token + 2] as number) - 1);
  }

  /** The whole document with some values replaced: token to JSON, in the order of the text. */
  jsonWith(replacements: ReadonlyMap<number, string>): string {
    let written = '';
    let copied = 0;
    for (const [token, replacement] of replacements) {
      written += this.json.slice(copied, this.tape[token + 1]) + replacement;
      copied = this.tape[token + 2] as number;
    }
    return written + this.json.slice(copied);
  }

  /** A device's payload is never printed by accident. */
  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return 'JsonDocument [redacted]';
  }
}
