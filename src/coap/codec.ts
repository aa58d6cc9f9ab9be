/**
 * Datagram to message and back, strictly RFC 7252 section 3 with the extended tokens of RFC 8974 section 2:
 *
 *     |Ver=1| T |  TKL  |      Code     |          Message ID           |
 *     | extended token length, token ...
 *     | options: delta, length, extensions, value ...   | 0xFF | payload ...
 *
 * What is malformed is returned as such with what a reset needs; nothing throws on any input. Options keep their order and bytes.
 */
import type { CoapOption } from './api.ts';
import { isRequestCode, isResponseCode, type MessageType, TYPE } from './codes.ts';
import { CoapError } from './error.ts';
import type { DropReason } from './stats.ts';

export interface CoapMessage {
  readonly type: MessageType;
  readonly code: number;
  readonly messageId: number;
  readonly token: Uint8Array;
  /** Sorted by number. */
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

export interface MalformedMessage {
  readonly malformed: DropReason;
  /** What could be read; undefined when not even the header could be, or the version is not ours. */
  readonly type: MessageType | undefined;
  readonly messageId: number;
}

export const NOTHING: Uint8Array = new Uint8Array(0);
const NO_OPTIONS: readonly CoapOption[] = Object.freeze([]);

/** Bounds the parser obeys; see limits.ts. */
export interface ParseBounds {
  readonly maxReceivedBytes: number;
  readonly maxOptions: number;
  readonly maxTokenBytes: number;
}

/**
 * Reads one datagram.
 * @returns the message, its token, option values and payload being views of `bytes`; or what is wrong with it. Never throws.
 */
export function parseMessage(bytes: Uint8Array, bounds: ParseBounds): CoapMessage | MalformedMessage {
  const end = bytes.length;
  if (end < 4) return malformed('header-truncated', undefined, 0);
  if (end > bounds.maxReceivedBytes) return malformed('datagram-size', undefined, 0);
  const first = bytes[0] as number;
  // RFC 7252 section 3: another version is silently ignored, not even a reset.
  if (first >> 6 !== 1) return malformed('version-unknown', undefined, 0);
  const type = ((first >> 4) & 3) as MessageType;
  const code = bytes[1] as number;
  const messageId = ((bytes[2] as number) << 8) | (bytes[3] as number);

  if (code === 0) {
    if (end !== 4 || first & 0x0f) return malformed('empty-with-content', type, messageId);
    if (type === TYPE.nonConfirmable) return malformed('type-code-mismatch', type, messageId);
    return { type, code, messageId, token: NOTHING, options: NO_OPTIONS, payload: NOTHING };
  }
  if (!isRequestCode(code) && !isResponseCode(code)) return malformed('code-reserved', type, messageId);
  // RFC 7252 table 1: a reset is empty, an acknowledgement never carries a request.
  if (type === TYPE.reset || (type === TYPE.acknowledgement && code < 0x20))
    return malformed('type-code-mismatch', type, messageId);

  let at = 4;
  let tokenBytes = first & 0x0f;
  if (tokenBytes > 8) {
    if (tokenBytes === 13) {
      if (at + 1 > end) return malformed('token-malformed', type, messageId);
      tokenBytes = (bytes[at] as number) + 13;
      at += 1;
    } else if (tokenBytes === 14) {
      if (at + 2 > end) return malformed('token-malformed', type, messageId);
      tokenBytes = (((bytes[at] as number) << 8) | (bytes[at + 1] as number)) + 269;
      at += 2;
    } else return malformed('token-malformed', type, messageId);
    if (tokenBytes > bounds.maxTokenBytes) return malformed('token-too-long', type, messageId);
  }
  if (at + tokenBytes > end) return malformed('token-malformed', type, messageId);
  const token = tokenBytes === 0 ? NOTHING : bytes.subarray(at, at + tokenBytes);
  at += tokenBytes;

  let options: CoapOption[] | undefined;
  let number = 0;
  while (at < end) {
    const head = bytes[at++] as number;
    if (head === 0xff) {
      // A marker with nothing behind it is a format error, not an empty payload.
      if (at === end) return malformed('payload-marker-empty', type, messageId);
      return { type, code, messageId, token, options: options ?? NO_OPTIONS, payload: bytes.subarray(at) };
    }
    let delta = head >> 4;
    let length = head & 0x0f;
    if (delta === 15 || length === 15) return malformed('option-malformed', type, messageId);
    if (delta > 12) {
      const wide = delta - 12;
      if (at + wide > end) return malformed('option-overrun', type, messageId);
      delta =
        wide === 1 ? (bytes[at] as number) + 13 : (((bytes[at] as number) << 8) | (bytes[at + 1] as number)) + 269;
      at += wide;
    }
    if (length > 12) {
      const wide = length - 12;
      if (at + wide > end) return malformed('option-overrun', type, messageId);
      length =
        wide === 1 ? (bytes[at] as number) + 13 : (((bytes[at] as number) << 8) | (bytes[at + 1] as number)) + 269;
      at += wide;
    }
    number += delta;
    if (number > 0xffff) return malformed('option-malformed', type, messageId);
    if (at + length > end) return malformed('option-overrun', type, messageId);
    if (options === undefined) options = [];
    else if (options.length >= bounds.maxOptions) return malformed('options-too-many', type, messageId);
    options.push({ number, value: length === 0 ? NOTHING : bytes.subarray(at, at + length) });
    at += length;
  }
  return { type, code, messageId, token, options: options ?? NO_OPTIONS, payload: NOTHING };
}

export function isMalformed(message: CoapMessage | MalformedMessage): message is MalformedMessage {
  return 'malformed' in message;
}

function malformed(reason: DropReason, type: MessageType | undefined, messageId: number): MalformedMessage {
  return { malformed: reason, type, messageId };
}

/**
 * Writes one datagram; options need not be sorted.
 * @throws CoapError `invalid-message` for numbers, tokens or options that the format cannot hold.
 */
export function serialiseMessage(message: CoapMessage): Uint8Array {
  const { type, code, messageId, token, payload } = message;
  const options = sorted(message.options);
  if (code === 0 && (token.length > 0 || options.length > 0 || payload.length > 0))
    throw new CoapError('invalid-message', 'an empty message has no token, options or payload');
  if (token.length > 65_804) throw new CoapError('invalid-message', 'a token has at most 65,804 bytes');
  const bytes = new Uint8Array(messageBytes(message));
  const tokenField = token.length <= 8 ? token.length : nibble(Math.max(token.length, 13));
  if (token.length > 8 && token.length < 13) throw new CoapError('invalid-message', 'no token of 9 to 12 bytes');
  bytes[0] = 0x40 | (type << 4) | tokenField;
  bytes[1] = code;
  bytes[2] = messageId >> 8;
  bytes[3] = messageId;
  let at = 4;
  if (token.length > 12) at = extension(bytes, at, token.length);
  bytes.set(token, at);
  at += token.length;
  let before = 0;
  for (const { number, value } of options) {
    const delta = number - before;
    before = number;
    bytes[at++] = (nibble(delta) << 4) | nibble(value.length);
    if (delta > 12) at = extension(bytes, at, delta);
    if (value.length > 12) at = extension(bytes, at, value.length);
    bytes.set(value, at);
    at += value.length;
  }
  if (payload.length > 0) {
    bytes[at++] = 0xff;
    bytes.set(payload, at);
  }
  return bytes;
}

/** How many bytes `serialiseMessage` will write. */
export function messageBytes(message: Pick<CoapMessage, 'token' | 'options' | 'payload'>): number {
  const { token, payload } = message;
  let bytes = 4 + token.length + (token.length > 268 ? 2 : token.length > 12 ? 1 : 0);
  if (payload.length > 0) bytes += 1 + payload.length;
  let before = 0;
  for (const { number, value } of sorted(message.options)) {
    if (number < before || number > 0xffff || value.length > 65_804)
      throw new CoapError('invalid-message', `option ${number} cannot be written`);
    bytes += 1 + wide(number - before) + wide(value.length) + value.length;
    before = number;
  }
  return bytes;
}

function sorted(options: readonly CoapOption[]): readonly CoapOption[] {
  for (let at = 1; at < options.length; at++) {
    if ((options[at] as CoapOption).number < (options[at - 1] as CoapOption).number)
      return [...options].sort((one, other) => one.number - other.number);
  }
  return options;
}

function wide(value: number): number {
  return value > 268 ? 2 : value > 12 ? 1 : 0;
}

function nibble(value: number): number {
  return value > 268 ? 14 : value > 12 ? 13 : value;
}

function extension(bytes: Uint8Array, at: number, value: number): number {
  if (value > 268) {
    bytes[at] = (value - 269) >> 8;
    bytes[at + 1] = value - 269;
    return at + 2;
  }
  bytes[at] = value - 13;
  return at + 1;
}

/** An empty acknowledgement or reset: four bytes. */
export function emptyMessage(type: MessageType, messageId: number): Uint8Array {
  return Uint8Array.of(0x40 | (type << 4), 0, messageId >> 8, messageId & 0xff);
}
