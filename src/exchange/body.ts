/** The payload of a message, as far as it has been read. */

export type Body =
  | { readonly kind: 'empty' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Larger than limits.inspectedBodyBytes. Read at most once; the listener bounds it. */
  | { readonly kind: 'stream'; readonly stream: AsyncIterable<Uint8Array>; readonly length: number | undefined };

export const EMPTY_BODY: Body = { kind: 'empty' };
