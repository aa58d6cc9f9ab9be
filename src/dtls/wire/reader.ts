/** Bounds-checked cursor over received bytes. Underrun gives `undefined`, never a throw: a peer's length field is only a claim. */

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number | undefined {
    return this.#number(1);
  }

  u16(): number | undefined {
    return this.#number(2);
  }

  u24(): number | undefined {
    return this.#number(3);
  }

  u32(): number | undefined {
    return this.#number(4);
  }

  /** The next `length` bytes, as a view. */
  take(length: number): Uint8Array | undefined {
    if (length > this.left) return undefined;
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }

  /** A vector with a length prefix of `prefix` bytes. */
  vector(prefix: 1 | 2 | 3): Uint8Array | undefined {
    const length = this.#number(prefix);
    return length === undefined ? undefined : this.take(length);
  }

  rest(): Uint8Array {
    return this.take(this.left) as Uint8Array;
  }

  #number(size: number): number | undefined {
    if (size > this.left) return undefined;
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + (this.#bytes[this.#at + i] as number);
    this.#at += size;
    return value;
  }
}
