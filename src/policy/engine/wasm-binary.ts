/**
 * The parts of a WebAssembly binary (core specification 1.0, section 5) that the wall reads: imports, function bodies and
 * the names that `opa build` writes for its functions. Everything else stays opaque bytes; V8 validates the whole.
 */
import { Fault } from '../../faults/fault.ts';

const IMPORT_SECTION = 2;
export const CODE_SECTION = 10;
const CUSTOM_SECTION = 0;
const FUNCTION_NAMES = 1;
const FUNCTION_KIND = 0;
const MEMORY_KIND = 2;
const I32 = 0x7f;

export interface Section {
  readonly id: number;
  readonly content: Uint8Array;
}

/** Splits a module into its sections. Throws SP_POLICY_MODULE. */
export function sectionsOf(wasm: Uint8Array): Section[] {
  const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  if (header.some((byte, at) => wasm[at] !== byte)) throw malformed('It is not a WebAssembly module.');
  const reader = new BinaryReader(wasm, header.length);
  const sections: Section[] = [];
  while (!reader.done) {
    const id = reader.byte();
    sections.push({ id, content: reader.bytes(reader.unsigned()) });
  }
  return sections;
}

/** The inverse of `sectionsOf`. */
export function joinSections(sections: readonly Section[]): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00)];
  for (const { id, content } of sections) parts.push(Uint8Array.of(id, ...unsigned(content.length)), content);
  return join(parts);
}

export function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export interface Imports {
  /** Names of the imported functions, in order of their index. */
  readonly functions: readonly string[];
  /** Least size of the imported memory, pages of 64 KiB; undefined if none is imported. */
  readonly memoryPages: number | undefined;
}

export function importsOf(sections: readonly Section[]): Imports {
  const section = sections.find(({ id }) => id === IMPORT_SECTION);
  const functions: string[] = [];
  let memoryPages: number | undefined;
  if (section === undefined) return { functions, memoryPages };
  const reader = new BinaryReader(section.content);
  for (let rest = reader.unsigned(); rest > 0; rest -= 1) {
    reader.text();
    const name = reader.text();
    const kind = reader.byte();
    if (kind === FUNCTION_KIND) {
      reader.unsigned();
      functions.push(name);
    } else if (kind === MEMORY_KIND) {
      const bounded = (reader.byte() & 1) === 1;
      memoryPages = reader.unsigned();
      if (bounded) reader.unsigned();
    } else throw malformed(`It imports ${name}, which is neither a function nor a memory.`);
  }
  return { functions, memoryPages };
}

/** Function index by name, from the custom section `name`; empty if the module has none. */
export function functionNames(sections: readonly Section[]): Map<string, number> {
  const names = new Map<string, number>();
  for (const section of sections) {
    if (section.id !== CUSTOM_SECTION) continue;
    const reader = new BinaryReader(section.content);
    if (reader.text() !== 'name') continue;
    while (!reader.done) {
      const id = reader.byte();
      const part = new BinaryReader(reader.bytes(reader.unsigned()));
      if (id !== FUNCTION_NAMES) continue;
      for (let rest = part.unsigned(); rest > 0; rest -= 1) {
        const index = part.unsigned();
        const name = part.text();
        if (!names.has(name)) names.set(name, index);
      }
    }
  }
  return names;
}

/** Bodies of the module's own functions, in order, each with its local declarations and without its length. */
export function functionBodies(code: Uint8Array): Uint8Array[] {
  const reader = new BinaryReader(code);
  const bodies: Uint8Array[] = [];
  for (let rest = reader.unsigned(); rest > 0; rest -= 1) bodies.push(reader.bytes(reader.unsigned()));
  return bodies;
}

export function joinBodies(bodies: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.from(unsigned(bodies.length))];
  for (const body of bodies) parts.push(Uint8Array.from(unsigned(body.length)), body);
  return join(parts);
}

/** Where the instructions of a body begin, after its local declarations, and how many variables those declare. */
export function instructionsAt(body: Uint8Array): {
  readonly at: number;
  readonly groupsAt: number;
  readonly variables: number;
} {
  const reader = new BinaryReader(body);
  let variables = 0;
  let rest = reader.unsigned();
  const groupsAt = reader.position;
  for (; rest > 0; rest -= 1) {
    variables += reader.unsigned();
    reader.byte();
  }
  return { at: reader.position, groupsAt, variables };
}

/** The body with these instructions before its own. With `extra`, one more i32 variable is declared: the last one. */
export function withPrefix(body: Uint8Array, prefix: readonly number[], extra: boolean): Uint8Array {
  const { at, groupsAt } = instructionsAt(body);
  if (!extra) return join([body.subarray(0, at), Uint8Array.from(prefix), body.subarray(at)]);
  const groups = new BinaryReader(body).unsigned();
  return join([
    Uint8Array.from(unsigned(groups + 1)),
    body.subarray(groupsAt, at),
    Uint8Array.from([1, I32, ...prefix]),
    body.subarray(at),
  ]);
}

/** Unsigned LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

class BinaryReader {
  readonly #bytes: Uint8Array;
  position: number;

  constructor(bytes: Uint8Array, position = 0) {
    this.#bytes = bytes;
    this.position = position;
  }

  get done(): boolean {
    return this.position >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.position];
    if (value === undefined) throw malformed('It is cut off.');
    this.position += 1;
    return value;
  }

  bytes(length: number): Uint8Array {
    const end = this.position + length;
    if (end > this.#bytes.length) throw malformed('It is cut off.');
    const part = this.#bytes.subarray(this.position, end);
    this.position = end;
    return part;
  }

  unsigned(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed('A length is malformed.');
  }

  text(): string {
    return new TextDecoder().decode(this.bytes(this.unsigned()));
  }
}

function malformed(message: string): Fault {
  return new Fault('SP_POLICY_MODULE', `The policy module cannot be read. ${message}`);
}
