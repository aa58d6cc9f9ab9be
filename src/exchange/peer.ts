/** What a transport proved about the other side, and what the registry knows about it. Facts only; nothing here decides. */

/** How a peer showed who it is. `certificate`: X.509 in the handshake; `psk` and `raw-key` come with DTLS. */
export type AuthenticationMethod = 'certificate' | 'psk' | 'raw-key';

/** The peer as the transport saw it. */
export interface Peer {
  readonly method: AuthenticationMethod;
  /** Address without port, IPv4-mapped IPv6 already written as IPv4. */
  readonly address: string;
  /** SHA-256 over the DER SubjectPublicKeyInfo, lowercase hex: the identity. */
  readonly key: string;
  /** Subject alternative names, `URI:` and `DNS:` entries as `type:value`, in certificate order. */
  readonly names: readonly string[];
  /** Issuer's distinguished name (RFC 4514). */
  readonly issuer: string;
  /** Certificate serial, uppercase hex. A string: serials exceed 2^53. */
  readonly serial: string;
  /** Validity, milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** The certificate carries the extended key usage clientAuth. */
  readonly clientAuthentication: boolean;
}

/** Quarantined devices may connect and are told no; disabled and retired ones do not get past the handshake. */
export type DeviceState = 'active' | 'disabled' | 'quarantined' | 'retired';

/** A registered device. */
export interface Device {
  readonly id: string;
  readonly segment: string;
  readonly state: DeviceState;
  readonly labels: Readonly<Record<string, string>>;
  readonly manufacturer?: string;
  readonly model?: string;
  readonly firmware?: string;
  /** Where the device itself can be reached (device-to-device), e.g. `https://10.0.3.17:443`. */
  readonly address?: string;
  /** SHA-256 of its public key, lowercase hex. */
  readonly key: string;
}
