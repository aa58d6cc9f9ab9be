/**
 * The options the library knows (IANA "CoAP Option Numbers"), their lengths and whether they may repeat (RFC 7252 section 5.10,
 * RFC 7641, RFC 7959, RFC 7967, RFC 9175), and how their values are read and written (RFC 7252 section 3.2).
 */
import type { CoapOption } from './api.ts';
import { NOTHING } from './codec.ts';
import { CoapError } from './error.ts';

export const OPTION = {
  ifMatch: 1,
  uriHost: 3,
  etag: 4,
  ifNoneMatch: 5,
  observe: 6,
  uriPort: 7,
  locationPath: 8,
  uriPath: 11,
  contentFormat: 12,
  maxAge: 14,
  uriQuery: 15,
  hopLimit: 16,
  accept: 17,
  locationQuery: 20,
  block2: 23,
  block1: 27,
  size2: 28,
  proxyUri: 35,
  proxyScheme: 39,
  size1: 60,
  echo: 252,
  noResponse: 258,
  requestTag: 292,
} as const;

interface OptionRule {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly repeatable: boolean;
}

function rule(minBytes: number, maxBytes: number, repeatable = false): OptionRule {
  return { minBytes, maxBytes, repeatable };
}

const RULES: ReadonlyMap<number, OptionRule> = new Map([
  [OPTION.ifMatch, rule(0, 8, true)],
  [OPTION.uriHost, rule(1, 255)],
  [OPTION.etag, rule(1, 8, true)],
  [OPTION.ifNoneMatch, rule(0, 0)],
  [OPTION.observe, rule(0, 3)],
  [OPTION.uriPort, rule(0, 2)],
  [OPTION.locationPath, rule(0, 255, true)],
  [OPTION.uriPath, rule(0, 255, true)],
  [OPTION.contentFormat, rule(0, 2)],
  [OPTION.maxAge, rule(0, 4)],
  [OPTION.uriQuery, rule(0, 255, true)],
  [OPTION.hopLimit, rule(1, 1)],
  [OPTION.accept, rule(0, 2)],
  [OPTION.locationQuery, rule(0, 255, true)],
  [OPTION.block2, rule(0, 3)],
  [OPTION.block1, rule(0, 3)],
  [OPTION.size2, rule(0, 4)],
  [OPTION.proxyUri, rule(1, 1_034)],
  [OPTION.proxyScheme, rule(1, 255)],
  [OPTION.size1, rule(0, 4)],
  [OPTION.echo, rule(1, 40)],
  [OPTION.noResponse, rule(0, 1)],
  [OPTION.requestTag, rule(0, 8, true)],
]);

/** RFC 7252 section 5.4.6. */
export function isCritical(number: number): boolean {
  return (number & 1) === 1;
}
/** Not for a proxy that does not know it. */
export function isUnsafeToForward(number: number): boolean {
  return (number & 2) === 2;
}
/** RFC 7252 section 5.4.2: not part of the cache key. */
export function isNoCacheKey(number: number): boolean {
  return (number & 0x1e) === 0x1c;
}

/** True when the library knows the option and its length is in bounds (RFC 7252 section 5.4.3: else it is as good as unknown). */
export function isWellFormed(option: CoapOption): boolean {
  const known = RULES.get(option.number);
  return known !== undefined && option.value.length >= known.minBytes && option.value.length <= known.maxBytes;
}

/**
 * RFC 7252 section 5.4: what may be acted upon. Elective options that are unknown, of a bad length or repeated against the rule
 * are left out; a critical one of that kind is returned as `bad`.
 * @param also critical options that somebody else understands.
 */
export function understood(
  options: readonly CoapOption[],
  also: ReadonlySet<number>,
): { readonly options: readonly CoapOption[]; readonly bad: number | undefined } {
  let kept: CoapOption[] | undefined;
  let before = -1;
  for (let at = 0; at < options.length; at++) {
    const option = options[at] as CoapOption;
    const known = RULES.get(option.number);
    const opaque = known === undefined && also.has(option.number);
    const length = option.value.length;
    const fine =
      opaque ||
      (known !== undefined &&
        length >= known.minBytes &&
        length <= known.maxBytes &&
        (known.repeatable || option.number !== before));
    before = option.number;
    const refused =
      (option.number === OPTION.ifMatch || option.number === OPTION.ifNoneMatch) && !also.has(option.number);
    // Unknown elective options stay visible to the handler: a forwarder decides by safe-to-forward what becomes of them.
    if (fine && !refused) kept?.push(option);
    else if (isCritical(option.number)) return { options, bad: option.number };
    else if (known === undefined) kept?.push(option);
    else kept ??= options.slice(0, at);
  }
  return { options: kept ?? options, bad: undefined };
}

/**
 * RFC 7252 section 5.7.1: what a proxy may pass on of options that neither it nor the library knows. Safe-to-forward ones go on
 * unseen; one that is unsafe must not, and the message with it: `unsafe` names it (4.02 to a request, 5.02 for a response).
 */
export function forwardable(options: readonly CoapOption[]): {
  readonly options: readonly CoapOption[];
  readonly unsafe: number | undefined;
} {
  const foreign = options.filter(({ number }) => !RULES.has(number));
  const unsafe = foreign.find(({ number }) => isUnsafeToForward(number));
  return { options: unsafe === undefined ? foreign : [], unsafe: unsafe?.number };
}

export function findOption(options: readonly CoapOption[], number: number): Uint8Array | undefined {
  for (const option of options) {
    if (option.number === number) return option.value;
    if (option.number > number) return undefined;
  }
  return undefined;
}

/** RFC 7252 section 3.2: big-endian, leading zero bytes allowed on reading. */
export function readUint(value: Uint8Array): number {
  let number = 0;
  for (const byte of value) number = number * 256 + byte;
  return number;
}

export function findUint(options: readonly CoapOption[], number: number): number | undefined {
  const value = findOption(options, number);
  return value === undefined ? undefined : readUint(value);
}

/** Shortest form. @throws CoapError when it is no whole number of at most 32 bits. */
export function uintOption(number: number, value: number): CoapOption {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff)
    throw new CoapError('invalid-message', `option ${number} takes a whole number of 32 bits`);
  if (value === 0) return { number, value: NOTHING };
  if (value < 0x100) return { number, value: Uint8Array.of(value) };
  if (value < 0x1_0000) return { number, value: Uint8Array.of(value >> 8, value & 0xff) };
  if (value < 0x100_0000) return { number, value: Uint8Array.of(value >> 16, (value >> 8) & 0xff, value & 0xff) };
  return { number, value: Uint8Array.of(value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff) };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws CoapError when the text is longer than the option may be. */
export function textOption(number: number, text: string): CoapOption {
  const option = { number, value: encoder.encode(text) };
  if (!isWellFormed(option)) throw new CoapError('invalid-message', `option ${number} cannot hold this text`);
  return option;
}

export function opaqueOption(number: number, value: Uint8Array): CoapOption {
  const option = { number, value };
  if (!isWellFormed(option))
    throw new CoapError('invalid-message', `option ${number} cannot hold ${value.length} bytes`);
  return option;
}

/** The text, or undefined when it is not UTF-8. */
export function readText(value: Uint8Array): string | undefined {
  let text = '';
  for (const byte of value) {
    if (byte > 0x7f) {
      try {
        return decoder.decode(value);
      } catch {
        return undefined;
      }
    }
    text += String.fromCharCode(byte);
  }
  return text;
}

/** All texts of a repeatable option, or undefined when one is not UTF-8. */
export function readTexts(options: readonly CoapOption[], number: number): readonly string[] | undefined {
  const texts: string[] = [];
  for (const option of options) {
    if (option.number !== number) continue;
    const text = readText(option.value);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return texts;
}

export function findAll(options: readonly CoapOption[], number: number): readonly Uint8Array[] {
  return options.filter((option) => option.number === number).map((option) => option.value);
}
