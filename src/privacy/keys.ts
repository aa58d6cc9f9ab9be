/**
 * The keys of pseudonyms and tokens: `keys/privacy.json`, mode 0600, apart from the store, so that neither a stolen database
 * nor a ledger lets anybody go back from a pseudonym to a device.
 *
 *     {"version":1,"keys":[{"id":1,"created":"2026-11-22T14:03:11.482Z","secret":"<32 bytes, base64url>","state":"active"}]}
 *
 * One key is `active` and writes. Tokens of `retiring` keys are still mapped back; those of `retired` ones no longer are.
 * Secrets never leave this file but as keys derived from them (HKDF, RFC 5869).
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { Fault } from '../faults/fault.ts';
import { createPrivateFile, readPrivateFile, replacePrivateFile } from './private-file.ts';

export type KeyState = 'active' | 'retiring' | 'retired';

/** What may be shown of a key. */
export interface KeyFacts {
  readonly id: number;
  /** ISO 8601. */
  readonly created: string;
  readonly state: KeyState;
}

const SECRET_BYTES = 32;
const MAX_KEYS = 64;
const MAX_ID = 9_999;
const STATES: readonly string[] = ['active', 'retiring', 'retired'] satisfies KeyState[];

export class PrivacyKey implements KeyFacts {
  readonly id: number;
  readonly created: string;
  readonly state: KeyState;
  readonly #secret: Buffer;

  constructor(facts: KeyFacts, secret: Buffer) {
    this.id = facts.id;
    this.created = facts.created;
    this.state = facts.state;
    this.#secret = secret;
  }

  static generate(id: number, created: string): PrivacyKey {
    return new PrivacyKey({ id, created, state: 'active' }, randomBytes(SECRET_BYTES));
  }

  /** A key of its own for each use: learning one tells nothing of the others. */
  derive(use: string, bytes: number): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#secret, '', `sallyport/privacy/v1/${use}`, bytes));
  }

  withState(state: KeyState): PrivacyKey {
    return new PrivacyKey({ id: this.id, created: this.created, state }, this.#secret);
  }

  /** The one way a secret is written, and only into the key file. */
  static line(key: PrivacyKey): Readonly<Record<string, unknown>> {
    return { id: key.id, created: key.created, secret: key.#secret.toString('base64url'), state: key.state };
  }

  toJSON(): KeyFacts {
    return { id: this.id, created: this.created, state: this.state };
  }

  [inspect.custom](): string {
    return `PrivacyKey ${this.id} (${this.state}) [redacted]`;
  }
}

export class PrivacyKeys {
  readonly #keys: readonly PrivacyKey[];
  #successor: PrivacyKeys | undefined;

  /** @throws SP_KEY_INVALID unless exactly one key is active and no id stands twice */
  constructor(keys: readonly PrivacyKey[]) {
    if (keys.length > MAX_KEYS) throw invalid(`there are more than ${MAX_KEYS} keys`);
    if (keys.filter(({ state }) => state === 'active').length !== 1) throw invalid('exactly one key must be active');
    if (new Set(keys.map(({ id }) => id)).size !== keys.length) throw invalid('two keys have the same id');
    this.#keys = [...keys].sort((a, b) => a.id - b.id);
  }

  /** A ring with one new key that is kept nowhere. */
  static generate(now: number = Date.now()): PrivacyKeys {
    return new PrivacyKeys([PrivacyKey.generate(1, new Date(now).toISOString())]);
  }

  /**
   * Reads a key file.
   *
   * @throws SP_KEY_INVALID if it is missing, malformed, or readable or writable by anybody but its owner
   */
  static load(file: string): PrivacyKeys {
    return new PrivacyKeys(parseRing(readPrivateFile(file)));
  }

  /** Makes a key file with one key. @throws SP_FILE_EXISTS if there is one already */
  static create(file: string, now: number = Date.now()): PrivacyKeys {
    const keys = PrivacyKeys.generate(now);
    createPrivateFile(file, keys.#text());
    return keys;
  }

  /** Adds a key that writes from now on; the one before is retiring: its tokens are still mapped back. */
  static rotate(file: string, now: number = Date.now()): PrivacyKeys {
    const { active, all } = PrivacyKeys.load(file);
    const id = Math.max(...all.map((key) => key.id)) + 1;
    if (id > MAX_ID) throw invalid(`key ids end at ${MAX_ID}`);
    const old = all.map((key) => (key === active ? key.withState('retiring') : key));
    const keys = new PrivacyKeys([...old, PrivacyKey.generate(id, new Date(now).toISOString())]);
    replacePrivateFile(file, keys.#text());
    return keys;
  }

  /** Ends the overlap: tokens of this key are no longer mapped back. @throws SP_KEY_INVALID unless the key is retiring */
  static retire(file: string, id: number): PrivacyKeys {
    const { all } = PrivacyKeys.load(file);
    if (!all.some((key) => key.id === id && key.state === 'retiring')) throw invalid(`no key ${id} is retiring`);
    const keys = new PrivacyKeys(all.map((key) => (key.id === id ? key.withState('retired') : key)));
    replacePrivateFile(file, keys.#text());
    return keys;
  }

  get all(): readonly PrivacyKey[] {
    return this.#keys;
  }

  /** The key that writes. */
  get active(): PrivacyKey {
    return this.#keys.find(({ state }) => state === 'active') as PrivacyKey;
  }

  /** The keys whose tokens are mapped back. */
  get readable(): readonly PrivacyKey[] {
    return this.#keys.filter(({ state }) => state !== 'retired');
  }

  /**
   * `next` has taken over. An exchange that began under this ring goes on writing with its key, but the answer it waits for
   * may hold tokens of a newer one already.
   */
  succeededBy(next: PrivacyKeys): void {
    if (next !== this) this.#successor = next;
  }

  /** The key to map a token back with: of this ring, else of those that came after it. */
  readableKey(id: number): PrivacyKey | undefined {
    return this.readable.find((key) => key.id === id) ?? this.#successor?.readableKey(id);
  }

  toJSON(): readonly KeyFacts[] {
    return this.#keys.map((key) => key.toJSON());
  }

  [inspect.custom](): string {
    return `PrivacyKeys [${this.#keys.map(({ id, state }) => `${id} ${state}`).join(', ')}] [redacted]`;
  }

  #text(): string {
    const lines = this.#keys.map((key) => `    ${JSON.stringify(PrivacyKey.line(key))}`);
    return `{\n  "version": 1,\n  "keys": [\n${lines.join(',\n')}\n  ]\n}\n`;
  }
}

/** Errors of JSON.parse quote what they read: none of it may reach a log. */
function parseRing(text: string): PrivacyKey[] {
  let ring: unknown;
  try {
    ring = JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
  const { version, keys, ...rest } = asRecord(ring);
  if (version !== 1) throw invalid('its version is not 1');
  if (!Array.isArray(keys) || Object.keys(rest).length > 0) throw invalid('it is not {"version", "keys"}');
  return keys.map(parseKey);
}

function parseKey(value: unknown): PrivacyKey {
  const { id, created, secret, state, ...rest } = asRecord(value);
  if (Object.keys(rest).length > 0) throw invalid('a key has other members than id, created, secret and state');
  if (!Number.isInteger(id) || (id as number) < 1 || (id as number) > MAX_ID)
    throw invalid('a key has no id of 1 to 9999');
  if (typeof created !== 'string' || Number.isNaN(Date.parse(created))) throw invalid(`key ${id} has no creation time`);
  if (typeof state !== 'string' || !STATES.includes(state)) throw invalid(`key ${id} has no known state`);
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'base64url') : Buffer.alloc(0);
  // Node's decoder forgives; only what it would itself write is a secret.
  if (bytes.length !== SECRET_BYTES || bytes.toString('base64url') !== secret) {
    throw invalid(`the secret of key ${id} is not ${SECRET_BYTES} bytes of base64url`);
  }
  return new PrivacyKey({ id: id as number, created, state: state as KeyState }, bytes);
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('it does not hold objects');
  return value as Readonly<Record<string, unknown>>;
}

function invalid(what: string): Fault {
  return new Fault('SP_KEY_INVALID', `The privacy key file cannot be used: ${what}.`);
}
