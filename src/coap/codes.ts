/** Message types, methods and response codes as they stand on the wire (RFC 7252 section 12.1, RFC 8132, RFC 8516, RFC 7959, RFC 8768). */

/** IANA "CoAP message types", RFC 7252 section 3. */
export const TYPE = { confirmable: 0, nonConfirmable: 1, acknowledgement: 2, reset: 3 } as const;
export type MessageType = (typeof TYPE)[keyof typeof TYPE];

/** IANA "CoAP Method Codes". */
export const METHOD = {
  GET: 0x01,
  POST: 0x02,
  PUT: 0x03,
  DELETE: 0x04,
  FETCH: 0x05,
  PATCH: 0x06,
  iPATCH: 0x07,
} as const;
export type Method = keyof typeof METHOD;
/** By code; index 0 is no method. */
export const METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'DELETE', 'FETCH', 'PATCH', 'iPATCH'];

/** IANA "CoAP Response Codes": class in the upper three bits, detail in the lower five. */
export const CODE = {
  empty: 0x00,
  created: 0x41,
  deleted: 0x42,
  valid: 0x43,
  changed: 0x44,
  content: 0x45,
  continue: 0x5f,
  badRequest: 0x80,
  unauthorized: 0x81,
  badOption: 0x82,
  forbidden: 0x83,
  notFound: 0x84,
  methodNotAllowed: 0x85,
  notAcceptable: 0x86,
  requestEntityIncomplete: 0x88,
  conflict: 0x89,
  preconditionFailed: 0x8c,
  requestEntityTooLarge: 0x8d,
  unsupportedContentFormat: 0x8f,
  unprocessableEntity: 0x96,
  tooManyRequests: 0x9d,
  internalServerError: 0xa0,
  notImplemented: 0xa1,
  badGateway: 0xa2,
  serviceUnavailable: 0xa3,
  gatewayTimeout: 0xa4,
  proxyingNotSupported: 0xa5,
  hopLimitReached: 0xa8,
} as const;

/** 1.xx, 6.xx and 7.xx are reserved (RFC 7252 section 3); 3.xx never became a response class. */
export function isRequestCode(code: number): boolean {
  return code > 0 && code < 0x20;
}
export function isResponseCode(code: number): boolean {
  const kind = code >> 5;
  return kind === 2 || kind === 4 || kind === 5;
}
export function isSuccess(code: number): boolean {
  return code >> 5 === 2;
}

/** `2.05`. */
export function codeText(code: number): string {
  return `${code >> 5}.${String(code & 0x1f).padStart(2, '0')}`;
}
