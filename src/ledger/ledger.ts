/**
 * The record of every decision: group commit, fail closed.
 *
 * Whatever is queued while a write is on its way to the disk goes into the next write. A record is acknowledged when the
 * disk has it; the reverse does not hold: after a crash there may be records whose message was never forwarded. After a
 * failed write every record is refused, and with it the message, until a new file has been begun.
 */
import { performance } from 'node:perf_hooks';
import type { DecisionRecord, OutcomeRecord, Recorder } from '../exchange/gate.ts';
import { Fault } from '../faults/fault.ts';
import { anchorBody, decisionBody, lossBody, outcomeBody, type StreamHead } from './encode.ts';
import { codeOf, DISK, type LedgerFiles } from './files.ts';
import { LINE_OVERHEAD, MAX_BATCH_BYTES } from './format.ts';
import { type OperatorRecord, operatorBody, type RefusalRecord, refusalBody } from './operator-record.ts';
import { type Head, Writer } from './writer.ts';

export interface LedgerOptions {
  readonly gateway: string;
  /** The stream's name; a worker has its own stream in its own folder. Default `main`. */
  readonly stream?: string;
  /** A file that has reached this length is followed by a new one. */
  readonly maxFileBytes: number;
  /** Most records waiting for the disk. */
  readonly maxQueue: number;
  /** Pause between attempts to go on after a failed write. Default 1,000. */
  readonly reopenIntervalMs?: number;
  /** Opens a ledger that does not verify: what follows the break in its last file is set aside, and the ledger says so. */
  readonly dangerouslySetBrokenAside?: boolean;
  readonly files?: LedgerFiles;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Told of each write that reached the disk. Must not throw. */
  readonly onCommit?: (records: number, bytes: number, tookMicros: number) => void;
  /** Told of each failed write or attempt to go on. Must not throw. */
  readonly onFailure?: (fault: Fault) => void;
}

interface Waiting {
  readonly body: string;
  /** Both absent: nobody waits for it. */
  readonly resolve?: () => void;
  readonly reject?: (fault: Fault) => void;
}

const DEFAULT_REOPEN_INTERVAL_MS = 1_000;
/** Room in the queue that devices cannot fill, for what an operator does. */
const KEPT_FOR_OPERATORS = 1_000;

export class Ledger implements Recorder {
  readonly #writer: Writer;
  readonly #options: LedgerOptions;
  #waiting: Waiting[] = [];
  /** A commit or an attempt to go on is under way. */
  #turning = false;
  #failure: Fault | undefined;
  #reopening: NodeJS.Timeout | undefined;
  #lostOutcomes = 0;
  #undeclared = 0;
  #closed = false;
  #whenIdle: (() => void) | undefined;

  private constructor(writer: Writer, options: LedgerOptions) {
    this.#writer = writer;
    this.#options = options;
  }

  /**
   * Opens the ledger in `directory` (made if missing) and goes on where it ends. Throws SP_LEDGER_BROKEN if it does not
   * verify, SP_LEDGER_WRITE if the disk refuses.
   */
  static async open(directory: string, options: LedgerOptions): Promise<Ledger> {
    try {
      const writer = await Writer.open({
        directory,
        gateway: options.gateway,
        stream: options.stream ?? 'main',
        maxFileBytes: options.maxFileBytes,
        setBrokenAside: options.dangerouslySetBrokenAside ?? false,
        files: options.files ?? DISK,
        now: options.now ?? Date.now,
      });
      return new Ledger(writer, options);
    } catch (thrown) {
      throw asFault(thrown);
    }
  }

  record(record: DecisionRecord): Promise<void> {
    // Encoded now: what is on record is what was decided, whatever happens to the object meanwhile.
    return this.#whenOnDisk(() => decisionBody(record), this.#options.maxQueue);
  }

  /** An act of an operator that must not happen without its record. Resolves and throws as `record` does. */
  operator(record: OperatorRecord): Promise<void> {
    return this.#whenOnDisk(() => operatorBody(record), this.#options.maxQueue + KEPT_FOR_OPERATORS);
  }

  /**
   * An act of an operator that happens in any case: while the disk refuses, its record is kept in memory. Resolves when it is
   * on the disk. Throws SP_LEDGER_WRITE if the ledger is closed or too much is kept already.
   */
  keepOperator(record: OperatorRecord): Promise<void> {
    if (this.#closed || this.#waiting.length >= this.#options.maxQueue + KEPT_FOR_OPERATORS) {
      return Promise.reject(new Fault('SP_LEDGER_WRITE', 'The record cannot be kept.'));
    }
    return new Promise((resolve) => {
      this.#enqueue({ body: operatorBody(record), resolve });
    });
  }

  /** A refusal of a listener; nobody waits for it. Not while the disk refuses: then there is a flood of other things. */
  refusal(record: RefusalRecord): void {
    if (this.#closed || this.#failure || this.#waiting.length >= this.#options.maxQueue) return;
    this.#enqueue({ body: refusalBody(record) });
  }

  #whenOnDisk(body: () => string, maxWaiting: number): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(new Fault('SP_LEDGER_WRITE', 'The ledger is closed.'));
    if (this.#waiting.length >= maxWaiting) {
      return Promise.reject(new Fault('SP_LEDGER_WRITE', 'Too many records wait for the disk.'));
    }
    return new Promise((resolve, reject) => {
      this.#enqueue({ body: body(), resolve, reject });
    });
  }

  outcome(record: OutcomeRecord): void {
    if (this.#closed || this.#waiting.length >= this.#options.maxQueue) {
      this.#lostOutcomes++;
      this.#undeclared++;
      return;
    }
    this.#enqueue({ body: outcomeBody(record) });
  }

  /** Puts on record where other streams stand; nobody waits for it. Nothing is written if there is none. */
  anchor(heads: readonly StreamHead[]): void {
    if (heads.length === 0 || this.#closed || this.#waiting.length >= this.#options.maxQueue) return;
    this.#enqueue({ body: anchorBody((this.#options.now ?? Date.now)(), heads) });
  }

  /** The last record on the disk. */
  get head(): Head {
    return this.#writer.head;
  }

  /** Why nothing can be recorded at the moment; undefined when all is well. */
  get failure(): Fault | undefined {
    return this.#failure;
  }

  /** Records waiting for the disk. */
  get queued(): number {
    return this.#waiting.length;
  }

  /** Outcomes that found the queue full. Their number is declared in the ledger with the next write. */
  get lostOutcomes(): number {
    return this.#lostOutcomes;
  }

  /** Writes what is queued, then closes. Later records are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#reopening);
    if (this.#turning) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    await this.#writer.close();
  }

  #enqueue(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#wake();
  }

  /** A turn starts after the present round of the event loop: whoever arrives in the same round shares the write. */
  #wake(): void {
    if (this.#turning || this.#failure || this.#waiting.length === 0) return;
    this.#turning = true;
    setImmediate(() => void this.#turn());
  }

  async #turn(): Promise<void> {
    const batch = this.#nextBatch();
    const started = performance.now();
    try {
      const bytes = await this.#writer.append(batch);
      for (const { resolve } of batch) resolve?.();
      this.#options.onCommit?.(batch.length, bytes, Math.round((performance.now() - started) * 1_000));
    } catch (thrown) {
      this.#refuse(batch, asFault(thrown));
    }
    this.#rest();
  }

  #nextBatch(): Waiting[] {
    if (this.#undeclared > 0) {
      this.#waiting.unshift({ body: lossBody((this.#options.now ?? Date.now)(), this.#undeclared) });
      this.#undeclared = 0;
    }
    let bytes = 0;
    let count = 0;
    for (const { body } of this.#waiting) {
      bytes += body.length + LINE_OVERHEAD;
      if (bytes > MAX_BATCH_BYTES) break;
      count++;
    }
    if (count < this.#waiting.length) return this.#waiting.splice(0, count);
    const batch = this.#waiting;
    this.#waiting = [];
    return batch;
  }

  /** Refuses the batch and everything queued behind it; what nobody waits for is kept for later. */
  #refuse(batch: readonly Waiting[], fault: Fault): void {
    this.#failure = fault;
    const refused = [...batch, ...this.#waiting];
    this.#waiting = refused.filter(({ reject }) => !reject);
    for (const { reject } of refused) reject?.(fault);
    this.#failed(fault);
  }

  #failed(fault: Fault): void {
    this.#failure = fault;
    this.#options.onFailure?.(fault);
    if (this.#closed) return;
    const pauseMs = this.#options.reopenIntervalMs ?? DEFAULT_REOPEN_INTERVAL_MS;
    this.#reopening = setTimeout(() => void this.#reopen(), pauseMs).unref();
  }

  async #reopen(): Promise<void> {
    this.#turning = true;
    try {
      await this.#writer.replace();
      this.#failure = undefined;
    } catch (thrown) {
      this.#failed(asFault(thrown));
    }
    this.#rest();
  }

  #rest(): void {
    this.#turning = false;
    this.#wake();
    if (!this.#turning) this.#whenIdle?.();
  }
}

function asFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  return new Fault('SP_LEDGER_WRITE', undefined, { cause: thrown, details: { code: codeOf(thrown) } });
}
