/**
 * Drops: wire noise that ends before it becomes a message, so there is nobody to answer and no decision to record. Each
 * is counted in `sallyport_drops_total{reason}`. The list is closed: it is also the metric's label set.
 */
export const DROPS = {
  'address-cap': 'More connections from one address than limits.connectionsPerAddress.',
  'connection-cap': 'More connections in all than limits.connections.',
  'identity-cap': 'More connections of one device than limits.connectionsPerDevice.',
  'handshake-failed':
    'The TLS or DTLS handshake failed: no certificate, a foreign one, a wrong key, no common version or cipher.',
  'handshake-timeout': 'The TLS or DTLS handshake did not end in time.',
  'identity-refused': 'The handshake ended with a certificate or key that no active device may use.',
  'slow-peer': 'Headers or body did not arrive in time, or below the minimum rate.',
  'idle-timeout': 'The connection was idle for too long.',
  'peer-gone': 'The peer closed in the middle of a message.',
  revoked: 'The device lost its permission while connected.',
  'association-ended': 'A DTLS association ended by a bound of its own, by an alert, or to make room.',
  'coap-refused':
    'A CoAP message was malformed, or refused before it became a request (sallyport_coap_refusals_total).',
  draining: 'The gateway is stopping.',
  'message-refused': 'A WebSocket message was denied or malformed, and its connection closed.',
  'upstream-gone': 'The upstream closed the WebSocket.',
} as const;

export type DropReason = keyof typeof DROPS;
