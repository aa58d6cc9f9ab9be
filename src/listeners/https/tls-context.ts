/**
 * The TLS of the listener: 1.3, and 1.2 with ephemeral keys and AEAD only (RFC 9325 section 4.2); a client certificate is
 * demanded and its chain verified by OpenSSL. Whose certificate it is, is the registry's to say.
 */
import type { SecureContextOptions, TLSSocket } from 'node:tls';

/** As the handshake hands it over; it has been verified up to a trusted authority. */
export type PeerCertificate = NonNullable<ReturnType<TLSSocket['getPeerX509Certificate']>>;

export interface TlsMaterial {
  /** PEM, the gateway's certificate and what leads to its root. */
  readonly certificate: string;
  /** PEM */
  readonly key: string;
  /** PEM, the authorities whose device certificates are accepted. None: nobody is. */
  readonly clientAuthorities: readonly string[];
  /** 48 bytes, when several processes resume each other's sessions. */
  readonly ticketKeys?: Buffer;
}

/**
 * Tickets are made with a key of this context alone, or with given ones that go with its material: a changed set of
 * authorities forgets every session.
 */
export function secureContext(tls: TlsMaterial): SecureContextOptions {
  return {
    cert: tls.certificate,
    key: tls.key,
    // Always a list, empty or not: without one Node trusts the public authorities.
    ca: [...tls.clientAuthorities],
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    sessionTimeout: SESSION_SECONDS,
    // Node's own is made of the command line, which differs from process to process.
    sessionIdContext: 'sallyport',
    ...(tls.ticketKeys && { ticketKeys: tls.ticketKeys }),
  };
}

/** How many certificates the peer sent. After a resumption only its own is left; the chain was counted at the beginning. */
export function chainLength(certificate: PeerCertificate): number {
  let length = 0;
  for (let link: PeerCertificate | undefined = certificate; link !== undefined; link = link.issuerCertificate)
    length += 1;
  return length;
}

const CIPHERS = [
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':');
/** A device that sleeps for an hour resumes; the registry is asked again either way. */
const SESSION_SECONDS = 7_200;
