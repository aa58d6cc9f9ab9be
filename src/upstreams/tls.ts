/**
 * Whom an upstream must prove to be, and who we are towards it: TLS 1.2 or 1.3 (RFC 8446), a private CA or the public ones,
 * the host's name in the subject alternative names (RFC 9525), pinned public keys, our own certificate. There is no way to
 * switch the check off, and sessions are never resumed: a resumed handshake shows no certificate that could be checked.
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  rootCertificates,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import type { UpstreamSettings } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';

/** SHA-256 over a DER SubjectPublicKeyInfo, lowercase hex. The one that identity/ uses; gateway.ts hands it in. */
export type KeyOf = (publicKey: Uint8Array) => string;

/** What stands behind a device that is itself an upstream. PEM texts. */
export interface DeviceTrust {
  /** The CA that issued the devices' certificates. */
  readonly ca: string;
  /** Our own certificate and key towards devices. */
  readonly certificate?: string;
  readonly key?: string;
}

export class UpstreamTls {
  readonly #options: ConnectionOptions;
  readonly #pins: ReadonlySet<string>;
  readonly #keyOf: KeyOf;
  readonly #upstream: string;

  private constructor(upstream: string, options: ConnectionOptions, pins: ReadonlySet<string>, keyOf: KeyOf) {
    this.#upstream = upstream;
    this.#options = options;
    this.#pins = pins;
    this.#keyOf = keyOf;
  }

  /** Reads the files once. Throws SP_KEY_INVALID, SP_CERTIFICATE_INVALID or SP_CONFIG_INVALID. */
  static forUpstream(settings: UpstreamSettings, host: string, keyOf: KeyOf): UpstreamTls {
    const { name, ca, certificate } = settings;
    const context = secureContext(name, {
      ca: ca === undefined ? [...rootCertificates] : readCertificates(name, ca),
      ...(certificate && {
        cert: readCertificates(name, certificate.certificateFile),
        key: readPrivateKey(name, certificate.keyFile),
      }),
    });
    const pins = new Set(settings.pins.map((pin) => hexOfPin(name, pin)));
    return new UpstreamTls(
      name,
      { ...STRICT, secureContext: context, ...nameOf(host), checkServerIdentity: named },
      pins,
      keyOf,
    );
  }

  /**
   * A device is known by its key, not by its address: its certificate must come from the devices' CA, be good for a
   * server, and carry exactly the registered key. The name in it does not matter.
   * @param key SHA-256 over SubjectPublicKeyInfo, lowercase hex
   */
  static forDevice(upstream: string, trust: DeviceTrust, key: string, keyOf: KeyOf): UpstreamTls {
    if (!/^[0-9a-f]{64}$/.test(key))
      throw new Fault('SP_UPSTREAM_CERTIFICATE', 'The device has no key to be known by.');
    const context = secureContext(upstream, {
      ca: certificatesIn(upstream, trust.ca),
      ...(trust.certificate !== undefined && trust.key !== undefined && { cert: trust.certificate, key: trust.key }),
    });
    const options = { ...STRICT, secureContext: context, checkServerIdentity: () => undefined };
    return new UpstreamTls(upstream, options, new Set([key]), keyOf);
  }

  /** For tls.connect. */
  get options(): ConnectionOptions {
    return this.#options;
  }

  /**
   * The last look at the server, after the handshake and before the first byte of a request: undefined if it may have it.
   * OpenSSL and checkServerIdentity were asked by Node before; that it did so is asked again here.
   */
  refusal(socket: TLSSocket): Fault | undefined {
    if (!socket.authorized) return this.#refused(String(socket.authorizationError ?? 'not authorized'));
    if (socket.isSessionReused()) return this.#refused('a resumed session shows no certificate');
    if (this.#pins.size === 0) return undefined;
    const publicKey = socket.getPeerX509Certificate()?.publicKey.export({ type: 'spki', format: 'der' });
    if (publicKey !== undefined && this.#pins.has(this.#keyOf(publicKey))) return undefined;
    return this.#refused('none of the pinned keys');
  }

  /** The same for a handshake that Node ended; undefined if it did not end over the certificate. */
  refusalOf(error: Error, socket: TLSSocket): Fault | undefined {
    // Node sets authorizationError exactly when the chain or the name was wrong.
    if (!socket.authorizationError) return undefined;
    const code = String(socket.authorizationError);
    return this.#refused(code === 'UNSPECIFIED' ? error.message : code, error);
  }

  #refused(reason: string, cause?: Error): Fault {
    return new Fault('SP_UPSTREAM_CERTIFICATE', undefined, { cause, details: { upstream: this.#upstream, reason } });
  }
}

/** RFC 9525 section 2: only subject alternative names count; Node alone would fall back to the common name. */
function named(host: string, certificate: PeerCertificate): Error | undefined {
  if (!certificate.subjectaltname) return new Error('the certificate has no subject alternative name');
  return checkServerIdentity(host, certificate);
}

/** RFC 6066 section 3: an address is not sent as server name; the check is then against the address. */
function nameOf(host: string): { servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {};
}

function secureContext(upstream: string, options: SecureContextOptions) {
  try {
    return createSecureContext({ ...options, minVersion: 'TLSv1.2', ciphers: CIPHERS });
  } catch (cause) {
    const code =
      options.key === undefined || parses({ key: options.key }) ? 'SP_CERTIFICATE_INVALID' : 'SP_KEY_INVALID';
    throw new Fault(code, `The certificate, key or ca of upstream ${upstream} cannot be used.`, { cause });
  }
}

function parses(options: SecureContextOptions): boolean {
  try {
    createSecureContext(options);
    return true;
  } catch {
    return false;
  }
}

function readCertificates(upstream: string, file: string): string[] {
  return certificatesIn(upstream, readPem('SP_CERTIFICATE_INVALID', upstream, file, false));
}

function certificatesIn(upstream: string, pem: string): string[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----/g) ?? [];
  // Node takes an empty block for a certificate that adds nothing, and an empty text for no wish at all.
  if (found.length === 0 || !found.every((block) => parses({ cert: block }))) {
    throw new Fault(
      'SP_CERTIFICATE_INVALID',
      `A PEM file of upstream ${upstream} holds no certificate, or a broken one.`,
    );
  }
  return found;
}

function readPrivateKey(upstream: string, file: string): string {
  const pem = readPem('SP_KEY_INVALID', upstream, file, true);
  // Without this an empty file would mean: no certificate of our own, and nobody would notice.
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new Fault('SP_KEY_INVALID', 'The file holds no private key in PEM.', { details: { upstream, file } });
  }
  return pem;
}

/** Opened once, so that what was checked is what is read. */
function readPem(
  code: 'SP_KEY_INVALID' | 'SP_CERTIFICATE_INVALID',
  upstream: string,
  file: string,
  secret: boolean,
): string {
  const details = { upstream, file };
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    const stat = fstatSync(descriptor);
    if (!stat.isFile() || stat.size > MAX_PEM_BYTES)
      throw new Fault(code, 'Not a file of a sensible size.', { details });
    if (secret && (stat.mode & 0o077) !== 0) {
      throw new Fault(code, 'The key file is readable by others; its mode must be 0600.', { details });
    }
    return readFileSync(descriptor, 'latin1');
  } catch (cause) {
    throw cause instanceof Fault ? cause : new Fault(code, 'The file cannot be read.', { cause, details });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function hexOfPin(upstream: string, pin: string): string {
  const base64 = /^sha256\/([A-Za-z0-9+/]{43}=)$/.exec(pin)?.[1];
  if (base64 === undefined)
    throw new Fault('SP_CONFIG_INVALID', `A pin of upstream ${upstream} is not sha256/<base64>.`);
  return Buffer.from(base64, 'base64').toString('hex');
}

/** The pinned security level refuses RSA below 2048 bits and SHA-1 signatures whatever the process was started with. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  '@SECLEVEL=2',
].join(':');

/** Said explicitly because NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would decide otherwise. */
const STRICT: ConnectionOptions = { rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] };

/** A bundle of every public CA has about 220 KB. */
const MAX_PEM_BYTES = 1_048_576;
