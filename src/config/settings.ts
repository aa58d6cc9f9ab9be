/** The configuration after parsing: frozen, complete, with defaults filled in. config/load.ts makes it; everybody reads it. */

export interface Settings {
  /** The gateway's name. */
  readonly gateway: string;
  /** Absolute path of the folder that holds sallyport.yaml; every path below is absolute and inside it. */
  readonly directory: string;
  readonly listen: {
    readonly https?: Address;
    /** CoAP over DTLS, UDP. */
    readonly coaps?: Address;
    /** /healthz, /readyz and /metrics, loopback by default. */
    readonly metrics?: Address;
  };
  /** Processes that serve; `auto`: as many as there are processors, up to eight. src/launch.mjs reads it for itself. */
  readonly workers: number | 'auto';
  readonly upstreams: ReadonlyMap<string, UpstreamSettings>;
  readonly segments: ReadonlyMap<string, SegmentSettings>;
  readonly privacy: ReadonlyMap<string, PrivacyRule>;
  readonly policy: {
    /** A policy.wasm of the operator's own; absent: the one that ships. */
    readonly module?: string;
    readonly entrypoint: string;
    /** Operator's own data, handed to policy as `data.custom`. */
    readonly data?: string;
  };
  readonly limits: Limits;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' };
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface UpstreamSettings {
  readonly name: string;
  /** Origin, e.g. `https://ingest.example.com:443`; path and query are never part of it. */
  readonly url: string;
  /** Our own certificate towards the upstream. */
  readonly certificate?: { readonly certificateFile: string; readonly keyFile: string };
  /** PEM file with the only CAs to trust for this upstream; absent: the public ones that ship with Node. */
  readonly ca?: string;
  /** `sha256/<base64 of SHA-256 over SPKI>`; one of them must be in the verified chain's leaf. */
  readonly pins: readonly string[];
  readonly connections: number;
  readonly timeoutMs: number;
  readonly dangerouslyPlaintext: boolean;
}

export interface SegmentSettings {
  readonly name: string;
  readonly routes: readonly RouteSettings[];
  /** Device to device: what this segment's devices may do to devices of other segments. */
  readonly reach: ReadonlyMap<string, readonly ReachSettings[]>;
}

export interface RouteSettings {
  readonly name: string;
  /** HTTP method, `WS`, or `*` for any method but WS. */
  readonly verb: string;
  /** Path template: literal segments, `{device.id}`, `*` for one segment, `**` for the rest (last only). */
  readonly path: string;
  /** Name of an upstream. */
  readonly to: string;
  readonly privacy?: string;
  readonly rate?: Rate;
  /** Protocols; absent: every one. */
  readonly over?: readonly string[];
  readonly direction: 'both' | 'up' | 'down';
  readonly stream: boolean;
  /** Hand the decoded payload to policy. */
  readonly inspect: boolean;
  readonly when?: Schedule;
  readonly quiet: boolean;
}

export interface ReachSettings {
  readonly verb: string;
  readonly path: string;
  readonly privacy?: string;
}

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/** In UTC. `from` > `to` runs over midnight. */
export interface Schedule {
  readonly days: readonly ('mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun')[];
  /** `HH:MM` */
  readonly from: string;
  readonly to: string;
}

/**
 * What may leave of a message. Selectors are object paths: `temperature`, `position.lat`, `readings[*].value`,
 * `*.serial`. Whatever no selector names is dropped.
 */
export interface PrivacyRule {
  readonly name: string;
  readonly keep: readonly string[];
  /** Replaced by a keyed pseudonym, the same every time. */
  readonly pseudonymise: readonly string[];
  /** Replaced by a reversible token (AES-SIV) that is mapped back on the way down. */
  readonly tokenise: readonly string[];
  /** Rounded. */
  readonly coarsen: readonly Coarsening[];
  /** Purpose of the pseudonyms: the same value has different pseudonyms for different purposes. Default: the rule's name. */
  readonly purpose: string;
  readonly query: FieldRules;
  readonly headers: FieldRules;
  /** Path segments after a literal one: `devices: pseudonymise` treats the segment that follows `/devices/`. */
  readonly path: { readonly pseudonymise: readonly string[]; readonly tokenise: readonly string[] };
}

export interface Coarsening {
  readonly selector: string;
  /** `number`: to a multiple of `step`; `time`: ISO 8601 or epoch, to `step` seconds; `position`: {lat, lon} or [lat, lon] to `step` degrees. */
  readonly kind: 'number' | 'time' | 'position';
  readonly step: number;
}

export interface FieldRules {
  readonly keep: readonly string[];
  readonly pseudonymise: readonly string[];
  readonly tokenise: readonly string[];
}

/** Every bound of the gateway. docs/limits.md lists unit, default and reason. */
export interface Limits {
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly connectionsPerDevice: number;
  readonly exchangesPerDevice: number;
  readonly handshakeTimeoutMs: number;
  readonly headerTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly minimumBytesPerSecond: number;
  readonly headerBytes: number;
  readonly headerCount: number;
  readonly targetBytes: number;
  readonly certificateBytes: number;
  readonly certificateChain: number;
  readonly inspectedBodyBytes: number;
  readonly streamedBodyBytes: number;
  readonly responseBytes: number;
  readonly responseHeaderBytes: number;
  readonly jsonDepth: number;
  readonly jsonValues: number;
  readonly policyInputBytes: number;
  readonly policyMemoryBytes: number;
  readonly policyTimeoutMs: number;
  readonly webSocketMessageBytes: number;
  readonly webSocketFragments: number;
  readonly webSocketMessagesPerSecond: number;
  readonly webSocketControlFramesPerSecond: number;
  readonly webSocketSendBufferBytes: number;
  readonly webSocketPingIntervalMs: number;
  readonly webSocketCompression: boolean;
  readonly ledgerFileBytes: number;
  readonly ledgerQueue: number;
  readonly drainTimeoutMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  connections: 20_000,
  connectionsPerAddress: 256,
  connectionsPerDevice: 64,
  exchangesPerDevice: 64,
  handshakeTimeoutMs: 5_000,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 120_000,
  minimumBytesPerSecond: 128,
  headerBytes: 16_384,
  headerCount: 64,
  targetBytes: 4_096,
  certificateBytes: 16_384,
  certificateChain: 4,
  inspectedBodyBytes: 262_144,
  streamedBodyBytes: 67_108_864,
  responseBytes: 4_194_304,
  responseHeaderBytes: 16_384,
  jsonDepth: 32,
  jsonValues: 20_000,
  policyInputBytes: 65_536,
  policyMemoryBytes: 268_435_456,
  policyTimeoutMs: 1_000,
  webSocketMessageBytes: 262_144,
  webSocketFragments: 64,
  webSocketMessagesPerSecond: 100,
  webSocketControlFramesPerSecond: 10,
  webSocketSendBufferBytes: 1_048_576,
  webSocketPingIntervalMs: 30_000,
  webSocketCompression: false,
  ledgerFileBytes: 67_108_864,
  ledgerQueue: 10_000,
  drainTimeoutMs: 10_000,
};
