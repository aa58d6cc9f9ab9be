/**
 * What the ledger asks of a disk: a port, so that tests can let it fail at any write, and its implementation.
 *
 * Node's permission model refuses fsync and fdatasync altogether (measured on 26.10), so files are opened with O_SYNC:
 * write() itself returns when data and size are on the disk, or with the error. One system call instead of two.
 */
import * as fs from 'node:fs';
import { Fault } from '../faults/fault.ts';

export interface LedgerFile {
  /** Writes all of `bytes` at `position`; resolves when they are on the disk. After an error the content there is unknown. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Fills `buffer` from `position`; returns how many bytes there were, less than asked only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  size(): Promise<number>;
  /** Durable with the next write. */
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface LedgerFiles {
  /** Names in the folder, in any order; empty if there is no such folder. */
  list(directory: string): Promise<string[]>;
  makeDirectory(directory: string): Promise<void>;
  /** Fails if the file exists. Mode 0600. */
  create(path: string): Promise<LedgerFile>;
  open(path: string): Promise<LedgerFile>;
  openForReading(path: string): Promise<LedgerFile>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes created, renamed and removed names durable. */
  syncDirectory(directory: string): Promise<void>;
}

const { O_CREAT, O_EXCL, O_RDWR, O_RDONLY, O_SYNC } = fs.constants;

export const DISK: LedgerFiles = {
  async list(directory) {
    try {
      return await fs.promises.readdir(directory);
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT') return [];
      throw thrown;
    }
  },
  async makeDirectory(directory) {
    await fs.promises.mkdir(directory, { recursive: true, mode: 0o700 });
  },
  create: (path) => openFile(path, O_CREAT | O_EXCL | O_RDWR | O_SYNC),
  open: (path) => openFile(path, O_RDWR | O_SYNC),
  openForReading: (path) => openFile(path, O_RDONLY),
  rename: (from, to) => fs.promises.rename(from, to),
  remove: (path) => fs.promises.unlink(path),
  async syncDirectory(directory) {
    const handle = await fs.promises.open(directory, 'r');
    try {
      await handle.sync();
    } catch (thrown) {
      // Under the permission model the O_SYNC write of a new file's header carries its name: ext4, XFS and Btrfs commit
      // the creation with the first synchronous write to the file.
      if (codeOf(thrown) !== 'ERR_ACCESS_DENIED') throw thrown;
    } finally {
      await handle.close();
    }
  },
};

/** The system's code of an error, e.g. `ENOSPC`; empty if it has none. */
export function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';
}

function openFile(path: string, flags: number): Promise<LedgerFile> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, 0o600, (error, descriptor) => {
      if (error) reject(error);
      else resolve(new DiskFile(descriptor));
    });
  });
}

class DiskFile implements LedgerFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (done: number): void => {
        fs.write(this.#descriptor, bytes, done, bytes.byteLength - done, position + done, (error, written) => {
          if (error) reject(error);
          else if (done + written >= bytes.byteLength) this.#whenNamed(resolve, reject);
          else if (written === 0) reject(new Fault('SP_LEDGER_WRITE', 'The disk takes no more bytes.'));
          else step(done + written); // a short write: the next one tells why
        });
      };
      step(0);
    });
  }

  /** Somebody who deletes the file of a running gateway would otherwise let it write into nowhere, unseen. */
  #whenNamed(resolve: () => void, reject: (error: unknown) => void): void {
    try {
      if (fs.fstatSync(this.#descriptor).nlink > 0) resolve();
      else reject(new Fault('SP_LEDGER_WRITE', 'The file of the ledger was deleted.'));
    } catch (thrown) {
      reject(thrown);
    }
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < buffer.byteLength) {
      const count = await this.#readOnce(buffer, done, position + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  #readOnce(buffer: Uint8Array, offset: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.read(this.#descriptor, buffer, offset, buffer.byteLength - offset, position, (error, count) => {
        if (error) reject(error);
        else resolve(count);
      });
    });
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#descriptor, (error, stats) => {
        if (error) reject(error);
        else resolve(stats.size);
      });
    });
  }

  truncate(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#descriptor, bytes, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.close(this.#descriptor, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }
}
