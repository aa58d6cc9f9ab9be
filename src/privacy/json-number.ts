/**
 * Number literals of JSON (RFC 8259 section 6). A literal is accepted if an IEEE 754 double holds exactly the decimal value
 * that was written, in its shortest form: then policy, the gateway and the cloud cannot read three different numbers.
 * Leaves out: syntax, which the scanner has already checked.
 */

/**
 * The one way Sallyport writes this number: what ECMAScript's Number::toString gives, `-0` written as `0`.
 *
 * @param literal a syntactically valid JSON number
 * @returns undefined if a double would lose precision or lies beyond ±(2^53-1), where whole numbers stop being exact
 */
export function canonicalNumber(literal: string): string | undefined {
  const value = Number(literal);
  if (!(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) return undefined;
  const canonical = String(value);
  return canonical === literal || sameDecimal(literal, canonical) ? canonical : undefined;
}

/** True if both literals write the same decimal value. Linear: no big-number arithmetic an attacker could make expensive. */
function sameDecimal(left: string, right: string): boolean {
  const a = decimal(left);
  const b = decimal(right);
  if (a.digits === '' || b.digits === '') return a.digits === b.digits;
  return a.digits === b.digits && a.exponent === b.exponent && a.negative === b.negative;
}

interface Decimal {
  readonly negative: boolean;
  /** Significant digits without leading and trailing zeros; empty for zero. */
  readonly digits: string;
  /** The value is 0.DIGITS x 10^exponent. */
  readonly exponent: number;
}

function decimal(literal: string): Decimal {
  const negative = literal.charCodeAt(0) === 0x2d;
  const mark = exponentMark(literal);
  const mantissa = literal.slice(negative ? 1 : 0, mark);
  const point = mantissa.indexOf('.');
  const whole = point < 0 ? mantissa : mantissa.slice(0, point);
  const all = point < 0 ? mantissa : whole + mantissa.slice(point + 1);

  let first = 0;
  while (first < all.length && all.charCodeAt(first) === 0x30) first += 1;
  let last = all.length;
  while (last > first && all.charCodeAt(last - 1) === 0x30) last -= 1;

  const written = mark === literal.length ? 0 : Number(literal.slice(mark + 1));
  return { negative, digits: all.slice(first, last), exponent: written + whole.length - first };
}

function exponentMark(literal: string): number {
  const small = literal.indexOf('e');
  if (small >= 0) return small;
  const capital = literal.indexOf('E');
  return capital >= 0 ? capital : literal.length;
}
