/**
 * The ledger's format 2: JSON Lines in printable ASCII, one record a line, chained by SHA-256.
 *
 *   {"seq":N,"kind":"...", ...,"prev":"<hash of record N-1>","hash":"<hash of this one>"}\n
 *
 * `hash` is the SHA-256, in lowercase hex, of the line's bytes from `{` up to and including the quote that closes `prev`.
 * A file is named after the sequence number of its first record, which is always a header; sequence numbers and hashes run
 * on over the files of one stream. Several workers write one stream each, in folders of their own: every stream verifies
 * alone, and `stream`, `seq` and the time order of decision ids merge them. Left for later formats: Merkle checkpoints
 * and signatures (a chain without an outside anchor binds everybody but whoever can write the whole folder anew).
 */
import { hash } from 'node:crypto';

/** Format 1 had decisions, outcomes, recoveries and losses; 2 adds acts of operators, refusals and anchors. */
export const FORMAT = 2;

/** Whether this version reads a file of that format. A later one is refused: it may hold what we would pass over. */
export function isKnownFormat(format: unknown): boolean {
  return format === 1 || format === FORMAT;
}

/** `prev` of the very first record. */
export const GENESIS = '0'.repeat(64);

/** Longest line a reader accepts, bytes. Above what the caps of encode.ts can add up to. */
export const MAX_LINE_BYTES = 131_072;

/** Most bytes in one write. Also bounds what a crash can leave behind that was never acknowledged. */
export const MAX_BATCH_BYTES = 1_048_576;

const OPENING = Buffer.from('{"seq":');
const PREV_FIELD = Buffer.from(',"prev":"');
const HASH_FIELD = Buffer.from('","hash":"');
const CLOSING = Buffer.from('"}');
const HASH_LENGTH = 64;

const CLOSING_AT = CLOSING.length;
const HASH_AT = CLOSING_AT + HASH_LENGTH;
const HASH_FIELD_AT = HASH_AT + HASH_FIELD.length;
const PREV_AT = HASH_FIELD_AT + HASH_LENGTH;
const PREV_FIELD_AT = PREV_AT + PREV_FIELD.length;

/** Bytes that a line has besides its body: the longest sequence number, both hashes and the newline. */
export const LINE_OVERHEAD = OPENING.length + 16 + PREV_FIELD_AT + 1;

const FILE_NAME = /^\d{16}\.jsonl$/;

/** `0000000000000042.jsonl`: the order of the names is the order of the records. */
export function fileName(firstSeq: number): string {
  return `${String(firstSeq).padStart(16, '0')}.jsonl`;
}

/** The ledger's files among the names of a folder, oldest first. */
export function ledgerFileNames(names: readonly string[]): string[] {
  return names.filter((name) => FILE_NAME.test(name)).sort();
}

export interface Line {
  /** With its newline. */
  readonly text: string;
  readonly hash: string;
}

/** Puts a body (`,"kind":...` without braces) into the chain. */
export function chained(seq: number, body: string, prev: string): Line {
  const content = `{"seq":${seq}${body},"prev":"${prev}"`;
  const own = hash('sha256', content);
  return { text: `${content},"hash":"${own}"}\n`, hash: own };
}

/** What a line says about its place in the chain. */
export interface Links {
  readonly seq: number;
  readonly prev: string;
  readonly hash: string;
  /** The line's content has the hash that the line states. */
  readonly intact: boolean;
}

/** Reads a line (without newline) by its fixed layout, without parsing JSON. Undefined: this is not a record. */
export function linksOf(line: Buffer): Links | undefined {
  const end = line.length;
  if (end < OPENING.length + 1 + PREV_FIELD_AT || end > MAX_LINE_BYTES) return undefined;
  if (!holds(line, 0, OPENING) || !holds(line, end - CLOSING_AT, CLOSING)) return undefined;
  if (!holds(line, end - HASH_FIELD_AT, HASH_FIELD) || !holds(line, end - PREV_FIELD_AT, PREV_FIELD)) return undefined;
  const seq = seqOf(line);
  if (seq === undefined) return undefined;
  const stated = line.toString('latin1', end - HASH_AT, end - CLOSING_AT);
  return {
    seq,
    prev: line.toString('latin1', end - PREV_AT, end - HASH_FIELD_AT),
    hash: stated,
    intact: hash('sha256', line.subarray(0, end - HASH_FIELD_AT + 1)) === stated,
  };
}

function holds(line: Buffer, at: number, expected: Buffer): boolean {
  return line.compare(expected, 0, expected.length, at, at + expected.length) === 0;
}

function seqOf(line: Buffer): number | undefined {
  let seq = 0;
  for (let at = OPENING.length; at < OPENING.length + 17; at++) {
    const byte = line[at]!;
    if (byte === 0x2c && at > OPENING.length) return seq;
    if (byte < 0x30 || byte > 0x39) return undefined;
    seq = seq * 10 + (byte - 0x30);
  }
  return undefined;
}
