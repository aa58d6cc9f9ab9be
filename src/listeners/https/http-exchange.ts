/**
 * One request from its parsed head to its written response: strict layer, caps, body, the passage, the answer. A refusal
 * before there is an arrival is counted by `passage.refuse`; everything else is on record by the pipeline.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Arrival, Body } from '../../exchange/arrival.ts';
import { Departure } from '../../exchange/cancellation.ts';
import { Failed, type Outcome } from '../../exchange/outcome.ts';
import type { Peer } from '../../exchange/peer.ts';
import { Fault } from '../../faults/fault.ts';
import { type Answer, answerOf, problem } from './answer.ts';
import { checkRequest } from './check-request.ts';
import type { CheckedRequest } from './checked-request.ts';
import type { HttpContext } from './http-context.ts';
import { RequestBody } from './request-body.ts';
import { writeAnswer } from './write-answer.ts';

export class HttpExchange {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #peer: Peer;
  readonly #context: HttpContext;
  readonly #departure = new Departure();
  #body: RequestBody | undefined;
  #fault: Fault | undefined;
  /** Milliseconds of a request's arrival, by the connection's clock. */
  #spentMs = 0;
  #gone = false;
  #held = false;
  #closing = false;
  readonly #closed: Promise<void>;
  #close: () => void = ignore;

  constructor(request: IncomingMessage, response: ServerResponse, peer: Peer, context: HttpContext) {
    this.#request = request;
    this.#response = response;
    this.#peer = peer;
    this.#context = context;
    // An error that nobody hears would end the process; 'close' tells us everything we act on. A request has no such error.
    response.on('error', ignore);
    this.#closed = new Promise((resolve) => {
      this.#close = resolve;
    });
    response.once('close', this.#close);
  }

  /** The parser has the whole request; what is wrong on the connection from now on is not this request's fault. */
  get arrived(): boolean {
    return this.#request.complete;
  }

  /** Already refused in a way that ends the connection. */
  get closing(): boolean {
    return this.#closing;
  }

  /**
   * Resolves when the response is written, or cannot be, with whether another request may follow on this connection.
   * `last`: asked before the response is written. Never rejects.
   */
  async run(last: () => boolean): Promise<boolean> {
    let goesOn = false;
    try {
      const answer = await this.#answer();
      if (answer === undefined || this.#gone) {
        this.#response.destroy();
      } else {
        // A body that was not read, or not to its end, cannot be told from the next request.
        goesOn = !answer.close && !last() && this.#body?.complete === true;
        await this.#write(answer, !goesOn);
      }
    } catch {
      // Half an answer cannot be mended. Cutting the connection is how HTTP/1.1 says so (RFC 9112 section 8).
      goesOn = false;
      this.#response.destroy();
    }
    await this.#closed;
    if (this.#held) this.#context.exchanges.give(this.#peer.key);
    return goesOn;
  }

  /** The rest of the request is broken or did not come in time. */
  fail(fault: Fault): void {
    this.#fault ??= fault;
    this.#body?.fail(fault);
  }

  /** The peer has left. */
  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#body?.waiting) this.#context.passage.drop('peer-gone', this.#peer);
    this.fail(new Fault('SP_EXCHANGE_CANCELLED'));
    this.#departure.abort();
    this.#close();
  }

  /** Called once a second: holds the body to its time limits. */
  tick(elapsedMs: number): void {
    const body = this.#body;
    if (!body?.waiting) return;
    this.#spentMs += elapsedMs;
    const { requestTimeoutMs, minimumBytesPerSecond } = this.#context.limits;
    const tooLong = body.inspecting && this.#spentMs >= requestTimeoutMs;
    const tooSlow =
      this.#spentMs >= GRACE_MS && body.received < (minimumBytesPerSecond * (this.#spentMs - GRACE_MS)) / 1000;
    if (tooLong || tooSlow) this.fail(new Fault('SP_HTTP_TIMEOUT'));
  }

  async #answer(): Promise<Answer | undefined> {
    const { passage, exchanges, limits, draining } = this.#context;
    const decision = passage.decisionId();
    try {
      const checked = this.#check();
      if (draining) throw new Fault('SP_GATEWAY_DRAINING');
      this.#held = exchanges.take(this.#peer.key, limits.exchangesPerDevice);
      if (!this.#held) throw new Fault('SP_GATEWAY_OVERLOADED');
      if (this.#fault !== undefined) throw this.#fault;
      const read = (this.#body as RequestBody).read();
      const body = read instanceof Promise ? await read : read;
      return answerOf(await this.#pass(decision, checked, body));
    } catch (thrown) {
      const { code } = Fault.from(thrown);
      if (code === 'SP_EXCHANGE_CANCELLED') return undefined;
      passage.refuse(code, decision, this.#peer);
      this.#closing = code !== 'SP_GATEWAY_OVERLOADED';
      return { ...problem(code, decision), close: this.#closing };
    }
  }

  #check(): CheckedRequest {
    const checked = checkRequest(this.#request, this.#context.limits);
    // A WebSocket comes by the 'upgrade' event; here it is one behind other requests, or there is nobody to take it.
    if (checked.upgrade !== undefined) throw new Fault('SP_HTTP_UPGRADE');
    this.#body = new RequestBody(this.#request, checked, this.#context.limits, () => {
      if (checked.expectContinue && !this.#response.headersSent) this.#response.writeContinue();
    });
    return checked;
  }

  async #pass(decision: string, checked: CheckedRequest, body: Body): Promise<Outcome> {
    const { passage, listener } = this.#context;
    const { verb, path, query, targetDevice, headers, contentType } = checked;
    const arrival: Arrival = {
      id: decision,
      protocol: 'https',
      listener,
      direction: 'toCloud',
      receivedAt: passage.now(),
      peer: this.#peer,
      verb,
      path,
      query,
      ...(targetDevice !== undefined && { targetDevice }),
      headers,
      contentType,
      body,
      signal: this.#departure,
    };
    try {
      return await passage.pass(arrival);
    } catch (thrown) {
      return Failed.from(decision, thrown);
    }
  }

  async #write(answer: Answer, close: boolean): Promise<void> {
    const body = this.#body;
    // Closing while the peer still sends turns into a reset, which can overtake the answer: read on for a moment.
    const lingers = body !== undefined && !body.complete && this.#fault === undefined;
    const linger = (): Promise<void> => lingering(body as RequestBody);
    await writeAnswer(this.#response, this.#request.method ?? '', answer, lingers ? { close, linger } : { close });
  }
}

async function lingering(body: RequestBody): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const moment = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LINGER_MS);
  });
  await Promise.race([body.discard(), moment]);
  clearTimeout(timer);
}

function ignore(): void {}

/** How long a body may be slower than limits.minimumBytesPerSecond: a lost packet or two. */
const GRACE_MS = 5_000;
const LINGER_MS = 1_000;
