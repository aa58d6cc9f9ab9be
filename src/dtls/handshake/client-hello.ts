/**
 * The client's two hellos and what it makes of the server's (RFC 5246 7.4.1, RFC 6347 4.2.1, RFC 5077 3.4, RFC 7250 4,
 * RFC 7627 5, RFC 8449, RFC 9146 3). An extension that was not offered ends the handshake.
 */
import type { ClientSettings } from '../context.ts';
import { digest } from '../crypto/digest.ts';
import { GROUPS } from '../crypto/kx.ts';
import { SCHEMES } from '../crypto/sig.ts';
import { type Suite, suiteByName } from '../crypto/suites.ts';
import type { ResumableSession } from '../options.ts';
import { copy, equalBytes, keyBytes, mapKey, u16, vector } from '../wire/bytes.ts';
import { type Extensions, readExtensions, writeExtension, writeExtensionBlock } from '../wire/extensions.ts';
import { parseHelloVerifyRequest, parseServerHello, writeClientHello } from '../wire/handshake.ts';
import {
  CertificateType,
  DTLS_1_2,
  EMPTY_RENEGOTIATION_INFO_SCSV,
  ExtensionType,
  HandshakeType,
} from '../wire/registry.ts';
import type { Flight } from './flight.ts';
import type { Handshake, MaybeOutcome } from './handshake.ts';
import { Waived } from './proofs.ts';

const MAX_PLAINTEXT_BYTES = 16_384;

/** Flight 1. */
export function sayHello(handshake: Handshake): Flight {
  const { options } = handshake.client as ClientSettings;
  handshake.clientRandom = handshake.services.random(32);
  handshake.servername = options.servername?.toLowerCase() ?? '';
  const { session } = options;
  if (session?.extendedMasterSecret && session.servername === handshake.servername) {
    // RFC 5077 3.4: a session id of our own beside the ticket, so that the server's echo says "resumed".
    const hasTicket = session.ticket.length > 0;
    handshake.sessionId = hasTicket ? digest('sha256', session.ticket) : copy(session.sessionId);
  }
  return writeHello(handshake, new Uint8Array(0));
}

/** RFC 6347 4.2.1: the same hello again, with the cookie; the transcript begins anew with it. */
export function onHelloVerifyRequest(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const cookie = parseHelloVerifyRequest(body);
  if (cookie === undefined) return { fail: 'malformed-message' };
  handshake.transcript.restart();
  return { to: 'wait-server-hello-verified', flight: writeHello(handshake, cookie) };
}

function writeHello(handshake: Handshake, cookie: Uint8Array): Flight {
  const settings = handshake.client as ClientSettings;
  const extensions = offers(handshake, settings);
  handshake.offered = new Set(extensions.map(([type]) => type));
  const suites = [...settings.suites.map(({ id }) => id), EMPTY_RENEGOTIATION_INFO_SCSV];
  const { clientRandom, sessionId } = handshake;
  const body = writeClientHello(clientRandom, sessionId, cookie, suites, writeExtensionBlock(extensions));
  handshake.queue(HandshakeType.clientHello, body);
  return handshake.takeDraft();
}

function offers(handshake: Handshake, settings: ClientSettings): (readonly [number, Uint8Array])[] {
  const { options, suites, rawPublicKeys, credential } = settings;
  const none = new Uint8Array(0);
  const offered: (readonly [number, Uint8Array])[] = [[ExtensionType.extendedMasterSecret, none]];
  if (handshake.servername !== '') {
    offered.push([ExtensionType.serverName, writeExtension.serverName(handshake.servername)]);
  }
  if (suites.some(({ keyExchange }) => keyExchange !== 'psk')) {
    offered.push([ExtensionType.supportedGroups, writeExtension.words(GROUPS)]);
    offered.push([ExtensionType.ecPointFormats, writeExtension.bytes([0])]);
  }
  if (suites.some(({ keyExchange }) => keyExchange === 'ecdhe')) {
    offered.push([ExtensionType.signatureAlgorithms, writeExtension.words(SCHEMES)]);
    if (rawPublicKeys !== 'off') {
      const { x509, rawPublicKey } = CertificateType;
      const only = rawPublicKeys === 'require';
      const servers = only || options.verifyPeer === undefined ? [rawPublicKey] : [rawPublicKey, x509];
      offered.push([ExtensionType.serverCertificateType, writeExtension.bytes(servers)]);
      const hasChain = credential !== undefined && credential.chain.length > 0;
      const own = only || !hasChain ? [rawPublicKey] : [rawPublicKey, x509];
      if (credential !== undefined) offered.push([ExtensionType.clientCertificateType, writeExtension.bytes(own)]);
    }
  }
  const ticket = options.session?.servername === handshake.servername ? options.session.ticket : undefined;
  offered.push([ExtensionType.sessionTicket, ticket ?? none]);
  if (options.alpnProtocols !== undefined) {
    offered.push([ExtensionType.alpn, writeExtension.protocols(options.alpnProtocols)]);
  }
  if (options.recordSizeLimitBytes !== undefined) {
    offered.push([ExtensionType.recordSizeLimit, u16(settings.receiveLimitBytes)]);
  }
  if (options.connectionId !== undefined) {
    const { association, services } = handshake;
    const { length, worker } = options.connectionId;
    const { ownCid } = association;
    const own = ownCid === undefined ? services.assignConnectionId(association, length, worker) : keyBytes(ownCid);
    offered.push([ExtensionType.connectionId, vector(1, own)]);
    offered.push([ExtensionType.returnRoutabilityCheck, none]);
  }
  return offered;
}

export function onServerHello(handshake: Handshake, body: Uint8Array): MaybeOutcome {
  const settings = handshake.client as ClientSettings;
  const hello = parseServerHello(body);
  if (hello === undefined) return { fail: 'malformed-message' };
  if (hello.version !== DTLS_1_2) return { fail: 'protocol-version' };
  const suite = settings.suites.find(({ id }) => id === hello.suite);
  if (suite === undefined) return { fail: 'no-suite-in-both' };
  for (const type of hello.extensions.keys()) {
    // RFC 5246 7.4.1.4; renegotiation_info answers the signalling suite (RFC 5746 3.4).
    const answersUs = handshake.offered.has(type) || type === ExtensionType.renegotiationInfo;
    if (!answersUs) return { fail: 'unsupported-extension' };
  }
  const extensions = readExtensions(hello.extensions, 'server');
  if (extensions === undefined) return { fail: 'malformed-message' };
  handshake.serverRandom = copy(hello.random);
  handshake.suite = suite;
  handshake.extensions = extensions;
  handshake.extended = extensions.extendedMasterSecret;
  handshake.sendsTicket = extensions.ticket !== undefined;
  if (!handshake.extended && settings.options.requireExtendedMasterSecret === true) {
    return { fail: 'missing-extended-master-secret' };
  }
  if (!takeExtensions(handshake, settings, extensions)) return { fail: 'illegal-parameter' };

  const { session } = settings.options;
  const resumes = handshake.sessionId.length > 0 && equalBytes(hello.sessionId, handshake.sessionId);
  if (!resumes || session === undefined) {
    handshake.sessionId = copy(hello.sessionId);
    if (suite.keyExchange === 'ecdhe') return { to: 'wait-certificate' };
    return { to: suite.keyExchange === 'psk' ? 'wait-hint-or-done' : 'wait-server-key-exchange' };
  }
  // RFC 7627 5.3: the resumed session keeps what it was made with. RFC 5246 7.4.1.3: and its suite.
  if (!handshake.extended) return { fail: 'missing-extended-master-secret' };
  if (suite !== suiteByName(session.suite)) return { fail: 'illegal-parameter' };
  handshake.principal = session.principal;
  handshake.resumedPeer = session.peer;
  handshake.proof = { waived: new Waived('resumed') };
  handshake.expandKeys(session.masterSecret);
  return { to: handshake.sendsTicket ? 'wait-session-ticket-resumed' : 'wait-change-cipher-spec-resumed' };
}

/** What to resume with next time; undefined when the server gave nothing, or without extended master secret. */
export function clientSession(handshake: Handshake): ResumableSession | undefined {
  const { services, association, newTicket } = handshake;
  const earlier = handshake.resumedPeer === undefined ? undefined : handshake.client?.options.session;
  const ticket = newTicket !== undefined && newTicket.length > 0 ? newTicket : (earlier?.ticket ?? new Uint8Array(0));
  const sessionId = earlier?.sessionId ?? handshake.sessionId;
  if (!handshake.extended || (ticket.length === 0 && sessionId.length === 0)) return undefined;
  return {
    sessionId: copy(sessionId),
    ticket,
    suite: (handshake.suite as Suite).name,
    masterSecret: copy(services.slab.view(association.slot, 'masterSecret')),
    extendedMasterSecret: handshake.extended,
    servername: handshake.servername,
    principal: handshake.principal,
    peer: handshake.summary(),
  };
}

/** False: the server answered with something that no offer allows. */
function takeExtensions(handshake: Handshake, settings: ClientSettings, extensions: Extensions): boolean {
  const { association } = handshake;
  const { options } = settings;
  if (extensions.protocols !== undefined) {
    const [chosen] = extensions.protocols;
    // RFC 7301 3.1: exactly one, out of our list.
    if (extensions.protocols.length !== 1 || chosen === undefined || !options.alpnProtocols?.includes(chosen))
      return false;
    association.alpnProtocol = chosen;
  }
  if (extensions.recordSizeLimit !== undefined) {
    association.sendLimitBytes = Math.min(extensions.recordSizeLimit, MAX_PLAINTEXT_BYTES);
    association.receiveLimitBytes = settings.receiveLimitBytes;
  }
  if (extensions.connectionId !== undefined) {
    association.peerCid = mapKey(extensions.connectionId);
    association.returnRoutability = extensions.returnRoutability;
  } else {
    if (extensions.returnRoutability) return false;
    handshake.services.releaseConnectionId(association);
  }
  const [serverType = CertificateType.x509] = extensions.serverCertificateTypes ?? [];
  const [clientType = CertificateType.x509] = extensions.clientCertificateTypes ?? [];
  handshake.peerRawKey = serverType === CertificateType.rawPublicKey;
  handshake.ownRawKey = clientType === CertificateType.rawPublicKey;
  if (settings.rawPublicKeys === 'require' && handshake.suite?.keyExchange === 'ecdhe' && !handshake.peerRawKey) {
    return false;
  }
  const known = (type: number) => type === CertificateType.x509 || type === CertificateType.rawPublicKey;
  return known(serverType) && known(clientType);
}
