/**
 * The gateway's own certificate authority, for commands only: nothing that runs the data plane may import this folder, and
 * the running gateway may not read ca/key.pem. Issues to RFC 5280: one level, P-256, devices for clientAuth alone, servers
 * for serverAuth alone. Subjects are for people; the identity is the URI in the subject alternative name.
 */
import 'reflect-metadata';
import { hostname } from 'node:os';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  type JsonGeneralName,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  type PublicKeyType,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { Fault } from '../../faults/fault.ts';
import { makeFolder, readKeyFile, readTextFile, writeNewFolder } from '../atomic-file.ts';
import { malformed } from '../der.ts';
import { checkedDeviceId, urnOf } from '../device-id.ts';
import { credentialOf } from '../import.ts';
import type { Credential } from '../lifecycle.ts';
import { authorityPaths } from '../trust.ts';
import { authorityKeyFromPem, generateKeys, type KeyType, keyToPem } from './keys.ts';
import { provenKeyOf } from './signing-request.ts';

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 20 * 365;
/** Two years: long for a browser, short for a thing in a wall. `status` names what is about to expire. */
export const DEFAULT_DAYS = 730;
const MAX_DAYS = 10 * 365;
/** Clocks of devices are slow more often than not; a certificate must be valid the minute it is made. */
const BACKDATE_MS = 3_600_000;
/** Ours have about 600. */
const MAX_ISSUED_BYTES = 16_384;
/** RFC 5280 appendix A, ub-common-name. */
const MAX_COMMON_NAME = 64;
const NAME = /^[\p{L}\p{N} ._-]{1,64}$/u;
const DNS_NAME =
  /^(?:\*\.)?(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** What a command hands out. */
export interface Issued {
  readonly certificatePem: string;
  /** PKCS#8; absent when the key stayed with who asked. */
  readonly keyPem?: string;
  readonly caPem: string;
}

/** For a device, with what the registry keeps of it. */
export interface IssuedDevice extends Issued {
  readonly credential: Credential;
}

export interface Term {
  /** Validity in days, 1 to 3650; never beyond the CA's own. */
  readonly days?: number;
  /** Milliseconds since the epoch; the system's clock when left out. */
  readonly now?: number;
}

export interface DeviceTerm extends Term {
  readonly serves?: boolean;
}

export class Authority {
  /** PEM. */
  readonly certificate: string;
  readonly #parsed: X509Certificate;
  readonly #key: CryptoKey;

  private constructor(certificate: string, key: CryptoKey) {
    this.certificate = certificate;
    this.#parsed = new X509Certificate(certificate);
    this.#key = key;
  }

  /**
   * Makes a CA: DIR/ca/cert.pem and DIR/ca/key.pem, both 0600. Throws SP_FILE_EXISTS if DIR/ca is there, SP_USAGE.
   * @param directory the gateway's folder
   * @param name what people see in certificates, e.g. the gateway's name
   */
  static async create(directory: string, name: string, now: number = Date.now()): Promise<Authority> {
    if (!NAME.test(name))
      throw new Fault('SP_USAGE', 'A CA’s name has 1 to 64 letters, digits, spaces, dots or hyphens.');
    const keys = await generateKeys('p256');
    const made = await X509CertificateGenerator.createSelfSigned({
      serialNumber: randomSerial(),
      name: new Name([{ O: [{ utf8String: 'Sallyport' }] }, { CN: [{ utf8String: name }] }]),
      ...validity(now, AUTHORITY_DAYS),
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    makeFolder(directory);
    writeNewFolder(authorityPaths(directory).folder, {
      'cert.pem': pemOf(made),
      'key.pem': await keyToPem(keys.privateKey),
    });
    return Authority.open(directory);
  }

  /** Throws SP_KEY_INVALID: missing, readable by others, or key and certificate do not belong together. */
  static async open(directory: string): Promise<Authority> {
    const paths = authorityPaths(directory);
    const key = await authorityKeyFromPem(readKeyFile(paths.key), paths.key);
    const authority = authorityOf(readTextFile(paths.certificate), paths.certificate, (pem) => new Authority(pem, key));
    const statement = new TextEncoder().encode('sallyport');
    const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
    const signature = await crypto.subtle.sign(algorithm, key, statement);
    const publicKey = await authority.#parsed.publicKey.export(algorithmOfKey, ['verify']);
    if (!(await crypto.subtle.verify(algorithm, publicKey, signature, statement))) {
      throw new Fault('SP_KEY_INVALID', `${paths.key} is not the key of ${paths.certificate}.`);
    }
    return authority;
  }

  /**
   * A certificate and key for a device. Throws SP_DEVICE_ID, SP_USAGE.
   * @param options `serves`: other devices call it (device to device), so the certificate is for serverAuth too
   */
  async issueDevice(id: string, options: DeviceTerm & { readonly keyType?: KeyType } = {}): Promise<IssuedDevice> {
    checkedDeviceId(id);
    const keys = await generateKeys(options.keyType ?? 'p256');
    return { ...(await this.#forDevice(id, keys.publicKey, options)), keyPem: await keyToPem(keys.privateKey) };
  }

  /** A certificate for a device that made its own key (PKCS#10 PEM). Throws SP_DEVICE_ID, SP_CERTIFICATE_INVALID, SP_USAGE. */
  async signRequest(id: string, requestPem: string, options: DeviceTerm = {}): Promise<IssuedDevice> {
    checkedDeviceId(id);
    return this.#forDevice(id, provenKeyOf(requestPem), options);
  }

  /**
   * The listener's certificate: for localhost, this host's name and what is given. Throws SP_USAGE.
   * @param names DNS names  @param addresses IP addresses
   */
  async issueServer(names: readonly string[], addresses: readonly string[], options: Term = {}): Promise<Issued> {
    const local = [hostname().toLowerCase()].filter((name) => DNS_NAME.test(name));
    const wrong = names.find((name) => !DNS_NAME.test(name));
    if (wrong !== undefined) throw new Fault('SP_USAGE', `${JSON.stringify(wrong)} is not a DNS name.`);
    const noAddress = addresses.find((address) => !isAddress(address));
    if (noAddress !== undefined) throw new Fault('SP_USAGE', `${JSON.stringify(noAddress)} is not an IP address.`);
    const alternatives: JsonGeneralName[] = [
      ...[...new Set(['localhost', ...local, ...names])].map((value) => ({ type: 'dns' as const, value })),
      ...[...new Set(['127.0.0.1', '::1', ...addresses])].map((value) => ({ type: 'ip' as const, value })),
    ];
    return this.#withKeys(
      (names[0] ?? 'localhost').slice(0, MAX_COMMON_NAME),
      alternatives,
      ExtendedKeyUsage.serverAuth,
      options,
    );
  }

  /** The gateway's own certificate towards an upstream that trusts this CA. Throws SP_USAGE. */
  async issueClient(name: string, options: Term = {}): Promise<Issued> {
    if (!NAME.test(name)) throw new Fault('SP_USAGE', 'A name has 1 to 64 letters, digits, spaces, dots or hyphens.');
    const value = `urn:sallyport:gateway:${encodeURIComponent(name)}`;
    return this.#withKeys(name, [{ type: 'url', value }], ExtendedKeyUsage.clientAuth, options);
  }

  async #forDevice(id: string, key: PublicKeyType, term: DeviceTerm): Promise<IssuedDevice> {
    const { clientAuth, serverAuth } = ExtendedKeyUsage;
    const purposes = term.serves === true ? [clientAuth, serverAuth] : [clientAuth];
    const made = await this.#issue(id, key, [{ type: 'url', value: urnOf(id) }], purposes, term);
    // What the gateway would refuse is not handed out.
    const credential = credentialOf(new Uint8Array(made.rawData), MAX_ISSUED_BYTES);
    return { certificatePem: pemOf(made), caPem: this.certificate, credential };
  }

  async #withKeys(name: string, names: JsonGeneralName[], purpose: ExtendedKeyUsage, term: Term): Promise<Issued> {
    const keys = await generateKeys('p256');
    const made = await this.#issue(name, keys.publicKey, names, [purpose], term);
    return { certificatePem: pemOf(made), keyPem: await keyToPem(keys.privateKey), caPem: this.certificate };
  }

  async #issue(
    name: string,
    publicKey: PublicKeyType,
    names: JsonGeneralName[],
    purposes: ExtendedKeyUsage[],
    { days = DEFAULT_DAYS, now = Date.now() }: Term,
  ): Promise<X509Certificate> {
    if (!Number.isInteger(days) || days < 1 || days > MAX_DAYS) {
      throw new Fault('SP_USAGE', `A certificate is valid for 1 to ${MAX_DAYS} days.`);
    }
    if (now > this.#parsed.notAfter.getTime()) throw malformed('The CA’s own certificate has expired.');
    const { notBefore, notAfter } = validity(now, days);
    const extensions: Extension[] = [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(purposes),
      new SubjectAlternativeNameExtension(names),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(this.#parsed.publicKey),
    ];
    return X509CertificateGenerator.create({
      serialNumber: randomSerial(),
      subject: new Name([{ CN: [{ utf8String: name }] }]),
      issuer: this.#parsed.subjectName,
      notBefore,
      notAfter: new Date(Math.min(notAfter.getTime(), this.#parsed.notAfter.getTime())),
      publicKey,
      signingKey: this.#key,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions,
    });
  }
}

const algorithmOfKey = { name: 'ECDSA', namedCurve: 'P-256' } as const;

function authorityOf<T>(pem: string, file: string, make: (pem: string) => T): T {
  try {
    return make(pem);
  } catch (thrown) {
    throw new Fault('SP_KEY_INVALID', `${file} holds no certificate.`, { cause: thrown });
  }
}

/** 16 octets, hex: 126 bits of chance, positive, and of one length because the first octet is never zero. */
function randomSerial(): string {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  octets[0] = ((octets[0] as number) & 0x3f) | 0x40;
  return Buffer.from(octets).toString('hex');
}

function validity(now: number, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + days * DAY_MS) };
}

/** IPv4 in four decimal numbers, IPv6 without brackets and zone. The URL parser canonicalises both. */
function isAddress(text: string): boolean {
  if (text.includes(':')) return /^[\da-fA-F:.]+$/.test(text) && URL.canParse(`http://[${text}]/`);
  return URL.canParse(`http://${text}/`) && new URL(`http://${text}/`).hostname === text && /^[\d.]+$/.test(text);
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
