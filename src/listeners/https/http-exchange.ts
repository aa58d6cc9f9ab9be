/**
 * One request from its checked head to its written response: caps, body, the passage, the answer. A refusal before there is
 * an arrival is counted by `passage.refuse`; everything else is on record by the pipeline.
 */
import type { Socket } from 'node:net';
import type { Arrival, Body } from '../../exchange/arrival.ts';
import { Departure } from '../../exchange/cancellation.ts';
import { Failed, type Outcome } from '../../exchange/outcome.ts';
import type { Peer } from '../../exchange/peer.ts';
import { Fault } from '../../faults/fault.ts';
import { type Answer, answerOf, problem } from './answer.ts';
import type { CheckedRequest } from './checked-request.ts';
import type { HttpContext } from './http-context.ts';
import { type ContentSource, RequestBody } from './request-body.ts';
import { writeAnswer } from './write-answer.ts';

export class HttpExchange {
  readonly #checked: CheckedRequest;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #context: HttpContext;
  readonly #departure = new Departure();
  readonly #body: RequestBody;
  #fault: Fault | undefined;
  /** Milliseconds of a request's arrival, by the connection's clock. */
  #spentMs = 0;
  #gone = false;
  #held = false;

  constructor(checked: CheckedRequest, source: ContentSource, socket: Socket, peer: Peer, context: HttpContext) {
    this.#checked = checked;
    this.#socket = socket;
    this.#peer = peer;
    this.#context = context;
    this.#body = new RequestBody(source, checked, context.limits, () => {
      if (checked.expectContinue) socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
    });
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
        this.#socket.destroy();
      } else {
        // A body that was not read, or not to its end, cannot be told from the next request.
        const mayGoOn = !answer.close && this.#checked.persistent && !last() && this.#body.complete;
        goesOn = await this.#write(answer, !mayGoOn);
      }
    } catch {
      // Half an answer cannot be mended. Cutting the connection is how HTTP/1.1 says so (RFC 9112 section 8).
      goesOn = false;
      this.#socket.destroy();
    }
    if (this.#held) this.#context.exchanges.give(this.#peer.key);
    return goesOn;
  }

  /** More bytes have come. */
  onData(): void {
    this.#body.onData();
  }

  /** The rest of the request did not come in time. */
  fail(fault: Fault): void {
    this.#fault ??= fault;
    this.#body.fail(fault);
  }

  /** The connection has ended. `counted`: by us, and its drop is on record. */
  leave(counted: boolean): void {
    if (this.#gone) return;
    this.#gone = true;
    if (this.#body.waiting && !counted) this.#context.passage.drop('peer-gone', this.#peer);
    this.fail(new Fault('SP_EXCHANGE_CANCELLED'));
    this.#departure.abort();
  }

  /** Called once a second: holds the body to its time limits. */
  tick(elapsedMs: number): void {
    const body = this.#body;
    if (!body.waiting) return;
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
      // A WebSocket that stands behind nothing was taken over before; here there is nobody to take it.
      if (this.#checked.upgrade !== undefined) throw new Fault('SP_HTTP_UPGRADE');
      if (draining) throw new Fault('SP_GATEWAY_DRAINING');
      this.#held = exchanges.take(this.#peer.key, limits.exchangesPerDevice);
      if (!this.#held) throw new Fault('SP_GATEWAY_OVERLOADED');
      const read = this.#body.read();
      const body = read instanceof Promise ? await read : read;
      return answerOf(await this.#pass(decision, body));
    } catch (thrown) {
      const { code } = Fault.from(thrown);
      if (code === 'SP_EXCHANGE_CANCELLED') return undefined;
      passage.refuse(code, decision, this.#peer);
      return { ...problem(code, decision), close: code !== 'SP_GATEWAY_OVERLOADED' };
    }
  }

  async #pass(decision: string, body: Body): Promise<Outcome> {
    const { passage, listener } = this.#context;
    const { verb, path, query, targetDevice, headers, contentType } = this.#checked;
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

  #write(answer: Answer, close: boolean): Promise<boolean> {
    const { verb, version } = this.#checked;
    const idleSeconds = Math.floor(this.#context.limits.idleTimeoutMs / 1_000);
    // Closing while the peer still sends turns into a reset, which can overtake the answer: read on for a moment.
    const lingers = !this.#body.complete && this.#fault === undefined;
    const framing = { verb, version, close, idleSeconds };
    return writeAnswer(this.#socket, answer, lingers ? { ...framing, linger: () => lingering(this.#body) } : framing);
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

/** How long a body may be slower than limits.minimumBytesPerSecond: a lost packet or two. */
const GRACE_MS = 5_000;
const LINGER_MS = 1_000;
