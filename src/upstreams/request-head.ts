/**
 * The request as it is written to an upstream (RFC 9112 section 3): made anew from the sealed message, never copied. The
 * privacy rule chose the headers; what frames a message or names a sender is refused here once more, whatever chose it.
 */
import type { Message } from '../exchange/message.ts';
import { Fault } from '../faults/fault.ts';

export interface RequestHead {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Name, value, name, value. Host and Content-Length are the connection's to add. */
  readonly headers: string[];
}

/**
 * @param decision id of the decision, so that the cloud's log and ours can be laid side by side
 * Throws SP_HTTP_METHOD, SP_HTTP_TARGET or SP_HTTP_HEADER.
 */
export function requestHead(message: Message, decision: string): RequestHead {
  const { verb, path, query, contentType } = message;
  if (!METHODS.has(verb)) throw new Fault('SP_HTTP_METHOD');
  // A second slash would be an authority to some readers.
  if (!CLEAN_PATH.test(path) || !CLEAN_QUERY.test(query)) throw new Fault('SP_HTTP_TARGET');
  const headers = [DECISION, decision, 'accept-encoding', 'identity'];
  let fullContentType: string | undefined;
  let accept = '*/*';
  const nominated = nominatedBy(message.headers);
  for (const [name, value] of message.headers) {
    if (!mayPass(name) || nominated?.has(name)) continue;
    // CR or LF here would be a header of the attacker's own.
    if (!CLEAN_VALUE.test(value)) throw new Fault('SP_HTTP_HEADER', `The value of ${name} has control characters.`);
    if (name === 'content-type') fullContentType ??= value;
    else if (name === 'accept') accept = value;
    else headers.push(name, value);
  }
  headers.push('accept', accept);
  if (contentType !== '' && message.body.kind !== 'empty') {
    // The parameters (a boundary, a charset) only if they stand behind the type that policy saw.
    const matches = fullContentType?.split(';', 1)[0]?.trim().toLowerCase() === contentType;
    const value = matches ? (fullContentType as string) : contentType;
    if (!CLEAN_VALUE.test(value)) throw new Fault('SP_HTTP_HEADER', 'The content type has control characters.');
    headers.push('content-type', value);
  }
  return { method: verb, target: query === '' ? path : `${path}?${query}`, headers };
}

/** RFC 9110 section 7.6.1: what Connection names belongs to one hop. The listener removed it; rarely is there anything left. */
function nominatedBy(headers: Message['headers']): Set<string> | undefined {
  let names: Set<string> | undefined;
  for (const [name, value] of headers) {
    if (name !== 'connection') continue;
    names ??= new Set();
    for (const token of value.split(',')) names.add(token.trim().toLowerCase());
  }
  return names;
}

function mayPass(name: string): boolean {
  return CLEAN_NAME.test(name) && !NEVER_SENT.has(name) && !NEVER_SENT_PREFIX.test(name);
}

/** Names the exchange towards the upstream; a device cannot send one of its own. */
export const DECISION = 'sallyport-decision';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** Visible ASCII; in the path neither `?` nor `#`, in the query no `#`. */
const CLEAN_PATH = /^\/(?!\/)[!"$->@-~]*$/;
const CLEAN_QUERY = /^[!"$-~]*$/;
/** RFC 9110 section 5.5, without obs-text. */
const CLEAN_VALUE = /^[\t -~]*$/;
/** Of the tokens only letters, digits and hyphen: X_Device and X.Device are X-Device to many a backend. */
const CLEAN_NAME = /^[a-z0-9-]+$/;

/**
 * Framing, one hop's business, or ours to say; and what backends believe of a proxy in front of them: another method or
 * path than the one that policy saw (x-http-method-override, x-original-url), another sender (x-real-ip, client-cert of
 * RFC 9440, x-remote-user). Under `unchanged` a device could name itself as it likes.
 */
const NEVER_SENT: ReadonlySet<string> = new Set([
  'accept-encoding',
  'alt-used',
  'client-ip',
  'connection',
  'content-length',
  'expect',
  'fastly-client-ip',
  'forwarded',
  'front-end-https',
  'host',
  'http2-settings',
  'keep-alive',
  'max-forwards',
  'remote-user',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
  'x-cluster-client-ip',
  'x-device-id',
  'x-host',
  'x-method-override',
]);
/** Beginnings of names of the same kinds, each with whatever follows. */
const NEVER_SENT_PREFIX = new RegExp(
  `^(?:${[
    ...['proxy-', 'sallyport-', 'sec-websocket-'],
    ...['x-http-method', 'x-original-', 'x-rewrite-', 'x-middleware-'],
    ...[
      'x-forwarded',
      'x-real-',
      'x-client-ip',
      'true-client-',
      'cf-',
      'x-azure-',
      'x-appengine-',
      'x-envoy-',
      'x-amz',
    ],
    ...[
      'client-cert',
      'x-client-cert',
      'x-client-dn',
      'x-client-verify',
      'ssl-client',
      'x-ssl-',
      'x-tls-client',
      'x-arr-',
    ],
    ...[
      'x-authenticated',
      'x-auth-request-',
      'x-remote-',
      'x-webauth-',
      'x-goog-authenticated-',
      'x-goog-iap-',
      'x-ms-client-',
    ],
  ].join('|')})`,
);
