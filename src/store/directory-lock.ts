/**
 * One gateway per folder. The lock is an EXCLUSIVE transaction on run/lock.db, that is an fcntl lock of the operating
 * system: it goes with its process, kill -9 included, so there is no stale lock file to judge. POSIX drops such a lock
 * when the process closes any descriptor of the file: nothing but SQLite may ever open it.
 */
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync as Database } from 'node:sqlite';
import { Fault } from '../faults/fault.ts';

/** Not imported, see sqlite-store.ts. */
const { DatabaseSync } = process.getBuiltinModule('node:sqlite');

/** https://sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;
/** Somebody who only asks (isHeld) is in the way for well under this. */
const ACQUIRE_TIMEOUT_MS = 250;

export class DirectoryLock {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Takes the lock of the gateway's folder, or, for a worker that is not the lead, of its part in it: its stream of the
   * ledger has one writer, and a second gateway is refused also while the first has no lead. Throws SP_GATEWAY_RUNNING if it is held, SP_STORE_FAILED if it cannot be.
   */
  static acquire(directory: string, worker = 0): DirectoryLock {
    let database: Database | undefined;
    try {
      mkdirSync(join(directory, 'run'), { recursive: true, mode: 0o700 });
      const file = lockFile(directory, worker);
      database = new DatabaseSync(file, { timeout: ACQUIRE_TIMEOUT_MS });
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
      // By its path: a descriptor of our own would give the lock back when it is closed.
      chmodSync(file, 0o600);
      return new DirectoryLock(database);
    } catch (thrown) {
      database?.close();
      if (isBusy(thrown)) throw new Fault('SP_GATEWAY_RUNNING', `Another gateway already runs on ${directory}.`);
      throw unusable(directory, thrown);
    }
  }

  /** True while some process, this one included, holds the lock. Throws SP_STORE_FAILED if that cannot be told. */
  static isHeld(directory: string): boolean {
    if (!existsSync(lockFile(directory))) return false;
    let database: Database | undefined;
    try {
      database = new DatabaseSync(lockFile(directory), { readOnly: true, timeout: 0 });
      database.prepare('SELECT count(*) FROM sqlite_schema').get();
      return false;
    } catch (thrown) {
      if (isBusy(thrown)) return true;
      throw unusable(directory, thrown);
    } finally {
      database?.close();
    }
  }

  /** Gives the lock back. A second call does nothing. */
  release(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function lockFile(directory: string, worker = 0): string {
  return join(directory, 'run', worker === 0 ? 'lock.db' : `lock-${worker}.db`);
}

function isBusy(thrown: unknown): boolean {
  return thrown instanceof Error && 'errcode' in thrown && thrown.errcode === SQLITE_BUSY;
}

function unusable(directory: string, thrown: unknown): Fault {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new Fault('SP_STORE_FAILED', `The lock of ${directory} cannot be used: ${why}`, { cause: thrown });
}
