/**
 * The server side: from a request on the wire to the handler and back (RFC 7252 section 5). Options are judged first (5.4), then
 * blocks (RFC 7959), then observation (RFC 7641); every refusal on the way is counted. Duplicates never get here.
 */
import type { CoapHandling, CoapResponse } from './api.ts';
import { type Block, readBlock } from './block.ts';
import { type CoapMessage, emptyMessage, NOTHING, serialiseMessage } from './codec.ts';
import { CODE, isSuccess, METHODS, TYPE } from './codes.ts';
import { downloadKey, dropDownload, isAbout, tickDownload } from './downloads.ts';
import type { Heard } from './duplicates.ts';
import { IncomingRequest, type RequestParts, requestParts } from './incoming-request.ts';
import { findOption, findUint, OPTION, uintOption, understood } from './option-table.ts';
import { bytesKey, type Context, nextMessageId, type PeerState, type Running } from './peer-state.ts';
import { Relation } from './relation.ts';
import { furtherParts, type ResponseParts, responseParts } from './response-message.ts';
import type { RefusalReason } from './stats.ts';
import { newTransmission, transmit } from './transmissions.ts';
import { dropUpload, takeBlock, tickUpload } from './uploads.ts';

const encoder = new TextEncoder();
const NOT_FOUND: CoapResponse = { code: CODE.notFound };
const FAILED: CoapResponse = { code: CODE.internalServerError };

/** One request being answered. */
class Exchange<Peer> implements Running {
  readonly state: PeerState<Peer>;
  readonly message: CoapMessage;
  readonly heard: Heard;
  readonly #context: Context<Peer>;
  block1: Block | undefined = undefined;
  block2: Block | undefined = undefined;
  request: IncomingRequest<Peer> | undefined = undefined;
  acknowledged = false;
  acknowledgeAtMs = Number.POSITIVE_INFINITY;

  constructor(context: Context<Peer>, state: PeerState<Peer>, message: CoapMessage, heard: Heard) {
    this.#context = context;
    this.state = state;
    this.message = message;
    this.heard = heard;
  }

  acknowledgeNow(): void {
    this.acknowledgeAtMs = Number.POSITIVE_INFINITY;
    if (this.acknowledged || this.message.type !== TYPE.confirmable) return;
    this.acknowledged = true;
    this.heard.said = 'acknowledged';
    this.#context.send(this.state, emptyMessage(TYPE.acknowledgement, this.message.messageId));
  }

  abort(): void {
    this.request?.abort();
  }
}

export class Server<Peer> {
  readonly #context: Context<Peer>;
  readonly #handling: CoapHandling<Peer> | undefined;
  readonly #critical: ReadonlySet<number>;

  constructor(context: Context<Peer>, handling: CoapHandling<Peer> | undefined, critical: ReadonlySet<number>) {
    this.#context = context;
    this.#handling = handling;
    this.#critical = critical;
  }

  /** A request heard for the first time. */
  request(state: PeerState<Peer>, raw: CoapMessage, heard: Heard): void {
    const { options, bad } = understood(raw.options, this.#critical);
    const message = options === raw.options ? raw : { ...raw, options };
    const exchange = new Exchange(this.#context, state, message, heard);
    if (bad !== undefined) {
      // RFC 7252 section 5.4.1: 4.02 to a confirmable request, silence to another.
      if (raw.type !== TYPE.confirmable) {
        heard.said = 'silence';
        this.#context.drop(state, 'critical-option');
      } else this.#refuse(exchange, 'option-not-understood', CODE.badOption, `option ${bad}`);
      return;
    }
    if (message.code > METHODS.length) {
      this.#refuse(exchange, 'method-unknown', CODE.methodNotAllowed);
      return;
    }
    if (options.length > 0 && proxied(message)) {
      this.#refuse(exchange, 'proxy-not-supported', CODE.proxyingNotSupported);
      return;
    }
    const parts = requestParts(message);
    if (parts === undefined) this.#refuse(exchange, 'option-value-invalid', CODE.badRequest);
    else this.#blocks(exchange, parts);
  }

  #blocks(exchange: Exchange<Peer>, parts: RequestParts): void {
    const { state, message } = exchange;
    const one = findOption(message.options, OPTION.block1);
    const two = findOption(message.options, OPTION.block2);
    exchange.block2 = two && readBlock(two);
    const block1 = one && readBlock(one);
    if ((one && block1 === undefined) || (two && exchange.block2 === undefined)) {
      this.#refuse(exchange, 'block-malformed', CODE.badRequest);
      return;
    }
    let body = message.payload;
    if (block1 !== undefined) {
      const step = takeBlock(this.#context, state, message, block1);
      if (step.kind === 'refused') {
        const size1 = step.size1 === undefined ? [] : [uintOption(OPTION.size1, step.size1)];
        this.#refuse(exchange, step.reason, step.code, '', size1);
        return;
      }
      const more = step.kind === 'continue';
      exchange.block1 = { number: block1.number, more, blockBytes: more ? step.blockBytes : block1.blockBytes };
      if (more) {
        this.#finish(exchange, { code: CODE.continue });
        return;
      }
      body = step.body;
    } else if (body.length > this.#context.limits.maxRequestBodyBytes) {
      const size1 = uintOption(OPTION.size1, this.#context.limits.maxRequestBodyBytes);
      this.#refuse(exchange, 'body-too-large', CODE.requestEntityTooLarge, '', [size1]);
      return;
    }
    if (block1 === undefined && (exchange.block2?.number ?? 0) > 0 && this.#furtherBlock(exchange)) return;
    this.#handle(exchange, parts, body);
  }

  /** A block of the body that is being fetched. @returns false when the handler must make it anew. */
  #furtherBlock(exchange: Exchange<Peer>): boolean {
    const { state, message, block2 } = exchange;
    const kept = state.download;
    if (kept !== undefined && isAbout(kept, message.code, message.options, message.payload)) {
      kept.lastAtMs = this.#context.nowMs;
      const parts = furtherParts(this.#context, message.token, kept, block2);
      if (parts === undefined) this.#refuse(exchange, 'block-malformed', CODE.badRequest);
      else if (this.#unwanted(message, parts.code)) this.#sayNothing(exchange);
      else this.#say(exchange, parts);
      if (parts?.last === true) dropDownload(this.#context, state);
      return true;
    }
    const repeatable = message.code === 1 || (message.code === 5 && message.payload.length > 0);
    if (repeatable) return false;
    this.#refuse(exchange, 'block-unknown', CODE.requestEntityIncomplete);
    return true;
  }

  #handle(exchange: Exchange<Peer>, parts: RequestParts, body: Uint8Array): void {
    const { state, message } = exchange;
    if ((state.running?.size ?? 0) >= this.#context.limits.maxRequestsPerPeer) {
      this.#refuse(exchange, 'too-many-requests', CODE.tooManyRequests);
      return;
    }
    const observe = (exchange.block2?.number ?? 0) > 0 ? undefined : parts.observe;
    const request = new IncomingRequest(
      state,
      message,
      observe === parts.observe ? parts : { ...parts, observe },
      body,
      this.#context.nowMs,
    );
    exchange.request = request;
    if (observe === 'deregister') state.watched?.get(bytesKey(message.token))?.stop();
    this.#context.stats.requestsHandled += 1;
    let answer: CoapResponse<Peer> | Promise<CoapResponse<Peer>>;
    try {
      answer = this.#handling === undefined ? NOT_FOUND : this.#handling.handle(request);
    } catch (thrown) {
      this.#threw(exchange, thrown);
      return;
    }
    if (answer instanceof Promise) this.#wait(exchange, answer);
    else this.#finish(exchange, answer);
  }

  #wait(exchange: Exchange<Peer>, answer: Promise<CoapResponse<Peer>>): void {
    const { state } = exchange;
    state.running ??= new Set();
    state.running.add(exchange);
    if (exchange.message.type === TYPE.confirmable) {
      exchange.acknowledgeAtMs = this.#context.nowMs + this.#context.limits.separateAfterMs;
      this.#context.schedule(state, exchange.acknowledgeAtMs);
    }
    answer.then(
      (response) => {
        this.#context.awake();
        if (state.running?.delete(exchange) === true) this.#finish(exchange, response);
      },
      (thrown: unknown) => {
        this.#context.awake();
        if (state.running?.delete(exchange) === true) this.#threw(exchange, thrown);
      },
    );
  }

  #threw(exchange: Exchange<Peer>, thrown: unknown): void {
    this.#context.failed(exchange.state.peer, thrown);
    this.#context.refuse(exchange.state, 'handler-failed');
    this.#finish(exchange, FAILED);
  }

  #finish(exchange: Exchange<Peer>, response: CoapResponse<Peer>): void {
    try {
      this.#send(exchange, response);
    } catch (thrown) {
      // What the handler gave cannot be written: the peer learns no more than that.
      this.#context.failed(exchange.state.peer, thrown);
      this.#context.refuse(exchange.state, 'response-not-sendable');
      this.#send(exchange, FAILED);
    }
  }

  #refuse(
    exchange: Exchange<Peer>,
    reason: RefusalReason,
    code: number,
    diagnostic = '',
    options: CoapResponse['options'] & {} = [],
  ): void {
    this.#context.refuse(exchange.state, reason);
    // Neither the library's own Size1 nor a block that was not taken pass through the checks made on a handler's response.
    exchange.block2 = undefined;
    // RFC 7252 section 5.5.2: the diagnostic payload is for whoever looks for the mistake; the reason is of a closed list.
    this.#send(exchange, { code, payload: encoder.encode(diagnostic === '' ? reason : diagnostic) }, options);
  }

  /** @throws CoapError when the response cannot be written; nothing was sent then. */
  #send(exchange: Exchange<Peer>, response: CoapResponse<Peer>, extra: CoapResponse['options'] & {} = []): void {
    const { state, message } = exchange;
    if (state.gone) return;
    const relation = this.#takeUp(exchange, response);
    let parts: ResponseParts | undefined;
    try {
      parts = responseParts(this.#context, state, response, {
        token: message.token,
        block2: exchange.block2,
        key: () => downloadKey(message.code, message.options, exchange.request?.payload ?? NOTHING),
        observeSequence: relation?.nextSequence(),
        block1: exchange.block1,
      });
    } catch (thrown) {
      relation?.stop();
      throw thrown;
    }
    if (parts === undefined) {
      this.#context.refuse(state, 'block-malformed');
      parts = { code: CODE.badRequest, options: [], payload: NOTHING };
    } else if (extra.length > 0) {
      const set = new Set(extra.map(({ number }) => number));
      parts = { ...parts, options: [...extra, ...parts.options.filter(({ number }) => !set.has(number))] };
    }
    if (this.#unwanted(message, parts.code)) this.#sayNothing(exchange);
    else this.#say(exchange, parts);
    if (relation !== undefined) {
      try {
        response.observe?.(relation);
      } catch (thrown) {
        this.#context.failed(state.peer, thrown);
        relation.stop();
      }
    }
  }

  #say(exchange: Exchange<Peer>, parts: ResponseParts): void {
    const { state, message, heard } = exchange;
    const { token } = message;
    if (message.type === TYPE.confirmable && !exchange.acknowledged) {
      const bytes = serialiseMessage({ ...parts, type: TYPE.acknowledgement, messageId: message.messageId, token });
      exchange.acknowledged = true;
      state.window.answered(heard, bytes);
      this.#context.send(state, bytes);
      return;
    }
    const confirmable = message.type === TYPE.confirmable;
    const messageId = nextMessageId(this.#context, state);
    const type = confirmable ? TYPE.confirmable : TYPE.nonConfirmable;
    const bytes = serialiseMessage({ ...parts, type, messageId, token });
    if (!confirmable) {
      heard.said = 'silence';
      this.#context.send(state, bytes);
      return;
    }
    this.#context.stats.separateResponses += 1;
    if (
      !transmit(
        this.#context,
        state,
        newTransmission(messageId, bytes, () => undefined),
      )
    )
      this.#context.drop(state, 'send-failed');
  }

  /** RFC 7967 section 2: the bit of the response's class says it is not wanted. */
  #unwanted(message: CoapMessage, code: number): boolean {
    const mask = findUint(message.options, OPTION.noResponse);
    return mask !== undefined && (mask & (1 << ((code >> 5) - 1))) !== 0 && code !== CODE.continue;
  }

  #sayNothing(exchange: Exchange<Peer>): void {
    this.#context.drop(exchange.state, 'no-response-wanted');
    exchange.acknowledgeNow();
    if (exchange.message.type !== TYPE.confirmable) exchange.heard.said = 'silence';
  }

  /** RFC 7641 section 4.1: a place in the list of observers, if asked for, given and within the caps. */
  #takeUp(exchange: Exchange<Peer>, response: CoapResponse<Peer>): Relation<Peer> | undefined {
    const { state, message, request } = exchange;
    if (response.observe === undefined || request?.observe !== 'register' || !isSuccess(response.code))
      return undefined;
    const { limits } = this.#context;
    const tokenKey = bytesKey(message.token);
    const before = state.watched?.get(tokenKey);
    const sequence = before instanceof Relation ? before.sequence : 0;
    before?.stop();
    if (
      (state.watched?.size ?? 0) >= limits.maxObservationsPerPeer ||
      this.#context.observations >= limits.maxObservations
    ) {
      this.#context.stats.observationsRefused += 1;
      return undefined;
    }
    const relation = new Relation(
      this.#context,
      state,
      {
        token: message.token.slice(),
        path: request.path,
        query: request.query,
        key: downloadKey(message.code, message.options, request.payload),
        block2: exchange.block2 && { ...exchange.block2, number: 0 },
      },
      sequence,
    );
    state.watched ??= new Map();
    state.watched.set(tokenKey, relation);
    this.#context.observations += 1;
    return relation;
  }

  tick(state: PeerState<Peer>): void {
    for (const running of state.running ?? []) {
      if (running.acknowledgeAtMs <= this.#context.nowMs) running.acknowledgeNow();
      else this.#context.schedule(state, running.acknowledgeAtMs);
    }
    tickUpload(this.#context, state);
    tickDownload(this.#context, state);
    if (state.echo === undefined) return;
    const endsAtMs = state.echo.atMs + this.#context.limits.echoLifetimeMs;
    if (endsAtMs <= this.#context.nowMs) state.echo = undefined;
    else this.#context.schedule(state, endsAtMs);
  }

  forget(state: PeerState<Peer>): void {
    for (const running of state.running ?? []) running.abort();
    state.running = undefined;
    for (const watched of [...(state.watched?.values() ?? [])]) watched.stop();
    state.watched = undefined;
    dropUpload(this.#context, state);
    dropDownload(this.#context, state);
    state.echo = undefined;
  }
}

function proxied(message: CoapMessage): boolean {
  return (
    findOption(message.options, OPTION.proxyUri) !== undefined ||
    findOption(message.options, OPTION.proxyScheme) !== undefined
  );
}
