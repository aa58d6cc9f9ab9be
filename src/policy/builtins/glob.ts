/**
 * glob.match as OPA's library (gobwas/glob) reads patterns: `*` stops at separators, `**` does not, `?`, `[abc]`, `[!a-z]`,
 * `{a,b}`, `\` escapes. The module's own translation forgets to escape parentheses, `^` and `$`.
 */
import { RE2JS } from 're2js';
import { PolicyAbort } from '../engine/policy-abort.ts';
import type { Value } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { textAt, undefinedResult } from './operands.ts';
import { boundSteps } from './regular-expressions.ts';

const MAX_GLOBS = 100;
const MAX_GLOB_CHARACTERS = 4_096;
const globs = new Map<string, RE2JS>();

export const globMatch: Builtin = (parameters) => {
  const pattern = textAt(parameters, 0);
  const separators = separatorsOf(parameters[1] as Value);
  const text = textAt(parameters, 2);
  const regex = compiled(pattern, separators);
  boundSteps(regex, text);
  return regex.testExact(text);
};

/** Null: none; an empty list: the dot. */
function separatorsOf(value: Value): readonly string[] {
  if (value === null) return [];
  if (!Array.isArray(value)) return undefinedResult();
  const separators = (value as readonly Value[]).map((item) =>
    typeof item === 'string' && [...item].length === 1 ? item : undefinedResult(),
  );
  return separators.length === 0 ? ['.'] : separators;
}

function compiled(pattern: string, separators: readonly string[]): RE2JS {
  const key = `${separators.join('')}\n${pattern}`;
  const known = globs.get(key);
  if (known !== undefined) return known;
  if (pattern.length > MAX_GLOB_CHARACTERS) throw new PolicyAbort('A glob is too long.');
  const regex = RE2JS.compile(`^(?s:${new Translation(pattern, separators).run()})$`);
  if (globs.size >= MAX_GLOBS) globs.delete(globs.keys().next().value as string);
  globs.set(key, regex);
  return regex;
}

class Translation {
  readonly #characters: readonly string[];
  readonly #single: string;
  #at = 0;

  constructor(pattern: string, separators: readonly string[]) {
    this.#characters = [...pattern];
    this.#single = separators.length === 0 ? '.' : `[^${separators.map(inClass).join('')}]`;
  }

  run(): string {
    const regex = this.#sequence(0);
    if (this.#at < this.#characters.length) undefinedResult();
    return regex;
  }

  /** Up to the end, or inside of braces up to `,` or `}`. */
  #sequence(depth: number): string {
    let regex = '';
    for (;;) {
      const character = this.#characters[this.#at];
      if (character === undefined) return depth > 0 ? undefinedResult() : regex;
      if (depth > 0 && (character === ',' || character === '}')) return regex;
      this.#at += 1;
      regex += this.#token(character, depth);
    }
  }

  #token(character: string, depth: number): string {
    switch (character) {
      case '*': {
        if (this.#characters[this.#at] !== '*') return `${this.#single}*`;
        this.#at += 1;
        return '.*';
      }
      case '?':
        return this.#single;
      case '[':
        return this.#range();
      case '{':
        return this.#alternatives(depth + 1);
      case '\\':
        return this.#escaped();
      default:
        return literal(character);
    }
  }

  #escaped(): string {
    const character = this.#characters[this.#at];
    if (character === undefined) return undefinedResult();
    this.#at += 1;
    return literal(character);
  }

  #alternatives(depth: number): string {
    const choices: string[] = [];
    for (;;) {
      choices.push(this.#sequence(depth));
      const character = this.#characters[this.#at];
      this.#at += 1;
      if (character === '}') return `(?:${choices.join('|')})`;
    }
  }

  /** `[abc]`, `[a-z]`, either negated by `!`. In a range every character stands for itself; in a set `\\` escapes. */
  #range(): string {
    const negation = this.#characters[this.#at] === '!' ? '^' : '';
    if (negation !== '') this.#at += 1;
    const [low, dash, high, close] = this.#characters.slice(this.#at, this.#at + 4);
    if (low !== undefined && dash === '-') {
      if (high === undefined || close !== ']' || codeOf(low) > codeOf(high)) return undefinedResult();
      this.#at += 4;
      return `[${negation}${inClass(low)}-${inClass(high)}]`;
    }
    const set: string[] = [];
    for (;;) {
      let character = this.#characters[this.#at];
      this.#at += 1;
      if (character === ']') return set.length === 0 ? undefinedResult() : `[${negation}${set.join('')}]`;
      if (character === '\\') {
        character = this.#characters[this.#at];
        this.#at += 1;
      }
      if (character === undefined) return undefinedResult();
      set.push(inClass(character));
    }
  }
}

function literal(character: string): string {
  return /[A-Za-z0-9\u0080-\u{10ffff}]/u.test(character) ? character : `\\x{${codeOf(character).toString(16)}}`;
}

function inClass(character: string): string {
  return `\\x{${codeOf(character).toString(16)}}`;
}

function codeOf(character: string): number {
  return character.codePointAt(0) as number;
}
