/** Certificates and revocation lists with real signatures and every field open to mistakes, and `openssl verify` to compare with. */
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChainRequest } from '../../../../src/identity/path/verify-chain.ts';
import {
  CLIENT,
  type Der,
  dns,
  ECDSA_SHA256,
  extension,
  integer,
  keyUsage,
  name,
  octets,
  oid,
  purposes,
  SERVER,
  sequence,
  spkiOf,
  TRUE,
  text,
  tlv,
  utcTime,
  utf8,
} from '../certificate-maker.ts';

export const NONE: Der = Buffer.alloc(0);
/** When everything here is valid. */
export const AT = Date.UTC(2030, 0, 1);

export interface Algorithm {
  readonly identifier: Der;
  readonly sign: (body: Der, key: KeyObject) => Der;
}
export const ECDSA: Algorithm = { identifier: ECDSA_SHA256, sign: (body, key) => sign('sha256', body, key) };

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
export const ec = (namedCurve = 'P-256'): Keys => generateKeyPairSync('ec', { namedCurve });

export interface Issued {
  readonly der: Buffer;
  readonly name: Der;
  readonly keys: Keys;
}

export interface Wish {
  /** Common name, or a whole Name. */
  readonly subject?: string | Der;
  readonly issuer?: Issued;
  /** What stands in the certificate as its issuer, if not the issuer's name. */
  readonly issuerName?: Der;
  readonly keys?: Keys;
  /** The SubjectPublicKeyInfo, if not that of the keys. */
  readonly publicKey?: Der;
  readonly algorithm?: Algorithm;
  readonly innerAlgorithm?: Der;
  readonly version?: Der;
  readonly serial?: Der;
  readonly notBefore?: Der;
  readonly notAfter?: Der;
  readonly uniqueIds?: Der;
  /** Each of these takes the place of the usual extension, or nothing does if it is null. */
  readonly constraints?: Der | null;
  readonly usage?: Der | null;
  readonly purposes?: Der | null;
  readonly names?: Der | null;
  readonly keyIds?: readonly Der[];
  readonly more?: readonly Der[];
  readonly noExtensions?: boolean;
  /** Changes the signature bits. */
  readonly forge?: boolean;
}

let serials = 0x100000;

function issue(wish: Wish, defaults: readonly (Der | null)[]): Issued {
  const keys = wish.keys ?? ec();
  const { algorithm = ECDSA, issuer, subject = 'thermo-1' } = wish;
  const own = typeof subject === 'string' ? commonName(subject) : subject;
  const signer = issuer?.keys ?? keys;
  const keyIds = wish.keyIds ?? [subjectKeyId(keyId(keys)), authorityKeyId(keyId(signer))];
  const extensions = [...defaults, ...keyIds, ...(wish.more ?? [])].filter((one) => one !== null);
  const body = sequence(
    wish.version ?? tlv(0xa0, integer('02')),
    wish.serial ?? integer((++serials).toString(16)),
    wish.innerAlgorithm ?? algorithm.identifier,
    wish.issuerName ?? issuer?.name ?? own,
    sequence(wish.notBefore ?? utcTime('260101000000Z'), wish.notAfter ?? utcTime('460101000000Z')),
    own,
    wish.publicKey ?? spkiOf(keys.publicKey),
    wish.uniqueIds ?? NONE,
    wish.noExtensions ? NONE : tlv(0xa3, sequence(...extensions)),
  );
  const signature = Buffer.from(algorithm.sign(body, signer.privateKey));
  if (wish.forge) signature[signature.length - 1] = (signature[signature.length - 1] as number) ^ 1;
  const der = Buffer.from(sequence(body, algorithm.identifier, tlv(0x03, octets('00'), signature)));
  return { der, name: own, keys };
}

/** An authority: a root of its own without `issuer`. */
export function authority(subject: string | Der, wish: Wish = {}): Issued {
  return issue({ subject, ...wish }, [
    either(wish.constraints, extension('2.5.29.19', sequence(TRUE), TRUE)),
    either(wish.usage, keyUsage('0106')),
    either(wish.purposes, null),
    either(wish.names, null),
  ]);
}

/** A device for client and server. */
export function leaf(issuer: Issued | undefined, wish: Wish = {}): Issued {
  return issue({ ...(issuer && { issuer }), ...wish }, [
    either(wish.constraints, null),
    either(wish.usage, keyUsage('0780')),
    either(wish.purposes, purposes(CLIENT, SERVER)),
    either(wish.names, extension('2.5.29.17', sequence(dns('thermo-1.plant.example')))),
  ]);
}

function either(wish: Der | null | undefined, usual: Der | null): Der | null {
  return wish === undefined ? usual : wish;
}

export const commonName = (value: string) => name(['2.5.4.3', utf8(value)]);
export const keyId = (keys: Keys): Der => createHash('sha1').update(spkiOf(keys.publicKey)).digest();
export const subjectKeyId = (id: Der, critical: Der = NONE) => extension('2.5.29.14', tlv(0x04, id), critical);
export const authorityKeyId = (id: Der, critical: Der = NONE) =>
  extension('2.5.29.35', sequence(tlv(0x80, id)), critical);
export const isAuthority = (...more: Der[]) => extension('2.5.29.19', sequence(TRUE, ...more), TRUE);
export const alternativeNames = (...names: Der[]) => extension('2.5.29.17', sequence(...names));
export const email = (value: string) => text(0x81, value);
export const address = (hex: string) => tlv(0x87, octets(hex));
export const directory = (of: Der) => tlv(0xa4, of);
const subtrees = (tag: number, bases: readonly Der[]) =>
  bases.length === 0 ? NONE : tlv(tag, ...bases.map((base) => sequence(base)));
export const nameConstraints = (permitted: readonly Der[], excluded: readonly Der[] = []) =>
  extension('2.5.29.30', sequence(subtrees(0xa0, permitted), subtrees(0xa1, excluded)), TRUE);

export interface CrlWish {
  readonly issuerName?: Der;
  readonly algorithm?: Algorithm;
  readonly version?: Der;
  readonly thisUpdate?: Der;
  readonly nextUpdate?: Der;
  readonly entries?: readonly Der[];
  readonly extensions?: readonly Der[];
  readonly forge?: boolean;
}

/** A revocation list of `issuer`, current at AT, with nobody on it. */
export function revocationList(issuer: Issued, wish: CrlWish = {}): Buffer {
  const { algorithm = ECDSA, entries = [] } = wish;
  const extensions = wish.extensions ?? [authorityKeyId(keyId(issuer.keys)), extension('2.5.29.20', integer('01'))];
  const body = long(
    0x30,
    wish.version ?? integer('01'),
    algorithm.identifier,
    wish.issuerName ?? issuer.name,
    wish.thisUpdate ?? utcTime('291201000000Z'),
    wish.nextUpdate ?? utcTime('300301000000Z'),
    entries.length === 0 ? NONE : long(0x30, ...entries),
    extensions.length === 0 ? NONE : tlv(0xa0, sequence(...extensions)),
  );
  const signature = Buffer.from(algorithm.sign(body, issuer.keys.privateKey));
  if (wish.forge) signature[signature.length - 1] = (signature[signature.length - 1] as number) ^ 1;
  return Buffer.from(long(0x30, body, algorithm.identifier, tlv(0x03, octets('00'), signature)));
}

/** As `tlv`, also for lengths that need three octets. */
export function long(tag: number, ...contents: Der[]): Der {
  const content = Buffer.concat(contents);
  if (content.length < 0x10000) return tlv(tag, content);
  const length = Buffer.alloc(3);
  length.writeUIntBE(content.length, 0, 3);
  return Buffer.concat([Buffer.from([tag, 0x83]), length, content]);
}

export const revoked = (serial: Der, ...extensions: Der[]) =>
  sequence(serial, utcTime('291115000000Z'), extensions.length === 0 ? NONE : sequence(...extensions));
export const reasonCode = (code: number) => extension('2.5.29.21', tlv(0x0a, Buffer.from([code])));
export const algorithmOf = (type: string, ...parameters: Der[]) => sequence(oid(type), ...parameters);

/** What `openssl verify` says of the same chain: undefined if it accepts, or its first complaint. */
export class OpensslVerify {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sallyport-chain-'));
  #files = 0;

  async complaint({ leaf, untrusted, trust, crls, purpose, at }: ChainRequest): Promise<string | undefined> {
    const args = ['verify', '-partial_chain', '-auth_level', '2', '-attime', String(Math.floor(at / 1_000))];
    args.push('-trusted', this.#file(trust, 'CERTIFICATE'));
    if (untrusted.length > 0) args.push('-untrusted', this.#file(untrusted, 'CERTIFICATE'));
    if (crls.length > 0) args.push('-crl_check_all', '-CRLfile', this.#file(crls, 'X509 CRL'));
    if (purpose !== 'any') args.push('-purpose', purpose === 'client' ? 'sslclient' : 'sslserver');
    args.push(this.#file([leaf], 'CERTIFICATE'));
    return await new Promise((done) => {
      execFile('openssl', args, { encoding: 'utf8' }, (error, out, err) => {
        done(error ? `${out}${err}`.trim().split('\n').slice(0, 3).join(' | ') || 'refused' : undefined);
      });
    });
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(ders: readonly Uint8Array[], label: string): string {
    const path = join(this.#folder, String(++this.#files));
    writeFileSync(path, ders.map((der) => pem(der, label)).join(''));
    return path;
  }
}

export function pem(der: Uint8Array, label = 'CERTIFICATE'): string {
  const lines = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
