/**
 * Watches the frames of one direction go by (RFC 6455 section 5.2) before the parser of `ws` sees them, and says when they
 * come too fast, too slowly or with a length in more bytes than it needs. Looks at headers only; every other rule of the
 * framing is `ws`'s. Sans-I/O: bytes and a time in, a fault code or nothing out.
 *
 *      0               1               2 .. 10                    4 bytes
 *     |F|R|R|R| opcode |M| length (7)  | length (16 or 64 bits)  | mask key | payload
 *
 * The parser emits all messages of a chunk at once, so a limit that counted its events would act when the flood is already
 * in memory.
 */
import type { FaultCode } from '../faults/catalogue.ts';
import { Allowance } from './allowance.ts';

export interface FrameLimits {
  readonly messagesPerSecond: number;
  readonly controlFramesPerSecond: number;
  /** From the first byte of a message (or control frame) to its last. */
  readonly messageTimeoutMs: number;
}

/** Seconds of the permitted rate that may come at once. */
const BURST_SECONDS = 2;

/** Below it the short length is the length; it means 16 bits, and 127 means 64. */
const LENGTH_16 = 126;
const IDLE = -1;

/** What the next byte is. */
const FIRST = 0;
const SECOND = 1;
const LENGTH = 2;
const BODY = 3;

export class FrameMeter {
  readonly #messages: Allowance;
  readonly #controls: Allowance;
  readonly #timeoutMs: number;

  #state = FIRST;
  #final = false;
  #control = false;
  #masked = false;
  #short = 0;
  #lengthBytes = 0;
  #length = 0;
  #remaining = 0;
  /** Between the first and the last frame of a fragmented message. */
  #fragmented = false;
  #sinceMs = IDLE;

  constructor(limits: FrameLimits, nowMs: number) {
    this.#messages = new Allowance(limits.messagesPerSecond, limits.messagesPerSecond * BURST_SECONDS, nowMs);
    this.#controls = new Allowance(limits.controlFramesPerSecond, limits.controlFramesPerSecond * BURST_SECONDS, nowMs);
    this.#timeoutMs = limits.messageTimeoutMs;
  }

  /** Takes note of a chunk. Returns what is wrong with it, at the first thing that is. */
  observe(chunk: Uint8Array, nowMs: number): FaultCode | undefined {
    if (this.overdue(nowMs)) return 'SP_WEBSOCKET_TIMEOUT';
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === BODY) {
        const step = Math.min(this.#remaining, chunk.length - at);
        at += step;
        this.#remaining -= step;
        if (this.#remaining === 0) this.#frameEnds();
        continue;
      }
      const fault = this.#header(chunk[at] as number, nowMs);
      if (fault !== undefined) return fault;
      at += 1;
    }
    return undefined;
  }

  /** True if a message has been under way for too long. */
  overdue(nowMs: number): boolean {
    return this.#sinceMs !== IDLE && nowMs - this.#sinceMs > this.#timeoutMs;
  }

  /** Tells that we held the peer back for `heldMs` until now. */
  held(heldMs: number, nowMs: number): void {
    this.#messages.credit(heldMs, nowMs);
    this.#controls.credit(heldMs, nowMs);
    if (this.#sinceMs !== IDLE) this.#sinceMs += heldMs;
  }

  #header(byte: number, nowMs: number): FaultCode | undefined {
    switch (this.#state) {
      case FIRST:
        return this.#frameBegins(byte, nowMs);
      case SECOND:
        this.#masked = (byte & 0x80) !== 0;
        this.#short = byte & 0x7f;
        this.#length = 0;
        if (this.#short < LENGTH_16) {
          this.#length = this.#short;
          this.#bodyBegins();
        } else {
          this.#lengthBytes = this.#short === LENGTH_16 ? 2 : 8;
          this.#state = LENGTH;
        }
        return undefined;
      default: {
        // Beyond 2^53 this is inexact, which does not matter: ws refuses such a frame at its header.
        this.#length = this.#length * 256 + byte;
        this.#lengthBytes -= 1;
        if (this.#lengthBytes > 0) return undefined;
        // RFC 6455 section 5.2: the minimal number of bytes MUST be used. Two spellings of one length invite two readings.
        const least = this.#short === LENGTH_16 ? LENGTH_16 : 0x10000;
        if (this.#length < least) return 'SP_WEBSOCKET_PROTOCOL';
        this.#bodyBegins();
        return undefined;
      }
    }
  }

  #frameBegins(byte: number, nowMs: number): FaultCode | undefined {
    const opcode = byte & 0x0f;
    this.#final = (byte & 0x80) !== 0;
    this.#control = opcode >= 0x8;
    this.#state = SECOND;
    if (this.#sinceMs === IDLE) this.#sinceMs = nowMs;
    if (this.#control) return this.#controls.take(nowMs) ? undefined : 'SP_WEBSOCKET_TOO_FAST';
    // A continuation (opcode 0) belongs to a message that was counted; limits.webSocketFragments bounds their number.
    if (opcode !== 0 && !this.#messages.take(nowMs)) return 'SP_WEBSOCKET_TOO_FAST';
    return undefined;
  }

  #bodyBegins(): void {
    this.#remaining = this.#length + (this.#masked ? 4 : 0);
    this.#state = BODY;
    if (this.#remaining === 0) this.#frameEnds();
  }

  #frameEnds(): void {
    this.#state = FIRST;
    if (!this.#control) this.#fragmented = !this.#final;
    if (!this.#fragmented) this.#sinceMs = IDLE;
  }
}
