/** Time built-ins. Nanoseconds since the epoch are exact integers here; `time.now_ns` is the same throughout an evaluation. */
import { integerOf } from '../engine/number.ts';
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoNumber, type Value } from '../engine/value.ts';
import type { Builtin } from './builtin.ts';
import { intAt, numberAt, textAt, undefinedResult } from './operands.ts';

const NS_PER_SECOND = 1_000_000_000n;
const NS_PER_DAY = 86_400n * NS_PER_SECOND;
const MIN_NS = -(1n << 63n);
const MAX_NS = (1n << 63n) - 1n;

export const nowNs: Builtin = (_parameters, { nowNs: now }) => RegoNumber.of(now);

const RFC3339 =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/;

/** Go's reading of RFC 3339: no leap seconds, an hour of one digit passes, offsets up to 24:60. */
export const parseRfc3339Ns: Builtin = (parameters) => {
  const match = RFC3339.exec(textAt(parameters, 0));
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const nanoseconds = BigInt((match[7] ?? '').slice(0, 9).padEnd(9, '0'));
  const offsetHours = Number(match[9] ?? 0);
  const offsetMinutes = Number(match[10] ?? 0);
  if (offsetHours > 24 || offsetMinutes > 60) return undefined;
  const offset = (offsetHours * 60 + offsetMinutes) * (match[8] === '-' ? -60 : 60);
  const seconds = BigInt(hour * 3600 + minute * 60 + second - offset);
  return inRange(daysSinceEpoch(year, month, day) * NS_PER_DAY + seconds * NS_PER_SECOND + nanoseconds);
};

export const clock: Builtin = (parameters) => {
  const { secondOfDay } = localTime(parameters[0] as Value);
  return [secondOfDay / 3600, (secondOfDay / 60) % 60, secondOfDay % 60].map((part) => RegoNumber.of(Math.floor(part)));
};

export const date: Builtin = (parameters) => {
  const { day } = localTime(parameters[0] as Value);
  const { year, month, dayOfMonth } = civil(day);
  return [year, month, dayOfMonth].map((part) => RegoNumber.of(part));
};

const WEEKDAYS = ['Thursday', 'Friday', 'Saturday', 'Sunday', 'Monday', 'Tuesday', 'Wednesday'] as const;

export const weekday: Builtin = (parameters) => {
  const { day } = localTime(parameters[0] as Value);
  return WEEKDAYS[Number(((day % 7n) + 7n) % 7n)];
};

/** Go's AddDate: months and days beyond their range carry over, so 31 January plus one month is in March. */
export const addDate: Builtin = (parameters) => {
  const { day, nsOfDay, zoned } = localTime(parameters[0] as Value);
  const years = intAt(parameters, 1);
  const months = intAt(parameters, 2);
  const days = intAt(parameters, 3);
  // In a zone with summer time the day that is meant may have another offset: not ours to guess.
  if (zoned) throw new PolicyAbort('time.add_date: only in UTC.');
  if ([years, months, days].some((count) => count > MAX_COUNT || count < -MAX_COUNT)) return undefined;
  const from = civil(day);
  const month = BigInt(from.month - 1) + months;
  const year = BigInt(from.year) + years + floorDivide(month, 12n);
  const first = daysSinceEpoch(Number(year), Number(modulo(month, 12n)) + 1, 1);
  return inRange((first + BigInt(from.dayOfMonth - 1) + days) * NS_PER_DAY + nsOfDay);
};

/** Anything beyond is outside of what 64 bits of nanoseconds can hold. */
const MAX_COUNT = 1_000_000n;

interface LocalTime {
  /** Days since the epoch. */
  readonly day: bigint;
  readonly nsOfDay: bigint;
  readonly secondOfDay: number;
  readonly zoned: boolean;
}

/** `ns` or `[ns, zone]`. */
function localTime(value: Value): LocalTime {
  const parts = Array.isArray(value) ? (value as readonly Value[]) : [value];
  const ns = integerOf(numberAt(parts, 0).text) ?? undefinedResult();
  if (ns < MIN_NS || ns > MAX_NS) undefinedResult();
  const zone = parts.length > 1 ? textAt(parts, 1) : 'UTC';
  if (parts.length > 2) textAt(parts, 2);
  const zoned = zone !== '' && zone !== 'UTC';
  const local = zoned ? ns + BigInt(offsetSeconds(zone, ns)) * NS_PER_SECOND : ns;
  const nsOfDay = modulo(local, NS_PER_DAY);
  return { day: floorDivide(local, NS_PER_DAY), nsOfDay, secondOfDay: Number(nsOfDay / NS_PER_SECOND), zoned };
}

const formats = new Map<string, Intl.DateTimeFormat>();
const MAX_FORMATS = 64;

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  // Go knows zones by the exact name of a file; Intl also takes `+01:00` and any mixture of capitals.
  if (zone === 'Local') throw new PolicyAbort('The time zone Local depends on the machine.');
  if (!/^[A-Z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/.test(zone)) undefinedResult();
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone: zone, ...FIELDS });
  } catch {
    return undefinedResult();
  }
  const canonical = format.resolvedOptions().timeZone;
  if (canonical !== zone && canonical.toLowerCase() === zone.toLowerCase()) undefinedResult();
  if (formats.size >= MAX_FORMATS) formats.clear();
  formats.set(zone, format);
  return format;
}

const FIELDS = {
  hourCycle: 'h23',
  year: 'numeric',
  era: 'short',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
} as const;

function offsetSeconds(zone: string, ns: bigint): number {
  const seconds = floorDivide(ns, NS_PER_SECOND);
  const parts = Object.fromEntries(
    formatOf(zone)
      .formatToParts(new Date(Number(seconds) * 1000))
      .map((part) => [part.type, part.value]),
  );
  const year = parts.era === 'BC' ? 1 - Number(parts.year) : Number(parts.year);
  const day = daysSinceEpoch(year, Number(parts.month), Number(parts.day));
  const local = day * 86_400n + BigInt(Number(parts.hour) * 3600 + Number(parts.minute) * 60 + Number(parts.second));
  return Number(local - seconds);
}

function inRange(ns: bigint): RegoNumber | undefined {
  return ns < MIN_NS || ns > MAX_NS ? undefined : RegoNumber.of(ns);
}

function floorDivide(a: bigint, b: bigint): bigint {
  return (a - modulo(a, b)) / b;
}

function modulo(a: bigint, b: bigint): bigint {
  return ((a % b) + b) % b;
}

function daysIn(year: number, month: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 2 ? (leap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
}

/** Proleptic Gregorian calendar, counted in eras of 400 years. */
function daysSinceEpoch(year: number, month: number, dayOfMonth: number): bigint {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + dayOfMonth - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return BigInt(era) * 146_097n + BigInt(dayOfEra) - 719_468n;
}

function civil(day: bigint): { year: number; month: number; dayOfMonth: number } {
  const shifted = day + 719_468n;
  const era = floorDivide(shifted, 146_097n);
  const dayOfEra = Number(modulo(shifted, 146_097n));
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + Number(era) * 400 + (month <= 2 ? 1 : 0);
  return { year, month, dayOfMonth: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1 };
}
