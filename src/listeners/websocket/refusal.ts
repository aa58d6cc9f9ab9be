/**
 * The answer to an upgrade that is not to be: an HTTP response on the bare connection, and its end. The body is the one of
 * the HTTPS listener (RFC 9457): a reason code and a decision id, no detail.
 */
import type { Duplex } from 'node:stream';
import { entryOf, type FaultCode, type Reason } from '../../faults/catalogue.ts';
import { CLOSE_TIMEOUT_MS } from '../../websocket/bounds.ts';

/** Writes the refusal of `code` and closes; `decision` is the id under which it is on record. */
export function refuseUpgrade(socket: Duplex, code: Reason | FaultCode, decision: string): void {
  if (socket.destroyed) return;
  const { http: status, title } = entryOf(code).faces;
  const body = JSON.stringify({ type: `urn:sallyport:reason:${code}`, title, status, reason: code, decision });
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    `sallyport-decision: ${decision}`,
    // RFC 6455 section 4.4: a server that does not know the version MUST say which it knows.
    ...(code === 'SP_HTTP_UPGRADE' ? ['sec-websocket-version: 13'] : []),
    'connection: close',
  ];
  socket.resume(); // frames sent too early would turn the close into a reset, and the answer would be lost with it
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
  const timer = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS);
  socket.once('close', () => clearTimeout(timer));
}
