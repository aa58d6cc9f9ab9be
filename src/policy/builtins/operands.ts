/** Takes the operands of a built-in apart. An operand of the wrong type makes the result undefined, as in OPA. */

import { goInt, integerOf } from '../engine/number.ts';
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoNumber, RegoSet, type Value } from '../engine/value.ts';

/** Thrown where OPA would report a built-in error: the call is undefined. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

const noAnswer = new NoAnswer('undefined');

export function undefinedResult(): never {
  throw noAnswer;
}

export function textAt(parameters: readonly Value[], at: number): string {
  const value = parameters[at];
  return typeof value === 'string' ? value : undefinedResult();
}

export function numberAt(parameters: readonly Value[], at: number): RegoNumber {
  const value = parameters[at];
  return value instanceof RegoNumber ? value : undefinedResult();
}

/** An integer of 64 bits, written without an exponent. */
export function intAt(parameters: readonly Value[], at: number): bigint {
  return goInt(numberAt(parameters, at).text) ?? undefinedResult();
}

/** Any integer, `1e3` and `2.0` included. */
export function integerAt(parameters: readonly Value[], at: number): bigint {
  return integerOf(numberAt(parameters, at).text) ?? undefinedResult();
}

export function arrayAt(parameters: readonly Value[], at: number): readonly Value[] {
  const value = parameters[at];
  return Array.isArray(value) ? (value as readonly Value[]) : undefinedResult();
}

/** The members of an array or a set, in order. */
export function membersAt(parameters: readonly Value[], at: number): readonly Value[] {
  const value = parameters[at];
  return value instanceof RegoSet ? value.items : arrayAt(parameters, at);
}

/** A string, or an array or set of nothing but strings. */
export function textsAt(parameters: readonly Value[], at: number): readonly string[] {
  const value = parameters[at];
  if (typeof value === 'string') return [value];
  const members = membersAt(parameters, at);
  return members.map((member) => (typeof member === 'string' ? member : undefinedResult()));
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as a Rego string. OPA's strings may hold bytes that are not UTF-8, ours may not: such a result is refused. */
export function textOfBytes(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new PolicyAbort('The result of a decoding is binary, which this gateway does not take for a string.');
  }
}
