/**
 * Pre-shared keys (RFC 4279). The registry knows a key by its fingerprint alone; the key itself lies in a file of its own under
 * keys/psk/, for the owner only, and is read when somebody claims its identity: never in the database, a log, the ledger or argv.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, readKeyFile, writeNewFile } from './atomic-file.ts';
import { checkedDeviceId } from './device-id.ts';

/** 192 random bits as 32 characters: what goes over the air is this text, so that it can be typed into any device's tool. */
const RANDOM_BYTES = 24;
const KEY_TEXT = /^[A-Za-z0-9_-]{32}$/;
const FINGERPRINT_LABEL = 'sallyport psk fingerprint';

export interface Psk {
  readonly identity: string;
  /** 32 characters; their bytes are the key. */
  readonly key: string;
}

/** A new key. */
export function makePsk(identity: string): Psk {
  let key = randomBytes(RANDOM_BYTES).toString('base64url');
  // A command line would take it for an option.
  while (key.startsWith('-')) key = randomBytes(RANDOM_BYTES).toString('base64url');
  return { identity, key };
}

/**
 * What a key is known by, 64 hex digits. Tells nothing of the key because keys are random; the same key gives the same one, so
 * that the registry refuses it a second time.
 */
export function fingerprintOf(key: string): string {
  return createHmac('sha256', key).update(FINGERPRINT_LABEL).digest('hex');
}

/** Where the running gateway finds the key of a device. Throws SP_DEVICE_ID. */
export function pskFile(directory: string, id: string): string {
  return join(directory, 'keys', 'psk', `${checkedDeviceId(id)}.json`);
}

/** Writes the gateway's copy, 0600. Throws SP_FILE_EXISTS, SP_KEY_INVALID, SP_DEVICE_ID. */
export function writePsk(directory: string, id: string, psk: Psk): void {
  const file = pskFile(directory, id);
  makeFolder(join(directory, 'keys', 'psk'));
  writeNewFile(file, `${JSON.stringify(psk)}\n`);
}

/** Removes the gateway's copy. Nothing happens if there is none. Throws SP_DEVICE_ID. */
export function removePsk(directory: string, id: string): void {
  rmSync(pskFile(directory, id), { force: true });
}

/**
 * The key of a device, or undefined if the file is not the one the registry knows. Throws SP_KEY_INVALID if it cannot be read
 * or others may read it.
 * @param fingerprint as registered
 */
export function readPsk(directory: string, id: string, fingerprint: string): Uint8Array | undefined {
  const text = readKeyFile(pskFile(directory, id));
  const key = /"key":"([^"]*)"/.exec(text)?.[1] ?? '';
  return KEY_TEXT.test(key) && fingerprintOf(key) === fingerprint ? Buffer.from(key) : undefined;
}
