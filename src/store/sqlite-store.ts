/**
 * The registry on embedded SQLite (node:sqlite): one file, write-ahead log, every commit on disk before it is acknowledged.
 * Several processes may use it at once (the gateway and a command); the busy timeout arbitrates.
 */
import { chmodSync, closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync as Database, StatementSync } from 'node:sqlite';
import { Fault } from '../faults/fault.ts';
import { CREDENTIAL_COLUMNS, credentialOf, DEVICE_COLUMNS, deviceOf, Repeated, type Row } from './sqlite-rows.ts';
import { migrate } from './sqlite-schema.ts';
import type { Standing, Store, StoredCredential, StoredDevice, Versioned, Written } from './store.ts';

/** Not imported: a namespace once made keeps what it has, and seal-databases.ts could take nothing away. */
const { DatabaseSync } = process.getBuiltinModule('node:sqlite');

/** How long a write waits for another process's write. Ours take milliseconds; more than this is a stuck process. */
const BUSY_TIMEOUT_MS = 5_000;
/** https://sqlite.org/rescode.html#constraint_primarykey and #constraint_unique */
const SQLITE_CONSTRAINT_UNIQUE = 2067;
/** Bits of a mode that let group or others write, or do anything. */
const FOREIGN_WRITE = 0o022;
const FOREIGN_ANY = 0o077;

export class SqliteStore implements Store {
  readonly #database: Database;
  readonly #devices: StatementSync;
  readonly #credentials: StatementSync;
  readonly #revisionOf: StatementSync;
  readonly #nextRevision: StatementSync;
  readonly #saveDevice: StatementSync;
  readonly #ownerOfKey: StatementSync;
  readonly #saveCredential: StatementSync;
  readonly #certificate: StatementSync;
  readonly #dataVersion: StatementSync;

  private constructor(database: Database) {
    this.#database = database;
    this.#devices = inArrays(database, `SELECT ${DEVICE_COLUMNS} FROM devices WHERE revision > ?`);
    this.#credentials = inArrays(
      database,
      `SELECT ${CREDENTIAL_COLUMNS} FROM credentials
       WHERE ?1 = 0 OR device IN (SELECT id FROM devices WHERE revision > ?1)`,
    );
    this.#revisionOf = database.prepare('SELECT revision FROM devices WHERE id = ?');
    this.#nextRevision = database.prepare('SELECT coalesce(max(revision), 0) + 1 AS revision FROM devices');
    this.#saveDevice = database.prepare(
      `INSERT INTO devices (${DEVICE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, segment = excluded.segment, state = excluded.state,
         labels = excluded.labels, manufacturer = excluded.manufacturer, model = excluded.model,
         firmware = excluded.firmware, address = excluded.address, added_at = excluded.added_at,
         changed_at = excluded.changed_at`,
    );
    this.#ownerOfKey = database.prepare('SELECT device FROM credentials WHERE key = ?');
    this.#saveCredential = database.prepare(
      `INSERT INTO credentials (${CREDENTIAL_COLUMNS}, certificate) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, ''))
       ON CONFLICT (key) DO UPDATE SET standing = excluded.standing, names = excluded.names, issuer = excluded.issuer,
         serial = excluded.serial, not_before = excluded.not_before, not_after = excluded.not_after,
         added_at = excluded.added_at,
         certificate = CASE excluded.certificate WHEN '' THEN certificate ELSE excluded.certificate END`,
    );
    this.#certificate = database.prepare('SELECT certificate FROM credentials WHERE key = ?');
    this.#dataVersion = database.prepare('PRAGMA data_version');
  }

  /**
   * Opens or makes the database. Its folder becomes 0700 and the file 0600.
   * Throws SP_STORE_FAILED: not writable, writable by others, damaged, or written by a newer Sallyport.
   */
  static open(file: string, busyTimeoutMs = BUSY_TIMEOUT_MS): SqliteStore {
    let database: Database | undefined;
    try {
      secure(file);
      database = new DatabaseSync(file, { timeout: busyTimeoutMs, allowExtension: false });
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF');
      assertDurable(database);
      migrate(database);
      return new SqliteStore(database);
    } catch (thrown) {
      database?.close();
      throw failed(thrown, 'open');
    }
  }

  everything(): Promise<readonly Versioned[]> {
    return this.changedSince(0);
  }

  changedSince(revision: number): Promise<readonly Versioned[]> {
    return attempt('read', () => this.#consistently(() => this.#read(revision)));
  }

  write(device: StoredDevice, expected: number, certificates: ReadonlyMap<string, string>): Promise<Written> {
    return attempt('write', () => this.#write(device, expected, certificates));
  }

  certificate(key: string): Promise<string | undefined> {
    return attempt('read', () => {
      const text = this.#certificate.get(key)?.certificate;
      return typeof text === 'string' && text !== '' ? text : undefined;
    });
  }

  /** https://sqlite.org/pragma.html#pragma_data_version: commits of other connections; own ones do not move it. */
  stamp(): number {
    try {
      return this.#dataVersion.get()?.data_version as number;
    } catch (thrown) {
      throw failed(thrown, 'read');
    }
  }

  close(): Promise<void> {
    return attempt('close', () => {
      if (this.#database.isOpen) this.#database.close();
    });
  }

  #read(revision: number): readonly Versioned[] {
    const repeated = new Repeated();
    const credentials = new Map<string, StoredCredential[]>();
    for (const row of this.#credentials.all(revision) as unknown as Row[]) {
      const device = row[1] as string;
      const list = credentials.get(device);
      if (list === undefined) credentials.set(device, [credentialOf(row, repeated)]);
      else list.push(credentialOf(row, repeated));
    }
    return (this.#devices.all(revision) as unknown as Row[]).map((row) => ({
      revision: row[1] as number,
      device: deviceOf(row, credentials.get(row[0] as string) ?? [], repeated),
    }));
  }

  #write(device: StoredDevice, expected: number, certificates: ReadonlyMap<string, string>): Written {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const written = this.#writeLocked(device, expected, certificates);
      this.#database.exec(written.kind === 'written' ? 'COMMIT' : 'ROLLBACK');
      return written;
    } catch (thrown) {
      // As in migrate: SQLite may have rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw thrown;
    }
  }

  #writeLocked(device: StoredDevice, expected: number, certificates: ReadonlyMap<string, string>): Written {
    const present = this.#revisionOf.get(device.id)?.revision ?? 0;
    if (present !== expected) return { kind: 'stale' };
    const revision = this.#nextRevision.get()?.revision as number;
    const { id, segment, state, labels, manufacturer, model, firmware, address, addedAt, changedAt } = device;
    this.#saveDevice.run(
      ...[id, revision, segment, state, JSON.stringify(labels), manufacturer ?? null, model ?? null, firmware ?? null],
      ...[address ?? null, addedAt, changedAt],
    );
    // Given-up keys first: a device has one current and one next key at every moment, the middle of this loop included.
    const ordered = [...device.credentials].sort((a, b) => rankOf(a.standing) - rankOf(b.standing));
    for (const credential of ordered) {
      const owner = this.#ownerOfKey.get(credential.key)?.device;
      if (owner !== undefined && owner !== id) return { kind: 'duplicate-key' };
      try {
        this.#saveCredential.run(...columnsOf(id, credential), certificates.get(credential.key) ?? null);
      } catch (thrown) {
        if (isDuplicateSerial(thrown)) return { kind: 'duplicate-serial' };
        throw thrown;
      }
    }
    return { kind: 'written', revision };
  }

  /** Two SELECTs that see the same moment. */
  #consistently<T>(read: () => T): T {
    this.#database.exec('BEGIN');
    try {
      return read();
    } finally {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    }
  }
}

function rankOf(standing: Standing): number {
  return ['superseded', 'retired', 'current', 'next'].indexOf(standing);
}

function columnsOf(device: string, credential: StoredCredential): (string | number)[] {
  const { key, standing, names, issuer, serial, notBefore, notAfter, addedAt } = credential;
  return [key, device, standing, JSON.stringify(names), issuer, serial, notBefore, notAfter, addedAt];
}

function inArrays(database: Database, sql: string): StatementSync {
  const statement = database.prepare(sql);
  statement.setReturnArrays(true);
  return statement;
}

/** SQLite gives its journal files the mode of the database, so the file must exist with 0600 before SQLite opens it. */
function secure(file: string): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  closeSync(openSync(file, 'a', 0o600));
  for (const [path, mode] of [
    [folder, 0o700],
    [file, 0o600],
  ] as const) {
    const present = statSync(path).mode;
    // Others could have written a device of their own: tightening the mode now would only hide it.
    if ((present & FOREIGN_WRITE) !== 0) {
      throw new Fault('SP_STORE_FAILED', `${path} is writable by others; check its content, then chmod go-w it.`);
    }
    if ((present & FOREIGN_ANY) !== 0) chmodSync(path, mode);
  }
}

/** A file system that cannot do WAL makes SQLite choose another journal without an error. Then nothing here holds. */
function assertDurable(database: Database): void {
  const journal = database.prepare('PRAGMA journal_mode').get()?.journal_mode;
  const synchronous = database.prepare('PRAGMA synchronous').get()?.synchronous;
  if (journal !== 'wal' || synchronous !== 2) {
    throw new Fault('SP_STORE_FAILED', `SQLite refuses journal_mode WAL with synchronous FULL here (${journal}).`);
  }
}

function isDuplicateSerial(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    'errcode' in thrown &&
    thrown.errcode === SQLITE_CONSTRAINT_UNIQUE &&
    thrown.message.includes('credentials.serial')
  );
}

function failed(thrown: unknown, during: string): Fault {
  if (thrown instanceof Fault) return thrown;
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault('SP_STORE_FAILED', `The registry’s database failed to ${during}: ${why}`, { cause: thrown });
}

async function attempt<T>(during: string, work: () => T): Promise<T> {
  try {
    return work();
  } catch (thrown) {
    throw failed(thrown, during);
  }
}
