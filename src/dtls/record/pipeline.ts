/**
 * From datagram to records to whoever waits for them (RFC 6347 4.1, RFC 9146 6), in a fixed order: length, association, version,
 * epoch, Connection ID, replay, authentication, window, path, dispatch. Every drop is silent and counted; nothing that is not
 * authentic ends or changes an open association.
 */
import type { Core, Peer } from '../core.ts';
import { onChangeCipherSpec, onHandshakeRecord } from '../handshake/driver.ts';
import { isClientHello, onClientHello } from '../handshake/hello.ts';
import type { PeerAddress } from '../options.ts';
import { addressKey } from '../session/association.ts';
import { isProof, onAuthentic, PATH_COOKIE_BYTES, PathMessage, sameAddress } from '../session/path.ts';
import { concat, copy, u8 } from '../wire/bytes.ts';
import { parseFragments } from '../wire/handshake.ts';
import { parseRecord, type RawRecord } from '../wire/record.ts';
import { Alert, ContentType, DTLS_1_0, DTLS_1_2, HandshakeType } from '../wire/registry.ts';
import { type OpenedRecord, openRecord } from './channel.ts';
import { mark } from './replay.ts';

/** RFC 5246 6.2.3: what encryption may add at most. */
const MAX_FRAGMENT_BYTES = 16_384 + 256;
const FATAL = 2;

export function receiveDatagram(core: Core, datagram: Uint8Array, from: PeerAddress): undefined {
  core.stats.datagramsReceived += 1;
  core.stats.bytesReceived += datagram.length;
  if (datagram.length === 0 || datagram.length > core.limits.maxDatagramBytes) return core.drop('datagram-size');
  if (from.port === 0) return core.drop('source-port-zero');
  let at = 0;
  while (at < datagram.length) {
    const record = parseRecord(datagram, at, core.cidLength);
    // RFC 6347 4.1.2.7: the rest of the datagram cannot be read any more.
    if (record === undefined) return core.drop('record-truncated');
    if (record.fragment.length > MAX_FRAGMENT_BYTES) return core.drop('record-too-long');
    route(core, record, datagram.subarray(at, record.end), from, datagram.length);
    at = record.end;
  }
}

function route(core: Core, record: RawRecord, bytes: Uint8Array, from: PeerAddress, datagramBytes: number): undefined {
  if (record.type === ContentType.tls12Cid) {
    if (record.cid === undefined) return core.drop('connection-id-unexpected');
    const association = core.table.byCid(record.cid);
    if (association === undefined) return core.drop('connection-id-unknown');
    takeRecord(core, association, record, bytes, from);
    return;
  }
  if (record.type < ContentType.changeCipherSpec || record.type > ContentType.applicationData) {
    return core.drop('content-type-unknown');
  }
  if (isClientHello(record)) return onClientHello(core, record, from, datagramBytes);
  const key = addressKey(from);
  const open = core.table.open.get(key);
  const pending = core.table.pending.get(key);
  if (open === undefined || (record.epoch === 0 && pending !== undefined)) {
    if (pending === undefined) return core.drop('association-unknown');
    takeRecord(core, pending, record, bytes, from);
    return;
  }
  // A peer that shakes hands anew may still send under the old keys: both get their chance, the open one first.
  const refused = takeRecord(core, open, record, bytes, from, pending !== undefined);
  if (refused && pending !== undefined) takeRecord(core, pending, record, bytes, from);
}

/** @returns true when the record was not for this association and `mayPass` let it go on. */
function takeRecord(
  core: Core,
  association: Peer,
  record: RawRecord,
  bytes: Uint8Array,
  from: PeerAddress,
  mayPass = false,
): boolean | undefined {
  const { version } = record;
  const isFirstAnswer = association.role === 'client' && record.epoch === 0 && version === DTLS_1_0;
  if (version !== DTLS_1_2 && !isFirstAnswer) return core.drop('version-wrong');
  if (record.epoch === 0) return takePlain(core, association, record);
  if (record.epoch !== 1) return core.drop('epoch-unknown');
  if (!association.reads) return defer(core, association, bytes);
  // RFC 9146 4: with a Connection ID negotiated for this direction every protected record has it, and without it none.
  const wantsCid = (association.ownCid?.length ?? 0) > 0;
  if (wantsCid && record.cid === undefined) return mayPass || core.drop('connection-id-missing');
  if (!wantsCid && record.cid !== undefined) return core.drop('connection-id-unexpected');
  if (isThrottled(core, association)) return mayPass || core.drop('auth-failures-alarm');

  const opened = openRecord(core.slab, association, record);
  if (typeof opened === 'string') {
    // To the old keys a record under the new ones is a replay, too short or unauthentic: all three may be the other's.
    if (mayPass) return true;
    if (opened === 'record-unauthentic') onUnauthentic(core, association);
    return core.drop(opened);
  }
  // Only now, when the record is authentic, does anything move: window, activity, path.
  const newest = mark(association, record.sequence);
  association.lastActivityMs = core.nowMs;
  if (record.cid !== undefined && association.state === 'open') {
    if (onAuthentic(association, from, newest, bytes.length)) challenge(core, association);
  }
  return dispatch(core, association, opened, from);
}

function takePlain(core: Core, association: Peer, record: RawRecord): undefined {
  const { handshake } = association;
  if (handshake === undefined) {
    return core.drop(record.type === ContentType.alert ? 'alert-unauthenticated' : 'epoch-zero-forbidden');
  }
  if (record.fragment.length === 0) return core.drop('record-empty');
  switch (record.type) {
    case ContentType.handshake:
      onHandshakeRecord(core, association, 0, record.fragment);
      return releaseDeferred(core, association);
    case ContentType.changeCipherSpec:
      onChangeCipherSpec(core, association, record.fragment);
      return releaseDeferred(core, association);
    case ContentType.alert: {
      core.drop('alert-unauthenticated');
      const [level, description] = record.fragment;
      if (record.fragment.length !== 2 || level !== FATAL || handshake.alertSeen !== undefined) return;
      // Anybody could have sent it: it ends nothing, it lets the handshake end sooner if nothing else comes.
      handshake.alertSeen = description;
      handshake.deadlineMs = Math.min(handshake.deadlineMs, core.nowMs + core.limits.unauthenticAlertGraceMs);
      return core.schedule(association);
    }
    default:
      // Application data in the clear (CVE-2019-20786).
      return core.drop('epoch-zero-forbidden');
  }
}

/** Records of epoch 1 before its keys: a few are kept, copied, because datagrams overtake each other. */
function defer(core: Core, association: Peer, bytes: Uint8Array): undefined {
  const { handshake } = association;
  if (handshake === undefined) return core.drop('epoch-unknown');
  const { maxDeferredRecords, maxDeferredBytes } = core.limits;
  const full =
    handshake.deferred.length >= maxDeferredRecords || handshake.deferredBytes + bytes.length > maxDeferredBytes;
  if (full) return core.drop('next-epoch-full');
  handshake.deferred.push(copy(bytes));
  handshake.deferredBytes += bytes.length;
}

/** Data that overtook Finished is not delivered before it (CVE-2014-8176); a little of it is kept. */
function holdData(core: Core, association: Peer, plaintext: Uint8Array): undefined {
  const { handshake } = association;
  const { maxDeferredRecords, maxDeferredBytes } = core.limits;
  if (handshake === undefined || handshake.heldData.length >= maxDeferredRecords) return core.drop('data-before-open');
  if (plaintext.length > maxDeferredBytes) return core.drop('data-before-open');
  handshake.heldData.push(plaintext);
}

/** Takes up what waited for its keys. */
export function releaseDeferred(core: Core, association: Peer): undefined {
  const { handshake } = association;
  if (handshake === undefined || !association.reads || handshake.deferred.length === 0) return;
  const waiting = handshake.deferred;
  handshake.deferred = [];
  handshake.deferredBytes = 0;
  for (const bytes of waiting) {
    const record = parseRecord(bytes, 0, core.cidLength);
    if (record === undefined) continue;
    // Anybody may have put it there before the keys existed: a bad one says nothing about the peer's key.
    const refused = takeRecord(core, association, record, bytes, association.address, true);
    if (refused) core.drop('record-unauthentic');
  }
}

/** RFC 9147 4.5.3: many forgeries make the next guess cheaper, so they are made slower. */
function isThrottled(core: Core, association: Peer): boolean {
  if (association.authFailures < core.limits.authFailureAlarm) return false;
  if (core.nowMs - association.lastOpenMs < 1000 / core.limits.authFailureOpensPerSecond) return true;
  association.lastOpenMs = core.nowMs;
  return false;
}

function onUnauthentic(core: Core, association: Peer): undefined {
  association.authFailures += 1;
  const { handshake, suite } = association;
  if (handshake !== undefined) {
    // Before Finished it is most likely a wrong PSK: the peer repeats itself, then is told (decrypt_error).
    handshake.badFinishedRecords += 1;
    if (handshake.badFinishedRecords >= core.limits.maxBadFinishedRecords) core.end(association, 'key-wrong');
    return;
  }
  const { maxAuthFailures, maxAuthFailuresShortTag } = core.limits;
  const limit = suite?.tagBytes === 8 ? maxAuthFailuresShortTag : maxAuthFailures;
  if (association.authFailures >= limit) core.end(association, 'auth-failure-limit');
}

function dispatch(core: Core, association: Peer, { type, plaintext }: OpenedRecord, from: PeerAddress): undefined {
  // RFC 6066 4, RFC 8449 4: fatal, but only because the record is authentic.
  if (plaintext.length > association.receiveLimitBytes) return core.end(association, 'record-overflow');
  switch (type) {
    case ContentType.applicationData:
      if (association.handshake !== undefined) return holdData(core, association, plaintext);
      core.outbox.push({ kind: 'data', association, data: plaintext });
      return;
    case ContentType.handshake:
      if (association.handshake !== undefined) return onHandshakeRecord(core, association, 1, plaintext);
      return onLateHandshake(core, association, plaintext);
    case ContentType.alert:
      return onAlert(core, association, plaintext);
    case ContentType.returnRoutabilityCheck:
      return onPathMessage(core, association, plaintext, from);
    default:
      return core.drop('content-type-unknown');
  }
}

function onAlert(core: Core, association: Peer, plaintext: Uint8Array): undefined {
  const [level, description] = plaintext;
  if (plaintext.length !== 2) return core.drop('alert-malformed');
  if (description === Alert.closeNotify) return core.end(association, 'peer-close');
  if (level === FATAL) {
    core.sessions?.forgetId(association.sessionKey);
    core.end(association, 'peer-alert');
  }
}

/** A handshake record on an open association: the peer lacks our last flight, or wants to renegotiate. */
function onLateHandshake(core: Core, association: Peer, plaintext: Uint8Array): undefined {
  const [fragment] = parseFragments(plaintext) ?? [];
  if (fragment === undefined) return core.drop('fragment-malformed');
  const { farewell } = association;
  if (fragment.type === HandshakeType.finished) {
    if (farewell === undefined || fragment.messageSeq !== farewell.nextReceiveSeq - 1) {
      return core.drop('message-repeated');
    }
    if (core.nowMs - farewell.lastSentMs < core.limits.resendSpacingMs) return core.drop('message-repeated');
    farewell.lastSentMs = core.nowMs;
    return core.sendFlight(association, farewell.flight);
  }
  core.drop('renegotiation');
  if (fragment.type !== HandshakeType.clientHello && fragment.type !== HandshakeType.helloRequest) return;
  if (core.nowMs - association.lastNoRenegotiationMs < core.limits.noRenegotiationSpacingMs) return;
  association.lastNoRenegotiationMs = core.nowMs;
  core.sendAlert(association, Alert.noRenegotiation);
}

/** Asks a new address whether the peer receives there (RFC 9853 5). */
function challenge(core: Core, association: Peer): undefined {
  const { candidate } = association;
  if (candidate === undefined || !association.returnRoutability) return;
  const cookie = core.random(PATH_COOKIE_BYTES);
  candidate.challenge = cookie;
  candidate.challengeUntilMs = core.nowMs + core.limits.pathChallengeTimeoutMs;
  core.sendRecord(association, ContentType.returnRoutabilityCheck, concat(u8(PathMessage.challenge), cookie));
}

function onPathMessage(core: Core, association: Peer, plaintext: Uint8Array, from: PeerAddress): undefined {
  if (!association.returnRoutability || association.state !== 'open') return core.drop('content-type-unknown');
  if (plaintext.length !== 1 + PATH_COOKIE_BYTES) return core.drop('path-response-wrong');
  const cookie = plaintext.subarray(1);
  if (plaintext[0] === PathMessage.challenge) {
    // RFC 9853 5: answered to where it came from, and no longer than it was.
    const aside = association.candidate;
    const home = association.address;
    if (!sameAddress(from, home)) association.address = from;
    association.candidate = undefined;
    core.sendRecord(association, ContentType.returnRoutabilityCheck, concat(u8(PathMessage.response), cookie));
    association.address = home;
    association.candidate = aside;
    return;
  }
  if (plaintext[0] !== PathMessage.response || !isProof(association, from, cookie, core.nowMs)) {
    return core.drop('path-response-wrong');
  }
  movePath(core, association);
}

/** The candidate address is proven: it becomes the peer's address. */
export function movePath(core: Core, association: Peer): undefined {
  const { candidate, address } = association;
  if (candidate === undefined || association.state !== 'open') return;
  association.candidate = undefined;
  core.table.move(association, candidate.address);
  core.stats.pathsChanged += 1;
  core.outbox.push({ kind: 'path', association, from: address, to: candidate.address });
}
