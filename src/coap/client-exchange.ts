/**
 * One operation of the client side: its messages, block by block in both directions (RFC 7959 section 2.5 to 2.7), a second try when
 * the server asks for freshness (RFC 9175 section 2). A new token for every message (RFC 9175 section 4), so that a late response is
 * never taken for that of another.
 */
import type { CoapOption, ReceivedResponse } from './api.ts';
import { type Block, blockOption, MAX_BLOCK_NUMBER, readBlock } from './block.ts';
import { type CoapMessage, messageBytes, NOTHING, serialiseMessage } from './codec.ts';
import { CODE, isSuccess, TYPE } from './codes.ts';
import { CoapError } from './error.ts';
import { findOption, findUint, OPTION, opaqueOption, uintOption } from './option-table.ts';
import { receivedResponse } from './outgoing-request.ts';
import {
  type Awaited,
  bytesKey,
  type Context,
  nextMessageId,
  type Outcome,
  type PeerState,
  type Transmission,
  type Uploading,
} from './peer-state.ts';
import { newTransmission, transmit, withdraw } from './transmissions.ts';

export interface Operation {
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  readonly confirmable: boolean;
  readonly blockBytes: number;
  readonly timeoutMs: number;
  /** Tokens of the endpoint: never the same twice. */
  readonly newToken: () => Uint8Array;
  /** No class of response is wanted. */
  readonly unwanted: boolean;
  /** Tells this block-wise operation from another alike (RFC 9175 section 3). */
  readonly requestTag: Uint8Array | undefined;
  /** Servers that tell block-wise bodies apart by token need the same one for every block. */
  readonly sameToken: boolean;
}

/** Told once. */
export interface ExchangeEnd {
  answered(response: ReceivedResponse, first: CoapMessage): void;
  failed(error: CoapError): void;
}

/** Block-wise bodies of a response under way. */
interface Assembly {
  readonly first: CoapMessage;
  readonly etag: string | undefined;
  readonly chunks: Uint8Array[];
  bytes: number;
}

export class ClientExchange<Peer> implements Awaited, Uploading {
  tokenKey = '';
  dueAtMs: number;
  readonly #context: Context<Peer>;
  readonly #state: PeerState<Peer>;
  readonly #operation: Operation;
  readonly #end: ExchangeEnd;
  #token: Uint8Array = NOTHING;
  #transmission: Transmission | undefined;
  #over = false;
  #sentBytes = 0;
  #sendingBytes = 0;
  #blockBytes: number;
  #assembly: Assembly | undefined;
  #echo: Uint8Array | undefined;
  #restarted = false;

  constructor(context: Context<Peer>, state: PeerState<Peer>, operation: Operation, end: ExchangeEnd) {
    this.#context = context;
    this.#state = state;
    this.#operation = operation;
    this.#end = end;
    this.#blockBytes = operation.blockBytes;
    this.dueAtMs = context.nowMs + operation.timeoutMs;
  }

  /** Sends the first message, or waits for its turn. @throws CoapError when it cannot be written. */
  begin(): void {
    const state = this.#state;
    if (this.#operation.requestTag === undefined) {
      this.#sendRequest(undefined);
      return;
    }
    if (state.uploading === undefined) {
      state.uploading = this;
      try {
        this.#sendRequest(undefined);
      } catch (thrown) {
        this.#yieldTurn();
        throw thrown;
      }
      return;
    }
    state.uploadsWaiting ??= [];
    if (state.uploadsWaiting.length >= this.#context.limits.maxQueuedPerPeer)
      throw new CoapError('queue-full', 'too many bodies wait for this peer');
    state.uploadsWaiting.push(this);
    // Among the awaited already, so that its time runs out and its peer's leaving reaches it.
    this.#await();
  }

  turn(): void {
    this.#again(undefined);
  }

  /** Goes on from the first block of a notification (RFC 7959 section 2.6). */
  beginFrom(first: CoapMessage): void {
    this.#take(first);
  }

  carries(messageId: number): boolean {
    return this.#transmission?.messageId === messageId;
  }

  arrived(message: CoapMessage): boolean {
    if (this.#over) return false;
    if (this.#transmission !== undefined) withdraw(this.#context, this.#state, this.#transmission);
    this.#transmission = undefined;
    return this.#take(message);
  }

  due(): void {
    this.#fail('timeout', 'no response in time');
  }
  unreadable(): void {
    this.#fail('response-unreadable', 'the response has a critical option that is not understood');
  }
  forget(): void {
    this.#fail('peer-forgotten', 'the peer is gone');
  }
  /** The caller does not want it any more. */
  abort(): void {
    this.#fail('aborted', 'given up by the caller');
  }

  #take(message: CoapMessage): boolean {
    const echo = findOption(message.options, OPTION.echo);
    if (message.code === CODE.unauthorized && echo !== undefined && this.#echo === undefined) {
      this.#echo = echo.slice();
      this.#sentBytes = 0;
      this.#again(undefined);
      return true;
    }
    const block1 = findOption(message.options, OPTION.block1);
    if (block1 !== undefined && this.#operation.payload.length > 0 && this.#uploads(message, block1)) return true;
    const block2 = findOption(message.options, OPTION.block2);
    if (block2 === undefined) {
      if (this.#assembly !== undefined && isSuccess(message.code))
        return this.#fail('block-broken', 'the server stopped sending blocks');
      return this.#answer(message, message.payload.slice());
    }
    const block = readBlock(block2);
    if (block === undefined) return this.#fail('block-broken', 'reserved block size');
    return this.#downloads(message, block);
  }

  /** @returns true when the upload goes on with another block. */
  #uploads(message: CoapMessage, value: Uint8Array): boolean {
    const block = readBlock(value);
    const { payload } = this.#operation;
    if (block === undefined) return false;
    if (message.code === CODE.requestEntityTooLarge && this.#sentBytes === 0 && block.blockBytes < this.#blockBytes) {
      // RFC 7959 section 2.9.3: the server names a block that would fit.
      this.#blockBytes = block.blockBytes;
      this.#again(undefined);
      return true;
    }
    if (!isSuccess(message.code) || this.#sentBytes + this.#sendingBytes >= payload.length) return false;
    if (message.code !== CODE.continue && !block.more) return false;
    this.#sentBytes += this.#sendingBytes;
    this.#blockBytes = Math.min(this.#blockBytes, block.blockBytes);
    this.#again(undefined);
    return true;
  }

  #downloads(message: CoapMessage, block: Block): boolean {
    const offset = block.number * block.blockBytes;
    const assembly = this.#assembly;
    const { maxResponseBodyBytes } = this.#context.limits;
    if (message.payload.length > block.blockBytes || (block.more && message.payload.length !== block.blockBytes))
      return this.#fail('block-broken', 'a block of the wrong length');
    const tag = findOption(message.options, OPTION.etag);
    const etag = tag && bytesKey(tag);
    const announced = findUint(message.options, OPTION.size2) ?? 0;
    // One more byte is certain when more is to come: the budget is judged on the first block that shows it.
    if (Math.max(announced, offset + message.payload.length + (block.more ? 1 : 0)) > maxResponseBodyBytes)
      return this.#fail('response-too-large', `the body is longer than ${maxResponseBodyBytes} bytes`);
    if (assembly === undefined) {
      if (block.number !== 0) return this.#fail('block-broken', 'the first block has not number 0');
      if (!block.more) return this.#answer(message, message.payload.slice());
      this.#assembly = { first: message, etag, chunks: [message.payload.slice()], bytes: message.payload.length };
    } else {
      if (etag !== assembly.etag || message.code !== assembly.first.code) {
        // The resource changed between blocks. Once from the start; a server that always changes does not hold us for ever.
        if (this.#restarted || this.#operation.payload.length > 0)
          return this.#fail('block-broken', 'the body changed between its blocks');
        this.#restarted = true;
        this.#assembly = undefined;
        this.#again(undefined);
        return true;
      }
      if (offset !== assembly.bytes) return this.#fail('block-broken', 'a block that was not asked for');
      assembly.chunks.push(message.payload.slice());
      assembly.bytes += message.payload.length;
      if (!block.more) return this.#answer(assembly.first, concatenated(assembly));
    }
    const next = (this.#assembly as Assembly).bytes / block.blockBytes;
    this.#again({ number: next, more: false, blockBytes: block.blockBytes });
    return true;
  }

  #again(block2: Block | undefined): void {
    try {
      this.#sendRequest(block2);
    } catch (thrown) {
      if (thrown instanceof CoapError) this.#fail(thrown.code, thrown.message);
      else throw thrown;
    }
  }

  #sendRequest(block2: Block | undefined): void {
    const { code, options, payload, confirmable, sameToken, newToken } = this.#operation;
    const sent: CoapOption[] = [...options];
    let part = NOTHING;
    const inBlocks = payload.length > this.#operation.blockBytes;
    if (this.#operation.requestTag !== undefined)
      sent.push(opaqueOption(OPTION.requestTag, this.#operation.requestTag));
    if (block2 !== undefined) {
      sent.push(blockOption(OPTION.block2, block2));
      // The body of a FETCH is part of what it asks for (RFC 8132 section 2.3).
      if (code === 5 && !inBlocks) part = payload;
    } else {
      if (inBlocks) part = this.#nextPart(sent);
      else part = payload;
      if (this.#operation.blockBytes < 1_024)
        sent.push(blockOption(OPTION.block2, { number: 0, more: false, blockBytes: this.#operation.blockBytes }));
    }
    if (this.#echo !== undefined) sent.push(opaqueOption(OPTION.echo, this.#echo));
    this.#release();
    if (!sameToken || this.#token.length === 0) this.#token = newToken();
    if (messageBytes({ token: this.#token, options: sent, payload: part }) > this.#context.limits.maxMessageBytes)
      throw new CoapError('message-too-large', 'the message does not fit a datagram; smaller blocks may');
    const messageId = nextMessageId(this.#context, this.#state);
    const type = confirmable ? TYPE.confirmable : TYPE.nonConfirmable;
    const bytes = serialiseMessage({ type, code, messageId, token: this.#token, options: sent, payload: part });
    this.#await();
    if (!confirmable) {
      this.#context.send(this.#state, bytes);
      if (this.#operation.unwanted) this.#answerNothing();
      return;
    }
    this.#transmission = newTransmission(messageId, bytes, (outcome) => this.#concluded(outcome));
    if (!transmit(this.#context, this.#state, this.#transmission)) {
      this.#transmission = undefined;
      this.#release();
      throw new CoapError('queue-full', 'too many messages wait for this peer');
    }
  }

  #await(): void {
    if (this.#token.length === 0) this.#token = this.#operation.newToken();
    this.tokenKey = bytesKey(this.#token);
    this.#state.awaited ??= new Map();
    this.#state.awaited.set(this.tokenKey, this);
    this.#context.schedule(this.#state, this.dueAtMs);
  }

  #nextPart(sent: CoapOption[]): Uint8Array {
    const { payload } = this.#operation;
    const part = payload.subarray(this.#sentBytes, this.#sentBytes + this.#blockBytes);
    this.#sendingBytes = part.length;
    const number = this.#sentBytes / this.#blockBytes;
    if (number > MAX_BLOCK_NUMBER) throw new CoapError('message-too-large', 'more blocks than can be numbered');
    const more = this.#sentBytes + part.length < payload.length;
    sent.push(blockOption(OPTION.block1, { number, more, blockBytes: this.#blockBytes }));
    if (number === 0) sent.push(uintOption(OPTION.size1, payload.length));
    return part;
  }

  #concluded(outcome: Outcome): void {
    if (this.#over) return;
    this.#transmission = undefined;
    if (outcome === 'reset') this.#fail('reset', 'the peer does not know what to do with the message');
    else if (outcome === 'gave-up') this.#fail('timeout', 'the peer does not acknowledge');
    else if (outcome === 'forgotten') this.forget();
    else if (this.#operation.unwanted) this.#answerNothing();
  }

  /** RFC 7967: no response was wanted, none comes. */
  #answerNothing(): void {
    const nothing = {
      type: TYPE.acknowledgement,
      code: CODE.empty,
      messageId: 0,
      token: NOTHING,
      options: [],
      payload: NOTHING,
    };
    this.#answer(nothing, NOTHING);
  }

  #answer(message: CoapMessage, payload: Uint8Array): boolean {
    const response = receivedResponse(message, payload);
    if (response === undefined) return this.#fail('response-unreadable', 'a location is not UTF-8');
    if (payload.length > this.#context.limits.maxResponseBodyBytes)
      return this.#fail('response-too-large', 'the body is longer than allowed');
    this.#finish();
    this.#end.answered(response, message);
    return true;
  }

  #fail(code: CoapError['code'], text: string): false {
    if (this.#over) return false;
    this.#finish();
    this.#end.failed(new CoapError(code, text));
    return false;
  }

  #finish(): void {
    this.#over = true;
    this.#assembly = undefined;
    if (this.#transmission !== undefined) withdraw(this.#context, this.#state, this.#transmission);
    this.#transmission = undefined;
    this.#release();
    this.#yieldTurn();
  }

  #yieldTurn(): void {
    const state = this.#state;
    const waiting = state.uploadsWaiting?.indexOf(this) ?? -1;
    if (waiting >= 0) state.uploadsWaiting?.splice(waiting, 1);
    if (state.uploading !== this) return;
    state.uploading = state.gone ? undefined : state.uploadsWaiting?.shift();
    state.uploading?.turn();
  }

  #release(): void {
    if (this.#state.awaited?.get(this.tokenKey) === this) this.#state.awaited.delete(this.tokenKey);
  }
}

function concatenated(assembly: Assembly): Uint8Array {
  const body = new Uint8Array(assembly.bytes);
  let at = 0;
  for (const chunk of assembly.chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
