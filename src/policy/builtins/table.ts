/**
 * Every built-in that a policy may ask its host for, and every function inside a compiled policy that is mended. What is in
 * neither list comes from the module itself (docs/policy-builtins.md); what is nowhere is refused when the policy is loaded.
 */
import type { Amendment, Guard } from '../engine/amend.ts';
import type { BuiltinHost } from '../engine/instance.ts';
import { goInt } from '../engine/number.ts';
import { PolicyAbort } from '../engine/policy-abort.ts';
import type { Value } from '../engine/value.ts';
import type { Builtin, Evaluation } from './builtin.ts';
import * as crypto from './crypto.ts';
import * as encoding from './encoding.ts';
import { globMatch } from './glob.ts';
import * as network from './network.ts';
import * as numbers from './numbers.ts';
import * as objects from './objects.ts';
import { NoAnswer } from './operands.ts';
import * as print from './print.ts';
import * as regex from './regular-expressions.ts';
import * as semver from './semver.ts';
import { sprintf } from './sprintf.ts';
import * as strings from './strings.ts';
import * as time from './time.ts';
import { parseBytes } from './units.ts';

/** By the name that `builtins()` of a module lists. */
export const BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  ['base64url.encode_no_pad', encoding.base64UrlEncodeNoPad],
  ['crypto.hmac.equal', crypto.hmacEqual],
  ['crypto.hmac.sha256', crypto.hmacSha256],
  ['crypto.sha256', crypto.sha256],
  ['hex.decode', encoding.hexDecode],
  ['hex.encode', encoding.hexEncode],
  ['indexof_n', strings.indexOfN],
  ['internal.print', print.print],
  ['net.cidr_contains_matches', network.cidrContainsMatches],
  ['net.cidr_is_valid', network.cidrIsValid],
  ['numbers.range_step', numbers.numbersRangeStep],
  ['object.subset', objects.objectSubset],
  ['regex.find_n', regex.regexFindN],
  ['regex.replace', regex.regexReplace],
  ['regex.split', regex.regexSplit],
  ['semver.compare', semver.semverCompare],
  ['semver.is_valid', semver.semverIsValid],
  ['sprintf', sprintf],
  ['strings.any_prefix_match', strings.anyPrefixMatch],
  ['strings.any_suffix_match', strings.anySuffixMatch],
  ['strings.count', strings.stringsCount],
  ['time.add_date', time.addDate],
  ['time.clock', time.clock],
  ['time.date', time.date],
  ['time.now_ns', time.nowNs],
  ['time.parse_rfc3339_ns', time.parseRfc3339Ns],
  ['time.weekday', time.weekday],
  ['units.parse_bytes', parseBytes],
]);

const ALWAYS: Guard = { kind: 'always' };
const WIDE: Guard = { kind: 'wide-number', among: 3 };
const FIRST_WIDE: Guard = { kind: 'wide-number', among: 1 };
const TYPE_STRING = 4;
const TYPE_SET = 7;
const TYPE_STRING_INTERNED = 8;

/** C function in the module, its parameters, when the module's own version is passed over, and what answers instead. */
const MENDED: readonly (readonly [name: string, parameters: 1 | 2 | 3, guard: Guard, builtin: Builtin])[] = [
  ['opa_arith_abs', 1, WIDE, numbers.abs],
  ['opa_arith_ceil', 1, WIDE, numbers.ceil],
  ['opa_arith_divide', 2, ALWAYS, numbers.divide],
  ['opa_arith_floor', 1, WIDE, numbers.floor],
  ['opa_arith_minus', 2, WIDE, numbers.minus],
  ['opa_arith_multiply', 2, WIDE, numbers.multiply],
  ['opa_arith_plus', 2, WIDE, numbers.plus],
  ['opa_arith_rem', 2, WIDE, numbers.remainder],
  ['opa_arith_round', 1, WIDE, numbers.round],
  ['opa_agg_product', 1, ALWAYS, numbers.product],
  ['opa_agg_sum', 1, ALWAYS, numbers.sum],
  ['opa_array_slice', 3, WIDE, objects.arraySlice],
  ['opa_base64_decode', 1, ALWAYS, encoding.base64Decode],
  ['opa_base64_is_valid', 1, ALWAYS, encoding.base64IsValid],
  ['opa_base64_url_decode', 1, ALWAYS, encoding.base64UrlDecode],
  ['opa_bits_and', 2, ALWAYS, numbers.bitsAnd],
  ['opa_bits_negate', 1, ALWAYS, numbers.bitsNegate],
  ['opa_bits_or', 2, ALWAYS, numbers.bitsOr],
  ['opa_bits_shiftleft', 2, ALWAYS, numbers.bitsShiftLeft],
  ['opa_bits_shiftright', 2, ALWAYS, numbers.bitsShiftRight],
  ['opa_bits_xor', 2, ALWAYS, numbers.bitsXor],
  ['opa_cidr_contains', 2, ALWAYS, network.cidrContains],
  ['opa_cidr_intersects', 2, ALWAYS, network.cidrIntersects],
  ['builtin_object_union_n', 1, { kind: 'empty-array', parameter: 0 }, objects.emptyUnion],
  ['opa_glob_match', 3, ALWAYS, globMatch],
  ['opa_json_is_valid', 1, ALWAYS, encoding.jsonIsValid],
  ['opa_json_marshal', 1, ALWAYS, encoding.jsonMarshal],
  ['opa_json_unmarshal', 1, ALWAYS, encoding.jsonUnmarshal],
  ['opa_numbers_range', 2, ALWAYS, numbers.numbersRange],
  ['opa_regex_find_all_string_submatch', 3, ALWAYS, regex.regexFindAllSubmatch],
  ['opa_regex_is_valid', 1, ALWAYS, regex.regexIsValid],
  ['opa_regex_match', 2, ALWAYS, regex.regexMatch],
  ['opa_strings_concat', 2, { kind: 'type', parameter: 1, types: [TYPE_SET] }, strings.concat],
  ['opa_strings_format_int', 2, FIRST_WIDE, strings.formatInt],
  ['opa_strings_indexof', 2, ALWAYS, strings.indexOf],
  ['opa_strings_replace', 3, ALWAYS, strings.replace],
  ['opa_strings_substring', 3, WIDE, strings.substring],
  ['opa_template_string', 1, ALWAYS, print.templateString],
  ['opa_to_number', 1, { kind: 'type', parameter: 0, types: [TYPE_STRING, TYPE_STRING_INTERNED] }, numbers.toNumber],
];

/** Reads `1.0` as the integer that OPA takes it for: an index into an array, say. */
const READ_INTEGER = 2_000_000;
/** Reads `1e-1` as the double that 0.1 is: from it the module makes the hash of a key or member. */
const READ_FLOAT = 2_000_001;
/** Ids of amendments begin here; those that the compiler gives out count up from 0. */
const FIRST_AMENDMENT = 1_000_000;

export const AMENDMENTS: readonly Amendment[] = [
  ...MENDED.map(([name, parameters, guard], at) => ({ function: name, parameters, guard, id: FIRST_AMENDMENT + at })),
  { function: 'opa_atoi64', parameters: 3, guard: { kind: 'not-digits' }, id: READ_INTEGER },
  { function: 'opa_atof64', parameters: 3, guard: { kind: 'not-digits' }, id: READ_FLOAT },
];

/** The host of one module, which numbers the built-ins in its own way. */
export class BuiltinTable implements BuiltinHost {
  readonly #byId = new Map<number, Builtin>(
    MENDED.map(([, , , builtin], at): [number, Builtin] => [FIRST_AMENDMENT + at, builtin]),
  );

  /**
   * @param wanted name to id, as `builtins()` of the module lists them
   * @returns the names that we do not have
   */
  admit(wanted: ReadonlyMap<string, number>): string[] {
    const missing: string[] = [];
    for (const [name, id] of wanted) {
      const builtin = BUILTINS.get(name);
      if (builtin === undefined || id >= FIRST_AMENDMENT) missing.push(name);
      else this.#byId.set(id, builtin);
    }
    return missing.sort();
  }

  readsNumbers(id: number): boolean {
    return id === READ_INTEGER || id === READ_FLOAT;
  }

  readNumber(id: number, text: string): bigint | number | undefined {
    if (id === READ_INTEGER) return goInt(text);
    const number = Number(text);
    return text.trim() === text && text !== '' && !Number.isNaN(number) ? number : undefined;
  }

  call(id: number, parameters: readonly Value[], evaluation: Evaluation): Value | undefined {
    const builtin = this.#byId.get(id);
    if (builtin === undefined) throw new PolicyAbort(`The module called built-in ${id}, which it did not list.`);
    try {
      return builtin(parameters, evaluation);
    } catch (thrown) {
      if (thrown instanceof NoAnswer) return undefined;
      throw thrown;
    }
  }
}
