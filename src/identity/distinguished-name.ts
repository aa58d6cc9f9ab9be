/**
 * A distinguished name as text (RFC 4514), injective on what it prints: one certificate issuer, one string. Written so that
 * it can stand in a log line: controls, bidirectional marks and everything else beyond ASCII is escaped octet by octet.
 */
import { type DerReader, malformed, TAG } from './der.ts';

/** RFC 4514 section 3, and serialNumber and organizationIdentifier, which device makers use. */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.97', 'organizationIdentifier'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
]);

/** More than any real name has; the size limit of the certificate bounds the rest. */
const MAX_ATTRIBUTES = 64;

/** Reads `Name ::= SEQUENCE OF SET OF AttributeTypeAndValue` (RFC 5280 section 4.1.2.4). Throws SP_CERTIFICATE_INVALID. */
export function distinguishedName(reader: DerReader, field: string): string {
  const sequence = reader.enter(TAG.sequence, field);
  const relatives: string[] = [];
  let count = 0;
  while (!sequence.atEnd) {
    const set = sequence.enter(TAG.set, field);
    const attributes: string[] = [];
    do {
      if (++count > MAX_ATTRIBUTES) throw malformed(`The ${field} has more than ${MAX_ATTRIBUTES} attributes.`);
      attributes.push(attribute(set, field));
    } while (!set.atEnd);
    relatives.push(attributes.join('+'));
  }
  // RFC 4514 section 2.1: starting with the last element.
  return relatives.reverse().join(',');
}

function attribute(set: DerReader, field: string): string {
  const pair = set.enter(TAG.sequence, field);
  const type = pair.objectIdentifier(`${field} attribute`);
  const value = pair.any();
  pair.end();
  const name = SHORT_NAMES.get(type);
  const isText = value.tag === TAG.utf8String || value.tag === TAG.printableString || value.tag === TAG.ia5String;
  // RFC 4514 section 2.4: a type without a short name, or a string in an encoding that RFC 4514 cannot print, goes as hex.
  return name !== undefined && isText ? `${name}=${escaped(value.content)}` : `${name ?? type}=#${hex(value.whole)}`;
}

/** RFC 4514 section 2.4; octets outside printable ASCII as `\XX`, so that two different values never look the same. */
function escaped(octets: Uint8Array): string {
  let text = '';
  for (let index = 0; index < octets.length; index++) {
    const octet = octets[index] as number;
    const character = String.fromCharCode(octet);
    const atEdge = index === 0 || index === octets.length - 1;
    if (octet < 0x20 || octet > 0x7e) text += `\\${octet.toString(16).padStart(2, '0').toUpperCase()}`;
    else if ('"+,;<>\\='.includes(character) || (atEdge && character === ' ') || (index === 0 && character === '#')) {
      text += `\\${character}`;
    } else text += character;
  }
  return text;
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('hex');
}
