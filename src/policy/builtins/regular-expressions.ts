/**
 * Regular expressions by re2js: RE2 syntax, time linear in the text. Matches are enumerated by Go's rules, which differ from
 * JavaScript's and Java's about empty matches; so do the replacement templates.
 */
import { RE2JS } from 're2js';
import { PolicyAbort } from '../engine/policy-abort.ts';
import type { Value } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { intAt, NoAnswer, textAt, undefinedResult } from './operands.ts';

const MAX_PATTERNS = 100;
const MAX_PATTERN_CHARACTERS = 4_096;
const patterns = new Map<string, RE2JS>();

/** Undefined for a pattern that is not valid, like in OPA. */
function compiled(pattern: string): RE2JS {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  if (pattern.length > MAX_PATTERN_CHARACTERS) throw new PolicyAbort('A regular expression is too long.');
  let regex: RE2JS;
  try {
    regex = RE2JS.compile(pattern);
  } catch {
    return undefinedResult();
  }
  if (patterns.size >= MAX_PATTERNS) patterns.delete(patterns.keys().next().value as string);
  patterns.set(pattern, regex);
  return regex;
}

/** Linear in the text means: times the size of the expression. This many steps take up to half a second. */
const MAX_STEPS = 5_000_000;

/** Aborts the evaluation where a large expression meets a long text. */
export function boundSteps(regex: RE2JS, text: string): void {
  if (regex.programSize() * text.length > MAX_STEPS) {
    throw new PolicyAbort('A text is too long for an expression of this size.');
  }
}

/** Start and end of the whole match and of each group; -1 for a group without part in it. */
type Match = readonly (readonly [start: number, end: number])[];

/** @param limit number of matches; below 0: all */
function matchesOf(regex: RE2JS, text: string, limit: number): Match[] {
  boundSteps(regex, text);
  const matcher = regex.matcher(text);
  const groups = regex.groupCount();
  const found: Match[] = [];
  let position = 0;
  let previousEnd = -1;
  while ((limit < 0 || found.length < limit) && position <= text.length && matcher.find(position)) {
    const start = matcher.start();
    const end = matcher.end();
    // An empty match right after another one does not count.
    const counts = end !== position || start !== previousEnd;
    if (end === position) position += (text.codePointAt(position) ?? 0) > 0xffff ? 2 : 1;
    else position = end;
    previousEnd = end;
    if (counts)
      found.push(Array.from({ length: groups + 1 }, (_, group) => [matcher.start(group), matcher.end(group)]));
  }
  return found;
}

export const regexIsValid: Builtin = ([pattern]) => {
  if (typeof pattern !== 'string') return false;
  try {
    compiled(pattern);
    return true;
  } catch (thrown) {
    if (thrown instanceof NoAnswer) return false;
    throw thrown;
  }
};

export const regexMatch: Builtin = (parameters) => {
  const text = textAt(parameters, 1);
  const regex = compiled(textAt(parameters, 0));
  boundSteps(regex, text);
  return regex.test(text);
};

function limitAt(parameters: readonly Value[], at: number): number {
  const limit = intAt(parameters, at);
  return limit < 0n ? -1 : Number(limit);
}

export const regexFindN: Builtin = (parameters) => {
  const text = textAt(parameters, 1);
  const limit = limitAt(parameters, 2);
  return matchesOf(compiled(textAt(parameters, 0)), text, limit).map(([whole]) => part(text, whole));
};

export const regexFindAllSubmatch: Builtin = (parameters) => {
  const text = textAt(parameters, 1);
  const limit = limitAt(parameters, 2);
  return matchesOf(compiled(textAt(parameters, 0)), text, limit).map((match) =>
    match.map((group) => part(text, group)),
  );
};

export const regexSplit: Builtin = (parameters) => {
  const pattern = textAt(parameters, 0);
  const text = textAt(parameters, 1);
  const regex = compiled(pattern);
  if (pattern !== '' && text === '') return [''];
  const parts: string[] = [];
  let from = 0;
  let to = 0;
  for (const [whole] of matchesOf(regex, text, -1)) {
    const [start, end] = whole as readonly [number, number];
    to = start;
    if (end !== 0) parts.push(text.slice(from, start));
    from = end;
  }
  if (to !== text.length) parts.push(text.slice(from));
  return parts;
};

export const regexReplace: Builtin = (parameters) => {
  const text = textAt(parameters, 0);
  const regex = compiled(textAt(parameters, 1));
  const template = textAt(parameters, 2);
  let replaced = '';
  let from = 0;
  for (const match of matchesOf(regex, text, -1)) {
    const [start, end] = match[0] as readonly [number, number];
    replaced += text.slice(from, start) + expanded(template, text, match, regex.namedGroups());
    from = end;
  }
  return replaced + text.slice(from);
};

function part(text: string, span: readonly [number, number] | undefined): string {
  return span === undefined || span[0] < 0 ? '' : text.slice(span[0], span[1]);
}

const REFERENCE = /\$(?:(\$)|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu;

/** Go's templates: `$1`, `${name}`, `$$`; a name is as long as it can be, and one that names nothing is empty. */
function expanded(template: string, text: string, match: Match, names: Readonly<Record<string, number>>): string {
  return template.replace(
    REFERENCE,
    (_, dollar: string | undefined, bare: string | undefined, braced: string | undefined) => {
      if (dollar !== undefined) return '$';
      const name = (bare ?? braced) as string;
      const numeric = /^(?:0|[1-9][0-9]{0,7})$/.test(name);
      const group = numeric ? Number(name) : Object.hasOwn(names, name) ? names[name] : undefined;
      return group === undefined ? '' : part(text, match[group]);
    },
  );
}
