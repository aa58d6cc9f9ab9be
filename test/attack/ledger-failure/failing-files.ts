/** A disk in memory whose every operation can be made to fail, with what a failed one leaves behind. */
import type { LedgerFile, LedgerFiles } from '../../../src/ledger/files.ts';
import { MemoryFiles, systemError } from '../../unit/ledger/memory-files.ts';

export const OPERATIONS = [
  'write',
  'create',
  'open',
  'openForReading',
  'read',
  'truncate',
  'remove',
  'syncDirectory',
  'size',
  'close',
] as const;

export type Operation = (typeof OPERATIONS)[number];

/** One failure to come: the `after`-th next operation of this kind fails. */
export interface Failure {
  readonly operation: Operation;
  readonly after: number;
  readonly code: 'ENOSPC' | 'EIO';
  /** For a write: the part of the bytes that a reader sees nevertheless, 0 to 1. */
  readonly reached: number;
  /** For a write: the platters got that part. */
  readonly durable: boolean;
}

export class FailingFiles implements LedgerFiles {
  readonly memory = new MemoryFiles();
  readonly #coming: { left: number; readonly failure: Failure }[] = [];
  /** Failures that happened, by operation. */
  readonly happened = new Map<Operation, number>();

  constructor() {
    this.memory.refuse = (_, bytes) => {
      const failure = this.#due('write');
      if (failure === undefined) return undefined;
      const { code, durable, reached } = failure;
      return { code, durable, reached: Math.floor(reached * bytes) };
    };
  }

  plan(...failures: readonly Failure[]): void {
    this.#coming.length = 0;
    for (const failure of failures) this.#coming.push({ left: failure.after, failure });
  }

  get total(): number {
    return [...this.happened.values()].reduce((sum, count) => sum + count, 0);
  }

  /** True if the platters hold this text in any file. */
  holds(text: string): boolean {
    for (const { durable } of [...this.memory.files.values()].reverse()) if (durable.includes(text)) return true;
    return false;
  }

  list(directory: string): Promise<string[]> {
    return this.memory.list(directory);
  }

  makeDirectory(): Promise<void> {
    return this.memory.makeDirectory();
  }

  async create(path: string): Promise<LedgerFile> {
    this.#maybe('create');
    return this.#wrapped(await this.memory.create(path));
  }

  async open(path: string): Promise<LedgerFile> {
    this.#maybe('open');
    return this.#wrapped(await this.memory.open(path));
  }

  async openForReading(path: string): Promise<LedgerFile> {
    this.#maybe('openForReading');
    return this.#wrapped(await this.memory.openForReading(path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.memory.rename(from, to);
  }

  async remove(path: string): Promise<void> {
    this.#maybe('remove');
    await this.memory.remove(path);
  }

  async syncDirectory(): Promise<void> {
    this.#maybe('syncDirectory');
  }

  #wrapped(file: LedgerFile): LedgerFile {
    return {
      write: (bytes, position) => file.write(bytes, position),
      read: async (buffer, position) => {
        this.#maybe('read');
        return file.read(buffer, position);
      },
      size: async () => {
        this.#maybe('size');
        return file.size();
      },
      truncate: async (bytes) => {
        this.#maybe('truncate');
        await file.truncate(bytes);
      },
      close: async () => {
        this.#maybe('close');
        await file.close();
      },
    };
  }

  #maybe(operation: Operation): void {
    const failure = this.#due(operation);
    if (failure !== undefined) throw systemError(failure.code);
  }

  #due(operation: Operation): Failure | undefined {
    const next = this.#coming.find(({ failure }) => failure.operation === operation);
    if (next === undefined || --next.left > 0) return undefined;
    this.#coming.splice(this.#coming.indexOf(next), 1);
    this.happened.set(operation, (this.happened.get(operation) ?? 0) + 1);
    return next.failure;
  }
}
