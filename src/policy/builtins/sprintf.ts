/**
 * sprintf as Go's fmt does it for what OPA passes: 64-bit integers, big integers, 64-bit floats and strings. Everything
 * else arrives as a string in Rego notation. A verb that does not fit its operand is written out as Go does, `%!d(string=x)`.
 */
import { isPlainInteger } from '../engine/number.ts';
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoNumber, type Value } from '../engine/value.ts';
import { quoteGo, toRegoText } from '../engine/value-text.ts';
import type { Builtin } from './builtin.ts';
import { formatFloat } from './float-format.ts';
import { arrayAt, textAt } from './operands.ts';

type Operand =
  | { readonly kind: 'int'; readonly value: bigint; readonly big: boolean }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string };

/** Flags, width and precision of one directive. */
export interface Directive {
  readonly plus: boolean;
  readonly minus: boolean;
  readonly sharp: boolean;
  readonly space: boolean;
  readonly zero: boolean;
  readonly width: number | undefined;
  readonly precision: number | undefined;
}

/** Go's own bound on width and precision. */
const MAX_WIDTH = 1_000_000;
/** Ours on what one call may produce. */
const MAX_RESULT_CHARACTERS = 65_536;

export const sprintf: Builtin = (parameters) => {
  const result = new Formatter(textAt(parameters, 0), arrayAt(parameters, 1).map(operandOf)).run();
  if (!result.isWellFormed()) throw new PolicyAbort('sprintf: the result is not well-formed Unicode.');
  return result;
};

function operandOf(value: Value): Operand {
  if (typeof value === 'string') return { kind: 'string', value };
  if (!(value instanceof RegoNumber)) return { kind: 'string', value: toRegoText(value) };
  const { text } = value;
  if (isPlainInteger(text)) {
    const integer = BigInt(text);
    return { kind: 'int', value: integer, big: BigInt.asIntN(64, integer) !== integer };
  }
  const float = Number(text);
  return Number.isFinite(float) ? { kind: 'float', value: float } : { kind: 'string', value: text };
}

class Formatter {
  readonly #format: string;
  readonly #operands: readonly Operand[];
  #at = 0;
  #next = 0;
  #reordered = false;
  #goodIndex = true;
  #afterIndex = false;
  #result = '';

  constructor(format: string, operands: readonly Operand[]) {
    this.#format = format;
    this.#operands = operands;
  }

  run(): string {
    while (this.#at < this.#format.length) {
      const percent = this.#format.indexOf('%', this.#at);
      const end = percent < 0 ? this.#format.length : percent;
      this.#write(this.#format.slice(this.#at, end));
      this.#at = end;
      if (percent < 0) break;
      this.#at += 1;
      this.#directive();
    }
    if (!this.#reordered && this.#next < this.#operands.length) {
      const extra = this.#operands.slice(this.#next).map((operand) => `${goType(operand)}=${plainValue(operand)}`);
      this.#write(`%!(EXTRA ${extra.join(', ')})`);
    }
    return this.#result;
  }

  #write(text: string): void {
    this.#result += text;
    if (this.#result.length > MAX_RESULT_CHARACTERS) throw new PolicyAbort('sprintf: the result is too long.');
  }

  #directive(): void {
    this.#goodIndex = true;
    this.#afterIndex = false;
    const flags = this.#flags();
    this.#index();
    let { minus, zero } = flags;
    let width = this.#star((value) => {
      if (value < 0) {
        minus = true;
        zero = false;
      }
      return Math.abs(value);
    });
    if (width === null) {
      width = this.#number();
      if (this.#afterIndex && width !== undefined) this.#goodIndex = false;
    }
    let precision: number | undefined;
    if (this.#format[this.#at] === '.') {
      this.#at += 1;
      if (this.#afterIndex) this.#goodIndex = false;
      this.#index();
      const starred = this.#star((value) => (value < 0 ? undefined : value), 'PREC');
      precision = starred === null ? (this.#number() ?? 0) : starred;
    }
    if (!this.#afterIndex) this.#index();
    this.#write(this.#answer({ ...flags, minus, zero: zero && !minus, width, precision }));
  }

  /** What the verb makes of its operand. */
  #answer(directive: Directive): string {
    const verb = this.#verb();
    if (verb === undefined) return '%!(NOVERB)';
    if (verb === '%') return '%';
    if (!this.#goodIndex) return `%!${verb}(BADINDEX)`;
    const operand = this.#operands[this.#next];
    if (operand === undefined) return `%!${verb}(MISSING)`;
    this.#next += 1;
    return formatted(operand, verb, directive);
  }

  #verb(): string | undefined {
    const code = this.#format.codePointAt(this.#at);
    if (code === undefined) return undefined;
    const verb = String.fromCodePoint(code);
    this.#at += verb.length;
    return verb;
  }

  #flags() {
    const flags = { plus: false, minus: false, sharp: false, space: false, zero: false };
    const names = { '+': 'plus', '-': 'minus', '#': 'sharp', ' ': 'space', '0': 'zero' } as const;
    for (;;) {
      const name = names[this.#format[this.#at] as keyof typeof names];
      if (name === undefined) return flags;
      flags[name] = true;
      this.#at += 1;
    }
  }

  /** `[n]` picks the operand. */
  #index(): void {
    if (this.#format[this.#at] !== '[') return;
    this.#reordered = true;
    const close = this.#format.indexOf(']', this.#at);
    const digits = close < 0 ? '' : this.#format.slice(this.#at + 1, close);
    const number = /^[0-9]+$/.test(digits) ? Number(digits) : Number.NaN;
    this.#at = close < 0 ? this.#at + 1 : close + 1;
    if (number >= 1 && number <= this.#operands.length) {
      this.#next = number - 1;
      this.#afterIndex = true;
    } else {
      this.#goodIndex = false;
      this.#afterIndex = close >= 0;
    }
  }

  /** `*`: an operand as a number. Null if there is no star. */
  #star(use: (value: number) => number | undefined, what = 'WIDTH'): number | undefined | null {
    if (this.#format[this.#at] !== '*') return null;
    this.#at += 1;
    const operand = this.#operands[this.#next];
    if (operand !== undefined) this.#next += 1;
    this.#afterIndex = false;
    const usable = operand?.kind === 'int' && !operand.big && operand.value >= -MAX_WIDTH && operand.value <= MAX_WIDTH;
    if (!usable) {
      this.#write(`%!(BAD${what})`);
      return undefined;
    }
    return use(Number(operand.value));
  }

  #number(): number | undefined {
    const start = this.#at;
    while (/[0-9]/.test(this.#format[this.#at] ?? '')) this.#at += 1;
    if (start === this.#at) return undefined;
    const value = Number(this.#format.slice(start, this.#at));
    // Beyond its bound Go forgets the number and takes the next character for the verb; not worth following.
    if (value > MAX_RESULT_CHARACTERS) throw new PolicyAbort('sprintf: a width or precision is too large.');
    return value;
  }
}

function goType(operand: Operand): string {
  if (operand.kind === 'int') return operand.big ? '*big.Int' : 'int64';
  return operand.kind === 'float' ? 'float64' : 'string';
}

const NO_FLAGS: Directive = {
  plus: false,
  minus: false,
  sharp: false,
  space: false,
  zero: false,
  width: undefined,
  precision: undefined,
};

function plainValue(operand: Operand): string {
  return formatted(operand, 'v', NO_FLAGS);
}

function formatted(operand: Operand, verb: string, directive: Directive): string {
  if (verb === 'T') return pad(goType(operand), directive);
  // %+v and %#v ask for more detail, not for a sign or a prefix; math/big takes the sign literally.
  if (verb === 'v' && operand.kind !== 'string' && !(operand.kind === 'int' && operand.big)) {
    return shown(operand, verb, { ...directive, plus: false });
  }
  return shown(operand, verb, directive);
}

function shown(operand: Operand, verb: string, directive: Directive): string {
  switch (operand.kind) {
    case 'int':
      return operand.big ? bigInteger(operand, verb, directive) : integer(operand, verb, directive);
    case 'float':
      return float(operand, verb, directive);
    case 'string':
      return string(operand, verb, directive);
  }
}

/** Go names a big integer in its own formatter without the star; with some verbs it shows its insides, which we do not. */
function badVerb(operand: Operand, verb: string, directive: Directive): string {
  const big = operand.kind === 'int' && operand.big;
  if ((big && 'pw'.includes(verb)) || (operand.kind === 'float' && directive.sharp)) {
    throw new PolicyAbort('sprintf: a verb that does not fit its operand.');
  }
  const plain = shown(operand, 'v', { ...directive, sharp: false });
  return `%!${verb}(${big ? 'big.Int' : goType(operand)}=${plain})`;
}

const BASES: Readonly<Record<string, number>> = { d: 10, v: 10, b: 2, o: 8, O: 8, x: 16, X: 16 };
const BASE_PREFIXES: Readonly<Record<string, string>> = { b: '0b', o: '0', O: '0o', x: '0x', X: '0X' };

function integer(operand: Operand & { kind: 'int' }, verb: string, directive: Directive): string {
  const { value } = operand;
  if (verb === 'v') return digits(value, 'd', { ...directive, sharp: false });
  if (verb in BASES) return digits(value, verb, directive);
  if (verb === 'c') return pad(character(value), directive);
  if (verb === 'q') return pad(quotedCharacter(value, directive), directive);
  if (verb === 'U') return unicode(value, directive);
  return badVerb(operand, verb, directive);
}

function digits(value: bigint, verb: string, { plus, minus, sharp, space, zero, width, precision }: Directive): string {
  const base = BASES[verb] as number;
  const negative = value < 0n;
  if (precision === 0 && value === 0n) return ' '.repeat(width ?? 0);
  let text = (negative ? -value : value).toString(base);
  if (verb === 'X') text = text.toUpperCase();
  const signed = negative || plus || space;
  const least = precision ?? (zero && !minus && width !== undefined ? width - (signed ? 1 : 0) : 0);
  text = text.padStart(least, '0');
  if (verb === 'O' || (sharp && verb !== 'd' && verb !== 'v')) {
    if (!(verb === 'o' && text.startsWith('0'))) text = `${BASE_PREFIXES[verb]}${text}`;
  }
  const sign = negative ? '-' : plus ? '+' : space ? ' ' : '';
  return spaces(sign + text, { minus, width });
}

/** math/big formats its numbers itself, and more simply. */
function bigInteger(operand: Operand & { kind: 'int' }, verb: string, directive: Directive): string {
  if (!['b', 'o', 'd', 'x', 'X', 's', 'v', 'O'].includes(verb)) return badVerb(operand, verb, NO_FLAGS);
  const { value } = operand;
  const base = BASES[verb === 's' ? 'd' : verb] as number;
  const magnitude = (value < 0n ? -value : value).toString(base);
  let text = verb === 'X' ? magnitude.toUpperCase() : magnitude;
  const sign = value < 0n ? '-' : directive.plus ? '+' : directive.space ? ' ' : '';
  const prefixed = directive.sharp && ['b', 'o', 'x', 'X'].includes(verb);
  const prefix = verb === 'O' ? '0o' : prefixed ? (BASE_PREFIXES[verb] as string) : '';
  if (directive.precision !== undefined) text = text.padStart(directive.precision, '0');
  else if (directive.zero && !directive.minus && directive.width !== undefined) {
    text = text.padStart(directive.width - sign.length - prefix.length, '0');
  }
  return spaces(sign + prefix + text, directive);
}

const MAX_RUNE = 0x10_ffffn;

function isRune(value: bigint): boolean {
  return value >= 0n && value <= MAX_RUNE && !(value >= 0xd800n && value <= 0xdfffn);
}

function character(value: bigint): string {
  return isRune(value) ? String.fromCodePoint(Number(value)) : '\ufffd';
}

function quotedCharacter(value: bigint, { plus }: Directive): string {
  const quoted = quoteGo(character(value)).slice(1, -1);
  const escaped = quoted === "'" ? "\\'" : quoted === '\\"' ? '"' : quoted;
  return `'${plus ? asciiOnly(escaped) : escaped}'`;
}

function unicode(value: bigint, directive: Directive): string {
  const hex = BigInt.asUintN(64, value)
    .toString(16)
    .toUpperCase()
    .padStart(Math.max(4, directive.precision ?? 0), '0');
  const quoted = directive.sharp && isPrintable(value) ? ` '${character(value)}'` : '';
  return spaces(`U+${hex}${quoted}`, directive);
}

function isPrintable(value: bigint): boolean {
  return isRune(value) && /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character(value));
}

function float(operand: Operand & { kind: 'float' }, verb: string, directive: Directive): string {
  if (!'vbgGxXfFeE'.includes(verb)) return badVerb(operand, verb, directive);
  if ('bxX'.includes(verb) || directive.sharp)
    throw new PolicyAbort('sprintf: a binary or alternative form of a float.');
  const precision = directive.precision ?? ('fFeE'.includes(verb) ? 6 : -1);
  const text = formatFloat(Math.abs(operand.value), verb === 'v' ? 'g' : verb, precision);
  const negative = operand.value < 0 || Object.is(operand.value, -0);
  const sign = negative ? '-' : directive.plus ? '+' : directive.space ? ' ' : '';
  if (directive.zero && !directive.minus && directive.width !== undefined) {
    return sign + text.padStart(directive.width - sign.length, '0');
  }
  return spaces(sign + text, directive);
}

function string(operand: Operand & { kind: 'string' }, verb: string, directive: Directive): string {
  const { value } = operand;
  const { precision, sharp } = directive;
  const cut = precision === undefined ? value : [...value].slice(0, precision).join('');
  switch (verb) {
    case 'v':
      return sharp ? pad(quoteGo(value), directive) : pad(cut, directive);
    case 's':
      return pad(cut, directive);
    case 'x':
    case 'X':
      return pad(hexOf(value, verb, directive), directive);
    case 'q': {
      if (sharp && canBackquote(cut)) return pad(`\`${cut}\``, directive);
      return pad(directive.plus ? asciiOnly(quoteGo(cut)) : quoteGo(cut), directive);
    }
    default:
      return badVerb(operand, verb, directive);
  }
}

function hexOf(text: string, verb: string, { precision, sharp, space }: Directive): string {
  const bytes = [...Buffer.from(text)].slice(0, precision);
  const prefix = sharp ? `0${verb}` : '';
  const pairs = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
  const cased = verb === 'X' ? pairs.map((pair) => pair.toUpperCase()) : pairs;
  if (cased.length === 0) return '';
  return space ? cased.map((pair) => prefix + pair).join(' ') : prefix + cased.join('');
}

function canBackquote(text: string): boolean {
  return !/[\u0000-\u0008\u000a-\u001f`\u007f\ufeff]/.test(text);
}

function asciiOnly(text: string): string {
  return text.replace(/[^\u0000-\u007f]/gu, (character) => {
    const code = character.codePointAt(0) as number;
    return code < 0x1_0000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
  });
}

/** Padding of text: zeros when asked for. */
function pad(text: string, { minus, zero, width }: Directive): string {
  const missing = (width ?? 0) - [...text].length;
  if (missing <= 0) return text;
  return minus ? text + ' '.repeat(missing) : (zero ? '0' : ' ').repeat(missing) + text;
}

function spaces(text: string, { minus, width }: Pick<Directive, 'minus' | 'width'>): string {
  return pad(text, { ...NO_FLAGS, minus, width });
}
