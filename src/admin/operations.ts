/** What an operator may ask of a running gateway, as types: the server answers them, the client asks them, nothing else exists. */
import type { AuthenticationMethod, DeviceState } from '../exchange/peer.ts';

/** A device as commands show it. */
export interface DeviceView {
  readonly id: string;
  readonly segment: string;
  readonly state: DeviceState;
  readonly key: string;
  /** How it proves itself. */
  readonly method: AuthenticationMethod;
  readonly serial: string;
  readonly issuer: string;
  readonly names: readonly string[];
  /** ISO 8601. */
  readonly notAfter: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly manufacturer?: string;
  readonly model?: string;
  readonly firmware?: string;
  readonly address?: string;
  /** ISO 8601. */
  readonly addedAt: string;
  readonly changedAt: string;
  /** Open connections; absent when the gateway is not running. */
  readonly connections?: number;
}

/** Everything needed to register a device, with exactly one of the three ways to prove itself. */
export interface DeviceEntry {
  readonly id: string;
  readonly segment: string;
  readonly certificatePem?: string;
  /** The public part: the gateway reads the key itself in its folder. */
  readonly psk?: { readonly identity: string; readonly fingerprint: string };
  readonly publicKeyPem?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly manufacturer?: string;
  readonly model?: string;
  readonly firmware?: string;
  readonly address?: string;
}

/** What is to change of a device; what is absent stays. A label with an empty value is taken away. */
export interface DeviceChange {
  readonly id: string;
  readonly segment?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly manufacturer?: string;
  readonly model?: string;
  readonly firmware?: string;
}

/** The part of the operations that a command can also do on the folder of a gateway that is not running. */
export type DeviceOperations = Pick<
  Operations,
  | 'device-list'
  | 'device-show'
  | 'device-add'
  | 'device-set'
  | 'device-renew'
  | 'device-finish-renewal'
  | 'device-state'
>;

export interface UpstreamView {
  readonly name: string;
  readonly circuit: string;
  readonly inFlight: number;
  readonly lastError?: string;
  readonly lastErrorAt?: string;
}

export interface StatusView {
  readonly gateway: string;
  readonly version: string;
  /** The process to signal. */
  readonly pid: number;
  /** The processes that serve, when there are several. */
  readonly workers?: readonly { readonly worker: number; readonly pid: number }[];
  readonly ready: boolean;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly revision: string;
  readonly listen: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly devices: Readonly<Record<DeviceState, number>>;
  /** Since the start. */
  readonly permitted: number;
  readonly denied: number;
  readonly failed: number;
  readonly drops: Readonly<Record<string, number>>;
  /** Routes that permitted before and have denied within the last ten minutes, worst first. */
  readonly newlyDenied: readonly { readonly device: string; readonly reason: string; readonly count: number }[];
  readonly upstreams: readonly UpstreamView[];
  readonly ledger: { readonly sequence: number; readonly head: string; readonly healthy: boolean };
  readonly lastReload?: { readonly at: string; readonly ok: boolean; readonly message: string };
}

export interface Reloaded {
  readonly revision: string;
  readonly reconsidered: number;
  readonly closed: number;
  /** Keys that changed and wait for the next start. */
  readonly restart: readonly string[];
}

export interface Operations {
  status(): Promise<StatusView>;
  reload(): Promise<Reloaded>;
  'device-list'(): Promise<readonly DeviceView[]>;
  'device-show'(parameters: { readonly id: string }): Promise<DeviceView>;
  'device-add'(parameters: DeviceEntry): Promise<DeviceView>;
  /** Sessions of the device are decided anew before it answers. */
  'device-set'(parameters: DeviceChange): Promise<DeviceView>;
  'device-renew'(parameters: { readonly id: string; readonly certificatePem: string }): Promise<DeviceView>;
  /** The next key becomes the current one; the former is never accepted again. */
  'device-finish-renewal'(parameters: { readonly id: string }): Promise<DeviceView>;
  /** Closes what must be closed before it answers. */
  'device-state'(parameters: { readonly id: string; readonly state: DeviceState }): Promise<DeviceView>;
}

export type OperationName = keyof Operations;

export const OPERATION_NAMES: readonly OperationName[] = [
  'status',
  'reload',
  'device-list',
  'device-show',
  'device-add',
  'device-set',
  'device-renew',
  'device-finish-renewal',
  'device-state',
];
