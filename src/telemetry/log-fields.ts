/**
 * What may stand in a log line. Every value is copied into a bounded, printable form; bytes, bodies, headers and secrets
 * are replaced by a word, whatever their depth. Messages of foreign errors are left out: JSON.parse, the HTTP parser and
 * Node's argument checks quote the very input that must not get into a log.
 */
import { Fault } from '../faults/fault.ts';
import { printable } from './printable.ts';

export type LogValue = string | number | boolean | null | readonly LogValue[] | { readonly [key: string]: LogValue };

const MAX_DEPTH = 4;
const MAX_ENTRIES = 32;
const MAX_KEY = 64;
const MAX_FRAMES = 12;

const REDACTED = '[redacted]';

/** Names of fields that carry what devices send, or secrets. Compared in lowercase without `-` and `_`. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  ...['body', 'payload', 'data', 'document', 'json', 'bytes64', 'message64', 'query', 'rawquery'],
  ...['headers', 'rawheaders', 'trailers', 'cookie', 'setcookie', 'authorization', 'proxyauthorization'],
  ...['password', 'passphrase', 'secret', 'token', 'privatekey', 'keypem', 'pem', 'psk', 'masterkey', 'apikey'],
]);

/** Names that the line itself uses. */
const TAKEN: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'gateway', 'worker']);

/** The fields of a line: an object without prototype. Never throws. */
export function logFields(fields: Readonly<Record<string, unknown>>): Record<string, LogValue> {
  const result = copyEntries(fields, 0);
  for (const key of TAKEN) {
    if (!(key in result)) continue;
    result[`${key}_`] = result[key] as LogValue;
    delete result[key];
  }
  return result;
}

function copyEntries(source: object, depth: number): Record<string, LogValue> {
  const result: Record<string, LogValue> = Object.create(null);
  const keys = Object.keys(source);
  for (const key of keys.length > MAX_ENTRIES ? keys.slice(0, MAX_ENTRIES) : keys) {
    const { name, forbidden } = ruleFor(key);
    const value = forbidden ? REDACTED : copyOwn(source, key, depth);
    if (value !== undefined) result[name] = value;
  }
  if (keys.length > MAX_ENTRIES) result['…'] = `${keys.length - MAX_ENTRIES} more`;
  return result;
}

interface KeyRule {
  readonly name: string;
  readonly forbidden: boolean;
}

/** The keys of our own code are few and come again with every line; whatever else there is does not grow the table. */
const RULES = new Map<string, KeyRule>();
const MAX_RULES = 512;

function ruleFor(key: string): KeyRule {
  const known = RULES.get(key);
  if (known) return known;
  const rule = { name: printable(key, MAX_KEY), forbidden: FORBIDDEN.has(key.toLowerCase().replaceAll(/[-_]/g, '')) };
  if (RULES.size < MAX_RULES && key.length <= MAX_KEY) RULES.set(key, rule);
  return rule;
}

function copyOwn(source: object, key: string, depth: number): LogValue | undefined {
  try {
    return copy((source as Record<string, unknown>)[key], depth + 1);
  } catch {
    return '[unreadable]';
  }
}

function copy(value: unknown, depth: number): LogValue | undefined {
  switch (typeof value) {
    case 'string':
      return printable(value);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'bigint':
      return printable(String(value));
    case 'object':
      return value === null ? null : copyObject(value, depth);
    case 'undefined':
      return undefined;
    default:
      return `[${typeof value}]`;
  }
}

function copyObject(value: object, depth: number): LogValue {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return errorFields(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  if (depth > MAX_DEPTH) return '[deep]';
  if (Array.isArray(value)) return copyList(value, depth);
  if (value instanceof Map || value instanceof Set) return `[${value.size} entries]`;
  return copyEntries(value, depth);
}

function copyList(list: readonly unknown[], depth: number): LogValue {
  const result = list.slice(0, MAX_ENTRIES).map((one) => copy(one, depth + 1) ?? null);
  if (list.length > MAX_ENTRIES) result.push(`${list.length - MAX_ENTRIES} more`);
  return result;
}

/** A Fault says everything about itself; of other errors only what cannot quote input: name, codes, places in our code. */
function errorFields(error: Error, depth: number): LogValue {
  const result: Record<string, LogValue> = Object.create(null);
  result.name = printable(error.name, MAX_KEY);
  if (error instanceof Fault) {
    result.code = error.code;
    result.message = printable(error.message);
    if (Object.keys(error.details).length > 0) result.details = copyEntries(error.details, depth + 1);
  } else {
    const facts = error as unknown as Record<string, unknown>;
    for (const key of ['code', 'syscall', 'errno', 'address', 'port', 'reason']) {
      const fact = facts[key];
      if (typeof fact === 'string') result[key] = printable(fact);
      else if (typeof fact === 'number') result[key] = fact;
    }
    const frames = framesOf(error);
    if (frames.length > 0) result.stack = frames;
  }
  if (error.cause !== undefined && depth <= MAX_DEPTH) {
    result.cause = error.cause instanceof Error ? errorFields(error.cause, depth + 1) : `[${typeof error.cause}]`;
  }
  return result;
}

/** The places of a stack without the message above them. A message can have lines that look like places: they are cut off with it. */
function framesOf(error: Error): string[] {
  const stack = typeof error.stack === 'string' ? error.stack : '';
  const head = error.message === '' ? error.name : `${error.name}: ${error.message}`;
  const below = stack.startsWith(head) ? stack.slice(head.length) : '';
  return below
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
    .slice(0, MAX_FRAMES)
    .map((line) => printable(line.trim()));
}
