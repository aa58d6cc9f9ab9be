/**
 * The verdict: what policy answered, taken apart without mercy. The only way to permit is exactly one result that carries
 * our sentinel, `allow` as the boolean true, no reasons, and obligations that are all known and of the right type.
 */

import type { Decision } from '../exchange/gate.ts';
import type { Obligations, RateObligation } from '../exchange/obligations.ts';
import { isReason, type Reason } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';

/** policies/verdict.schema.json says the same with a description for each field. */
export interface Verdict {
  readonly v: number;
  readonly allow: boolean;
  readonly reasons: readonly string[];
  readonly obligations?: {
    readonly route: string;
    readonly upstream: string;
    readonly privacy?: string;
    readonly stream?: boolean;
    readonly rate?: { readonly bucket: string; readonly per_second: number; readonly burst: number };
    readonly quiet?: boolean;
  };
}

const MAX_REASONS = 16;
const MAX_NAME_CHARACTERS = 256;
/** Tokens and tokens per second; beyond this a rate is no limit but a mistake. */
const MAX_RATE = 1_000_000;

/**
 * @param text the result set as the module printed it: `[{"result": verdict}]`
 * @param sentinel what the input carried in `v`
 * @throws SP_POLICY_VERDICT, SP_POLICY_OBLIGATION
 */
export function parseVerdict(text: string, sentinel: number): Decision {
  const { v, allow, reasons, obligations } = resultOf(text);
  // Without its sentinel the verdict may be about no input at all: the module ignores an input that it cannot parse.
  if (v !== sentinel) throw verdictFault('The verdict does not carry the sentinel of its input.');
  if (typeof allow !== 'boolean') throw verdictFault('`allow` is not a boolean.');
  const given = reasonsOf(reasons);
  if (!allow) {
    if (obligations !== undefined && !isObject(obligations)) throw verdictFault('`obligations` is not an object.');
    const [first = 'policy-denied', ...rest] = given;
    return { allow: false, reasons: [first, ...rest] };
  }
  if (given.length > 0) throw verdictFault('The verdict allows and gives reasons not to.');
  return { allow: true, obligations: obligationsOf(obligations) };
}

type Fields = Readonly<Record<string, unknown>>;

function resultOf(text: string): Fields {
  let results: unknown;
  try {
    results = JSON.parse(text);
  } catch (cause) {
    throw new Fault('SP_POLICY_VERDICT', 'The policy answered something that is not JSON.', { cause });
  }
  if (!Array.isArray(results) || results.length !== 1) throw verdictFault('The policy gave no verdict, or several.');
  const [entry] = results as [unknown];
  if (!isObject(entry) || !isObject(entry.result)) throw verdictFault('The verdict is not an object.');
  for (const key of Object.keys(entry.result)) {
    if (!VERDICT_KEYS.has(key)) throw verdictFault(`The verdict has the unknown key ${shown(key)}.`);
  }
  return entry.result;
}

const VERDICT_KEYS: ReadonlySet<string> = new Set(['v', 'allow', 'reasons', 'obligations'] satisfies (keyof Verdict)[]);

function reasonsOf(value: unknown): Reason[] {
  if (!Array.isArray(value) || value.length > MAX_REASONS) throw verdictFault('`reasons` is not a short list.');
  const reasons: Reason[] = [];
  for (const reason of value as unknown[]) {
    if (!isReason(reason)) throw verdictFault(`The verdict gives the unknown reason ${shown(reason)}.`);
    if (!reasons.includes(reason)) reasons.push(reason);
  }
  return reasons;
}

function obligationsOf(value: unknown): Obligations {
  if (!isObject(value)) throw verdictFault('`obligations` is not an object.');
  for (const key of Object.keys(value)) {
    if (!OBLIGATION_KEYS.has(key)) throw obligationFault(`The obligation ${shown(key)} is unknown.`);
  }
  const { route, upstream, privacy, stream, rate, quiet } = value;
  return {
    route: nameOf(route, 'route'),
    upstream: nameOf(upstream, 'upstream'),
    ...(privacy !== undefined && { privacy: nameOf(privacy, 'privacy') }),
    ...(isOn(stream, 'stream') && { stream: true }),
    ...(rate !== undefined && { rate: rateOf(rate) }),
    ...(isOn(quiet, 'quiet') && { quiet: true }),
  };
}

type ObligationKey = keyof NonNullable<Verdict['obligations']>;
const OBLIGATION_KEYS: ReadonlySet<string> = new Set([
  'route',
  'upstream',
  'privacy',
  'stream',
  'rate',
  'quiet',
] satisfies ObligationKey[]);
const RATE_KEYS: ReadonlySet<string> = new Set(['bucket', 'per_second', 'burst']);

function rateOf(value: unknown): RateObligation {
  if (!isObject(value) || Object.keys(value).some((key) => !RATE_KEYS.has(key))) {
    throw obligationFault('The obligation `rate` is not {bucket, per_second, burst}.');
  }
  const { bucket, per_second: perSecond, burst } = value;
  if (!isRate(perSecond, Number.MIN_VALUE) || !isRate(burst, 1)) {
    throw obligationFault('The obligation `rate` needs per_second above 0 and burst of at least 1.');
  }
  return { bucket: nameOf(bucket, 'rate.bucket'), perSecond, burst };
}

function isRate(value: unknown, least: number): value is number {
  return typeof value === 'number' && value >= least && value <= MAX_RATE;
}

function nameOf(value: unknown, what: string): string {
  const fits = typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME_CHARACTERS;
  if (!fits || CONTROL.test(value)) throw obligationFault(`The obligation \`${what}\` is not a name.`);
  return value;
}

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

function isOn(value: unknown, what: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true;
  throw obligationFault(`The obligation \`${what}\` is not a boolean.`);
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** For the operator's log. A policy that puts a device's value here must not get it into a log. */
function shown(value: unknown): string {
  return typeof value === 'string' && /^[a-z_-]{1,40}$/.test(value) ? value : '(not shown)';
}

function verdictFault(message: string): Fault {
  return new Fault('SP_POLICY_VERDICT', message);
}

function obligationFault(message: string): Fault {
  return new Fault('SP_POLICY_OBLIGATION', message);
}
