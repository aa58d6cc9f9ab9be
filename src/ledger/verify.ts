/**
 * Verification of a ledger, offline and streaming: every record of every file has its hash, and continues the one before.
 *
 * What a chain alone cannot show: records cut off at the end on a record's boundary, or a whole folder written anew by
 * somebody who computed every hash again. Both need an anchor kept elsewhere: `status` prints the head, and `expectHead`
 * demands that this record is there, with this hash.
 */
import { join } from 'node:path';
import { Fault } from '../faults/fault.ts';
import type { HeaderEntry } from './entry.ts';
import { codeOf, DISK, type LedgerFile, type LedgerFiles } from './files.ts';
import { ledgerFileNames, linksOf, MAX_LINE_BYTES } from './format.ts';
import { headerOf } from './recover.ts';
import { Chain, decisionIn, eachLine, type LineProblem } from './scan.ts';
import type { Head } from './writer.ts';

export interface VerifyOptions {
  /** A record that must be there: the anchor against cutting and rewriting. */
  readonly expectHead?: { readonly seq: number; readonly hash: string };
  /** Records that other streams name, by sequence number: they must be there too. */
  readonly anchors?: ReadonlyMap<number, Anchor>;
  /** The gateway is running: a line at the very end that is not complete is one being written, not a problem. */
  readonly live?: boolean;
  /** Told of each file that was read. */
  readonly onFile?: (name: string, records: number) => void;
  readonly files?: LedgerFiles;
}

export interface Anchor {
  readonly hash: string;
  /** Who names it. */
  readonly by: string;
}

export interface Problem {
  readonly kind: LineProblem['kind'] | 'torn' | 'file-missing' | 'grown' | 'truncated' | 'head';
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Sequence number that the record at this place has by the chain. */
  readonly seq: number;
  /** Decision id in the line, if there is one. */
  readonly decision?: string;
  readonly problem: string;
}

export interface Verification {
  readonly ok: boolean;
  /** Records that verified. */
  readonly records: number;
  readonly files: number;
  /** The last record that verified; undefined if there is none. */
  readonly head: Head | undefined;
  readonly firstProblem: Problem | undefined;
}

/** Reads the whole ledger in `directory` up to the first problem. Throws SP_LEDGER_BROKEN only if files cannot be read. */
export async function verifyLedger(directory: string, options: VerifyOptions = {}): Promise<Verification> {
  const files = options.files ?? DISK;
  const check = new Check(options);
  try {
    const names = ledgerFileNames(await files.list(directory));
    for (const [index, name] of names.entries()) {
      const file = await files.openForReading(join(directory, name));
      try {
        await check.file(file, name, index === names.length - 1);
      } finally {
        await file.close();
      }
      if (check.problem) break;
      options.onFile?.(name, check.records);
    }
  } catch (thrown) {
    throw new Fault('SP_LEDGER_BROKEN', 'The ledger cannot be read.', {
      cause: thrown,
      details: { code: codeOf(thrown) },
    });
  }
  return check.result();
}

class Check {
  readonly #options: VerifyOptions;
  readonly #chain = new Chain();
  #files = 0;
  #name = '';
  #lines = 0;
  /** Length of the file before. */
  #bytes = 0;
  #stream: string | undefined;
  problem: Problem | undefined;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  get records(): number {
    return this.#chain.next;
  }

  async file(file: LedgerFile, name: string, last: boolean): Promise<void> {
    const before = this.#name;
    this.#name = name;
    this.#lines = 0;
    const rest = await eachLine(file, 0, (line) => {
      const found = this.#lines === 0 ? (this.#header(line, before) ?? this.#next(line)) : this.#next(line);
      if (found) this.#fail(found.kind, found.problem, decisionIn(line));
      else this.#lines++;
      return !found;
    });
    this.#files++;
    this.#bytes = rest.offset + rest.bytes.length;
    if (this.problem || (rest.bytes.length === 0 && this.#lines > 0)) return;
    if (rest.bytes.length > MAX_LINE_BYTES) this.#fail('malformed', 'this line is longer than any record');
    else if (!last) this.#fail('malformed', 'the record is not complete', decisionIn(rest.bytes));
    else if (!this.#options.live) {
      const problem =
        'the last record is not complete: cut, or left by a crash; the next start of the gateway sets it aside';
      this.#fail('torn', problem, decisionIn(rest.bytes));
    }
  }

  result(): Verification {
    const { expectHead } = this.#options;
    const { next, hash } = this.#chain;
    const lost = this.problem ? undefined : this.#unmet();
    if (lost) {
      const what = next === 0 ? 'the stream is missing' : `records ${next} to ${lost.seq} are missing at the end`;
      this.#fail('truncated', `${what}; ${lost.by} names record ${lost.seq}`);
    }
    if (!this.problem && expectHead && next <= expectHead.seq) {
      this.#fail('truncated', `records ${next} to ${expectHead.seq} are missing at the end`);
    }
    const head = next === 0 ? undefined : { seq: next - 1, hash, file: this.#name };
    return { ok: !this.problem, records: next, files: this.#files, head, firstProblem: this.problem };
  }

  #next(line: Buffer): Pick<Problem, 'kind' | 'problem'> | undefined {
    const found = this.#chain.check(line);
    if (found) return found;
    const { expectHead, anchors } = this.#options;
    const anchor = anchors?.get(this.#chain.next - 1);
    if (anchor && anchor.hash !== this.#chain.hash) {
      this.#chain.next--;
      return {
        kind: 'head',
        problem: `the record has another hash than ${anchor.by} names: the stream was written anew`,
      };
    }
    if (expectHead?.seq !== this.#chain.next - 1 || expectHead.hash === this.#chain.hash) return undefined;
    this.#chain.next--;
    return { kind: 'head', problem: 'the record has another hash than the one expected: the ledger was written anew' };
  }

  /** The last record that another stream names, if it is not here. */
  #unmet(): { seq: number; by: string } | undefined {
    let unmet: { seq: number; by: string } | undefined;
    for (const [seq, { by }] of this.#options.anchors ?? []) {
      if (seq >= this.#chain.next && seq > (unmet?.seq ?? -1)) unmet = { seq, by };
    }
    return unmet;
  }

  /** The first line of a file must be the header that its name and the file before ask for. */
  #header(line: Buffer, before: string): Pick<Problem, 'kind' | 'problem'> | undefined {
    if (!linksOf(line)?.intact) return undefined; // the chain says what is wrong with it
    const header = headerOf(line, this.#name);
    if (!header) return { kind: 'malformed', problem: 'the file does not begin with a header that this version knows' };
    if (this.#stream !== undefined && header.stream !== this.#stream) {
      return { kind: 'replaced', problem: `the file belongs to another stream, ${header.stream}` };
    }
    this.#stream = header.stream;
    return this.#joint(header, before);
  }

  #joint(header: HeaderEntry, before: string): Pick<Problem, 'kind' | 'problem'> | undefined {
    const { previous } = header;
    if (previous && previous.file !== before) {
      return { kind: 'file-missing', problem: `the file before, ${previous.file}, is missing` };
    }
    if (previous && this.#bytes > previous.bytes) {
      return { kind: 'grown', problem: `the file before, ${previous.file}, has grown since it was sealed` };
    }
    return undefined;
  }

  #fail(kind: Problem['kind'], problem: string, decision?: string): void {
    this.problem = {
      kind,
      file: this.#name,
      line: this.#lines + 1,
      seq: this.#chain.next,
      ...(decision !== undefined && { decision }),
      problem,
    };
  }
}
