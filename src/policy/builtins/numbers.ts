/** Arithmetic, bits and conversions as OPA computes them; see engine/number.ts for why the module's own are not used. */
import { BigFloat } from '../engine/big-float.ts';
import { goInt, integerOf, NUMBER } from '../engine/number.ts';
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoNumber, RegoSet, type Value } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { integerAt, membersAt, numberAt, undefinedResult } from './operands.ts';

type Exact = (a: bigint, b: bigint) => bigint | undefined;
type Inexact = (a: BigFloat, b: BigFloat) => BigFloat;

function arithmetic(exact: Exact, inexact: Inexact): Builtin {
  return (parameters) => {
    const left = numberAt(parameters, 0).text;
    const right = numberAt(parameters, 1).text;
    const a = integerOf(left);
    const b = integerOf(right);
    const result = a === undefined || b === undefined ? undefined : exact(a, b);
    if (result !== undefined) return RegoNumber.of(result);
    return new RegoNumber(inexact(BigFloat.parse(left), BigFloat.parse(right)).toString());
  };
}

export const plus = arithmetic(
  (a, b) => a + b,
  (a, b) => a.add(b),
);

const minusNumbers = arithmetic(
  (a, b) => a - b,
  (a, b) => a.subtract(b),
);

/** Of two sets: the difference. */
export const minus: Builtin = (parameters, evaluation) => {
  const [a, b] = parameters;
  if (a instanceof RegoSet && b instanceof RegoSet) return RegoSet.of(a.items.filter((item) => !b.has(item)));
  return minusNumbers(parameters, evaluation);
};

export const multiply = arithmetic(
  (a, b) => a * b,
  (a, b) => a.multiply(b),
);

const SMALL = 1n << 31n;

function isSmall(value: bigint): boolean {
  return value >= -SMALL && value < SMALL;
}

/** A quotient is an integer only if the division of two small integers has no rest; everything else is a float. */
export const divide: Builtin = (parameters) => {
  const left = numberAt(parameters, 0).text;
  const right = numberAt(parameters, 1).text;
  const a = goInt(left);
  const b = goInt(right);
  if (a !== undefined && b !== undefined && isSmall(a) && isSmall(b)) {
    if (b === 0n) return undefined;
    if (a !== 0n && a % b === 0n) return RegoNumber.of(a / b);
  }
  const divisor = BigFloat.parse(right);
  if (divisor.zero) return undefined;
  return new RegoNumber(BigFloat.parse(left).divide(divisor).toString());
};

export const remainder: Builtin = (parameters) => {
  const a = integerAt(parameters, 0);
  const b = integerAt(parameters, 1);
  return b === 0n ? undefined : RegoNumber.of(a % b);
};

function unary(inexact: (value: BigFloat) => BigFloat): Builtin {
  return (parameters) => {
    const { text } = numberAt(parameters, 0);
    const integer = goInt(text);
    const result = inexact(BigFloat.parse(text));
    if (integer !== undefined && isSmall(integer)) return RegoNumber.of(result.truncate());
    return new RegoNumber(result.toString());
  };
}

const ONE = BigFloat.ofInteger(1n);
const HALF = BigFloat.parse('0.5');

export const abs = unary((value) => value.absolute());

/** Half away from zero. */
export const round = unary((value) =>
  BigFloat.ofInteger((value.negative ? value.subtract(HALF) : value.add(HALF)).truncate()),
);

/** OPA looks at the sign of the whole part: the ceiling of -0.5 is 1, and its floor 0. */
export const ceil = unary((value) => {
  const whole = BigFloat.ofInteger(value.truncate());
  return whole.negative || value.compare(whole) === 0 ? whole : whole.add(ONE);
});

export const floor = unary((value) => {
  const whole = BigFloat.ofInteger(value.truncate());
  return !whole.negative || value.compare(whole) === 0 ? whole : whole.subtract(ONE);
});

function accumulated(start: bigint, exact: (a: bigint, b: bigint) => bigint, inexact: Inexact): Builtin {
  return (parameters) => {
    const literals = membersAt(parameters, 0).map((member) =>
      member instanceof RegoNumber ? member.text : undefinedResult(),
    );
    const integers = literals.map((literal) => integerOf(literal));
    if (integers.every((integer) => integer !== undefined)) return RegoNumber.of(integers.reduce(exact, start));
    const result = literals.map((literal) => BigFloat.parse(literal)).reduce(inexact, BigFloat.ofInteger(start));
    return new RegoNumber(result.toString());
  };
}

export const sum = accumulated(
  0n,
  (a, b) => a + b,
  (a, b) => a.add(b),
);

/** OPA starts a product from a float of 53 bits, and each step keeps to them. */
const PRODUCT_PRECISION = 53;

export const product = accumulated(
  1n,
  (a, b) => a * b,
  (a, b) => a.multiply(b, PRODUCT_PRECISION),
);

function bits(operation: (a: bigint, b: bigint) => bigint): Builtin {
  return (parameters) => RegoNumber.of(operation(integerAt(parameters, 0), integerAt(parameters, 1)));
}

export const bitsAnd = bits((a, b) => a & b);
export const bitsOr = bits((a, b) => a | b);
export const bitsXor = bits((a, b) => a ^ b);
export const bitsNegate: Builtin = (parameters) => RegoNumber.of(~integerAt(parameters, 0));

/** A shift by a billion would ask for a number of a hundred megabytes. */
const MAX_SHIFT_BITS = 4_096n;

function shift(operation: (a: bigint, by: bigint) => bigint): Builtin {
  return bits((a, by) => {
    if (by < 0n) undefinedResult();
    if (by > MAX_SHIFT_BITS) throw new PolicyAbort(`A shift by more than ${MAX_SHIFT_BITS} bits.`);
    return operation(a, by);
  });
}

export const bitsShiftLeft = shift((a, by) => a << by);
export const bitsShiftRight = shift((a, by) => a >> by);

/**
 * Go takes more for a number than JSON does: `1.`, `.5`, `007`, `1_000`, hexadecimal. OPA would go on with a literal that no
 * JSON can hold; refused, and generously so.
 */
const GO_FLOAT = /^[+-]?(?=[0-9._]*[0-9])(?:0[xX][0-9a-fA-F_.]*(?:[pP][+-]?[0-9_]+)?|[0-9._]+(?:[eE][+-]?[0-9_]+)?)$/;

export const toNumber: Builtin = (parameters) => {
  const value = parameters[0] as Value;
  if (value === null) return RegoNumber.of(0);
  if (typeof value === 'boolean') return RegoNumber.of(Number(value));
  if (value instanceof RegoNumber) return value;
  if (typeof value !== 'string') return undefined;
  if (NUMBER.test(value)) {
    return Number.isFinite(Number(value)) ? new RegoNumber(value) : undefined;
  }
  if (GO_FLOAT.test(value)) throw new PolicyAbort('to_number: a number that JSON cannot hold.');
  return undefined;
};

/** An array of this many numbers already takes megabytes of the module's memory. */
const MAX_RANGE = 100_000n;

function range(parameters: readonly Value[], step: bigint): Value | undefined {
  const from = integerAt(parameters, 0);
  const to = integerAt(parameters, 1);
  if (step <= 0n) return undefined;
  const length = (from < to ? to - from : from - to) / step + 1n;
  if (length > MAX_RANGE) throw new PolicyAbort(`A range of more than ${MAX_RANGE} numbers.`);
  const stride = from <= to ? step : -step;
  return Array.from({ length: Number(length) }, (_, at) => RegoNumber.of(from + stride * BigInt(at)));
}

export const numbersRange: Builtin = (parameters) => range(parameters, 1n);
export const numbersRangeStep: Builtin = (parameters) => range(parameters, integerAt(parameters, 2));
