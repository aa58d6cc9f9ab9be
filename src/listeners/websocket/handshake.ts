/**
 * What of a device's opening handshake is the WebSocket's own business (RFC 6455 sections 4.2.1 and 10.2): the subprotocols
 * it offers and the page it comes from. That the handshake is complete, with key and version, the strict layer has checked;
 * extensions are not looked at: without compression none is ever agreed.
 */
import { Fault } from '../../faults/fault.ts';
import type { CheckedRequest } from '../https/checked-request.ts';

export interface Handshake {
  /** In the device's order of preference; tokens, none twice. */
  readonly subprotocols: readonly string[];
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const MAX_SUBPROTOCOLS = 16;
const HTTPS = 'https://';

/** Throws SP_HTTP_UPGRADE if the request must not be answered with 101. */
export function checkHandshake({ upgrade, headers }: Pick<CheckedRequest, 'upgrade' | 'headers'>): Handshake {
  demand(upgrade === 'websocket', 'It is not the handshake of a WebSocket.');
  let host = '';
  let origin: string | undefined;
  const subprotocols: string[] = [];
  for (const [name, value] of headers) {
    if (name === 'host') host = value;
    else if (name === 'origin') origin = value;
    else if (name === 'sec-websocket-protocol') subprotocols.push(...value.split(',').map((token) => token.trim()));
  }
  // Only browsers must send an Origin, and a page of another site must not speak with the certificate of a browser that has
  // one. Libraries that send one send the gateway's own.
  demand(origin === undefined || isSame(origin, host), 'The request comes from a page of another origin.');
  demand(subprotocols.length <= MAX_SUBPROTOCOLS, 'Too many subprotocols.');
  // RFC 6455 section 4.1: tokens, all of them different
  for (const token of subprotocols) demand(TOKEN.test(token), 'A subprotocol is not a token.');
  demand(new Set(subprotocols).size === subprotocols.length, 'A subprotocol is offered twice.');
  return { subprotocols };
}

function isSame(origin: string, host: string): boolean {
  if (host === '' || !origin.toLowerCase().startsWith(HTTPS)) return false;
  return withPort(origin.slice(HTTPS.length)) === withPort(host);
}

function withPort(authority: string): string {
  const lower = authority.toLowerCase();
  return /:\d+$/.test(lower) ? lower : `${lower}:443`;
}

function demand(condition: boolean, otherwise: string): void {
  if (!condition) throw new Fault('SP_HTTP_UPGRADE', otherwise);
}
