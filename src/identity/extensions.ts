/**
 * The extensions of a certificate (RFC 5280 section 4.2) that decide who a peer is and what its certificate is for. A
 * critical extension that is not in this file is refused, as section 4.2 demands; policies and name constraints are for
 * the path builder in path/.
 */
import { DerReader, malformed, TAG } from './der.ts';

const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';

/** GeneralName alternatives (RFC 5280 section 4.2.1.6), context class, primitive. */
const DNS_NAME = 0x82;
const URI = 0x86;
/** All nine, constructed where they are. A string in constructed form is BER, which OpenSSL would read and we not. */
const GENERAL_NAMES: readonly number[] = [0xa0, 0x81, DNS_NAME, 0xa3, 0xa4, 0xa5, URI, 0x87, 0x88];
const MAX_NAMES = 64;
const MAX_EXTENSIONS = 64;

export interface Extensions {
  /** `URI:` and `DNS:` entries in the order of the certificate. */
  readonly names: readonly string[];
  readonly clientAuthentication: boolean;
}

/** Reads `Extensions ::= SEQUENCE OF Extension`. Throws SP_CERTIFICATE_INVALID. */
export function readExtensions(list: DerReader): Extensions {
  const seen = new Set<string>();
  let names: readonly string[] = [];
  let maySign = true;
  let forClients = false;
  do {
    const extension = list.enter(TAG.sequence, 'extension');
    const identifier = extension.objectIdentifier('extension identifier');
    const critical = extension.defaultFalse('critical flag');
    const value = new DerReader(extension.take(TAG.octetString, 'extension value').content, `extension ${identifier}`);
    extension.end();
    // RFC 5280 section 4.2: not more than one instance. Two would let two readers see two identities.
    if (seen.has(identifier)) throw malformed(`The extension ${identifier} occurs twice.`);
    if (seen.add(identifier).size > MAX_EXTENSIONS)
      throw malformed(`There are more than ${MAX_EXTENSIONS} extensions.`);
    switch (identifier) {
      case SUBJECT_ALTERNATIVE_NAME:
        names = readNames(value);
        break;
      case BASIC_CONSTRAINTS:
        refuseAuthority(value);
        break;
      case KEY_USAGE:
        maySign = readDigitalSignature(value);
        break;
      case EXTENDED_KEY_USAGE:
        forClients = readPurposes(value).has(CLIENT_AUTHENTICATION);
        break;
      default:
        if (critical) throw malformed(`The critical extension ${identifier} is not understood.`);
    }
  } while (!list.atEnd);
  return { names, clientAuthentication: forClients && maySign };
}

/**
 * Only URI and DNS, octet by octet. A NUL is how one parser reads `good.example` and another `good.example\0.evil`; the
 * other controls would reach logs. Other kinds of name never become an identity and are passed over.
 */
function readNames(value: DerReader): readonly string[] {
  const list = value.enter(TAG.sequence, 'subject alternative name');
  value.end();
  const names: string[] = [];
  let count = 0;
  do {
    if (++count > MAX_NAMES) throw malformed(`There are more than ${MAX_NAMES} subject alternative names.`);
    const { tag, content } = list.any();
    if (!GENERAL_NAMES.includes(tag)) throw malformed('A subject alternative name is of no known kind.');
    if (tag !== URI && tag !== DNS_NAME) continue;
    if (content.length === 0 || !content.every((octet) => octet > 0x20 && octet < 0x7f)) {
      throw malformed('A subject alternative name is empty or has other than visible ASCII characters.');
    }
    names.push((tag === URI ? 'URI:' : 'DNS:') + String.fromCharCode(...content));
  } while (!list.atEnd);
  return names;
}

/** RFC 5280 section 4.2.1.9. A device that holds a CA's key could make any other device: it does not get in with it. */
function refuseAuthority(value: DerReader): void {
  const constraints = value.enter(TAG.sequence, 'basic constraints');
  value.end();
  if (constraints.defaultFalse('CA flag')) throw malformed('The certificate is one of a certificate authority.');
  // RFC 5280 section 4.2.1.9: pathLenConstraint only together with cA.
  constraints.end();
}

/** RFC 5280 section 4.2.1.3: bit 0. A key without it cannot prove itself in a TLS 1.3 handshake. */
function readDigitalSignature(value: DerReader): boolean {
  const { content } = value.take(TAG.bitString, 'key usage');
  value.end();
  const [unused, first] = content;
  const last = content[content.length - 1] as number;
  if (unused === undefined || first === undefined || unused > 7 || content.length > 3) {
    throw malformed('The key usage is malformed.');
  }
  // X.690 section 11.2.2: named bits end with a one.
  if ((last & ((1 << (unused + 1)) - 1)) !== 1 << unused) throw malformed('The key usage is not in DER.');
  return (first & 0x80) !== 0;
}

/** RFC 5280 section 4.2.1.12. anyExtendedKeyUsage does not stand for clientAuth: who was meant must be said. */
function readPurposes(value: DerReader): ReadonlySet<string> {
  const list = value.enter(TAG.sequence, 'extended key usage');
  value.end();
  const purposes = new Set<string>();
  do purposes.add(list.objectIdentifier('key purpose'));
  while (!list.atEnd);
  return purposes;
}
