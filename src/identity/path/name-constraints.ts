/**
 * Name constraints (RFC 5280 section 4.2.1.10) over dNSName, rfc822Name, URI, iPAddress and directoryName, permitted and
 * excluded. What cannot be compared with certainty violates: a wildcard that may cover an excluded host, a URI without a host
 * name, a directory name beyond ASCII. Subtrees of other kinds, and minimum and maximum, are outside the subset.
 */
import { type DerReader, malformed, TAG } from '../der.ts';
import { type DirectoryName, isWithin } from './directory-name.ts';
import { type GeneralName, readGeneralName } from './general-name.ts';

export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** The names of one certificate. */
export interface ConstrainedNames {
  readonly subject: DirectoryName;
  readonly names: readonly GeneralName[];
}

const PERMITTED = 0xa0;
const EXCLUDED = 0xa1;
/** Each is compared with each name: this times the names of a certificate is the work. */
const MAX_SUBTREES = 128;
/** id-on-SmtpUTF8Mailbox (RFC 9598): a mailbox that an rfc822Name constraint would not see. */
const SMTP_UTF8_MAILBOX = '1.3.6.1.5.5.7.8.9';
/** Letters, digits, hyphens and, as found in the wild, underscores. */
const HOST = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;
const IPV4 = /^[0-9.]+$/;

/**
 * Reads the extension. Throws SP_CERTIFICATE_INVALID.
 * @param outside is told of each feature that is not implemented
 */
export function readNameConstraints(value: DerReader, outside: (feature: string) => void): NameConstraints {
  const fields = value.enter(TAG.sequence, 'name constraints');
  value.end();
  // RFC 5280 section 4.2.1.10: an empty sequence must not be.
  if (fields.atEnd) throw malformed('The name constraints are empty.');
  const permitted = readSubtrees(fields, PERMITTED, outside);
  const excluded = readSubtrees(fields, EXCLUDED, outside);
  fields.end();
  return { permitted, excluded };
}

function readSubtrees(fields: DerReader, tag: number, outside: (feature: string) => void): readonly GeneralName[] {
  if (fields.peek() !== tag) return [];
  const list = fields.enter(tag, 'subtrees');
  const subtrees: GeneralName[] = [];
  do {
    if (subtrees.length === MAX_SUBTREES) throw malformed(`There are more than ${MAX_SUBTREES} name constraints.`);
    const subtree = list.enter(TAG.sequence, 'subtree');
    const base = readGeneralName(subtree.any(), 'constraint');
    if (!subtree.atEnd) outside('a name constraint with minimum or maximum');
    if (base.kind === 'other') outside('a name constraint of another kind');
    else assertWellFormed(base);
    subtrees.push(base);
  } while (!list.atEnd);
  return subtrees;
}

function assertWellFormed(base: Exclude<GeneralName, { kind: 'other' }>): void {
  switch (base.kind) {
    case 'dns':
      // RFC 5280 section 4.2.1.10: a DNS name, so neither a leading dot nor a wildcard; none at all stands for every name.
      if (base.value !== '' && !HOST.test(base.value.toLowerCase()))
        throw malformed('A DNS constraint is no DNS name.');
      break;
    case 'email': {
      const [host = '', local, more] = base.value.split('@').reverse();
      const domain = local === undefined && host.startsWith('.') ? host.slice(1) : host;
      if (more !== undefined || local === '' || !HOST.test(domain.toLowerCase()))
        throw malformed('A mail constraint is neither a mailbox nor a host nor a domain.');
      break;
    }
    case 'uri': {
      const host = base.value.toLowerCase().replace(/^\./, '');
      if (!HOST.test(host) || IPV4.test(host)) throw malformed('A URI constraint is neither a host nor a domain.');
      break;
    }
    case 'address':
      if (!isContiguous(base.octets.subarray(base.octets.length / 2)))
        throw malformed('The mask of an IP constraint is not one of leading ones.');
      break;
    case 'directory':
      break;
  }
}

/** RFC 4632 section 5.1: ones, then zeros. */
function isContiguous(mask: Uint8Array): boolean {
  let ended = false;
  for (const octet of mask) {
    if (ended ? octet !== 0 : ((octet ^ 0xff) & ((octet ^ 0xff) + 1)) !== 0) return false;
    ended ||= octet !== 0xff;
  }
  return true;
}

/**
 * The kind of the first name of the certificate that the constraints do not allow, or undefined.
 * @param isLeaf a leaf without a dNSName may be taken for the host that its common name says
 */
export function nameViolation(
  constraints: NameConstraints,
  { subject, names }: ConstrainedNames,
  isLeaf: boolean,
): string | undefined {
  for (const name of allNames(subject, names, isLeaf)) {
    if (name.kind === 'other') {
      const mailbox = name.type === SMTP_UTF8_MAILBOX;
      if (mailbox && [...constraints.permitted, ...constraints.excluded].some(({ kind }) => kind === 'email'))
        return 'SmtpUTF8Mailbox';
      continue;
    }
    const permitted = constraints.permitted.filter(({ kind }) => kind === name.kind);
    const excluded = constraints.excluded.filter(({ kind }) => kind === name.kind);
    if (excluded.some((base) => falls(name, base, 'excluded') !== false)) return name.kind;
    if (permitted.length > 0 && !permitted.some((base) => falls(name, base, 'permitted') === true)) return name.kind;
  }
  return undefined;
}

function allNames(subject: DirectoryName, names: readonly GeneralName[], isLeaf: boolean): GeneralName[] {
  const all: GeneralName[] = [...names];
  if (subject.relative.length > 0) all.push({ kind: 'directory', name: subject });
  for (const value of subject.emails) all.push({ kind: 'email', value });
  if (isLeaf && !names.some(({ kind }) => kind === 'dns')) {
    for (const value of subject.commonNames) {
      if (value.includes('.') && HOST.test(value.toLowerCase()) && !IPV4.test(value)) all.push({ kind: 'dns', value });
    }
  }
  return all;
}

/** True, false, or undefined where it cannot be said: then a permission is not given and an exclusion holds. */
function falls(name: GeneralName, base: GeneralName, list: 'permitted' | 'excluded'): boolean | undefined {
  if (name.kind === 'dns' && base.kind === 'dns') return dnsFalls(name.value.toLowerCase(), base.value.toLowerCase());
  if (name.kind === 'email' && base.kind === 'email') return emailFalls(name.value, base.value, list);
  if (name.kind === 'uri' && base.kind === 'uri') return uriFalls(name.value, base.value.toLowerCase());
  if (name.kind === 'address' && base.kind === 'address') return addressFalls(name.octets, base.octets);
  if (name.kind === 'directory' && base.kind === 'directory') {
    if (isWithin(name.name, base.name)) return true;
    return name.name.exact && base.name.exact ? false : undefined;
  }
  return undefined;
}

function dnsFalls(name: string, base: string): boolean | undefined {
  const host = name.startsWith('*.') ? name.slice(2) : name;
  if (!HOST.test(host)) return undefined;
  if (base === '' || host === base || host.endsWith(`.${base}`)) return true;
  // `*.example.com` may be `a.example.com`: not permitted by it, and excluded with it.
  return host !== name && base.endsWith(`.${host}`) ? undefined : false;
}

function emailFalls(name: string, base: string, list: 'permitted' | 'excluded'): boolean | undefined {
  const [local, host, more] = name.split('@');
  if (!local || host === undefined || more !== undefined || !HOST.test(host.toLowerCase())) return undefined;
  const [baseHost = '', baseLocal] = base.toLowerCase().split('@').reverse();
  if (!hostFalls(host.toLowerCase(), baseHost)) return false;
  if (baseLocal === undefined) return true;
  // RFC 5280 section 7.5: the part before the @ has case. An exclusion does not rely on it.
  return list === 'excluded' ? local.toLowerCase() === baseLocal : local === base.split('@')[0];
}

/** RFC 5280 section 4.2.1.10: a URI without a host name is refused wherever URIs are constrained. */
function uriFalls(name: string, base: string): boolean | undefined {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(name)?.[1];
  const parts = authority?.split('@') ?? [];
  const host = parts
    .at(-1)
    ?.replace(/:[0-9]*$/, '')
    .toLowerCase();
  if (host === undefined || parts.length > 2 || !HOST.test(host) || IPV4.test(host)) return undefined;
  return hostFalls(host, base);
}

/** A host stands for itself; with a leading dot, for every host below. */
function hostFalls(host: string, base: string): boolean {
  return base.startsWith('.') ? host.endsWith(base) && host.length > base.length : host === base;
}

function addressFalls(address: Uint8Array, base: Uint8Array): boolean {
  if (base.length !== 2 * address.length) return false;
  return address.every((octet, index) => {
    const mask = base[address.length + index] as number;
    return (octet & mask) === ((base[index] as number) & mask);
  });
}
