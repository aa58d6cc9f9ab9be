/**
 * Files that only their owner may read: checked when read, written whole or not at all. The checks are on the open file and
 * not on its name, so nobody can swap it in between. Leaves out: locking; two operators at once means the later one wins.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { Fault } from '../faults/fault.ts';

const OWNER_ONLY = 0o600;
const OTHERS = 0o077;
const MAX_BYTES = 65_536;

/** The text of a private file. @throws SP_KEY_INVALID if it is missing, no plain file, too large or open to others */
export function readPrivateFile(file: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw refused(file, 'cannot be opened', cause);
  }
  try {
    const { mode, size } = fstatSync(descriptor);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw refused(file, 'is not a plain file');
    if ((mode & OTHERS) !== 0) throw refused(file, 'is open to other users; run chmod 600 on it');
    if (size > MAX_BYTES) throw refused(file, `is larger than ${MAX_BYTES} bytes`);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** Makes a private file. @throws SP_FILE_EXISTS if there is one already, SP_KEY_INVALID if it cannot be written */
export function createPrivateFile(file: string, text: string): void {
  // A link, unlike a rename, fails if the name is taken: a second `create` can never replace the only copy of a key.
  place(file, text, (draft) => {
    linkSync(draft, file);
    unlinkSync(draft);
  });
}

/** Replaces a private file: whoever reads it sees the old text or the new one. @throws SP_KEY_INVALID */
export function replacePrivateFile(file: string, text: string): void {
  place(file, text, (draft) => renameSync(draft, file));
}

function place(file: string, text: string, put: (draft: string) => void): void {
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    // Private from its first moment: a umask can only take rights away.
    const descriptor = openSync(draft, 'wx', OWNER_ONLY);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    put(draft);
    syncDirectory(dirname(file));
  } catch (cause) {
    discard(draft);
    if (isTaken(cause)) throw new Fault('SP_FILE_EXISTS', `The file ${file} is already there.`);
    throw refused(file, 'cannot be written', cause);
  }
}

/** The name is durable only when its directory is. */
function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function discard(draft: string): void {
  try {
    unlinkSync(draft);
  } catch {
    // It was never made, or has already been put in its place.
  }
}

function isTaken(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST';
}

function refused(file: string, what: string, cause?: unknown): Fault {
  return new Fault('SP_KEY_INVALID', `The file ${file} ${what}.`, { cause });
}
