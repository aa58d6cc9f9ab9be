/** Reading the ledger's files line by line in bounded memory, and the check that each line continues the chain. */
import type { LedgerFile } from './files.ts';
import { GENESIS, linksOf, MAX_LINE_BYTES } from './format.ts';

const CHUNK_BYTES = 262_144;
const NEWLINE = 0x0a;

/** What stands after the last newline, or where a line outgrew MAX_LINE_BYTES. */
export interface Remainder {
  readonly offset: number;
  readonly bytes: Buffer;
  /** The visitor stopped the reading; nothing is known about the rest. */
  readonly stopped: boolean;
}

/**
 * Calls `visit` with each complete line (without newline; valid only during the call) from `offset` on, until it returns
 * false or `end` is reached.
 */
export async function eachLine(
  file: LedgerFile,
  offset: number,
  visit: (line: Buffer, offset: number) => boolean,
  end = Number.MAX_SAFE_INTEGER,
): Promise<Remainder> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let held = 0;
  let position = offset;
  for (;;) {
    const wanted = Math.min(buffer.length - held, end - position);
    const count = await file.read(buffer.subarray(held, held + wanted), position);
    position += count;
    const filled = held + count;
    const base = position - filled;
    const view = buffer.subarray(0, filled);
    let start = 0;
    for (let newline = view.indexOf(NEWLINE); newline >= 0; newline = view.indexOf(NEWLINE, start)) {
      if (!visit(view.subarray(start, newline), base + start)) {
        return { offset: base + start, bytes: Buffer.alloc(0), stopped: true };
      }
      start = newline + 1;
    }
    held = filled - start;
    const atEnd = count < wanted || position >= end;
    if (atEnd || held > MAX_LINE_BYTES) {
      return { offset: base + start, bytes: Buffer.from(buffer.subarray(start, filled)), stopped: false };
    }
    buffer.copyWithin(0, start, filled);
  }
}

export type ProblemKind =
  /** Not a record: broken layout, or no newline where one belongs. */
  | 'malformed'
  /** The content does not have the hash that the record states. */
  | 'changed'
  /** Records are missing before this one. */
  | 'missing'
  /** A record that was there before: inserted, or out of order. */
  | 'repeated'
  /** Right number, valid hash, but another predecessor: a record was replaced and its hash computed anew. */
  | 'replaced';

export interface LineProblem {
  readonly kind: ProblemKind;
  readonly problem: string;
}

/** The chain so far. Accepts the lines of one stream in order. */
export class Chain {
  /** Sequence number the next record must have. */
  next: number;
  /** Hash of the last record. */
  hash: string;

  constructor(next = 0, hash = GENESIS) {
    this.next = next;
    this.hash = hash;
  }

  /** Undefined: the line is the next record, and the chain has moved on. */
  check(line: Buffer): LineProblem | undefined {
    const links = linksOf(line);
    if (!links) return { kind: 'malformed', problem: 'this line is not a record' };
    if (!links.intact)
      return { kind: 'changed', problem: 'the record was changed: its content does not have its hash' };
    if (links.seq > this.next) {
      const last = links.seq - 1;
      const which = last === this.next ? `record ${last}` : `records ${this.next} to ${last}`;
      return { kind: 'missing', problem: `record ${links.seq} stands here: ${which} missing or moved` };
    }
    if (links.seq < this.next) {
      return { kind: 'repeated', problem: `record ${links.seq} stands here: inserted or out of order` };
    }
    if (links.prev !== this.hash) {
      const before = this.next === 0 ? 'the beginning' : `record ${this.next - 1}`;
      return { kind: 'replaced', problem: `the record does not continue ${before}: one of them was replaced` };
    }
    this.next = links.seq + 1;
    this.hash = links.hash;
    return undefined;
  }
}

const DECISION = /"decision":"([0-9a-f-]{36})"/;

/** The decision id in a line, even if the line is damaged. */
export function decisionIn(line: Buffer): string | undefined {
  return DECISION.exec(line.toString('latin1', 0, Math.min(line.length, MAX_LINE_BYTES)))?.[1];
}
