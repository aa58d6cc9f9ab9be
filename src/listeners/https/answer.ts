/**
 * Outcome -> HTTP response (RFC 9110, problem documents by RFC 9457). A refusal says the reason and the decision's id and
 * nothing else: what the policy looked at is for the operator. Leaves out the writing, see write-answer.ts.
 */
import { STATUS_CODES } from 'node:http';
import type { Body } from '../../exchange/arrival.ts';
import type { Outcome } from '../../exchange/outcome.ts';
import { SealedReply } from '../../exchange/sealed.ts';
import { entryOf, type FaultCode, type Reason } from '../../faults/catalogue.ts';
import { METHODS } from './check-request.ts';

export interface Answer {
  readonly status: number;
  /** Names and values by turns. Without Date, Connection and the framing, which belong to the writer. */
  readonly headers: readonly string[];
  readonly body: Body;
  /** The connection ends with this answer. */
  readonly close: boolean;
}

/** What the device is told of an exchange. Undefined: the device has left, there is nobody to tell. */
export function answerOf(outcome: Outcome): Answer | undefined {
  if (outcome.kind === 'denied') return problem(outcome.reason, outcome.decision);
  if (outcome.kind === 'failed') {
    const { code } = outcome.fault;
    return code === 'SP_EXCHANGE_CANCELLED' ? undefined : problem(code, outcome.decision);
  }
  const { status, headers, contentType, body } = SealedReply.assert(outcome.reply).reply;
  // RFC 9110 section 15.2: 1xx is not an answer, and 101 would be the end of HTTP on a connection that asked for none.
  if (status < 200 || status > 599) return problem('SP_UPSTREAM_RESPONSE', outcome.decision);
  const kept: string[] = [];
  let typed = false;
  for (const [name, value] of headers) {
    // A name or value that is not clean would let the cloud write a response of its own behind this one.
    if (!NAME.test(name) || !VALUE.test(value)) return problem('SP_UPSTREAM_RESPONSE', outcome.decision);
    if (OWN_FIELDS.has(name)) continue;
    if (name === 'content-type') typed = true;
    kept.push(name, value);
  }
  if (!typed && contentType !== '') {
    if (!VALUE.test(contentType)) return problem('SP_UPSTREAM_RESPONSE', outcome.decision);
    kept.push('content-type', contentType);
  }
  return { status, headers: kept, body, close: false };
}

/** The problem document of a denial or fault. */
export function problem(code: Reason | FaultCode, decision: string): Answer {
  const { http: status, title } = entryOf(code).faces;
  const reason = code;
  const document = JSON.stringify({ type: `urn:sallyport:reason:${reason}`, title, status, reason, decision });
  const headers = ['content-type', 'application/problem+json', 'cache-control', 'no-store'];
  if (status === 405) headers.push('allow', ALLOW);
  if (status === 429 || status === 503) headers.push('retry-after', RETRY_AFTER_SECONDS);
  // Who sent one unreadable request is not followed to the next: the two may disagree about where it begins.
  return { status, headers, body: { kind: 'bytes', bytes: Buffer.from(document) }, close: CLOSING.has(status) };
}

/** The answer as bytes, for a socket that no HTTP server owns any more. It announces that the connection ends. */
export function rawAnswer(answer: Answer): Buffer {
  const { status, headers, body } = answer;
  const content = body.kind === 'bytes' ? body.bytes : new Uint8Array();
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nDate: ${new Date().toUTCString()}\r\nConnection: close\r\n`;
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  head += `Content-Length: ${content.byteLength}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), content]);
}

/** True if a response of this status to this method has no content (RFC 9110 sections 9.3.2, 15.3.5, 15.4.5). */
export function isBodiless(verb: string, status: number): boolean {
  return verb === 'HEAD' || status === 204 || status === 205 || status === 304;
}

const NAME = /^[A-Za-z0-9-]+$/;
const VALUE = /^[\t\x20-\x7e]*$/;
const ALLOW = [...METHODS].join(', ');
const RETRY_AFTER_SECONDS = '1';
const CLOSING: ReadonlySet<number> = new Set([400, 405, 408, 417, 431]);
/** Fields that only the writer sets: framing and this hop (RFC 9110 section 7.6.1), and what names the software. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  ...['connection', 'content-length', 'date', 'keep-alive', 'proxy-authenticate', 'proxy-connection', 'server', 'te'],
  ...['trailer', 'transfer-encoding', 'upgrade', 'via', 'x-powered-by'],
]);
