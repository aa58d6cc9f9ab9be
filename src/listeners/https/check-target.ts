/**
 * The request target (RFC 9112 section 3.2): origin-form only, and only in the one spelling that every reader takes for the
 * same resource. The raw text is judged, never a URL object: `new URL('//evil/x', base)` would show a permitted path.
 * Leaves out absolute-form, authority-form and asterisk-form: a device talks to its gateway, not to a proxy.
 */
import { Fault } from '../../faults/fault.ts';

export interface CheckedTarget {
  readonly path: string;
  readonly query: string;
  readonly targetDevice: string | undefined;
}

/** Throws SP_HTTP_TARGET. `maxBytes`: limits.targetBytes. */
export function checkTarget(target: string, maxBytes: number): CheckedTarget {
  if (target.length > maxBytes) refuse('longer than limits.targetBytes');
  if (target.charCodeAt(0) !== SLASH) refuse('not origin-form');
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark + 1);
  checkPath(path);
  checkQuery(query);
  return path.charCodeAt(1) === TILDE ? toDevice(path, query) : { path, query, targetDevice: undefined };
}

/** RFC 3986 section 3.3: segments of pchar. */
function checkPath(path: string): void {
  let segmentStart = 1;
  let beyondAscii = false;
  for (let at = 1; at < path.length; at += 1) {
    const octet = path.charCodeAt(at);
    if (octet === SLASH) {
      // `//host/…` is an authority to some readers, and `/a//b` is `/a/b` to others.
      if (at === segmentStart) refuse('empty segment');
      checkSegment(path, segmentStart, at);
      segmentStart = at + 1;
    } else if (octet === PERCENT) {
      const decoded = escaped(path, at);
      // One spelling only: an encoded slash, dot, letter or control is a second name for a resource that policy knows by
      // its first, and `%25` in front of two hex digits is the same for readers that decode twice.
      if (decoded < 0x20 || decoded === 0x7f || decoded === SLASH || decoded === BACKSLASH || isUnreserved(decoded)) {
        refuse('needless or dangerous percent-encoding');
      }
      if (decoded === PERCENT && hexValue(path.charCodeAt(at + 3)) >= 0 && hexValue(path.charCodeAt(at + 4)) >= 0) {
        refuse('doubly encoded');
      }
      if (decoded >= 0x80) beyondAscii = true;
      at += 2;
    } else if (!isPathCharacter(octet)) {
      refuse('character that is not of a path');
    }
  }
  checkSegment(path, segmentStart, path.length);
  if (beyondAscii && !isUtf8(path)) refuse('percent-encoding that is not UTF-8');
}

/** RFC 3986 section 5.2.4 would remove dot segments; some servers also take `..;x` for one. */
function checkSegment(path: string, from: number, to: number): void {
  if (path.charCodeAt(from) !== DOT) return;
  const end = path.charCodeAt(from + 1) === DOT ? from + 2 : from + 1;
  if (end === to || path.charCodeAt(end) === SEMICOLON) refuse('dot segment');
}

/** RFC 3986 section 3.4: pchar, slash and question mark. */
function checkQuery(query: string): void {
  for (let at = 0; at < query.length; at += 1) {
    const octet = query.charCodeAt(at);
    if (octet === PERCENT) {
      if (escaped(query, at) === 0) refuse('encoded NUL');
      at += 2;
    } else if (octet !== SLASH && octet !== QUESTION && !isPathCharacter(octet)) {
      refuse('character that is not of a query');
    }
  }
}

/** `/~thermo-1/status` means the path `/status` of the device `thermo-1`. */
function toDevice(path: string, query: string): CheckedTarget {
  const slash = path.indexOf('/', 2);
  const targetDevice = path.slice(2, slash < 0 ? path.length : slash);
  if (!DEVICE_ID.test(targetDevice)) refuse('a device to be reached without a valid id');
  return { path: slash < 0 ? '/' : path.slice(slash), query, targetDevice };
}

/** The octet that `%XX` at `at` stands for. */
function escaped(text: string, at: number): number {
  const high = hexValue(text.charCodeAt(at + 1));
  const low = hexValue(text.charCodeAt(at + 2));
  if (high < 0 || low < 0) refuse('invalid percent-encoding');
  return high * 16 + low;
}

function hexValue(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function isPathCharacter(octet: number): boolean {
  return octet < 0x80 && PATH_CHARACTERS[octet] === 1;
}

function isUnreserved(octet: number): boolean {
  return octet < 0x80 && UNRESERVED[octet] === 1;
}

function refuse(part: string): never {
  throw new Fault('SP_HTTP_TARGET', undefined, { details: { part } });
}

function table(characters: string): Uint8Array {
  const marks = new Uint8Array(128);
  for (const character of characters) marks[character.charCodeAt(0)] = 1;
  return marks;
}

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const TILDE = 0x7e;
const PERCENT = 0x25;
const QUESTION = 0x3f;
const DOT = 0x2e;
const SEMICOLON = 0x3b;
// RFC 3986 sections 2.2, 2.3 and 3.3
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
const UNRESERVED_CHARACTERS = `${LETTERS}0123456789-._~`;
const UNRESERVED = table(UNRESERVED_CHARACTERS);
const PATH_CHARACTERS = table(`${UNRESERVED_CHARACTERS}!$&'()*+,;=:@`);
/** The form of a device id, see SP_DEVICE_ID. */
const DEVICE_ID = /^(?=.{1,64}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
