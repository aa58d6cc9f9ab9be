/** `device add --psk` and `--raw-key`: devices without a certificate, for CoAP over DTLS. Keys are made here, never by the gateway. */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceEntry, DeviceView } from '../admin/operations.ts';
import type { Settings } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { makeFolder, readTextFile, writeNewFolder } from '../identity/atomic-file.ts';
import { checkedPskIdentity, pskIdentityOf } from '../identity/bare-key.ts';
import { devicePaths, removeDeviceFolder } from '../identity/device-folder.ts';
import { fingerprintOf, makePsk, removePsk, writePsk } from '../identity/psk.ts';
import { authorityPaths } from '../identity/trust.ts';
import type { Answer } from './command.ts';
import { effect, here, trial } from './device-text.ts';
import type { Reached } from './devices.ts';
import { paint } from './terminal.ts';

interface BareOptions {
  readonly psk?: boolean;
  readonly pskIdentity?: string;
  readonly rawKey?: string | true;
  readonly address?: string;
}

/** A device that is to be added. */
interface BareDevice {
  /** Writes its files, then registers it; takes the files back if it is not registered. */
  add(reached: Reached, facts: DeviceEntry): Promise<Answer>;
}

/** Undefined: the options ask for a certificate. Throws SP_USAGE, SP_DEVICE_FACT. */
export function bareDevice(settings: Settings, id: string, options: BareOptions): BareDevice | undefined {
  if (options.psk !== true && options.rawKey === undefined) return undefined;
  if (options.address !== undefined) {
    throw new Fault(
      'SP_USAGE',
      'Others reach a device by its certificate: --address does not go with --psk or --raw-key.',
    );
  }
  if (options.psk === true) return pskDevice(settings, id, checkedPskIdentity(options.pskIdentity ?? id));
  return options.rawKey === true ? rawKeyDevice(settings, id) : importedKey(settings, options.rawKey as string);
}

function pskDevice(settings: Settings, id: string, identity: string): BareDevice {
  const { directory } = settings;
  return {
    add: async (reached, facts) => {
      const psk = makePsk(identity);
      const folder = writeFolder(directory, id, {
        'psk.json': `${JSON.stringify({ ...psk, hex: Buffer.from(psk.key).toString('hex') }, null, 2)}\n`,
        'psk.txt': psk.key,
      });
      // A device of this id that was removed by hand may have left one.
      removePsk(directory, id);
      return registered(
        reached,
        { ...facts, psk: { identity, fingerprint: fingerprintOf(psk.key) } },
        {
          before: () => writePsk(directory, id, psk),
          undo: () => {
            removePsk(directory, id);
            removeDeviceFolder(directory, id);
          },
          answer: (view) => {
            const line = `coap-client-openssl -m post -u ${pskIdentityOf(view.names) ?? id} -k "$(cat ${here(join(folder, 'psk.txt'))})" ${trial(settings)}`;
            return told(settings, view, reached.live, { folder, files: '{psk.json,psk.txt}', coap: line });
          },
        },
      );
    },
  };
}

function rawKeyDevice(settings: Settings, id: string): BareDevice {
  const { directory } = settings;
  return {
    add: async (reached, facts) => {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const publicKeyPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
      // SEC 1: the form that libcoap takes for both halves.
      const keyPem = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
      const caPem = readTextFile(authorityPaths(directory).certificate);
      const folder = writeFolder(directory, id, { 'key.pem': keyPem, 'public.pem': publicKeyPem, 'ca.pem': caPem });
      return registered(
        reached,
        { ...facts, publicKeyPem },
        {
          before: () => undefined,
          undo: () => removeDeviceFolder(directory, id),
          answer: (view) => {
            // The gateway shows its certificate, unless the device insists on a raw key from its side too.
            const line = `coap-client-gnutls -m post -M ${here(join(folder, 'key.pem'))} -C ${here(join(folder, 'ca.pem'))} ${trial(settings)}`;
            return told(settings, view, reached.live, { folder, files: '{key.pem,public.pem,ca.pem}', coap: line });
          },
        },
      );
    },
  };
}

/** The device keeps its key. */
function importedKey(settings: Settings, file: string): BareDevice {
  return {
    add: (reached, facts) =>
      registered(
        reached,
        { ...facts, publicKeyPem: readPublicKey(file) },
        {
          before: () => undefined,
          undo: () => undefined,
          answer: (view) =>
            told(settings, view, reached.live, {
              coap: `coap-client-gnutls -m post -M KEY.pem -C ${here(authorityPaths(settings.directory).certificate)} ${trial(settings)}`,
            }),
        },
      ),
  };
}

interface Steps {
  readonly before: () => void;
  readonly undo: () => void;
  readonly answer: (view: DeviceView) => Answer;
}

async function registered(
  { operations }: Reached,
  entry: DeviceEntry,
  { before, undo, answer }: Steps,
): Promise<Answer> {
  try {
    before();
    return answer(await operations['device-add'](entry));
  } catch (thrown) {
    undo();
    throw thrown;
  }
}

function told(
  { listen }: Settings,
  view: DeviceView,
  live: boolean,
  { folder, files, coap }: { readonly folder?: string; readonly files?: string; readonly coap: string },
): Answer {
  const listens = listen.coaps !== undefined;
  const lines = [
    `${paint('green', '✓')} ${view.id} in segment ${view.segment}, ${view.method === 'psk' ? 'pre-shared key' : 'raw public key'} ${view.key.slice(0, 16)}…${effect(live)}`,
    ...(folder === undefined ? [] : [`  files: ${here(folder)}/${files}, readable by you alone`]),
    `  try it:\n  ${coap}`,
    ...(listens
      ? []
      : [
          `  ${paint('yellow', '!')} nothing listens for it yet: add \`coaps: 0.0.0.0:5684\` under listen, and start anew`,
        ]),
  ];
  return { json: { ...view, live, ...(folder !== undefined && { folder }), coap }, text: lines.join('\n') };
}

function writeFolder(directory: string, id: string, files: Readonly<Record<string, string>>): string {
  const { folder } = devicePaths(directory, id);
  makeFolder(join(directory, 'devices'));
  writeNewFolder(folder, files);
  return folder;
}

function readPublicKey(file: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    // A private key in the place of a public one would be read as well, and then be told to the gateway.
    if (!text.includes('PRIVATE KEY')) return text;
  } catch (cause) {
    throw new Fault('SP_USAGE', `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
  throw new Fault('SP_USAGE', `${file} holds a private key; --raw-key takes the public one (openssl pkey -pubout).`);
}
