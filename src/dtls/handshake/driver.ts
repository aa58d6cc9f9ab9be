/**
 * Runs a handshake: fragments to messages, messages to cells of the transition table, outcomes to flights, states and ends.
 * Whatever the table does not list is dropped and changes nothing, not even the message number we wait for.
 */
import type { Core, Peer } from '../core.ts';
import { parseFragments } from '../wire/handshake.ts';
import { HandshakeType } from '../wire/registry.ts';
import { CLIENT_CELLS } from './client12.ts';
import type { Handshake, MaybeOutcome, Outcome } from './handshake.ts';
import { SERVER_CELLS } from './server12.ts';
import { type ClientState, type MessageName, messageName, type ServerState, transitionOf } from './table.ts';

/** A record of type handshake. */
export function onHandshakeRecord(core: Core, association: Peer, epoch: number, plaintext: Uint8Array): undefined {
  const handshake = association.handshake as Handshake;
  const fragments = parseFragments(plaintext);
  if (fragments === undefined || fragments.length === 0) return core.drop('fragment-malformed');
  for (const fragment of fragments) {
    // RFC 5246 7.4.1.1: ignored by a client that is negotiating, before it could take a place in the reassembly.
    if (fragment.type === HandshakeType.helloRequest || messageName(fragment.type) === undefined) {
      core.drop('message-unexpected');
      continue;
    }
    const dropped = handshake.reassembly.add(fragment, epoch, handshake.nextReceiveSeq);
    if (dropped !== undefined) core.drop(dropped);
    if (dropped === 'message-repeated') resend(core, handshake, fragment.messageSeq);
  }
  advance(core, handshake);
}

/** RFC 6347 4.2.4, WAITING: the peer repeats its last flight, so it lacks ours; but not at any rate it likes. */
function resend(core: Core, handshake: Handshake, messageSeq: number): undefined {
  const { flight } = handshake;
  if (flight === undefined || handshake.state === 'asking' || messageSeq !== handshake.nextReceiveSeq - 1) return;
  repeatFlight(core, handshake);
}

/** Sends the flight again on the peer's account, within its number of sends and no faster than allowed. */
export function repeatFlight(core: Core, handshake: Handshake): undefined {
  const { flight, association } = handshake;
  if (flight === undefined || core.nowMs - flight.lastSentMs < core.limits.resendSpacingMs) return;
  if (flight.sends >= core.limits.maxFlightSends) return;
  core.sendFlight(association, flight);
  core.schedule(association);
}

export function onChangeCipherSpec(core: Core, association: Peer, body: Uint8Array): undefined {
  const handshake = association.handshake as Handshake;
  if (body.length !== 1 || body[0] !== 1) return core.drop('change-cipher-spec-malformed');
  if (handshake.state === 'asking') {
    // It follows messages that wait as well; it counts only if they lead to the state that waits for it (CVE-2014-0224).
    handshake.heldChangeCipherSpec = true;
    return;
  }
  if (transitionOf(handshake.role, handshake.state, 'change-cipher-spec') === undefined) {
    return core.drop('message-unexpected');
  }
  runCell(core, handshake, 'change-cipher-spec', body);
}

/** Takes messages in order as long as the state wants them. */
function advance(core: Core, handshake: Handshake): undefined {
  const { association, reassembly } = handshake;
  while (association.handshake === handshake && handshake.state !== 'asking') {
    const waiting = reassembly.peek(handshake.nextReceiveSeq);
    if (waiting === undefined) break;
    const name = messageName(waiting.type) as MessageName;
    const transition = transitionOf(handshake.role, handshake.state, name);
    if (transition === undefined || transition.epoch !== waiting.epoch) {
      reassembly.discard(handshake.nextReceiveSeq);
      core.drop('message-unexpected');
      break;
    }
    const message = reassembly.take(handshake.nextReceiveSeq);
    if (message === undefined) break;
    handshake.nextReceiveSeq += 1;
    if (transition.closesTranscript === undefined) {
      const kept = handshake.transcript.add(message.type, message.messageSeq, message.body);
      if (!kept) return core.end(association, 'transcript-limit');
    }
    // Progress: the peer has our flight, the timer begins anew (RFC 6347 4.2.4).
    if (handshake.flight !== undefined) handshake.flight.lastSentMs = core.nowMs;
    runCell(core, handshake, name, message.body);
  }
}

function runCell(core: Core, handshake: Handshake, name: MessageName, body: Uint8Array): undefined {
  const { state, role } = handshake;
  const cell =
    role === 'server' ? SERVER_CELLS[state as ServerState]?.[name] : CLIENT_CELLS[state as ClientState]?.[name];
  const allowed = transitionOf(role, state, name)?.to ?? [];
  let outcome: MaybeOutcome;
  try {
    outcome = cell?.(handshake, body) ?? { fail: 'internal' };
  } catch {
    outcome = { fail: 'internal' };
  }
  settle(core, handshake, outcome, allowed);
}

/** Carries out an outcome now, or when the caller has answered. `allowed`: the states the table lists. */
export function settle(core: Core, handshake: Handshake, outcome: MaybeOutcome, allowed: readonly string[]): undefined {
  if (!(outcome instanceof Promise)) return conclude(core, handshake, outcome, allowed);
  handshake.state = 'asking';
  core.schedule(handshake.association);
  const later = (goOn: () => MaybeOutcome) => {
    const run = () => {
      // Closed, superseded or timed out while the question was open: the answer is for nobody.
      if (handshake.association.handshake !== handshake) return;
      let next: MaybeOutcome;
      try {
        next = goOn();
      } catch {
        next = { fail: 'internal' };
      }
      settle(core, handshake, next, allowed);
      advance(core, handshake);
    };
    core.answers.push({ association: handshake.association, run });
    core.onAnswer();
  };
  outcome.then(later, () => later(() => ({ fail: 'internal' })));
}

function conclude(core: Core, handshake: Handshake, outcome: Outcome, allowed: readonly string[]): undefined {
  const { association } = handshake;
  if ('fail' in outcome) return core.end(association, outcome.fail);
  if (!allowed.includes(outcome.to)) return core.end(association, 'internal');
  handshake.state = outcome.to;
  if (outcome.to === 'open') {
    if (outcome.established === undefined) return core.end(association, 'internal');
    return core.establish(handshake, outcome.established, outcome.flight);
  }
  if (outcome.flight !== undefined) {
    handshake.flight = outcome.flight;
    core.sendFlight(association, outcome.flight);
  }
  core.schedule(association);
  if (!handshake.heldChangeCipherSpec) return;
  if (transitionOf(handshake.role, handshake.state, 'change-cipher-spec') === undefined) return;
  handshake.heldChangeCipherSpec = false;
  runCell(core, handshake, 'change-cipher-spec', Uint8Array.of(1));
}
