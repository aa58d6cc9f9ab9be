/** From what a caller asks to code and options; blocks, Observe and tokens are added per message by client-exchange.ts. RFC 7252 section 5.10. */
import type { CoapOption, OutgoingRequest, ReceivedResponse } from './api.ts';
import { type CoapMessage, NOTHING } from './codec.ts';
import { METHOD } from './codes.ts';
import { CoapError } from './error.ts';
import { locationOf } from './incoming-request.ts';
import { findOption, findUint, OPTION, opaqueOption, textOption, uintOption } from './option-table.ts';

/** Options of a request that the library sets itself. */
const OWN: ReadonlySet<number> = new Set([
  OPTION.observe,
  OPTION.block1,
  OPTION.block2,
  OPTION.size1,
  OPTION.size2,
  OPTION.echo,
  OPTION.noResponse,
]);

/** Proxy-Uri and Proxy-Scheme are for open forward proxies; we address the server itself. */
const REFUSED: ReadonlySet<number> = new Set([OPTION.proxyUri, OPTION.proxyScheme]);

/**
 * The options of the operation.
 * @throws CoapError `invalid-message` when one cannot be written.
 */
export function operationOptions(request: OutgoingRequest): CoapOption[] {
  if (METHOD[request.method] === undefined) throw new CoapError('invalid-message', 'no such method');
  const options: CoapOption[] = [];
  for (const tag of request.ifMatch ?? []) options.push(opaqueOption(OPTION.ifMatch, tag));
  if (request.uriHost !== undefined) options.push(textOption(OPTION.uriHost, request.uriHost));
  for (const tag of request.etags ?? []) options.push(opaqueOption(OPTION.etag, tag));
  if (request.ifNoneMatch === true) options.push({ number: OPTION.ifNoneMatch, value: NOTHING });
  if (request.uriPort !== undefined) options.push(shortOption(OPTION.uriPort, request.uriPort));
  for (const segment of request.pathSegments ?? []) {
    if (segment === '.' || segment === '..') throw new CoapError('invalid-message', 'no segment may be . or ..');
    options.push(textOption(OPTION.uriPath, segment));
  }
  if (request.contentFormat !== undefined) options.push(shortOption(OPTION.contentFormat, request.contentFormat));
  for (const value of request.queries ?? []) options.push(textOption(OPTION.uriQuery, value));
  if (request.accept !== undefined) options.push(shortOption(OPTION.accept, request.accept));
  if (request.noResponse !== undefined) {
    if (request.noResponse > 0xff) throw new CoapError('invalid-message', 'No-Response is a mask of 8 bits');
    options.push(uintOption(OPTION.noResponse, request.noResponse));
  }
  for (const option of request.options ?? []) {
    if (OWN.has(option.number) || REFUSED.has(option.number))
      throw new CoapError('invalid-message', `option ${option.number} belongs to the library`);
    options.push(option);
  }
  return options.sort((one, other) => one.number - other.number);
}

function shortOption(number: number, value: number): CoapOption {
  if (value > 0xffff) throw new CoapError('invalid-message', `option ${number} takes a number of 16 bits`);
  return uintOption(number, value);
}

const DEFAULT_MAX_AGE_S = 60;

/**
 * What the caller sees of a response. Copies everything.
 * @returns undefined when a location is not UTF-8.
 */
export function receivedResponse(message: CoapMessage, payload: Uint8Array): ReceivedResponse | undefined {
  const location = locationOf(message.options);
  if (location === undefined) return undefined;
  const etag = findOption(message.options, OPTION.etag);
  return {
    code: message.code,
    payload,
    contentFormat: findUint(message.options, OPTION.contentFormat),
    maxAgeS: findUint(message.options, OPTION.maxAge) ?? DEFAULT_MAX_AGE_S,
    etag: etag?.slice(),
    locationPath: location.path,
    locationQuery: location.query,
    options: message.options.map(({ number, value }) => ({ number, value: value.slice() })),
  };
}
