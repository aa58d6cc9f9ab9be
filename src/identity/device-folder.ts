/** What a device is given: DIR/devices/<id>/ with its certificate, its key and the CA that the gateway identifies by. */
import { existsSync, renameSync, rmSync } from 'node:fs';
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
  writeNewFolder(paths.folder, contentOf(files));
  return paths;
}

function contentOf({ certificatePem, keyPem, caPem }: DeviceFiles): Record<string, string> {
  return { 'cert.pem': certificatePem, ...(keyPem !== undefined && { 'key.pem': keyPem }), 'ca.pem': caPem };
}

/** Writes what a device will be given next into DIR/devices/<id>/next, all or nothing. Throws as writeDeviceFolder. */
export function writeNextFolder(directory: string, id: string, files: DeviceFiles): string {
  const { folder } = devicePaths(directory, id);
  const next = join(folder, 'next');
  makeFolder(join(directory, 'devices'));
  makeFolder(folder);
  writeNewFolder(next, contentOf(files));
  return next;
}

/** Puts what DIR/devices/<id>/next holds in the place of the former files. Nothing happens if there is no such folder. */
export function finishNextFolder(directory: string, id: string): void {
  const { folder } = devicePaths(directory, id);
  const next = join(folder, 'next');
  if (!existsSync(next)) return;
  // The certificate last: whoever finds it finds the key that belongs to it.
  for (const name of ['ca.pem', 'key.pem', 'cert.pem']) {
    if (existsSync(join(next, name))) renameSync(join(next, name), join(folder, name));
  }
  rmSync(next, { recursive: true, force: true });
}

/** Takes back what writeNextFolder wrote. */
export function removeNextFolder(directory: string, id: string): void {
  rmSync(join(devicePaths(directory, id).folder, 'next'), { recursive: true, force: true });
}

/** Removes the folder of a device whose keys are given up. Nothing happens if there is none. Throws SP_DEVICE_ID. */
export function removeDeviceFolder(directory: string, id: string): void {
  rmSync(devicePaths(directory, id).folder, { recursive: true, force: true });
}
