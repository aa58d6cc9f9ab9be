/** Reading the ledger: its end, what is appended to it, one decision, and decisions like one. None of it verifies. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { DecisionRecord } from '../exchange/gate.ts';
import { quoted } from './encode.ts';
import { type AnchorEntry, type DecisionEntry, entryFrom, type HeaderEntry, type LedgerEntry } from './entry.ts';
import { DISK, type LedgerFile, type LedgerFiles } from './files.ts';
import { ledgerFileNames } from './format.ts';
import { headerOf } from './recover.ts';
import { eachLine } from './scan.ts';

const NEWLINE = 0x0a;
const TAIL_CHUNK_BYTES = 131_072;

/** A decision may be recorded, and its outcome follow, this long after its id was made. */
const FOUND_WITHIN_MS = 15 * 60_000;

/** Most records that follow() holds. */
const FOLLOWED_AT_ONCE = 1_024;

/** Most bytes that countSimilar reads. */
const COUNT_BYTES = 268_435_456;

/** The last `count` records, oldest first, headers and anchors left out. */
export async function tail(directory: string, count: number, files: LedgerFiles = DISK): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = [];
  for (const name of (await namesIn(directory, files)).reverse()) {
    if (entries.length >= count) break;
    await reading(directory, name, files, async (file) => {
      entries.unshift(...(await lastEntries(file, count - entries.length)));
    });
  }
  return entries;
}

async function lastEntries(file: LedgerFile, count: number): Promise<LedgerEntry[]> {
  const size = await file.size();
  for (let bytes = Math.min(size, TAIL_CHUNK_BYTES); ; bytes = Math.min(size, bytes * 4)) {
    const buffer = Buffer.alloc(bytes);
    const read = await file.read(buffer, size - bytes);
    const end = buffer.subarray(0, read).lastIndexOf(NEWLINE);
    const lines = end < 0 ? [] : buffer.toString('latin1', 0, end).split('\n');
    if (bytes < size) lines.shift(); // most likely only the end of a line
    const entries = lines.slice(-count - 1).flatMap((line) => shown(line) ?? []);
    if (entries.length >= count || bytes === size) return entries.slice(-count);
  }
}

function shown(line: string): LedgerEntry | undefined {
  const entry = entryFrom(line);
  return entry?.kind === 'header' || entry?.kind === 'anchor' ? undefined : entry;
}

export interface FollowOptions {
  /** Ends the iteration. */
  readonly signal: AbortSignal;
  /** Begins with the last records already there. Default 0. */
  readonly last?: number;
  /** Pause between looks at the file, milliseconds. Default 200. */
  readonly intervalMs?: number;
  readonly files?: LedgerFiles;
}

/** Records as they are appended, over rotations. Polls, because a watch misses writes on some file systems. */
export async function* follow(directory: string, options: FollowOptions): AsyncGenerator<LedgerEntry> {
  const { signal, last = 0, intervalMs = 200, files = DISK } = options;
  let name = (await namesIn(directory, files)).at(-1);
  let offset = 0;
  const begun = await tail(directory, Math.max(last, 1), files);
  const known = begun.at(-1)?.seq ?? -1;
  if (last > 0) yield* begun;
  while (!signal.aborted) {
    const names = await namesIn(directory, files);
    name ??= names.at(-1);
    if (name !== undefined) {
      const found: LedgerEntry[] = [];
      offset = await reading(directory, name, files, (file) => entriesFrom(file, offset, known, found));
      yield* found;
      const current = name;
      const following = names.find((one) => one > current);
      if (following !== undefined && found.length === 0) {
        name = following;
        offset = 0;
        continue;
      }
      if (found.length > 0) continue;
    }
    await pause(intervalMs, undefined, { signal }).catch(() => {});
  }
}

/** Complete lines from `offset`, a bounded number at a time; returns where to go on. */
async function entriesFrom(file: LedgerFile, offset: number, after: number, found: LedgerEntry[]): Promise<number> {
  const rest = await eachLine(file, offset, (line) => {
    if (found.length >= FOLLOWED_AT_ONCE) return false;
    const entry = shown(line.toString('latin1'));
    if (entry && entry.seq > after) found.push(entry);
    return true;
  });
  return rest.offset;
}

/**
 * Everything on record about a decision, in order: the decision, later ones under the same id (a session decided anew),
 * its outcome. Empty if there is nothing. The time in the id (UUIDv7) says which files to look into first.
 */
export async function find(directory: string, decision: string, files: LedgerFiles = DISK): Promise<LedgerEntry[]> {
  const madeAt = timeOf(decision);
  if (madeAt === undefined) return [];
  const names = await namesIn(directory, files);
  const likely = await filesAround(directory, names, madeAt, files);
  const found = await findIn(directory, likely, decision, files);
  if (found.length > 0) return found;
  // The clock may have jumped: then the times in headers and ids mislead, and every file is read, the newest first.
  for (const name of names.filter((one) => !likely.includes(one)).reverse()) {
    const entries = await findIn(directory, [name], decision, files);
    if (entries.length > 0) return entries;
  }
  return [];
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** RFC 9562 section 5.7: the first 48 bits are milliseconds since the epoch. */
function timeOf(decision: string): number | undefined {
  return UUID_V7.test(decision) ? Number.parseInt(decision.slice(0, 8) + decision.slice(9, 13), 16) : undefined;
}

/** Files that can hold records of the quarter of an hour after `madeAt`, oldest first. */
async function filesAround(
  directory: string,
  names: readonly string[],
  madeAt: number,
  files: LedgerFiles,
): Promise<string[]> {
  const around: string[] = [];
  for (const name of names.toReversed()) {
    const begun = (await headerIn(directory, name, files))?.time ?? madeAt;
    if (begun <= madeAt + FOUND_WITHIN_MS) around.unshift(name);
    if (begun < madeAt) break;
  }
  return around;
}

async function headerIn(directory: string, name: string, files: LedgerFiles): Promise<HeaderEntry | undefined> {
  return await reading(directory, name, files, async (file) => {
    const buffer = Buffer.alloc(8_192);
    const read = await file.read(buffer, 0);
    const end = buffer.subarray(0, read).indexOf(NEWLINE);
    return end < 0 ? undefined : headerOf(buffer.subarray(0, end), name);
  });
}

async function findIn(
  directory: string,
  names: readonly string[],
  decision: string,
  files: LedgerFiles,
): Promise<LedgerEntry[]> {
  const needle = Buffer.from(`"decision":"${decision}"`);
  const found: LedgerEntry[] = [];
  for (const name of names) {
    await reading(directory, name, files, (file) =>
      linesWith(file, needle, (line) => {
        const entry = entryFrom(line);
        if (entry) found.push(entry);
      }),
    );
  }
  return found;
}

/** Every anchor in a stream, oldest first. */
export async function anchorsIn(directory: string, files: LedgerFiles = DISK): Promise<AnchorEntry[]> {
  const needle = Buffer.from('"kind":"anchor"');
  const found: AnchorEntry[] = [];
  for (const name of await namesIn(directory, files)) {
    await reading(directory, name, files, (file) =>
      linesWith(file, needle, (line) => {
        const entry = entryFrom(line);
        if (entry?.kind === 'anchor') found.push(entry);
      }),
    );
  }
  return found;
}

/** Lines that contain `needle`: searched in large pieces, because nearly all lines do not. */
async function linesWith(file: LedgerFile, needle: Buffer, visit: (line: string) => void): Promise<void> {
  const buffer = Buffer.allocUnsafe(1_048_576);
  let held = 0;
  for (let position = 0; ; ) {
    const count = await file.read(buffer.subarray(held), position);
    position += count;
    const end = buffer.subarray(0, held + count).lastIndexOf(NEWLINE) + 1;
    const lines = buffer.subarray(0, end);
    for (let at = lines.indexOf(needle); at >= 0; ) {
      const stop = lines.indexOf(NEWLINE, at);
      visit(lines.toString('latin1', lines.lastIndexOf(NEWLINE, at) + 1, stop));
      at = lines.indexOf(needle, stop);
    }
    const atEnd = held + count < buffer.length;
    if (atEnd || end === 0) return;
    held = buffer.copy(buffer, 0, end, held + count);
  }
}

export interface Similar {
  /** Decisions with the same verdict, first reason, verb and resource, by the same device (or key, if it has none). */
  readonly sameDevice: number;
  readonly otherDevices: number;
  /** Not everything since then could be read. */
  readonly partial: boolean;
}

/** How often the like of `record` was decided since `sinceMs` (milliseconds since the epoch), itself included. */
export async function countSimilar(
  directory: string,
  record: DecisionRecord,
  sinceMs: number,
  files: LedgerFiles = DISK,
): Promise<Similar> {
  let sameDevice = 0;
  let others = 0;
  let bytes = 0;
  const { verb, resource } = record.action;
  const needle = Buffer.from(`"verb":${quoted(verb)},"resource":${quoted(resource)}`);
  const count = (line: string): void => {
    const entry = entryFrom(line);
    if (entry?.kind !== 'decision' || entry.time < sinceMs || !isLike(entry, record)) return;
    if (senderOf(entry) === senderOf(record)) sameDevice++;
    else others++;
  };
  for (const name of (await namesIn(directory, files)).reverse()) {
    bytes += await reading(directory, name, files, async (file) => {
      const size = await file.size();
      if (bytes + size <= COUNT_BYTES) await linesWith(file, needle, count);
      return size;
    });
    if (bytes > COUNT_BYTES) return { sameDevice, otherDevices: others, partial: true };
    const begun = (await headerIn(directory, name, files))?.time;
    if (begun !== undefined && begun < sinceMs) break;
  }
  return { sameDevice, otherDevices: others, partial: false };
}

function isLike(entry: DecisionEntry, record: DecisionRecord): boolean {
  return (
    entry.verdict === record.verdict &&
    entry.reasons[0] === record.reasons[0] &&
    entry.action.verb === record.action.verb &&
    entry.action.resource === record.action.resource
  );
}

function senderOf({ device, peer }: DecisionRecord): string {
  return device ? `device ${device.id}` : `key ${peer.key}`;
}

async function namesIn(directory: string, files: LedgerFiles): Promise<string[]> {
  return ledgerFileNames(await files.list(directory));
}

async function reading<T>(
  directory: string,
  name: string,
  files: LedgerFiles,
  use: (file: LedgerFile) => Promise<T>,
): Promise<T> {
  const file = await files.openForReading(join(directory, name));
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
