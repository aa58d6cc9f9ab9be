/** IANA "CoAP Content-Formats" and the media types they stand for (RFC 7252 section 12.3, RFC 8075 section 6). */

const FORMATS: ReadonlyMap<number, string> = new Map([
  [0, 'text/plain;charset=utf-8'],
  [40, 'application/link-format'],
  [41, 'application/xml'],
  [42, 'application/octet-stream'],
  [47, 'application/exi'],
  [50, 'application/json'],
  [51, 'application/json-patch+json'],
  [52, 'application/merge-patch+json'],
  [60, 'application/cbor'],
  [61, 'application/cwt'],
  [62, 'application/multipart-core'],
  [63, 'application/cbor-seq'],
  [110, 'application/senml+json'],
  [111, 'application/sensml+json'],
  [112, 'application/senml+cbor'],
  [113, 'application/sensml+cbor'],
  [256, 'application/problem-details+json'],
  [257, 'application/concise-problem-details+cbor'],
  [310, 'application/senml+xml'],
  [311, 'application/sensml+xml'],
  [320, 'application/senml-etch+json'],
  [322, 'application/senml-etch+cbor'],
]);

const NUMBERS: ReadonlyMap<string, number> = new Map([...FORMATS].map(([number, type]) => [type, number]));

export const CONTENT_FORMAT = {
  text: 0,
  linkFormat: 40,
  octetStream: 42,
  json: 50,
  cbor: 60,
  senmlJson: 110,
  senmlCbor: 112,
} as const;

/** RFC 8075 section 6.2: formats without a media type of their own travel as `application/coap-payload;cf=N`. */
export function mediaTypeOf(contentFormat: number): string {
  return FORMATS.get(contentFormat) ?? `application/coap-payload;cf=${contentFormat}`;
}

/**
 * The number for a media type. Type, subtype and charset in any case; `charset=utf-8` on a type that is UTF-8 anyway says nothing;
 * any other parameter changes the meaning, so it has no number.
 * @returns undefined when there is none (RFC 8075 section 6.3 leaves what to do to the proxy: refuse).
 */
export function contentFormatOf(mediaType: string): number | undefined {
  const parts = mediaType.split(';').map((part) => part.trim().toLowerCase());
  const type = parts.shift() ?? '';
  const parameters = parts.filter((part) => part !== '');
  if (type === 'application/coap-payload') {
    const number = /^cf="?(\d{1,5})"?$/.exec(parameters[0] ?? '')?.[1];
    return parameters.length === 1 && number !== undefined && Number(number) <= 0xffff ? Number(number) : undefined;
  }
  const utf8 = parameters.every((parameter) => /^charset="?utf-8"?$/.test(parameter));
  if (!utf8) return undefined;
  // RFC 2046 says US-ASCII when nothing is said, and ASCII is UTF-8.
  if (type === 'text/plain') return 0;
  if (parameters.length > 0 && !/[/+](?:json|xml|link-format)$/.test(type)) return undefined;
  return NUMBERS.get(type);
}
