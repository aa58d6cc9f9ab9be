/** What Node's parser (llhttp) and its timers report, as faults of the catalogue. */
import type { FaultCode } from '../../faults/catalogue.ts';

/** Undefined: nobody did anything wrong in HTTP, the connection just ended. */
export function parserFault(error: NodeJS.ErrnoException): FaultCode | undefined {
  const { code = '' } = error;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'SP_HTTP_TIMEOUT';
  if (ENDS.has(code) || !code.startsWith('HPE_')) return undefined;
  return FAULTS.get(code) ?? 'SP_HTTP_SYNTAX';
}

const FAULTS: ReadonlyMap<string, FaultCode> = new Map([
  ['HPE_INVALID_VERSION', 'SP_HTTP_VERSION'],
  // The preface of HTTP/2 (RFC 9113 section 3.4).
  ['HPE_PAUSED_H2_UPGRADE', 'SP_HTTP_VERSION'],
  ['HPE_INVALID_URL', 'SP_HTTP_TARGET'],
  ['HPE_HEADER_OVERFLOW', 'SP_HTTP_HEADERS_TOO_LARGE'],
  ['HPE_INVALID_HEADER_TOKEN', 'SP_HTTP_HEADER'],
  ['HPE_UNEXPECTED_SPACE', 'SP_HTTP_HEADER'],
  ['HPE_INVALID_CONTENT_LENGTH', 'SP_HTTP_FRAMING'],
  ['HPE_UNEXPECTED_CONTENT_LENGTH', 'SP_HTTP_FRAMING'],
  ['HPE_INVALID_TRANSFER_ENCODING', 'SP_HTTP_FRAMING'],
  ['HPE_INVALID_CHUNK_SIZE', 'SP_HTTP_FRAMING'],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 'SP_HTTP_FRAMING'],
]);

/** The peer closed in the middle of a request, or sent something behind one that it had announced as its last. */
const ENDS: ReadonlySet<string> = new Set(['HPE_INVALID_EOF_STATE', 'HPE_CLOSED_CONNECTION']);
