/**
 * Extension block and the extensions we speak (RFC 5246 7.4.1.4; RFC numbers at each). Unknown ones of a client are skipped,
 * duplicates refused. In a ServerHello only what was offered may stand (RFC 5246 7.4.1.4).
 */
import { concat, u8, u16, utf8, vector } from './bytes.ts';
import { Reader } from './reader.ts';
import { ExtensionType } from './registry.ts';

export type ExtensionMap = ReadonlyMap<number, Uint8Array>;

const MAX_EXTENSIONS = 64;

/** The block at the end of a hello; an absent block is an empty one. Undefined: malformed or a type twice. */
export function parseExtensionBlock(rest: Uint8Array): ExtensionMap | undefined {
  const found = new Map<number, Uint8Array>();
  if (rest.length === 0) return found;
  const outer = new Reader(rest);
  const block = outer.vector(2);
  if (block === undefined || outer.left > 0) return undefined;
  const reader = new Reader(block);
  while (reader.left > 0) {
    const type = reader.u16();
    const body = reader.vector(2);
    // RFC 5246 7.4.1.4: no more than one extension of the same type.
    if (type === undefined || body === undefined || found.has(type) || found.size === MAX_EXTENSIONS) return undefined;
    found.set(type, body);
  }
  return found;
}

export function writeExtensionBlock(extensions: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  if (extensions.length === 0) return new Uint8Array(0);
  return vector(2, concat(...extensions.flatMap(([type, body]) => [u16(type), vector(2, body)])));
}

/** What both hellos may say; in a ServerHello lists have one entry. */
export interface Extensions {
  readonly serverName: string | undefined;
  readonly maxFragmentBytes: number | undefined;
  readonly groups: readonly number[] | undefined;
  readonly signatureSchemes: readonly number[] | undefined;
  readonly protocols: readonly string[] | undefined;
  readonly clientCertificateTypes: readonly number[] | undefined;
  readonly serverCertificateTypes: readonly number[] | undefined;
  readonly extendedMasterSecret: boolean;
  readonly recordSizeLimit: number | undefined;
  readonly ticket: Uint8Array | undefined;
  readonly connectionId: Uint8Array | undefined;
  readonly returnRoutability: boolean;
  readonly renegotiationInfo: boolean;
}

/** Undefined: one of the bodies is malformed. */
export function readExtensions(map: ExtensionMap, from: 'client' | 'server'): Extensions | undefined {
  let sound = true;
  /** Runs a codec on a body that is there; a codec says undefined for "malformed". */
  const read = <T>(type: number, codec: (body: Uint8Array) => T | undefined): T | undefined => {
    const body = map.get(type);
    if (body === undefined) return undefined;
    const value = codec(body);
    if (value === undefined) sound = false;
    return value;
  };
  const certificateTypes = from === 'client' ? byteList : oneByte;
  const extensions: Extensions = {
    serverName: read(ExtensionType.serverName, from === 'client' ? serverName : emptyName),
    maxFragmentBytes: read(ExtensionType.maxFragmentLength, maxFragmentLength),
    groups: read(ExtensionType.supportedGroups, wordList),
    signatureSchemes: read(ExtensionType.signatureAlgorithms, wordList),
    protocols: read(ExtensionType.alpn, protocolNames),
    clientCertificateTypes: read(ExtensionType.clientCertificateType, certificateTypes),
    serverCertificateTypes: read(ExtensionType.serverCertificateType, certificateTypes),
    extendedMasterSecret: read(ExtensionType.extendedMasterSecret, empty) ?? false,
    recordSizeLimit: read(ExtensionType.recordSizeLimit, recordSize),
    ticket: read(ExtensionType.sessionTicket, (body) => body),
    connectionId: read(ExtensionType.connectionId, connectionId),
    returnRoutability: read(ExtensionType.returnRoutabilityCheck, empty) ?? false,
    renegotiationInfo: read(ExtensionType.renegotiationInfo, noRenegotiation) ?? false,
  };
  // RFC 8422 5.1.2: a list of point formats must contain the uncompressed one.
  const formats = read(ExtensionType.ecPointFormats, byteList);
  if (formats !== undefined && !formats.includes(0)) sound = false;
  return sound ? extensions : undefined;
}

function empty(body: Uint8Array): true | undefined {
  return body.length === 0 ? true : undefined;
}

function emptyName(body: Uint8Array): string | undefined {
  return body.length === 0 ? '' : undefined;
}

function wordList(body: Uint8Array): number[] | undefined {
  const outer = new Reader(body);
  const list = outer.vector(2);
  if (list === undefined || outer.left > 0 || list.length === 0 || list.length % 2 !== 0) return undefined;
  const reader = new Reader(list);
  const words: number[] = [];
  while (reader.left > 0) words.push(reader.u16() as number);
  return words;
}

function byteList(body: Uint8Array): number[] | undefined {
  const reader = new Reader(body);
  const list = reader.vector(1);
  return list === undefined || reader.left > 0 || list.length === 0 ? undefined : [...list];
}

function oneByte(body: Uint8Array): number[] | undefined {
  return body.length === 1 ? [...body] : undefined;
}

/** RFC 6066 3: one host_name, ASCII, without trailing dot; names are compared in lower case. */
function serverName(body: Uint8Array): string | undefined {
  const outer = new Reader(body);
  const reader = new Reader(outer.vector(2) ?? new Uint8Array(0));
  const type = reader.u8();
  const name = reader.vector(2);
  if (outer.left > 0 || reader.left > 0 || type !== 0 || name === undefined) return undefined;
  const text = utf8(name);
  return text !== undefined && text.length <= 255 && /^[\x21-\x7e]+$/.test(text) ? text.toLowerCase() : undefined;
}

/** RFC 6066 4: 1 to 4 stand for 2^9 to 2^12. */
function maxFragmentLength(body: Uint8Array): number | undefined {
  const code = body[0] ?? 0;
  return body.length === 1 && code >= 1 && code <= 4 ? 2 ** (8 + code) : undefined;
}

/** RFC 8449 4: below 64 is illegal. */
function recordSize(body: Uint8Array): number | undefined {
  const size = body.length === 2 ? (new Reader(body).u16() as number) : 0;
  return size >= 64 ? size : undefined;
}

/** RFC 7301 3.1: names of 1 to 255 bytes, at least one. */
function protocolNames(body: Uint8Array): string[] | undefined {
  const outer = new Reader(body);
  const list = outer.vector(2);
  if (list === undefined || outer.left > 0 || list.length === 0) return undefined;
  const reader = new Reader(list);
  const names: string[] = [];
  while (reader.left > 0) {
    const name = reader.vector(1);
    if (name === undefined || name.length === 0) return undefined;
    names.push(String.fromCharCode(...name));
  }
  return names;
}

/** RFC 9146 3. */
function connectionId(body: Uint8Array): Uint8Array | undefined {
  const reader = new Reader(body);
  const cid = reader.vector(1);
  return cid === undefined || reader.left > 0 ? undefined : cid;
}

/** RFC 5746 3.6: in an initial handshake the field is empty. */
function noRenegotiation(body: Uint8Array): true | undefined {
  return body.length === 1 && body[0] === 0 ? true : undefined;
}

export const writeExtension = {
  serverName: (name: string) => vector(2, concat(u8(0), vector(2, new TextEncoder().encode(name)))),
  words: (words: readonly number[]) => vector(2, concat(...words.map(u16))),
  bytes: (bytes: readonly number[]) => vector(1, Uint8Array.from(bytes)),
  protocols: (names: readonly string[]) =>
    vector(
      2,
      concat(
        ...names.map((name) =>
          vector(
            1,
            Uint8Array.from(name, (char) => char.charCodeAt(0)),
          ),
        ),
      ),
    ),
  maxFragmentLength: (bytes: number) => u8(Math.log2(bytes) - 8),
} as const;
