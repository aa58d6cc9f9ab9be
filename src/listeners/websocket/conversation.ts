/**
 * A device and its upstream in conversation: each message, in either direction, is an exchange of its own, and the next of
 * the same direction is not looked at before it is over. A refusal ends the conversation, a close of one side closes the
 * other, and nothing outlives the permission under which the upgrade was let in.
 */
import type { Arrival, Direction } from '../../exchange/arrival.ts';
import type { Passage, Session } from '../../exchange/gate.ts';
import type { Channel, ChannelMessage } from '../../exchange/message.ts';
import type { Denied, Failed } from '../../exchange/outcome.ts';
import type { Peer } from '../../exchange/peer.ts';
import type { DropReason } from '../../faults/drop.ts';
import { CLOSE_TIMEOUT_MS } from '../../websocket/bounds.ts';
import type { Ending, WebSocketChannel } from '../../websocket/channel.ts';
import { GOING_AWAY, INTERNAL_ERROR } from '../../websocket/close-code.ts';
import { isStillPermitted } from './pending-upgrade.ts';

const POLICY_VIOLATION = 1008;

export class Conversation implements Session {
  readonly protocol = 'websocket';
  readonly #upgrade: Arrival;
  readonly #passage: Passage;
  readonly #device: WebSocketChannel;
  readonly #cloud: Channel;
  readonly #abort: AbortController;
  #counted = false;

  /**
   * @param upgrade the arrival that was permitted; its `signal` is of `abort`
   * @param device open
   * @param cloud open
   */
  constructor(upgrade: Arrival, passage: Passage, device: WebSocketChannel, cloud: Channel, abort: AbortController) {
    this.#upgrade = upgrade;
    this.#passage = passage;
    this.#device = device;
    this.#cloud = cloud;
    this.#abort = abort;
  }

  get peer(): Peer {
    return this.#upgrade.peer;
  }

  /** Resolves when both directions have ended. Never rejects. */
  async run(): Promise<void> {
    void this.#device.closed.then((ending) => this.#deviceEnded(ending));
    await Promise.all([this.#up(), this.#down()]);
  }

  /** Ends both sides at once; whoever does not take part in the closing handshake is cut off after a second. */
  close(reason: DropReason): void {
    this.#count(reason);
    if (reason === 'draining') {
      // What is under way may still arrive: the upstream is closed when the message in the pipeline is through.
      this.#device.close(GOING_AWAY, 'SP_GATEWAY_DRAINING');
      return;
    }
    this.#abort.abort();
    this.#device.close(POLICY_VIOLATION, reason);
    this.#cloud.close(GOING_AWAY, '');
  }

  /** Decides the upgrade anew. */
  reconsider(): Promise<boolean> {
    return isStillPermitted(this.#upgrade, this.#passage);
  }

  // --- the two directions

  async #up(): Promise<void> {
    await this.#pump(this.#device, this.#cloud, 'toCloud');
    const { by, code } = await this.#device.closed;
    this.#cloud.close(by === 'peer' ? code : GOING_AWAY, '');
  }

  async #down(): Promise<void> {
    await this.#pump(this.#cloud, this.#device, 'toDevice');
    const { code, reason } = await this.#cloud.closed;
    // Unless the device went first, it was the upstream.
    if (this.#device.ending === undefined) this.#count('upstream-gone');
    this.#device.close(code, reason);
  }

  async #pump(source: Channel, target: Channel, direction: Direction): Promise<void> {
    try {
      for await (const message of source.receive()) {
        const outcome = await this.#passage.pass(this.#arrival(message, direction, target));
        if (outcome.kind === 'delivered') continue;
        this.#refused(outcome, direction, target);
        return;
      }
    } catch {
      // A passage does not throw; if it does, nothing more passes.
      this.#device.close(INTERNAL_ERROR, 'SP_INTERNAL');
      this.#cloud.close(GOING_AWAY, '');
    }
  }

  #arrival({ bytes, binary }: ChannelMessage, direction: Direction, channel: Channel): Arrival {
    const { protocol, listener, peer, verb, path, targetDevice, signal } = this.#upgrade;
    return {
      id: this.#passage.decisionId(),
      protocol,
      listener,
      direction,
      receivedAt: this.#passage.now(),
      peer,
      verb,
      path,
      query: '', // it belonged to the upgrade
      ...(targetDevice !== undefined && { targetDevice }),
      headers: [],
      contentType: binary ? 'application/octet-stream' : textType(bytes),
      body: { kind: 'bytes', bytes },
      signal,
      channel,
    };
  }

  // --- endings

  #refused(outcome: Denied | Failed, direction: Direction, target: Channel): void {
    if (outcome.kind === 'failed') {
      const { code, entry } = outcome.fault;
      if (code === 'SP_EXCHANGE_CANCELLED') return; // ended already
      if (code === 'SP_WEBSOCKET_CLOSED') {
        // The target is in its closing handshake, and the code it ends with goes to the other side.
        setTimeout(() => target.close(GOING_AWAY, ''), CLOSE_TIMEOUT_MS).unref();
        return;
      }
      this.#count(entry.blame === 'upstream' ? 'upstream-gone' : 'message-refused');
      this.#end(outcome.faces.websocket, code, direction);
      return;
    }
    this.#count('message-refused');
    this.#end(outcome.faces.websocket, outcome.reason, direction);
  }

  /** The device learns the reason whoever sent the message. The upstream learns that it was its own message, and no more. */
  #end(code: number, reason: string, direction: Direction): void {
    this.#device.close(code, reason);
    this.#cloud.close(direction === 'toDevice' ? POLICY_VIOLATION : GOING_AWAY, '');
  }

  #deviceEnded({ by, fault }: Ending): void {
    if (by === 'lost' || by === 'fault') this.#abort.abort();
    if (by === 'lost') this.#count('peer-gone');
    if (fault === undefined) return;
    this.#count(
      fault === 'SP_WEBSOCKET_UNRESPONSIVE' || fault === 'SP_WEBSOCKET_SLOW_READER' ? 'slow-peer' : 'message-refused',
    );
    this.#passage.refuse(fault, this.#upgrade.id, this.peer);
  }

  /** A conversation ends for one reason, the first. */
  #count(reason: DropReason): void {
    if (this.#counted) return;
    this.#counted = true;
    this.#passage.drop(reason, this.peer);
  }
}

/**
 * A text message has no media type. What looks like a JSON document is one, and then a privacy rule reads it or refuses it;
 * anything else is text, which only a route with `privacy: unchanged` lets pass.
 */
function textType(bytes: Uint8Array): string {
  for (const byte of bytes) {
    if (byte === 0x7b || byte === 0x5b) return 'application/json';
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) return 'text/plain';
  }
  return 'text/plain';
}
