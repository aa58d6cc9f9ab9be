/**
 * What a caller says to the library and gets from it: options, callbacks, sessions, endpoints. The names are those of node:dtls
 * where it has them; what it lacks (asynchronous psk and sni, connectionId, rawPublicKeys, authorize, principal) is added.
 * Types only: endpoint.ts binds them to sockets, engine.ts is the same without any.
 */
import type { DtlsLimits } from './limits.ts';
import type { CloseReason, DtlsStats } from './stats.ts';

/** A UDP peer; also the key by which an association without Connection ID is found. */
export interface PeerAddress {
  readonly address: string;
  readonly port: number;
}

/** Who the peer proved to be, before the caller mapped it to a principal. */
export type PeerIdentity =
  | { readonly kind: 'psk'; readonly identity: string }
  | { readonly kind: 'certificate'; readonly chain: readonly Uint8Array[] }
  | { readonly kind: 'raw-public-key'; readonly subjectPublicKeyInfo: Uint8Array }
  | { readonly kind: 'none' };

/** What stays of it on an open association: the PSK identity, or SHA-256 (hex) of the leaf or the raw key. */
export interface PeerSummary {
  readonly kind: PeerIdentity['kind'];
  readonly name: string;
}

/** What surrounds a question to the caller. */
export interface HandshakeContext {
  readonly address: PeerAddress;
  /** Server name the client asked for (SNI), lower case; empty when none. */
  readonly servername: string;
}

/** May be given at once or promised; the engine blocks nothing while it waits. */
export type Awaitable<T> = T | Promise<T>;

/** Verdict on a chain or a raw key. `reason` is the caller's word, for its own log; the peer sees an alert only. */
export type PeerVerdict = { readonly accepted: true } | { readonly accepted: false; readonly reason: string };

/** The key of one PSK identity. `undefined` (unknown) runs on with a random key: the peer cannot tell it from a wrong one. */
export type PskLookup = (identity: string, context: HandshakeContext) => Awaitable<Uint8Array | undefined>;

/**
 * Judges a chain (DER, leaf first, at least one) for `client` or `server` use. Must check trust, dates, usage and, for `server`,
 * `context.servername`. The library itself checks only that the peer holds the leaf's key.
 */
export type VerifyPeer = (
  chain: readonly Uint8Array[],
  purpose: 'client' | 'server',
  context: HandshakeContext,
) => Awaitable<PeerVerdict>;

/** Judges a raw public key (SubjectPublicKeyInfo, DER; RFC 7250). */
export type VerifyRawPublicKey = (
  subjectPublicKeyInfo: Uint8Array,
  purpose: 'client' | 'server',
  context: HandshakeContext,
) => Awaitable<PeerVerdict>;

/** Who the peer is to the caller; `attachment` comes back on the session untouched. */
export type Authorization =
  | { readonly allowed: true; readonly principal: string; readonly attachment?: unknown }
  | { readonly allowed: false; readonly reason: string };

/**
 * Called when the peer has proven its key and its Finished was right, before our Finished is sent (server) or before the
 * session opens (client). Not asked on resumption: there `isStillAllowed` is, and `attachment` is undefined.
 */
export type Authorize = (peer: PeerIdentity, context: HandshakeContext) => Awaitable<Authorization>;

/** A certificate chain or a bare key to answer with. PEM text or DER bytes. */
export interface CredentialSource {
  /** PEM chain, leaf first, or the DER of a leaf. Absent: raw public key only. */
  readonly cert?: string | Uint8Array;
  /** PKCS #8 or SEC 1 private key, PEM or DER (PKCS #8). */
  readonly key: string | Uint8Array;
}

/** Names of the IANA registry, in order of preference. */
export type SuiteName =
  | 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'
  | 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384'
  | 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256'
  | 'TLS_ECDHE_ECDSA_WITH_AES_128_CCM'
  | 'TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8'
  | 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'
  | 'TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256'
  | 'TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256'
  | 'TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256'
  | 'TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256'
  | 'TLS_PSK_WITH_AES_128_GCM_SHA256'
  | 'TLS_PSK_WITH_AES_128_CCM'
  | 'TLS_PSK_WITH_AES_128_CCM_8';

/** Options both sides have. */
export interface SecureOptions extends Partial<CredentialSource> {
  /** Suites to use, best first. Default: all but ECDHE_RSA and AES_256_GCM. */
  readonly suites?: readonly SuiteName[];
  readonly verifyPeer?: VerifyPeer;
  readonly verifyRawPublicKey?: VerifyRawPublicKey;
  readonly authorize?: Authorize;
  /** Offer and accept raw public keys (RFC 7250): not at all, beside X.509, or instead of it. Default `off`. */
  readonly rawPublicKeys?: 'off' | 'accept' | 'require';
  /** Length of the Connection IDs we are addressed by (0: we need none but use the peer's). Absent: extension not used. */
  readonly connectionId?: { readonly length: number; readonly worker?: number };
  readonly alpnProtocols?: readonly string[];
  /** Refuse peers without extended master secret (RFC 7627). Default false; such sessions are never resumed. */
  readonly requireExtendedMasterSecret?: boolean;
  /** Largest record plaintext we take; sent as record_size_limit (RFC 8449). Absent: 2^14, extension answered only. */
  readonly recordSizeLimitBytes?: number;
  readonly limits?: Partial<DtlsLimits>;
  /** NSS key log lines. Whoever reads them reads the traffic. */
  readonly dangerouslyLogKeys?: (line: string) => void;
}

export interface ServerOptions extends SecureOptions {
  /** Names this listener in session binding: a session of one listener is never resumed at another. */
  readonly listenerId?: string;
  /** Changes whenever trust, policy or credentials change; older sessions are then not resumed. */
  readonly policyGeneration?: () => string;
  /** Asked before a session is resumed; false refuses it and runs a full handshake. Absent: nothing is resumed. */
  readonly isStillAllowed?: (principal: string) => boolean;
  readonly psk?: PskLookup;
  readonly pskIdentityHint?: string;
  /** Credential by server name; undefined refuses the name (unrecognized_name) unless `cert`/`key` are given as default. */
  readonly sni?: (servername: string) => Awaitable<CredentialSource | undefined>;
  /** Ask for a client certificate. Default: when verifyPeer or verifyRawPublicKey is given. */
  readonly requestCert?: boolean;
  /** A client that sends none is let in as nobody. One that is sent is verified either way. Default false. */
  readonly clientCertificateOptional?: boolean;
  /** Shared by all workers so that a ticket or a cookie of one is good at another: at least 32 random bytes each. */
  readonly ticketSecret?: Uint8Array;
  readonly cookieSecret?: Uint8Array;
  /** Skips the cookie exchange: only for test runners that cannot take a HelloVerifyRequest. */
  readonly dangerouslySkipCookie?: boolean;
}

export interface ClientOptions extends SecureOptions {
  readonly servername?: string;
  readonly pskIdentity?: string;
  readonly pskKey?: Uint8Array;
  /** From `session.session` of an earlier connection to the same server. */
  readonly session?: ResumableSession;
}

/** What a client keeps to resume; opaque to the caller, secret. */
export interface ResumableSession {
  readonly sessionId: Uint8Array;
  readonly ticket: Uint8Array;
  readonly suite: SuiteName;
  readonly masterSecret: Uint8Array;
  readonly extendedMasterSecret: boolean;
  readonly servername: string;
  readonly principal: string;
  readonly peer: PeerSummary;
}

/** What a send came to. Nothing is ever queued: UDP may lose it anyway. */
export type SendResult = 'sent' | 'too-large' | 'closed' | 'not-open' | 'path-unproven';

/** One association, server or client side. */
export interface DtlsSession {
  /** Unique within the process. */
  readonly id: number;
  readonly state: 'connecting' | 'open' | 'closed';
  /** The caller's name for the peer, from `authorize`; empty without it. */
  readonly principal: string;
  readonly attachment: unknown;
  readonly peer: PeerSummary;
  readonly remoteAddress: PeerAddress;
  /** False while the peer's new address has not answered yet (RFC 9146 6). */
  readonly pathProven: boolean;
  readonly protocol: 'DTLSv1.2';
  readonly cipher: SuiteName;
  readonly servername: string;
  readonly alpnProtocol: string;
  /** True when this handshake resumed an earlier session. */
  readonly reused: boolean;
  /** True when the peer is found by Connection ID and may change its address. */
  readonly hasConnectionId: boolean;
  /** Largest `send`, bytes. */
  readonly maxPayloadBytes: number;
  /** Client side: what to give as `session` next time. */
  readonly session: ResumableSession | undefined;
  /** Settles when the handshake is done, or rejects with a DtlsError that carries the close reason. */
  readonly opened: Promise<void>;
  /** Settles with the reason when the association is gone; never rejects. */
  readonly closed: Promise<CloseReason>;

  /** One message, one record, one datagram. */
  send(data: Uint8Array): SendResult;
  /** Says close_notify and forgets the keys. The session may still be resumed, unless it was revoked. */
  close(reason?: CloseReason): void;
  /** Forgets the keys without a word. */
  destroy(): void;
  /** The application saw an answer that only the new address could have given (RFC 9146 6): the path is proven. */
  confirmPath(): void;
  /** RFC 5705; `length` in bytes. */
  exportKeyingMaterial(length: number, label: string, context?: Uint8Array): Uint8Array;

  /** `data` is the receiver's to keep. */
  onmessage: ((data: Uint8Array) => void) | undefined;
  onclose: ((reason: CloseReason) => void) | undefined;
  onpathchange: ((from: PeerAddress, to: PeerAddress) => void) | undefined;
}

/** A bound UDP socket with its associations. */
export interface DtlsEndpoint {
  readonly address: PeerAddress;
  readonly stats: DtlsStats;
  /** Open associations. */
  readonly size: number;
  /** True: new handshakes are met with silence; open associations go on. */
  busy: boolean;
  /**
   * Ends every association of a principal at once, with its Connection IDs, cached sessions and tickets.
   * @returns how many open associations it ended.
   */
  revoke(principal: string): number;
  /** Takes a datagram that another worker received for this one; answered from this endpoint's own socket. */
  take(datagram: Uint8Array, from: PeerAddress): void;
  /** Says close_notify to all and closes the socket. */
  close(): Promise<void>;
  /** Closes the socket without a word. */
  destroy(): void;
  readonly closed: Promise<void>;
}

/** Where to bind, and the socket's own options. */
export interface BindOptions {
  /**
   * With `connectionId.worker`: told of datagrams whose Connection ID names another worker, instead of dropping them. The caller
   * brings them to that worker's endpoint, which takes them with `take`.
   */
  readonly onForeignDatagram?: (worker: number, datagram: Uint8Array, from: PeerAddress) => void;
  readonly host?: string;
  readonly port?: number;
  readonly reusePort?: boolean;
  readonly udpReceiveBufferBytes?: number;
}
