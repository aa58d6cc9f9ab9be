/**
 * The server's answer to a ClientHello whose cookie was right: resume or choose suite, credential and extensions, and fill
 * flight 4 (RFC 5246 7.4.1 to 7.4.5, RFC 5077 3, RFC 6066 3 and 4, RFC 7250 4, RFC 7301, RFC 7627 5, RFC 8449, RFC 9146 3).
 */
import { type Credential, readCredential, type ServerSettings } from '../context.ts';
import { GROUPS, generateKeyShare, NamedGroup } from '../crypto/kx.ts';
import { CERTIFICATE_TYPE_ECDSA, CERTIFICATE_TYPE_RSA, SCHEMES } from '../crypto/sig.ts';
import { type Suite, suiteById } from '../crypto/suites.ts';
import type { SessionRecord } from '../session/resume.ts';
import { concat, copy, mapKey, u16, vector } from '../wire/bytes.ts';
import { type Extensions, readExtensions, writeExtension, writeExtensionBlock } from '../wire/extensions.ts';
import {
  type ClientHello,
  writeCertificate,
  writeCertificateRequest,
  writeEcdheParameters,
  writeServerHello,
} from '../wire/handshake.ts';
import {
  CertificateType,
  DTLS_1_2,
  EMPTY_RENEGOTIATION_INFO_SCSV,
  ExtensionType,
  HandshakeType,
} from '../wire/registry.ts';
import { ask, type Handshake, type MaybeOutcome } from './handshake.ts';
import { Waived } from './proofs.ts';

const MAX_PLAINTEXT_BYTES = 16_384;
const SESSION_ID_BYTES = 32;

/** First step of a server handshake. The hello is already in the transcript. */
export function answerHello(handshake: Handshake, hello: ClientHello): MaybeOutcome {
  const settings = handshake.server as ServerSettings;
  // Version numbers of DTLS count down: larger is older. RFC 6347 4.2.1: 1.0 is not spoken here.
  if (hello.version > DTLS_1_2 || hello.version >>> 8 !== DTLS_1_2 >>> 8) return { fail: 'protocol-version' };
  if (!hello.hasNullCompression) return { fail: 'illegal-parameter' };
  const extensions = readExtensions(hello.extensions, 'client');
  if (extensions === undefined) return { fail: 'malformed-message' };
  handshake.extensions = extensions;
  handshake.clientRandom = hello.random;
  handshake.serverRandom = handshake.services.random(32);
  handshake.extended = extensions.extendedMasterSecret;
  handshake.servername = extensions.serverName ?? '';
  if (!handshake.extended && settings.options.requireExtendedMasterSecret === true) {
    return { fail: 'missing-extended-master-secret' };
  }
  const session = resumable(handshake, hello);
  if (session !== undefined) return resume(handshake, hello, session);

  const { sni } = settings.options;
  if (sni === undefined || handshake.servername === '') return negotiate(handshake, hello, settings.credential);
  return ask(
    () => sni(handshake.servername),
    (source) => {
      // RFC 6066 3: an unknown name is refused, unless there is a default to answer with.
      const credential = source === undefined ? settings.credential : readCredential(source);
      const nameless = credential === undefined && settings.options.psk === undefined;
      return nameless ? { fail: 'server-name-unknown' } : negotiate(handshake, hello, credential);
    },
  );
}

/** What a session may be resumed under. */
export function bindingOf(settings: ServerSettings): string {
  const { listenerId, policyGeneration } = settings.options;
  return `${listenerId ?? ''}\n${policyGeneration?.() ?? ''}`;
}

/** The session as it is kept when this handshake is done. */
export function sessionRecord(handshake: Handshake): SessionRecord {
  const { services, association } = handshake;
  return {
    suite: (handshake.suite as Suite).id,
    masterSecret: copy(services.slab.view(association.slot, 'masterSecret')),
    servername: handshake.servername,
    principal: handshake.principal,
    peer: handshake.summary(),
    createdAtMs: handshake.resumedCreatedAtMs ?? services.nowMs,
    binding: bindingOf(handshake.server as ServerSettings),
  };
}

function resumable(handshake: Handshake, hello: ClientHello): SessionRecord | undefined {
  const settings = handshake.server as ServerSettings;
  const { sessions, nowMs } = handshake.services;
  const { isStillAllowed } = settings.options;
  if (sessions === undefined || isStillAllowed === undefined) return undefined;
  const { ticket } = handshake.extensions as Extensions;
  const binding = bindingOf(settings);
  const session =
    ticket !== undefined && ticket.length > 0
      ? sessions.byTicket(ticket, binding, nowMs)
      : hello.sessionId.length > 0
        ? sessions.byId(hello.sessionId, binding, nowMs)
        : undefined;
  if (session === undefined) return undefined;
  // RFC 6066 3: not under another server name. The suite must be offered again (RFC 5246 7.4.1.2) and still be ours.
  if (session.servername !== handshake.servername || !hello.suites.includes(session.suite)) return undefined;
  if (!settings.suites.some(({ id }) => id === session.suite)) return undefined;
  try {
    return isStillAllowed(session.principal) === true ? session : undefined;
  } catch {
    return undefined;
  }
}

function resume(handshake: Handshake, hello: ClientHello, session: SessionRecord): MaybeOutcome {
  // RFC 7627 5.3: a session made with extended master secret is not resumed by a hello without it.
  if (!handshake.extended) return { fail: 'missing-extended-master-secret' };
  handshake.suite = suiteById(session.suite) as Suite;
  handshake.principal = session.principal;
  handshake.resumedPeer = session.peer;
  handshake.resumedCreatedAtMs = session.createdAtMs;
  handshake.proof = { waived: new Waived('resumed') };
  handshake.sessionId = hello.sessionId;
  const extensions = answerExtensions(handshake, hello);
  if (extensions === undefined) return { fail: 'no-application-protocol' };
  const { serverRandom } = handshake;
  const body = writeServerHello(serverRandom, hello.sessionId, session.suite, writeExtensionBlock(extensions));
  handshake.queue(HandshakeType.serverHello, body);
  handshake.expandKeys(session.masterSecret);
  handshake.queueFinished();
  return { to: 'wait-change-cipher-spec-resumed', flight: handshake.takeDraft() };
}

/** What a suite would be used with. */
interface Choice {
  readonly suite: Suite;
  readonly group: number;
  readonly scheme: number;
}

function negotiate(handshake: Handshake, hello: ClientHello, credential: Credential | undefined): MaybeOutcome {
  const settings = handshake.server as ServerSettings;
  const extensions = handshake.extensions as Extensions;
  const ownType = certificateType(extensions.serverCertificateTypes, {
    x509: credential !== undefined && credential.chain.length > 0 && settings.rawPublicKeys !== 'require',
    raw: credential !== undefined && settings.rawPublicKeys !== 'off',
  });
  const shown = ownType === undefined ? undefined : credential;
  const choice = chooseSuite(settings, hello, extensions, shown);
  if (choice === undefined) return { fail: 'no-suite-in-both' };
  const { suite, group, scheme } = choice;
  handshake.suite = suite;
  handshake.credential = shown;
  handshake.ownRawKey = ownType === CertificateType.rawPublicKey;
  handshake.certificateRequested = suite.keyExchange === 'ecdhe' && settings.requestCert;
  if (handshake.certificateRequested) {
    const peerType = certificateType(extensions.clientCertificateTypes, {
      x509: settings.options.verifyPeer !== undefined && settings.rawPublicKeys !== 'require',
      raw: settings.options.verifyRawPublicKey !== undefined && settings.rawPublicKeys !== 'off',
    });
    if (peerType === undefined) return { fail: 'certificate-missing' };
    handshake.peerRawKey = peerType === CertificateType.rawPublicKey;
  }
  const canResume = handshake.extended && settings.options.isStillAllowed !== undefined;
  handshake.sendsTicket = canResume && extensions.ticket !== undefined;
  if (canResume && !handshake.sendsTicket) handshake.sessionId = handshake.services.random(SESSION_ID_BYTES);

  const answered = answerExtensions(handshake, hello);
  if (answered === undefined) return { fail: 'no-application-protocol' };
  const { serverRandom, sessionId } = handshake;
  const body = writeServerHello(serverRandom, sessionId, suite.id, writeExtensionBlock(answered));
  handshake.queue(HandshakeType.serverHello, body);
  if (suite.keyExchange === 'ecdhe') queueCertificate(handshake, credential as Credential);
  queueKeyExchange(handshake, group, scheme);
  if (handshake.certificateRequested) {
    const types = [CERTIFICATE_TYPE_ECDSA, CERTIFICATE_TYPE_RSA];
    handshake.queue(HandshakeType.certificateRequest, writeCertificateRequest(types, SCHEMES));
  }
  handshake.queue(HandshakeType.serverHelloDone, new Uint8Array(0));
  const to = handshake.certificateRequested ? 'wait-certificate' : 'wait-client-key-exchange';
  return { to, flight: handshake.takeDraft() };
}

function chooseSuite(
  settings: ServerSettings,
  hello: ClientHello,
  extensions: Extensions,
  credential: Credential | undefined,
): Choice | undefined {
  // RFC 8422 4: without the extension the server may choose any group; P-256 is the one everybody has.
  const offeredGroups = extensions.groups ?? [NamedGroup.secp256r1];
  const group = GROUPS.find((one) => offeredGroups.includes(one)) ?? 0;
  // RFC 5246 7.4.1.4.1: without the extension the client means SHA-1, which we do not do.
  const scheme = credential?.key.schemes.find((one) => extensions.signatureSchemes?.includes(one)) ?? 0;
  for (const suite of settings.suites) {
    if (!hello.suites.includes(suite.id)) continue;
    if (suite.keyExchange !== 'psk' && group === 0) continue;
    if (suite.keyExchange !== 'ecdhe') {
      if (settings.options.psk !== undefined) return { suite, group, scheme };
    } else if (credential?.key.kind === suite.signature && scheme !== 0) {
      return { suite, group, scheme };
    }
  }
  return undefined;
}

/** RFC 7250 4.2: the first type of the peer's list that we have; X.509 when it sent none. */
function certificateType(
  offered: readonly number[] | undefined,
  have: { readonly x509: boolean; readonly raw: boolean },
): number | undefined {
  return (offered ?? [CertificateType.x509]).find(
    (type) => (type === CertificateType.x509 && have.x509) || (type === CertificateType.rawPublicKey && have.raw),
  );
}

function queueCertificate(handshake: Handshake, credential: Credential): void {
  const body = handshake.ownRawKey
    ? vector(3, credential.key.subjectPublicKeyInfo)
    : writeCertificate(credential.chain);
  handshake.queue(HandshakeType.certificate, body);
}

function queueKeyExchange(handshake: Handshake, group: number, scheme: number): void {
  const suite = handshake.suite as Suite;
  const hint = new TextEncoder().encode(handshake.server?.options.pskIdentityHint ?? '');
  if (suite.keyExchange === 'psk') {
    // RFC 4279 2: without a hint the message is left out.
    if (hint.length > 0) handshake.queue(HandshakeType.serverKeyExchange, vector(2, hint));
    return;
  }
  const share = generateKeyShare(group);
  if (share === undefined) return;
  handshake.keyShare = share;
  const parameters = writeEcdheParameters(group, share.publicKey);
  if (suite.keyExchange === 'ecdhe-psk') {
    handshake.queue(HandshakeType.serverKeyExchange, concat(vector(2, hint), parameters));
    return;
  }
  const key = (handshake.credential as Credential).key;
  const signature = key.sign(scheme, concat(handshake.clientRandom, handshake.serverRandom, parameters));
  handshake.queue(HandshakeType.serverKeyExchange, concat(parameters, u16(scheme), vector(2, signature)));
}

/** Extensions of the ServerHello; undefined: no application protocol in both lists (RFC 7301 3.2). */
function answerExtensions(handshake: Handshake, hello: ClientHello): (readonly [number, Uint8Array])[] | undefined {
  const { options, receiveLimitBytes } = handshake.server as ServerSettings;
  const extensions = handshake.extensions as Extensions;
  const { association, services } = handshake;
  const none = new Uint8Array(0);
  const answers: (readonly [number, Uint8Array])[] = [];
  // RFC 5746 3.6: only in answer to the extension or the signalling suite.
  if (extensions.renegotiationInfo || hello.suites.includes(EMPTY_RENEGOTIATION_INFO_SCSV)) {
    answers.push([ExtensionType.renegotiationInfo, Uint8Array.of(0)]);
  }
  if (handshake.extended) answers.push([ExtensionType.extendedMasterSecret, none]);
  if (extensions.serverName !== undefined && handshake.resumedPeer === undefined && options.sni !== undefined) {
    answers.push([ExtensionType.serverName, none]);
  }
  if (hello.extensions.has(ExtensionType.ecPointFormats) && handshake.suite?.keyExchange !== 'psk') {
    answers.push([ExtensionType.ecPointFormats, writeExtension.bytes([0])]);
  }
  if (handshake.sendsTicket) answers.push([ExtensionType.sessionTicket, none]);
  if (handshake.suite?.keyExchange === 'ecdhe' && handshake.resumedPeer === undefined) {
    if (extensions.serverCertificateTypes !== undefined) {
      const type = handshake.ownRawKey ? CertificateType.rawPublicKey : CertificateType.x509;
      answers.push([ExtensionType.serverCertificateType, Uint8Array.of(type)]);
    }
    if (extensions.clientCertificateTypes !== undefined && handshake.certificateRequested) {
      const type = handshake.peerRawKey ? CertificateType.rawPublicKey : CertificateType.x509;
      answers.push([ExtensionType.clientCertificateType, Uint8Array.of(type)]);
    }
  }
  if (extensions.protocols !== undefined && options.alpnProtocols !== undefined) {
    const chosen = options.alpnProtocols.find((name) => extensions.protocols?.includes(name));
    if (chosen === undefined) return undefined;
    association.alpnProtocol = chosen;
    answers.push([ExtensionType.alpn, writeExtension.protocols([chosen])]);
  }
  if (extensions.recordSizeLimit !== undefined) {
    // RFC 8449 5: a server that has this extension does not use max_fragment_length.
    association.sendLimitBytes = Math.min(extensions.recordSizeLimit, MAX_PLAINTEXT_BYTES);
    association.receiveLimitBytes = receiveLimitBytes;
    answers.push([ExtensionType.recordSizeLimit, u16(receiveLimitBytes)]);
  } else if (extensions.maxFragmentBytes !== undefined) {
    association.sendLimitBytes = extensions.maxFragmentBytes;
    association.receiveLimitBytes = extensions.maxFragmentBytes;
    answers.push([ExtensionType.maxFragmentLength, writeExtension.maxFragmentLength(extensions.maxFragmentBytes)]);
  }
  if (extensions.connectionId !== undefined && options.connectionId !== undefined) {
    association.peerCid = mapKey(extensions.connectionId);
    const { length, worker } = options.connectionId;
    const own = services.assignConnectionId(association, length, worker);
    answers.push([ExtensionType.connectionId, vector(1, own)]);
    if (extensions.returnRoutability && length > 0) {
      association.returnRoutability = true;
      answers.push([ExtensionType.returnRoutabilityCheck, none]);
    }
  }
  return answers;
}
