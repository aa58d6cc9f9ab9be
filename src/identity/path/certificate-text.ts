/**
 * Certificates and revocation lists as files and fields hold them: DER, PEM with one or more blocks (RFC 7468), or base64 of
 * one DER (RFC 4648 section 4). Strict base64; text around PEM blocks is a comment, another kind of block is a mistake.
 */
import { malformed } from '../der.ts';

export type PemLabel = 'CERTIFICATE' | 'X509 CRL';

/** The DER of everything in a file. Throws SP_CERTIFICATE_INVALID. */
export function dersOfFile(bytes: Uint8Array, label: PemLabel): readonly Uint8Array[] {
  // 0x30 opens a SEQUENCE, and is the digit zero in text: base64 of DER never begins with one.
  if (bytes[0] === 0x30) return [bytes];
  return dersOfText(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'), label);
}

/** The DER of every PEM block, or of the base64 that the text is. Throws SP_CERTIFICATE_INVALID. */
export function dersOfText(text: string, label: PemLabel): readonly Uint8Array[] {
  if (!text.includes('-----')) return [decoded(text)];
  const ders: Uint8Array[] = [];
  let end = 0;
  for (const match of text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END ([A-Z0-9 ]{1,40})-----/g)) {
    const [whole, begin, content = '', closing] = match;
    if (text.slice(end, match.index).includes('-----')) break;
    if (begin !== label || closing !== label) throw malformed(`There is a PEM block that is no ${label}.`);
    ders.push(decoded(content));
    end = match.index + whole.length;
  }
  if (ders.length === 0 || text.slice(end).includes('-----')) throw malformed(`The PEM of a ${label} is broken.`);
  return ders;
}

function decoded(text: string): Uint8Array {
  const digits = text.replace(/[ \t\r\n]+/g, '');
  const bytes = Buffer.from(digits, 'base64');
  // Node passes over what is no base64; what does not come back as it was written is refused.
  if (bytes.length === 0 || bytes.toString('base64') !== digits) throw malformed('The text is neither PEM nor base64.');
  return bytes;
}
