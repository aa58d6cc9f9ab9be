/** What OpenSSL and the system call an error, as a code of the catalogue. The text is for the operator's log only. */
import { Fault } from '../faults/fault.ts';

/**
 * @param error what ended the request
 * @param started true from the moment before its first byte was written: then the upstream was reached
 * @param upstream its name, for the log
 */
export function upstreamFault(error: unknown, started: boolean, upstream: string): Fault {
  if (error instanceof Fault) return error;
  const options = { cause: error, details: { upstream, reason: codeOf(error) } };
  if (!started) return new Fault('SP_UPSTREAM_UNREACHABLE', undefined, options);
  switch (codeOf(error)) {
    case 'ECONNRESET':
    case 'EPIPE':
      return new Fault('SP_UPSTREAM_RESPONSE', 'The upstream closed before its answer was complete.', options);
    default:
      return new Fault('SP_UPSTREAM_RESPONSE', undefined, options);
  }
}

/** True for a failure to connect that a second try at once may not meet: a listener's full queue, a restart, a stale socket. */
export function isPassing(error: unknown): boolean {
  return PASSING.has(codeOf(error));
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

const PASSING: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE']);
