/**
 * Coarsening: numbers, times and positions rounded so far that they no longer single anybody out. Decimal throughout: 21.53
 * to 0.1 is 21.5, never 21.500000000000004. What has the wrong type is refused, never passed as it is.
 */
import type { Coarsening } from '../config/settings.ts';

/** A step finer than this many decimals rounds nothing that a sensor measures. */
const MAX_STEP_DECIMALS = 9;
/** Digits a double is sure of: v / step is off by less than one unit of the 16th. */
const SURE_DIGITS = 15;
const SURE_VALUE = 10 ** SURE_DIGITS;
/** Below this an epoch is in seconds (until the year 5138), above in milliseconds (since 1973). */
const FIRST_EPOCH_MS = 100_000_000_000;
/** Largest time of ECMAScript, milliseconds since the epoch (ECMA-262 section 21.4.1.1). */
const LAST_EPOCH_MS = 8_640_000_000_000_000;

/** Why this coarsening is none, or undefined. */
export function coarseningProblem({ kind, step }: Coarsening): string | undefined {
  if (!(step > 0) || step > Number.MAX_SAFE_INTEGER) return 'needs a step above zero';
  if (decimals(step) > MAX_STEP_DECIMALS) return `needs a step with at most ${MAX_STEP_DECIMALS} decimals`;
  if (kind === 'time' && !Number.isSafeInteger(Math.round(step * 1_000))) return 'needs a shorter step';
  if (kind === 'time' && decimals(step) > 3) return 'needs a step of whole milliseconds';
  if (kind === 'position' && step > 180) return 'needs a step of at most 180 degrees';
  return undefined;
}

/**
 * A number to the nearest multiple of `step`, halves away from zero.
 *
 * @returns the multiple in canonical JSON; undefined if it is too large for the step to be exact
 */
export function coarsenNumber(value: number, step: number): string | undefined {
  const places = decimals(step);
  const scale = 10 ** places;
  // toPrecision takes back what the division lost: 0.15 / 0.1 is 1.4999999999999998 and must round like 1.5.
  const multiple = Math.round(Number((Math.abs(value) / step).toPrecision(SURE_DIGITS)));
  const scaled = multiple * Math.round(step * scale);
  if (!(multiple < SURE_VALUE && scaled <= (places === 0 ? Number.MAX_SAFE_INTEGER : SURE_VALUE))) return undefined;
  const rounded = scaled / scale;
  return rounded === 0 ? '0' : String(value < 0 ? -rounded : rounded);
}

/**
 * An epoch in seconds or milliseconds down to a multiple of `step` seconds.
 *
 * @returns the multiple, in the unit it came in, in canonical JSON; undefined if it is no epoch
 */
export function coarsenEpoch(value: number, step: number): string | undefined {
  if (!(value >= 0 && value <= LAST_EPOCH_MS)) return undefined;
  const stepMs = Math.round(step * 1_000);
  if (value >= FIRST_EPOCH_MS) return String(down(Math.floor(value), stepMs));
  return String(down(Math.floor(Number((value * 1_000).toPrecision(SURE_DIGITS))), stepMs) / 1_000);
}

/** RFC 3339 and the forms of ISO 8601 that devices write. Every part has a fixed length but the fraction: linear. */
const TIMESTAMP =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$/;

/**
 * A time down to a multiple of `step` seconds, counted from 1970-01-01T00:00:00Z (without a zone: as if in UTC).
 *
 * @returns `YYYY-MM-DDTHH:MM:SSZ`, without Z if there was no zone, only the date if there was no time: an offset would tell
 *   where the device is. Undefined if it is no time.
 */
export function coarsenTimestamp(text: string, step: number): string | undefined {
  const match = TIMESTAMP.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const ms = Number((fraction ?? '').padEnd(3, '0').slice(0, 3));
  const time = new Date(0);
  time.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (time.getUTCMonth() !== Number(month) - 1 || time.getUTCDate() !== Number(day)) return undefined;
  if (Number(hour ?? 0) > 23 || Number(minute ?? 0) > 59 || Number(second ?? 0) > 59) return undefined;
  const offset = offsetMinutes(zone);
  if (offset === undefined) return undefined;
  time.setUTCHours(Number(hour ?? 0), Number(minute ?? 0) - offset, Number(second ?? 0), ms);
  const written = new Date(down(time.getTime(), Math.round(step * 1_000))).toISOString();
  if (written.length !== '1970-01-01T00:00:00.000Z'.length) return undefined;
  if (hour === undefined) return written.slice(0, 10);
  const seconds = written.slice(0, written.endsWith('.000Z') ? 19 : 23);
  return zone === undefined ? seconds : `${seconds}Z`;
}

function offsetMinutes(zone: string | undefined): number | undefined {
  if (zone === undefined || zone === 'Z' || zone === 'z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', ''));
  if (hours > 23 || minutes > 59) return undefined;
  return zone.startsWith('-') ? -(hours * 60 + minutes) : hours * 60 + minutes;
}

/** A latitude or longitude to a multiple of `step` degrees; undefined if it is none. */
export function coarsenAngle(value: number, step: number, limit: 90 | 180): string | undefined {
  return Math.abs(value) <= limit ? coarsenNumber(value, step) : undefined;
}

/** What the member of a position is. */
export const POSITION_MEMBERS: ReadonlyMap<string, 'latitude' | 'longitude'> = new Map([
  ['lat', 'latitude'],
  ['latitude', 'latitude'],
  ['lon', 'longitude'],
  ['lng', 'longitude'],
  ['long', 'longitude'],
  ['longitude', 'longitude'],
]);

function down(value: number, step: number): number {
  return Math.floor(value / step) * step;
}

/** Decimals of the shortest way to write a positive number. */
function decimals(value: number): number {
  const [mantissa = '', exponent = '0'] = String(value).split('e');
  const point = mantissa.indexOf('.');
  return Math.max(0, (point < 0 ? 0 : mantissa.length - point - 1) - Number(exponent));
}
