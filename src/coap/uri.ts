/** Path and query between options and text (RFC 7252 section 6.4 and 6.5). What RFC 3986 does not allow in a segment or value is percent-encoded. */

const encoder = new TextEncoder();
/** RFC 3986: unreserved, sub-delims, `:` and `@`. */
const PATH_SAFE = /^[A-Za-z0-9\-._~!$&'()*+,;=:@]*$/;
/** Besides, `/` and `?`; but not `&`, which separates the values. */
const QUERY_SAFE = /^[A-Za-z0-9\-._~!$'()*+,;=:@/?]*$/;

/** `['a', 'b/c']` to `/a/b%2Fc`; none to `/`. */
export function composePath(segments: readonly string[]): string {
  let path = '';
  for (const segment of segments) path += `/${encode(segment, PATH_SAFE)}`;
  return path === '' ? '/' : path;
}

/** `['a=1', 'b&c']` to `a=1&b%26c`. */
export function composeQuery(values: readonly string[]): string {
  return values.map((value) => encode(value, QUERY_SAFE)).join('&');
}

function encode(text: string, safe: RegExp): string {
  if (safe.test(text)) return text;
  let encoded = '';
  for (const byte of encoder.encode(text)) {
    const character = String.fromCharCode(byte);
    encoded += safe.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** `/a/b%2Fc` to its segments; undefined when an escape is broken, is not UTF-8, or a segment is `.` or `..`. */
export function splitPath(path: string): string[] | undefined {
  const trimmed = path.startsWith('/') ? path.slice(1) : path;
  if (trimmed === '') return [];
  return decodeAll(trimmed.split('/'), (segment) => segment !== '.' && segment !== '..');
}

/** `a=1&b%26c` to its values; undefined when an escape is broken. */
export function splitQuery(query: string): string[] | undefined {
  return query === '' ? [] : decodeAll(query.split('&'), () => true);
}

function decodeAll(parts: readonly string[], allowed: (part: string) => boolean): string[] | undefined {
  const decoded: string[] = [];
  for (const part of parts) {
    try {
      decoded.push(decodeURIComponent(part));
    } catch {
      return undefined;
    }
    if (!allowed(decoded[decoded.length - 1] as string)) return undefined;
  }
  return decoded;
}
