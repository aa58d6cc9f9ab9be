/**
 * A CoAP request as an arrival has it: verb, path, query, headers and body in the one spelling that policy knows from HTTP
 * (RFC 7252 section 6.5, RFC 8075 section 6). Leaves out FETCH, which HTTP has no counterpart of, and Uri-Host: the gateway
 * alone says where a message goes.
 */
import type { CoapRequest } from '../../coap/api.ts';
import { httpRequestOf } from '../../coap/http-mapping.ts';
import type { Arrival } from '../../exchange/arrival.ts';
import { EMPTY_BODY } from '../../exchange/body.ts';
import { Fault } from '../../faults/fault.ts';
import { checkTarget } from '../https/check-target.ts';

export type CheckedCoap = Pick<
  Arrival,
  'verb' | 'path' | 'query' | 'targetDevice' | 'headers' | 'contentType' | 'body'
>;

const JSON_TYPE = 'application/json';
const OBJECT = 0x7b;
const ARRAY = 0x5b;

/** Throws SP_COAP_METHOD, SP_COAP_TARGET. @param maxTargetBytes limits.targetBytes */
export function checkCoapRequest(request: CoapRequest<unknown>, maxTargetBytes: number): CheckedCoap {
  const mapped = httpRequestOf(request);
  if (mapped === undefined) throw new Fault('SP_COAP_METHOD');
  const { path, query, targetDevice } = targetOf(mapped.target, maxTargetBytes);
  // RFC 7252 section 5.8.1: a payload of a GET means nothing.
  const bodiless = request.payload.length === 0 || request.method === 'GET';
  const declared = mapped.headers.find(([name]) => name === 'content-type')?.[1];
  const type = bodiless ? undefined : (declared ?? guessedType(request.payload));
  const headers = mapped.headers.filter(([name]) => name !== 'content-type');
  return {
    verb: mapped.method,
    path,
    query,
    ...(targetDevice !== undefined && { targetDevice }),
    headers: type === undefined ? headers : [['content-type', type], ...headers],
    contentType: type === undefined ? '' : essenceOf(type),
    body: bodiless ? EMPTY_BODY : { kind: 'bytes', bytes: request.payload },
  };
}

/** The same judgement as for HTTP: a path that two servers could read differently is none. */
function targetOf(target: string, maxBytes: number) {
  try {
    return checkTarget(target, maxBytes);
  } catch (thrown) {
    const { details } = Fault.from(thrown);
    throw new Fault('SP_COAP_TARGET', undefined, { ...(details && { details }) });
  }
}

/**
 * RFC 7252 section 5.5.1: without Content-Format the format is indeterminate. Small devices often leave it out; what begins as
 * JSON does is taken for JSON, and then has to be JSON strictly. Anything else stays without a type.
 */
export function guessedType(payload: Uint8Array): string | undefined {
  for (const octet of payload) {
    if (octet === 0x20 || octet === 0x09 || octet === 0x0a || octet === 0x0d) continue;
    return octet === OBJECT || octet === ARRAY ? JSON_TYPE : undefined;
  }
  return undefined;
}

function essenceOf(type: string): string {
  const end = type.indexOf(';');
  return end < 0 ? type : type.slice(0, end);
}
