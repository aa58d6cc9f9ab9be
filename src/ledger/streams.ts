/**
 * The ledger as a whole. Each worker writes one stream: the first in the ledger's folder itself, as a gateway of one process
 * does, worker N in the folder N below it. Every stream verifies alone; to read them as one they are merged by time. Streams
 * name each other's heads now and then (`anchor`), so that one that was cut, or taken away with its folder, is missed.
 */
import { join } from 'node:path';
import type { AnchorEntry, LedgerEntry } from './entry.ts';
import { DISK, type LedgerFiles } from './files.ts';
import { anchorsIn, countSimilar, type FollowOptions, find, follow, type Similar, tail } from './read.ts';
import { type Anchor, type Problem, type Verification, type VerifyOptions, verifyLedger } from './verify.ts';

const FIRST = 'main';
const FOLDER = /^[1-9]\d?$/;

export interface Stream {
  readonly name: string;
  readonly directory: string;
  /** Below the ledger's folder; empty for the first stream. */
  readonly folder: string;
}

/** Where worker N writes. */
export function streamOf(ledger: string, worker: number): Stream {
  if (worker === 0) return { name: FIRST, directory: ledger, folder: '' };
  return { name: `worker-${worker}`, directory: join(ledger, String(worker)), folder: String(worker) };
}

/** All streams there are, also of workers that no longer run; the first one always. */
export async function streamsIn(ledger: string, files: LedgerFiles = DISK): Promise<Stream[]> {
  const workers = (await files.list(ledger)).filter((name) => FOLDER.test(name)).map(Number);
  return [0, ...workers.sort((a, b) => a - b)].map((worker) => streamOf(ledger, worker));
}

/** An entry, and the stream it stands in if that is not the first. */
export type StreamedEntry = LedgerEntry & { readonly stream?: string };

/** The last `count` records of all streams, oldest first. */
export async function tailAll(ledger: string, count: number): Promise<StreamedEntry[]> {
  const streams = await streamsIn(ledger);
  const tails = await Promise.all(
    streams.map(async ({ name, directory }) => marked(await tail(directory, count), name)),
  );
  return tails.length === 1 ? (tails[0] ?? []) : tails.flat().sort(byTime).slice(-count);
}

/** As follow(), over all streams, also of workers that start later. In the order in which they are found. */
export async function* followAll(ledger: string, options: FollowOptions): AsyncGenerator<StreamedEntry> {
  const { signal, last = 0 } = options;
  const sources = new Map<string, AsyncGenerator<LedgerEntry>>();
  const waiting = new Map<string, Promise<{ name: string; entry: LedgerEntry | undefined }>>();
  const next = (name: string) => {
    const source = sources.get(name);
    const result = source?.next().then(({ value, done }) => ({ name, entry: done === true ? undefined : value }));
    if (result) waiting.set(name, result);
  };
  if (last > 0) yield* await tailAll(ledger, last);
  for (let first = true; !signal.aborted; first = false) {
    for (const { name, directory } of await streamsIn(ledger)) {
      if (sources.has(name)) continue;
      // Of a stream that was not there a moment ago everything is new.
      sources.set(name, follow(directory, { ...options, last: first ? 0 : Number.MAX_SAFE_INTEGER }));
      next(name);
    }
    const look = new Promise<undefined>((resolve) => {
      setTimeout(() => resolve(undefined), options.intervalMs ?? 1_000).unref();
    });
    const found = await Promise.race([...waiting.values(), look]);
    if (!found) continue;
    waiting.delete(found.name);
    if (!found.entry) continue;
    yield* marked([found.entry], found.name);
    next(found.name);
  }
}

/** As find(), in all streams: a decision and its outcome are of one worker. */
export async function findAll(ledger: string, decision: string): Promise<LedgerEntry[]> {
  const found = await Promise.all((await streamsIn(ledger)).map(({ directory }) => find(directory, decision)));
  return found.flat();
}

/** As countSimilar(), in all streams. */
export async function countSimilarAll(
  ledger: string,
  record: Parameters<typeof countSimilar>[1],
  sinceMs: number,
): Promise<Similar> {
  const streams = await streamsIn(ledger);
  const counts = await Promise.all(streams.map(({ directory }) => countSimilar(directory, record, sinceMs)));
  return {
    sameDevice: counts.reduce((sum, { sameDevice }) => sum + sameDevice, 0),
    otherDevices: counts.reduce((sum, { otherDevices }) => sum + otherDevices, 0),
    partial: counts.some(({ partial }) => partial),
  };
}

export interface WholeVerification extends Verification {
  readonly streams: readonly (Verification & { readonly stream: string })[];
}

/** Verifies every stream, and that each has the records that others name. `expectHead` is of the first. */
export async function verifyAll(ledger: string, options: VerifyOptions = {}): Promise<WholeVerification> {
  const files = options.files ?? DISK;
  const streams = await streamsIn(ledger, files);
  // Before anything is verified: a stream that is being written must not be named further than it was read.
  const named = new Map<string, Map<number, Anchor>>();
  for (const stream of streams) collect(named, stream, await anchorsIn(stream.directory, files));
  const known = new Set(streams.map(({ name }) => name));
  const lost = [...named.keys()].filter((name) => !known.has(name)).map((name) => streamCalled(ledger, name));
  const { expectHead, ...rest } = options;
  const verified: (Verification & { stream: string })[] = [];
  for (const { name, directory, folder } of [...streams, ...lost]) {
    const anchors = named.get(name);
    const result = await verifyLedger(directory, {
      ...rest,
      ...(name === FIRST && expectHead && { expectHead }),
      ...(anchors && { anchors }),
    });
    const firstProblem = result.firstProblem && placed(result.firstProblem, folder);
    verified.push({ ...result, firstProblem, stream: name });
  }
  return {
    ok: verified.every(({ ok }) => ok),
    records: verified.reduce((sum, { records }) => sum + records, 0),
    files: verified.reduce((sum, one) => sum + one.files, 0),
    head: verified[0]?.head,
    firstProblem: verified.find(({ firstProblem }) => firstProblem)?.firstProblem,
    streams: verified,
  };
}

function collect(named: Map<string, Map<number, Anchor>>, by: Stream, anchors: readonly AnchorEntry[]): void {
  for (const { seq: at, heads } of anchors) {
    // Whether the line is genuine is asked when its own stream is verified.
    for (const { stream, seq, hash } of Array.isArray(heads) ? heads : []) {
      const known = named.get(stream) ?? new Map<number, Anchor>();
      named.set(stream, known);
      known.set(seq, { hash, by: `record ${at} of ${by.name}` });
    }
  }
}

function streamCalled(ledger: string, name: string): Stream {
  const worker = Number(/^worker-([1-9]\d?)$/.exec(name)?.[1] ?? 0);
  return worker === 0
    ? { name, directory: join(ledger, 'unknown-stream'), folder: 'unknown-stream' }
    : streamOf(ledger, worker);
}

function placed(problem: Problem, folder: string): Problem {
  return folder === '' ? problem : { ...problem, file: join(folder, problem.file) };
}

function marked(entries: readonly LedgerEntry[], stream: string): StreamedEntry[] {
  return stream === FIRST ? [...entries] : entries.map((entry) => ({ ...entry, stream }) as StreamedEntry);
}

/** Decision ids are made in the order of time; within a stream the sort is stable. */
function byTime(a: LedgerEntry, b: LedgerEntry): number {
  return ('time' in a ? a.time : 0) - ('time' in b ? b.time : 0);
}
