/** Writing numbers and vectors. What we write has sizes we know, so nothing here can fail on a peer's account. */

export function u8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}

export function u24(value: number): Uint8Array {
  return Uint8Array.of(value >>> 16, value >>> 8, value);
}

export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A copy that shares no memory: `slice` of a Buffer would be a view on the receive buffer, or on a key that is wiped later. */
export function copy(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** A vector with a length prefix of 1, 2 or 3 bytes. */
export function vector(prefix: 1 | 2 | 3, body: Uint8Array): Uint8Array {
  return concat(prefix === 1 ? u8(body.length) : prefix === 2 ? u16(body.length) : u24(body.length), body);
}

/** Epoch (2 bytes) and sequence number (6 bytes), as in the record header. */
export function writeSequence(target: Uint8Array, at: number, epoch: number, sequence: number): void {
  target[at] = epoch >>> 8;
  target[at + 1] = epoch;
  const high = Math.floor(sequence / 2 ** 32);
  const low = sequence % 2 ** 32;
  target[at + 2] = high >>> 8;
  target[at + 3] = high;
  target[at + 4] = low >>> 24;
  target[at + 5] = low >>> 16;
  target[at + 6] = low >>> 8;
  target[at + 7] = low;
}

/** Equality of values that are public. Secrets are compared in crypto/digest.ts. */
export function equalBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

/** The bytes of a `mapKey`. */
export function keyBytes(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let i = 0; i < key.length; i++) bytes[i] = key.charCodeAt(i);
  return bytes;
}

/** Key of a Map by wire bytes: one character per byte. */
export function mapKey(bytes: Uint8Array): string {
  let key = '';
  for (let i = 0; i < bytes.length; i++) key += String.fromCharCode(bytes[i] as number);
  return key;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Strict UTF-8 without NUL, or undefined. */
export function utf8(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}
