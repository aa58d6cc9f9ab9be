/** Objects and arrays: object.subset, array.slice, and the union of no objects. */
import { equalValues, RegoObject, RegoSet, type Value } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { arrayAt, intAt } from './operands.ts';

/** With bounds beyond the array brought back to it. */
export const arraySlice: Builtin = (parameters) => {
  const items = arrayAt(parameters, 0);
  const start = bounded(intAt(parameters, 1), items.length);
  const stop = bounded(intAt(parameters, 2), items.length);
  return items.slice(Math.min(start, stop), stop);
};

function bounded(value: bigint, length: number): number {
  return value < 0n ? 0 : value > BigInt(length) ? length : Number(value);
}

/** The module has no answer to `object.union_n([])`. */
export const emptyUnion: Builtin = () => RegoObject.of([]);

export const objectSubset: Builtin = ([whole, part]) => {
  if (whole instanceof RegoObject && part instanceof RegoObject) return isSubset(whole, part);
  if (whole instanceof RegoSet && part instanceof RegoSet) return part.items.every((item) => whole.has(item));
  if (Array.isArray(whole) && Array.isArray(part)) return isSubarray(whole as Value[], part as Value[]);
  if (Array.isArray(whole) && part instanceof RegoSet) return holdsAll(whole as Value[], part);
  return undefined;
};

/** Objects are compared entry by entry and in depth; sets and arrays inside by their own rules. */
function isSubset(whole: RegoObject, part: RegoObject): boolean {
  return part.entries.every(([key, value]) => {
    const other = whole.get(key);
    if (other === undefined) return false;
    if (equalValues(other, value)) return true;
    if (other instanceof RegoObject && value instanceof RegoObject) return isSubset(other, value);
    if (other instanceof RegoSet && value instanceof RegoSet) return value.items.every((item) => other.has(item));
    return Array.isArray(other) && Array.isArray(value) && isSubarray(other as Value[], value as Value[]);
  });
}

/** True if `part` stands in `whole` without gaps. OPA's search steps on by one after a mismatch, and so does this. */
function isSubarray(whole: readonly Value[], part: readonly Value[]): boolean {
  for (let start = 0; start + part.length <= whole.length; start += 1) {
    if (part.every((item, at) => equalValues(whole[start + at] as Value, item))) return true;
  }
  return false;
}

/** OPA counts members down as it walks the array, so a repeated member counts twice; an empty set needs a first item. */
function holdsAll(whole: readonly Value[], part: RegoSet): boolean {
  let missing = part.items.length;
  for (const item of whole) {
    if (part.has(item)) missing -= 1;
    if (missing === 0) return true;
  }
  return false;
}
