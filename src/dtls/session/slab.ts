/**
 * Memory for the secrets of associations: keys, IVs, master secret and randoms as raw bytes in slots of a few large buffers that
 * the collector never moves or copies, so that `free` can overwrite them. What V8 or OpenSSL copy on the way is beyond reach.
 */

const SLOTS_PER_CHUNK = 256;

/** Offset and length of each field in a slot. */
const LAYOUT = {
  clientKey: [0, 32],
  serverKey: [32, 32],
  clientIv: [64, 12],
  serverIv: [76, 12],
  masterSecret: [88, 48],
  clientRandom: [136, 32],
  serverRandom: [168, 32],
} as const;
const SLOT_BYTES = 200;

export type SecretName = keyof typeof LAYOUT;

export class SecretSlab {
  readonly #chunks: Uint8Array[] = [];
  readonly #free: number[] = [];

  allocate(): number {
    if (this.#free.length === 0) {
      const first = this.#chunks.length * SLOTS_PER_CHUNK;
      this.#chunks.push(new Uint8Array(SLOTS_PER_CHUNK * SLOT_BYTES));
      for (let slot = first + SLOTS_PER_CHUNK - 1; slot >= first; slot--) this.#free.push(slot);
    }
    return this.#free.pop() as number;
  }

  /** Overwrites the slot and gives it back. */
  free(slot: number): void {
    const { chunk, at } = this.#place(slot);
    chunk.fill(0, at, at + SLOT_BYTES);
    this.#free.push(slot);
  }

  write(slot: number, name: SecretName, bytes: Uint8Array): void {
    const { chunk, at } = this.#place(slot);
    chunk.set(bytes, at + LAYOUT[name][0]);
  }

  /** A view, not a copy; `length` cuts it to what the suite uses. */
  view(slot: number, name: SecretName, length: number = LAYOUT[name][1]): Uint8Array {
    const { chunk, at } = this.#place(slot);
    const start = at + LAYOUT[name][0];
    return chunk.subarray(start, start + length);
  }

  #place(slot: number): { chunk: Uint8Array; at: number } {
    const chunk = this.#chunks[Math.floor(slot / SLOTS_PER_CHUNK)] as Uint8Array;
    return { chunk, at: (slot % SLOTS_PER_CHUNK) * SLOT_BYTES };
  }
}
