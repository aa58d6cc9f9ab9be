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
    const text = value as string;
    const known = this.#texts.get(text);
    if (known === undefined) this.#texts.set(text, text);
    return known ?? text;
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
    serial: row[5] as string,
    notBefore: row[6] as number,
    notAfter: row[7] as number,
    addedAt: row[8] as number,
  };
}

/** A row of DEVICE_COLUMNS. Throws SP_STORE_FAILED. */
export function deviceOf(row: Row, credentials: readonly StoredCredential[], repeated: Repeated): StoredDevice {
  return {
    id: row[0] as string,
    segment: repeated.text(row[2]),
    state: repeated.text(row[3]) as StoredDevice['state'],
    labels: repeated.labels(row[4] as string),
    manufacturer: repeated.optional(row[5]),
    model: repeated.optional(row[6]),
    firmware: repeated.optional(row[7]),
    address: (row[8] ?? undefined) as string | undefined,
    addedAt: row[9] as number,
    changedAt: row[10] as number,
    credentials,
  };
}

function namesOf(json: string): readonly string[] {
  const names: unknown = JSON.parse(json);
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
  throw new Fault('SP_STORE_FAILED', 'The names of a key are damaged.');
}

function labelsOf(json: string): Record<string, string> {
  const labels: unknown = JSON.parse(json);
  if (typeof labels === 'object' && labels !== null && Object.values(labels).every((one) => typeof one === 'string')) {
    return labels as Record<string, string>;
  }
  throw new Fault('SP_STORE_FAILED', 'The labels of a device are damaged.');
}
