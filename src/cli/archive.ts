/**
 * The ledger over two folders: the gateway's, with the files that it needs, and an archive with the older ones, laid out the
 * same way. Together they verify from the first record on.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  unlinkSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { Fault } from '../faults/fault.ts';
import { codeOf, DISK, type LedgerFiles } from '../ledger/files.ts';
import { ledgerFileNames } from '../ledger/format.ts';
import { streamsIn } from '../ledger/streams.ts';

/** A start reads the last file and its joint to the one before. */
const KEPT_FILES = 2;

/** For reading: what is not in `ledger` is looked for in `archive`. */
export function withArchive(ledger: string, archive: string): LedgerFiles {
  const archived = (path: string) => join(archive, relative(ledger, path));
  return {
    ...DISK,
    list: async (directory) => [
      ...new Set([...(await DISK.list(directory)), ...(await DISK.list(archived(directory)))]),
    ],
    openForReading: async (path) => {
      try {
        return await DISK.openForReading(path);
      } catch (thrown) {
        if (codeOf(thrown) !== 'ENOENT') throw thrown;
        return await DISK.openForReading(archived(path));
      }
    },
  };
}

/**
 * Moves every file but the last two of each stream. Each is on the other disk before it is taken away, and one that is there
 * already is never written over. Works beside a running gateway, which never writes a file again that it has ended.
 * @returns the moved files, relative to the ledger's folder
 */
export async function archiveFiles(ledger: string, archive: string): Promise<string[]> {
  const moved: string[] = [];
  for (const { directory, folder } of await streamsIn(ledger)) {
    const names = existsSync(directory) ? ledgerFileNames(readdirSync(directory)) : [];
    for (const name of names.slice(0, -KEPT_FILES)) {
      move(join(directory, name), join(archive, folder), name);
      moved.push(join(folder, name));
    }
  }
  return moved;
}

function move(from: string, folder: string, name: string): void {
  const to = join(folder, name);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    copyFileSync(from, to, constants.COPYFILE_EXCL);
    for (const path of [to, folder]) sync(path);
    unlinkSync(from);
  } catch (cause) {
    if (codeOf(cause) === 'EEXIST') {
      throw new Fault('SP_FILE_EXISTS', `${to} is there already; nothing was written over.`, { cause });
    }
    throw new Fault('SP_USAGE', `${from} cannot be moved to ${folder}: ${(cause as Error).message}`, { cause });
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
