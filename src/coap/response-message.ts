/** From what a handler answered to code, options and payload on the wire: cut to a block when it does not fit (RFC 7959), options in order. */
import type { CoapOption, CoapResponse } from './api.ts';
import { type Block, blockOption, blockSizeUpTo } from './block.ts';
import { messageBytes, NOTHING } from './codec.ts';
import { isResponseCode, isSuccess } from './codes.ts';
import { bodyTag, keepDownload, slice } from './downloads.ts';
import { CoapError } from './error.ts';
import { OPTION, opaqueOption, textOption, uintOption } from './option-table.ts';
import type { Context, Download, PeerState } from './peer-state.ts';

export interface ResponseFrame {
  readonly token: Uint8Array;
  /** What the request asked for, or what suits an observer. */
  readonly block2: Block | undefined;
  /** The operation, for the further blocks; asked for only when there are any. */
  readonly key: () => string;
  readonly observeSequence?: number | undefined;
  readonly block1?: Block | undefined;
}

export interface ResponseParts {
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

/** Options that only the library sets. */
const OWN: ReadonlySet<number> = new Set([
  OPTION.etag,
  OPTION.observe,
  OPTION.contentFormat,
  OPTION.maxAge,
  OPTION.locationPath,
  OPTION.locationQuery,
  OPTION.block1,
  OPTION.block2,
  OPTION.size1,
  OPTION.size2,
  OPTION.echo,
]);

/** Room that Block2, Size2 and the payload marker may take. */
const BLOCK_OVERHEAD_BYTES = 11;

/**
 * @returns undefined when the block asked for lies beyond the end of the body.
 * @throws CoapError when the response cannot be written at all.
 */
export function responseParts<Peer>(
  context: Context<Peer>,
  state: PeerState<Peer>,
  response: CoapResponse<Peer>,
  frame: ResponseFrame,
): ResponseParts | undefined {
  if (!isResponseCode(response.code)) throw new CoapError('invalid-message', `${response.code} is no response code`);
  const options = ownOptions(context, state, response, frame);
  const payload = response.payload ?? NOTHING;
  const { blockBytes, maxMessageBytes } = context.limits;
  const { token, block2 } = frame;
  if (block2 === undefined && payload.length <= blockBytes) {
    if (messageBytes({ token, options, payload }) <= maxMessageBytes) return { code: response.code, options, payload };
  }
  const tagged = response.etag !== undefined || !isSuccess(response.code) || payload.length <= 16;
  const withTag = tagged ? options : [opaqueOption(OPTION.etag, bodyTag(payload)), ...options];
  const roomBytes =
    maxMessageBytes - messageBytes({ token, options: withTag, payload: NOTHING }) - BLOCK_OVERHEAD_BYTES;
  if (roomBytes < 16) throw new CoapError('message-too-large', 'the options leave no room for a block');
  const cut = slice(payload, block2, blockSizeUpTo(Math.min(roomBytes, blockBytes)));
  if (cut === undefined) return undefined;
  const whole = !cut.more && (block2?.number ?? 0) === 0;
  const sent = [...(whole ? options : withTag), ...cut.options];
  if (cut.more && (block2?.number ?? 0) === 0) {
    const kept = withTag.filter(
      ({ number }) => number !== OPTION.observe && number !== OPTION.block1 && number !== OPTION.echo,
    );
    keepDownload(context, state, { key: frame.key(), code: response.code, options: kept, payload });
  }
  return { code: response.code, options: sent, payload: cut.payload };
}

/** A further block of a kept body. @returns undefined when it lies beyond the end. */
export function furtherParts<Peer>(
  context: Context<Peer>,
  token: Uint8Array,
  kept: Download,
  block2: Block | undefined,
): (ResponseParts & { readonly last: boolean }) | undefined {
  const { blockBytes, maxMessageBytes } = context.limits;
  const roomBytes =
    maxMessageBytes - messageBytes({ token, options: kept.options, payload: NOTHING }) - BLOCK_OVERHEAD_BYTES;
  const cut = slice(kept.payload, block2, blockSizeUpTo(Math.min(roomBytes, blockBytes)));
  if (cut === undefined) return undefined;
  return { code: kept.code, options: [...kept.options, ...cut.options], payload: cut.payload, last: !cut.more };
}

function ownOptions<Peer>(
  context: Context<Peer>,
  state: PeerState<Peer>,
  response: CoapResponse<Peer>,
  frame: ResponseFrame,
): CoapOption[] {
  const options: CoapOption[] = [];
  if (response.etag !== undefined) options.push(opaqueOption(OPTION.etag, response.etag));
  if (frame.observeSequence !== undefined) options.push(uintOption(OPTION.observe, frame.observeSequence));
  for (const segment of response.locationPath ?? []) options.push(textOption(OPTION.locationPath, segment));
  if (response.contentFormat !== undefined) options.push(shortOption(OPTION.contentFormat, response.contentFormat));
  if (response.maxAgeS !== undefined) options.push(uintOption(OPTION.maxAge, Math.floor(response.maxAgeS)));
  for (const value of response.locationQuery ?? []) options.push(textOption(OPTION.locationQuery, value));
  if (frame.block1 !== undefined) options.push(blockOption(OPTION.block1, frame.block1));
  for (const option of response.options ?? []) {
    if (OWN.has(option.number))
      throw new CoapError('invalid-message', `option ${option.number} belongs to the library`);
    options.push(option);
  }
  if (response.challenge === true) options.push(opaqueOption(OPTION.echo, newEcho(context, state)));
  return options;
}

function shortOption(number: number, value: number): CoapOption {
  if (value > 0xffff) throw new CoapError('invalid-message', `option ${number} takes a number of 16 bits`);
  return uintOption(number, value);
}

/** RFC 9175 section 2.3: unpredictable, remembered for this peer alone. */
function newEcho<Peer>(context: Context<Peer>, state: PeerState<Peer>): Uint8Array {
  const value = new Uint8Array(8);
  context.random(value);
  state.echo = { value, atMs: context.nowMs };
  context.schedule(state, context.nowMs + context.limits.echoLifetimeMs);
  return value;
}
