/**
 * GeneralName (RFC 5280 section 4.2.1.6) as it stands in alternative names and, with other rules for the value, in name
 * constraints (section 4.2.1.10). Kinds that no constraint can be checked against are kept by kind alone.
 */
import { DerReader, type Element, malformed, TAG } from '../der.ts';
import { type DirectoryName, readDirectoryName } from './directory-name.ts';

export type GeneralName =
  | { readonly kind: 'dns' | 'email' | 'uri'; readonly value: string }
  | { readonly kind: 'address'; readonly octets: Uint8Array }
  | { readonly kind: 'directory'; readonly name: DirectoryName }
  | { readonly kind: 'other'; readonly type: string };

/** One element as a name. `text` and `octets` say what the value has to be. Throws SP_CERTIFICATE_INVALID. */
export function readGeneralName({ tag, content }: Element, place: 'name' | 'constraint'): GeneralName {
  switch (tag) {
    case 0x81:
      return { kind: 'email', value: visible(content, place) };
    case 0x82:
      return { kind: 'dns', value: visible(content, place) };
    case 0x86:
      return { kind: 'uri', value: visible(content, place) };
    case 0x87: {
      // An address alone, or followed by a mask of its length.
      const lengths = place === 'name' ? [4, 16] : [8, 32];
      if (!lengths.includes(content.length)) throw malformed('An IP address has the wrong length.');
      return { kind: 'address', octets: content };
    }
    case 0xa4: {
      const explicit = new DerReader(content, 'directory name');
      const name = readDirectoryName(explicit, 'directory name');
      explicit.end();
      return { kind: 'directory', name };
    }
    case 0xa0: {
      const other = new DerReader(content, 'other name');
      const type = other.objectIdentifier('type of an other name');
      const value = other.enter(0xa0, 'value of an other name');
      other.end();
      value.any();
      value.end();
      return { kind: 'other', type };
    }
    case 0x88: {
      const identifier = Buffer.concat([Buffer.from([TAG.objectIdentifier, content.length]), content]);
      const registered = new DerReader(identifier, 'registered identifier');
      const type = registered.objectIdentifier('registered identifier');
      registered.end();
      return { kind: 'other', type };
    }
    default:
      // x400Address and ediPartyName among them: nobody has seen one, and OpenSSL reads into them.
      throw malformed('A name is of no kind that is known here.');
  }
}

/** Reads `GeneralNames ::= SEQUENCE SIZE (1..MAX)`. Throws SP_CERTIFICATE_INVALID. */
export function readGeneralNames(value: DerReader, maxNames: number): readonly GeneralName[] {
  const list = value.enter(TAG.sequence, 'alternative name');
  value.end();
  const names: GeneralName[] = [];
  do {
    if (names.length === maxNames) throw malformed(`There are more than ${maxNames} alternative names.`);
    names.push(readGeneralName(list.any(), 'name'));
  } while (!list.atEnd);
  return names;
}

/** Visible ASCII: a NUL or a space is where two readers of the same name part. A constraint may be empty. */
function visible(content: Uint8Array, place: 'name' | 'constraint'): string {
  if (content.length === 0 && place === 'name') throw malformed('A name is empty.');
  for (const octet of content) {
    if (octet <= 0x20 || octet >= 0x7f) throw malformed('A name has other than visible ASCII characters.');
  }
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1');
}
