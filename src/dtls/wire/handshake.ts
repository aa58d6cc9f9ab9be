/**
 * Handshake header (RFC 6347 4.2.2) and messages (RFC 5246 7.4, RFC 4279 2, RFC 8422 5, RFC 7250 3, RFC 5077 3.3):
 *
 *     msg_type(1) length(3) message_seq(2) fragment_offset(3) fragment_length(3)
 *
 * One parse function per message; each wants every byte accounted for and gives undefined otherwise.
 */
import { concat, copy, u8, u16, u24, vector } from './bytes.ts';
import { type ExtensionMap, parseExtensionBlock } from './extensions.ts';
import { Reader } from './reader.ts';
import { DTLS_1_2 } from './registry.ts';

export const HANDSHAKE_HEADER_BYTES = 12;
export const RANDOM_BYTES = 32;

export interface Fragment {
  readonly type: number;
  readonly length: number;
  readonly messageSeq: number;
  readonly offset: number;
  readonly body: Uint8Array;
}

/** All fragments of a record; undefined when one reaches beyond the record or its message, or an empty one stands for more. */
export function parseFragments(record: Uint8Array): Fragment[] | undefined {
  const reader = new Reader(record);
  const fragments: Fragment[] = [];
  while (reader.left > 0) {
    const type = reader.u8();
    const length = reader.u24();
    const messageSeq = reader.u16();
    const offset = reader.u24();
    const body = reader.vector(3);
    if (type === undefined || length === undefined || messageSeq === undefined || offset === undefined)
      return undefined;
    if (body === undefined || offset + body.length > length) return undefined;
    // An empty fragment of a longer message brings nothing and must not be kept or looped on (CVE-2022-29190).
    if (body.length === 0 && length > 0) return undefined;
    fragments.push({ type, length, messageSeq, offset, body });
  }
  return fragments;
}

export function writeFragment(
  type: number,
  messageSeq: number,
  body: Uint8Array,
  offset = 0,
  length = body.length,
): Uint8Array {
  const part = body.subarray(offset, offset + length);
  return concat(u8(type), u24(body.length), u16(messageSeq), u24(offset), u24(part.length), part);
}

export interface ClientHello {
  readonly version: number;
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly cookie: Uint8Array;
  readonly suites: readonly number[];
  /** As on the wire: what the cookie covers (suites and compression). */
  readonly suitesAndCompression: Uint8Array;
  readonly hasNullCompression: boolean;
  readonly extensions: ExtensionMap;
}

export function parseClientHello(body: Uint8Array): ClientHello | undefined {
  const reader = new Reader(body);
  const version = reader.u16();
  const random = reader.take(RANDOM_BYTES);
  const sessionId = reader.vector(1);
  const cookie = reader.vector(1);
  const before = body.length - reader.left;
  const suiteBytes = reader.vector(2);
  const compression = reader.vector(1);
  if (version === undefined || random === undefined || sessionId === undefined || cookie === undefined)
    return undefined;
  if (suiteBytes === undefined || compression === undefined || sessionId.length > 32) return undefined;
  if (suiteBytes.length === 0 || suiteBytes.length % 2 !== 0 || compression.length === 0) return undefined;
  const after = body.length - reader.left;
  const extensions = parseExtensionBlock(reader.rest());
  if (extensions === undefined) return undefined;
  const suites: number[] = [];
  for (let at = 0; at < suiteBytes.length; at += 2) {
    suites.push((suiteBytes[at] as number) * 256 + (suiteBytes[at + 1] as number));
  }
  return {
    version,
    random,
    sessionId,
    cookie,
    suites,
    suitesAndCompression: body.subarray(before, after),
    hasNullCompression: compression.includes(0),
    extensions,
  };
}

export function writeClientHello(
  random: Uint8Array,
  sessionId: Uint8Array,
  cookie: Uint8Array,
  suites: readonly number[],
  extensions: Uint8Array,
): Uint8Array {
  const list = vector(2, concat(...suites.map(u16)));
  return concat(u16(DTLS_1_2), random, vector(1, sessionId), vector(1, cookie), list, Uint8Array.of(1, 0), extensions);
}

export interface ServerHello {
  readonly version: number;
  readonly random: Uint8Array;
  readonly sessionId: Uint8Array;
  readonly suite: number;
  readonly extensions: ExtensionMap;
}

export function parseServerHello(body: Uint8Array): ServerHello | undefined {
  const reader = new Reader(body);
  const version = reader.u16();
  const random = reader.take(RANDOM_BYTES);
  const sessionId = reader.vector(1);
  const suite = reader.u16();
  const compression = reader.u8();
  if (version === undefined || random === undefined || sessionId === undefined || suite === undefined) return undefined;
  if (compression !== 0 || sessionId.length > 32) return undefined;
  const extensions = parseExtensionBlock(reader.rest());
  return extensions === undefined ? undefined : { version, random, sessionId, suite, extensions };
}

export function writeServerHello(
  random: Uint8Array,
  sessionId: Uint8Array,
  suite: number,
  extensions: Uint8Array,
): Uint8Array {
  return concat(u16(DTLS_1_2), random, vector(1, sessionId), u16(suite), u8(0), extensions);
}

/** Cookie of a HelloVerifyRequest. RFC 6347 4.2.1: its server_version says nothing about the version to be agreed. */
export function parseHelloVerifyRequest(body: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(body);
  const version = reader.u16();
  const cookie = reader.vector(1);
  return version === undefined || cookie === undefined || cookie.length === 0 || reader.left > 0 ? undefined : cookie;
}

/** DER certificates, leaf first; possibly none. */
export function parseCertificate(body: Uint8Array, maxChainLength: number): Uint8Array[] | undefined {
  const outer = new Reader(body);
  const list = outer.vector(3);
  if (list === undefined || outer.left > 0) return undefined;
  const reader = new Reader(list);
  const chain: Uint8Array[] = [];
  while (reader.left > 0) {
    const certificate = reader.vector(3);
    if (certificate === undefined || certificate.length === 0 || chain.length === maxChainLength) return undefined;
    chain.push(copy(certificate));
  }
  return chain;
}

export function writeCertificate(chain: readonly Uint8Array[]): Uint8Array {
  return vector(3, concat(...chain.map((certificate) => vector(3, certificate))));
}

/** RFC 7250 3: with raw public keys the message holds one SubjectPublicKeyInfo instead of a list; possibly empty. */
export function parseRawPublicKey(body: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(body);
  const key = reader.vector(3);
  return key === undefined || reader.left > 0 ? undefined : copy(key);
}

/** Parameters of ServerKeyExchange; what the suite does not have is absent. */
export interface ServerKeyExchange {
  readonly group: number;
  readonly point: Uint8Array;
  /** As on the wire: what the signature covers. */
  readonly parameters: Uint8Array;
  readonly scheme: number;
  readonly signature: Uint8Array;
}

/** RFC 8422 5.4 (signed), RFC 5489 2 (hint, then the same without signature), RFC 4279 2 (hint only). */
export function parseServerKeyExchange(
  body: Uint8Array,
  keyExchange: 'ecdhe' | 'psk' | 'ecdhe-psk',
): ServerKeyExchange | undefined {
  const reader = new Reader(body);
  const none = new Uint8Array(0);
  if (keyExchange !== 'ecdhe' && reader.vector(2) === undefined) return undefined;
  if (keyExchange === 'psk') {
    return reader.left > 0 ? undefined : { group: 0, point: none, parameters: none, scheme: 0, signature: none };
  }
  const start = body.length - reader.left;
  const curveType = reader.u8();
  const group = reader.u16();
  const point = reader.vector(1);
  const parameters = body.subarray(start, body.length - reader.left);
  if (curveType !== NAMED_CURVE || group === undefined || point === undefined) return undefined;
  if (keyExchange === 'ecdhe-psk') {
    return reader.left > 0 ? undefined : { group, point, parameters, scheme: 0, signature: none };
  }
  const scheme = reader.u16();
  const signature = reader.vector(2);
  if (scheme === undefined || signature === undefined || reader.left > 0) return undefined;
  return { group, point, parameters, scheme, signature };
}

const NAMED_CURVE = 3;

export function writeEcdheParameters(group: number, point: Uint8Array): Uint8Array {
  return concat(u8(NAMED_CURVE), u16(group), vector(1, point));
}

export interface CertificateRequest {
  readonly certificateTypes: Uint8Array;
  readonly schemes: readonly number[];
}

export function parseCertificateRequest(body: Uint8Array): CertificateRequest | undefined {
  const reader = new Reader(body);
  const certificateTypes = reader.vector(1);
  const schemeBytes = reader.vector(2);
  const authorities = reader.vector(2);
  if (certificateTypes === undefined || schemeBytes === undefined || authorities === undefined) return undefined;
  if (reader.left > 0 || certificateTypes.length === 0 || schemeBytes.length % 2 !== 0) return undefined;
  const schemes: number[] = [];
  const list = new Reader(schemeBytes);
  while (list.left > 0) schemes.push(list.u16() as number);
  return { certificateTypes, schemes };
}

export function writeCertificateRequest(types: readonly number[], schemes: readonly number[]): Uint8Array {
  return concat(vector(1, Uint8Array.from(types)), vector(2, concat(...schemes.map(u16))), u16(0));
}

export interface ClientKeyExchange {
  readonly identity: Uint8Array;
  readonly point: Uint8Array;
}

export function parseClientKeyExchange(
  body: Uint8Array,
  keyExchange: 'ecdhe' | 'psk' | 'ecdhe-psk',
): ClientKeyExchange | undefined {
  const reader = new Reader(body);
  const identity = keyExchange === 'ecdhe' ? new Uint8Array(0) : reader.vector(2);
  const point = keyExchange === 'psk' ? new Uint8Array(0) : reader.vector(1);
  return identity === undefined || point === undefined || reader.left > 0 ? undefined : { identity, point };
}

export interface CertificateVerify {
  readonly scheme: number;
  readonly signature: Uint8Array;
}

export function parseCertificateVerify(body: Uint8Array): CertificateVerify | undefined {
  const reader = new Reader(body);
  const scheme = reader.u16();
  const signature = reader.vector(2);
  return scheme === undefined || signature === undefined || reader.left > 0 ? undefined : { scheme, signature };
}

/** Ticket of a NewSessionTicket; empty when the server changed its mind (RFC 5077 3.3). */
export function parseNewSessionTicket(body: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(body);
  const lifetime = reader.u32();
  const ticket = reader.vector(2);
  return lifetime === undefined || ticket === undefined || reader.left > 0 ? undefined : copy(ticket);
}
