/** Who takes a connection over when an HTTP request turned into a WebSocket. The HTTPS listener calls it; gateway.ts plugs it. */
import type { Duplex } from 'node:stream';
import type { Peer } from '../../exchange/peer.ts';
import type { CheckedRequest } from './checked-request.ts';

/** The handshake as it was sent; names in lowercase. */
export interface UpgradeRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Upgrader {
  /**
   * Called once per upgrade, with the socket free of every HTTP listener and timer. Nothing was written to it yet: the
   * upgrader decides, and answers 101 or a refusal (answer.ts, `rawAnswer`). Must not throw.
   * @param socket the TLS socket, paused until the upgrader resumes it; destroying it is how the upgrader ends everything
   * @param head bytes that already arrived behind the request head
   * @param attended to be called once the WebSocket is registered as a session of its own. Until then the connection stays
   *   registered as an HTTPS session, so that a revocation in between closes it.
   */
  upgrade(
    request: UpgradeRequest,
    checked: CheckedRequest,
    peer: Peer,
    socket: Duplex,
    head: Buffer,
    attended: () => void,
  ): void;
}
