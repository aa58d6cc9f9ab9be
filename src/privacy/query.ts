/**
 * The query under a rule (RFC 3986 section 3.4, parameters as in application/x-www-form-urlencoded): taken apart, filtered,
 * and written anew in one canonical encoding, so that no second reading of it exists. What has two readings is refused.
 */
import { Fault } from '../faults/fault.ts';
import type { Disguise } from './disguise.ts';
import { count, type FieldCounts } from './field-counts.ts';
import type { FieldAction } from './selectors.ts';

/**
 * The parameters that a rule names, in the order they came.
 *
 * @param query raw, without `?`
 * @throws SP_PAYLOAD_SYNTAX on broken percent-encoding or UTF-8, SP_PAYLOAD_DUPLICATE_KEY if a parameter stands twice
 */
export function minimiseQuery(
  query: string,
  rules: ReadonlyMap<string, FieldAction>,
  disguise: Disguise,
  counts: FieldCounts,
): string {
  if (query === '') return '';
  const seen = new Set<string>();
  const written: string[] = [];
  for (const parameter of query.split('&')) {
    if (parameter === '') continue;
    const equals = parameter.indexOf('=');
    // Names and values of dropped parameters must decode as well: a broken one makes those around it doubtful.
    const name = decode(equals < 0 ? parameter : parameter.slice(0, equals));
    const value = equals < 0 ? undefined : decode(parameter.slice(equals + 1));
    if (seen.has(name)) throw new Fault('SP_PAYLOAD_DUPLICATE_KEY', 'A query parameter stands twice.');
    seen.add(name);
    const action = rules.get(name);
    count(counts, action);
    if (action === undefined) continue;
    written.push(value === undefined ? encode(name) : `${encode(name)}=${encode(disguise.text(value, action))}`);
  }
  return written.join('&');
}

/** Strict: decodeURIComponent refuses what is no percent-encoded UTF-8. A plus is a space, as every form decoder has it. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new Fault('SP_PAYLOAD_SYNTAX', 'The query is not percent-encoded UTF-8.');
  }
}

/** A space as %20 and a plus as %2B: both mean the same to every reader. */
function encode(text: string): string {
  return encodeURIComponent(text);
}
