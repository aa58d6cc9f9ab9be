/**
 * ClientHello before anything is believed (RFC 6347 4.2.1): without the right cookie it gets a HelloVerifyRequest and leaves no
 * trace; with it, a handshake begins beside whatever this address has open. A fragmented hello is dropped: putting it together
 * would be state for an unproven address.
 */
import type { Core } from '../core.ts';
import type { PeerAddress } from '../options.ts';
import { Association, addressKey } from '../session/association.ts';
import { concat, copy, equalBytes, u16, vector } from '../wire/bytes.ts';
import { type ClientHello, parseClientHello, parseFragments, writeFragment } from '../wire/handshake.ts';
import { plainRecord, type RawRecord } from '../wire/record.ts';
import { ContentType, DTLS_1_0, DTLS_1_2, HandshakeType } from '../wire/registry.ts';
import { repeatFlight, settle } from './driver.ts';
import { Handshake, type MaybeOutcome } from './handshake.ts';
import { answerHello } from './server-hello.ts';

/** True for a record in the clear that begins with a ClientHello. */
export function isClientHello(record: RawRecord): boolean {
  return (
    record.type === ContentType.handshake && record.epoch === 0 && record.fragment[0] === HandshakeType.clientHello
  );
}

/** @param datagramBytes of the whole datagram: no answer may be longer. */
export function onClientHello(core: Core, record: RawRecord, address: PeerAddress, datagramBytes: number): undefined {
  const { server, cookies } = core;
  if (server === undefined || cookies === undefined) return core.drop('message-unexpected');
  if (record.version !== DTLS_1_0 && record.version !== DTLS_1_2) return core.drop('version-wrong');
  if (!core.helloRate.take(address.address, core.nowMs)) return core.drop('hello-rate');
  const [fragment, ...more] = parseFragments(record.fragment) ?? [];
  if (fragment === undefined || more.length > 0) return core.drop('hello-malformed');
  if (fragment.body.length !== fragment.length) return core.drop('hello-fragmented');
  if (fragment.length > core.limits.maxHandshakeMessageBytes) return core.drop('message-too-long');
  // 0 for the first hello, 1 for the one with the cookie (RFC 6347 4.2.2).
  if (fragment.messageSeq > 1) return core.drop('message-unexpected');
  const body = copy(fragment.body);
  const hello = parseClientHello(body);
  if (hello === undefined) return core.drop('hello-malformed');

  const trusted = server.options.dangerouslySkipCookie === true || cookies.isGood(hello, address, core.nowMs);
  if (!trusted) {
    // A copy of the first hello that was late: its sender is past it, and some clients stumble over a second answer.
    if (isUnderway(core, hello, address)) return core.drop('hello-repeated');
    if (hello.cookie.length > 0) core.drop('cookie-wrong');
    const cookie = cookies.make(hello, address, core.nowMs);
    // RFC 6347 4.2.1: version 1.0 in the message and the record, sequence numbers those of the hello.
    const message = concat(u16(DTLS_1_0), vector(1, cookie));
    const reply = plainRecord(
      ContentType.handshake,
      record.sequence,
      writeFragment(HandshakeType.helloVerifyRequest, fragment.messageSeq, message),
      DTLS_1_0,
    );
    if (reply.length > datagramBytes) return core.drop('answer-larger-than-request');
    core.stats.helloVerifySent += 1;
    return core.send(reply, address);
  }
  beginHandshake(core, hello, body, fragment.messageSeq, record.sequence, address);
}

/** Whether this address has a handshake or an association that began with the same random. */
function isUnderway(core: Core, hello: ClientHello, address: PeerAddress): boolean {
  const key = addressKey(address);
  const pending = core.table.pending.get(key)?.handshake;
  if (pending !== undefined && equalBytes(pending.clientRandom, hello.random)) return true;
  const open = core.table.open.get(key);
  return open !== undefined && equalBytes(core.slab.view(open.slot, 'clientRandom'), hello.random);
}

function beginHandshake(
  core: Core,
  hello: ClientHello,
  body: Uint8Array,
  messageSeq: number,
  recordSequence: number,
  address: PeerAddress,
): undefined {
  const { table, limits } = core;
  const key = addressKey(address);
  const open = table.open.get(key);
  // The hello this association was made from: a copy on the way, or a replay. RFC 6347 4.2.8: it stays as it is.
  if (open !== undefined && equalBytes(core.slab.view(open.slot, 'clientRandom'), hello.random)) {
    return core.drop('hello-repeated');
  }
  const pending = table.pending.get(key);
  if (pending?.handshake !== undefined) {
    if (pending.role === 'client') return core.drop('message-unexpected');
    if (equalBytes(pending.handshake.clientRandom, hello.random)) {
      core.drop('hello-repeated');
      return repeatFlight(core, pending.handshake);
    }
    // The cookie proves that the peer at this address began anew.
    core.end(pending, 'handshake-superseded');
  }
  if (core.busy || table.pending.size >= limits.maxHalfOpen) return core.drop('half-open-full');
  if (table.pendingOfHost(address) >= limits.maxHalfOpenPerHost) return core.drop('half-open-host-full');
  if (table.openOfHost(address) >= limits.maxAssociationsPerHost) return core.drop('associations-full');
  if (table.openCount >= limits.maxAssociations && !core.evictOne()) return core.drop('associations-full');

  core.stats.handshakesStarted += 1;
  const association: Association<Handshake> = new Association('server', core.slab.allocate(), address, core.nowMs);
  const handshake = new Handshake(association, core, { server: core.server as NonNullable<Core['server']> });
  association.handshake = handshake;
  table.addPending(association);
  // RFC 6347 4.2.1: continue from the sequence number of the hello, or the client takes our answer for a replay.
  association.plainSequence = recordSequence;
  handshake.nextSendSeq = messageSeq;
  handshake.nextReceiveSeq = messageSeq + 1;
  handshake.clientRandom = hello.random;
  handshake.transcript.add(HandshakeType.clientHello, messageSeq, body);
  let outcome: MaybeOutcome;
  try {
    outcome = answerHello(handshake, hello);
  } catch {
    outcome = { fail: 'internal' };
  }
  settle(core, handshake, outcome, FIRST_STATES);
}

const FIRST_STATES = ['wait-certificate', 'wait-client-key-exchange', 'wait-change-cipher-spec-resumed'];
