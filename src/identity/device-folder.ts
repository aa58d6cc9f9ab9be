/** What a device is given: DIR/devices/<id>/ with its certificate, its key and the CA that the gateway identifies by. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, writeNewFolder } from './atomic-file.ts';
import { checkedDeviceId } from './device-id.ts';

export interface DeviceFiles {
  readonly certificatePem: string;
  /** Absent when the device keeps its key to itself (signing request, imported certificate). */
  readonly keyPem?: string | undefined;
  readonly caPem: string;
}

export interface DevicePaths {
  readonly folder: string;
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

/** @param directory the gateway's folder. Throws SP_DEVICE_ID: nothing else keeps a path out of `id`. */
export function devicePaths(directory: string, id: string): DevicePaths {
  const folder = join(directory, 'devices', checkedDeviceId(id));
  return { folder, certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), ca: join(folder, 'ca.pem') };
}

/** Writes the folder, 0700 with files 0600, all or nothing. Throws SP_DEVICE_ID, SP_FILE_EXISTS, SP_KEY_INVALID. */
export function writeDeviceFolder(directory: string, id: string, files: DeviceFiles): DevicePaths {
  const paths = devicePaths(directory, id);
  makeFolder(join(directory, 'devices'));
  writeNewFolder(paths.folder, {
    'cert.pem': files.certificatePem,
    ...(files.keyPem !== undefined && { 'key.pem': files.keyPem }),
    'ca.pem': files.caPem,
  });
  return paths;
}

/** Removes the folder of a device whose keys are given up. Nothing happens if there is none. Throws SP_DEVICE_ID. */
export function removeDeviceFolder(directory: string, id: string): void {
  rmSync(devicePaths(directory, id).folder, { recursive: true, force: true });
}
