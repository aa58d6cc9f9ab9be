/** String built-ins. Positions count Unicode code points, as in OPA. */
import { BigFloat } from '../engine/big-float.ts';
import { isPlainInteger } from '../engine/number.ts';
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoNumber } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { intAt, membersAt, numberAt, textAt, textsAt, undefinedResult } from './operands.ts';

/** The members of a set in OPA's order; the module takes them in the order of its hash table. */
export const concat: Builtin = (parameters) => {
  const separator = textAt(parameters, 0);
  const members = membersAt(parameters, 1);
  return members.map((member) => (typeof member === 'string' ? member : undefinedResult())).join(separator);
};

/** With an empty search text the replacement goes before and after each byte (Go's strings.Replacer). */
export const replace: Builtin = (parameters) => {
  const text = textAt(parameters, 0);
  const search = textAt(parameters, 1);
  const replacement = textAt(parameters, 2);
  if (search !== '') return text.split(search).join(replacement);
  if (replacement === '') return text;
  if (!isAscii(text)) throw new PolicyAbort('replace: an empty search text would split a character.');
  return replacement + [...text].map((character) => character + replacement).join('');
};

export const indexOf: Builtin = (parameters) => {
  const text = textAt(parameters, 0);
  const search = textAt(parameters, 1);
  if (search === '') return undefined;
  const at = text.indexOf(search);
  return RegoNumber.of(at < 0 ? -1 : codePoints(text.slice(0, at)));
};

/** All positions, overlapping ones too. */
export const indexOfN: Builtin = (parameters) => {
  const text = textAt(parameters, 0);
  const search = textAt(parameters, 1);
  if (search === '') return undefined;
  const found: RegoNumber[] = [];
  let counted = 0;
  let position = 0;
  for (let at = text.indexOf(search); at >= 0; at = text.indexOf(search, at + 1)) {
    position += codePoints(text.slice(counted, at));
    counted = at;
    found.push(RegoNumber.of(position));
  }
  return found;
};

/** Without overlaps. */
export const stringsCount: Builtin = (parameters) => {
  const text = textAt(parameters, 0);
  const search = textAt(parameters, 1);
  return RegoNumber.of(search === '' ? codePoints(text) + 1 : text.split(search).length - 1);
};

export const anyPrefixMatch: Builtin = (parameters) => {
  const texts = textsAt(parameters, 0);
  const prefixes = textsAt(parameters, 1);
  return texts.some((text) => prefixes.some((prefix) => text.startsWith(prefix)));
};

export const anySuffixMatch: Builtin = (parameters) => {
  const texts = textsAt(parameters, 0);
  const suffixes = textsAt(parameters, 1);
  return texts.some((text) => suffixes.some((suffix) => text.endsWith(suffix)));
};

/** Of code points; a length below 0 means to the end. */
export const substring: Builtin = (parameters) => {
  const text = textAt(parameters, 0);
  const start = intAt(parameters, 1);
  const length = intAt(parameters, 2);
  if (start < 0n) return undefined;
  const characters = [...text].slice(Number(start));
  return (length < 0n ? characters : characters.slice(0, Number(length))).join('');
};

/** Base 2, 8, 10 or 16; fractions are cut off. */
export const formatInt: Builtin = (parameters) => {
  const { text } = numberAt(parameters, 0);
  const base = Number(numberAt(parameters, 1).text);
  if (!['2', '8', '10', '16'].includes(numberAt(parameters, 1).text)) return undefined;
  const value = isPlainInteger(text) ? BigInt(text) : BigFloat.parse(text).truncate();
  return value.toString(base);
};

function codePoints(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0xdc00 || unit > 0xdfff) count += 1;
  }
  return count;
}

function isAscii(text: string): boolean {
  return /^[\u0000-\u007f]*$/.test(text);
}
