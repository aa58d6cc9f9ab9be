/** Tables of the registry and the way from each version to the next. A migration, once released, is never edited. */
import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../faults/fault.ts';

/** Each entry takes the schema from version `index` to `index + 1`. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE devices (
    id           TEXT PRIMARY KEY,
    revision     INTEGER NOT NULL UNIQUE,
    segment      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'quarantined', 'retired')),
    labels       TEXT NOT NULL,
    manufacturer TEXT,
    model        TEXT,
    firmware     TEXT,
    address      TEXT,
    added_at     INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE credentials (
    key         TEXT PRIMARY KEY CHECK (length(key) = 64),
    device      TEXT NOT NULL REFERENCES devices (id),
    standing    TEXT NOT NULL CHECK (standing IN ('current', 'next', 'superseded', 'retired')),
    names       TEXT NOT NULL,
    issuer      TEXT NOT NULL,
    serial      TEXT NOT NULL,
    not_before  INTEGER NOT NULL,
    not_after   INTEGER NOT NULL,
    added_at    INTEGER NOT NULL,
    certificate TEXT NOT NULL,
    CONSTRAINT serial_once UNIQUE (issuer, serial)
  ) STRICT;
  CREATE INDEX credentials_of_device ON credentials (device);
  CREATE UNIQUE INDEX one_current_key ON credentials (device) WHERE standing = 'current';
  CREATE UNIQUE INDEX one_next_key ON credentials (device) WHERE standing = 'next';

  -- A key that was given up stays given up, whatever a later program or a hand with the sqlite3 tool tries.
  CREATE TRIGGER forbidden_keys_stay_forbidden BEFORE UPDATE ON credentials
  WHEN OLD.standing IN ('superseded', 'retired') AND NEW.standing IN ('current', 'next')
  BEGIN SELECT RAISE (ABORT, 'a key that was given up is never accepted again'); END;
  CREATE TRIGGER keys_keep_their_device BEFORE UPDATE OF key, device ON credentials
  WHEN OLD.key <> NEW.key OR OLD.device <> NEW.device
  BEGIN SELECT RAISE (ABORT, 'a key belongs to one device for ever'); END;
  CREATE TRIGGER keys_are_not_forgotten BEFORE DELETE ON credentials
  BEGIN SELECT RAISE (ABORT, 'keys are not forgotten'); END;
  CREATE TRIGGER devices_are_not_forgotten BEFORE DELETE ON devices
  BEGIN SELECT RAISE (ABORT, 'devices are not forgotten'); END;
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Brings the database to SCHEMA_VERSION, all or nothing. Throws SP_STORE_FAILED if a newer Sallyport wrote it. */
export function migrate(database: DatabaseSync): void {
  if (versionOf(database) === SCHEMA_VERSION) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    // Read again under the lock: another process may have migrated in between.
    const version = versionOf(database);
    if (version > SCHEMA_VERSION) {
      throw new Fault(
        'SP_STORE_FAILED',
        `The registry has schema version ${version}; this Sallyport knows ${SCHEMA_VERSION} and older. Use the newer release that wrote it.`,
      );
    }
    if (version === 0) database.exec('CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT');
    for (const step of MIGRATIONS.slice(version)) database.exec(step);
    database.exec('DELETE FROM schema_version');
    database.prepare('INSERT INTO schema_version (version) VALUES (?)').run(SCHEMA_VERSION);
    database.exec('COMMIT');
  } catch (thrown) {
    // A full disk makes SQLite roll back by itself; a second ROLLBACK would hide the cause.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw thrown;
  }
}

/** 0 for an empty database. A database with foreign tables, or with no single version, is not ours to touch. */
function versionOf(database: DatabaseSync): number {
  const tables = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get();
  if (tables?.tables === 0) return 0;
  const rows = database.prepare('SELECT version FROM schema_version').all();
  const version = rows[0]?.version;
  if (rows.length !== 1 || typeof version !== 'number' || version < 1) {
    throw new Fault('SP_STORE_FAILED', 'The registry’s database has no schema version; it is not one of Sallyport’s.');
  }
  return version;
}
