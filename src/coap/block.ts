/**
 * The Block1 and Block2 option value (RFC 7959 section 2.2): block number, "more" bit and size exponent in up to three bytes, and
 * the key that tells one block-wise transfer from another.
 */
import type { CoapOption } from './api.ts';
import { OPTION, readUint, uintOption } from './option-table.ts';

export interface Block {
  /** 0 to 2^20-1. */
  readonly number: number;
  readonly more: boolean;
  /** 16 to 1,024. */
  readonly blockBytes: number;
}

/** Largest block number the option can hold. */
export const MAX_BLOCK_NUMBER = 0xf_ffff;

/** @returns undefined for the reserved size exponent 7 (RFC 7959 section 2.2: 4.00). */
export function readBlock(value: Uint8Array): Block | undefined {
  const bits = readUint(value);
  const exponent = bits & 7;
  if (exponent === 7) return undefined;
  return { number: bits >>> 4, more: (bits & 8) !== 0, blockBytes: 16 << exponent };
}

export function blockOption(option: typeof OPTION.block1 | typeof OPTION.block2, block: Block): CoapOption {
  const exponent = 27 - Math.clz32(block.blockBytes);
  return uintOption(option, block.number * 16 + (block.more ? 8 : 0) + exponent);
}

/** The largest power of two that a block may have and that is not above `bytes`; 16 at least, 1,024 at most. */
export function blockSizeUpTo(bytes: number): number {
  return Math.min(1_024, Math.max(16, 2 ** Math.floor(Math.log2(Math.max(16, bytes)))));
}

/** RFC 7959 section 2.4, RFC 9175 section 3.3: method, and every option that belongs to the operation and not to one block of it. */
export function operationKey(code: number, options: readonly CoapOption[], withRequestTag: boolean): string {
  let key = String(code);
  for (const { number, value } of options) {
    if (number === OPTION.block1 || number === OPTION.block2 || number === OPTION.size1 || number === OPTION.size2)
      continue;
    if (number === OPTION.observe || number === OPTION.echo || number === OPTION.noResponse) continue;
    if (number === OPTION.requestTag && !withRequestTag) continue;
    // The length keeps a value from imitating the start of the next option.
    key += `|${number}:${value.length}:`;
    for (const byte of value) key += String.fromCharCode(byte);
  }
  return key;
}
