/** Which of a device's headers leave, and how. Names are lowercase; hop-by-hop fields are already gone. */
import type { Disguise } from './disguise.ts';
import { count, type FieldCounts } from './field-counts.ts';
import type { FieldAction } from './selectors.ts';
import { UNFORWARDABLE } from './unforwardable.ts';

export type Headers = readonly (readonly [name: string, value: string])[];

/**
 * What leaves without being named by a rule, because no answer can be chosen without it. Authorization, Cookie, User-Agent
 * and all the rest say who is asking and stay here.
 */
const NEGOTIATION: ReadonlySet<string> = new Set(['accept', 'accept-language']);

/** Longest negotiation header; longer ones are no list of types but something carried out. */
const MAX_NEGOTIATION = 256;

/** Headers of a message without payload and without a rule. */
export function minimalHeaders(headers: Headers): Headers {
  return headers.filter(isNegotiation);
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
  for (const header of headers) {
    const [name, value] = header;
    const action = rules.get(name);
    if (action !== undefined) {
      written.push([name, disguise.text(value, action)]);
      count(counts, action);
    } else if (isNegotiation(header)) written.push(header);
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

function isNegotiation([name, value]: readonly [name: string, value: string]): boolean {
  return NEGOTIATION.has(name) && value.length <= MAX_NEGOTIATION;
}
