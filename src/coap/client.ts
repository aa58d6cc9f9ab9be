/** The client side: requests, observations and pings to a peer, each bound to a token of ours (RFC 7252 section 5.3.1). */
import type { Observation, ObserveCallbacks, OutgoingRequest, ReceivedResponse, RequestOptions } from './api.ts';
import { blockSizeUpTo } from './block.ts';
import { ClientExchange, type Operation } from './client-exchange.ts';
import { ClientObservation } from './client-observation.ts';
import { emptyMessage, NOTHING } from './codec.ts';
import { METHOD, TYPE } from './codes.ts';
import { CoapError } from './error.ts';
import { operationOptions } from './outgoing-request.ts';
import { type Context, nextMessageId, type PeerState } from './peer-state.ts';
import { newTransmission, transmit } from './transmissions.ts';

/** All three classes of response (RFC 7967 section 2.1). */
const ALL_UNWANTED = 0b11010;

export class Client<Peer> {
  readonly #context: Context<Peer>;
  /** Four unpredictable bytes and four that count: never the same twice, and not to be guessed. */
  readonly #pool = new Uint8Array(4_096);
  #poolAt = 4_096;
  #tokens = 0;
  readonly #newToken = () => this.#token();

  constructor(context: Context<Peer>) {
    this.#context = context;
  }

  request(state: PeerState<Peer>, request: OutgoingRequest, options: RequestOptions = {}): Promise<ReceivedResponse> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const operation = this.#operation(state, request, options);
      const exchange = new ClientExchange(this.#context, state, operation, {
        answered: (response) => {
          signal?.removeEventListener('abort', abort);
          resolve(response);
        },
        failed: (error) => {
          signal?.removeEventListener('abort', abort);
          reject(error);
        },
      });
      const abort = () => {
        this.#context.awake();
        exchange.abort();
      };
      signal?.addEventListener('abort', abort);
      try {
        exchange.begin();
      } catch (thrown) {
        signal?.removeEventListener('abort', abort);
        throw thrown;
      }
    });
  }

  observe(
    state: PeerState<Peer>,
    request: OutgoingRequest,
    callbacks: ObserveCallbacks,
    options: RequestOptions = {},
  ): Promise<Observation> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      if (request.method !== 'GET' && request.method !== 'FETCH')
        throw new CoapError('invalid-message', 'only GET and FETCH observe');
      const operation = this.#operation(state, request, options);
      const observation = new ClientObservation(this.#context, state, operation, callbacks, {
        started: (first, active) => {
          signal?.removeEventListener('abort', abort);
          resolve({ first, active, cancel: (how = 'deregister') => observation.cancel(how) });
        },
        failed: (error) => {
          signal?.removeEventListener('abort', abort);
          reject(error);
        },
      });
      const abort = () => {
        this.#context.awake();
        observation.abort();
      };
      signal?.addEventListener('abort', abort);
      try {
        observation.begin();
      } catch (thrown) {
        observation.abort();
        throw thrown;
      }
    });
  }

  ping(state: PeerState<Peer>): Promise<void> {
    return new Promise((resolve, reject) => {
      const messageId = nextMessageId(this.#context, state);
      const ping = newTransmission(messageId, emptyMessage(TYPE.confirmable, messageId), (outcome) => {
        // A reset is the answer; an acknowledgement shows life as well.
        if (outcome === 'reset' || outcome === 'acknowledged') resolve();
        else if (outcome === 'forgotten') reject(new CoapError('peer-forgotten', 'the peer is gone'));
        else reject(new CoapError('timeout', 'the peer does not answer'));
      });
      if (!transmit(this.#context, state, ping))
        reject(new CoapError('queue-full', 'too many messages wait for this peer'));
    });
  }

  tick(state: PeerState<Peer>): void {
    if (state.awaited === undefined) return;
    for (const awaited of [...state.awaited.values()]) {
      if (awaited.dueAtMs <= this.#context.nowMs) awaited.due();
      else this.#context.schedule(state, awaited.dueAtMs);
    }
  }

  forget(state: PeerState<Peer>): void {
    for (const awaited of [...(state.awaited?.values() ?? [])]) awaited.forget();
    state.awaited = undefined;
  }

  #operation(state: PeerState<Peer>, request: OutgoingRequest, options: RequestOptions): Operation {
    const { limits } = this.#context;
    if (options.signal?.aborted === true) throw new CoapError('aborted', 'given up by the caller');
    if ((state.awaited?.size ?? 0) >= limits.maxExchangesPerPeer)
      throw new CoapError('queue-full', 'too many exchanges with this peer');
    const payload = request.payload ?? NOTHING;
    const blockBytes = blockSizeUpTo(Math.min(request.blockBytes ?? limits.blockBytes, limits.blockBytes));
    return {
      code: METHOD[request.method],
      options: operationOptions(request),
      payload,
      confirmable: request.confirmable !== false,
      blockBytes,
      timeoutMs: options.timeoutMs ?? limits.responseTimeoutMs,
      newToken: this.#newToken,
      unwanted: ((request.noResponse ?? 0) & ALL_UNWANTED) === ALL_UNWANTED,
      requestTag: payload.length > blockBytes ? this.#token().subarray(4) : undefined,
      sameToken: request.sameToken === true,
    };
  }

  #token(): Uint8Array {
    if (this.#poolAt + 4 > this.#pool.length) {
      this.#context.random(this.#pool);
      this.#poolAt = 0;
    }
    const token = new Uint8Array(8);
    token.set(this.#pool.subarray(this.#poolAt, this.#poolAt + 4));
    this.#pool.fill(0, this.#poolAt, this.#poolAt + 4);
    this.#poolAt += 4;
    this.#tokens = (this.#tokens + 1) >>> 0;
    token[4] = this.#tokens >>> 24;
    token[5] = this.#tokens >>> 16;
    token[6] = this.#tokens >>> 8;
    token[7] = this.#tokens;
    return token;
  }
}
