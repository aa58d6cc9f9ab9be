/**
 * The extensions that path validation looks at (RFC 5280 section 4.2). Policies are read and bind nobody, because nobody asks
 * for one; mappings, constraints on policies and whatever else is critical and not in this file is outside the subset.
 */
import { DerReader, malformed, TAG } from '../der.ts';
import { type GeneralName, readGeneralNames } from './general-name.ts';
import { type NameConstraints, readNameConstraints } from './name-constraints.ts';
import { type Refusal, refusal } from './refusal.ts';

/** RFC 5280 section 4.2.1.3, bit 0 as the highest of sixteen. */
export const KEY_USAGE = { digitalSignature: 0x8000, keyCertSign: 0x0400, cRLSign: 0x0200 } as const;

/** RFC 5280 section 4.2.1.12 */
export const PURPOSES = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' } as const;

export interface CertificateExtensions {
  readonly isAuthority: boolean;
  /** pathLenConstraint; Infinity without one. */
  readonly pathLength: number;
  /** KEY_USAGE bits; undefined without the extension. */
  readonly keyUsage: number | undefined;
  /** Object identifiers; undefined without the extension. */
  readonly purposes: ReadonlySet<string> | undefined;
  readonly names: readonly GeneralName[];
  readonly namesAreCritical: boolean;
  readonly nameConstraints: NameConstraints | undefined;
  /** Hex. They order candidates and decide nothing. */
  readonly subjectKeyId: string | undefined;
  readonly authorityKeyId: string | undefined;
  /** What this verifier does not implement: whoever has such an extension is on no path. */
  readonly refusals: readonly Refusal[];
}

const MAX_EXTENSIONS = 64;
const MAX_NAMES = 128;
const MAX_POLICIES = 64;
const MAX_PURPOSES = 64;

/** Not implemented, critical or not: to pass over one could accept what its author forbids. */
const OUTSIDE: Readonly<Record<string, string>> = {
  '2.5.29.33': 'policy mappings',
  '2.5.29.36': 'policy constraints',
  '2.5.29.54': 'inhibit anyPolicy',
  '1.3.6.1.5.5.7.1.14': 'proxy certificates (RFC 3820)',
};
/** Known, and passed over unless they are critical. */
const PASSED_OVER: Readonly<Record<string, string>> = {
  '2.5.29.9': 'subject directory attributes',
  '2.5.29.16': 'private key usage period',
  '2.5.29.18': 'issuer alternative name',
  '2.5.29.31': 'CRL distribution points',
  '2.5.29.46': 'freshest CRL',
  '1.3.6.1.5.5.7.1.1': 'authority information access',
  '1.3.6.1.5.5.7.1.24': 'TLS feature',
  '1.3.6.1.4.1.11129.2.4.3': 'a certificate transparency poison',
  '2.16.840.1.113730.1.1': 'Netscape certificate type',
};

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Reads `Extensions ::= SEQUENCE OF Extension`. Throws SP_CERTIFICATE_INVALID. */
export function readCertificateExtensions(list: DerReader): CertificateExtensions {
  const refusals: Refusal[] = [];
  const found: Mutable<CertificateExtensions> = {
    isAuthority: false,
    pathLength: Number.POSITIVE_INFINITY,
    keyUsage: undefined,
    purposes: undefined,
    names: [],
    namesAreCritical: false,
    nameConstraints: undefined,
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    refusals,
  };
  const seen = new Set<string>();
  do {
    const extension = list.enter(TAG.sequence, 'extension');
    const identifier = extension.objectIdentifier('extension identifier');
    const critical = extension.defaultFalse('critical flag');
    const value = new DerReader(extension.take(TAG.octetString, 'extension value').content, `extension ${identifier}`);
    extension.end();
    // RFC 5280 section 4.2: not more than one instance. Two would let two readers see two authorities.
    if (seen.has(identifier)) throw malformed(`The extension ${identifier} occurs twice.`);
    if (seen.add(identifier).size > MAX_EXTENSIONS)
      throw malformed(`There are more than ${MAX_EXTENSIONS} extensions.`);
    readExtension(identifier, critical, value, found, refusals);
  } while (!list.atEnd);
  assertConsistent(found);
  return found;
}

function readExtension(
  identifier: string,
  critical: boolean,
  value: DerReader,
  found: Mutable<CertificateExtensions>,
  refusals: Refusal[],
): void {
  const outside = (feature: string) => refusals.push(refusal('unsupported-feature', `Not supported: ${feature}.`));
  switch (identifier) {
    case '2.5.29.19': {
      const constraints = value.enter(TAG.sequence, 'basic constraints');
      value.end();
      found.isAuthority = constraints.defaultFalse('CA flag');
      if (!constraints.atEnd) found.pathLength = readPathLength(constraints);
      constraints.end();
      break;
    }
    case '2.5.29.15':
      found.keyUsage = readKeyUsage(value);
      break;
    case '2.5.29.37':
      found.purposes = readPurposes(value);
      break;
    case '2.5.29.17':
      found.names = readGeneralNames(value, MAX_NAMES);
      found.namesAreCritical = critical;
      break;
    case '2.5.29.30':
      found.nameConstraints = readNameConstraints(value, outside);
      break;
    case '2.5.29.32':
      readPolicies(value, critical, outside);
      break;
    case '2.5.29.14':
      found.subjectKeyId = hex(value.take(TAG.octetString, 'subject key identifier').content);
      value.end();
      // RFC 5280 section 4.2.1.2: not critical. So it is with the authority's.
      if (critical) outside('a critical subject key identifier');
      break;
    case '2.5.29.35':
      found.authorityKeyId = readAuthorityKeyId(value);
      if (critical) outside('a critical authority key identifier');
      break;
    default: {
      const feature = OUTSIDE[identifier] ?? (critical ? PASSED_OVER[identifier] : undefined);
      if (feature !== undefined) outside(feature);
      else if (critical) {
        refusals.push(refusal('unknown-critical-extension', `The critical extension ${identifier} is not understood.`));
      }
    }
  }
}

/** What one extension says about another. */
function assertConsistent({ isAuthority, pathLength, keyUsage = 0, nameConstraints }: CertificateExtensions): void {
  if (isAuthority) return;
  // RFC 5280 section 4.2.1.9: both speak of issuing, and this certificate may not.
  if (pathLength !== Number.POSITIVE_INFINITY) throw malformed('A path length stands where there is no authority.');
  if ((keyUsage & KEY_USAGE.keyCertSign) !== 0) throw malformed('The key may sign certificates and is no authority’s.');
  // RFC 5280 section 4.2.1.10: only in a CA certificate.
  if (nameConstraints !== undefined) throw malformed('Name constraints stand where there is no authority.');
}

function readPathLength(constraints: DerReader): number {
  const octets = constraints.integer('path length');
  if ((octets[0] as number) >= 0x80) throw malformed('The path length is negative.');
  // Longer than any path: as good as none.
  return octets.length > 2 ? 0xffff : octets.reduce((sum, octet) => sum * 256 + octet, 0);
}

function readKeyUsage(value: DerReader): number {
  const { content } = value.take(TAG.bitString, 'key usage');
  value.end();
  const [unused, first, second = 0] = content;
  const last = content[content.length - 1] as number;
  if (unused === undefined || first === undefined || unused > 7 || content.length > 3) {
    throw malformed('The key usage is malformed.');
  }
  // X.690 section 11.2.2: named bits end with a one. RFC 5280 section 4.2.1.3: at least one is set.
  if ((last & ((1 << (unused + 1)) - 1)) !== 1 << unused) throw malformed('The key usage is not in DER.');
  return first * 256 + second;
}

function readPurposes(value: DerReader): ReadonlySet<string> {
  const list = value.enter(TAG.sequence, 'extended key usage');
  value.end();
  const purposes = new Set<string>();
  do purposes.add(list.objectIdentifier('key purpose'));
  while (!list.atEnd && purposes.size < MAX_PURPOSES);
  list.end();
  return purposes;
}

/** RFC 5280 section 4.2.1.4. Any policy will do, so only the syntax counts, and qualifiers where they are critical. */
function readPolicies(value: DerReader, critical: boolean, outside: (feature: string) => void): void {
  const list = value.enter(TAG.sequence, 'certificate policies');
  value.end();
  const seen = new Set<string>();
  do {
    const policy = list.enter(TAG.sequence, 'policy');
    const identifier = policy.objectIdentifier('policy');
    if (seen.has(identifier)) throw malformed('A certificate policy occurs twice.');
    if (seen.add(identifier).size > MAX_POLICIES) throw malformed('There are too many certificate policies.');
    if (policy.atEnd) continue;
    policy.take(TAG.sequence, 'policy qualifiers');
    policy.end();
    if (critical) outside('qualifiers of a critical certificate policy');
  } while (!list.atEnd);
}

/** RFC 5280 section 4.2.1.1: the key identifier, if there is one; the issuer's name and serial number order nothing here. */
function readAuthorityKeyId(value: DerReader): string | undefined {
  const fields = value.enter(TAG.sequence, 'authority key identifier');
  value.end();
  const key = fields.maybe(0x80);
  fields.maybe(0xa1);
  fields.maybe(0x82);
  fields.end();
  return key === undefined ? undefined : hex(key.content);
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('hex');
}
