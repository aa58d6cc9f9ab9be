/**
 * Mends functions inside a compiled policy. `opa build` puts C versions of many built-ins into the module, and some of them
 * answer otherwise than OPA or never return: `replace(x, "", y)` hangs for ever. A guard is put in front of such a function;
 * where it applies, the call goes out to our own built-in instead. Nothing moves, so nothing else in the module changes.
 */
import { Fault } from '../../faults/fault.ts';
import {
  CODE_SECTION,
  functionBodies,
  functionNames,
  importsOf,
  instructionsAt,
  joinBodies,
  joinSections,
  sectionsOf,
  unsigned,
  withPrefix,
} from './wasm-binary.ts';

/** When the call goes out to the host. */
export type Guard =
  | { readonly kind: 'always' }
  /** The parameter has one of these types (value.h of OPA's wasm library). */
  | { readonly kind: 'type'; readonly parameter: number; readonly types: readonly number[] }
  /** The parameter is an array without elements. */
  | { readonly kind: 'empty-array'; readonly parameter: number }
  /** The text at the first parameter, of the length in the second, has anything but digits behind its first character. */
  | { readonly kind: 'not-digits' }
  /** One of the first parameters, this many, is a number, but not one of 31 bits that the module itself computed. */
  | { readonly kind: 'wide-number'; readonly among: 1 | 2 | 3 };

export interface Amendment {
  /** Name of the C function in the module. */
  readonly function: string;
  readonly parameters: 1 | 2 | 3;
  readonly guard: Guard;
  /** What the guarded call asks opa_builtin<parameters> for. */
  readonly id: number;
}

export interface Amended {
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Least memory that the module asks for, pages of 64 KiB. */
  readonly memoryPages: number;
}

/**
 * @returns the module with its guards
 * @throws SP_POLICY_MODULE if it is malformed or was stripped of the names without which no guard can be set
 */
export function amend(wasm: Uint8Array, amendments: readonly Amendment[]): Amended {
  const sections = sectionsOf(wasm);
  const names = functionNames(sections);
  if (names.size === 0) {
    throw new Fault(
      'SP_POLICY_MODULE',
      'The policy module has no function names, so its built-ins cannot be checked. Build it with `opa build`, unstripped.',
    );
  }
  const imports = importsOf(sections);
  const functions = imports.functions;
  if (imports.memoryPages === undefined) {
    throw new Fault('SP_POLICY_MODULE', 'The policy module brings its own memory, which could not be bounded.');
  }
  const code = sections.findIndex(({ id }) => id === CODE_SECTION);
  const bodies = code < 0 ? [] : functionBodies((sections[code] as { content: Uint8Array }).content);
  for (const amendment of amendments) {
    const index = names.get(amendment.function);
    if (index === undefined) continue;
    const outlet = functions.indexOf(`opa_builtin${amendment.parameters}`);
    const body = bodies[index - functions.length];
    if (outlet < 0 || body === undefined) {
      throw new Fault(
        'SP_POLICY_MODULE',
        `The policy module cannot be read. ${amendment.function} is not as expected.`,
      );
    }
    bodies[index - functions.length] = guarded(body, amendment, outlet);
  }
  if (code >= 0) sections[code] = { id: CODE_SECTION, content: joinBodies(bodies) };
  return { wasm: joinSections(sections), memoryPages: imports.memoryPages };
}

const op = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  return: 0x0f,
  call: 0x10,
  drop: 0x1a,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  i32Load: 0x28,
  i64Load: 0x29,
  i32Load8u: 0x2d,
  i32Const: 0x41,
  i64Const: 0x42,
  i32Eqz: 0x45,
  i32Eq: 0x46,
  i32Ne: 0x47,
  i32LtS: 0x48,
  i32GtU: 0x4b,
  i64Ne: 0x52,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32And: 0x71,
  i32Or: 0x72,
  i64Shl: 0x86,
  i64ShrS: 0x87,
  i32: 0x7f,
  void: 0x40,
} as const;

// Layout of a value in the module's memory: type byte; of a number also its representation and, at 8, its 64-bit integer;
// of an array, at 8, its length.
const TYPE_OFFSET = 0;
const REPRESENTATION_OFFSET = 1;
const INTEGER_OFFSET = 8;
const LENGTH_OFFSET = 8;
/** Of 64: what an integer of 31 bits leaves. The module errs at -2^31. */
const SPARE_BITS = 33;
const DIGIT_ZERO = 48;
const TYPE_NUMBER = 3;
const TYPE_ARRAY = 5;
const REPRESENTATION_INTEGER = 1;

function guarded(body: Uint8Array, { parameters, guard, id }: Amendment, outlet: number): Uint8Array {
  const order = Array.from({ length: parameters }, (_, parameter) => parameter);
  const callOut = [
    ...constant(id),
    ...constant(0),
    ...order.flatMap((parameter) => [op.localGet, ...unsigned(parameter)]),
    op.call,
    ...unsigned(outlet),
    op.return,
  ];
  const condition = conditionOf(guard, order, parameters + instructionsAt(body).variables);
  const prefix = condition === undefined ? callOut : [...condition, op.if, op.void, ...callOut, op.end];
  return withPrefix(body, prefix, guard.kind === 'not-digits');
}

/** Instructions that leave an i32: whether to call out. Undefined: without condition. `spare`: index of one more variable. */
function conditionOf(guard: Guard, order: readonly number[], spare: number): number[] | undefined {
  switch (guard.kind) {
    case 'always':
      return undefined;
    case 'type':
      return any(guard.types.map((type) => [...byteOf(guard.parameter, TYPE_OFFSET), ...constant(type), op.i32Eq]));
    case 'empty-array':
      return [
        ...byteOf(guard.parameter, TYPE_OFFSET),
        ...constant(TYPE_ARRAY),
        op.i32Eq,
        ...[op.localGet, ...unsigned(guard.parameter), op.i32Load, 2, LENGTH_OFFSET, op.i32Eqz],
        op.i32And,
      ];
    case 'not-digits':
      return notDigits(unsigned(spare));
    case 'wide-number':
      return any(order.slice(0, guard.among).map((parameter) => wideNumber(parameter)));
  }
}

/** block: at = length; loop: leave with 0 if at < 2; at -= 1; leave with 1 if text[at] is no digit; again. */
function notDigits(at: readonly number[]): number[] {
  const leaveIf = [op.brIf, 1, op.drop];
  return [
    ...[op.block, op.i32, op.localGet, 1, op.localSet, ...at, op.loop, op.void],
    ...[...constant(0), op.localGet, ...at, ...constant(2), op.i32LtS, ...leaveIf],
    ...[...constant(1), op.localGet, ...at, ...constant(1), op.i32Sub, op.localTee, ...at, op.localGet, 0, op.i32Add],
    ...[op.i32Load8u, 0, 0, ...constant(DIGIT_ZERO), op.i32Sub, ...constant(9), op.i32GtU, ...leaveIf],
    ...[op.br, 0, op.end, ...constant(0), op.end],
  ];
}

function wideNumber(parameter: number): number[] {
  const integer = [op.localGet, ...unsigned(parameter), op.i64Load, 3, INTEGER_OFFSET];
  return [
    ...byteOf(parameter, TYPE_OFFSET),
    ...constant(TYPE_NUMBER),
    op.i32Eq,
    ...byteOf(parameter, REPRESENTATION_OFFSET),
    ...constant(REPRESENTATION_INTEGER),
    op.i32Ne,
    ...integer,
    ...integer,
    ...[op.i64Const, SPARE_BITS, op.i64Shl, op.i64Const, SPARE_BITS, op.i64ShrS],
    op.i64Ne,
    op.i32Or,
    op.i32And,
  ];
}

function any(conditions: readonly number[][]): number[] {
  return conditions.flatMap((condition, at) => (at === 0 ? condition : [...condition, op.i32Or]));
}

function byteOf(parameter: number, offset: number): number[] {
  return [op.localGet, ...unsigned(parameter), op.i32Load8u, 0, offset];
}

/** i32.const with signed LEB128. */
function constant(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 63) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  return [op.i32Const, ...bytes, rest];
}
