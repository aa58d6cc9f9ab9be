/** Files that hold a key: there whole or not at all, for the owner alone, and never written over another. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { Fault } from '../faults/fault.ts';

const OWNER_FILE = 0o600;
const OWNER_FOLDER = 0o700;
const FOREIGN_ANY = 0o077;
/** No key or certificate file of ours is larger. */
const MAX_FILE_BYTES = 1_048_576;

/** Makes a folder that only the owner may enter. Leaves one that exists as it is. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: OWNER_FOLDER });
  } catch (thrown) {
    throw unwritable(path, thrown);
  }
}

/** Writes a new file with mode 0600, durably. Throws SP_FILE_EXISTS rather than to replace one, SP_KEY_INVALID if it cannot. */
export function writeNewFile(path: string, content: string): void {
  const temporary = temporaryBeside(path);
  try {
    writeDurably(temporary, content);
    // link(2) fails when the name is taken, whoever took it and however shortly before; rename(2) would replace.
    linkSync(temporary, path);
  } catch (thrown) {
    if (isCode(thrown, 'EEXIST')) throw exists(path);
    throw unwritable(path, thrown);
  } finally {
    rmSync(temporary, { force: true });
  }
  syncFolder(dirname(path));
}

/** Makes the folder `path` with these files in it, all or nothing. Throws SP_FILE_EXISTS, SP_KEY_INVALID. */
export function writeNewFolder(path: string, files: Readonly<Record<string, string>>): void {
  const temporary = temporaryBeside(path);
  try {
    makeFolder(temporary);
    for (const [name, content] of Object.entries(files)) writeDurably(`${temporary}/${name}`, content);
    syncFolder(temporary);
    // rename(2) onto a folder that is not empty fails.
    renameSync(temporary, path);
  } catch (thrown) {
    if (isCode(thrown, 'ENOTEMPTY') || isCode(thrown, 'EEXIST')) throw exists(path);
    throw unwritable(path, thrown);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  syncFolder(dirname(path));
}

/** The text of a certificate file. Throws SP_KEY_INVALID. */
export function readTextFile(path: string): string {
  try {
    if (statSync(path).size <= MAX_FILE_BYTES) return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw new Fault('SP_KEY_INVALID', `${path} cannot be read: ${messageOf(thrown)}`, { cause: thrown });
  }
  throw new Fault('SP_KEY_INVALID', `${path} is larger than any key or certificate.`);
}

/** The text of a file that holds a private key. Throws SP_KEY_INVALID also if others may read it: then it is no secret. */
export function readKeyFile(path: string): string {
  const text = readTextFile(path);
  if ((statSync(path).mode & FOREIGN_ANY) !== 0) {
    throw new Fault(
      'SP_KEY_INVALID',
      `${path} is accessible to others; make a new key, or chmod 600 it if nobody read it.`,
    );
  }
  return text;
}

function writeDurably(path: string, content: string): void {
  const file = openSync(path, 'wx', OWNER_FILE);
  try {
    const bytes = Buffer.from(content, 'utf8');
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** In the same folder, so that the last step stays within one file system; the dot keeps it out of every listing. */
function temporaryBeside(path: string): string {
  return `${dirname(path)}/.${randomBytes(12).toString('hex')}.tmp`;
}

function exists(path: string): Fault {
  return new Fault('SP_FILE_EXISTS', `${path} exists and is not overwritten.`);
}

function unwritable(path: string, thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  return new Fault('SP_KEY_INVALID', `${path} cannot be written: ${messageOf(thrown)}`, { cause: thrown });
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
