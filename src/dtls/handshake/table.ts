/**
 * Which message is expected in which state (RFC 5246 7.3, RFC 6347 4.2.4, RFC 5077 3.3), as data: state, message, epoch it must
 * come in, states it may lead to. What is not listed is dropped and changes nothing. The matrix test is generated from this.
 */
import { HandshakeType } from '../wire/registry.ts';

export const MESSAGE_NAMES = [
  'hello-request',
  'client-hello',
  'server-hello',
  'hello-verify-request',
  'new-session-ticket',
  'certificate',
  'server-key-exchange',
  'certificate-request',
  'server-hello-done',
  'certificate-verify',
  'client-key-exchange',
  'finished',
  'change-cipher-spec',
] as const;

export type MessageName = (typeof MESSAGE_NAMES)[number];

const NAME_OF_TYPE = new Map<number, MessageName>([
  [HandshakeType.helloRequest, 'hello-request'],
  [HandshakeType.clientHello, 'client-hello'],
  [HandshakeType.serverHello, 'server-hello'],
  [HandshakeType.helloVerifyRequest, 'hello-verify-request'],
  [HandshakeType.newSessionTicket, 'new-session-ticket'],
  [HandshakeType.certificate, 'certificate'],
  [HandshakeType.serverKeyExchange, 'server-key-exchange'],
  [HandshakeType.certificateRequest, 'certificate-request'],
  [HandshakeType.serverHelloDone, 'server-hello-done'],
  [HandshakeType.certificateVerify, 'certificate-verify'],
  [HandshakeType.clientKeyExchange, 'client-key-exchange'],
  [HandshakeType.finished, 'finished'],
]);

/** Undefined: a type that does not exist in DTLS 1.2. */
export function messageName(type: number): MessageName | undefined {
  return NAME_OF_TYPE.get(type);
}

export const SERVER_STATES = [
  'asking',
  'wait-certificate',
  'wait-client-key-exchange',
  'wait-certificate-verify',
  'wait-change-cipher-spec',
  'wait-finished',
  'wait-change-cipher-spec-resumed',
  'wait-finished-resumed',
  'open',
] as const;

export const CLIENT_STATES = [
  'asking',
  'wait-server-hello',
  'wait-server-hello-verified',
  'wait-certificate',
  'wait-server-key-exchange',
  'wait-hint-or-done',
  'wait-request-or-done',
  'wait-server-hello-done',
  'wait-session-ticket',
  'wait-change-cipher-spec',
  'wait-finished',
  'wait-session-ticket-resumed',
  'wait-change-cipher-spec-resumed',
  'wait-finished-resumed',
  'open',
] as const;

export type ServerState = (typeof SERVER_STATES)[number];
export type ClientState = (typeof CLIENT_STATES)[number];
export type HandshakeState = ServerState | ClientState;

/** A cell of the table. */
export interface Transition {
  readonly epoch: 0 | 1;
  /** States it may lead to, besides `asking` on the way and the end of the handshake. */
  readonly to: readonly HandshakeState[];
  /** The message checks the transcript before it, so the cell itself adds it. */
  readonly closesTranscript?: true;
}

export type TransitionTable = Readonly<Record<string, Readonly<Partial<Record<MessageName, Transition>>>>>;

export const SERVER_TABLE: TransitionTable = {
  // While the caller is asked (psk, sni, verifyPeer, authorize) messages wait in the reassembly.
  asking: {},
  'wait-certificate': { certificate: { epoch: 0, to: ['wait-client-key-exchange'] } },
  'wait-client-key-exchange': {
    'client-key-exchange': { epoch: 0, to: ['wait-certificate-verify', 'wait-change-cipher-spec'] },
  },
  'wait-certificate-verify': {
    'certificate-verify': { epoch: 0, to: ['wait-change-cipher-spec'], closesTranscript: true },
  },
  'wait-change-cipher-spec': { 'change-cipher-spec': { epoch: 0, to: ['wait-finished'] } },
  'wait-finished': { finished: { epoch: 1, to: ['open'], closesTranscript: true } },
  'wait-change-cipher-spec-resumed': { 'change-cipher-spec': { epoch: 0, to: ['wait-finished-resumed'] } },
  'wait-finished-resumed': { finished: { epoch: 1, to: ['open'], closesTranscript: true } },
  open: {},
};

const SERVER_HELLO: Transition = {
  epoch: 0,
  to: [
    'wait-certificate',
    'wait-server-key-exchange',
    'wait-hint-or-done',
    'wait-session-ticket-resumed',
    'wait-change-cipher-spec-resumed',
  ],
};
const DONE: Transition = { epoch: 0, to: ['wait-session-ticket', 'wait-change-cipher-spec'] };

export const CLIENT_TABLE: TransitionTable = {
  asking: {},
  'wait-server-hello': {
    'server-hello': SERVER_HELLO,
    // RFC 6347 4.2.1: once per handshake; a second one would let anybody keep us saying hello.
    'hello-verify-request': { epoch: 0, to: ['wait-server-hello-verified'], closesTranscript: true },
  },
  'wait-server-hello-verified': { 'server-hello': SERVER_HELLO },
  'wait-certificate': { certificate: { epoch: 0, to: ['wait-server-key-exchange'] } },
  'wait-server-key-exchange': {
    'server-key-exchange': { epoch: 0, to: ['wait-request-or-done', 'wait-server-hello-done'] },
  },
  'wait-hint-or-done': {
    'server-key-exchange': { epoch: 0, to: ['wait-server-hello-done'] },
    'server-hello-done': DONE,
  },
  'wait-request-or-done': {
    'certificate-request': { epoch: 0, to: ['wait-server-hello-done'] },
    'server-hello-done': DONE,
  },
  'wait-server-hello-done': { 'server-hello-done': DONE },
  'wait-session-ticket': { 'new-session-ticket': { epoch: 0, to: ['wait-change-cipher-spec'] } },
  'wait-change-cipher-spec': { 'change-cipher-spec': { epoch: 0, to: ['wait-finished'] } },
  'wait-finished': { finished: { epoch: 1, to: ['open'], closesTranscript: true } },
  'wait-session-ticket-resumed': { 'new-session-ticket': { epoch: 0, to: ['wait-change-cipher-spec-resumed'] } },
  'wait-change-cipher-spec-resumed': { 'change-cipher-spec': { epoch: 0, to: ['wait-finished-resumed'] } },
  'wait-finished-resumed': { finished: { epoch: 1, to: ['open'], closesTranscript: true } },
  open: {},
};

export function transitionOf(
  role: 'client' | 'server',
  state: HandshakeState,
  message: MessageName,
): Transition | undefined {
  return (role === 'server' ? SERVER_TABLE : CLIENT_TABLE)[state]?.[message];
}
