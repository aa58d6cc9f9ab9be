/**
 * What may happen to a device, as pure functions from what is stored to what is to be stored. A device has one current key
 * and, while it is being renewed, a next one; both are accepted. What was given up is kept, so that it stays forbidden.
 */
import type { DeviceState } from '../exchange/peer.ts';
import { Fault } from '../faults/fault.ts';
import type { Standing, StoredCredential, StoredDevice } from '../store/store.ts';
import { checkedFacts, type DeviceFacts } from './device-facts.ts';
import { checkedDeviceId, namesAnother } from './device-id.ts';

/** What is kept of a certificate, see import.ts. */
export interface Credential {
  readonly key: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** PEM. */
  readonly certificate: string;
}

/** A retired device stays retired; adding its id anew makes a new device under the old name. */
const TRANSITIONS: Readonly<Record<DeviceState, readonly DeviceState[]>> = {
  active: ['disabled', 'quarantined', 'retired'],
  disabled: ['active', 'quarantined', 'retired'],
  quarantined: ['active', 'disabled', 'retired'],
  retired: [],
};

/** True for a key that is neither superseded nor retired. */
export function isAccepted({ standing }: { readonly standing: Standing }): boolean {
  return standing === 'current' || standing === 'next';
}

/** A new device. `present`: what was registered under this id before. Throws SP_DEVICE_ID, _FACT, _EXISTS, SP_CERTIFICATE_INVALID. */
export function added(
  present: StoredDevice | undefined,
  id: string,
  facts: DeviceFacts,
  credential: Credential,
  now: number,
): StoredDevice {
  checkedDeviceId(id);
  if (present !== undefined && present.state !== 'retired') {
    throw new Fault('SP_DEVICE_EXISTS', `The device ${id} is already registered.`);
  }
  const known = present?.credentials ?? [];
  if (known.some((one) => one.key === credential.key)) throw keyExists(credential.key);
  return {
    ...{ id, ...columnsOf(checkedFacts(facts)), state: 'active', addedAt: now, changedAt: now },
    credentials: [...known, fresh(id, credential, 'current', now)],
  };
}

/** In another state; the same object if it already is. Throws SP_DEVICE_STATE. */
export function moved(present: StoredDevice, state: DeviceState, now: number): StoredDevice {
  if (present.state === 'retired') throw stuck(present, state);
  if (present.state === state) return present;
  if (!TRANSITIONS[present.state].includes(state)) throw stuck(present, state);
  const credentials =
    state === 'retired'
      ? present.credentials.map((one) => (isAccepted(one) ? { ...one, standing: 'retired' as const } : one))
      : present.credentials;
  return { ...present, state, credentials, changedAt: now };
}

/** With other facts; labels are replaced as a whole. Throws SP_DEVICE_STATE, SP_DEVICE_FACT. */
export function described(present: StoredDevice, facts: Partial<DeviceFacts>, now: number): StoredDevice {
  if (present.state === 'retired') throw stuck(present, 'active');
  const { segment, labels, manufacturer, model, firmware, address } = present;
  const wanted = Object.entries({ segment, labels, manufacturer, model, firmware, address, ...facts });
  const merged = Object.fromEntries(wanted.filter(([, value]) => value !== undefined));
  return { ...present, ...columnsOf(checkedFacts({ segment, ...merged })), changedAt: now };
}

/** With a next key, or with a new certificate for a key it has. Throws SP_DEVICE_STATE, _EXISTS, SP_CERTIFICATE_INVALID. */
export function renewed(present: StoredDevice, credential: Credential, now: number): StoredDevice {
  if (present.state === 'retired') throw stuck(present, 'active');
  const same = present.credentials.find((one) => one.key === credential.key);
  if (same !== undefined && !isAccepted(same)) throw keyExists(credential.key);
  const rest = present.credentials
    .filter((one) => one !== same)
    // A next key that makes room for another one was perhaps never used: it is given up all the same.
    .map((one) => (same === undefined && one.standing === 'next' ? { ...one, standing: 'superseded' as const } : one));
  const latest = fresh(present.id, credential, same?.standing ?? 'next', now);
  return { ...present, credentials: [...rest, latest], changedAt: now };
}

/** With the next key as the current one. Throws SP_DEVICE_STATE if there is none. */
export function renewalFinished(present: StoredDevice, now: number): StoredDevice {
  if (!present.credentials.some((one) => one.standing === 'next')) {
    throw new Fault('SP_DEVICE_STATE', `The device ${present.id} is not being renewed.`);
  }
  const credentials = present.credentials.map((one) => {
    if (one.standing === 'current') return { ...one, standing: 'superseded' as const };
    return one.standing === 'next' ? { ...one, standing: 'current' as const } : one;
  });
  return { ...present, credentials, changedAt: now };
}

/** The refusal of a key that somebody has or had. */
export function keyExists(key: string): Fault {
  return new Fault('SP_DEVICE_EXISTS', `The key ${key.slice(0, 16)}… belongs, or once belonged, to a device.`);
}

function fresh(id: string, credential: Credential, standing: Standing, now: number): StoredCredential {
  const { key, names, issuer, serial, notBefore, notAfter } = credential;
  if (namesAnother(names, id)) {
    throw new Fault('SP_CERTIFICATE_INVALID', `The certificate names another device than ${id}.`);
  }
  return { key, standing, names, issuer, serial, notBefore, notAfter, addedAt: now };
}

function columnsOf(facts: DeviceFacts) {
  const { segment, labels = {}, manufacturer, model, firmware, address } = facts;
  return { segment, labels, manufacturer, model, firmware, address };
}

function stuck(present: StoredDevice, state: DeviceState): Fault {
  return new Fault('SP_DEVICE_STATE', `The device ${present.id} is ${present.state} and cannot become ${state}.`);
}
