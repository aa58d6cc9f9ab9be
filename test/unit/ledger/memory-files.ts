/**
 * A disk in memory that can fail and lose power. Each file has two contents: what a reader sees (`seen`), and what the
 * platters hold (`durable`). A successful write reaches both; a failed one may reach the first alone and, as on Linux, is
 * never brought to the second by a later success: only writing those bytes again does that.
 */
import type { LedgerFile, LedgerFiles } from '../../../src/ledger/files.ts';

export interface MemoryFile {
  seen: Buffer;
  durable: Buffer;
  /** Length the durable content gets with the next successful write. */
  cut?: number | undefined;
}

/** What a write shall do instead of succeeding. `reached`: how many of its bytes a reader sees afterwards. */
export interface Refusal {
  readonly code: 'ENOSPC' | 'EIO';
  readonly reached: number;
  /** The platters got them too. */
  readonly durable?: boolean;
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

export class MemoryFiles implements LedgerFiles {
  readonly files = new Map<string, MemoryFile>();
  /** Counts write calls, and is asked before each. */
  refuse: (call: number, bytes: number, path: string) => Refusal | undefined = () => undefined;
  /** Writes wait for it. */
  hold: Promise<void> | undefined;
  writes = 0;
  truncates = 0;

  async list(directory: string): Promise<string[]> {
    return [...this.files.keys()]
      .filter((path) => path.startsWith(`${directory}/`))
      .map((path) => path.slice(directory.length + 1));
  }

  async makeDirectory(): Promise<void> {}

  async create(path: string): Promise<LedgerFile> {
    if (this.files.has(path)) throw systemError('EEXIST');
    this.files.set(path, { seen: Buffer.alloc(0), durable: Buffer.alloc(0) });
    return this.open(path);
  }

  async open(path: string): Promise<LedgerFile> {
    const file = this.files.get(path);
    if (!file) throw systemError('ENOENT');
    return this.#handle(file, path);
  }

  openForReading(path: string): Promise<LedgerFile> {
    return this.open(path);
  }

  async rename(from: string, to: string): Promise<void> {
    const file = this.files.get(from);
    if (!file) throw systemError('ENOENT');
    this.files.delete(from);
    this.files.set(to, file);
  }

  async remove(path: string): Promise<void> {
    if (!this.files.delete(path)) throw systemError('ENOENT');
  }

  async syncDirectory(): Promise<void> {}

  /** What is left of everything is what was durable. */
  losePower(): void {
    for (const file of this.files.values()) {
      file.seen = Buffer.from(file.durable);
      file.cut = undefined;
    }
  }

  #handle(file: MemoryFile, path: string): LedgerFile {
    return {
      write: async (bytes, position) => {
        if (this.hold) await this.hold;
        const refusal = this.refuse(++this.writes, bytes.byteLength, path);
        if (refusal) {
          file.seen = put(file.seen, bytes.subarray(0, refusal.reached), position);
          if (refusal.durable) file.durable = put(file.durable, bytes.subarray(0, refusal.reached), position);
          throw systemError(refusal.code);
        }
        file.seen = put(file.seen, bytes, position);
        if (file.cut !== undefined) file.durable = file.durable.subarray(0, file.cut);
        file.cut = undefined;
        file.durable = put(file.durable, bytes, position);
      },
      read: async (buffer, position) => file.seen.copy(buffer, 0, position, position + buffer.byteLength),
      size: async () => file.seen.length,
      truncate: async (bytes) => {
        this.truncates++;
        file.seen = file.seen.subarray(0, bytes);
        file.cut = bytes;
      },
      close: async () => {},
    };
  }
}

function put(content: Buffer, bytes: Uint8Array, position: number): Buffer {
  if (bytes.byteLength === 0) return content;
  const result = Buffer.alloc(Math.max(content.length, position + bytes.byteLength));
  content.copy(result);
  result.set(bytes, position);
  return result;
}
