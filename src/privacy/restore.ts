/**
 * The way down: tokens in what the cloud says become the values that the device knows. Every JSON string that is exactly a
 * token is mapped back; keys of objects and parts of longer strings are not, for tokens never stand there on the way up.
 */
import { Fault } from '../faults/fault.ts';
import type { Disguise } from './disguise.ts';
import { ESCAPED_STRING, type JsonDocument, ROOT, STRING, TOKEN_WIDTH } from './json-document.ts';
import type { TypedValue } from './pseudonyms.ts';

/** What a header value may hold (RFC 9110 section 5.5), but for obsolete bytes above ASCII. */
const HEADER_VALUE = /^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/;

/** The whole document in canonical form, tokens mapped back. @throws SP_PAYLOAD_TOKEN for a forged one */
export function restoreJson(document: JsonDocument, disguise: Disguise): string {
  const replacements = new Map<number, string>();
  for (let token = ROOT; token < document.tape.length; token += TOKEN_WIDTH) {
    const kind = document.kind(token);
    if (kind !== STRING && kind !== ESCAPED_STRING) continue;
    const value = disguise.open(document.string(token));
    if (value !== undefined) replacements.set(token, toJson(value));
  }
  return document.jsonWith(replacements);
}

/**
 * A header's value, mapped back if it is exactly a token.
 *
 * @throws SP_PAYLOAD_TOKEN for a forged one, and for one whose value cannot stand in a header: a device could have had
 *   `\r\nSet-Cookie: …` tokenised to split the answer to somebody else
 */
export function restoreHeader(text: string, disguise: Disguise): string {
  const value = disguise.open(text);
  if (value === undefined) return text;
  const restored = value.slice(1);
  if (!HEADER_VALUE.test(restored)) throw new Fault('SP_PAYLOAD_TOKEN');
  return restored;
}

/** A Location (RFC 9110 section 10.2.2): each path segment that is exactly a token is mapped back. */
export function restoreLocation(location: string, disguise: Disguise): string {
  const tail = location.search(/[?#]/);
  const path = tail < 0 ? location : location.slice(0, tail);
  const segments = path.split('/').map((segment) => {
    const value = disguise.open(segment);
    // No value may act as a dot segment: it would lead the device somewhere else.
    const isPlain = value !== undefined && value !== 's.' && value !== 's..';
    return isPlain ? encodeURIComponent(value.slice(1)) : segment;
  });
  return segments.join('/') + (tail < 0 ? '' : location.slice(tail));
}

function toJson(value: TypedValue): string {
  return value.startsWith('s') ? JSON.stringify(value.slice(1)) : value.slice(1);
}
