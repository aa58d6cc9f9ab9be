/**
 * The registry of devices: who may come, by which key. Kept durably in a Store and whole in memory, so that the question
 * of every request is one map look-up however many devices there are. What may happen to a device is in lifecycle.ts.
 */
import type { Device, DeviceState } from '../exchange/peer.ts';
import { Fault } from '../faults/fault.ts';
import type { Standing, Store, StoredCredential, StoredDevice, Versioned } from '../store/store.ts';
import { methodOf, pskIdentityOf } from './bare-key.ts';
import type { DeviceFacts } from './device-facts.ts';
import {
  added,
  type Credential,
  described,
  isAccepted,
  keyExists,
  moved,
  renewalFinished,
  renewed,
} from './lifecycle.ts';

/** What a key stands for. */
export interface Enrolment {
  /** With this very key in `key`; retired if the key was given up. */
  readonly device: Device;
  /** The subject alternative names that a certificate for this key has to carry. */
  readonly names: readonly string[];
  /** Who has to have issued it (RFC 4514). */
  readonly issuer: string;
  readonly standing: Standing;
}

export interface Change {
  readonly id: string;
  readonly before: Device | undefined;
  readonly after: Device;
}

export interface DeviceDetails {
  readonly device: Device;
  readonly addedAt: number;
  readonly changedAt: number;
  readonly credentials: readonly (StoredCredential & { readonly certificate: string | undefined })[];
}

/** How often a write is tried again because another process wrote the same device in between. */
const MAX_ATTEMPTS = 5;

interface Entry {
  readonly revision: number;
  readonly stored: StoredDevice;
  readonly device: Device;
}

export class DeviceRegistry {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #enrolments = new Map<string, Enrolment>();
  /** PSK identity -> key, of accepted ones. */
  readonly #pskKeys = new Map<string, string>();
  readonly #listeners = new Set<(change: Change) => void>();
  /** Everything up to here was read from the store. Own writes do not move it: others may have written just before. */
  #readTo = 0;
  #version = 0;

  private constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Reads the whole store. @param now milliseconds since the epoch. Throws SP_STORE_FAILED. */
  static async open(store: Store, now: () => number): Promise<DeviceRegistry> {
    const registry = new DeviceRegistry(store, now);
    await registry.refresh();
    return registry;
  }

  /** Changes whenever an answer of this registry may change. */
  get version(): number {
    return this.#version;
  }

  /** How many devices there are, the retired ones included. */
  get size(): number {
    return this.#entries.size;
  }

  byId(id: string): Device | undefined {
    return this.#entries.get(id)?.device;
  }

  /** Synchronous and constant in time: asked for every request. */
  byKey(key: string): Enrolment | undefined {
    return this.#enrolments.get(key);
  }

  /** Whose identity this is among those with a pre-shared key. */
  byPskIdentity(identity: string): Enrolment | undefined {
    const key = this.#pskKeys.get(identity);
    return key === undefined ? undefined : this.#enrolments.get(key);
  }

  /** Every key that the id ever had. */
  keysOf(id: string): readonly string[] {
    return this.#entries.get(id)?.stored.credentials.map((credential) => credential.key) ?? [];
  }

  /** Sorted by id. */
  list(filter: { readonly segment?: string; readonly state?: DeviceState } = {}): readonly Device[] {
    return [...this.#entries.values()]
      .map((entry) => entry.device)
      .filter((device) => filter.segment === undefined || device.segment === filter.segment)
      .filter((device) => filter.state === undefined || device.state === filter.state)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** All that is known. Throws SP_DEVICE_UNKNOWN, SP_STORE_FAILED. */
  async show(id: string): Promise<DeviceDetails> {
    const { device, stored } = this.#entry(id);
    const credentials = await Promise.all(
      stored.credentials.map(async (one) => ({ ...one, certificate: await this.#store.certificate(one.key) })),
    );
    return { device, addedAt: stored.addedAt, changedAt: stored.changedAt, credentials };
  }

  /** Registers a device, active at once. Throws SP_DEVICE_ID, _FACT, _EXISTS, SP_CERTIFICATE_INVALID, SP_STORE_FAILED. */
  add(id: string, facts: DeviceFacts, credential: Credential): Promise<Device> {
    return this.#write(
      id,
      (present) => {
        this.#refuseTakenIdentity(id, credential);
        return added(present, id, facts, credential, this.#now());
      },
      credential,
    );
  }

  /** Replaces the facts that are given; labels as a whole. Throws SP_DEVICE_UNKNOWN, _STATE, _FACT, SP_STORE_FAILED. */
  update(id: string, facts: Partial<DeviceFacts>): Promise<Device> {
    return this.#write(id, (present) => described(existing(present, id), facts, this.#now()));
  }

  /** Nobody gets in with its keys until it is enabled. Throws SP_DEVICE_UNKNOWN, SP_DEVICE_STATE, SP_STORE_FAILED. */
  disable(id: string): Promise<Device> {
    return this.#move(id, 'disabled');
  }

  /** Ends a disablement or a quarantine. Throws as `disable`. */
  enable(id: string): Promise<Device> {
    return this.#move(id, 'active');
  }

  /** It may connect and is told no. Throws as `disable`. */
  quarantine(id: string): Promise<Device> {
    return this.#move(id, 'quarantined');
  }

  /** Retires the device: its keys are never accepted again. Throws as `disable`. */
  remove(id: string): Promise<Device> {
    return this.#move(id, 'retired');
  }

  /**
   * Gives the device a next key, accepted beside the current one until `finishRenewal`; or, for a key it has already, a new
   * certificate. Throws SP_DEVICE_UNKNOWN, _STATE, _EXISTS, SP_CERTIFICATE_INVALID, SP_STORE_FAILED.
   */
  renew(id: string, credential: Credential): Promise<Device> {
    return this.#write(id, (present) => renewed(existing(present, id), credential, this.#now()), credential);
  }

  /** The next key becomes the current one, which is given up. Throws SP_DEVICE_UNKNOWN, SP_DEVICE_STATE, SP_STORE_FAILED. */
  finishRenewal(id: string): Promise<Device> {
    return this.#write(id, (present) => renewalFinished(existing(present, id), this.#now()));
  }

  /** Takes over what other processes wrote. Returns how many devices changed. Throws SP_STORE_FAILED. */
  async refresh(): Promise<number> {
    const rows = await this.#store.changedSince(this.#readTo);
    for (const { revision } of rows) this.#readTo = Math.max(this.#readTo, revision);
    return this.#take(rows);
  }

  /** Tells of every change after it is durable and in effect. Returns how to stop that. */
  onChange(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A key is chosen by its identity before anything is proven: of two with the same, one could never come. */
  #refuseTakenIdentity(id: string, { issuer, names }: Credential): void {
    const identity = methodOf(issuer) === 'psk' ? pskIdentityOf(names) : undefined;
    const holder = identity === undefined ? undefined : this.byPskIdentity(identity)?.device.id;
    if (holder !== undefined && holder !== id) {
      throw new Fault('SP_DEVICE_EXISTS', `The PSK identity ${identity} is the device ${holder}’s.`);
    }
  }

  #move(id: string, state: DeviceState): Promise<Device> {
    return this.#write(id, (present) => moved(existing(present, id), state, this.#now()));
  }

  async #write(
    id: string,
    draft: (present: StoredDevice | undefined) => StoredDevice,
    credential?: Credential,
  ): Promise<Device> {
    const certificates = new Map(credential && [[credential.key, credential.certificate]]);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const entry = this.#entries.get(id);
      const device = draft(entry?.stored);
      if (device === entry?.stored) return entry.device;
      const written = await this.#store.write(device, entry?.revision ?? 0, certificates);
      if (written.kind === 'duplicate-key') throw keyExists(credential?.key ?? '');
      if (written.kind === 'duplicate-serial') {
        throw new Fault('SP_DEVICE_EXISTS', 'A certificate with this issuer and serial number is already registered.');
      }
      if (written.kind === 'written') {
        this.#take([{ revision: written.revision, device }]);
        return this.#entry(id).device;
      }
      await this.refresh();
    }
    throw new Fault('SP_STORE_FAILED', `The device ${id} is being written by somebody else all the time.`);
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw unknown(id);
    return entry;
  }

  /** Indexes what is newer than what is known, all of it, and only then tells the listeners. */
  #take(rows: readonly Versioned[]): number {
    const changes: Change[] = [];
    for (const row of rows) {
      const before = this.#entries.get(row.device.id);
      if (before !== undefined && before.revision >= row.revision) continue;
      const after = this.#index(row);
      changes.push({ id: after.id, before: before?.device, after });
    }
    if (changes.length > 0) this.#version++;
    if (this.#listeners.size > 0) this.#announce(changes);
    return changes.length;
  }

  #index({ revision, device: stored }: Versioned): Device {
    // A retired device has no current key; its last one is shown.
    const main = stored.credentials.find((one) => one.standing === 'current') ?? stored.credentials.at(-1);
    const device = viewOf(stored, main?.key ?? '', stored.state);
    this.#entries.set(stored.id, { revision, stored, device });
    for (const credential of stored.credentials) {
      const { key, names, issuer, standing } = credential;
      const view = key === device.key ? device : viewOf(stored, key, isAccepted(credential) ? stored.state : 'retired');
      this.#enrolments.set(key, { device: view, names, issuer, standing });
      if (methodOf(issuer) === 'psk') this.#indexPsk(credential);
    }
    return device;
  }

  #indexPsk({ key, names, standing }: StoredCredential): void {
    const identity = pskIdentityOf(names) ?? '';
    if (isAccepted({ standing })) this.#pskKeys.set(identity, key);
    else if (this.#pskKeys.get(identity) === key) this.#pskKeys.delete(identity);
  }

  /** Every listener is told, even if one before it fails; the first failure is then the caller's. */
  #announce(changes: readonly Change[]): void {
    const failures: unknown[] = [];
    for (const change of changes) {
      for (const listener of this.#listeners) {
        try {
          listener(change);
        } catch (thrown) {
          failures.push(thrown);
        }
      }
    }
    if (failures.length > 0) throw Fault.from(failures[0]);
  }
}

function viewOf(stored: StoredDevice, key: string, state: DeviceState): Device {
  const { id, segment, labels, manufacturer, model, firmware, address } = stored;
  return Object.freeze({
    ...{ id, segment, state, labels, key },
    ...(manufacturer !== undefined && { manufacturer }),
    ...(model !== undefined && { model }),
    ...(firmware !== undefined && { firmware }),
    ...(address !== undefined && { address }),
  });
}

function existing(present: StoredDevice | undefined, id: string): StoredDevice {
  if (present === undefined) throw unknown(id);
  return present;
}

function unknown(id: string): Fault {
  return new Fault('SP_DEVICE_UNKNOWN', `No device ${JSON.stringify(id.slice(0, 64))} is registered.`);
}
