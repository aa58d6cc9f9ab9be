/**
 * CBOR (RFC 8949) to the JSON text that json.ts reads: one pass, nothing kept. Strict where two readers could see two messages:
 * shortest heads, definite lengths, text keys, nothing after the end; no tags, no undefined, no NaN or infinity, no number beyond
 * what a double holds exactly. Duplicate keys are json.ts's to refuse, as is the length of the text in values.
 */
import type { FaultCode } from '../../faults/catalogue.ts';
import { Fault } from '../../faults/fault.ts';
import { DEPTH_CEILING, type JsonBounds } from '../json.ts';

export interface CborReading {
  /**
   * What becomes of byte strings. `refuse`: JSON has none, and what is forwarded as CBOR again would be text. `base64url`: text
   * without padding (RFC 8949 section 6.1), for routes that go on in JSON.
   */
  readonly byteStrings: 'refuse' | 'base64url';
  /** Keys that are whole numbers, and their names (the labels of RFC 8428 section 6); without it such keys are refused. */
  readonly labels?: ReadonlyMap<number, string> | undefined;
}

/**
 * @returns JSON text; a document only after `parseJson` accepted it
 * @throws SP_PAYLOAD_SYNTAX, SP_PAYLOAD_NUMBER, SP_PAYLOAD_TOO_DEEP, SP_PAYLOAD_TOO_LONG; a fault tells the place, never the content
 */
export function cborToJson(bytes: Uint8Array, bounds: JsonBounds, reading: CborReading): string {
  return new Reader(bytes, bounds, reading).document();
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #reading: CborReading;
  readonly #maxDepth: number;
  readonly #maxValues: number;
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array, bounds: JsonBounds, reading: CborReading) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#reading = reading;
    this.#maxDepth = Math.min(bounds.jsonDepth, DEPTH_CEILING);
    this.#maxValues = bounds.jsonValues;
  }

  document(): string {
    const json = this.#value(0);
    if (this.#at !== this.#bytes.length) this.#refuse('SP_PAYLOAD_SYNTAX', 'bytes after the end');
    return json;
  }

  #value(depth: number): string {
    if (++this.#values > this.#maxValues) this.#refuse('SP_PAYLOAD_TOO_LONG', 'too many values');
    const head = this.#byte();
    const major = head >> 5;
    if (major === 7) return this.#simple(head & 0x1f);
    const argument = this.#argument(head & 0x1f);
    switch (major) {
      case 0:
        return String(this.#exact(argument));
      case 1:
        return String(-this.#exact(argument + 1));
      case 2:
        if (this.#reading.byteStrings === 'refuse')
          this.#refuse('SP_PAYLOAD_SYNTAX', 'a byte string, which JSON has not');
        return `"${Buffer.from(this.#take(argument)).toString('base64url')}"`;
      case 3:
        return JSON.stringify(this.#text(argument));
      case 4:
        return this.#array(argument, depth + 1);
      case 5:
        return this.#map(argument, depth + 1);
      default:
        return this.#refuse('SP_PAYLOAD_SYNTAX', 'a tag');
    }
  }

  #array(length: number, depth: number): string {
    this.#deeper(depth);
    let json = '[';
    for (let item = 0; item < length; item++) json += item === 0 ? this.#value(depth) : `,${this.#value(depth)}`;
    return `${json}]`;
  }

  #map(length: number, depth: number): string {
    this.#deeper(depth);
    let json = '{';
    for (let item = 0; item < length; item++) {
      if (item > 0) json += ',';
      json += `${JSON.stringify(this.#key())}:`;
      json += this.#value(depth);
    }
    return `${json}}`;
  }

  #key(): string {
    const head = this.#byte();
    const major = head >> 5;
    const argument = this.#argument(head & 0x1f);
    if (major === 3) return this.#text(argument);
    const label = major === 0 ? argument : major === 1 ? -1 - argument : Number.NaN;
    return this.#reading.labels?.get(label) ?? this.#refuse('SP_PAYLOAD_SYNTAX', 'a key that is no text');
  }

  /** Nothing is made for the count of a container: one of 2^32 items ends at the first that is not there. */
  #deeper(depth: number): void {
    if (depth > this.#maxDepth) this.#refuse('SP_PAYLOAD_TOO_DEEP', 'nested too deep');
  }

  #simple(info: number): string {
    switch (info) {
      case 20:
        return 'false';
      case 21:
        return 'true';
      case 22:
        return 'null';
      case 25:
        return this.#float(half(this.#view.getUint16(this.#move(2))));
      case 26:
        return this.#float(this.#view.getFloat32(this.#move(4)));
      case 27:
        return this.#float(this.#view.getFloat64(this.#move(8)));
      default:
        return this.#refuse('SP_PAYLOAD_SYNTAX', 'a simple value that JSON has not');
    }
  }

  #float(value: number): string {
    if (!Number.isFinite(value)) this.#refuse('SP_PAYLOAD_NUMBER', 'no finite number');
    return String(value);
  }

  /** RFC 8949 section 4.2.1: the shortest form, so that there is one way to write it. */
  #argument(info: number): number {
    if (info < 24) return info;
    let value: number;
    let least: number;
    if (info === 24) [value, least] = [this.#byte(), 24];
    else if (info === 25) [value, least] = [this.#view.getUint16(this.#move(2)), 0x100];
    else if (info === 26) [value, least] = [this.#view.getUint32(this.#move(4)), 0x1_0000];
    else if (info === 27) {
      const at = this.#move(8);
      const high = this.#view.getUint32(at);
      // Above 2^53 the sum is not exact, but large enough to be refused whatever it stands for.
      [value, least] = [high * 0x1_0000_0000 + this.#view.getUint32(at + 4), 0x1_0000_0000];
    } else return this.#refuse('SP_PAYLOAD_SYNTAX', 'an indefinite or reserved length');
    if (value < least) this.#refuse('SP_PAYLOAD_SYNTAX', 'a number that is not in its shortest form');
    return value;
  }

  #exact(value: number): number {
    if (value > Number.MAX_SAFE_INTEGER) this.#refuse('SP_PAYLOAD_NUMBER', 'a number would lose precision');
    return value;
  }

  #text(length: number): string {
    const bytes = this.#take(length);
    try {
      return decoder.decode(bytes);
    } catch {
      return this.#refuse('SP_PAYLOAD_SYNTAX', 'text that is not UTF-8');
    }
  }

  #take(length: number): Uint8Array {
    const at = this.#move(length);
    return this.#bytes.subarray(at, at + length);
  }

  #byte(): number {
    return this.#bytes[this.#move(1)] as number;
  }

  /** Steps over so many bytes and gives the place before them. */
  #move(length: number): number {
    const at = this.#at;
    if (length > this.#bytes.length - at) this.#refuse('SP_PAYLOAD_SYNTAX', 'the end is missing');
    this.#at = at + length;
    return at;
  }

  #refuse(code: FaultCode, what: string): never {
    throw new Fault(code, `At byte ${this.#at}: ${what}.`);
  }
}

/** RFC 8949 appendix D. */
function half(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1_024 + fraction) * 2 ** (exponent - 25);
}
