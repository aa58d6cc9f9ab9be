/**
 * The client's side of the handshake, one function per cell of CLIENT_TABLE (RFC 5246 7.4, RFC 4279, RFC 5489, RFC 8422):
 *
 *     ClientHello -> [HelloVerifyRequest; ClientHello] -> SH [Certificate] [SKE] [CertificateRequest] SHD
 *     -> [Certificate] CKE [CertificateVerify] CCS Finished -> [NewSessionTicket] CCS Finished
 */
import type { ClientSettings } from '../context.ts';
import { GROUPS, generateKeyShare, pskPremaster } from '../crypto/kx.ts';
import { PeerKey } from '../crypto/sig.ts';
import type { Suite } from '../crypto/suites.ts';
import type { PeerVerdict } from '../options.ts';
import { concat, u16, vector } from '../wire/bytes.ts';
import {
  parseCertificate,
  parseCertificateRequest,
  parseNewSessionTicket,
  parseRawPublicKey,
  parseServerKeyExchange,
  writeCertificate,
} from '../wire/handshake.ts';
import { HandshakeType } from '../wire/registry.ts';
import { onHelloVerifyRequest, onServerHello } from './client-hello.ts';
import { ask, type Handshake, type MaybeOutcome } from './handshake.ts';
import { CertificateVerified, ChainVerified, Established, FinishedVerified, Waived } from './proofs.ts';
import type { ClientState, MessageName } from './table.ts';

type Cell = (handshake: Handshake, body: Uint8Array) => MaybeOutcome;

const change =
  (to: ClientState): Cell =>
  (handshake) => {
    handshake.association.reads = true;
    return { to };
  };

const ticket =
  (to: ClientState): Cell =>
  (handshake, body) => {
    const received = parseNewSessionTicket(body);
    if (received === undefined) return { fail: 'malformed-message' };
    handshake.newTicket = received;
    return { to };
  };

/** The functions behind CLIENT_TABLE; the driver looks up both. */
export const CLIENT_CELLS: Readonly<Partial<Record<ClientState, Partial<Record<MessageName, Cell>>>>> = {
  'wait-server-hello': { 'server-hello': onServerHello, 'hello-verify-request': onHelloVerifyRequest },
  'wait-server-hello-verified': { 'server-hello': onServerHello },
  'wait-certificate': { certificate: onCertificate },
  'wait-server-key-exchange': { 'server-key-exchange': onServerKeyExchange },
  'wait-hint-or-done': { 'server-key-exchange': onHint, 'server-hello-done': onServerHelloDone },
  'wait-request-or-done': { 'certificate-request': onCertificateRequest, 'server-hello-done': onServerHelloDone },
  'wait-server-hello-done': { 'server-hello-done': onServerHelloDone },
  'wait-session-ticket': { 'new-session-ticket': ticket('wait-change-cipher-spec') },
  'wait-change-cipher-spec': { 'change-cipher-spec': change('wait-finished') },
  'wait-finished': { finished: onFinished },
  'wait-session-ticket-resumed': { 'new-session-ticket': ticket('wait-change-cipher-spec-resumed') },
  'wait-change-cipher-spec-resumed': { 'change-cipher-spec': change('wait-finished-resumed') },
  'wait-finished-resumed': { finished: onFinishedResumed },
};

function onCertificate(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const { options, limits } = handshake.client as ClientSettings;
  const { context } = handshake;
  if (handshake.peerRawKey) {
    const key = parseRawPublicKey(body);
    if (key === undefined) return { fail: 'malformed-message' };
    handshake.peerKey = PeerKey.fromSubjectPublicKeyInfo(key);
    handshake.peer = { kind: 'raw-public-key', subjectPublicKeyInfo: key };
    const { verifyRawPublicKey } = options;
    if (verifyRawPublicKey === undefined) return { fail: 'raw-public-key-refused' };
    return ask(
      () => verifyRawPublicKey(key, 'server', context),
      (verdict) => onVerdict(handshake, verdict),
    );
  }
  const chain = parseCertificate(body, limits.maxChainLength);
  if (chain === undefined) return { fail: 'malformed-message' };
  const [leaf] = chain;
  if (leaf === undefined) return { fail: 'certificate-missing' };
  handshake.peerKey = PeerKey.fromCertificate(leaf);
  handshake.peer = { kind: 'certificate', chain };
  const { verifyPeer } = options;
  if (verifyPeer === undefined) return { fail: 'certificate-refused' };
  return ask(
    () => verifyPeer(chain, 'server', context),
    (verdict) => onVerdict(handshake, verdict),
  );
}

function onVerdict(handshake: Handshake, verdict: PeerVerdict): MaybeOutcome {
  if (handshake.peerKey === undefined) return { fail: 'certificate-unreadable' };
  // RFC 8422 2.1: the key must be of the kind the suite signs with.
  if (handshake.peerKey.kind !== handshake.suite?.signature) return { fail: 'certificate-unreadable' };
  handshake.chainProof = ChainVerified.of(verdict);
  if (handshake.chainProof !== undefined) return { to: 'wait-server-key-exchange' };
  return { fail: handshake.peerRawKey ? 'raw-public-key-refused' : 'certificate-refused' };
}

function onServerKeyExchange(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const suite = handshake.suite as Suite;
  const message = parseServerKeyExchange(body, suite.keyExchange);
  if (message === undefined) return { fail: 'malformed-message' };
  if (suite.keyExchange === 'ecdhe') {
    const signed = concat(handshake.clientRandom, handshake.serverRandom, message.parameters);
    const key = handshake.peerKey as PeerKey;
    const possession = CertificateVerified.check(key, message.scheme, signed, message.signature);
    if (possession === undefined || handshake.chainProof === undefined) return { fail: 'signature-wrong' };
    handshake.proof = { chain: handshake.chainProof, possession };
  }
  const share = GROUPS.includes(message.group) ? generateKeyShare(message.group) : undefined;
  if (share === undefined) return { fail: 'no-group-in-both' };
  handshake.agreed = share.agree(message.point);
  if (handshake.agreed === undefined) return { fail: 'point-invalid' };
  handshake.keyShare = share;
  return { to: suite.keyExchange === 'ecdhe' ? 'wait-request-or-done' : 'wait-server-hello-done' };
}

/** RFC 4279 2: the hint is for applications that define one; ours do not. */
function onHint(_handshake: Handshake, body: Uint8Array): MaybeOutcome {
  return parseServerKeyExchange(body, 'psk') === undefined
    ? { fail: 'malformed-message' }
    : { to: 'wait-server-hello-done' };
}

function onCertificateRequest(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const request = parseCertificateRequest(body);
  if (request === undefined) return { fail: 'malformed-message' };
  handshake.certificateRequested = true;
  handshake.requestedSchemes = request.schemes;
  return { to: 'wait-server-hello-done' };
}

/** Flight 5. */
function onServerHelloDone(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  if (body.length > 0) return { fail: 'malformed-message' };
  const suite = handshake.suite as Suite;
  const { credential, options } = handshake.client as ClientSettings;
  const scheme = credential?.key.schemes.find((one) => handshake.requestedSchemes.includes(one));
  const shows =
    credential !== undefined && scheme !== undefined && (handshake.ownRawKey || credential.chain.length > 0);
  if (handshake.certificateRequested) {
    // RFC 5246 7.4.6: a client without a fitting certificate says so with an empty list.
    const empty = new Uint8Array(0);
    const own = handshake.ownRawKey
      ? vector(3, shows ? credential.key.subjectPublicKeyInfo : empty)
      : writeCertificate(shows ? credential.chain : []);
    handshake.queue(HandshakeType.certificate, own);
  }
  const identity = new TextEncoder().encode(options.pskIdentity ?? '');
  const point = vector(1, handshake.keyShare?.publicKey ?? new Uint8Array(0));
  const exchange = {
    ecdhe: () => point,
    psk: () => vector(2, identity),
    'ecdhe-psk': () => concat(vector(2, identity), point),
  }[suite.keyExchange]();
  handshake.queue(HandshakeType.clientKeyExchange, exchange);
  if (suite.keyExchange === 'ecdhe') {
    handshake.deriveKeys(handshake.agreed as Uint8Array);
  } else {
    handshake.peer = { kind: 'psk', identity: options.pskIdentity ?? '' };
    handshake.proof = { waived: new Waived('psk') };
    handshake.deriveKeys(pskPremaster(options.pskKey as Uint8Array, handshake.agreed));
  }
  if (handshake.certificateRequested && shows) {
    const signature = credential.key.sign(scheme, handshake.transcript.bytes());
    handshake.queue(HandshakeType.certificateVerify, concat(u16(scheme), vector(2, signature)));
  }
  handshake.queueFinished();
  const to = handshake.sendsTicket ? 'wait-session-ticket' : 'wait-change-cipher-spec';
  return { to, flight: handshake.takeDraft() };
}

function onFinished(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const finished = FinishedVerified.check(handshake.verifyData('server'), body);
  if (finished === undefined) return { fail: 'finished-wrong' };
  const established = Established.from(handshake.peer, handshake.proof, finished);
  if (established === undefined) return { fail: 'internal' };
  return authorized(handshake, () => ({ to: 'open', established }));
}

function onFinishedResumed(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const finished = FinishedVerified.check(handshake.verifyData('server'), body);
  if (finished === undefined) return { fail: 'finished-wrong' };
  handshake.transcript.add(HandshakeType.finished, handshake.nextReceiveSeq - 1, body);
  const established = Established.from(handshake.peer, handshake.proof, finished);
  if (established === undefined) return { fail: 'internal' };
  handshake.queueFinished();
  return { to: 'open', flight: handshake.takeDraft(), established };
}

function authorized(handshake: Handshake, then: () => MaybeOutcome): MaybeOutcome {
  const { authorize } = (handshake.client as ClientSettings).options;
  if (authorize === undefined) return then();
  return ask(
    () => authorize(handshake.peer, handshake.context),
    (answer) => {
      if (answer.allowed !== true) return { fail: 'not-authorized' };
      handshake.principal = answer.principal;
      handshake.attachment = answer.attachment;
      return then();
    },
  );
}
