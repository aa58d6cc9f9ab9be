/**
 * The content of one request (RFC 9112 section 6): buffered whole up to limits.inspectedBodyBytes, beyond that a stream
 * that begins with what was buffered and ends, at the latest, at limits.streamedBodyBytes.
 */
import type { IncomingMessage } from 'node:http';
import type { Limits } from '../../config/settings.ts';
import { type Body, EMPTY_BODY } from '../../exchange/arrival.ts';
import { Fault } from '../../faults/fault.ts';
import type { CheckedRequest } from './checked-request.ts';

export type BodyLimits = Pick<Limits, 'inspectedBodyBytes' | 'streamedBodyBytes'>;

export class RequestBody {
  readonly #request: IncomingMessage;
  readonly #length: number | undefined;
  readonly #limits: BodyLimits;
  readonly #wanted: () => void;
  #received = 0;
  #complete: boolean;
  #waiting = false;
  #inspecting = false;
  #fault: Fault | undefined;
  #wake: (() => void) | undefined;

  /** `wanted` is called once, before the first octet is waited for: the moment to send `100 Continue`. */
  constructor(request: IncomingMessage, checked: CheckedRequest, limits: BodyLimits, wanted: () => void) {
    this.#request = request;
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

  /** Once. Throws or rejects with SP_HTTP_BODY_TOO_LARGE, SP_HTTP_FRAMING (trailers) or what `fail` was told. */
  read(): Body | Promise<Body> {
    const length = this.#length;
    if (length === 0) return EMPTY_BODY;
    if (length !== undefined && length > this.#limits.streamedBodyBytes) throw new Fault('SP_HTTP_BODY_TOO_LARGE');
    if (length !== undefined && length > this.#limits.inspectedBodyBytes) {
      return { kind: 'stream', stream: this.#stream(undefined), length };
    }
    return this.#buffered();
  }

  /** The rest will not come, or must not count: a broken chunk, a closed connection, too slow. */
  fail(fault: Fault): void {
    if (this.#complete || this.#fault !== undefined) return;
    this.#fault = fault;
    this.#wake?.();
  }

  /** Throws away what is still coming. Resolves at the end of the message. */
  discard(): Promise<void> {
    const request = this.#request;
    request.removeAllListeners('data').removeAllListeners('readable');
    if (request.readableEnded || request.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      request.once('end', resolve).once('close', resolve);
      request.resume();
    });
  }

  #buffered(): Promise<Body> {
    const request = this.#request;
    const whole = new GrowingBytes(this.#length ?? this.#limits.inspectedBodyBytes);
    this.#wanted();
    this.#waiting = true;
    this.#inspecting = true;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiting = false;
        this.#inspecting = false;
        this.#wake = undefined;
        request.off('data', onData).off('end', onEnd);
      };
      const onData = (chunk: Buffer): void => {
        this.#received += chunk.length;
        if (this.#received <= this.#limits.inspectedBodyBytes) {
          whole.add(chunk);
          return;
        }
        settle();
        request.pause();
        const beginning = Buffer.concat([whole.bytes(), chunk]);
        resolve({ kind: 'stream', stream: this.#stream(beginning), length: undefined });
      };
      const onEnd = (): void => {
        settle();
        try {
          this.#end();
          resolve(this.#received === 0 ? EMPTY_BODY : { kind: 'bytes', bytes: whole.bytes() });
        } catch (thrown) {
          reject(thrown);
        }
      };
      this.#wake = () => {
        settle();
        request.pause();
        reject(this.#fault);
      };
      if (this.#fault !== undefined) this.#wake();
      else request.on('data', onData).on('end', onEnd);
    });
  }

  async *#stream(beginning: Buffer | undefined): AsyncGenerator<Uint8Array, void, undefined> {
    const request = this.#request;
    if (beginning === undefined) this.#wanted();
    else yield beginning;
    const wake = (): void => this.#wake?.();
    request.on('readable', wake).on('end', wake);
    for (;;) {
      if (this.#fault !== undefined) throw this.#fault;
      const chunk = request.read() as Buffer | null;
      if (chunk !== null) {
        this.#received += chunk.length;
        if (this.#received > this.#limits.streamedBodyBytes) throw new Fault('SP_HTTP_BODY_TOO_LARGE');
        yield chunk;
      } else if (request.readableEnded) {
        this.#end();
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

  /** RFC 9110 section 6.5.1: trailers could carry what policy would have had to see; a recipient may refuse them. */
  #end(): void {
    if (this.#request.rawTrailers.length > 0)
      throw new Fault('SP_HTTP_FRAMING', undefined, { details: { part: 'trailer' } });
    this.#complete = true;
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
