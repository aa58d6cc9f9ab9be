/** What is allowed and probably not meant: devices left in a segment that is gone, certificates about to end, Rego that nobody uses. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceView } from '../admin/operations.ts';
import type { Settings } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { readPsk } from '../identity/psk.ts';
import { registryFile, withDevices } from './devices.ts';
import { relativeTime } from './terminal.ts';

export interface Worry {
  readonly text: string;
  readonly remedy: string;
  /** Something that should pass does not. */
  readonly grave: boolean;
}

const DAY_MS = 86_400_000;
const SOON_DAYS = 30;
/** Devices named in one line; the rest is counted. */
const MAX_NAMED = 5;
/** Where people put their own Rego: `policy` is made by init, `policies` is what the shipped one is called. */
const REGO_FOLDERS = ['policy', 'policies'];

/** Devices that are to come in; none if there is no registry yet. Throws what reaching it throws. */
export async function devicesInUse(settings: Settings): Promise<readonly DeviceView[]> {
  if (!existsSync(registryFile(settings.directory))) return [];
  const all = await withDevices(settings, ({ operations }) => operations['device-list']());
  return all.filter(({ state }) => state === 'active' || state === 'quarantined');
}

/** Devices whose segment the configuration does not have: everything they ask is denied. */
export function strandedDevices({ segments }: Settings, devices: readonly DeviceView[]): Worry[] {
  const bySegment = Map.groupBy(
    devices.filter(({ segment }) => !segments.has(segment)),
    ({ segment }) => segment,
  );
  const [known = 'SEGMENT'] = [...segments.keys()];
  return [...bySegment].map(([segment, stranded]) => ({
    text: `${named(stranded)}: in segment "${segment}", which sallyport.yaml does not have: all they ask is denied`,
    remedy: `sallyport device set ${stranded[0]?.id ?? 'NAME'} --segment ${known}, or put the segment back`,
    grave: true,
  }));
}

/** Devices without a certificate, while nobody listens for CoAP. */
export function speechlessDevices({ listen }: Settings, devices: readonly DeviceView[]): Worry[] {
  const bare = devices.filter(({ method }) => method !== 'certificate');
  if (listen.coaps || bare.length === 0) return [];
  const text = `${named(bare)}: has no certificate and can come over CoAP alone, for which nothing listens`;
  return [{ text, remedy: 'add `coaps: 0.0.0.0:5684` under listen, and start the gateway anew', grave: true }];
}

/** Devices whose pre-shared key is not where the gateway looks for it, or is another one. */
export function unusableKeys({ directory }: Settings, devices: readonly DeviceView[]): Worry[] {
  return devices
    .filter(({ method }) => method === 'psk')
    .flatMap(({ id, key }): Worry[] => {
      const problem = keyProblem(directory, id, key);
      if (problem === undefined) return [];
      const remedy = `put keys/psk/${id}.json back from a backup; or sallyport device remove ${id}, and add it anew`;
      return [{ text: `the pre-shared key of ${id} cannot be used: ${problem}`, remedy, grave: true }];
    });
}

function keyProblem(directory: string, id: string, key: string): string | undefined {
  try {
    return readPsk(directory, id, key) === undefined ? 'the registry knows another one' : undefined;
  } catch (thrown) {
    return Fault.from(thrown).message;
  }
}

/** Certificates of devices that have ended or end soon. @param now milliseconds since the epoch */
export function endingCertificates(devices: readonly DeviceView[], now: number): Worry[] {
  const left = ({ notAfter }: DeviceView) => Date.parse(notAfter) - now;
  const ending = devices.filter((one) => left(one) < SOON_DAYS * DAY_MS).sort((a, b) => left(a) - left(b));
  const worries = [
    { grave: true, word: 'expired', of: ending.filter((one) => left(one) <= 0) },
    { grave: false, word: 'expires', of: ending.filter((one) => left(one) > 0) },
  ];
  return worries
    .filter(({ of }) => of.length > 0)
    .map(({ grave, word, of }) => ({
      text: `the certificate of ${named(of, (one) => `${one.id} ${word} ${relativeTime(left(one))}`)}`,
      remedy: `sallyport device renew ${of[0]?.id}, then bring the next key and certificate to the device`,
      grave,
    }));
}

/** Rego in the folder while the policy that ships decides. */
export function unusedRego({ directory, policy }: Settings): Worry[] {
  if (policy.module !== undefined) return [];
  return REGO_FOLDERS.filter((folder) => regoIn(join(directory, folder))).map((folder) => ({
    text: `${folder}/ has Rego, but policy.module is not set: the policy that ships decides`,
    remedy: `sallyport policy build, then policy: { module: policy/policy.wasm } in sallyport.yaml; or take the files away`,
    grave: false,
  }));
}

function regoIn(folder: string): boolean {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((name) => name.endsWith('.rego'));
  } catch {
    return false;
  }
}

function named(devices: readonly DeviceView[], each: (device: DeviceView) => string = ({ id }) => id): string {
  const first = devices.slice(0, MAX_NAMED).map(each).join(', ');
  const more = devices.length - MAX_NAMED;
  return `${first}${more > 0 ? ` and ${more} more` : ''}`;
}
