/**
 * The cloud's side of a WebSocket (RFC 6455 section 4.1): opens one for a sealed upgrade and hands its channel back in the
 * reply. The connection comes from the upstream's own dialler, so the certificate was checked before a byte is written. No
 * redirects, no extensions, no proxy of the environment.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { Limits } from '../config/settings.ts';
import { EMPTY_BODY } from '../exchange/arrival.ts';
import type { Cancellation } from '../exchange/cancellation.ts';
import type { Message, Reply } from '../exchange/message.ts';
import { Sealed } from '../exchange/sealed.ts';
import type { FaultCode } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import { receiverBounds } from '../websocket/bounds.ts';
import { WebSocketChannel } from '../websocket/channel.ts';
import { GOING_AWAY } from '../websocket/close-code.ts';
import type { Dial, Origin } from './dial.ts';
import { type RequestHead, requestHead } from './request-head.ts';
import { upstreamFault } from './upstream-fault.ts';

export interface WebSocketUpstreamOptions {
  /** The upstream's name, or `device:<id>`, as it stands in the permit. */
  readonly name: string;
  readonly origin: Origin;
  readonly dial: Dial;
  /** For the connection and the handshake together. */
  readonly timeoutMs: number;
  readonly limits: Limits;
  /** How long a channel may be without a reader. Default 5 s. */
  readonly untakenTimeoutMs?: number;
}

/** A channel that nobody reads from by then has lost its device between the two handshakes. */
const UNTAKEN_TIMEOUT_MS = 5_000;

/** What an upstream did wrong, seen from the device: not its own fault. */
const UPSTREAM_FAULT: Partial<Record<FaultCode, FaultCode>> = {
  SP_WEBSOCKET_PROTOCOL: 'SP_UPSTREAM_RESPONSE',
  SP_WEBSOCKET_TOO_FAST: 'SP_UPSTREAM_RESPONSE',
  SP_PAYLOAD_SYNTAX: 'SP_UPSTREAM_RESPONSE',
  SP_WEBSOCKET_TOO_LARGE: 'SP_UPSTREAM_TOO_LARGE',
  SP_WEBSOCKET_TIMEOUT: 'SP_UPSTREAM_TIMEOUT',
  SP_WEBSOCKET_UNRESPONSIVE: 'SP_UPSTREAM_TIMEOUT',
  SP_WEBSOCKET_SLOW_READER: 'SP_UPSTREAM_TIMEOUT',
};

export class WebSocketUpstream {
  readonly #options: WebSocketUpstreamOptions;

  constructor(options: WebSocketUpstreamOptions) {
    this.#options = options;
  }

  /**
   * Opens a WebSocket for the sealed upgrade. Resolves with status 101 and the channel. Rejects with SP_UPSTREAM_* or, when
   * `signal` aborts, SP_EXCHANGE_CANCELLED.
   */
  async open(sealed: Sealed, signal: Cancellation = sealed.permitted.identified.arrival.signal): Promise<Reply> {
    const { message, permitted } = Sealed.assert(sealed);
    // RFC 6455 section 4.1: the handshake is a GET without a body.
    const upgrade: Message = { ...message, verb: 'GET', contentType: '', body: EMPTY_BODY };
    const head = requestHead(upgrade, permitted.identified.arrival.id);
    const subprotocols = offeredSubprotocols(message);
    const deadlineMs = performance.now() + this.#options.timeoutMs;
    const socket = await this.#connect();
    let webSocket: WebSocket;
    try {
      webSocket = new WebSocket(this.#options.origin.url, subprotocols, {
        ...receiverBounds(this.#options.limits),
        ...{ maxHeaderSize: this.#options.limits.responseHeaderBytes },
        perMessageDeflate: false,
        followRedirects: false,
        headers: headersOf(head),
        createConnection: () => socket,
        finishRequest: (request) => {
          // Policy decided on the path letter by letter. A URL parser, which `ws` would ask, folds dot segments (`%2e%2e` too)
          // and backslashes: so it never sees the target.
          request.path = head.target;
          request.end();
        },
      });
    } catch (thrown) {
      socket.destroy();
      throw thrown;
    }
    const channel = await this.#shakeHands(webSocket, socket, deadlineMs, signal);
    closeUnlessTaken(channel, this.#options.untakenTimeoutMs ?? UNTAKEN_TIMEOUT_MS);
    return { status: 101, headers: [], contentType: '', body: EMPTY_BODY, channel };
  }

  #connect(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      this.#options.dial((error, socket) => {
        if (socket !== undefined) resolve(socket);
        else reject(upstreamFault(error, false, this.#options.name));
      });
    });
  }

  #shakeHands(
    webSocket: WebSocket,
    socket: Socket,
    deadlineMs: number,
    signal: Cancellation,
  ): Promise<WebSocketChannel> {
    const { name } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<WebSocketChannel>();
    const give = (fault: Fault): void => {
      reject(fault);
      webSocket.terminate();
      socket.destroy();
    };
    const details = { upstream: name };
    // The timeout of `ws` starts anew with every byte; an upstream that trickles would never meet it.
    const deadline = setTimeout(
      () => give(new Fault('SP_UPSTREAM_TIMEOUT', undefined, { details })),
      Math.max(0, deadlineMs - performance.now()),
    );
    const cancel = { handleEvent: () => give(new Fault('SP_EXCHANGE_CANCELLED')) };
    signal.addEventListener('abort', cancel);
    webSocket.on('unexpected-response', (_request, response: IncomingMessage) => {
      give(new Fault('SP_UPSTREAM_UPGRADE', undefined, { details: { ...details, status: response.statusCode ?? 0 } }));
    });
    webSocket.on('error', (error: Error) => {
      // Without a code it is `ws` that did not like the handshake.
      const reached = 'code' in error ? upstreamFault(error, true, name) : undefined;
      give(reached ?? new Fault('SP_UPSTREAM_UPGRADE', undefined, { cause: error, details }));
    });
    webSocket.once('open', () => {
      webSocket.removeAllListeners();
      resolve(this.#channel(webSocket, socket));
    });
    if (signal.aborted) cancel.handleEvent();
    return promise.finally(() => {
      clearTimeout(deadline);
      signal.removeEventListener('abort', cancel);
    });
  }

  #channel(webSocket: WebSocket, socket: Socket): WebSocketChannel {
    const { name, limits } = this.#options;
    const channel: WebSocketChannel = new WebSocketChannel(webSocket, socket, {
      limits,
      tellReason: false,
      faultOf: (code) => UPSTREAM_FAULT[code] ?? code,
      check: (sealed) => {
        // After a reload the route may lead elsewhere: its messages must not go on to where it once led.
        if (sealed.permitted.obligations.upstream === name) return;
        channel.close(GOING_AWAY, '');
        throw new Fault('SP_WEBSOCKET_CLOSED', 'The route leads to another upstream now.');
      },
    });
    return channel;
  }
}

function closeUnlessTaken(channel: WebSocketChannel, timeoutMs: number): void {
  const timer = setTimeout(() => {
    if (!channel.taken) channel.close(GOING_AWAY, '');
  }, timeoutMs);
  void channel.closed.then(() => clearTimeout(timer));
}

/** What the device offers, as far as the privacy rule lets it through: a subprotocol is text of the device's choosing. */
function offeredSubprotocols({ headers }: Message): string[] {
  const offered = headers
    .filter(([name]) => name === 'sec-websocket-protocol')
    .flatMap(([, value]) => value.split(','));
  const subprotocols = new Set(offered.map((subprotocol) => subprotocol.trim()));
  for (const subprotocol of subprotocols) {
    if (!TOKEN.test(subprotocol)) throw new Fault('SP_HTTP_UPGRADE', 'A subprotocol is not a token.');
  }
  return [...subprotocols];
}

/** `ws` wants an object; a repeated header becomes a list (RFC 9110 section 5.3). */
function headersOf({ headers }: RequestHead): Record<string, string> {
  const joined = new Map<string, string>();
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const [name = '', value = ''] = headers.slice(at, at + 2);
    const earlier = joined.get(name);
    joined.set(name, earlier === undefined ? value : `${earlier}, ${value}`);
  }
  return Object.fromEntries(joined);
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
