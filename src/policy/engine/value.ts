/**
 * Rego values on our side of the wall. Numbers stay literals: a JavaScript number would round nanoseconds, and a wrong
 * number in a policy decision is a wrong decision. Sets and objects are kept sorted as OPA sorts them.
 */
import { compareNumbers } from './number.ts';

/** A number as its JSON literal. */
export class RegoNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  static of(value: number | bigint): RegoNumber {
    return new RegoNumber(value.toString());
  }
}

export type Value = null | boolean | string | RegoNumber | readonly Value[] | RegoObject | RegoSet;

/** Items in OPA's order, each once. */
export class RegoSet {
  readonly items: readonly Value[];

  private constructor(items: readonly Value[]) {
    this.items = items;
  }

  static of(items: readonly Value[]): RegoSet {
    const sorted = [...items].sort(compareValues);
    return new RegoSet(sorted.filter((item, at) => at === 0 || compareValues(sorted[at - 1] as Value, item) !== 0));
  }

  has(item: Value): boolean {
    return search(this.items, item, (other) => other) !== undefined;
  }
}

/** Entries in OPA's order of keys. Keys may be any value. */
export class RegoObject {
  readonly entries: readonly (readonly [key: Value, value: Value])[];

  private constructor(entries: readonly (readonly [Value, Value])[]) {
    this.entries = entries;
  }

  /** Of equal keys the last one counts, as in OPA's JSON. */
  static of(entries: readonly (readonly [Value, Value])[]): RegoObject {
    const sorted = [...entries].sort((a, b) => compareValues(a[0], b[0]));
    return new RegoObject(
      sorted.filter((entry, at) => {
        const next = sorted[at + 1];
        return next === undefined || compareValues(entry[0], next[0]) !== 0;
      }),
    );
  }

  get(key: Value): Value | undefined {
    return search(this.entries, key, (entry) => entry[0])?.[1];
  }
}

function search<T>(sorted: readonly T[], key: Value, keyOf: (item: T) => Value): T | undefined {
  let low = 0;
  let high = sorted.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const item = sorted[middle] as T;
    const order = compareValues(keyOf(item), key);
    if (order === 0) return item;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}

export type ValueType = 'null' | 'boolean' | 'number' | 'string' | 'array' | 'object' | 'set';

export function typeOf(value: Value): ValueType {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') return 'string';
  if (value instanceof RegoNumber) return 'number';
  if (value instanceof RegoSet) return 'set';
  if (value instanceof RegoObject) return 'object';
  return 'array';
}

const RANK: Readonly<Record<ValueType, number>> = {
  null: 0,
  boolean: 1,
  number: 2,
  string: 3,
  array: 4,
  object: 5,
  set: 6,
};

/** OPA's total order: null, booleans, numbers, strings, arrays, objects, sets. */
export function compareValues(a: Value, b: Value): number {
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  const type = typeOf(a);
  const difference = RANK[type] - RANK[typeOf(b)];
  if (difference !== 0) return difference;
  switch (type) {
    case 'boolean':
      return Number(a) - Number(b);
    case 'number':
      return compareNumbers((a as RegoNumber).text, (b as RegoNumber).text);
    case 'array':
      return compareLists(a as readonly Value[], b as readonly Value[]);
    case 'set':
      return compareLists((a as RegoSet).items, (b as RegoSet).items);
    case 'object':
      return compareLists((a as RegoObject).entries.flat(), (b as RegoObject).entries.flat());
    default:
      return 0;
  }
}

export function equalValues(a: Value, b: Value): boolean {
  return compareValues(a, b) === 0;
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const order = compareValues(a[at] as Value, b[at] as Value);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** By code point, which is the order of the UTF-8 bytes; JavaScript's own order differs beyond U+FFFF. */
export function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    const leftHigh = left >= 0xd800 && left <= 0xdfff;
    const rightHigh = right >= 0xd800 && right <= 0xdfff;
    if (leftHigh !== rightHigh) return leftHigh ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}
