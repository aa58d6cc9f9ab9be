/**
 * Messages that have arrived and wait for their turn. One reader takes them in order, one at a time; when too much waits,
 * the sender is held back until everything is taken. Sans-I/O: holding and releasing are the owner's.
 */
import type { ChannelMessage } from '../exchange/message.ts';

export interface Sluice {
  /** Stop reading from the peer. */
  hold(): void;
  /** Read on. */
  release(): void;
}

/** What may wait before the sender is held back. One chunk of the socket can overshoot it, and the rate limit bounds that. */
const MAX_WAITING_MESSAGES = 16;
const MAX_WAITING_BYTES = 65_536;

const DONE: IteratorResult<ChannelMessage> = { done: true, value: undefined };

export class Inbox implements AsyncIterable<ChannelMessage> {
  readonly #sluice: Sluice;
  #messages: ChannelMessage[] = [];
  #bytes = 0;
  #held = false;
  #ended = false;
  #taken = false;
  #reader: ((result: IteratorResult<ChannelMessage>) => void) | undefined;

  constructor(sluice: Sluice) {
    this.#sluice = sluice;
  }

  /** True once somebody reads. */
  get taken(): boolean {
    return this.#taken;
  }

  put(message: ChannelMessage): void {
    if (this.#ended) return;
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader({ done: false, value: message });
      return;
    }
    this.#messages.push(message);
    this.#bytes += message.bytes.byteLength;
    if (!this.#held && (this.#messages.length >= MAX_WAITING_MESSAGES || this.#bytes >= MAX_WAITING_BYTES)) {
      this.#held = true;
      this.#sluice.hold();
    }
  }

  /** No more will come; what waits can still be taken. */
  end(): void {
    this.#ended = true;
    this.#reader?.(DONE);
    this.#reader = undefined;
  }

  /** No more will come, and what waits is thrown away. */
  discard(): void {
    this.#messages = [];
    this.#bytes = 0;
    this.end();
  }

  [Symbol.asyncIterator](): AsyncIterator<ChannelMessage> {
    this.#taken = true;
    return {
      next: () => this.#next(),
      return: () => {
        this.discard();
        return Promise.resolve(DONE);
      },
    };
  }

  #next(): Promise<IteratorResult<ChannelMessage>> {
    const message = this.#messages.shift();
    if (message !== undefined) {
      this.#bytes -= message.bytes.byteLength;
      if (this.#held && this.#messages.length === 0) {
        this.#held = false;
        this.#sluice.release();
      }
      return Promise.resolve({ done: false, value: message });
    }
    if (this.#ended) return Promise.resolve(DONE);
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }
}
