/**
 * Who certificates are of, remembered by their bytes: devices come back with the same one, and reading it twice over costs
 * as much as a tenth of the handshake. Only what was accepted is remembered, and nothing that time or the registry changes.
 */
import { hash, type X509Certificate } from 'node:crypto';
import type { Peer } from '../exchange/peer.ts';
import { peerFromCertificate } from './certificate.ts';

export class KnownCertificates {
  /** Two generations instead of an order: the older one goes as a whole. */
  #young = new Map<string, Peer>();
  #old = new Map<string, Peer>();

  /**
   * As peerFromCertificate says, which see.
   * @param address the peer's address without port
   * @param maxBytes limits.certificateBytes
   */
  peer(certificate: X509Certificate, address: string, maxBytes: number): Peer {
    const { raw } = certificate;
    if (raw.byteLength > maxBytes) return peerFromCertificate(certificate, address, maxBytes);
    const digest = hash('sha256', raw, 'base64');
    let known = this.#young.get(digest) ?? this.#old.get(digest);
    if (known === undefined) {
      known = peerFromCertificate(certificate, '', maxBytes);
      this.#remember(digest, known);
    }
    return Object.freeze({ ...known, address });
  }

  #remember(digest: string, peer: Peer): void {
    if (this.#young.size >= MAX_GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(digest, peer);
  }
}

/** About 1 KB each. */
const MAX_GENERATION = 4_096;
