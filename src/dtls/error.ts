/** The one error the library throws or rejects with: misuse by the caller, or a handshake that ended. Peers never cause a throw. */
import type { CloseReason } from './stats.ts';

export type DtlsMisuse = 'option-invalid' | 'key-unreadable' | 'session-closed' | 'export-label' | 'self-test';

export class DtlsError extends Error {
  readonly code: CloseReason | DtlsMisuse;
  constructor(code: CloseReason | DtlsMisuse, message: string) {
    super(message);
    this.name = 'DtlsError';
    this.code = code;
  }
}
