/** Go's strconv.FormatFloat for the verbs e, f and g of a finite number that is not negative. */

/** @param precision digits after the point (e, f) or significant digits (g); -1: as few as denote the same number */
export function formatFloat(value: number, verb: string, precision: number): string {
  const upper = verb === verb.toUpperCase();
  const text = lower(value, verb.toLowerCase(), precision);
  return upper ? text.toUpperCase() : text;
}

function lower(value: number, verb: string, precision: number): string {
  if (verb === 'f') return precision < 0 ? plain(value) : fixed(value, precision);
  if (verb === 'e') return withExponent(precision < 0 ? value.toExponential() : exponential(value, precision));
  const significant = precision === 0 ? 1 : precision;
  const digits = precision < 0 ? value.toExponential() : exponential(value, significant - 1);
  const exponent = Number(digits.slice(digits.indexOf('e') + 1));
  const mantissa = digits.slice(0, digits.indexOf('e'));
  const trimmed = trimZeros(mantissa);
  // The shortest form counts as one of six digits here, or of as many as it needs before the point.
  const count = trimmed.replace('.', '').length;
  let limit = significant;
  if (limit > count && count >= exponent + 1) limit = count;
  if (precision < 0) limit = SHORTEST_AS;
  if (exponent < -4 || exponent >= limit) return withExponent(`${trimmed}e${exponent}`);
  return precision < 0 ? plain(value) : trimZeros(fixed(value, Math.max(significant - exponent - 1, 0)));
}

const SHORTEST_AS = 6;

/** Without zeros at the end of a fraction. From the right: a pattern would begin anew at every zero. */
function trimZeros(text: string): string {
  if (!text.includes('.')) return text;
  let end = text.length;
  while (text[end - 1] === '0') end -= 1;
  return text.slice(0, text[end - 1] === '.' ? end - 1 : end);
}

/** Without an exponent, shortest. */
function plain(value: number): string {
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string];
  const digits = mantissa.replace('.', '');
  const point = Number(exponent) + 1;
  if (point <= 0) return `0.${'0'.repeat(-point)}${digits}`;
  return point >= digits.length ? digits.padEnd(point, '0') : `${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** Exact: a double is a binary fraction, and its decimal expansion ends. */
function fixed(value: number, precision: number): string {
  const { mantissa, exponent } = parts(value);
  const scale = 10n ** BigInt(precision);
  const numerator = mantissa * scale * (exponent > 0 ? 1n << BigInt(exponent) : 1n);
  const denominator = exponent < 0 ? 1n << BigInt(-exponent) : 1n;
  const digits = rounded(numerator, denominator)
    .toString()
    .padStart(precision + 1, '0');
  return precision === 0 ? digits : `${digits.slice(0, -precision)}.${digits.slice(-precision)}`;
}

function exponential(value: number, precision: number): string {
  if (value === 0) return `${(0).toFixed(Math.min(precision, 100))}e+0`;
  let exponent = Number(value.toExponential().split('e')[1]);
  const { mantissa, exponent: binary } = parts(value);
  for (;;) {
    const shift = precision - exponent;
    const numerator = mantissa * (binary > 0 ? 1n << BigInt(binary) : 1n) * (shift > 0 ? 10n ** BigInt(shift) : 1n);
    const denominator = (binary < 0 ? 1n << BigInt(-binary) : 1n) * (shift < 0 ? 10n ** BigInt(-shift) : 1n);
    const digits = rounded(numerator, denominator).toString();
    if (digits.length <= precision + 1) {
      return `${digits[0]}${precision > 0 ? `.${digits.slice(1)}` : ''}e${exponent}`;
    }
    exponent += 1; // rounding carried into a new digit
  }
}

/** To nearest, ties to even. */
function rounded(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = (numerator - quotient * denominator) * 2n;
  return twice > denominator || (twice === denominator && (quotient & 1n) === 1n) ? quotient + 1n : quotient;
}

function parts(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const raw = view.getBigUint64(0);
  const biased = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & ((1n << 52n) - 1n);
  return biased === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: biased - 1075 };
}

function withExponent(text: string): string {
  const [mantissa, exponent] = text.split('e') as [string, string];
  const value = Number(exponent);
  return `${mantissa}e${value < 0 ? '-' : '+'}${Math.abs(value).toString().padStart(2, '0')}`;
}
