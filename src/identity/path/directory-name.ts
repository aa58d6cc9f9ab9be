/**
 * Names of subjects and issuers in a form that can be compared (RFC 5280 section 7.1): text of any ASCII-compatible string
 * type, white space trimmed and collapsed, ASCII letters without case. Letters beyond ASCII and old string types are compared
 * octet by octet, so two names may stay different here that StringPrep would make equal, never the reverse.
 */
import { type DerReader, malformed, TAG } from '../der.ts';

export interface DirectoryName {
  /** One string per relative distinguished name, equal exactly when the names match. */
  readonly relative: readonly string[];
  /** All of them: the key that certificates are looked up by. */
  readonly key: string;
  /** False if a part was compared octet by octet: an excluded subtree cannot be told from it with certainty. */
  readonly exact: boolean;
  /** Values of emailAddress (RFC 2985), which name constraints treat as rfc822Name. */
  readonly emails: readonly string[];
  readonly commonNames: readonly string[];
}

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1';
const COMMON_NAME = '2.5.4.3';
/**
 * What an attribute may be beside text: NumericString, TeletexString, BIT STRING, UniversalString, BMPString, each with the
 * octets of one character. OpenSSL takes no others.
 */
const OTHER_TYPES: Readonly<Record<number, number>> = { 18: 1, 20: 1, 3: 1, 28: 4, 30: 2 };
const MAX_ATTRIBUTES = 64;
/** Beyond this nobody's name goes, and folding stays cheap. Octets. */
const MAX_VALUE_BYTES = 4_096;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads `Name ::= SEQUENCE OF SET OF AttributeTypeAndValue`. Throws SP_CERTIFICATE_INVALID. */
export function readDirectoryName(reader: DerReader, field: string): DirectoryName {
  const relative: string[] = [];
  const emails: string[] = [];
  const commonNames: string[] = [];
  let exact = true;
  let count = 0;
  const sequence = reader.enter(TAG.sequence, field);
  while (!sequence.atEnd) {
    const set = sequence.enter(TAG.set, field);
    const attributes: string[] = [];
    do {
      if (++count > MAX_ATTRIBUTES) throw malformed(`The ${field} has more than ${MAX_ATTRIBUTES} attributes.`);
      const pair = set.enter(TAG.sequence, field);
      const type = pair.objectIdentifier(`${field} attribute`);
      const { tag, content } = pair.any();
      pair.end();
      const text = asText(tag, content, field);
      if (text !== undefined && type === EMAIL_ADDRESS) emails.push(text);
      if (text !== undefined && type === COMMON_NAME) commonNames.push(text);
      if (text === undefined || /[^\x00-\x7f]/.test(text)) exact = false;
      const value = text === undefined ? `${tag}#${Buffer.from(content).toString('hex')}` : `t${folded(text)}`;
      // The length in front makes the joined text injective whatever the value holds.
      attributes.push(`${type}=${value.length}:${value}`);
    } while (!set.atEnd);
    relative.push(attributes.length === 1 ? (attributes[0] as string) : attributes.sort().join('+'));
  }
  return { relative, key: relative.join(','), exact, emails, commonNames };
}

/** True if `name` is `base` or stands below it (RFC 5280 section 4.2.1.10). */
export function isWithin(name: DirectoryName, base: DirectoryName): boolean {
  return base.relative.every((one, index) => name.relative[index] === one);
}

function asText(tag: number, content: Uint8Array, field: string): string | undefined {
  if (content.length > MAX_VALUE_BYTES) throw malformed(`An attribute of the ${field} is too long.`);
  if (tag === TAG.utf8String) {
    try {
      return utf8.decode(content);
    } catch (thrown) {
      throw malformed(`An attribute of the ${field} is not UTF-8.`, thrown);
    }
  }
  if (tag !== TAG.printableString && tag !== TAG.ia5String) {
    const width = OTHER_TYPES[tag];
    if (width === undefined || content.length % width !== 0)
      throw malformed(`An attribute of the ${field} is no string.`);
    return undefined;
  }
  if (content.some((octet) => octet > 0x7f)) throw malformed(`An attribute of the ${field} is not ASCII.`);
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1');
}

function folded(text: string): string {
  return text
    .replace(/[\t-\r ]+/g, ' ')
    .replace(/^ | $/g, '')
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
