/**
 * Finding the end of the ledger at a start, after whatever ended the last run.
 *
 * Only the last file is read, and the joint to the one before it. A torn tail (what a crash can leave of one write: no
 * newline at the end, or bytes no record can contain) is copied to `<file>.<offset>.torn` and cut off. A record that is
 * complete but wrong is not a torn one: then the ledger is not opened at all, and `audit verify` names the record.
 */
import { join } from 'node:path';
import { Fault } from '../faults/fault.ts';
import type { SetAside } from './encode.ts';
import { entryFrom, type HeaderEntry } from './entry.ts';
import { codeOf, type LedgerFile, type LedgerFiles } from './files.ts';
import { fileName, isKnownFormat, ledgerFileNames, linksOf, MAX_BATCH_BYTES, MAX_LINE_BYTES } from './format.ts';
import { Chain, eachLine } from './scan.ts';

/** Where the ledger goes on. */
export interface LedgerEnd {
  readonly file: LedgerFile;
  readonly name: string;
  readonly bytes: number;
  readonly seq: number;
  readonly hash: string;
  readonly stream: string;
  /** Of this file. */
  readonly format: number;
}

export interface Recovery {
  /** Undefined: there is no record yet. */
  readonly end: LedgerEnd | undefined;
  readonly setAside: readonly SetAside[];
}

/** Most names tried for a file of set-aside bytes. */
const MAX_NAMES = 1_000;

/** Longest header, bytes. A file's header is on the disk before anything else is written to the file. */
const MAX_HEADER_BYTES = 8_192;

/** Throws SP_LEDGER_BROKEN; any other error is the disk's. */
export async function recover(directory: string, files: LedgerFiles, setBrokenAside: boolean): Promise<Recovery> {
  const names = ledgerFileNames(await files.list(directory));
  const setAside: SetAside[] = [];
  for (let index = names.length - 1; index >= 0; index--) {
    const name = names[index]!;
    const file = await files.open(join(directory, name));
    try {
      const scan = await scanFile(file, name, setBrokenAside);
      if (!scan.header) {
        // A crash while the file was begun: nothing in it was ever acknowledged.
        setAside.push(await keepWhole(directory, files, name, scan.size));
        await file.close();
        continue;
      }
      if (scan.size > scan.bytes) {
        setAside.push(await keepTail(directory, files, { file, name, from: scan.bytes, to: scan.size }));
        await file.truncate(scan.bytes);
      }
      try {
        await checkJoint(directory, files, scan.header, names[index - 1]);
      } catch (thrown) {
        if (!setBrokenAside || !(thrown instanceof Fault)) throw thrown;
      }
      await rewriteTail(file, scan.bytes);
      const { next, hash } = scan.chain;
      const { stream, format } = scan.header;
      return { end: { file, name, bytes: scan.bytes, seq: next - 1, hash, stream, format }, setAside };
    } catch (thrown) {
      await file.close();
      throw thrown;
    }
  }
  return { end: undefined, setAside };
}

interface Scan {
  /** Undefined: not even the header is complete. */
  readonly header: HeaderEntry | undefined;
  readonly chain: Chain;
  /** Length of what verifies. */
  readonly bytes: number;
  readonly size: number;
}

async function scanFile(file: LedgerFile, name: string, setBrokenAside: boolean): Promise<Scan> {
  const size = await file.size();
  const chain = new Chain();
  let header: HeaderEntry | undefined;
  let lines = 0;
  let problem = '';
  const rest = await eachLine(file, 0, (line) => {
    if (lines === 0) {
      header = headerOf(line, name);
      if (!header) {
        problem = 'the file does not begin with a header that this version knows';
        return false;
      }
      chain.next = header.seq;
      chain.hash = header.prev;
    }
    const found = chain.check(line);
    if (found) problem = found.problem;
    else lines++;
    return !found;
  });
  const most = lines === 0 ? MAX_HEADER_BYTES : MAX_BATCH_BYTES;
  if (rest.offset < size && !setBrokenAside && !(await isTorn(file, rest.offset, size, most))) {
    const details = { file: name, line: lines + 1, problem: problem || 'the record is too long' };
    throw new Fault('SP_LEDGER_BROKEN', `The ledger does not verify: ${name}, line ${lines + 1}.`, { details });
  }
  return { header: lines > 0 ? header : undefined, chain, bytes: rest.offset, size };
}

/** The header in the first line, if the line is one, belongs to the file's name and is of a format we know. */
export function headerOf(line: Buffer, name: string): HeaderEntry | undefined {
  const links = linksOf(line);
  if (!links?.intact || fileName(links.seq) !== name) return undefined;
  const entry = entryFrom(line.toString('latin1'));
  return entry?.kind === 'header' && isKnownFormat(entry.format) ? entry : undefined;
}

/**
 * Can one interrupted write have left this? Ended by kill -9 it is the beginning of a line; after a power loss it may have
 * holes of other bytes. A whole line of printable text, or a valid record further on, was not left by a crash.
 */
async function isTorn(file: LedgerFile, from: number, size: number, most: number): Promise<boolean> {
  if (size - from > most) return false;
  const tail = Buffer.alloc(size - from);
  await file.read(tail, from);
  const first = tail.indexOf(0x0a);
  if (first < 0) return true;
  if (isPrintable(tail.subarray(0, first))) return false;
  for (
    let start = first + 1, end = tail.indexOf(0x0a, start);
    end >= 0;
    start = end + 1, end = tail.indexOf(0x0a, start)
  ) {
    if (linksOf(tail.subarray(start, end))?.intact) return false;
  }
  return true;
}

function isPrintable(bytes: Buffer): boolean {
  return bytes.every((byte) => byte >= 0x20 && byte <= 0x7e);
}

/** The file before must end with the record that this header continues. */
async function checkJoint(
  directory: string,
  files: LedgerFiles,
  header: HeaderEntry,
  before: string | undefined,
): Promise<void> {
  if (!header.previous) {
    if (header.seq === 0 && before === undefined) return;
    throw broken(header, 'its header names no file before it');
  }
  if (before !== header.previous.file) throw broken(header, `the file before it, ${header.previous.file}, is missing`);
  const { bytes } = header.previous;
  const file = await files.openForReading(join(directory, before));
  try {
    const size = await file.size();
    if (size < bytes) throw broken(header, `the file before it, ${before}, was cut`);
    const tail = Buffer.alloc(Math.min(bytes, MAX_LINE_BYTES + 1));
    await file.read(tail, bytes - tail.length);
    const line = tail.subarray(tail.lastIndexOf(0x0a, tail.length - 2) + 1, -1);
    const links = linksOf(line);
    if (!links?.intact || links.seq !== header.seq - 1 || links.hash !== header.prev) {
      throw broken(header, `it does not continue the file before it, ${before}`);
    }
    if (size > bytes) throw broken(header, `the file before it, ${before}, has grown since it was sealed`);
  } finally {
    await file.close();
  }
}

function broken(header: HeaderEntry, problem: string): Fault {
  const file = fileName(header.seq);
  return new Fault('SP_LEDGER_BROKEN', `The ledger does not verify: ${file}: ${problem}.`, {
    details: { file, line: 1, problem },
  });
}

/**
 * Writes the last bytes once more, as they are. If a write failed before the process ended, its pages may look written
 * while the disk never got them, and no later sync would bring them there: only writing them again does. No more than one
 * batch can be in that state.
 */
async function rewriteTail(file: LedgerFile, bytes: number): Promise<void> {
  const tail = Buffer.alloc(Math.min(bytes, MAX_BATCH_BYTES));
  await file.read(tail, bytes - tail.length);
  await file.write(tail, bytes - tail.length);
}

interface Tail {
  readonly file: LedgerFile;
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

async function keepTail(directory: string, files: LedgerFiles, { file, name, from, to }: Tail): Promise<SetAside> {
  const { kept, copy } = await createFree(directory, files, `${name}.${from}`);
  try {
    const chunk = Buffer.alloc(MAX_BATCH_BYTES);
    for (let at = from; at < to; at += chunk.length) {
      const count = await file.read(chunk.subarray(0, Math.min(chunk.length, to - at)), at);
      await copy.write(chunk.subarray(0, count), at - from);
    }
  } finally {
    await copy.close();
  }
  await files.syncDirectory(directory);
  return { file: name, bytes: to - from, kept };
}

async function keepWhole(directory: string, files: LedgerFiles, name: string, bytes: number): Promise<SetAside> {
  const { kept, copy } = await createFree(directory, files, `${name}.0`);
  await copy.close();
  await files.rename(join(directory, name), join(directory, kept));
  await files.syncDirectory(directory);
  return { file: name, bytes, kept };
}

/** Creates `<stem>.torn`, or `<stem>.2.torn` and so on if an interrupted start left that one: evidence is never overwritten. */
async function createFree(
  directory: string,
  files: LedgerFiles,
  stem: string,
): Promise<{ kept: string; copy: LedgerFile }> {
  for (let attempt = 1; ; attempt++) {
    const kept = attempt === 1 ? `${stem}.torn` : `${stem}.${attempt}.torn`;
    try {
      return { kept, copy: await files.create(join(directory, kept)) };
    } catch (thrown) {
      if (codeOf(thrown) !== 'EEXIST' || attempt >= MAX_NAMES) throw thrown;
    }
  }
}
