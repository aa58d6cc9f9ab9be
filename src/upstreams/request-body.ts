/**
 * A streamed request body on its way up: pulled from the device only as fast as the upstream takes it, bounded, and ended
 * only when it has exactly the length that was declared. A body that breaks off must never look complete.
 */
import { Readable } from 'node:stream';
import type { Body } from '../exchange/arrival.ts';
import { Fault } from '../faults/fault.ts';

export class RequestStream {
  readonly readable: Readable;
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #declared: number | undefined;
  readonly #maxBytes: number;
  #waiting = false;

  /** @param maxBytes limits.streamedBodyBytes */
  constructor(body: Extract<Body, { kind: 'stream' }>, maxBytes: number) {
    this.#source = body.stream;
    this.#declared = body.length;
    this.#maxBytes = maxBytes;
    this.readable = Readable.from(this.#pieces(), { objectMode: false });
    // The lane listens while it writes; an error after an early answer would otherwise end the process.
    this.readable.on('error', () => undefined);
  }

  /** True while the next piece is the device's to send: then a timeout is not the upstream's fault. */
  get waitsForDevice(): boolean {
    return this.#waiting;
  }

  async *#pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    let length = 0;
    this.#waiting = true;
    try {
      for await (const piece of this.#source) {
        this.#waiting = false;
        length += piece.byteLength;
        if (length > this.#maxBytes) throw new Fault('SP_HTTP_BODY_TOO_LARGE');
        if (this.#declared !== undefined && length > this.#declared) throw differs();
        if (piece.byteLength > 0) yield piece;
        this.#waiting = true;
      }
    } catch (error) {
      throw error instanceof Fault ? error : new Fault('SP_EXCHANGE_CANCELLED', undefined, { cause: error });
    } finally {
      this.#waiting = false;
    }
    if (this.#declared !== undefined && length !== this.#declared) throw differs();
  }
}

function differs(): Fault {
  return new Fault('SP_HTTP_FRAMING', 'The streamed body has not the length that was declared.');
}
