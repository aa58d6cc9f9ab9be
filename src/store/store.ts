/**
 * The registry's memory behind an interface narrow enough for a distributed engine: read everything, read what changed,
 * and one compare-and-set. Methods return promises although SQLite answers at once, because another engine will not; the
 * hot path never waits here, it reads the registry's index. Nothing can be deleted: a key once known stays known.
 */

/** `superseded`: replaced by a renewal. `retired`: its device was removed. Neither is ever accepted again. */
export type Standing = 'current' | 'next' | 'superseded' | 'retired';

export interface StoredCredential {
  /** SHA-256 over the DER SubjectPublicKeyInfo, lowercase hex. Unique in the whole store. */
  readonly key: string;
  readonly standing: Standing;
  readonly names: readonly string[];
  readonly issuer: string;
  /** Unique together with the issuer. */
  readonly serial: string;
  /** Milliseconds since the epoch, as all times here. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly addedAt: number;
}

export interface StoredDevice {
  readonly id: string;
  readonly segment: string;
  readonly state: 'active' | 'disabled' | 'quarantined' | 'retired';
  readonly labels: Readonly<Record<string, string>>;
  readonly manufacturer: string | undefined;
  readonly model: string | undefined;
  readonly firmware: string | undefined;
  readonly address: string | undefined;
  readonly addedAt: number;
  readonly changedAt: number;
  /** All that this id ever had, the forbidden ones included. */
  readonly credentials: readonly StoredCredential[];
}

/** A device and the revision of the store at which it was last written. */
export interface Versioned {
  readonly revision: number;
  readonly device: StoredDevice;
}

/** What became of a write. `stale`: somebody else wrote the device since; read again. */
export type Written =
  | { readonly kind: 'written'; readonly revision: number }
  | { readonly kind: 'stale' | 'duplicate-key' | 'duplicate-serial' };

export interface Store {
  /** Every device, in no order. Throws SP_STORE_FAILED, like all below. */
  everything(): Promise<readonly Versioned[]>;
  /** Devices written after `revision`. Revisions become visible in their order. */
  changedSince(revision: number): Promise<readonly Versioned[]>;
  /**
   * Writes a device and its credentials in one durable step.
   * @param expected the revision the caller knows of this device; 0: there is none yet
   * @param certificates PEM by key, for credentials that are new or reissued
   */
  write(device: StoredDevice, expected: number, certificates: ReadonlyMap<string, string>): Promise<Written>;
  /** The certificate that belongs to a key, PEM. */
  certificate(key: string): Promise<string | undefined>;
  /** A number that changes when another process wrote; cheap enough to ask several times a second. Throws SP_STORE_FAILED. */
  stamp(): number;
  close(): Promise<void>;
}
