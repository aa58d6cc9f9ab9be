/**
 * Text from outside, made safe to stand in a log line or on a terminal: controls (C0, C1), bidi and other invisible
 * format characters, line separators and lone surrogates become visible escapes, and the length is bounded. Unlike JSON's
 * own escapes these survive parsing, so that no later reader of the log prints them raw.
 */

/** Longest text in a log, UTF-16 units. */
export const MAX_TEXT = 512;

const PLAIN = /^[ -~]*$/;
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** `text` with escapes like `\u001b`, at most `maximum` units long; what is cut ends with an ellipsis. */
export function printable(text: string, maximum: number = MAX_TEXT): string {
  if (text.length <= maximum && PLAIN.test(text)) return text;
  // Cut before the escapes, so that the work is bounded, and after them, so that the result is.
  const escaped = text.slice(0, maximum + 1).replace(UNSEEN, visible);
  return escaped.length > maximum ? `${escaped.slice(0, maximum - 1).replace(/[\ud800-\udbff]$/, '')}…` : escaped;
}

function visible(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
}
