/**
 * Binary floating point with a 64-bit mantissa, rounding to nearest even: what Go's big.Float is to OPA, bit for bit, so
 * that `0.1 + 0.7` is what `opa eval` says. Values are immutable; text is the shortest that reads back to the same value.
 */
import { decimalOf } from './number.ts';

/** Go's default mantissa for a parsed number. */
const PRECISION = 64;

export class BigFloat {
  /** Mantissa below 2^precision; 0n for zero. The value is mantissa x 2^exponent. */
  readonly #mantissa: bigint;
  readonly #exponent: number;
  readonly #negative: boolean;
  readonly #precision: number;

  private constructor(mantissa: bigint, exponent: number, negative: boolean, precision: number) {
    this.#mantissa = mantissa;
    this.#exponent = exponent;
    this.#negative = negative;
    this.#precision = precision;
  }

  static parse(literal: string): BigFloat {
    const { digits, exponent, negative } = decimalOf(literal);
    if (digits === 0n || exponent === 0) return rounded(digits, 0, negative, PRECISION);
    const power = powerOfFive(Math.abs(exponent), PRECISION + 64);
    return exponent < 0
      ? divided(digits, exponent, power.#mantissa, power.#exponent, negative, PRECISION)
      : rounded(digits * power.#mantissa, power.#exponent + exponent, negative, PRECISION);
  }

  /** An integer, exactly: its precision grows with it. */
  static ofInteger(value: bigint): BigFloat {
    const magnitude = value < 0n ? -value : value;
    return new BigFloat(magnitude, 0, value < 0n, Math.max(PRECISION, bitLength(magnitude)));
  }

  static make(mantissa: bigint, exponent: number, negative: boolean, precision: number): BigFloat {
    return new BigFloat(mantissa, exponent, negative, precision);
  }

  add(other: BigFloat): BigFloat {
    const exponent = Math.min(this.#exponent, other.#exponent);
    const sum = this.#signed(exponent) + other.#signed(exponent);
    return rounded(sum < 0n ? -sum : sum, exponent, sum < 0n, Math.max(this.#precision, other.#precision));
  }

  subtract(other: BigFloat): BigFloat {
    return this.add(other.negate());
  }

  multiply(other: BigFloat, precision = Math.max(this.#precision, other.#precision)): BigFloat {
    const negative = this.#negative !== other.#negative;
    return rounded(this.#mantissa * other.#mantissa, this.#exponent + other.#exponent, negative, precision);
  }

  /** The caller has excluded a zero divisor. */
  divide(other: BigFloat): BigFloat {
    const negative = this.#negative !== other.#negative;
    const precision = Math.max(this.#precision, other.#precision);
    if (this.#mantissa === 0n) return new BigFloat(0n, 0, negative, precision);
    return divided(this.#mantissa, this.#exponent, other.#mantissa, other.#exponent, negative, precision);
  }

  negate(): BigFloat {
    return new BigFloat(this.#mantissa, this.#exponent, !this.#negative, this.#precision);
  }

  absolute(): BigFloat {
    return new BigFloat(this.#mantissa, this.#exponent, false, this.#precision);
  }

  compare(other: BigFloat): number {
    const exponent = Math.min(this.#exponent, other.#exponent);
    const difference = this.#signed(exponent) - other.#signed(exponent);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }

  get negative(): boolean {
    return this.#negative;
  }

  get zero(): boolean {
    return this.#mantissa === 0n;
  }

  /** Towards zero. */
  truncate(): bigint {
    const whole =
      this.#exponent >= 0 ? this.#mantissa << BigInt(this.#exponent) : this.#mantissa >> BigInt(-this.#exponent);
    return this.#negative ? -whole : whole;
  }

  isInteger(): boolean {
    if (this.#exponent >= 0 || this.#mantissa === 0n) return true;
    return (this.#mantissa & ((1n << BigInt(-this.#exponent)) - 1n)) === 0n;
  }

  /** Go's Text(format, -1) as OPA prints numbers: plain for integers, `g` otherwise. */
  toString(): string {
    const sign = this.#negative ? '-' : '';
    if (this.#mantissa === 0n) return `${sign}0`;
    const { digits, point } = this.#shortest();
    const exponent = point - 1;
    const wide = exponent < LEAST_EXPONENT || exponent >= GREATEST_EXPONENT;
    if (wide && !this.isInteger()) return sign + scientific(digits, exponent);
    return sign + plain(digits, point);
  }

  #signed(exponent: number): bigint {
    const value = this.#mantissa << BigInt(this.#exponent - exponent);
    return this.#negative ? -value : value;
  }

  /** The fewest digits that still denote this value and no neighbour of its precision. */
  #shortest(): { digits: string; point: number } {
    const exact = expand(this.#mantissa, this.#exponent);
    const shift = bitLength(this.#mantissa) - (this.#precision + 1);
    const half = shift < 0 ? this.#mantissa << BigInt(-shift) : this.#mantissa >> BigInt(shift);
    const lower = expand(half - 1n, this.#exponent + shift);
    const upper = expand(half + 1n, this.#exponent + shift);
    const inclusive = (half & 2n) === 0n;
    for (let at = 0; at < exact.digits.length; at += 1) {
      const digit = exact.digits.charCodeAt(at);
      const below = at < lower.digits.length ? lower.digits.charCodeAt(at) : ZERO;
      const above = at < upper.digits.length ? upper.digits.charCodeAt(at) : ZERO;
      const down = below !== digit || (inclusive && at + 1 === lower.digits.length);
      const up = digit !== above && (inclusive || digit + 1 < above || at + 1 < upper.digits.length);
      if (down && up) return roundDigits(exact, at + 1, isUp(exact.digits, at + 1));
      if (down) return roundDigits(exact, at + 1, false);
      if (up) return roundDigits(exact, at + 1, true);
    }
    return exact;
  }
}

const ZERO = 48;
/** Outside of these Go's %g takes the form with an exponent. */
const LEAST_EXPONENT = -4;
const GREATEST_EXPONENT = 6;

function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

/** mantissa x 2^exponent to `precision` bits, nearest, ties to even. `sticky`: something below was cut off already. */
function rounded(mantissa: bigint, exponent: number, negative: boolean, precision: number, sticky = false): BigFloat {
  const excess = bitLength(mantissa) - precision;
  if (excess <= 0) return BigFloat.make(mantissa, mantissa === 0n ? 0 : exponent, negative, precision);
  const cut = BigInt(excess);
  const rest = mantissa & ((1n << cut) - 1n);
  const half = 1n << (cut - 1n);
  let kept = mantissa >> cut;
  if (rest > half || (rest === half && (sticky || (kept & 1n) === 1n))) kept += 1n;
  return BigFloat.make(kept, exponent + excess, negative, precision);
}

function divided(x: bigint, xExponent: number, y: bigint, yExponent: number, negative: boolean, precision: number) {
  const shift = Math.max(0, precision + 2 - (bitLength(x) - bitLength(y)));
  const numerator = x << BigInt(shift);
  const quotient = numerator / y;
  return rounded(quotient, xExponent - shift - yExponent, negative, precision, quotient * y !== numerator);
}

/** Go computes large powers of five with rounding too; following it keeps the last bit equal. */
function powerOfFive(power: number, precision: number): BigFloat {
  const tabled = 27;
  if (power <= tabled) return BigFloat.make(5n ** BigInt(power), 0, false, precision);
  let result = BigFloat.make(5n ** BigInt(tabled), 0, false, precision);
  let factor = BigFloat.make(5n, 0, false, precision + 64);
  for (let rest = power - tabled; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = result.multiply(factor, precision);
    factor = factor.multiply(factor);
  }
  return result;
}

function expand(mantissa: bigint, exponent: number): { digits: string; point: number } {
  const whole = exponent >= 0 ? mantissa << BigInt(exponent) : mantissa * 5n ** BigInt(-exponent);
  const text = whole.toString();
  return { digits: withoutZeros(text), point: text.length - (exponent >= 0 ? 0 : -exponent) };
}

/** From the right: a pattern would begin anew at every zero. */
function withoutZeros(digits: string): string {
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === ZERO) end -= 1;
  return digits.slice(0, end);
}

function isUp(digits: string, count: number): boolean {
  if (count >= digits.length) return false;
  const next = digits.charCodeAt(count) - ZERO;
  if (next === 5 && count + 1 === digits.length) return count > 0 && digits.charCodeAt(count - 1) % 2 === 1;
  return next >= 5;
}

function roundDigits(exact: { digits: string; point: number }, count: number, up: boolean) {
  const kept = exact.digits.slice(0, count);
  if (!up || count >= exact.digits.length) return { digits: withoutZeros(kept), point: exact.point };
  const raised = (BigInt(kept) + 1n).toString();
  return { digits: withoutZeros(raised), point: exact.point + (raised.length - kept.length) };
}

function plain(digits: string, point: number): string {
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  if (point >= digits.length) return digits + '0'.repeat(point - digits.length);
  return `${digits.slice(0, point)}.${digits.slice(point)}`;
}

function scientific(digits: string, exponent: number): string {
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
  const magnitude = Math.abs(exponent).toString().padStart(2, '0');
  return `${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${magnitude}`;
}
