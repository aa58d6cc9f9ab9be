/** Reaches the device registry: through the running gateway if there is one, else on the folder itself, under its lock. */
import { join } from 'node:path';
import { ask } from '../admin/client.ts';
import { deviceOperations } from '../admin/device-operations.ts';
import type { DeviceOperations } from '../admin/operations.ts';
import type { Settings } from '../config/settings.ts';
import { DeviceRegistry } from '../identity/registry.ts';
import { DirectoryLock } from '../store/directory-lock.ts';
import { SqliteStore } from '../store/sqlite-store.ts';
import { CommandActs } from './command-acts.ts';

export interface Reached {
  readonly operations: DeviceOperations;
  /** The change took effect in a running gateway. */
  readonly live: boolean;
}

/** Where the registry lies within the gateway's folder. */
export function registryFile(directory: string): string {
  return join(directory, 'state', 'registry.db');
}

/** Calls `work` with the registry's operations and closes what was opened. Throws the faults of either way. */
export async function withDevices<T>(settings: Settings, work: (reached: Reached) => Promise<T>): Promise<T> {
  const { directory } = settings;
  if (DirectoryLock.isHeld(directory)) {
    const operations: DeviceOperations = {
      'device-list': () => ask(directory, 'device-list'),
      'device-show': (parameters) => ask(directory, 'device-show', parameters),
      'device-add': (parameters) => ask(directory, 'device-add', parameters),
      'device-set': (parameters) => ask(directory, 'device-set', parameters),
      'device-renew': (parameters) => ask(directory, 'device-renew', parameters),
      'device-finish-renewal': (parameters) => ask(directory, 'device-finish-renewal', parameters),
      'device-state': (parameters) => ask(directory, 'device-state', parameters),
    };
    return work({ operations, live: true });
  }
  const lock = DirectoryLock.acquire(directory);
  const acts = new CommandActs(settings);
  try {
    const store = SqliteStore.open(registryFile(directory));
    try {
      const registry = await DeviceRegistry.open(store, Date.now);
      const maxCertificateBytes = settings.limits.certificateBytes;
      return await work({ operations: deviceOperations({ registry, acts, maxCertificateBytes }), live: false });
    } finally {
      await store.close();
    }
  } finally {
    await acts.close();
    lock.release();
  }
}
