/** Numbers with units, as people write them: `30 s`, `4 KiB`, `10/s`, `0.1°`. Bare numbers mean the unit the key names. */

const DURATION_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 };
const RATE_SECONDS: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3_600, d: 86_400 };

/** A number of up to 15 digits and the text after it. Bounded, so the pattern is linear. */
const NUMBER = /^(\d{1,15}(?:\.\d{1,9})?) ?([^\d].{0,15})?$/u;

function split(text: string): { number: number; unit: string } | undefined {
  const match = NUMBER.exec(text.trim());
  return match?.[1] === undefined ? undefined : { number: Number(match[1]), unit: (match[2] ?? '').trim() };
}

function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const parts = split(text);
  if (!parts || !Object.hasOwn(units, parts.unit)) return undefined;
  return Math.round(parts.number * (units[parts.unit] as number));
}

/** `30 s` -> 30000; undefined if it is no duration. */
export function durationMs(text: string): number | undefined {
  return scaled(text, DURATION_MS);
}

/** `4 KiB` -> 4096; undefined if it is no size. */
export function sizeBytes(text: string): number | undefined {
  return scaled(text, SIZE_BYTES);
}

/** `10/s` -> 10, `30/min` -> 0.5 (per second); undefined if it is no rate above zero. */
export function ratePerSecond(text: string): number | undefined {
  const slash = text.indexOf('/');
  if (slash < 1) return undefined;
  const count = split(text.slice(0, slash));
  const seconds = RATE_SECONDS[text.slice(slash + 1).trim()];
  if (count?.unit !== '' || count.number <= 0 || seconds === undefined) return undefined;
  return count.number / seconds;
}

/** `0.1°` -> 0.1; undefined if it is no angle. */
export function angleDegrees(text: string): number | undefined {
  const parts = split(text);
  return parts && parts.unit === '°' && parts.number > 0 ? parts.number : undefined;
}
