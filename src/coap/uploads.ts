/**
 * Bodies that arrive by Block1 (RFC 7959 section 2.3 and 2.5), server side: one per peer, in order and without gaps, with the budget
 * checked on the first block that shows the size. Memory follows what was received, never what was announced.
 */
import { type Block, operationKey } from './block.ts';
import type { CoapMessage } from './codec.ts';
import { CODE } from './codes.ts';
import { findUint, OPTION } from './option-table.ts';
import type { Context, PeerState, Upload } from './peer-state.ts';
import type { RefusalReason } from './stats.ts';

export type UploadStep =
  | { readonly kind: 'refused'; readonly code: number; readonly reason: RefusalReason; readonly size1?: number }
  | { readonly kind: 'continue'; readonly blockBytes: number }
  | { readonly kind: 'whole'; readonly body: Uint8Array };

/** Takes one block. */
export function takeBlock<Peer>(
  context: Context<Peer>,
  state: PeerState<Peer>,
  message: CoapMessage,
  block: Block,
): UploadStep {
  const { maxRequestBodyBytes, blockBytes } = context.limits;
  const { payload } = message;
  const offset = block.number * block.blockBytes;
  // RFC 7959 section 2.3: all but the last block are full, and none is more than full.
  if (payload.length > block.blockBytes || (block.more && payload.length !== block.blockBytes)) {
    if (block.number > 0) dropUpload(context, state);
    return { kind: 'refused', code: CODE.badRequest, reason: 'block-malformed' };
  }
  const announced = findUint(message.options, OPTION.size1) ?? 0;
  if (Math.max(announced, offset + payload.length + (block.more ? 1 : 0)) > maxRequestBodyBytes) {
    dropUpload(context, state);
    return { kind: 'refused', code: CODE.requestEntityTooLarge, reason: 'body-too-large', size1: maxRequestBodyBytes };
  }
  const key = operationKey(message.code, message.options, true);
  if (block.number === 0) {
    dropUpload(context, state);
    if (!block.more) return { kind: 'whole', body: payload };
    if (!hasRoom(context, payload.length))
      return { kind: 'refused', code: CODE.serviceUnavailable, reason: 'block-memory-full' };
    state.upload = { key, chunks: [], bytes: 0, blockBytes: block.blockBytes, lastAtMs: context.nowMs };
    append(context, state, state.upload, payload);
    return { kind: 'continue', blockBytes: Math.min(block.blockBytes, blockBytes) };
  }
  const upload = state.upload;
  // Another operation's block neither joins the one under way nor ends it.
  if (upload === undefined || upload.key !== key)
    return { kind: 'refused', code: CODE.requestEntityIncomplete, reason: 'block-unknown' };
  if (offset !== upload.bytes || block.blockBytes > upload.blockBytes) {
    dropUpload(context, state);
    return { kind: 'refused', code: CODE.requestEntityIncomplete, reason: 'block-out-of-order' };
  }
  if (block.more) {
    if (!hasRoom(context, payload.length)) {
      dropUpload(context, state);
      return { kind: 'refused', code: CODE.serviceUnavailable, reason: 'block-memory-full' };
    }
    upload.blockBytes = block.blockBytes;
    append(context, state, upload, payload);
    return { kind: 'continue', blockBytes: Math.min(block.blockBytes, blockBytes) };
  }
  const body = new Uint8Array(upload.bytes + payload.length);
  let at = 0;
  for (const chunk of upload.chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  body.set(payload, at);
  dropUpload(context, state);
  return { kind: 'whole', body };
}

function hasRoom<Peer>(context: Context<Peer>, bytes: number): boolean {
  return context.blockBytes + bytes <= context.limits.maxBlockBytes || context.makeRoom(bytes);
}

function append<Peer>(context: Context<Peer>, state: PeerState<Peer>, upload: Upload, payload: Uint8Array): void {
  // A copy: a view would keep the whole receive buffer alive.
  upload.chunks.push(payload.slice());
  upload.bytes += payload.length;
  upload.lastAtMs = context.nowMs;
  context.chargeBlocks(state, payload.length);
  context.schedule(state, context.nowMs + context.limits.blockLifetimeMs);
}

export function dropUpload<Peer>(context: Context<Peer>, state: PeerState<Peer>): void {
  if (state.upload === undefined) return;
  context.chargeBlocks(state, -state.upload.bytes);
  state.upload = undefined;
}

export function tickUpload<Peer>(context: Context<Peer>, state: PeerState<Peer>): void {
  if (state.upload === undefined) return;
  const endsAtMs = state.upload.lastAtMs + context.limits.blockLifetimeMs;
  if (endsAtMs <= context.nowMs) dropUpload(context, state);
  else context.schedule(state, endsAtMs);
}
