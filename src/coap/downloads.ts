/**
 * Bodies that leave by Block2 (RFC 7959 section 2.4), server side: the response is cut to blocks that fit, and one body per peer is
 * kept so that its further blocks cost no handler. GET without a kept body runs the handler again; anything else is refused, because
 * running it again would do it again.
 */
import type { CoapOption } from './api.ts';
import { type Block, blockOption, MAX_BLOCK_NUMBER, operationKey } from './block.ts';
import { METHOD } from './codes.ts';
import { OPTION, uintOption } from './option-table.ts';
import { bytesKey, type Context, type Download, type PeerState } from './peer-state.ts';

export interface Slice {
  readonly payload: Uint8Array;
  /** Block2 and, with the first block, Size2. */
  readonly options: readonly CoapOption[];
  readonly more: boolean;
}

/**
 * The block of `payload` that `wanted` asks for, at most `fitBytes` long.
 * @returns undefined when it lies beyond the end (4.00).
 */
export function slice(payload: Uint8Array, wanted: Block | undefined, fitBytes: number): Slice | undefined {
  const blockBytes = Math.min(wanted?.blockBytes ?? 1_024, fitBytes);
  // A smaller block than asked for starts at the same offset (RFC 7959 section 2.4, only with the first block without loss).
  const offset = (wanted?.number ?? 0) * (wanted?.blockBytes ?? blockBytes);
  if (offset > 0 && offset >= payload.length) return undefined;
  const number = offset / blockBytes;
  if (number > MAX_BLOCK_NUMBER) return undefined;
  const end = Math.min(offset + blockBytes, payload.length);
  const more = end < payload.length;
  const options: CoapOption[] = [];
  if (wanted !== undefined || more) options.push(blockOption(OPTION.block2, { number, more, blockBytes }));
  if (more && offset === 0) options.push(uintOption(OPTION.size2, payload.length));
  return { payload: payload.subarray(offset, end), options, more };
}

/** Keeps a body for its further blocks; the one before is forgotten. Without room nothing is kept. */
export function keepDownload<Peer>(
  context: Context<Peer>,
  state: PeerState<Peer>,
  body: Omit<Download, 'lastAtMs'>,
): void {
  dropDownload(context, state);
  const bytes = body.payload.length;
  if (context.blockBytes + bytes > context.limits.maxBlockBytes && !context.makeRoom(bytes)) return;
  state.download = { ...body, lastAtMs: context.nowMs };
  context.chargeBlocks(state, bytes);
  context.schedule(state, context.nowMs + context.limits.blockLifetimeMs);
}

export function dropDownload<Peer>(context: Context<Peer>, state: PeerState<Peer>): void {
  if (state.download === undefined) return;
  context.chargeBlocks(state, -state.download.payload.length);
  state.download = undefined;
}

export function tickDownload<Peer>(context: Context<Peer>, state: PeerState<Peer>): void {
  if (state.download === undefined) return;
  const endsAtMs = state.download.lastAtMs + context.limits.blockLifetimeMs;
  if (endsAtMs <= context.nowMs) dropDownload(context, state);
  else context.schedule(state, endsAtMs);
}

/** What a kept body answers: the operation and, for FETCH, the question in its payload (RFC 8132 section 2.1). */
export function downloadKey(code: number, options: readonly CoapOption[], body: Uint8Array): string {
  const key = operationKey(code, options, false);
  return code === METHOD.FETCH ? `${key}#${bytesKey(bodyTag(body))}` : key;
}

/** Whether a request for a further block, with or without its question again, is about this body. */
export function isAbout(kept: Download, code: number, options: readonly CoapOption[], body: Uint8Array): boolean {
  if (code === METHOD.FETCH && body.length === 0) return kept.key.startsWith(`${operationKey(code, options, false)}#`);
  return kept.key === downloadKey(code, options, body);
}

/**
 * An ETag for a body that came without one, so that blocks of two bodies are never mixed (RFC 7959 section 2.4). Two 32-bit
 * multiplicative hashes over the bytes; it tells versions apart, it proves nothing.
 */
export function bodyTag(payload: Uint8Array): Uint8Array {
  let one = 0x811c9dc5;
  let other = 0x1b873593 ^ payload.length;
  for (const byte of payload) {
    one = Math.imul(one ^ byte, 0x01000193);
    other = Math.imul(other ^ byte, 0x85ebca6b);
    other ^= other >>> 13;
  }
  const tag = new Uint8Array(8);
  const view = new DataView(tag.buffer);
  view.setUint32(0, one);
  view.setUint32(4, other);
  return tag;
}
