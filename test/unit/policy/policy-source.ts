/** Policy modules for tests: committed vectors, what is needed to activate them, and ways to damage them. */
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DEFAULT_LIMITS } from '../../../src/config/settings.ts';
import type { Arrival } from '../../../src/exchange/arrival.ts';
import type { Document } from '../../../src/exchange/gate.ts';
import { Identified } from '../../../src/exchange/identified.ts';
import type { Device, Peer } from '../../../src/exchange/peer.ts';
import {
  CODE_SECTION,
  functionBodies,
  functionNames,
  importsOf,
  instructionsAt,
  join,
  joinBodies,
  joinSections,
  sectionsOf,
  unsigned,
} from '../../../src/policy/engine/wasm-binary.ts';
import type { PolicySource } from '../../../src/policy/wall.ts';

export function vector(path: string): Uint8Array {
  return readFileSync(new URL(`../../vectors/policy/${path}`, import.meta.url));
}

/** Denies, permits `/ok`, and misbehaves in 33 ways by path. */
export const MISBEHAVING = vector('misbehaving/policy.wasm');
/** Calls one built-in. */
export const PROBES = vector('probes.wasm');

export const DIGESTS = {
  sha256: (data: string) => createHash('sha256').update(data).digest('hex'),
  hmacSha256: (data: string, key: string) => createHmac('sha256', key).update(data).digest('hex'),
};

/** The misbehaving policy without canaries, unless told otherwise. */
export function sourceOf(changes: Partial<PolicySource> = {}): PolicySource {
  return {
    wasm: MISBEHAVING,
    data: '{}',
    entrypoint: 'sallyport/gate/verdict',
    revision: 'test',
    limits: { policyMemoryBytes: 32 * 1_048_576, policyTimeoutMs: 2_000 },
    digests: DIGESTS,
    canaries: [],
    ...changes,
  };
}

const END = 0x0b;
export const TRAP = [0x00, END];
/** loop; br 0; end; unreachable; end */
export const ENDLESS_LOOP = [0x03, 0x40, 0x0c, 0x00, 0x0b, 0x00, END];
export const RETURN_ZERO = [0x41, 0x00, END];
export const RETURN_ONE = [0x41, 0x01, END];

/** The module with other instructions in one of its functions, which is named as the compiler names it. */
export function withFunction(wasm: Uint8Array, name: string, instructions: readonly number[]): Uint8Array {
  const sections = sectionsOf(wasm);
  const index = functionNames(sections).get(name);
  if (index === undefined) throw new Error(`no function ${name}`);
  const code = sections.findIndex(({ id }) => id === CODE_SECTION);
  const bodies = functionBodies(sections[code]!.content);
  const at = index - importsOf(sections).functions.length;
  const body = bodies[at]!;
  bodies[at] = join([body.subarray(0, instructionsAt(body).at), Uint8Array.from(instructions)]);
  sections[code] = { id: CODE_SECTION, content: joinBodies(bodies) };
  return joinSections(sections);
}

/** The instruction that calls a function by its name. */
export function callTo(wasm: Uint8Array, name: string): number[] {
  const sections = sectionsOf(wasm);
  const imported = importsOf(sections).functions.indexOf(name);
  const index = imported >= 0 ? imported : functionNames(sections).get(name);
  if (index === undefined) throw new Error(`no function ${name}`);
  return [0x10, ...unsigned(index)];
}

/** Without the names of its functions. */
export function stripped(wasm: Uint8Array): Uint8Array {
  return joinSections(sectionsOf(wasm).filter(({ id }) => id !== 0));
}

/** The same bytes with every occurrence of a text replaced by another of the same length. */
export function withText(wasm: Uint8Array, from: string, to: string): Uint8Array {
  const changed = Buffer.from(wasm);
  if (from.length !== to.length) throw new Error('texts differ in length');
  for (let at = changed.indexOf(from); at >= 0; at = changed.indexOf(from, at + 1)) changed.write(to, at);
  return changed;
}

export const DEVICE: Device = {
  id: 'thermo-1',
  segment: 'sensors',
  state: 'active',
  labels: { site: 'north' },
  model: 'T-100',
  key: '0'.repeat(64),
};

export const PEER: Peer = {
  method: 'certificate',
  address: '10.0.3.17',
  key: DEVICE.key,
  names: [],
  issuer: 'CN=Sallyport devices',
  serial: '5F0A9C',
  notBefore: 0,
  notAfter: Date.UTC(2027, 0, 1),
  clientAuthentication: true,
};

export const ARRIVAL: Arrival = {
  id: '0198c1d2-0000-7000-8000-000000000000',
  protocol: 'https',
  listener: 'https',
  direction: 'toCloud',
  receivedAt: Date.UTC(2026, 10, 22, 14, 3, 11, 482),
  peer: PEER,
  verb: 'POST',
  path: '/v1/telemetry',
  query: 'secret=1',
  headers: [['x-secret', '1']],
  contentType: 'application/json',
  body: { kind: 'bytes', bytes: new Uint8Array(56) },
  signal: new AbortController().signal,
};

export interface Told {
  readonly arrival?: Partial<Arrival>;
  readonly device?: Partial<Device>;
  readonly document?: Document;
}

export function identifiedAs({ arrival = {}, device = {}, document }: Told = {}): Identified {
  const who = { ...DEVICE, ...device };
  const identifier = { identify: () => who, admit: () => undefined };
  const made = Identified.by(identifier, { decode: () => document }, { ...ARRIVAL, ...arrival });
  if (!(made instanceof Identified)) throw new Error('not identified');
  return made;
}

export const LIMITS = DEFAULT_LIMITS;
