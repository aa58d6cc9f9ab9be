/**
 * Strict reader of DER (X.690 section 10): definite minimal lengths, one-octet tags, minimal integers, canonical booleans.
 * It walks a known structure and never recurses by itself, so its cost is one pass over the bytes. No writing, no BER.
 */
import { Fault } from '../faults/fault.ts';

/** X.690 section 8.1.2, universal class; 0x20 marks constructed. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element: `content` without, `whole` with tag and length. Both are views, not copies. */
export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  readonly whole: Uint8Array;
}

/** Says no. `what` is for the operator and never holds bytes of the certificate. */
export function malformed(what: string, cause?: unknown): Fault {
  return new Fault('SP_CERTIFICATE_INVALID', what, { cause });
}

export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #lengthOctets: number;
  #at = 0;

  /**
   * @param what names the structure in error messages
   * @param lengthOctets most octets of a long length: two are enough for any certificate under its size limit, three for
   *   a list of revoked ones
   */
  constructor(bytes: Uint8Array, what: string, lengthOctets = 2) {
    this.#bytes = bytes;
    this.#what = what;
    this.#lengthOctets = lengthOctets;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next element; undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, whatever it is. Throws SP_CERTIFICATE_INVALID. */
  any(): Element {
    const bytes = this.#bytes;
    const start = this.#at;
    const tag = bytes[start];
    const first = bytes[start + 1];
    if (tag === undefined || first === undefined) throw this.#broken('ends in the middle of an element');
    // X.690 section 8.1.2.4: tag numbers above 30. X.509 has none.
    if ((tag & 0x1f) === 0x1f) throw this.#broken('has a tag of more than one octet');
    let length = first;
    let at = start + 2;
    if (first >= 0x80) {
      const octets = first & 0x7f;
      // 0x80 is the indefinite length of BER.
      if (octets === 0 || octets > this.#lengthOctets) throw this.#broken('has an indefinite or oversized length');
      length = 0;
      for (let index = 0; index < octets; index++, at++) {
        const octet = bytes[at];
        if (octet === undefined) throw this.#broken('ends in the middle of a length');
        length = length * 256 + octet;
      }
      // X.690 section 10.1: the shortest form.
      if (length < 0x80 || (octets > 1 && length < 2 ** (8 * (octets - 1))))
        throw this.#broken('has a length that is not minimal');
    }
    if (length > bytes.length - at) throw this.#broken('has an element that is longer than what holds it');
    this.#at = at + length;
    return { tag, content: bytes.subarray(at, this.#at), whole: bytes.subarray(start, this.#at) };
  }

  /** The next element, which must have this tag. */
  take(tag: number, field: string): Element {
    if (this.peek() !== tag) throw this.#broken(`has no proper ${field}`);
    return this.any();
  }

  /** The next element if it has this tag. */
  maybe(tag: number): Element | undefined {
    return this.peek() === tag ? this.any() : undefined;
  }

  /** A reader over the content of the next element, which must have this tag. */
  enter(tag: number, field: string): DerReader {
    return new DerReader(this.take(tag, field).content, field, this.#lengthOctets);
  }

  /** INTEGER content octets, two's complement, minimal (X.690 section 8.3.2). */
  integer(field: string): Uint8Array {
    const { content } = this.take(TAG.integer, field);
    const [first, second] = content;
    if (first === undefined) throw this.#broken(`has an empty ${field}`);
    if (second !== undefined && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80))) {
      throw this.#broken(`has a ${field} that is not minimal`);
    }
    return content;
  }

  /** BOOLEAN that DER leaves out when it is false (X.690 section 11.5): absent or TRUE. */
  defaultFalse(field: string): boolean {
    const element = this.maybe(TAG.boolean);
    if (element === undefined) return false;
    if (element.content.length !== 1 || element.content[0] !== 0xff) {
      throw this.#broken(`has a ${field} that is not TRUE in DER`);
    }
    return true;
  }

  /** OBJECT IDENTIFIER in dotted form. */
  objectIdentifier(field: string): string {
    return dotted(this.take(TAG.objectIdentifier, field).content, () => this.#broken(`has a malformed ${field}`));
  }

  /** BIT STRING of whole octets. */
  octets(field: string): Uint8Array {
    const { content } = this.take(TAG.bitString, field);
    if (content[0] !== 0) throw this.#broken(`has a ${field} that is not whole octets`);
    return content.subarray(1);
  }

  /** Nothing may follow: trailing bytes are where two parsers begin to differ. */
  end(): void {
    if (!this.atEnd) throw this.#broken('has bytes after its end');
  }

  #broken(how: string): Fault {
    return malformed(`The ${this.#what} ${how}.`);
  }
}

/** Longest OBJECT IDENTIFIER accepted, octets. Those that hold a UUID need 20. */
const MAX_IDENTIFIER_BYTES = 64;

/** X.690 section 8.19: base 128 with minimal subidentifiers; the first one holds two arcs. */
function dotted(content: Uint8Array, broken: () => Fault): string {
  if (content.length === 0 || content.length > MAX_IDENTIFIER_BYTES) throw broken();
  if ((content[content.length - 1] as number) >= 0x80) throw broken();
  const arcs: string[] = [];
  let start = 0;
  for (let at = 0; at < content.length; at++) {
    if ((content[at] as number) >= 0x80) continue;
    if (content[start] === 0x80) throw broken();
    const arc = subidentifier(content.subarray(start, at + 1));
    if (start === 0) {
      const root = arc >= 80n ? 2n : arc / 40n;
      arcs.push(String(root), String(arc - root * 40n));
    } else {
      arcs.push(String(arc));
    }
    start = at + 1;
  }
  return arcs.join('.');
}

function subidentifier(octets: Uint8Array): bigint {
  let value = 0n;
  for (const octet of octets) value = (value << 7n) | BigInt(octet & 0x7f);
  return value;
}
