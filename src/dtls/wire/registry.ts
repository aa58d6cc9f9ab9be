/** Numbers of the IANA TLS registries that we speak. */

/** TLS ContentType. */
export const ContentType = {
  changeCipherSpec: 20,
  alert: 21,
  handshake: 22,
  applicationData: 23,
  tls12Cid: 25, // RFC 9146 3
  returnRoutabilityCheck: 27, // RFC 9853 4
} as const;

/** TLS HandshakeType. */
export const HandshakeType = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  helloVerifyRequest: 3,
  newSessionTicket: 4,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
} as const;

/** TLS ExtensionType. */
export const ExtensionType = {
  serverName: 0,
  maxFragmentLength: 1,
  supportedGroups: 10,
  ecPointFormats: 11,
  signatureAlgorithms: 13,
  alpn: 16,
  clientCertificateType: 19,
  serverCertificateType: 20,
  extendedMasterSecret: 23,
  recordSizeLimit: 28,
  sessionTicket: 35,
  connectionId: 54,
  returnRoutabilityCheck: 61,
  renegotiationInfo: 0xff01,
} as const;

/** TLS CertificateType (RFC 7250). */
export const CertificateType = { x509: 0, rawPublicKey: 2 } as const;

/** TLS AlertDescription. */
export const Alert = {
  closeNotify: 0,
  unexpectedMessage: 10,
  badRecordMac: 20,
  recordOverflow: 22,
  handshakeFailure: 40,
  badCertificate: 42,
  certificateUnknown: 46,
  illegalParameter: 47,
  accessDenied: 49,
  decodeError: 50,
  decryptError: 51,
  protocolVersion: 70,
  internalError: 80,
  noRenegotiation: 100,
  unsupportedExtension: 110,
  unrecognizedName: 112,
  noApplicationProtocol: 120,
} as const;

export type AlertDescription = (typeof Alert)[keyof typeof Alert];

export const DTLS_1_0 = 0xfeff;
export const DTLS_1_2 = 0xfefd;

/** Signalling suite value of RFC 5746 3.3. */
export const EMPTY_RENEGOTIATION_INFO_SCSV = 0x00ff;
