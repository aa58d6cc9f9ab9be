/**
 * Numbers as OPA computes with them: literals of any length, integers exact, everything else a binary float with a 64-bit
 * mantissa (Go's big.Float). The compiled module uses decimals instead, so its arithmetic drifts away from OPA's.
 */
import { PolicyAbort } from './policy-abort.ts';

/** RFC 8259 section 6. */
export const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

const INTEGER = /^-?[0-9]+$/;
/** Beyond this a literal of a few bytes would unfold into megabytes. */
const MAX_EXPONENT = 4096;
const MAX_LITERAL_CHARACTERS = 4096;

/** digits x 10^exponent, exactly. */
export interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
  readonly negative: boolean;
}

/** The exact value of a JSON number literal. Aborts the evaluation on one that is absurdly large. */
export function decimalOf(literal: string): Decimal {
  if (literal.length > MAX_LITERAL_CHARACTERS) throw new PolicyAbort('A number is too long.');
  const match = /^(-?)([0-9]+)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/.exec(literal);
  if (match === null) throw new PolicyAbort('A number is malformed.');
  const fraction = match[3] ?? '';
  const exponent = Number(match[4] ?? 0) - fraction.length;
  if (Math.abs(exponent) > MAX_EXPONENT) throw new PolicyAbort('A number is too large or too small.');
  return { digits: BigInt((match[2] as string) + fraction), exponent, negative: match[1] === '-' };
}

/** The integer that a literal denotes, `15` as well as `1.5e1`; undefined if it has a fraction. */
export function integerOf(literal: string): bigint | undefined {
  if (literal.length <= 15 && INTEGER.test(literal)) return BigInt(literal);
  const { digits, exponent, negative } = decimalOf(literal);
  const scale = 10n ** BigInt(Math.abs(exponent));
  if (exponent < 0 && digits % scale !== 0n) return undefined;
  const whole = exponent < 0 ? digits / scale : digits * scale;
  return negative ? -whole : whole;
}

/** True for a literal without fraction and exponent, which is what Go's strconv takes for an integer. */
export function isPlainInteger(literal: string): boolean {
  return INTEGER.test(literal);
}

/** What OPA takes for an int: 64 bits, `2.0` and `2.` too, but no exponent; at most 19 characters after the sign. */
export function goInt(literal: string): bigint | undefined {
  const match = /^(-?[0-9]+)(?:\.0*)?$/.exec(literal);
  if (match === null || literal.length - (literal.startsWith('-') ? 1 : 0) > 19) return undefined;
  const value = BigInt(match[1] as string);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/** Exact, like OPA's: no rounding however long the literals are. */
export function compareNumbers(a: string, b: string): number {
  if (a === b) return 0;
  if (a.length <= 15 && b.length <= 15 && isPlainInteger(a) && isPlainInteger(b)) return Number(a) - Number(b);
  const left = decimalOf(a);
  const right = decimalOf(b);
  const lowest = Math.min(left.exponent, right.exponent);
  const difference = scaled(left, lowest) - scaled(right, lowest);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function scaled({ digits, exponent, negative }: Decimal, lowest: number): bigint {
  const value = digits * 10n ** BigInt(exponent - lowest);
  return negative ? -value : value;
}
