/**
 * Lines to a file descriptor without waiting: gathered for one round of the event loop, then written by the thread pool. A
 * reader that stands still costs lines, never memory beyond the bound, the event loop, or the end of the process (the
 * usual stream for pino retries for ever there, whatever the error).
 */
import { write, writeSync } from 'node:fs';

/** Takes finished lines, newline included. A human-readable mode is a destination that rewrites them. */
export interface LogDestination {
  write(line: string): void;
  flushSync?(): void;
}

/** Text kept for a slow reader, UTF-16 units. */
const MAX_PENDING = 1_048_576;

/** Pause before the next attempt when the reader's pipe is full. */
const RETRY_MS = 20;

/** Attempts at the end of the process, RETRY_MS apart. */
const LAST_ATTEMPTS = 10;

const NOTHING = Buffer.alloc(0);
const NEWLINE = 0x0a;

/** PIPE_BUF of Linux: what is not longer reaches a pipe in one piece, whoever else writes to it. */
const MAX_WHOLE_BYTES = 4_096;

export class LineWriter implements LogDestination {
  readonly #descriptor: number;
  readonly #onDrop: (characters: number) => void;
  readonly #isShared: boolean;
  #pending = '';
  /** Taken from pending, not yet written. */
  #taken: Buffer = NOTHING;
  /** A turn is scheduled, a write under way or a retry awaited. */
  #busy = false;
  /** The thread pool has `#taken`. */
  #writing = false;
  #gone = false;

  /** @param isShared other processes write lines to the same pipe: none may be torn apart */
  constructor(descriptor: number, onDrop: (characters: number) => void = () => {}, isShared = false) {
    this.#descriptor = descriptor;
    this.#isShared = isShared;
    this.#onDrop = onDrop;
    // Asking for the stream makes a pipe non-blocking. A blocking one would hold a thread, and with it the end of the
    // process, for as long as its reader stands still.
    if (descriptor === 1) void process.stdout;
    if (descriptor === 2) void process.stderr;
    process.once('exit', () => this.flushSync());
  }

  write(line: string): void {
    if (this.#gone || this.#pending.length + line.length > MAX_PENDING) {
      this.#onDrop(line.length);
      return;
    }
    this.#pending += line;
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => this.#next());
  }

  /** Writes what is pending, now, to a reader that reads. */
  flushSync(): void {
    let rest = Buffer.from(this.#pending);
    // What the thread pool has is written by it; whether it was cannot be known here.
    if (!this.#writing) {
      rest = Buffer.concat([this.#taken, rest]);
      this.#taken = NOTHING;
    }
    this.#pending = '';
    for (let attempt = 1; rest.byteLength > 0; ) {
      try {
        rest = rest.subarray(writeSync(this.#descriptor, this.#piece(rest)));
      } catch (thrown) {
        if (!isFull(thrown) || ++attempt > LAST_ATTEMPTS) break;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      }
    }
    if (rest.byteLength > 0) this.#onDrop(rest.byteLength);
  }

  /** As many whole lines as one write takes in one piece; a line longer than that alone. */
  #piece(bytes: Buffer): Buffer {
    if (!this.#isShared || bytes.byteLength <= MAX_WHOLE_BYTES) return bytes;
    const fits = bytes.lastIndexOf(NEWLINE, MAX_WHOLE_BYTES - 1);
    const end = fits < 0 ? bytes.indexOf(NEWLINE) : fits;
    return end < 0 ? bytes : bytes.subarray(0, end + 1);
  }

  #next(): void {
    if (this.#taken.byteLength === 0) {
      this.#taken = Buffer.from(this.#pending);
      this.#pending = '';
    }
    if (this.#taken.byteLength === 0) {
      this.#busy = false;
      return;
    }
    this.#writing = true;
    write(this.#descriptor, this.#piece(this.#taken), (error, written) => {
      this.#writing = false;
      if (isFull(error)) {
        setTimeout(() => this.#next(), RETRY_MS).unref();
        return;
      }
      if (error) {
        this.#onDrop(this.#taken.byteLength);
        // A closed pipe (`sallyport run | head`) ends the log, not the gateway.
        if (error.code === 'EPIPE') this.#gone = true;
      }
      this.#taken = error ? NOTHING : this.#taken.subarray(written);
      this.#next();
    });
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
