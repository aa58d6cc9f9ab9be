/**
 * `ca verify-chain --batch`: many chains, a line of JSON each. A line in: `{"id", "leaf", "untrusted"?, "trust", "crls"?,
 * "purpose", "at"}`; a line out: `{"id", "accepted", "reason"}`, or `{"id", "error"}` for a line that asks nothing.
 */
import { Fault } from '../faults/fault.ts';
import { dersOfText, type PemLabel } from '../identity/path/certificate-text.ts';
import type { Purpose } from '../identity/path/issuer-rules.ts';
import { type ChainRequest, verifyChain } from '../identity/path/verify-chain.ts';
import { RegoNumber, RegoObject, type Value } from '../policy/engine/value.ts';
import { parseJson, toJson } from '../policy/engine/value-text.ts';
import { jsonLine } from './terminal.ts';

const PURPOSES: readonly string[] = ['client', 'server', 'any'] satisfies Purpose[];
/** Seconds until the year 5138: a number from here on counts milliseconds, and those begin in 1973. */
const LEAST_MILLISECONDS = 1e11;

/** Answers one line. Never throws. `wellFormed` is false if the line could not be answered. */
export function answerLine(line: string): { readonly text: string; readonly wellFormed: boolean } {
  const request = parseJson(line);
  const id = toJson(request instanceof RegoObject ? (request.get('id') ?? null) : null);
  try {
    if (!(request instanceof RegoObject)) throw new Fault('SP_USAGE', 'The line is not a JSON object.');
    const verdict = verifyChain(requestOf(request));
    const reason = verdict.accepted ? null : verdict.reason;
    return { text: `{"id":${id},"accepted":${verdict.accepted},"reason":${jsonLine(reason)}}`, wellFormed: true };
  } catch (thrown) {
    const { code, message } = Fault.from(thrown);
    return { text: `{"id":${id},"error":${jsonLine(`${code}: ${message}`)}}`, wellFormed: false };
  }
}

function requestOf(line: RegoObject): ChainRequest {
  // A list of revocation under a misspelt name would be no list at all, and everybody unrevoked.
  const odd = line.entries.find(([key]) => typeof key === 'string' && /^crl/i.test(key) && key !== 'crls');
  if (odd) throw new Fault('SP_USAGE', 'Lists of revoked certificates are called "crls".');
  const [leaf, ...more] = dersOf(line, 'leaf', 'CERTIFICATE', 'required');
  if (leaf === undefined || more.length > 0) throw new Fault('SP_USAGE', '"leaf" is not exactly one certificate.');
  return {
    leaf,
    untrusted: dersOf(line, 'untrusted', 'CERTIFICATE', 'optional'),
    trust: dersOf(line, 'trust', 'CERTIFICATE', 'required'),
    crls: dersOf(line, 'crls', 'X509 CRL', 'optional'),
    purpose: purposeOf(line.get('purpose')),
    at: timeOf(line.get('at')),
  };
}

function dersOf(
  line: RegoObject,
  field: string,
  label: PemLabel,
  presence: 'required' | 'optional',
): readonly Uint8Array[] {
  const value = line.get(field) ?? null;
  if (value === null && presence === 'optional') return [];
  const texts: readonly Value[] = Array.isArray(value) && field !== 'leaf' ? value : [value];
  return texts.flatMap((text) => {
    if (typeof text !== 'string') throw new Fault('SP_USAGE', `"${field}" is missing or not made of strings.`);
    return dersOfText(text, label);
  });
}

/** What a chain may be asked to serve for. Throws SP_USAGE. */
export function purposeOf(value: Value | undefined): Purpose {
  if (typeof value === 'string' && PURPOSES.includes(value)) return value as Purpose;
  throw new Fault('SP_USAGE', `The purpose is one of ${PURPOSES.join(', ')}.`);
}

/**
 * Milliseconds since the epoch, from RFC 3339, a date, or a number: seconds, as `openssl verify -attime` takes them, or
 * milliseconds from 10^11 on. Nothing is now. Throws SP_USAGE.
 */
export function timeOf(value: Value | undefined): number {
  if (value === undefined || value === null) return Date.now();
  const text = value instanceof RegoNumber ? toJson(value) : value;
  if (typeof text === 'string') {
    if (/^-?[0-9]{1,16}(?:\.[0-9]{1,9})?$/.test(text)) {
      const number = Number(text);
      return number >= LEAST_MILLISECONDS ? number : number * 1_000;
    }
    const [, date, time] = /^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ](.+))?$/.exec(text) ?? [];
    const day = Date.parse(`${date}T00:00:00Z`);
    // The 30th of February would be taken for the 2nd of March.
    if (date !== undefined && !Number.isNaN(day) && new Date(day).toISOString().startsWith(date)) {
      if (time === undefined) return day;
      const whole = /^[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$/.test(time);
      const moment = whole ? Date.parse(`${date}T${time.toUpperCase()}`) : Number.NaN;
      if (!Number.isNaN(moment)) return moment;
    }
  }
  throw new Fault('SP_USAGE', 'A time is written as 2026-01-31T12:00:00Z or in seconds since 1970.');
}
