/** One chain of the corpus: what we say of it, and whether OpenSSL says the same. */
import type { PathLimits } from '../../../../src/identity/path/limits.ts';
import type { ChainReason } from '../../../../src/identity/path/refusal.ts';
import type { ChainRequest } from '../../../../src/identity/path/verify-chain.ts';
import { AT, authority, type Issued } from './chain-maker.ts';

/** Where we differ from `openssl verify` on purpose. docs/conformance/rfc5280.md gives each its reason under this name. */
export const DIFFERENCES = [
  'at most three intermediates',
  'another way is looked for',
  'key identifiers only order',
  'RSA of 2048 to 4096 bits, exponent from 65537',
  'strict encoding',
  'no other curves and algorithms',
  'the last second',
  'UTCTime until 2049',
  'old string types byte by byte',
  'empty subject, critical name',
  'positive serial number',
  'version 3 only',
  'no unique identifiers',
  'no authority as a leaf',
  'no authority, no issuing',
  'digitalSignature',
  'purpose must be said',
  'no policy processing',
  'policy twice',
  'no distribution points',
  'name constraints on a leaf',
  'constraints in doubt',
  'visible ASCII',
  'wildcard under exclusion',
  'names beyond ASCII under exclusion',
  'revocation lists of the subset',
  'an old list still tells',
  'no list for what is trusted',
] as const;

export interface ChainCase {
  readonly name: string;
  /** Sections of RFC 5280. */
  readonly rule: string;
  readonly says: 'accepted' | ChainReason;
  /** Left out: OpenSSL must say the same. `no such bound`: it is not asked. */
  readonly differs?: (typeof DIFFERENCES)[number] | 'no such bound';
  readonly chain: () => Chain;
}

export interface Chain {
  readonly leaf: Issued | Uint8Array;
  readonly via?: readonly (Issued | Uint8Array)[];
  readonly trust?: readonly (Issued | Uint8Array)[];
  readonly crls?: readonly Uint8Array[];
  readonly purpose?: ChainRequest['purpose'];
  readonly at?: number;
  readonly limits?: PathLimits;
}

export const ROOT = authority('Root');
export const ISSUING = authority('Issuing', { issuer: ROOT });

export function requestOf(chain: Chain): ChainRequest {
  const { leaf, via = [ISSUING], trust = [ROOT], crls = [], purpose = 'client', at = AT, limits } = chain;
  const der = (one: Issued | Uint8Array) => ('der' in one ? one.der : one);
  return {
    leaf: der(leaf),
    untrusted: via.map(der),
    trust: trust.map(der),
    crls,
    purpose,
    at,
    ...(limits && { limits }),
  };
}
