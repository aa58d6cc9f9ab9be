/** What the CoAP listener asks about identities during a handshake. Plugged in by the composition root. */
import type { Peer } from '../../exchange/peer.ts';

/** What the other side proved, as the DTLS library tells it. */
export type Proof =
  | { readonly kind: 'psk'; readonly identity: string }
  | { readonly kind: 'certificate'; readonly chain: readonly Uint8Array[] }
  | { readonly kind: 'raw-public-key'; readonly subjectPublicKeyInfo: Uint8Array };

export interface PskFound {
  /** What the registry knows the key by. */
  readonly fingerprint: string;
  readonly key: Uint8Array;
}

export interface CoapsIdentity {
  /** The key of an identity whose device may connect; undefined is met like a wrong key. Never throws. */
  psk(identity: string): PskFound | undefined;
  /** Undefined: the chain (DER, leaf first) is vouched for and for clients. Else why not. */
  chainProblem(chain: readonly Uint8Array[]): string | undefined;
  /** Who the leaf (DER) is of. Throws a Fault to refuse. */
  certificatePeer(leaf: Uint8Array, address: string): Peer;
  /** Throws a Fault to refuse. */
  rawKeyPeer(subjectPublicKeyInfo: Uint8Array, address: string): Peer;
  pskPeer(identity: string, fingerprint: string, address: string): Peer;
  /** Changes whenever trust, policy or our own certificate change: older sessions are then not resumed. */
  generation(): string;
}
