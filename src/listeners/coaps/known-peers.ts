/**
 * Who has proven what, kept for two moments in which the library tells a name only: a resumed session, and the end of a
 * handshake whose key was chosen by its identity at the beginning. Bounded; whoever is forgotten shakes hands once more.
 */
import type { Peer } from '../../exchange/peer.ts';
import type { PskFound } from './identity-port.ts';

/** As many as the library keeps sessions. */
const MAX_PEERS = 10_000;
/** More than there can be handshakes under way. */
const MAX_CLAIMS = 4_096;

interface Claim {
  readonly identity: string;
  readonly fingerprint: string;
}

export class KnownPeers {
  readonly #peers = new Map<string, Peer>();
  readonly #principals = new Map<string, Set<string>>();
  readonly #claims = new Map<string, Claim>();

  /** The principal of a proven peer: one per key and certificate, so that a resumed session is this very proof. */
  remember(peer: Peer): string {
    const principal = `${peer.key}.${peer.serial}`;
    this.#peers.delete(principal);
    this.#peers.set(principal, peer);
    const principals = this.#principals.get(peer.key);
    if (principals === undefined) this.#principals.set(peer.key, new Set([principal]));
    else principals.add(principal);
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= MAX_PEERS) break;
      this.forget(oldest);
    }
    return principal;
  }

  find(principal: string): Peer | undefined {
    return this.#peers.get(principal);
  }

  /** All principals under these keys. */
  ofKeys(keys: readonly string[]): readonly string[] {
    return keys.flatMap((key) => [...(this.#principals.get(key) ?? [])]);
  }

  forget(principal: string): void {
    const peer = this.#peers.get(principal);
    if (peer === undefined) return;
    this.#peers.delete(principal);
    const principals = this.#principals.get(peer.key);
    principals?.delete(principal);
    if (principals?.size === 0) this.#principals.delete(peer.key);
  }

  /** `place`: address and port, of which a handshake has one. */
  claim(place: string, identity: string, { fingerprint }: PskFound): void {
    this.#claims.delete(place);
    this.#claims.set(place, { identity, fingerprint });
    for (const oldest of this.#claims.keys()) {
      if (this.#claims.size <= MAX_CLAIMS) break;
      this.#claims.delete(oldest);
    }
  }

  /**
   * The key that was handed out for this handshake. Never the one registered by now: a device that was removed and added anew
   * between the two would otherwise be whoever had the former key.
   */
  claimed(place: string, identity: string): string | undefined {
    const claim = this.#claims.get(place);
    this.#claims.delete(place);
    return claim?.identity === identity ? claim.fingerprint : undefined;
  }
}
