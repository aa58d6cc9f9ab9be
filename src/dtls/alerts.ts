/** Which alert the peer sees for which end (RFC 5246 7.2, RFC 8446 6.2). The one table; reasons finer than alerts stay with us. */
import type { CloseReason } from './stats.ts';
import { Alert, type AlertDescription } from './wire/registry.ts';

/** Undefined: silence. */
export const ALERT_OF: Readonly<Record<CloseReason, AlertDescription | undefined>> = {
  'local-close': Alert.closeNotify,
  'peer-close': Alert.closeNotify, // RFC 5246 7.2.1: answered in kind
  'peer-alert': undefined,
  idle: Alert.closeNotify,
  'age-limit': Alert.closeNotify,
  'record-limit': Alert.closeNotify,
  'auth-failure-limit': Alert.closeNotify,
  'record-overflow': Alert.recordOverflow,
  replaced: undefined, // the peer has new keys and could not read it
  evicted: Alert.closeNotify,
  revoked: Alert.accessDenied,
  'endpoint-closed': Alert.closeNotify,
  'handshake-deadline': undefined,
  'handshake-silence': undefined,
  'handshake-superseded': undefined,
  'malformed-message': Alert.decodeError,
  'illegal-parameter': Alert.illegalParameter,
  'unsupported-extension': Alert.unsupportedExtension,
  'protocol-version': Alert.protocolVersion,
  'no-suite-in-both': Alert.handshakeFailure,
  'no-group-in-both': Alert.illegalParameter,
  'no-signature-in-both': Alert.handshakeFailure,
  'no-application-protocol': Alert.noApplicationProtocol,
  'no-credential': Alert.handshakeFailure,
  'server-name-unknown': Alert.unrecognizedName,
  'missing-extended-master-secret': Alert.handshakeFailure,
  'point-invalid': Alert.illegalParameter,
  'signature-wrong': Alert.decryptError,
  'certificate-missing': Alert.handshakeFailure,
  'certificate-unreadable': Alert.badCertificate,
  'certificate-refused': Alert.badCertificate,
  'raw-public-key-refused': Alert.badCertificate,
  'key-wrong': Alert.decryptError,
  'finished-wrong': Alert.decryptError,
  'not-authorized': Alert.accessDenied,
  'authorization-failed': Alert.internalError,
  'transcript-limit': Alert.handshakeFailure,
  internal: Alert.internalError,
};

export function isFatal(alert: AlertDescription): boolean {
  return alert !== Alert.closeNotify && alert !== Alert.noRenegotiation;
}
