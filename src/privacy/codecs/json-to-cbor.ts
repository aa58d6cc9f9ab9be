/**
 * A parsed JSON document to CBOR (RFC 8949), in preferred serialization (section 4.1): shortest heads, whole numbers as integers,
 * the shortest float that is exact, definite lengths, keys in the order they came. Leaves out: tags and byte strings.
 */
import {
  ARRAY,
  ESCAPED_STRING,
  FALSE,
  type JsonDocument,
  NUMBER,
  OBJECT,
  ROOT,
  STRING,
  TOKEN_WIDTH,
  TRUE,
} from '../json-document.ts';

export interface CborWriting {
  /** Names of keys that are written as whole numbers (the labels of RFC 8428 section 6). */
  readonly labels?: ReadonlyMap<string, number> | undefined;
}

/** The document's one value. */
export function jsonToCbor(document: JsonDocument, writing: CborWriting = {}): Uint8Array {
  const writer = new Writer(document, writing);
  writer.value(ROOT);
  return writer.bytes();
}

const encoder = new TextEncoder();
const single = new Float32Array(1);

class Writer {
  readonly #document: JsonDocument;
  readonly #writing: CborWriting;
  #buffer: Uint8Array;
  #view: DataView;
  #at = 0;

  constructor(document: JsonDocument, writing: CborWriting) {
    this.#document = document;
    this.#writing = writing;
    this.#buffer = new Uint8Array(document.json.length + 64);
    this.#view = new DataView(this.#buffer.buffer);
  }

  bytes(): Uint8Array {
    return this.#buffer.slice(0, this.#at);
  }

  value(token: number): void {
    const document = this.#document;
    const kind = document.kind(token);
    if (kind === OBJECT) this.#object(token);
    else if (kind === ARRAY) this.#array(token);
    else if (kind === STRING || kind === ESCAPED_STRING) this.#text(document.string(token));
    else if (kind === NUMBER) this.#number(Number(document.text(token)));
    else this.#head(7, kind === FALSE ? 20 : kind === TRUE ? 21 : 22);
  }

  #array(token: number): void {
    const end = this.#document.after(token);
    let items = 0;
    for (let at = token + TOKEN_WIDTH; at < end; at = this.#document.after(at)) items += 1;
    this.#head(4, items);
    for (let at = token + TOKEN_WIDTH; at < end; at = this.#document.after(at)) this.value(at);
  }

  #object(token: number): void {
    const end = this.#document.after(token);
    let members = 0;
    for (let at = token + TOKEN_WIDTH; at < end; at = this.#document.after(at + TOKEN_WIDTH)) members += 1;
    this.#head(5, members);
    for (let at = token + TOKEN_WIDTH; at < end; at = this.#document.after(at + TOKEN_WIDTH)) {
      const key = this.#document.string(at);
      const label = this.#writing.labels?.get(key);
      if (label === undefined) this.#text(key);
      else this.#number(label);
      this.value(at + TOKEN_WIDTH);
    }
  }

  #text(text: string): void {
    const bytes = encoder.encode(text);
    this.#head(3, bytes.length);
    this.#room(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #number(value: number): void {
    if (Number.isInteger(value)) {
      if (value >= 0) this.#head(0, value);
      else this.#head(1, -1 - value);
      return;
    }
    this.#room(9);
    const bits = halfBits(value);
    single[0] = value;
    if (bits !== undefined) {
      this.#buffer[this.#at] = 0xf9;
      this.#view.setUint16(this.#at + 1, bits);
      this.#at += 3;
    } else if (single[0] === value) {
      this.#buffer[this.#at] = 0xfa;
      this.#view.setFloat32(this.#at + 1, value);
      this.#at += 5;
    } else {
      this.#buffer[this.#at] = 0xfb;
      this.#view.setFloat64(this.#at + 1, value);
      this.#at += 9;
    }
  }

  #head(major: number, argument: number): void {
    this.#room(9);
    const kind = major << 5;
    if (argument < 24) this.#buffer[this.#at++] = kind | argument;
    else if (argument < 0x100) {
      this.#buffer[this.#at] = kind | 24;
      this.#buffer[this.#at + 1] = argument;
      this.#at += 2;
    } else if (argument < 0x1_0000) {
      this.#buffer[this.#at] = kind | 25;
      this.#view.setUint16(this.#at + 1, argument);
      this.#at += 3;
    } else if (argument < 0x1_0000_0000) {
      this.#buffer[this.#at] = kind | 26;
      this.#view.setUint32(this.#at + 1, argument);
      this.#at += 5;
    } else {
      this.#buffer[this.#at] = kind | 27;
      this.#view.setUint32(this.#at + 1, Math.floor(argument / 0x1_0000_0000));
      this.#view.setUint32(this.#at + 5, argument % 0x1_0000_0000);
      this.#at += 9;
    }
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(2 * (this.#at + bytes));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
    this.#view = new DataView(larger.buffer);
  }
}

/** The 16 bits of a value that a half-precision float holds exactly, or undefined. Whole numbers never come here. */
function halfBits(value: number): number | undefined {
  const size = Math.abs(value);
  const sign = value < 0 ? 0x8000 : 0;
  if (size < 2 ** -14) {
    const fraction = size * 2 ** 24;
    return Number.isInteger(fraction) ? sign | fraction : undefined;
  }
  if (size >= 65_520) return undefined;
  const exponent = Math.floor(Math.log2(size));
  const fraction = (size / 2 ** exponent - 1) * 1_024;
  return Number.isInteger(fraction) && fraction >= 0 ? sign | ((exponent + 15) << 10) | fraction : undefined;
}
