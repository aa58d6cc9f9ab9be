/**
 * From rows to what the Store hands out. STRICT tables and CHECK constraints vouch for the column types; what is JSON is
 * looked at again.
 */
import { Fault } from '../faults/fault.ts';
import type { Standing, StoredCredential, StoredDevice } from './store.ts';

/** Values in the order of the columns below. */
export type Row = readonly unknown[];

export const CREDENTIAL_COLUMNS = 'key, device, standing, names, issuer, serial, not_before, not_after, added_at';
export const DEVICE_COLUMNS =
  'id, revision, segment, state, labels, manufacturer, model, firmware, address, added_at, changed_at';

/** A fleet has few makers, models, issuers and sets of labels: one copy of each instead of one per device. */
export class Repeated {
  readonly #texts = new Map<string, string>();
  readonly #labels = new Map<string, Readonly<Record<string, string>>>();

  text(value: unknown): string {
    const known = this.#texts.get(value as string);
    if (known !== undefined) return known;
    const text = visible(value);
    this.#texts.set(text, text);
    return text;
  }

  optional(value: unknown): string | undefined {
    return value === null ? undefined : this.text(value);
  }

  labels(json: string): Readonly<Record<string, string>> {
    let labels = this.#labels.get(json);
    if (labels === undefined) {
      labels = Object.freeze(labelsOf(json));
      this.#labels.set(json, labels);
    }
    return labels;
  }
}

/** A row of CREDENTIAL_COLUMNS. Throws SP_STORE_FAILED. */
export function credentialOf(row: Row, repeated: Repeated): StoredCredential {
  return {
    key: row[0] as string,
    standing: repeated.text(row[2]) as Standing,
    names: namesOf(row[3] as string),
    issuer: repeated.text(row[4]),
    serial: visible(row[5]),
    notBefore: instant(row[6]),
    notAfter: instant(row[7]),
    addedAt: instant(row[8]),
  };
}

/** A row of DEVICE_COLUMNS. Throws SP_STORE_FAILED. */
export function deviceOf(row: Row, credentials: readonly StoredCredential[], repeated: Repeated): StoredDevice {
  return {
    id: visible(row[0]),
    segment: repeated.text(row[2]),
    state: repeated.text(row[3]) as StoredDevice['state'],
    labels: repeated.labels(row[4] as string),
    manufacturer: repeated.optional(row[5]),
    model: repeated.optional(row[6]),
    firmware: repeated.optional(row[7]),
    address: row[8] === null ? undefined : visible(row[8]),
    addedAt: instant(row[9]),
    changedAt: instant(row[10]),
    credentials,
  };
}

function namesOf(text: string): readonly string[] {
  const names = parsed(text);
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) {
    for (const name of names) visible(name);
    return names;
  }
  throw new Fault('SP_STORE_FAILED', 'The names of a key are damaged.');
}

function labelsOf(text: string): Record<string, string> {
  const labels = parsed(text);
  const isMap = typeof labels === 'object' && labels !== null && !Array.isArray(labels);
  if (isMap && Object.values(labels).every((one) => typeof one === 'string')) {
    for (const pair of Object.entries(labels as Record<string, string>)) pair.forEach(visible);
    return labels as Record<string, string>;
  }
  throw new Fault('SP_STORE_FAILED', 'The labels of a device are damaged.');
}

/** What JSON.parse says about bad text quotes it, and the message goes to a terminal. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Fault('SP_STORE_FAILED', 'A row of the registry holds something that is not JSON.');
  }
}

/** Controls, marks of direction and the like: the registry accepts none, so somebody else wrote them, for a terminal perhaps. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

function visible(value: unknown): string {
  if (typeof value === 'string' && !UNSEEN.test(value)) return value;
  throw new Fault(
    'SP_STORE_FAILED',
    'A row of the registry has invisible characters; it was not written by Sallyport.',
  );
}

/** ECMA-262 section 21.4.1.1: the times that can be written as a date. */
const MAX_INSTANT = 8.64e15;

function instant(value: unknown): number {
  if (typeof value === 'number' && Math.abs(value) <= MAX_INSTANT) return value;
  throw new Fault('SP_STORE_FAILED', 'A row of the registry has a time that no clock shows.');
}
