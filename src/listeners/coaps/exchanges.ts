/**
 * From a whole request (blocks assembled, duplicates gone: src/coap/) to its response. A refusal before there is an arrival is
 * counted by `passage.refuse`; everything else is on record by the pipeline.
 */
import type { CoapRequest, CoapResponse } from '../../coap/api.ts';
import { CODE } from '../../coap/codes.ts';
import { answerWellKnownCore, type Link, WELL_KNOWN_CORE } from '../../coap/link-format.ts';
import type { Limits } from '../../config/settings.ts';
import type { Arrival } from '../../exchange/arrival.ts';
import { Departure } from '../../exchange/cancellation.ts';
import type { Passage } from '../../exchange/gate.ts';
import { Failed, type Outcome } from '../../exchange/outcome.ts';
import type { Peer } from '../../exchange/peer.ts';
import { SealedReply } from '../../exchange/sealed.ts';
import { Fault } from '../../faults/fault.ts';
import type { Tally } from '../https/tally.ts';
import { coapAnswer, refusal } from './answer.ts';
import type { CoapsAssociation } from './association.ts';
import { checkCoapRequest } from './check-request.ts';
import { Observation } from './observation.ts';

/** Policy's verb for opening a channel and for each of its messages. */
const CHANNEL = 'WS';

export interface ExchangeContext {
  readonly listener: string;
  readonly passage: Passage;
  /** Exchanges under way, by the device's key. */
  readonly exchanges: Tally;
  /** What this peer may reach (RFC 6690); undefined: policy is to tell it why not. */
  readonly linksFor: (peer: Peer) => readonly Link[] | undefined;
  /** Whether a channel to the cloud could be observed at this path. A hint: policy decides. */
  readonly isObservable: (peer: Peer, path: string) => boolean;
  limits: Limits;
  /** The gateway is stopping: what is under way ends, nothing begins. */
  draining: boolean;
}

/** Answers one request of the association. Never rejects. */
export function answerRequest(
  request: CoapRequest<CoapsAssociation>,
  context: ExchangeContext,
): CoapResponse<CoapsAssociation> | Promise<CoapResponse<CoapsAssociation>> {
  const { passage, limits, exchanges } = context;
  const { peer } = request.peer;
  const decision = passage.decisionId();
  let held = false;
  try {
    if (context.draining) throw new Fault('SP_GATEWAY_DRAINING');
    const checked = checkCoapRequest(request, limits.targetBytes);
    const links = checked.path === WELL_KNOWN_CORE && checked.verb === 'GET' ? context.linksFor(peer) : undefined;
    if (links !== undefined) return answerWellKnownCore(request, links);
    const observes =
      checked.verb === 'GET' && request.observe !== undefined && context.isObservable(peer, checked.path);
    // The library has ended the observation; there is no representation beside what is sent down.
    if (observes && request.observe === 'deregister') return { code: CODE.content, maxAgeS: 0 };
    held = exchanges.take(peer.key, limits.exchangesPerDevice);
    if (!held) throw new Fault('SP_GATEWAY_OVERLOADED');
    const signal = new Departure();
    const arrival: Arrival = {
      id: decision,
      protocol: 'coaps',
      listener: context.listener,
      direction: 'toCloud',
      receivedAt: passage.now(),
      peer,
      ...checked,
      ...(observes && { verb: CHANNEL }),
      signal,
    };
    return passed(request, arrival, signal, context);
  } catch (thrown) {
    if (held) exchanges.give(peer.key);
    const { code } = Fault.from(thrown);
    passage.refuse(code, decision, peer);
    return refusal(code, decision);
  }
}

async function passed(
  request: CoapRequest<CoapsAssociation>,
  arrival: Arrival,
  signal: Departure,
  { passage, exchanges, limits }: ExchangeContext,
): Promise<CoapResponse<CoapsAssociation>> {
  request.peer.begin(signal);
  try {
    let outcome: Outcome;
    try {
      outcome = await passage.pass(arrival);
    } catch (thrown) {
      outcome = Failed.from(arrival.id, thrown);
    }
    const channel = outcome.kind === 'delivered' ? SealedReply.assert(outcome.reply).reply.channel : undefined;
    if (channel !== undefined) return new Observation(arrival, passage, channel, signal).response;
    return await coapAnswer(outcome, request.method, limits.inspectedBodyBytes);
  } finally {
    request.peer.end(signal);
    exchanges.give(arrival.peer.key);
  }
}
