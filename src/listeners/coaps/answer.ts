/**
 * Outcome -> CoAP response (RFC 7252 section 5.9, RFC 8075 section 7). A refusal carries its reason and the decision's id as
 * diagnostic payload (RFC 7252 section 5.5.2) and nothing else.
 */
import type { CoapResponse } from '../../coap/api.ts';
import type { Method } from '../../coap/codes.ts';
import { coapResponseOf } from '../../coap/http-mapping.ts';
import type { Body } from '../../exchange/arrival.ts';
import type { Outcome } from '../../exchange/outcome.ts';
import { SealedReply } from '../../exchange/sealed.ts';
import { entryOf, type FaultCode, type Reason } from '../../faults/catalogue.ts';
import { Fault } from '../../faults/fault.ts';

const RETRY_AFTER_S = 1;
const TOO_MANY_REQUESTS = 0x9d;
const SERVICE_UNAVAILABLE = 0xa3;
const encoder = new TextEncoder();

/** What the device is told of an exchange. @param maxBytes the largest answer that is held for it. Throws SP_UPSTREAM_*. */
export async function coapAnswer(outcome: Outcome, method: Method, maxBytes: number): Promise<CoapResponse> {
  if (outcome.kind === 'denied') return refusal(outcome.reason, outcome.decision);
  if (outcome.kind === 'failed') return refusal(outcome.fault.code, outcome.decision);
  const { status, headers, contentType, body } = SealedReply.assert(outcome.reply).reply;
  // RFC 9110 section 15.2: 1xx is not an answer.
  if (status < 200 || status > 599) return refusal('SP_UPSTREAM_RESPONSE', outcome.decision);
  const fields = new Map(headers);
  if (contentType !== '' && !fields.has('content-type')) fields.set('content-type', contentType);
  try {
    return coapResponseOf(status, fields, method, await whole(body, maxBytes));
  } catch (thrown) {
    return refusal(Fault.from(thrown).code, outcome.decision);
  }
}

/** The refusal of a denial or a fault: `4.03`, payload `no-route 0198c1d2-…`. */
export function refusal(code: Reason | FaultCode, decision: string): CoapResponse {
  const [kind, detail] = entryOf(code).faces.coap.split('.');
  const number = (Number(kind) << 5) | Number(detail);
  const later = number === TOO_MANY_REQUESTS || number === SERVICE_UNAVAILABLE;
  return {
    code: number,
    payload: encoder.encode(`${code} ${decision}`),
    ...(later && { maxAgeS: RETRY_AFTER_S }),
  };
}

/** A device's answer is sent in blocks from memory, so it is read to its end first. */
async function whole(body: Body, maxBytes: number): Promise<Uint8Array> {
  if (body.kind === 'empty') return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const take = (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new Fault('SP_UPSTREAM_TOO_LARGE');
    chunks.push(chunk);
  };
  if (body.kind === 'bytes') take(body.bytes);
  else for await (const chunk of body.stream) take(chunk);
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
}
