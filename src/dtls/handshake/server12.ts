/**
 * The server's side of the handshake, one function per cell of SERVER_TABLE (RFC 5246 7.4, RFC 4279, RFC 5489, RFC 8422):
 *
 *     ClientHello -> SH [Certificate] [SKE] [CertificateRequest] SHD
 *     [Certificate] CKE [CertificateVerify] CCS Finished -> [NewSessionTicket] CCS Finished
 *     resumption: ClientHello -> SH CCS Finished;  CCS Finished
 */
import type { ServerSettings } from '../context.ts';
import { pskPremaster } from '../crypto/kx.ts';
import { PeerKey } from '../crypto/sig.ts';
import type { Suite } from '../crypto/suites.ts';
import type { PeerVerdict } from '../options.ts';
import { concat, u32, utf8, vector } from '../wire/bytes.ts';
import {
  parseCertificate,
  parseCertificateVerify,
  parseClientKeyExchange,
  parseRawPublicKey,
} from '../wire/handshake.ts';
import { HandshakeType } from '../wire/registry.ts';
import { ask, type Handshake, type MaybeOutcome } from './handshake.ts';
import { CertificateVerified, ChainVerified, Established, FinishedVerified, type PeerProof, Waived } from './proofs.ts';
import { sessionRecord } from './server-hello.ts';
import type { MessageName, ServerState } from './table.ts';

type Cell = (handshake: Handshake, body: Uint8Array) => MaybeOutcome;

/** The functions behind SERVER_TABLE; the driver looks up both. */
export const SERVER_CELLS: Readonly<Partial<Record<ServerState, Partial<Record<MessageName, Cell>>>>> = {
  'wait-certificate': { certificate: onCertificate },
  'wait-client-key-exchange': { 'client-key-exchange': onClientKeyExchange },
  'wait-certificate-verify': { 'certificate-verify': onCertificateVerify },
  'wait-change-cipher-spec': { 'change-cipher-spec': (handshake) => onChangeCipherSpec(handshake, 'wait-finished') },
  'wait-finished': { finished: onFinished },
  'wait-change-cipher-spec-resumed': {
    'change-cipher-spec': (handshake) => onChangeCipherSpec(handshake, 'wait-finished-resumed'),
  },
  'wait-finished-resumed': { finished: onFinishedResumed },
};

function onCertificate(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const { options, limits } = handshake.server as ServerSettings;
  const { context } = handshake;
  if (handshake.peerRawKey) {
    const key = parseRawPublicKey(body);
    if (key === undefined) return { fail: 'malformed-message' };
    if (key.length === 0) return withoutCertificate(handshake);
    handshake.peerKey = PeerKey.fromSubjectPublicKeyInfo(key);
    if (handshake.peerKey === undefined) return { fail: 'certificate-unreadable' };
    handshake.peer = { kind: 'raw-public-key', subjectPublicKeyInfo: key };
    const { verifyRawPublicKey } = options;
    if (verifyRawPublicKey === undefined) return { fail: 'raw-public-key-refused' };
    return ask(
      () => verifyRawPublicKey(key, 'client', context),
      (verdict) => onVerdict(handshake, verdict),
    );
  }
  const chain = parseCertificate(body, limits.maxChainLength);
  if (chain === undefined) return { fail: 'malformed-message' };
  if (chain.length === 0) return withoutCertificate(handshake);
  handshake.peerKey = PeerKey.fromCertificate(chain[0] as Uint8Array);
  if (handshake.peerKey === undefined) return { fail: 'certificate-unreadable' };
  handshake.peer = { kind: 'certificate', chain };
  const { verifyPeer } = options;
  if (verifyPeer === undefined) return { fail: 'certificate-refused' };
  return ask(
    () => verifyPeer(chain, 'client', context),
    (verdict) => onVerdict(handshake, verdict),
  );
}

function onVerdict(handshake: Handshake, verdict: PeerVerdict): MaybeOutcome {
  handshake.chainProof = ChainVerified.of(verdict);
  if (handshake.chainProof !== undefined) return { to: 'wait-client-key-exchange' };
  return { fail: handshake.peerRawKey ? 'raw-public-key-refused' : 'certificate-refused' };
}

function withoutCertificate(handshake: Handshake): MaybeOutcome {
  // RFC 5246 7.4.6: the server decides; fail closed unless the caller said otherwise.
  if ((handshake.server as ServerSettings).options.clientCertificateOptional !== true)
    return { fail: 'certificate-missing' };
  handshake.proof = { waived: new Waived('certificate-not-required') };
  return { to: 'wait-client-key-exchange' };
}

function onClientKeyExchange(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const suite = handshake.suite as Suite;
  const { options } = handshake.server as ServerSettings;
  const { limits, random } = handshake.services;
  const message = parseClientKeyExchange(body, suite.keyExchange);
  if (message === undefined) return { fail: 'malformed-message' };
  let agreed: Uint8Array | undefined;
  if (suite.keyExchange !== 'psk') {
    agreed = handshake.keyShare?.agree(message.point);
    if (agreed === undefined) return { fail: 'point-invalid' };
    handshake.agreed = agreed;
  }
  if (suite.keyExchange === 'ecdhe') {
    handshake.deriveKeys(agreed as Uint8Array);
    return { to: handshake.peer.kind === 'none' ? 'wait-change-cipher-spec' : 'wait-certificate-verify' };
  }
  const identity =
    message.identity.length > 0 && message.identity.length <= limits.maxPskIdentityBytes
      ? utf8(message.identity)
      : undefined;
  const onKey = (key: Uint8Array | undefined): MaybeOutcome => {
    // RFC 4279 2: rather than saying "unknown identity" go on with a random key; the peer sees what a wrong key gives.
    const known = identity !== undefined && key !== undefined && key.length > 0;
    handshake.peer = { kind: 'psk', identity: identity ?? '' };
    handshake.proof = { waived: new Waived('psk') };
    handshake.deriveKeys(pskPremaster(known ? key : random(16), handshake.agreed));
    return { to: 'wait-change-cipher-spec' };
  };
  const { psk } = options;
  if (psk === undefined || identity === undefined) return onKey(undefined);
  return ask(() => psk(identity, handshake.context), onKey);
}

function onCertificateVerify(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const message = parseCertificateVerify(body);
  if (message === undefined) return { fail: 'malformed-message' };
  const key = handshake.peerKey as PeerKey;
  const signed = handshake.transcript.bytes();
  const possession = CertificateVerified.check(key, message.scheme, signed, message.signature);
  if (possession === undefined || handshake.chainProof === undefined) return { fail: 'signature-wrong' };
  handshake.proof = { chain: handshake.chainProof, possession };
  handshake.transcript.add(HandshakeType.certificateVerify, handshake.nextReceiveSeq - 1, body);
  return { to: 'wait-change-cipher-spec' };
}

function onChangeCipherSpec(handshake: Handshake, to: ServerState): MaybeOutcome {
  handshake.association.reads = true;
  return { to };
}

function onFinished(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const finished = FinishedVerified.check(handshake.verifyData('client'), body);
  if (finished === undefined) return { fail: 'finished-wrong' };
  handshake.transcript.add(HandshakeType.finished, handshake.nextReceiveSeq - 1, body);
  const { proof } = handshake;
  // A suite with a certificate and a server that asked for none: nobody proved anything, and nobody was asked to.
  const effective: PeerProof | undefined =
    proof ?? (handshake.certificateRequested ? undefined : { waived: new Waived('certificate-not-required') });
  const established = Established.from(handshake.peer, effective, finished);
  if (established === undefined) return { fail: 'internal' };
  const finish = (): MaybeOutcome => {
    if (handshake.sendsTicket) {
      const { sessions, limits } = handshake.services;
      const ticket = sessions?.issueTicket(sessionRecord(handshake)) ?? new Uint8Array(0);
      const lifetime = u32(Math.floor(limits.sessionLifetimeMs / 1000));
      handshake.queue(HandshakeType.newSessionTicket, concat(lifetime, vector(2, ticket)));
    }
    handshake.queueFinished();
    return { to: 'open', flight: handshake.takeDraft(), established };
  };
  const { authorize } = (handshake.server as ServerSettings).options;
  if (authorize === undefined) return finish();
  return ask(
    () => authorize(handshake.peer, handshake.context),
    (answer) => {
      if (answer.allowed !== true) return { fail: 'not-authorized' };
      handshake.principal = answer.principal;
      handshake.attachment = answer.attachment;
      return finish();
    },
  );
}

function onFinishedResumed(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const finished = FinishedVerified.check(handshake.verifyData('client'), body);
  if (finished === undefined) return { fail: 'finished-wrong' };
  const { isStillAllowed } = (handshake.server as ServerSettings).options;
  // Asked again: the answer to the hello may be a round trip old, and a revocation may lie between.
  const allowed = ask<boolean>(
    () => isStillAllowed?.(handshake.principal) === true,
    (yes): MaybeOutcome => (yes ? { to: 'open' } : { fail: 'not-authorized' }),
  );
  if (allowed instanceof Promise || 'fail' in allowed) return allowed;
  const established = Established.from(handshake.peer, handshake.proof, finished);
  return established === undefined ? { fail: 'internal' } : { to: 'open', established };
}
