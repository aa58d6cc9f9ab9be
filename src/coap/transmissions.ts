/**
 * Confirmable messages of ours (RFC 7252 section 4.2): repeated with doubled timeouts until acknowledged, reset or given up, no more
 * than NSTART at once to one peer (section 4.7), the rest waiting in a bounded queue.
 */
import type { Context, Outcome, PeerState, Transmission } from './peer-state.ts';

const jitter = new Uint8Array(2);

/** Not sent yet, so that its owner can keep it before an answer can come. `concluded` is called once, unless it is withdrawn. */
export function newTransmission(
  messageId: number,
  bytes: Uint8Array,
  concluded: (outcome: Outcome) => void,
): Transmission {
  return { bytes, messageId, timeoutMs: 0, dueAtMs: Number.POSITIVE_INFINITY, repeats: 0, concluded };
}

/** Sends, or queues. @returns false when the queue is full: then nothing was sent and `concluded` will not be called. */
export function transmit<Peer>(context: Context<Peer>, state: PeerState<Peer>, transmission: Transmission): boolean {
  state.unacknowledged ??= [];
  if (state.unacknowledged.length < context.limits.nstart) start(context, state, transmission);
  else {
    state.queued ??= [];
    if (state.queued.length >= context.limits.maxQueuedPerPeer) return false;
    state.queued.push(transmission);
  }
  return true;
}

function start<Peer>(context: Context<Peer>, state: PeerState<Peer>, transmission: Transmission): void {
  const { ackTimeoutMs, ackRandomFactor } = context.limits;
  context.random(jitter);
  const share = (((jitter[0] as number) << 8) | (jitter[1] as number)) / 0x1_0000;
  transmission.timeoutMs = ackTimeoutMs * (1 + share * (ackRandomFactor - 1));
  transmission.dueAtMs = context.nowMs + transmission.timeoutMs;
  (state.unacknowledged as Transmission[]).push(transmission);
  context.schedule(state, transmission.dueAtMs);
  context.send(state, transmission.bytes);
}

export function findTransmission<Peer>(state: PeerState<Peer>, messageId: number): Transmission | undefined {
  return state.unacknowledged?.find((one) => one.messageId === messageId);
}

/** Ends one that is under way and lets the next have its turn. */
export function conclude<Peer>(
  context: Context<Peer>,
  state: PeerState<Peer>,
  transmission: Transmission,
  outcome: Outcome,
): void {
  withdraw(context, state, transmission);
  transmission.concluded(outcome);
}

/** Takes it back without a word: its purpose was met or given up by other means. */
export function withdraw<Peer>(context: Context<Peer>, state: PeerState<Peer>, transmission: Transmission): void {
  const waiting = state.queued?.indexOf(transmission) ?? -1;
  if (waiting >= 0) {
    state.queued?.splice(waiting, 1);
    return;
  }
  const place = state.unacknowledged?.indexOf(transmission) ?? -1;
  if (place < 0) return;
  state.unacknowledged?.splice(place, 1);
  const next = state.queued?.shift();
  if (next !== undefined) start(context, state, next);
}

/** Repeats what is due; gives up after MAX_RETRANSMIT. */
export function tickTransmissions<Peer>(context: Context<Peer>, state: PeerState<Peer>): void {
  for (const transmission of [...(state.unacknowledged ?? [])]) {
    if (transmission.dueAtMs <= context.nowMs) {
      if (transmission.repeats >= context.limits.maxRetransmit) {
        context.stats.gaveUp += 1;
        conclude(context, state, transmission, 'gave-up');
        continue;
      }
      transmission.repeats += 1;
      transmission.timeoutMs *= 2;
      transmission.dueAtMs = context.nowMs + transmission.timeoutMs;
      context.stats.retransmitted += 1;
      context.send(state, transmission.bytes);
    }
    context.schedule(state, transmission.dueAtMs);
  }
}

/** The peer is gone: nothing is sent any more, everybody is told. */
export function forgetTransmissions<Peer>(state: PeerState<Peer>): void {
  const all = [...(state.unacknowledged ?? []), ...(state.queued ?? [])];
  state.unacknowledged = undefined;
  state.queued = undefined;
  for (const transmission of all) transmission.concluded('forgotten');
}
