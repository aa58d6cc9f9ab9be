/** Registries, peers and folders to test with. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Peer } from '../../../src/exchange/peer.ts';
import { Fault } from '../../../src/faults/fault.ts';
import type { Credential } from '../../../src/identity/lifecycle.ts';
import { DeviceRegistry } from '../../../src/identity/registry.ts';
import { SqliteStore } from '../../../src/store/sqlite-store.ts';

export const NOW = Date.UTC(2026, 10, 25);
const YEAR_MS = 365 * 86_400_000;

/** A folder that goes when the test is over. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-identity-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function openRegistry(file = join(scratch(), 'state', 'registry.db')) {
  const store = SqliteStore.open(file);
  onTestFinished(() => store.close());
  const registry = await DeviceRegistry.open(store, () => NOW);
  return { registry, store, file };
}

let counter = 0;

/** What the registry keeps of a certificate for `id`; every one has another key and serial. */
export function credential(id: string, parts: Partial<Credential> = {}): Credential {
  const number = ++counter;
  return {
    key: number.toString(16).padStart(64, '0'),
    names: [`URI:urn:sallyport:device:${id}`],
    issuer: 'CN=plant-7,O=Sallyport',
    serial: `5F${number.toString(16).padStart(6, '0').toUpperCase()}`,
    notBefore: NOW - YEAR_MS,
    notAfter: NOW + YEAR_MS,
    certificate: `-----BEGIN CERTIFICATE-----\n${number}\n-----END CERTIFICATE-----\n`,
    ...parts,
  };
}

/** The peer that shows this credential's certificate. */
export function peerOf(known: Credential, parts: Partial<Peer> = {}): Peer {
  const { certificate: _, ...facts } = known;
  return { method: 'certificate', address: '10.0.3.17', clientAuthentication: true, ...facts, ...parts };
}

/** The code of the Fault that `work` ends with. */
export async function faultOf(work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (thrown) {
    return thrown instanceof Fault ? thrown.code : `not a Fault: ${String(thrown)}`;
  }
  return 'none';
}
