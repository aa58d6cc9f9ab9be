/**
 * Every way Sallyport says no, in one table: who is to blame, how loud the log is, and what each protocol's peer is told.
 *
 * A refusal is a *denial* (policy said no; `reason`, kebab-case), a *fault* (something is broken; `SP_<AREA>_<FACT>`) or a
 * *drop* (wire noise that never became a message; see drop.ts). Nothing outside this file chooses a status code.
 * Retired codes stay listed in RETIRED and are never used again.
 */

/** Who has to change something for this not to happen again. */
export type Blame = 'peer' | 'policy' | 'upstream' | 'operator' | 'bug';

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** What a peer of each protocol is told. HTTP status (RFC 9110), CoAP code (RFC 7252 section 12.1.2), MQTT 5 reason code
 * (section 2.4), MQTT 3.1.1 behaviour (it has no reason codes), WebSocket close code (RFC 6455 section 7.4), TLS/DTLS
 * alert (RFC 8446 section 6). */
export interface Faces {
  readonly http: number;
  readonly title: string;
  readonly coap: string;
  readonly mqtt5: number;
  readonly mqtt3: 'acknowledge-and-drop' | 'close';
  readonly websocket: number;
  readonly tls: string;
}

export interface Entry {
  readonly blame: Blame;
  readonly level: Level;
  /** One sentence for the operator: what happened. */
  readonly summary: string;
  /** One sentence for the operator: what mends it. */
  readonly remedy: string;
  readonly faces: Faces;
}

const denied: Faces = {
  http: 403,
  title: 'Denied',
  coap: '4.03',
  mqtt5: 0x87,
  mqtt3: 'acknowledge-and-drop',
  websocket: 1008,
  tls: 'access_denied',
};
const unidentified: Faces = { ...denied, mqtt3: 'close', tls: 'bad_certificate' };
const tooMany: Faces = { ...denied, http: 429, title: 'Too many requests', coap: '4.29', mqtt5: 0x97 };
const malformed: Faces = {
  http: 400,
  title: 'Bad request',
  coap: '4.00',
  mqtt5: 0x81,
  mqtt3: 'close',
  websocket: 1002,
  tls: 'decode_error',
};
const badPayload: Faces = { ...malformed, mqtt5: 0x99, mqtt3: 'acknowledge-and-drop', websocket: 1007 };
const tooLarge: Faces = {
  ...malformed,
  http: 413,
  title: 'Content too large',
  coap: '4.13',
  mqtt5: 0x95,
  websocket: 1009,
};
const headersTooLarge: Faces = { ...tooLarge, http: 431, title: 'Request header fields too large' };
const wrongType: Faces = { ...badPayload, http: 415, title: 'Unsupported media type', coap: '4.15', websocket: 1003 };
const timedOut: Faces = {
  ...malformed,
  http: 408,
  title: 'Request timeout',
  coap: '4.08',
  mqtt5: 0x8d,
  websocket: 1008,
};
const badGateway: Faces = {
  http: 502,
  title: 'Bad gateway',
  coap: '5.02',
  mqtt5: 0x80,
  mqtt3: 'close',
  websocket: 1014,
  tls: 'internal_error',
};
const unavailable: Faces = {
  ...badGateway,
  http: 503,
  title: 'Service unavailable',
  coap: '5.03',
  mqtt5: 0x88,
  websocket: 1013,
};
const gatewayTimeout: Faces = { ...badGateway, http: 504, title: 'Gateway timeout', coap: '5.04' };
const internal: Faces = {
  ...badGateway,
  http: 500,
  title: 'Internal error',
  coap: '5.00',
  mqtt5: 0x83,
  websocket: 1011,
};

/** The closed list of policy denials. The Rego in policies/ may use these reasons and no others (a test compares). */
export const DENIALS = {
  'no-route': {
    blame: 'policy',
    level: 'info',
    summary: 'No route of the device’s segment allows this verb and path.',
    remedy: 'Add a route under segments.<segment>.routes; `sallyport explain <decision>` prints the line.',
    faces: denied,
  },
  'unknown-identity': {
    blame: 'peer',
    level: 'warn',
    summary: 'The peer proved possession of a key that no registered device has.',
    remedy: 'Register the device with `sallyport device add`, or find out who is knocking.',
    faces: unidentified,
  },
  'identity-mismatch': {
    blame: 'peer',
    level: 'warn',
    summary: 'The key is registered, but the certificate names somebody else.',
    remedy: 'Compare the certificate’s subject alternative name with `sallyport device show`.',
    faces: unidentified,
  },
  'certificate-not-for-clients': {
    blame: 'peer',
    level: 'warn',
    summary: 'The certificate lacks the extended key usage clientAuth.',
    remedy: 'Issue the device a certificate with extendedKeyUsage clientAuth.',
    faces: unidentified,
  },
  'certificate-expired': {
    blame: 'peer',
    level: 'warn',
    summary: 'The certificate is outside its validity period.',
    remedy: 'Check both clocks, then issue a new certificate with `sallyport device renew <id>`.',
    faces: unidentified,
  },
  'device-disabled': {
    blame: 'policy',
    level: 'info',
    summary: 'The device is disabled.',
    remedy: '`sallyport device enable <id>` lets it in again.',
    faces: denied,
  },
  'device-quarantined': {
    blame: 'policy',
    level: 'warn',
    summary: 'The device is quarantined.',
    remedy: '`sallyport device enable <id>` ends the quarantine.',
    faces: denied,
  },
  'device-retired': {
    blame: 'policy',
    level: 'info',
    summary: 'The device was removed; its key is never accepted again.',
    remedy: 'Add the device anew with a new key.',
    faces: denied,
  },
  'unknown-segment': {
    blame: 'operator',
    level: 'warn',
    summary: 'The device’s segment is not in the configuration.',
    remedy: 'Add the segment to sallyport.yaml; the device belongs to the one it was added with.',
    faces: denied,
  },
  'protocol-not-allowed': {
    blame: 'policy',
    level: 'info',
    summary: 'A route matches, but not over this protocol.',
    remedy: 'Add the protocol to the route’s `over`.',
    faces: denied,
  },
  'direction-not-allowed': {
    blame: 'policy',
    level: 'info',
    summary: 'A route matches, but not in this direction.',
    remedy: 'Set the route’s `direction` to both, up or down.',
    faces: denied,
  },
  'outside-schedule': {
    blame: 'policy',
    level: 'info',
    summary: 'A route matches, but not at this time.',
    remedy: 'Change the route’s `when`.',
    faces: denied,
  },
  'reach-not-allowed': {
    blame: 'policy',
    level: 'info',
    summary: 'The device may not reach devices of the target’s segment this way.',
    remedy: 'Add the action under segments.<segment>.reach.<target segment>.',
    faces: denied,
  },
  'target-unknown': {
    blame: 'policy',
    level: 'info',
    summary: 'The device to be reached is not registered, not active or has no address.',
    remedy: 'Register the target with `sallyport device add <id> --address URL`.',
    faces: denied,
  },
  'rate-limited': {
    blame: 'policy',
    level: 'info',
    summary: 'The device used up the rate of this route.',
    remedy: 'Raise the route’s `rate`, or find out why the device talks so much.',
    faces: tooMany,
  },
  'payload-not-covered': {
    blame: 'policy',
    level: 'info',
    summary: 'The message carries a payload or a query, and its route names no privacy rule.',
    remedy: 'Name a rule in the route’s `privacy`, or `privacy: unchanged` to let it pass as it is.',
    faces: denied,
  },
  'stream-not-allowed': {
    blame: 'policy',
    level: 'info',
    summary: 'The body is too large to inspect and its route does not allow streaming.',
    remedy: 'Set `stream: true` on the route, or raise limits.inspectedBodyBytes.',
    faces: tooLarge,
  },
  'policy-denied': {
    blame: 'policy',
    level: 'info',
    summary: 'The policy denied and gave no reason of the closed list.',
    remedy: 'Let the policy give one of the reasons in docs/errors.md.',
    faces: denied,
  },
} as const satisfies Record<string, Entry>;

export type Reason = keyof typeof DENIALS;

/** The closed list of faults. */
export const FAULTS = {
  // --- exchange: the centre
  SP_EXCHANGE_UNPROVEN: {
    blame: 'bug',
    level: 'error',
    summary: 'A value that did not come out of its own step was offered to the next one.',
    remedy: 'Report this: it is a defect of Sallyport, and nothing was forwarded.',
    faces: internal,
  },
  SP_EXCHANGE_CANCELLED: {
    blame: 'peer',
    level: 'debug',
    summary: 'The peer left before the exchange was over.',
    remedy: 'Nothing to mend here; look at the peer’s network or its timeouts.',
    faces: { ...timedOut, http: 499, title: 'Cancelled' },
  },
  SP_INTERNAL: {
    blame: 'bug',
    level: 'error',
    summary: 'Something failed in a way nobody foresaw; the exchange was denied.',
    remedy: 'Report this with the log line; nothing was forwarded.',
    faces: internal,
  },
  // --- http: what the strict layer refuses
  SP_HTTP_VERSION: {
    blame: 'peer',
    level: 'info',
    summary: 'The request is not HTTP/1.1 or HTTP/1.0.',
    remedy: 'Let the device speak HTTP/1.1.',
    faces: { ...malformed, http: 400 },
  },
  SP_HTTP_TARGET: {
    blame: 'peer',
    level: 'info',
    summary: 'The request target is not a clean absolute path (RFC 9112 section 3.2.1).',
    remedy: 'Send origin-form: one leading slash, no fragment, no dot segments, valid percent-encoding.',
    faces: malformed,
  },
  SP_HTTP_HOST: {
    blame: 'peer',
    level: 'info',
    summary: 'Host is missing, repeated, malformed or contradicts the target.',
    remedy: 'Send exactly one Host with the gateway’s name.',
    faces: malformed,
  },
  SP_HTTP_FRAMING: {
    blame: 'peer',
    level: 'warn',
    summary: 'The length of the body is ambiguous (RFC 9112 section 6.3): a smuggling attempt or a broken client.',
    remedy: 'Send either one Content-Length or Transfer-Encoding: chunked on HTTP/1.1.',
    faces: malformed,
  },
  SP_HTTP_HEADER: {
    blame: 'peer',
    level: 'info',
    summary: 'A header field has a name or a value that Sallyport does not accept.',
    remedy: 'Use token names without underscore or dot and values without control characters.',
    faces: malformed,
  },
  SP_HTTP_SYNTAX: {
    blame: 'peer',
    level: 'info',
    summary: 'The bytes are not an HTTP/1.1 request.',
    remedy: 'Look at the client; docs/limits.md lists what is accepted.',
    faces: malformed,
  },
  SP_HTTP_METHOD: {
    blame: 'peer',
    level: 'info',
    summary: 'The method is not one that devices may use.',
    remedy: 'Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.',
    faces: { ...malformed, http: 405, title: 'Method not allowed', coap: '4.05' },
  },
  SP_COAP_TARGET: {
    blame: 'peer',
    level: 'info',
    summary: 'The Uri-Path and Uri-Query options are no clean absolute path (RFC 7252 section 6.5).',
    remedy: 'Send no empty, dot or doubly encoded segments, and no slash within one.',
    faces: malformed,
  },
  SP_COAP_METHOD: {
    blame: 'peer',
    level: 'info',
    summary: 'The CoAP method has no counterpart behind the gateway.',
    remedy: 'Use GET, POST, PUT, PATCH, iPATCH or DELETE.',
    faces: { ...malformed, http: 405, title: 'Method not allowed', coap: '4.05' },
  },
  SP_HTTP_EXPECT: {
    blame: 'peer',
    level: 'info',
    summary: 'The Expect header asks for something other than 100-continue.',
    remedy: 'Send no Expect header.',
    faces: { ...malformed, http: 417, title: 'Expectation failed' },
  },
  SP_HTTP_UPGRADE: {
    blame: 'peer',
    level: 'info',
    summary:
      'The upgrade is not a valid WebSocket handshake (RFC 6455 section 4.2.1), or the request may not be upgraded.',
    remedy: 'Upgrade only to WebSocket version 13 by GET.',
    faces: malformed,
  },
  SP_HTTP_HEADERS_TOO_LARGE: {
    blame: 'peer',
    level: 'info',
    summary: 'The header section is larger or longer than the limit.',
    remedy: 'Send fewer or shorter headers, or raise limits.headerBytes.',
    faces: headersTooLarge,
  },
  SP_HTTP_BODY_TOO_LARGE: {
    blame: 'peer',
    level: 'info',
    summary: 'The body is larger than any route may carry.',
    remedy: 'Send less, or raise limits.streamedBodyBytes.',
    faces: tooLarge,
  },
  SP_HTTP_TIMEOUT: {
    blame: 'peer',
    level: 'info',
    summary: 'The request did not arrive in time, or slower than the minimum rate.',
    remedy:
      'Look at the device’s network; limits.headerTimeoutMs, requestTimeoutMs and minimumBytesPerSecond set the bounds.',
    faces: timedOut,
  },
  // --- websocket
  SP_WEBSOCKET_PROTOCOL: {
    blame: 'peer',
    level: 'info',
    summary: 'A frame violates RFC 6455.',
    remedy: 'Look at the client’s WebSocket library.',
    faces: malformed,
  },
  SP_WEBSOCKET_TOO_LARGE: {
    blame: 'peer',
    level: 'info',
    summary: 'A message is larger than the limit.',
    remedy: 'Send smaller messages, or raise limits.webSocketMessageBytes.',
    faces: tooLarge,
  },
  SP_WEBSOCKET_TOO_FAST: {
    blame: 'peer',
    level: 'info',
    summary: 'Messages, control frames or fragments come faster than the limit.',
    remedy: 'Send less often, or raise limits.webSocketMessagesPerSecond.',
    faces: tooMany,
  },
  SP_WEBSOCKET_TIMEOUT: {
    blame: 'peer',
    level: 'info',
    summary: 'A WebSocket message was begun and not finished in time.',
    remedy: 'Look at the device’s network, or raise limits.requestTimeoutMs.',
    faces: timedOut,
  },
  SP_WEBSOCKET_UNRESPONSIVE: {
    blame: 'peer',
    level: 'info',
    summary: 'The peer did not answer pings.',
    remedy: 'Look at the device’s network.',
    faces: timedOut,
  },
  SP_WEBSOCKET_SLOW_READER: {
    blame: 'peer',
    level: 'info',
    summary: 'The peer does not read what is sent to it.',
    remedy: 'Let the device read, or send it less.',
    faces: timedOut,
  },
  SP_WEBSOCKET_CLOSED: {
    blame: 'upstream',
    level: 'info',
    summary: 'The other side of the channel has closed.',
    remedy: 'The device should connect again.',
    faces: { ...unavailable, websocket: 1001 },
  },
  // --- payload
  SP_PAYLOAD_SYNTAX: {
    blame: 'peer',
    level: 'info',
    summary: 'The body is not what its content type says.',
    remedy: 'Send strict JSON (RFC 8259) in UTF-8.',
    faces: badPayload,
  },
  SP_PAYLOAD_DUPLICATE_KEY: {
    blame: 'peer',
    level: 'warn',
    summary: 'An object of the body has the same key twice: two readers could see two messages.',
    remedy: 'Send each key once.',
    faces: badPayload,
  },
  SP_PAYLOAD_NUMBER: {
    blame: 'peer',
    level: 'info',
    summary: 'A number would lose precision as an IEEE 754 double.',
    remedy: 'Send long numbers as strings.',
    faces: badPayload,
  },
  SP_PAYLOAD_TOO_DEEP: {
    blame: 'peer',
    level: 'info',
    summary: 'The body is nested deeper than the limit.',
    remedy: 'Flatten it, or raise limits.jsonDepth.',
    faces: badPayload,
  },
  SP_PAYLOAD_TOO_LONG: {
    blame: 'peer',
    level: 'info',
    summary: 'The body has more values than the limit.',
    remedy: 'Send smaller documents, or raise limits.jsonValues.',
    faces: tooLarge,
  },
  SP_PAYLOAD_TYPE: {
    blame: 'peer',
    level: 'info',
    summary: 'The content type or encoding is one that the route’s privacy rule cannot read.',
    remedy: 'Send application/json without content encoding, or let the route stream.',
    faces: wrongType,
  },
  SP_PAYLOAD_VALUE: {
    blame: 'peer',
    level: 'info',
    summary: 'A value cannot be coarsened or pseudonymised as the privacy rule says.',
    remedy: 'Compare the field’s type with the rule.',
    faces: badPayload,
  },
  SP_PAYLOAD_TOKEN: {
    blame: 'upstream',
    level: 'warn',
    summary: 'A reversible token on the way down was forged, altered or made with a key that is gone.',
    remedy: 'Keep retired keys as long as the cloud may still use their tokens.',
    faces: badGateway,
  },
  // --- policy wall
  SP_POLICY_EVALUATION: {
    blame: 'operator',
    level: 'error',
    summary: 'The policy threw, trapped or ran out of memory; denied.',
    remedy: 'Test it with `sallyport policy eval`; the last good policy stays active on reload.',
    faces: denied,
  },
  SP_POLICY_VERDICT: {
    blame: 'operator',
    level: 'error',
    summary: 'The policy answered something that is not a verdict; denied.',
    remedy: 'Return {"v", "allow", "reasons", "obligations"} as docs/policy.md says.',
    faces: denied,
  },
  SP_POLICY_OBLIGATION: {
    blame: 'operator',
    level: 'error',
    summary: 'The verdict carries an obligation that this gateway does not know or cannot meet; denied.',
    remedy: 'Use the obligations of docs/policy.md; names of upstreams and privacy rules must exist.',
    faces: denied,
  },
  SP_POLICY_INPUT: {
    blame: 'operator',
    level: 'error',
    summary: 'The policy input is larger or deeper than the limit; denied.',
    remedy: 'Do not inspect large payloads in policy, or raise limits.policyInputBytes.',
    faces: denied,
  },
  SP_POLICY_MODULE: {
    blame: 'operator',
    level: 'error',
    summary: 'The policy module cannot be loaded.',
    remedy: 'Build it with `sallyport policy build`.',
    faces: denied,
  },
  SP_POLICY_BUILTIN: {
    blame: 'operator',
    level: 'error',
    summary: 'The policy needs a built-in function that this gateway does not have.',
    remedy: 'Use only the built-ins of docs/policy-builtins.md.',
    faces: denied,
  },
  SP_POLICY_ENTRYPOINT: {
    blame: 'operator',
    level: 'error',
    summary: 'The policy module lacks the entrypoint.',
    remedy: 'Build with `-e sallyport/gate/verdict`.',
    faces: denied,
  },
  SP_POLICY_CANARY: {
    blame: 'operator',
    level: 'error',
    summary: 'The policy failed a canary: too slow, no verdict, or it allows what must be denied.',
    remedy: 'Run `sallyport policy check`; it names the canary.',
    faces: denied,
  },
  SP_POLICY_TOOL: {
    blame: 'operator',
    level: 'error',
    summary: 'The opa tool is missing or failed.',
    remedy: 'go install github.com/open-policy-agent/opa@v1.22.2',
    faces: internal,
  },
  // --- ledger
  SP_LEDGER_WRITE: {
    blame: 'operator',
    level: 'error',
    summary: 'The decision could not be put on record; nothing was forwarded.',
    remedy: 'Look at the disk: space, mode and health of the ledger’s folder.',
    faces: unavailable,
  },
  SP_LEDGER_BROKEN: {
    blame: 'operator',
    level: 'error',
    summary: 'The ledger does not verify.',
    remedy: 'Keep the folder as evidence; `sallyport audit verify` names the record.',
    faces: unavailable,
  },
  // --- upstreams
  SP_UPSTREAM_UNREACHABLE: {
    blame: 'upstream',
    level: 'warn',
    summary: 'No connection to the upstream.',
    remedy: 'Check the upstream’s url and the network between.',
    faces: badGateway,
  },
  SP_UPSTREAM_CERTIFICATE: {
    blame: 'upstream',
    level: 'error',
    summary: 'The upstream’s certificate is not the one expected.',
    remedy: 'Check the upstream’s ca, pins and host name; somebody may be in between.',
    faces: badGateway,
  },
  SP_UPSTREAM_RESPONSE: {
    blame: 'upstream',
    level: 'warn',
    summary: 'The upstream answered something that is not a clean HTTP response.',
    remedy: 'Look at the upstream.',
    faces: badGateway,
  },
  SP_UPSTREAM_TOO_LARGE: {
    blame: 'upstream',
    level: 'warn',
    summary: 'The upstream’s response is larger than the limit.',
    remedy: 'Let it send less, or raise limits.responseBytes.',
    faces: badGateway,
  },
  SP_UPSTREAM_TIMEOUT: {
    blame: 'upstream',
    level: 'warn',
    summary: 'The upstream did not answer in time.',
    remedy: 'Look at the upstream, or raise its timeoutMs.',
    faces: gatewayTimeout,
  },
  SP_UPSTREAM_BUSY: {
    blame: 'upstream',
    level: 'warn',
    summary: 'Too many requests already wait for this upstream.',
    remedy: 'Let the upstream answer faster, or raise its connections.',
    faces: unavailable,
  },
  SP_UPSTREAM_CIRCUIT_OPEN: {
    blame: 'upstream',
    level: 'warn',
    summary: 'The upstream failed repeatedly and is left alone for a moment.',
    remedy: 'Look at the upstream; the gateway tries again by itself.',
    faces: unavailable,
  },
  SP_UPSTREAM_UNKNOWN: {
    blame: 'operator',
    level: 'error',
    summary: 'The permit names an upstream that is not configured.',
    remedy: 'Add it under upstreams.',
    faces: internal,
  },
  SP_UPSTREAM_UPGRADE: {
    blame: 'upstream',
    level: 'warn',
    summary: 'The upstream did not accept the WebSocket.',
    remedy: 'Check that the upstream serves WebSocket at this path.',
    faces: badGateway,
  },
  // --- process
  SP_GATEWAY_DRAINING: {
    blame: 'operator',
    level: 'info',
    summary: 'The gateway is stopping.',
    remedy: 'Connect again in a moment.',
    faces: { ...unavailable, websocket: 1001 },
  },
  SP_GATEWAY_OVERLOADED: {
    blame: 'operator',
    level: 'warn',
    summary: 'A cap on connections or concurrent exchanges is reached.',
    remedy: 'docs/limits.md lists the caps.',
    faces: unavailable,
  },
  // --- operator: configuration, registry, command line. Peers never see these.
  SP_CONFIG_INVALID: {
    blame: 'operator',
    level: 'error',
    summary: 'The configuration has problems; each is listed with its place and remedy.',
    remedy: 'Run `sallyport config check`.',
    faces: internal,
  },
  SP_CONFIG_MISSING: {
    blame: 'operator',
    level: 'error',
    summary: 'There is no sallyport.yaml in the gateway’s folder.',
    remedy: 'Make one with `sallyport init DIR --cloud URL`, or name the folder with -C.',
    faces: internal,
  },
  SP_GATEWAY_RUNNING: {
    blame: 'operator',
    level: 'error',
    summary: 'Another gateway already runs on this folder.',
    remedy: 'Stop it first, or use another folder.',
    faces: internal,
  },
  SP_GATEWAY_NOT_RUNNING: {
    blame: 'operator',
    level: 'error',
    summary: 'The gateway is not running.',
    remedy: 'Start it with `sallyport -C DIR run`.',
    faces: internal,
  },
  SP_GATEWAY_CLOCK: {
    blame: 'operator',
    level: 'error',
    summary: 'The clock is behind the last record of the ledger by more than an hour.',
    remedy:
      'Set the clock if it is wrong; if it is right and was wrong before, start once with `sallyport run --accept-clock`.',
    faces: internal,
  },
  SP_GATEWAY_PERMISSIONS: {
    blame: 'operator',
    level: 'error',
    summary: 'The gateway was started without Node’s permission model.',
    remedy: 'Start it with `sallyport run`, which sets the permissions, not with Node itself.',
    faces: internal,
  },
  SP_GATEWAY_LISTEN: {
    blame: 'operator',
    level: 'error',
    summary: 'A listening address cannot be used.',
    remedy: 'Choose another port under listen, or stop what occupies it.',
    faces: internal,
  },
  SP_GATEWAY_WORKER: {
    blame: 'operator',
    level: 'error',
    summary: 'A worker of the gateway does not answer, or sees another folder than the others.',
    remedy: 'Try again in a moment; the log says which worker ended and why.',
    faces: internal,
  },
  SP_DEVICE_EXISTS: {
    blame: 'operator',
    level: 'error',
    summary: 'A device with this id, key or certificate serial is already registered.',
    remedy: '`sallyport device list` shows it; every device needs a key of its own.',
    faces: internal,
  },
  SP_DEVICE_UNKNOWN: {
    blame: 'operator',
    level: 'error',
    summary: 'No device with this id is registered.',
    remedy: '`sallyport device list` shows those that are.',
    faces: internal,
  },
  SP_DEVICE_ID: {
    blame: 'operator',
    level: 'error',
    summary:
      'A device id has 1 to 64 characters: lowercase letters, digits, dot and hyphen, a letter or digit at both ends.',
    remedy: 'Choose another id.',
    faces: internal,
  },
  SP_DEVICE_STATE: {
    blame: 'operator',
    level: 'error',
    summary: 'The device cannot change from its present state to the one asked for.',
    remedy: '`sallyport device show <id>` tells its state; a retired device stays retired.',
    faces: internal,
  },
  SP_DEVICE_FACT: {
    blame: 'operator',
    level: 'error',
    summary: 'A fact about a device (segment, label, manufacturer, model, firmware or address) cannot be used.',
    remedy: 'The message says which one and what is accepted.',
    faces: internal,
  },
  SP_FILE_EXISTS: {
    blame: 'operator',
    level: 'error',
    summary: 'A certificate or key would be overwritten.',
    remedy: 'Move the file away first, or choose another folder.',
    faces: internal,
  },
  SP_CERTIFICATE_INVALID: {
    blame: 'operator',
    level: 'error',
    summary: 'The certificate or signing request cannot be used.',
    remedy: 'The message says which part; docs/limits.md lists what is accepted.',
    faces: internal,
  },
  SP_KEY_INVALID: {
    blame: 'operator',
    level: 'error',
    summary: 'A key file is missing, malformed or readable by others.',
    remedy: '`sallyport doctor` names the file and the command that mends it.',
    faces: internal,
  },
  SP_STORE_FAILED: {
    blame: 'operator',
    level: 'error',
    summary: 'The registry’s database cannot be read or written.',
    remedy: 'Look at the disk and at the mode of the state folder.',
    faces: unavailable,
  },
  SP_USAGE: {
    blame: 'operator',
    level: 'error',
    summary: 'The command line was not understood.',
    remedy: 'Add --help to see how the command is used.',
    faces: internal,
  },
  SP_DECISION_UNKNOWN: {
    blame: 'operator',
    level: 'error',
    summary: 'No decision with this id is in the ledger.',
    remedy:
      '`sallyport audit tail` shows the latest ones. It may be in a file that was archived, or one of many refusals that were only counted: search the gateway’s log for the id.',
    faces: internal,
  },
} as const satisfies Record<string, Entry>;

export type FaultCode = keyof typeof FAULTS;

/** Codes that once existed. They are never given a new meaning. */
export const RETIRED: readonly string[] = [];

/** The entry of a denial reason or fault code. */
export function entryOf(code: Reason | FaultCode): Entry {
  return code in DENIALS ? DENIALS[code as Reason] : FAULTS[code as FaultCode];
}

/** True if `text` is one of the closed denial reasons. */
export function isReason(text: unknown): text is Reason {
  return typeof text === 'string' && Object.hasOwn(DENIALS, text);
}
