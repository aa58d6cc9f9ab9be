/** Options read once: defaults filled in, keys parsed, contradictions refused before the first packet. */
import { randomBytes } from './crypto/digest.ts';
import { readChain, SigningKey } from './crypto/sig.ts';
import { DEFAULT_SUITES, type Suite, suiteByName } from './crypto/suites.ts';
import { DtlsError } from './error.ts';
import { DEFAULT_LIMITS, type DtlsLimits } from './limits.ts';
import type { ClientOptions, CredentialSource, SecureOptions, ServerOptions } from './options.ts';

/** A key we can sign with and what we show for it; an empty chain serves as raw public key only. */
export interface Credential {
  readonly chain: readonly Uint8Array[];
  readonly key: SigningKey;
}

/** What both sides need of their options. */
export interface Settings<Options extends SecureOptions = SecureOptions> {
  readonly options: Options;
  readonly limits: DtlsLimits;
  readonly suites: readonly Suite[];
  readonly credential: Credential | undefined;
  readonly rawPublicKeys: 'off' | 'accept' | 'require';
  readonly receiveLimitBytes: number;
}

export type ServerSettings = Settings<ServerOptions> & {
  readonly requestCert: boolean;
  readonly ticketSecret: Uint8Array;
  readonly cookieSecret: Uint8Array;
};

export type ClientSettings = Settings<ClientOptions>;

const MAX_PLAINTEXT_BYTES = 16_384;
const LEAST_SECRET_BYTES = 32;
const MAX_CID_BYTES = 32;

/** @throws DtlsError `option-invalid`, `key-unreadable`. */
export function readServerOptions(options: ServerOptions): ServerSettings {
  const settings = read(options);
  const canAnswer = settings.credential !== undefined || options.sni !== undefined || options.psk !== undefined;
  if (!canAnswer) throw new DtlsError('option-invalid', 'a server needs cert and key, sni or psk');
  const requestCert =
    options.requestCert ?? (options.verifyPeer !== undefined || options.verifyRawPublicKey !== undefined);
  if (requestCert && options.verifyPeer === undefined && options.verifyRawPublicKey === undefined) {
    throw new DtlsError(
      'option-invalid',
      'requestCert without verifyPeer or verifyRawPublicKey would refuse everybody',
    );
  }
  return {
    ...settings,
    requestCert,
    ticketSecret: secret(options.ticketSecret),
    cookieSecret: secret(options.cookieSecret),
  };
}

/** @throws DtlsError `option-invalid`, `key-unreadable`. */
export function readClientOptions(options: ClientOptions): ClientSettings {
  const settings = read(options);
  if ((options.pskIdentity === undefined) !== (options.pskKey === undefined)) {
    throw new DtlsError('option-invalid', 'pskIdentity and pskKey belong together');
  }
  const usable = settings.suites.filter((suite) =>
    suite.keyExchange === 'ecdhe'
      ? options.verifyPeer !== undefined || options.verifyRawPublicKey !== undefined
      : options.pskKey !== undefined,
  );
  if (usable.length === 0) {
    throw new DtlsError(
      'option-invalid',
      'a client needs verifyPeer, verifyRawPublicKey or a psk that fits its suites',
    );
  }
  return { ...settings, suites: usable };
}

function read<Options extends SecureOptions>(options: Options): Settings<Options> {
  const suites = options.suites?.map((name) => {
    const suite = suiteByName(name);
    if (suite === undefined) throw new DtlsError('option-invalid', `the suite ${name} does not exist here`);
    return suite;
  });
  const size = options.recordSizeLimitBytes ?? MAX_PLAINTEXT_BYTES;
  if (!Number.isInteger(size) || size < 64 || size > MAX_PLAINTEXT_BYTES) {
    throw new DtlsError('option-invalid', 'recordSizeLimitBytes is between 64 and 16384');
  }
  const cidLength = options.connectionId?.length ?? 0;
  if (!Number.isInteger(cidLength) || cidLength < 0 || cidLength > MAX_CID_BYTES || (cidLength > 0 && cidLength < 4)) {
    throw new DtlsError('option-invalid', 'connectionId.length is 0 or between 4 and 32 bytes');
  }
  const { cert, key } = options;
  if (cert !== undefined && key === undefined) throw new DtlsError('option-invalid', 'cert without key');
  return {
    options,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    suites: suites ?? DEFAULT_SUITES,
    credential: key === undefined ? undefined : readCredential(cert === undefined ? { key } : { cert, key }),
    rawPublicKeys: options.rawPublicKeys ?? 'off',
    receiveLimitBytes: size,
  };
}

function secret(given: Uint8Array | undefined): Uint8Array {
  if (given === undefined) return randomBytes(LEAST_SECRET_BYTES);
  if (given.length < LEAST_SECRET_BYTES) throw new DtlsError('option-invalid', 'secrets are 32 bytes or more');
  return given;
}

const parsed = new WeakMap<CredentialSource, Credential>();

/** Parsed once per source object, so that `sni` may return the same one for each handshake. @throws DtlsError `key-unreadable`. */
export function readCredential(source: CredentialSource): Credential {
  let credential = parsed.get(source);
  if (credential === undefined) {
    const chain = source.cert === undefined ? [] : readChain(source.cert);
    credential = { chain, key: new SigningKey(source.key) };
    parsed.set(source, credential);
  }
  return credential;
}
