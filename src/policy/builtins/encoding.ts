/** JSON, base64 and hex as Go reads and writes them. */
import { PolicyAbort } from '../engine/policy-abort.ts';
import { RegoNumber, RegoObject, type Value } from '../engine/value.ts';
import { parseJson, toGoJson } from '../engine/value-text.ts';
import type { Builtin } from './builtin.ts';
import { textAt, textOfBytes } from './operands.ts';

export const jsonMarshal: Builtin = (parameters) => toGoJson(parameters[0] as Value);

export const jsonUnmarshal: Builtin = (parameters) => {
  const value = parseJson(textAt(parameters, 0));
  if (value !== undefined) refuseHugeNumbers(value);
  return value;
};

export const jsonIsValid: Builtin = ([text]) => typeof text === 'string' && parseJson(text) !== undefined;

/** OPA takes exponents up to some thousand and leaves the rest undefined; where exactly is not ours to guess. */
function refuseHugeNumbers(value: Value): void {
  if (value instanceof RegoNumber) {
    const exponent = /[eE]([+-]?[0-9]+)$/.exec(value.text)?.[1];
    if (exponent !== undefined && Math.abs(Number(exponent)) > 4_096) {
      throw new PolicyAbort('json.unmarshal: a number is too large or too small.');
    }
  } else if (value instanceof RegoObject) {
    for (const [, item] of value.entries) refuseHugeNumbers(item);
  } else if (Array.isArray(value)) for (const item of value) refuseHugeNumbers(item as Value);
}

const encoder = new TextEncoder();

export const base64UrlEncodeNoPad: Builtin = (parameters) => Buffer.from(textAt(parameters, 0)).toString('base64url');

const STANDARD = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const URL_SAFE = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}==|[A-Za-z0-9_-]{3}=)?$/;

/** RFC 4648 with padding; Go skips line breaks and does not look at the unused bits. */
export const base64Decode: Builtin = (parameters) => decode(textAt(parameters, 0).replace(/[\r\n]/g, ''), STANDARD);
export const base64IsValid: Builtin = ([text]) =>
  typeof text === 'string' && STANDARD.test(text.replace(/[\r\n]/g, ''));

/** Padding may be missing altogether. */
export const base64UrlDecode: Builtin = (parameters) => {
  const text = textAt(parameters, 0);
  const bare = !text.endsWith('=');
  const rest = encoder.encode(text).length % 4;
  if (bare && rest === 1) return undefined;
  const padded = bare && rest !== 0 ? text + '='.repeat(4 - rest) : text;
  return decode(padded.replace(/[\r\n]/g, ''), URL_SAFE);
};

function decode(text: string, alphabet: RegExp): string | undefined {
  return alphabet.test(text) ? textOfBytes(Buffer.from(text, 'base64')) : undefined;
}

export const hexEncode: Builtin = (parameters) => Buffer.from(textAt(parameters, 0)).toString('hex');

export const hexDecode: Builtin = (parameters) => {
  const text = textAt(parameters, 0);
  return /^(?:[0-9a-fA-F]{2})*$/.test(text) ? textOfBytes(Buffer.from(text, 'hex')) : undefined;
};
