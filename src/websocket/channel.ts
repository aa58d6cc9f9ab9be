/**
 * An open WebSocket as the exchange sees it: sealed messages go out within a budget, messages come in at the pace of their
 * reader, and a peer that breaks RFC 6455 or a limit is closed with the catalogue's code. Framing, masking, UTF-8 and sizes
 * are checked by `ws`; speed, trickling and lengths by FrameMeter. Knows neither device nor upstream.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Limits } from '../config/settings.ts';
import type { Channel, ChannelClose, ChannelMessage } from '../exchange/message.ts';
import { Sealed } from '../exchange/sealed.ts';
import { entryOf, type FaultCode } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import { GOING_AWAY, relayedCloseCode } from './close-code.ts';
import { FrameMeter } from './frame-meter.ts';
import { Inbox } from './inbox.ts';

/** How a channel ended, and by whom. `code` may stand in a close frame to the other side; `reason` is empty or a catalogue code. */
export interface Ending extends ChannelClose {
  /** `local`: close() was called; `peer`: a closing handshake; `lost`: the connection broke; `fault`: see `fault`. */
  readonly by: 'local' | 'peer' | 'lost' | 'fault';
  readonly fault?: FaultCode;
}

export interface ChannelOptions {
  readonly limits: Limits;
  /** How long a full send budget may stay full. Default 10 s. */
  readonly sendTimeoutMs?: number;
  /** The fault to report instead of the one the peer committed: an upstream's slip is not the device's. */
  readonly faultOf?: (code: FaultCode) => FaultCode;
  /** Tell the peer which catalogue code its connection was closed for. */
  readonly tellReason: boolean;
  /** Refuses a message that must not leave by this channel. */
  readonly check?: (sealed: Sealed) => void;
}

const SEND_TIMEOUT_MS = 10_000;
const SENT: Promise<void> = Promise.resolve();
const NOTHING = new Uint8Array(0);

/** The errors of `ws` that are not plain violations of the framing. */
const FAULT_OF_ERROR: Readonly<Record<string, FaultCode>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'SP_WEBSOCKET_TOO_LARGE',
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 'SP_WEBSOCKET_TOO_LARGE',
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 'SP_WEBSOCKET_TOO_FAST',
  WS_ERR_INVALID_UTF8: 'SP_PAYLOAD_SYNTAX',
  Z_DATA_ERROR: 'SP_PAYLOAD_SYNTAX',
  Z_BUF_ERROR: 'SP_PAYLOAD_SYNTAX',
};

export class WebSocketChannel implements Channel {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #options: ChannelOptions;
  readonly #meter: FrameMeter;
  readonly #inbox: Inbox;
  readonly #ended = Promise.withResolvers<Ending>();
  readonly #supervisor: NodeJS.Timeout;
  #ending: Ending | undefined;
  #alive = true;
  #heldAtMs: number | undefined;
  #roomMade: (() => void) | undefined;

  /**
   * @param webSocket open
   * @param socket the connection under it, in the very tick in which `ws` took it over: not a byte may pass unmetered
   */
  constructor(webSocket: WebSocket, socket: Duplex, options: ChannelOptions) {
    const { limits } = options;
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#options = options;
    this.#inbox = new Inbox({ hold: () => this.#hold(), release: () => this.#release() });
    this.#meter = new FrameMeter(
      {
        messagesPerSecond: limits.webSocketMessagesPerSecond,
        controlFramesPerSecond: limits.webSocketControlFramesPerSecond,
        messageTimeoutMs: limits.requestTimeoutMs,
      },
      performance.now(),
    );
    socket.prependListener('data', (chunk: Buffer) => this.#metered(chunk));
    webSocket.on('message', (data: Buffer, binary) => this.#inbox.put({ bytes: data, binary }));
    webSocket.on('ping', (data: Buffer) => this.#pinged(data));
    webSocket.on('pong', () => {
      this.#alive = true;
    });
    webSocket.on('error', (error: Error & { code?: string }) => this.#failed(error.code ?? ''));
    webSocket.on('close', (code) => this.#peerClosed(code));
    this.#supervisor = setInterval(() => this.#supervise(), limits.webSocketPingIntervalMs).unref();
  }

  get closed(): Promise<Ending> {
    return this.#ended.promise;
  }

  /** How it ended; undefined while it is open. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** The subprotocol agreed in the handshake; empty when there is none. */
  get subprotocol(): string {
    return this.#webSocket.protocol;
  }

  /** True once somebody reads from it. */
  get taken(): boolean {
    return this.#inbox.taken;
  }

  receive(): AsyncIterable<ChannelMessage> {
    return this.#inbox;
  }

  send(sealed: Sealed): Promise<void> {
    try {
      const { body, contentType } = Sealed.assert(sealed).message;
      this.#options.check?.(sealed);
      if (body.kind === 'stream') throw new Fault('SP_INTERNAL', 'A WebSocket message cannot be a stream.');
      const bytes = body.kind === 'bytes' ? body.bytes : NOTHING;
      const binary = !(contentType === 'application/json' || contentType.startsWith('text/'));
      if (!this.#fits(bytes.byteLength)) return this.#sendWhenItFits(bytes, binary);
      this.#write(bytes, binary);
      return SENT;
    } catch (thrown) {
      return Promise.reject(thrown);
    }
  }

  /** Closes in an orderly way, and the hard way after CLOSE_TIMEOUT_MS. What still waits to be read is thrown away. */
  close(code: number, reason: string): void {
    if (!this.#end({ by: 'local', code, reason })) return;
    this.#inbox.discard();
    this.#sayGoodbye(code, reason);
  }

  // --- outgoing

  #fits(byteLength: number): boolean {
    const waiting = this.#webSocket.bufferedAmount;
    return waiting === 0 || waiting + byteLength <= this.#options.limits.webSocketSendBufferBytes;
  }

  #write(bytes: Uint8Array, binary: boolean): void {
    // `ws` drops what is sent after a close frame arrived, and only its callback would tell.
    if (this.#ending !== undefined || this.#webSocket.readyState !== this.#webSocket.OPEN) throw this.#endedFault();
    this.#webSocket.send(bytes, { binary }, this.#written);
  }

  readonly #written = (): void => this.#roomMade?.();

  async #sendWhenItFits(bytes: Uint8Array, binary: boolean): Promise<void> {
    const timer = setTimeout(
      () => this.#fault('SP_WEBSOCKET_SLOW_READER'),
      this.#options.sendTimeoutMs ?? SEND_TIMEOUT_MS,
    );
    try {
      while (this.#ending === undefined && !this.#fits(bytes.byteLength)) {
        await new Promise<void>((resolve) => {
          const others = this.#roomMade;
          this.#roomMade = () => {
            this.#roomMade = undefined;
            others?.();
            resolve();
          };
        });
      }
    } finally {
      clearTimeout(timer);
    }
    this.#write(bytes, binary);
  }

  #endedFault(): Fault {
    return new Fault(this.#ending?.fault ?? 'SP_WEBSOCKET_CLOSED');
  }

  // --- incoming

  #metered(chunk: Buffer): void {
    if (this.#ending !== undefined) return;
    const fault = this.#meter.observe(chunk, performance.now());
    if (fault !== undefined) this.#fault(fault);
  }

  #pinged(data: Buffer): void {
    // RFC 6455 section 5.5.2: a ping MUST be answered. Not while the send buffer is full: a peer that pings and does not read
    // would make us keep its pongs.
    if (this.#ending === undefined && this.#fits(0)) this.#webSocket.pong(data);
  }

  #hold(): void {
    this.#heldAtMs = performance.now();
    this.#webSocket.pause();
  }

  #release(): void {
    if (this.#heldAtMs === undefined) return;
    const nowMs = performance.now();
    this.#meter.held(nowMs - this.#heldAtMs, nowMs);
    this.#heldAtMs = undefined;
    this.#alive = true; // its pong may have waited with the rest
    this.#webSocket.resume();
  }

  #supervise(): void {
    if (this.#heldAtMs !== undefined) return;
    if (this.#meter.overdue(performance.now())) this.#fault('SP_WEBSOCKET_TIMEOUT');
    else if (!this.#alive) this.#fault('SP_WEBSOCKET_UNRESPONSIVE');
    else {
      this.#alive = false;
      this.#webSocket.ping();
    }
  }

  // --- ending

  /** `ws` found a violation; it has sent its close frame already and reads no further. */
  #failed(error: string): void {
    const fault = FAULT_OF_ERROR[error] ?? 'SP_WEBSOCKET_PROTOCOL';
    if (this.#endByFault(fault)) this.#inbox.discard();
  }

  /** We found one. */
  #fault(code: FaultCode): void {
    if (!this.#endByFault(code)) return;
    this.#inbox.discard();
    this.#sayGoodbye(entryOf(code).faces.websocket, code);
    // What an offender still sends is neither parsed nor kept: only the close frame has to reach it.
    this.#socket.removeAllListeners('data');
    this.#socket.resume();
  }

  #endByFault(code: FaultCode): boolean {
    const fault = this.#options.faultOf?.(code) ?? code;
    return this.#end({ by: 'fault', fault, code: entryOf(fault).faces.websocket, reason: fault });
  }

  #peerClosed(code: number): void {
    const lost = code === 1006;
    const ending: Ending = lost
      ? { by: 'lost', code: GOING_AWAY, reason: 'SP_WEBSOCKET_CLOSED' }
      : { by: 'peer', code: relayedCloseCode(code), reason: '' };
    if (!this.#end(ending)) return;
    // After an orderly close whatever came before it still counts.
    if (lost) this.#inbox.discard();
    else this.#inbox.end();
  }

  #sayGoodbye(code: number, reason: string): void {
    this.#webSocket.resume();
    this.#webSocket.close(code, this.#options.tellReason ? reason : '');
  }

  /** The first ending is the one that counts. */
  #end(ending: Ending): boolean {
    if (this.#ending !== undefined) return false;
    this.#ending = ending;
    clearInterval(this.#supervisor);
    this.#ended.resolve(ending);
    this.#roomMade?.();
    return true;
  }
}
