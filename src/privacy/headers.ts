/** Which of a device's headers leave, and how. Names are lowercase; hop-by-hop fields are already gone. */
import type { Disguise } from './disguise.ts';
import { count, type FieldCounts } from './field-counts.ts';
import type { FieldAction } from './selectors.ts';
import { UNFORWARDABLE } from './unforwardable.ts';

export type Headers = readonly (readonly [name: string, value: string])[];

/**
 * What of Accept leaves without being named by a rule, because no answer can be chosen without it. A closed list, without
 * parameters: any other text would be of the device's choosing. Authorization, Cookie, User-Agent, Accept-Language and all
 * the rest say who is asking and stay here.
 */
const MEDIA_RANGES = [
  '*/*',
  'application/json',
  'application/*',
  'text/*',
  'text/plain',
  'application/octet-stream',
  'application/cbor',
  'application/problem+json',
  'application/senml+json',
] as const;

/** Longest Accept that is read; longer ones are no list of types but something carried out. */
const MAX_ACCEPT = 256;

/** RFC 9110 section 12.4.2: a range with this weight is what the device does not want. */
const NOT_ACCEPTABLE = /^\s*q\s*=\s*0(?:\.0*)?\s*$/i;

/** Headers of a message without payload and without a rule. */
export function minimalHeaders(headers: Headers): Headers {
  const written: (readonly [string, string])[] = [];
  for (const [name, value] of headers) {
    const accept = name === 'accept' ? acceptable(value) : '';
    if (accept !== '') written.push([name, accept]);
  }
  return written;
}

/** Headers under a rule. The content type is the gateway's to write: its parameters are text of the device's choosing. */
export function minimiseHeaders(
  headers: Headers,
  contentType: string,
  rules: ReadonlyMap<string, FieldAction>,
  disguise: Disguise,
  counts: FieldCounts,
): Headers {
  const written: (readonly [string, string])[] = contentType === '' ? [] : [['content-type', contentType]];
  for (const [name, value] of headers) {
    const action = rules.get(name);
    const accept = action === undefined && name === 'accept' ? acceptable(value) : '';
    if (action !== undefined) {
      written.push([name, disguise.text(value, action)]);
      count(counts, action);
    } else if (accept !== '') written.push([name, accept]);
    else if (!UNFORWARDABLE.has(name)) count(counts, undefined);
  }
  return written;
}

/**
 * Headers under `unchanged`: all that belong to the message.
 *
 * @param contentType written instead of the device's if the body is JSON, which leaves in canonical form and as UTF-8
 */
export function unchangedHeaders(headers: Headers, contentType: string | undefined): Headers {
  const written = headers.filter(([name]) => {
    if (name === 'content-type') return contentType === undefined;
    if (name === 'content-encoding') return true;
    return !UNFORWARDABLE.has(name);
  });
  return contentType === undefined ? written : [['content-type', contentType], ...written];
}

/** The listed ranges that an Accept has, in the order of the list and each once: order and number could carry a text, too. */
function acceptable(value: string): string {
  if (value === '*/*' || value === 'application/json') return value;
  if (value.length > MAX_ACCEPT) return '';
  const wanted = new Set<string>();
  for (const element of value.split(',')) {
    const [range = '', ...parameters] = element.split(';');
    if (!parameters.some((parameter) => NOT_ACCEPTABLE.test(parameter))) wanted.add(range.trim().toLowerCase());
  }
  return MEDIA_RANGES.filter((range) => wanted.has(range)).join(', ');
}
