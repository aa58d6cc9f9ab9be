/**
 * The device's side of a WebSocket: takes an upgrade over from the HTTPS listener, lets it pass as an exchange of its own
 * and answers 101 (RFC 6455 section 4.2.2) only when policy has permitted it and the upstream's handshake is done. Until
 * then the connection stands still: what the device sends early waits in its socket.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Server, WebSocketServer } from 'ws';
import type { Limits } from '../../config/settings.ts';
import { type Arrival, EMPTY_BODY } from '../../exchange/arrival.ts';
import type { Passage } from '../../exchange/gate.ts';
import type { Channel } from '../../exchange/message.ts';
import type { Outcome } from '../../exchange/outcome.ts';
import type { Peer } from '../../exchange/peer.ts';
import type { FaultCode, Reason } from '../../faults/catalogue.ts';
import { Fault } from '../../faults/fault.ts';
import { compression, receiverBounds } from '../../websocket/bounds.ts';
import { WebSocketChannel } from '../../websocket/channel.ts';
import { GOING_AWAY } from '../../websocket/close-code.ts';
import { ExplainingWebSocket } from '../../websocket/explaining-web-socket.ts';
import type { CheckedRequest } from '../https/checked-request.ts';
import type { UpgradeRequest, Upgrader } from '../https/upgrader.ts';
import { Conversation } from './conversation.ts';
import { checkHandshake } from './handshake.ts';
import { PendingUpgrade } from './pending-upgrade.ts';
import { refuseUpgrade } from './refusal.ts';

export interface WebSocketListenerOptions {
  /** The name of the listener that hands the upgrades over, e.g. `https`. */
  readonly listener: string;
  readonly limits: Limits;
  readonly passage: Passage;
}

/** A device at the door. */
interface Knock {
  readonly request: UpgradeRequest;
  readonly socket: Duplex;
  /** What came after the request's head. */
  readonly head: Buffer;
  readonly subprotocols: readonly string[];
  readonly abort: AbortController;
}

export class WebSocketListener implements Upgrader {
  readonly #options: Pick<WebSocketListenerOptions, 'listener' | 'passage'>;
  #limits: Limits;
  #server: Server<typeof ExplainingWebSocket>;
  /** The subprotocol for the handshake that is being answered; `ws` asks for it in the same tick. */
  #subprotocol = '';

  constructor(options: WebSocketListenerOptions) {
    this.#options = options;
    this.#limits = options.limits;
    this.#server = this.#create();
  }

  /** For handshakes from now on; open conversations keep the limits they began with. */
  setLimits(limits: Limits): void {
    this.#limits = limits;
    this.#server = this.#create();
  }

  upgrade(
    request: UpgradeRequest,
    checked: CheckedRequest,
    peer: Peer,
    socket: Duplex,
    head: Buffer,
    attended: () => void,
  ): void {
    socket.on('error', () => socket.destroy()); // an error that nobody hears would end the process
    const { passage } = this.#options;
    const decision = passage.decisionId();
    try {
      const { subprotocols } = checkHandshake(checked);
      const abort = new AbortController();
      const arrival = this.#arrival(decision, checked, peer, subprotocols, abort.signal);
      const pending = new PendingUpgrade(arrival, socket, abort, passage);
      attended();
      this.#pass(arrival, pending, { request, socket, head, subprotocols, abort }).catch(() => socket.destroy());
    } catch (thrown) {
      const { code } = Fault.from(thrown);
      passage.refuse(code, decision, peer);
      refuseUpgrade(socket, code, decision);
    }
  }

  async #pass(arrival: Arrival, pending: PendingUpgrade, knock: Knock): Promise<void> {
    const { passage } = this.#options;
    const outcome = await passage.pass(arrival);
    const cloud = outcome.kind === 'delivered' ? outcome.reply.reply.channel : undefined;
    const suits = cloud !== undefined && (!cloud.subprotocol || knock.subprotocols.includes(cloud.subprotocol));
    const device = suits && !pending.abandoned ? this.#answer(knock, cloud) : undefined;
    pending.end();
    if (cloud === undefined || device === undefined) {
      cloud?.close(GOING_AWAY, '');
      refuseUpgrade(knock.socket, refusalOf(outcome, suits), arrival.id);
      return;
    }
    const conversation = new Conversation(arrival, passage, device, cloud, knock.abort);
    const signOff = passage.attend(conversation);
    await conversation.run();
    signOff();
  }

  /** Completes the handshake; undefined if that is no longer possible. */
  #answer({ request, socket, head }: Knock, channel: Channel): WebSocketChannel | undefined {
    const limits = this.#limits;
    let device: WebSocketChannel | undefined;
    this.#subprotocol = channel.subprotocol ?? '';
    // Of a request `ws` looks at method and headers alone.
    this.#server.handleUpgrade(request as IncomingMessage, socket, head, (webSocket) => {
      device = new WebSocketChannel(webSocket, socket, { limits, tellReason: true });
      socket.resume(); // paused by who handed it over
    });
    return device;
  }

  #create(): Server<typeof ExplainingWebSocket> {
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      ...receiverBounds(this.#limits),
      perMessageDeflate: compression(this.#limits),
      handleProtocols: () => (this.#subprotocol === '' ? false : this.#subprotocol),
      WebSocket: ExplainingWebSocket,
    });
    // With a listener `ws` leaves the refusal to us; without one it would write its own.
    server.on('wsClientError', () => {});
    return server;
  }

  #arrival(
    id: string,
    checked: CheckedRequest,
    peer: Peer,
    subprotocols: readonly string[],
    signal: AbortSignal,
  ): Arrival {
    const { path, query, targetDevice, headers } = checked;
    const offered: readonly [string, string][] =
      subprotocols.length === 0 ? [] : [['sec-websocket-protocol', subprotocols.join(', ')]];
    return {
      id,
      protocol: 'websocket',
      listener: this.#options.listener,
      direction: 'toCloud',
      receivedAt: this.#options.passage.now(),
      peer,
      verb: 'WS',
      path,
      query,
      ...(targetDevice !== undefined && { targetDevice }),
      headers: [...headers.filter(([name]) => !ofTheConnection(name)), ...offered],
      contentType: '',
      body: EMPTY_BODY,
      signal,
    };
  }
}

function ofTheConnection(name: string): boolean {
  return name.startsWith('sec-websocket-') || name === 'upgrade' || name === 'connection' || name === 'origin';
}

/** Why an upgrade is refused that was not completed. */
function refusalOf(outcome: Outcome, suits: boolean): Reason | FaultCode {
  if (outcome.kind === 'denied') return outcome.reason;
  if (outcome.kind === 'failed') return outcome.fault.code;
  // Delivered, but not to a WebSocket or with a subprotocol nobody offered; or `ws` did not like the device's extensions.
  return suits ? 'SP_HTTP_UPGRADE' : 'SP_UPSTREAM_UPGRADE';
}
