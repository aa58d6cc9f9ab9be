/**
 * The content of one request. Up to limits.inspectedBodyBytes it is read whole, so that policy and privacy can look at it;
 * a larger one is a stream that policy has to permit, bounded by limits.streamedBodyBytes and read as fast as it is taken.
 */
import type { Limits } from '../../config/settings.ts';
import { type Body, EMPTY_BODY } from '../../exchange/arrival.ts';
import { Fault } from '../../faults/fault.ts';
import type { CheckedRequest } from './checked-request.ts';

export type BodyLimits = Pick<Limits, 'inspectedBodyBytes' | 'streamedBodyBytes'>;

/** Where content comes from: the connection's reader. */
export interface ContentSource {
  /** The next piece; undefined if it has not come yet or there is no more. Throws SP_HTTP_* for bad framing. */
  content(): Buffer | undefined;
  /** There is no more. */
  isEnded(): boolean;
}

export class RequestBody {
  readonly #source: ContentSource;
  readonly #length: number | undefined;
  readonly #limits: BodyLimits;
  readonly #wanted: () => void;
  #received = 0;
  #complete: boolean;
  #waiting = false;
  #inspecting = false;
  #fault: Fault | undefined;
  /** Called when there may be more, or a fault. */
  #wake: (() => void) | undefined;

  /** `wanted` is called once, before the first octet is waited for: the moment to send `100 Continue`. */
  constructor(source: ContentSource, checked: CheckedRequest, limits: BodyLimits, wanted: () => void) {
    this.#source = source;
    this.#length = checked.chunked ? undefined : (checked.contentLength ?? 0);
    this.#limits = limits;
    this.#wanted = wanted;
    this.#complete = this.#length === 0;
  }

  /** Every octet was read and none was refused. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Octets so far. */
  get received(): number {
    return this.#received;
  }

  /** It is the peer's turn: time passes at its cost. */
  get waiting(): boolean {
    return this.#waiting;
  }

  /** Nothing is decided yet, for the whole body is to be looked at first. */
  get inspecting(): boolean {
    return this.#inspecting;
  }

  /** Once. Throws or rejects with SP_HTTP_BODY_TOO_LARGE, SP_HTTP_FRAMING or what `fail` was told. */
  read(): Body | Promise<Body> {
    const length = this.#length;
    if (length === 0) return EMPTY_BODY;
    if (length !== undefined && length > this.#limits.streamedBodyBytes) throw new Fault('SP_HTTP_BODY_TOO_LARGE');
    if (length !== undefined && length > this.#limits.inspectedBodyBytes) {
      return { kind: 'stream', stream: this.#stream(undefined), length };
    }
    this.#wanted();
    const whole = new GrowingBytes(length ?? this.#limits.inspectedBodyBytes);
    // The usual case: it came with its head.
    return this.#collect(whole) ?? this.#collectLater(whole);
  }

  /** More bytes have come. */
  onData(): void {
    this.#wake?.();
  }

  /** The rest will not come, or must not count: a closed connection, too slow. */
  fail(fault: Fault): void {
    if (this.#complete || this.#fault !== undefined) return;
    this.#fault = fault;
    this.#wake?.();
  }

  /** Throws away what is still coming. Resolves at the end of the message, or when it cannot be found any more. */
  discard(): Promise<void> {
    return new Promise((resolve) => {
      const skip = (): void => {
        try {
          while (this.#source.content() !== undefined);
        } catch {
          resolve();
        }
        if (this.#source.isEnded()) resolve();
      };
      this.#wake = skip;
      skip();
    });
  }

  /** What has come so far; undefined if that is not all. */
  #collect(whole: GrowingBytes): Body | undefined {
    for (let piece = this.#source.content(); piece !== undefined; piece = this.#source.content()) {
      this.#received += piece.length;
      if (this.#received > this.#limits.inspectedBodyBytes) {
        const beginning = Buffer.concat([whole.bytes(), piece]);
        return { kind: 'stream', stream: this.#stream(beginning), length: undefined };
      }
      whole.add(piece);
    }
    if (!this.#source.isEnded()) return undefined;
    this.#complete = true;
    return this.#received === 0 ? EMPTY_BODY : { kind: 'bytes', bytes: whole.bytes() };
  }

  #collectLater(whole: GrowingBytes): Promise<Body> {
    this.#waiting = true;
    this.#inspecting = true;
    return new Promise<Body>((resolve, reject) => {
      this.#wake = () => {
        try {
          if (this.#fault !== undefined) throw this.#fault;
          const body = this.#collect(whole);
          if (body === undefined) return;
          this.#settle();
          resolve(body);
        } catch (thrown) {
          this.#settle();
          reject(thrown);
        }
      };
      if (this.#fault !== undefined) this.#wake();
    });
  }

  #settle(): void {
    this.#waiting = false;
    this.#inspecting = false;
    this.#wake = undefined;
  }

  /** What has come, small chunks in one piece: on its way up a piece costs microseconds, be it a single octet. */
  #gathered(): Buffer | undefined {
    const first = this.#source.content();
    if (first === undefined || first.length >= LARGE_PIECE_BYTES) return first;
    const gathered = new GrowingBytes(this.#limits.streamedBodyBytes);
    // At most what the connection keeps unread.
    for (let piece: Buffer | undefined = first; piece !== undefined; piece = this.#source.content())
      gathered.add(piece);
    return gathered.bytes();
  }

  async *#stream(beginning: Buffer | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    if (beginning === undefined) this.#wanted();
    else yield beginning;
    for (;;) {
      if (this.#fault !== undefined) throw this.#fault;
      const piece = this.#gathered();
      if (piece !== undefined) {
        this.#received += piece.length;
        if (this.#received > this.#limits.streamedBodyBytes) throw new Fault('SP_HTTP_BODY_TOO_LARGE');
        yield piece;
      } else if (this.#source.isEnded()) {
        this.#complete = true;
        return;
      } else {
        this.#waiting = true;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#waiting = false;
        this.#wake = undefined;
      }
    }
  }
}

/**
 * Octets in one piece. Many small chunks must not cost more than their octets (a list of 262,144 one-byte buffers takes
 * 25 MB), and an announced length must not be believed before it arrives.
 */
class GrowingBytes {
  readonly #most: number;
  #bytes: Buffer = EMPTY;
  #used = 0;

  constructor(most: number) {
    this.#most = most;
  }

  add(chunk: Buffer): void {
    const needed = this.#used + chunk.length;
    if (this.#used === 0) {
      this.#bytes = chunk;
      this.#used = needed;
      return;
    }
    if (needed > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(this.#most, needed * 2)));
      this.#bytes.copy(grown, 0, 0, this.#used);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#used);
    this.#used = needed;
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#used);
  }
}

const EMPTY = Buffer.alloc(0);
/** Copying it would cost more than it saves. */
const LARGE_PIECE_BYTES = 4_096;
