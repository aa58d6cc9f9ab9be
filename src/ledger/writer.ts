/**
 * The only writer of a stream: chains records, appends them to the current file, begins new files. Its state moves on only
 * when the disk has the bytes; after a failed append it demands `replace()` before anything else is written.
 */
import { join } from 'node:path';
import { Fault } from '../faults/fault.ts';
import { type FileReason, headerBody, recoveredBody } from './encode.ts';
import type { LedgerFile, LedgerFiles } from './files.ts';
import { chained, FORMAT, fileName, GENESIS, linksOf } from './format.ts';
import { recover } from './recover.ts';
import { Chain, eachLine } from './scan.ts';

export interface WriterOptions {
  readonly directory: string;
  readonly gateway: string;
  readonly stream: string;
  readonly maxFileBytes: number;
  readonly setBrokenAside: boolean;
  readonly files: LedgerFiles;
  readonly now: () => number;
}

/** The last record on the disk. Kept outside the gateway, it proves later that nothing was cut off. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
  readonly file: string;
}

/** Acknowledged state of a file. */
interface Position extends Head {
  readonly bytes: number;
}

const EMPTY: Position = { seq: -1, hash: GENESIS, file: '', bytes: 0 };

export class Writer {
  readonly #options: WriterOptions;
  readonly #files: LedgerFiles;
  /** Undefined while no file can be trusted. */
  #file: LedgerFile | undefined;
  #at: Position = EMPTY;
  /** Where the file before the current one ended, if this writer began the current one. */
  #before: Position | undefined;
  /** A file that was begun in vain and could not be removed. */
  #leftover: string | undefined;
  #buffer = Buffer.allocUnsafe(65_536);

  private constructor(options: WriterOptions) {
    this.#options = options;
    this.#files = options.files;
  }

  /** Goes on where the stream ends. Throws SP_LEDGER_BROKEN; any other error is the disk's. */
  static async open(options: WriterOptions): Promise<Writer> {
    const writer = new Writer(options);
    try {
      await writer.#recover();
      return writer;
    } catch (thrown) {
      await writer.close().catch(() => {});
      throw thrown;
    }
  }

  get head(): Head {
    const { seq, hash, file } = this.#at;
    return { seq, hash, file };
  }

  /** Appends records; resolves with the number of bytes when they are on the disk. */
  async append(bodies: readonly { readonly body: string }[]): Promise<number> {
    if (this.#at.bytes >= this.#options.maxFileBytes) await this.#rotate();
    const file = this.#file;
    if (!file) throw new Fault('SP_LEDGER_WRITE');
    let { seq, hash } = this.#at;
    let length = 0;
    for (const { body } of bodies) {
      const line = chained(++seq, body, hash);
      hash = line.hash;
      this.#reserve(length, line.text.length);
      length += this.#buffer.write(line.text, length, 'latin1');
    }
    await file.write(this.#buffer.subarray(0, length), this.#at.bytes);
    this.#at = { seq, hash, file: this.#at.file, bytes: this.#at.bytes + length };
    return length;
  }

  /**
   * After a failed append: what it left in the file is unknown, and a failed sync is reported once only. So the file is
   * read again up to its last acknowledged byte, sealed there, and a new one goes on. Throws SP_LEDGER_BROKEN if
   * acknowledged records are gone; any other error is the disk's, and replace() may be tried again.
   */
  async replace(): Promise<void> {
    const suspect = this.#file;
    this.#file = undefined;
    await suspect?.close().catch(() => {});
    if (this.#before && this.#at.seq === this.#firstSeq) {
      // Nothing but its header was ever in it: begun again, so that a full disk does not leave a file per attempt.
      await this.#files.remove(join(this.#options.directory, this.#at.file));
      this.#at = this.#before;
      this.#before = undefined;
    } else if (this.#at !== EMPTY) await this.#seal();
    await this.#begin('failure');
  }

  /** Sequence number of the current file's header. Read off its name, so that it cannot outlive a file that was removed. */
  get #firstSeq(): number {
    return Number(this.#at.file.slice(0, 16));
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #recover(): Promise<void> {
    const { directory, stream, setBrokenAside, now } = this.#options;
    await this.#files.makeDirectory(directory);
    const { end, setAside } = await recover(directory, this.#files, setBrokenAside);
    if (end) {
      this.#file = end.file;
      this.#at = { seq: end.seq, hash: end.hash, file: end.name, bytes: end.bytes };
      if (end.stream !== stream) {
        throw new Fault('SP_LEDGER_BROKEN', 'The folder holds another stream of the ledger.', {
          details: { file: end.name, stream: end.stream, expected: stream },
        });
      }
      // A file has what its header says, and nothing that a reader of that format would not know.
      if (end.format !== FORMAT) await this.#rotate();
    } else await this.#begin('rotation');
    const time = now();
    if (setAside.length > 0) await this.append(setAside.map((one) => ({ body: recoveredBody(time, one) })));
  }

  async #rotate(): Promise<void> {
    const sealed = this.#file;
    await this.#begin('rotation');
    await sealed?.close();
  }

  /** Begins a file with its header. On failure the state is as it was, and nothing is left that would count. */
  async #begin(reason: FileReason): Promise<void> {
    const { directory, gateway, stream, now } = this.#options;
    const before = this.#at;
    const seq = before.seq + 1;
    const name = fileName(seq);
    const path = join(directory, name);
    const origin =
      before === EMPTY
        ? { reason: 'first' as const }
        : { reason, previous: { file: before.file, bytes: before.bytes } };
    const line = chained(seq, headerBody({ format: FORMAT, time: now(), gateway, stream, ...origin }), before.hash);
    if (this.#leftover) await this.#files.remove(this.#leftover);
    this.#leftover = undefined;
    const file = await this.#files.create(path);
    try {
      await file.write(Buffer.from(line.text, 'latin1'), 0);
      await this.#files.syncDirectory(directory);
    } catch (thrown) {
      await file.close().catch(() => {});
      await this.#files.remove(path).catch(() => {
        this.#leftover = path;
      });
      throw thrown;
    }
    this.#file = file;
    this.#before = before;
    this.#at = { seq, hash: line.hash, file: name, bytes: line.text.length };
  }

  async #seal(): Promise<void> {
    const { file: name, bytes } = this.#at;
    const file = await this.#files.open(join(this.#options.directory, name));
    try {
      await this.#verifyAcknowledged(file);
      await file.truncate(bytes);
      // Its last byte once more: the write brings the new length to the disk, and a disk that still refuses says so.
      await file.write(Buffer.from('\n'), bytes - 1);
    } finally {
      await file.close();
    }
  }

  async #verifyAcknowledged(file: LedgerFile): Promise<void> {
    const { bytes, hash, file: name } = this.#at;
    let chain: Chain | undefined;
    let problem: string | undefined;
    const visit = (line: Buffer): boolean => {
      chain ??= new Chain(this.#firstSeq, linksOf(line)?.prev);
      problem = chain.check(line)?.problem;
      return problem === undefined;
    };
    const rest = await eachLine(file, 0, visit, bytes);
    if (problem === undefined && rest.offset === bytes && chain?.hash === hash) return;
    throw new Fault('SP_LEDGER_BROKEN', `What was on record in ${name} is not there any more.`, {
      details: { file: name, problem: problem ?? 'records are missing at the end' },
    });
  }

  #reserve(held: number, more: number): void {
    if (held + more <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(held + more, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, held);
    this.#buffer = larger;
  }
}
