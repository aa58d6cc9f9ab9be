import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readKeyFile, writeNewFile } from '../../../src/identity/atomic-file.ts';
import { devicePaths, removeDeviceFolder, writeDeviceFolder } from '../../../src/identity/device-folder.ts';
import { faultOf, scratch } from './identity-fixture.ts';

const FILES = { certificatePem: 'CERT', keyPem: 'KEY', caPem: 'CA' };
const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('a device’s folder', () => {
  it('has certificate, key and CA, for the owner alone', () => {
    const directory = scratch();
    const paths = writeDeviceFolder(directory, 'thermo-1', FILES);
    expect(paths).toEqual(devicePaths(directory, 'thermo-1'));
    expect(paths.certificate).toBe(join(directory, 'devices', 'thermo-1', 'cert.pem'));
    expect([paths.certificate, paths.key, paths.ca].map((path) => readFileSync(path, 'utf8'))).toEqual([
      'CERT',
      'KEY',
      'CA',
    ]);
    expect([paths.certificate, paths.key, paths.ca].map(modeOf)).toEqual([0o600, 0o600, 0o600]);
    expect([paths.folder, join(directory, 'devices')].map(modeOf)).toEqual([0o700, 0o700]);
    expect(readdirSync(join(directory, 'devices'))).toEqual(['thermo-1']);
  });

  it('has no key when the device kept its own', () => {
    const { folder } = writeDeviceFolder(scratch(), 'a', { certificatePem: 'CERT', caPem: 'CA' });
    expect(readdirSync(folder).sort()).toEqual(['ca.pem', 'cert.pem']);
  });

  it('is never written over, and leaves nothing behind when it is refused', async () => {
    const directory = scratch();
    const { key } = writeDeviceFolder(directory, 'a', FILES);
    expect(await faultOf(() => writeDeviceFolder(directory, 'a', { ...FILES, keyPem: 'OTHER' }))).toBe(
      'SP_FILE_EXISTS',
    );
    expect(readFileSync(key, 'utf8')).toBe('KEY');
    expect(readdirSync(join(directory, 'devices'))).toEqual(['a']);
    removeDeviceFolder(directory, 'a');
    removeDeviceFolder(directory, 'a');
    expect(readFileSync(writeDeviceFolder(directory, 'a', { ...FILES, keyPem: 'OTHER' }).key, 'utf8')).toBe('OTHER');
  });

  it.each(['..', '../x', 'a/b', '.', '', 'A', '/etc'])('is never outside its place: %j', async (id) => {
    const directory = scratch();
    expect(await faultOf(() => writeDeviceFolder(directory, id, FILES))).toBe('SP_DEVICE_ID');
    expect(await faultOf(() => removeDeviceFolder(directory, id))).toBe('SP_DEVICE_ID');
    expect(readdirSync(directory)).toEqual([]);
  });

  it('says so when it cannot be written', async () => {
    const directory = scratch();
    writeFileSync(join(directory, 'devices'), '');
    expect(await faultOf(() => writeDeviceFolder(directory, 'a', FILES))).toBe('SP_KEY_INVALID');
  });
});

describe('a key file', () => {
  it('is not written through a link that somebody laid', async () => {
    const directory = scratch();
    writeFileSync(join(directory, 'victim'), 'precious');
    symlinkSync(join(directory, 'victim'), join(directory, 'key.pem'));
    expect(await faultOf(() => writeNewFile(join(directory, 'key.pem'), 'KEY'))).toBe('SP_FILE_EXISTS');
    expect(readFileSync(join(directory, 'victim'), 'utf8')).toBe('precious');
    expect(readdirSync(directory).sort()).toEqual(['key.pem', 'victim']);
  });

  it.each([0o604, 0o640, 0o660, 0o644, 0o601])('with mode %o is no secret and refused', async (mode) => {
    const path = join(scratch(), 'key.pem');
    writeFileSync(path, 'KEY', { mode: 0o600 });
    expect(readKeyFile(path)).toBe('KEY');
    mkdirSync(`${path}.d`);
    const { chmodSync } = await import('node:fs');
    chmodSync(path, mode);
    expect(await faultOf(() => readKeyFile(path))).toBe('SP_KEY_INVALID');
  });
});
