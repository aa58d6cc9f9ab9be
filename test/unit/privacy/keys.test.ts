import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Disguise } from '../../../src/privacy/disguise.ts';
import { PrivacyKeys } from '../../../src/privacy/keys.ts';
import { PathRedactor } from '../../../src/privacy/redaction.ts';
import { codeOf } from './privacy-fixture.ts';

let directory: string;
let file: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-keys-'));
  file = join(directory, 'privacy.json');
});

afterEach(() => rmSync(directory, { recursive: true }));

const ring = () => JSON.parse(readFileSync(file, 'utf8')) as { version: number; keys: Record<string, unknown>[] };
const write = (value: unknown) =>
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value), { mode: 0o600 });
const load = () => codeOf(() => PrivacyKeys.load(file));

describe('PrivacyKeys.create', () => {
  it('makes a file that only the owner may read, with one active key', () => {
    PrivacyKeys.create(file, Date.UTC(2026, 10, 22));
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(ring()).toEqual({
      version: 1,
      keys: [
        { id: 1, created: '2026-11-22T00:00:00.000Z', secret: expect.stringMatching(/^[\w-]{43}$/), state: 'active' },
      ],
    });
    expect(readdirSync(directory)).toEqual(['privacy.json']);
  });

  it('never replaces a key file', () => {
    PrivacyKeys.create(file);
    const before = readFileSync(file, 'utf8');
    expect(codeOf(() => PrivacyKeys.create(file))).toBe('SP_FILE_EXISTS');
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(readdirSync(directory)).toEqual(['privacy.json']);
  });

  it('is readable by the owner only under any umask', () => {
    const before = process.umask(0);
    try {
      PrivacyKeys.create(file);
    } finally {
      process.umask(before);
    }
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('says what it cannot do', () => {
    expect(codeOf(() => PrivacyKeys.create(join(directory, 'missing', 'privacy.json')))).toBe('SP_KEY_INVALID');
  });
});

describe('PrivacyKeys.load', () => {
  it('gives the same pseudonyms again', () => {
    const made = new Disguise(PrivacyKeys.create(file), 'readings').pseudonym('sSN-1');
    expect(new Disguise(PrivacyKeys.load(file), 'readings').pseudonym('sSN-1')).toBe(made);
  });

  it.each([0o640, 0o604, 0o620, 0o602, 0o610, 0o666])('refuses mode %o', (mode) => {
    PrivacyKeys.create(file);
    chmodSync(file, mode);
    expect(load()).toBe('SP_KEY_INVALID');
    chmodSync(file, 0o400);
    expect(load()).toBe('passed');
  });

  it('refuses what is missing, no plain file, or a link to somewhere else', () => {
    expect(load()).toBe('SP_KEY_INVALID');
    mkdirSync(file);
    expect(load()).toBe('SP_KEY_INVALID');
    rmSync(file, { recursive: true });
    PrivacyKeys.create(join(directory, 'other.json'));
    symlinkSync(join(directory, 'other.json'), file);
    expect(load()).toBe('SP_KEY_INVALID');
  });

  it('refuses a malformed file, and says nothing of what stands in it', () => {
    PrivacyKeys.create(file);
    const good = ring();
    const [key] = good.keys as [Record<string, unknown>];
    const secret = key.secret as string;
    const malformed: unknown[] = [
      '',
      'null',
      '[]',
      '{',
      '"x"',
      `{"version":1,"keys":[${secret}`,
      { keys: good.keys },
      { ...good, version: 2 },
      { ...good, extra: 1 },
      { ...good, keys: {} },
      { ...good, keys: [] },
      { ...good, keys: [null] },
      { ...good, keys: [key, key] },
      { ...good, keys: [{ ...key, extra: 1 }] },
      { ...good, keys: [{ ...key, id: 0 }] },
      { ...good, keys: [{ ...key, id: '1' }] },
      { ...good, keys: [{ ...key, id: 10_000 }] },
      { ...good, keys: [{ ...key, created: 'soon' }] },
      { ...good, keys: [{ ...key, created: 1 }] },
      { ...good, keys: [{ ...key, state: 'asleep' }] },
      { ...good, keys: [{ ...key, state: 'retiring' }] },
      { ...good, keys: [key, { ...key, id: 2 }] },
      { ...good, keys: [{ ...key, secret: secret.slice(1) }] },
      { ...good, keys: [{ ...key, secret: `${secret}A` }] },
      { ...good, keys: [{ ...key, secret: `${secret.slice(0, 42)}=` }] },
      { ...good, keys: [{ ...key, secret: `${secret}=` }] },
      { ...good, keys: [{ ...key, secret: 7 }] },
      {
        ...good,
        keys: Array.from({ length: 65 }, (_, id) => ({ ...key, id: id + 1, state: id === 0 ? 'active' : 'retired' })),
      },
      `${' '.repeat(70_000)}${JSON.stringify(good)}`,
    ];
    for (const value of malformed) {
      write(value);
      let shown = '';
      expect(
        codeOf(() => {
          try {
            PrivacyKeys.load(file);
          } catch (thrown) {
            shown = inspect(thrown, { depth: 9 });
            throw thrown;
          }
        }),
        JSON.stringify(value).slice(0, 200),
      ).toBe('SP_KEY_INVALID');
      expect(shown).not.toContain(secret.slice(5, 30));
    }
  });
});

describe('PrivacyKeys.rotate', () => {
  it('writes with a new key from now on and keeps the one before for reading', () => {
    PrivacyKeys.create(file);
    PrivacyKeys.rotate(file);
    const keys = PrivacyKeys.rotate(file);
    expect(ring().keys.map(({ id, state }) => [id, state])).toEqual([
      [1, 'retiring'],
      [2, 'retiring'],
      [3, 'active'],
    ]);
    expect(keys.active.id).toBe(3);
    expect(keys.readable.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['privacy.json']);
  });

  it('refuses a file that others can read, as load does', () => {
    PrivacyKeys.create(file);
    chmodSync(file, 0o644);
    expect(codeOf(() => PrivacyKeys.rotate(file))).toBe('SP_KEY_INVALID');
  });

  it('ends the overlap with retire', () => {
    PrivacyKeys.create(file);
    PrivacyKeys.rotate(file);
    expect(codeOf(() => PrivacyKeys.retire(file, 2))).toBe('SP_KEY_INVALID');
    expect(codeOf(() => PrivacyKeys.retire(file, 9))).toBe('SP_KEY_INVALID');
    expect(PrivacyKeys.retire(file, 1).readable.map(({ id }) => id)).toEqual([2]);
    expect(codeOf(() => PrivacyKeys.retire(file, 1))).toBe('SP_KEY_INVALID');
  });
});

describe('secrets', () => {
  it('are in nothing that is printed', () => {
    const keys = PrivacyKeys.create(file);
    const secret = ring().keys[0]?.secret as string;
    const spellings = [secret, Buffer.from(secret, 'base64url').toString('hex')];
    const disguise = new Disguise(keys, 'readings');
    const redactor = new PathRedactor(keys, { literals: new Set(), isKnownSegment: () => false });
    const derived = keys.active.derive('token', 64);
    spellings.push(derived.toString('hex'), derived.toString('base64url'));
    for (const shown of [keys, keys.active, keys.all, disguise, redactor, { nested: { keys, disguise } }]) {
      const text = `${inspect(shown, { depth: 20, showHidden: true, maxStringLength: null })}${JSON.stringify(shown)}${shown}`;
      for (const spelling of spellings) expect(text.toLowerCase()).not.toContain(spelling.toLowerCase());
      expect(text).not.toMatch(/Buffer|Int32Array/);
    }
  });

  it('are derived apart for each use', () => {
    const { active } = PrivacyKeys.generate();
    const uses = ['pseudonym/a', 'pseudonym/b', 'token', 'redaction'].map((use) =>
      active.derive(use, 32).toString('hex'),
    );
    expect(new Set(uses).size).toBe(4);
  });
});
