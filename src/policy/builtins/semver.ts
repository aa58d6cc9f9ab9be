/** Semantic versions 2.0.0, with the leading `v` that OPA allows. */
import { compareText, RegoNumber } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { textAt, undefinedResult } from './operands.ts';

interface Version {
  readonly core: readonly bigint[];
  readonly preRelease: string;
}

const IDENTIFIERS = /^[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*$/;
const NUMERIC = /^(?:0|[1-9][0-9]*)$/;
const MAX_INT = (1n << 63n) - 1n;

function parse(text: string): Version | undefined {
  const [withoutMetadata, metadata] = cut(text.startsWith('v') ? text.slice(1) : text, '+');
  if (metadata !== undefined && !IDENTIFIERS.test(metadata)) return undefined;
  const [core, preRelease] = cut(withoutMetadata, '-');
  if (preRelease !== undefined) {
    if (!IDENTIFIERS.test(preRelease)) return undefined;
    if (preRelease.split('.').some((part) => /^0[0-9]+$/.test(part))) return undefined;
  }
  const parts = core.split('.');
  if (parts.length !== 3 || !parts.every((part) => NUMERIC.test(part) && BigInt(part) <= MAX_INT)) return undefined;
  return { core: parts.map(BigInt), preRelease: preRelease ?? '' };
}

function cut(text: string, separator: string): [before: string, after: string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function compare(a: Version, b: Version): number {
  for (const [at, left] of a.core.entries()) {
    const right = b.core[at] as bigint;
    if (left !== right) return left < right ? -1 : 1;
  }
  if (a.preRelease === b.preRelease) return 0;
  if (a.preRelease === '') return 1;
  if (b.preRelease === '') return -1;
  const left = a.preRelease.split('.');
  const right = b.preRelease.split('.');
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) {
    const order = compareIdentifiers(left[at] as string, right[at] as string);
    if (order !== 0) return order;
  }
  return Math.sign(left.length - right.length);
}

function compareIdentifiers(a: string, b: string): number {
  const aNumeric = /^[0-9]+$/.test(a);
  const bNumeric = /^[0-9]+$/.test(b);
  if (aNumeric !== bNumeric) return aNumeric ? -1 : 1;
  if (!aNumeric) return Math.sign(compareText(a, b));
  const left = saturated(a);
  const right = saturated(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Go's Atoi stops at the largest 64-bit integer. */
function saturated(text: string): bigint {
  const value = BigInt(text);
  return value > MAX_INT ? MAX_INT : value;
}

export const semverCompare: Builtin = (parameters) => {
  const a = parse(textAt(parameters, 0)) ?? undefinedResult();
  const b = parse(textAt(parameters, 1)) ?? undefinedResult();
  return RegoNumber.of(compare(a, b));
};

export const semverIsValid: Builtin = ([text]) => typeof text === 'string' && parse(text) !== undefined;
