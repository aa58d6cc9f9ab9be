/**
 * Puts handshake messages together from fragments (RFC 6347 4.2.3) within fixed bounds: the claimed length is checked before
 * memory is taken, fragments of one message must agree with each other, and a bitmap says which bytes are there.
 */
import type { DtlsLimits } from '../limits.ts';
import type { DropReason } from '../stats.ts';
import type { Fragment } from '../wire/handshake.ts';

interface Incomplete {
  readonly type: number;
  readonly epoch: number;
  readonly body: Uint8Array;
  /** One bit per byte of the body. */
  readonly seen: Uint8Array;
  missing: number;
}

export interface Message {
  readonly type: number;
  readonly messageSeq: number;
  readonly epoch: number;
  readonly body: Uint8Array;
}

export class Reassembly {
  readonly #limits: DtlsLimits;
  readonly #partials = new Map<number, Incomplete>();
  #bytes = 0;

  constructor(limits: DtlsLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a fragment of message `next` or later that came in a record of `epoch`. @returns why it was dropped, or undefined. */
  add(fragment: Fragment, epoch: number, next: number): DropReason | undefined {
    if (fragment.messageSeq < next) return 'message-repeated';
    if (fragment.messageSeq >= next + this.#limits.reassemblyWindow) return 'message-too-far-ahead';
    if (fragment.length > this.#limits.maxHandshakeMessageBytes) return 'message-too-long';
    let partial = this.#partials.get(fragment.messageSeq);
    if (partial === undefined) {
      // The next message always finds room, or a flood of later ones would hold up the handshake; and it has a place of its own,
      // or its arrival would cost one of a whole flight that only waits for it.
      if (fragment.messageSeq === next) this.#makeRoom(fragment.length);
      else if (this.#later(next) >= this.#limits.maxReassemblyMessages) return 'reassembly-full';
      if (this.#bytes + fragment.length > this.#limits.maxReassemblyBytes) return 'reassembly-full';
      partial = {
        type: fragment.type,
        epoch,
        body: new Uint8Array(fragment.length),
        seen: new Uint8Array((fragment.length + 7) >> 3),
        missing: fragment.length,
      };
      this.#partials.set(fragment.messageSeq, partial);
      this.#bytes += fragment.length;
    }
    // Type, length and epoch are properties of the message: fragments that disagree are not of one (CVE-2014-0195, CVE-2021-42141).
    if (partial.epoch !== epoch) return 'fragment-inconsistent';
    if (partial.type !== fragment.type || partial.body.length !== fragment.length) return 'fragment-inconsistent';
    return fill(partial, fragment.offset, fragment.body) ? undefined : 'fragment-inconsistent';
  }

  /** Message `next` when it is whole; it is then no longer kept. */
  take(next: number): Message | undefined {
    const partial = this.#partials.get(next);
    if (partial === undefined || partial.missing > 0) return undefined;
    this.#forget(next, partial);
    return { type: partial.type, messageSeq: next, epoch: partial.epoch, body: partial.body };
  }

  /** Type and epoch of message `next` when it is whole. */
  peek(next: number): { readonly type: number; readonly epoch: number } | undefined {
    const partial = this.#partials.get(next);
    return partial === undefined || partial.missing > 0 ? undefined : partial;
  }

  /** Drops what stands at `next`, so that another message can take its place. */
  discard(next: number): void {
    const partial = this.#partials.get(next);
    if (partial !== undefined) this.#forget(next, partial);
  }

  clear(): void {
    this.#partials.clear();
    this.#bytes = 0;
  }

  #later(next: number): number {
    return this.#partials.has(next) ? this.#partials.size - 1 : this.#partials.size;
  }

  #makeRoom(length: number): void {
    const latestFirst = [...this.#partials.keys()].sort((a, b) => b - a);
    for (const seq of latestFirst) {
      if (this.#bytes + length <= this.#limits.maxReassemblyBytes) return;
      this.#forget(seq, this.#partials.get(seq) as Incomplete);
    }
  }

  #forget(seq: number, partial: Incomplete): void {
    this.#partials.delete(seq);
    this.#bytes -= partial.body.length;
  }
}

/** False when bytes already there differ from those that come again: first come stays. */
function fill(partial: Incomplete, offset: number, bytes: Uint8Array): boolean {
  const { body, seen } = partial;
  for (let i = 0; i < bytes.length; i++) {
    const at = offset + i;
    if (((seen[at >> 3] as number) & (1 << (at & 7))) !== 0 && body[at] !== bytes[i]) return false;
  }
  for (let i = 0; i < bytes.length; i++) {
    const at = offset + i;
    const bit = 1 << (at & 7);
    if (((seen[at >> 3] as number) & bit) !== 0) continue;
    seen[at >> 3] = (seen[at >> 3] as number) | bit;
    body[at] = bytes[i] as number;
    partial.missing -= 1;
  }
  return true;
}
