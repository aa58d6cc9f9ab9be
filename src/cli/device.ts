/** `sallyport device …`: who may come. Certificates are made here, by the command; the gateway only ever sees public keys. */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { type Command, Option } from 'commander';
import type { DeviceEntry, DeviceView } from '../admin/operations.ts';
import { loadConfiguration } from '../config/load.ts';
import { nearest } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import type { DeviceState } from '../exchange/peer.ts';
import { Fault } from '../faults/fault.ts';
import { Authority } from '../identity/ca/authority.ts';
import { KEY_TYPES, type KeyType } from '../identity/ca/keys.ts';
import {
  devicePaths,
  finishNextFolder,
  removeDeviceFolder,
  removeNextFolder,
  writeDeviceFolder,
  writeNextFolder,
} from '../identity/device-folder.ts';
import { importCertificate } from '../identity/import.ts';
import { removePsk } from '../identity/psk.ts';
import { addTrustAnchor, authorityPaths, isIssuedBy, readTrustAnchors } from '../identity/trust.ts';
import { bareDevice } from './bare-device.ts';
import { type Answer, answering } from './command.ts';
import { colouredState, described, effect, expiry, here, trial } from './device-text.ts';
import { type Reached, withDevices } from './devices.ts';
import { paint, table } from './terminal.ts';

interface AddOptions {
  readonly segment: string;
  readonly certificate?: string;
  readonly csr?: string;
  readonly psk?: boolean;
  readonly pskIdentity?: string;
  readonly rawKey?: string | true;
  readonly issuer?: string;
  readonly keyType: KeyType;
  readonly days?: string;
  readonly label: readonly string[];
  readonly manufacturer?: string;
  readonly model?: string;
  readonly firmware?: string;
  readonly address?: string;
}

type SetOptions = Partial<Pick<AddOptions, 'segment' | 'label' | 'manufacturer' | 'model' | 'firmware'>>;

const STATES: readonly { verb: string; state: DeviceState; done: string; text: string; undo: string }[] = [
  {
    verb: 'disable',
    state: 'disabled',
    done: 'disabled',
    text: 'let it in no more: closes its connections, refuses its resumption',
    undo: 'enable',
  },
  { verb: 'enable', state: 'active', done: 'active', text: 'let it in again', undo: 'disable' },
  {
    verb: 'quarantine',
    state: 'quarantined',
    done: 'quarantined',
    text: 'let it connect, deny whatever it asks, keep it on record',
    undo: 'enable',
  },
];

export function registerDevice(root: Command): void {
  const device = root.command('device').description('add, list and change devices');

  device
    .command('add')
    .description('register a device; makes its key and certificate unless you bring one')
    .argument('<id>', 'lowercase letters, digits, dots and hyphens; it stands in the certificate and in {device.id}')
    .requiredOption('--segment <name>', 'the segment whose rules hold for it')
    .option('--certificate <file>', 'register this certificate, issued elsewhere (PEM or DER)')
    .option('--psk', 'give it a pre-shared key instead, for CoAP over DTLS')
    .option('--psk-identity <text>', 'what it says to be in the handshake; its id when left out')
    .option('--raw-key [file]', 'a raw public key instead, for CoAP over DTLS: made here, or brought (PEM)')
    .option('--csr <file>', 'sign this request: the device keeps its key (PEM)')
    .option('--issuer <file>', 'trust this authority, which issued --certificate (PEM)')
    .addOption(new Option('--key-type <type>', 'the key to make').choices([...KEY_TYPES]).default('p256'))
    .option('--days <count>', 'validity of the certificate')
    .option('--label <key=value...>', 'labels that policy sees', [])
    .option('--manufacturer <text>', 'who made it')
    .option('--model <text>', 'its model')
    .option('--firmware <text>', 'its firmware version')
    .option('--address <url>', 'where the device itself can be reached by others: https://host[:port]')
    .action(
      answering<AddOptions>(({ directory }, [id = ''], options) =>
        add(loadConfiguration(directory).settings, id, options),
      ),
    );

  device
    .command('set')
    .description(
      'change what is known of a device: move it to another segment, label it; its sessions are decided anew',
    )
    .argument('<id>', 'the device')
    .option('--segment <name>', 'the segment whose rules hold for it from now on')
    .option('--label <key=value...>', 'labels that policy sees; KEY= takes one away')
    .option('--manufacturer <text>', 'who made it')
    .option('--model <text>', 'its model')
    .option('--firmware <text>', 'its firmware version')
    .action(
      answering<SetOptions>(({ directory }, [id = ''], options) =>
        set(loadConfiguration(directory).settings, id, options),
      ),
    );

  device
    .command('list')
    .description('show all devices')
    .option('--segment <name>', 'only those of this segment')
    .option('--state <state>', 'only those in this state')
    .action(
      answering<{ segment?: string; state?: string }>(async ({ directory }, _, { segment, state }) => {
        const { settings } = loadConfiguration(directory);
        const all = await withDevices(settings, ({ operations }) => operations['device-list']());
        const shown = all.filter(
          (one) => (segment === undefined || one.segment === segment) && (state === undefined || one.state === state),
        );
        const rows = shown.map((one) => [
          one.id,
          one.segment,
          colouredState(one.state),
          expiry(one),
          one.key.slice(0, 16),
        ]);
        const head = ['DEVICE', 'SEGMENT', 'STATE', 'CERTIFICATE ENDS', 'KEY'].map((word) => paint('dim', word));
        return {
          json: shown,
          text:
            shown.length === 0
              ? 'no devices; add one with `sallyport device add NAME --segment SEGMENT`'
              : table([head, ...rows]),
        };
      }),
    );

  device
    .command('show')
    .description('show one device')
    .argument('<id>', 'the device')
    .action(
      answering(async ({ directory }, [id = '']) => {
        const { settings } = loadConfiguration(directory);
        const view = await withDevices(settings, ({ operations }) => operations['device-show']({ id }));
        return { json: view, text: described(view) };
      }),
    );

  for (const { verb, state, done, text, undo } of STATES) {
    device
      .command(verb)
      .description(text)
      .argument('<id>', 'the device')
      .action(
        answering(async ({ directory }, [id = '']) => {
          const { settings } = loadConfiguration(directory);
          return withDevices(settings, async ({ operations, live }) => {
            const view = await operations['device-state']({ id, state });
            return {
              json: { ...view, live },
              text: `${paint('green', '✓')} ${id} is ${done}${effect(live)}\n  undo: sallyport device ${undo} ${id}`,
            };
          });
        }),
      );
  }

  device
    .command('remove')
    .description('retire a device: its key is never accepted again')
    .argument('<id>', 'the device')
    .action(
      answering(async ({ directory }, [id = '']) => {
        const { settings } = loadConfiguration(directory);
        return withDevices(settings, async ({ operations, live }) => {
          const view = await operations['device-state']({ id, state: 'retired' });
          removeDeviceFolder(directory, id);
          removePsk(directory, id);
          return {
            json: { ...view, live },
            text: `${paint('green', '✓')} ${id} is retired, its folder removed${effect(live)}\n  this cannot be undone; a new key makes a new device of that name`,
          };
        });
      }),
    );

  device
    .command('renew')
    .description('make a next key and certificate for a device; the present ones stay accepted')
    .argument('<id>', 'the device')
    .option('--days <count>', 'validity of the certificate')
    .option('--finish', 'give the former key up: the next one becomes the only one')
    .action(
      answering<{ days?: string; finish?: boolean }>(({ directory }, [id = ''], { days, finish }) => {
        const { settings } = loadConfiguration(directory);
        return finish === true ? finishRenewal(settings, id) : renew(settings, id, days);
      }),
    );
}

async function add(settings: Settings, id: string, options: AddOptions): Promise<Answer> {
  const { directory } = settings;
  refuseUnknownSegment(settings, options.segment);
  const ways = [options.certificate, options.csr, options.psk, options.rawKey].filter((way) => way !== undefined);
  if (ways.length > 1) throw new Fault('SP_USAGE', 'Give one of --certificate, --csr, --psk and --raw-key.');
  if (options.pskIdentity !== undefined && options.psk !== true)
    throw new Fault('SP_USAGE', '--psk-identity is for --psk.');
  const bare = bareDevice(settings, id, options);
  if (bare) {
    return withDevices(settings, async (reached) => {
      await refuseKnown(reached, id);
      return bare.add(reached, factsOf(id, options));
    });
  }
  const paths = devicePaths(directory, id);
  return withDevices(settings, async (reached) => {
    await refuseKnown(reached, id);
    const { certificatePem, keyPem } = await credentials(settings, id, options);
    const written = options.certificate === undefined;
    // The files first: a registered device whose key was never written could not come. Taken back if it is not registered.
    if (written)
      writeDeviceFolder(directory, id, {
        certificatePem,
        keyPem,
        caPem: readFileSync(authorityPaths(directory).certificate, 'utf8'),
      });
    try {
      const view = await reached.operations['device-add']({ ...factsOf(id, options), certificatePem });
      return added(settings, view, { written, hasKey: keyPem !== undefined, live: reached.live, paths });
    } catch (thrown) {
      if (written) removeDeviceFolder(directory, id);
      throw thrown;
    }
  });
}

function refuseUnknownSegment({ segments }: Settings, segment: string): void {
  if (segments.has(segment)) return;
  const known = [...segments.keys()];
  const guess = nearest(segment, known);
  throw new Fault(
    'SP_USAGE',
    `There is no segment "${segment}" in sallyport.yaml; ${guess ? `did you mean "${guess}"?` : `known: ${known.join(', ')}`}`,
  );
}

async function set(settings: Settings, id: string, { label, ...options }: SetOptions): Promise<Answer> {
  const { segment, manufacturer, model, firmware } = options;
  const facts = {
    ...(segment !== undefined && { segment }),
    ...(manufacturer !== undefined && { manufacturer }),
    ...(model !== undefined && { model }),
    ...(firmware !== undefined && { firmware }),
    ...(label && { labels: labelsOf(label) }),
  };
  if (Object.keys(facts).length === 0) throw new Fault('SP_USAGE', 'Say what to change, e.g. --segment NAME.');
  if (segment !== undefined) refuseUnknownSegment(settings, segment);
  return withDevices(settings, async ({ operations, live }) => {
    const before = await operations['device-show']({ id });
    const view = await operations['device-set']({ id, ...facts });
    const moved = before.segment === view.segment ? '' : `, moved from ${before.segment}`;
    const undo =
      before.segment === view.segment ? '' : `\n  undo: sallyport device set ${id} --segment ${before.segment}`;
    const text = `${paint('green', '✓')} ${id} is in segment ${view.segment}${moved}${effect(live)}${undo}`;
    return { json: { ...view, live }, text };
  });
}

/** A device that exists is refused before its folder is touched. */
async function refuseKnown({ operations }: Reached, id: string): Promise<void> {
  const known = await operations['device-show']({ id }).catch((thrown: unknown) => {
    if (thrown instanceof Fault && thrown.code === 'SP_DEVICE_UNKNOWN') return undefined;
    throw thrown;
  });
  if (known && known.state !== 'retired')
    throw new Fault('SP_DEVICE_EXISTS', `The device ${id} is already registered.`);
}

async function credentials(
  settings: Settings,
  id: string,
  options: AddOptions,
): Promise<{ certificatePem: string; keyPem?: string | undefined }> {
  const { directory, limits } = settings;
  if (options.issuer !== undefined) addTrustAnchor(directory, readOperatorFile(options.issuer).toString('utf8'));
  if (options.certificate !== undefined) {
    const { certificate } = importCertificate(readOperatorFile(options.certificate), {
      maxBytes: limits.certificateBytes,
      now: Date.now(),
    });
    if (!isIssuedBy(certificate, readTrustAnchors(directory))) {
      throw new Fault(
        'SP_CERTIFICATE_INVALID',
        'No trusted authority issued this certificate; name its issuer with --issuer FILE.',
      );
    }
    return { certificatePem: certificate };
  }
  const term = { ...termOf(options.days), serves: options.address !== undefined };
  const authority = await Authority.open(directory);
  if (options.csr !== undefined) return authority.signRequest(id, readOperatorFile(options.csr).toString('utf8'), term);
  return authority.issueDevice(id, { ...term, keyType: options.keyType });
}

function termOf(days: string | undefined): { days?: number } {
  if (days === undefined) return {};
  const count = Number(days);
  if (!Number.isInteger(count) || count < 1 || count > 3_650)
    throw new Fault('SP_USAGE', `--days ${days}: a number from 1 to 3650.`);
  return { days: count };
}

function factsOf(id: string, options: AddOptions): DeviceEntry {
  const { segment, manufacturer, model, firmware, address } = options;
  const labels = labelsOf(options.label);
  return {
    id,
    segment,
    labels,
    ...(manufacturer !== undefined && { manufacturer }),
    ...(model !== undefined && { model }),
    ...(firmware !== undefined && { firmware }),
    ...(address !== undefined && { address }),
  };
}

function labelsOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((text) => {
      const equals = text.indexOf('=');
      if (equals < 1) throw new Fault('SP_USAGE', `--label ${text}: write KEY=VALUE.`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

function added(
  settings: Settings,
  view: DeviceView,
  {
    written,
    hasKey,
    live,
    paths,
  }: { written: boolean; hasKey: boolean; live: boolean; paths: ReturnType<typeof devicePaths> },
): Answer {
  const key = hasKey ? here(paths.key) : 'KEY.pem';
  const curl = `curl --cacert ${here(paths.ca)} --cert ${here(paths.certificate)} --key ${key} https://localhost:${settings.listen.https?.port ?? 8443}/v1/telemetry -H 'content-type: application/json' -d '{"serial":"SN-1","temperature":21.5,"owner":"Ada"}'`;
  const coap = `coap-client-openssl -m post -c ${here(paths.certificate)} -j ${key} -C ${here(paths.ca)} ${trial(settings)}`;
  const lineOfTrial = settings.listen.https === undefined ? coap : curl;
  const files = hasKey ? '{cert.pem,key.pem,ca.pem}' : '{cert.pem,ca.pem}';
  const lines = [
    `${paint('green', '✓')} ${view.id} in segment ${view.segment}, key ${view.key.slice(0, 16)}…${effect(live)}`,
    ...(written
      ? [`  files: ${here(paths.folder)}/${files}, readable by you alone`, `  try it:\n  ${lineOfTrial}`]
      : []),
  ];
  return {
    json: { ...view, live, ...(written && { folder: paths.folder, curl, ...(settings.listen.coaps && { coap }) }) },
    text: lines.join('\n'),
  };
}

async function renew(settings: Settings, id: string, days: string | undefined): Promise<Answer> {
  const { directory } = settings;
  return withDevices(settings, async ({ operations, live }) => {
    const { address, method } = await operations['device-show']({ id });
    if (method !== 'certificate') {
      throw new Fault('SP_USAGE', `${id} has no certificate to renew; for another key, remove it and add it anew.`);
    }
    const authority = await Authority.open(directory);
    const issued = await authority.issueDevice(id, { ...termOf(days), serves: address !== undefined });
    // The files first, as in `add`: a key that is accepted and that nobody has would be the worst of both.
    const folder = writeNextFolder(directory, id, issued);
    try {
      const view = await operations['device-renew']({ id, certificatePem: issued.certificatePem });
      const text = `${paint('green', '✓')} ${id} may use its next key besides the present one${effect(live)}
  files: ${relative(process.cwd(), folder)}
  when the device uses it: sallyport device renew ${id} --finish`;
      return { json: { ...view, live, folder }, text };
    } catch (thrown) {
      removeNextFolder(directory, id);
      throw thrown;
    }
  });
}

/** The former key is given up: whoever has it is out. */
async function finishRenewal(settings: Settings, id: string): Promise<Answer> {
  return withDevices(settings, async ({ operations, live }) => {
    const view = await operations['device-finish-renewal']({ id });
    finishNextFolder(settings.directory, id);
    const text = `${paint('green', '✓')} ${id} has only its new key now, ${view.key.slice(0, 16)}…; the former is never accepted again${effect(live)}`;
    return { json: { ...view, live }, text };
  });
}

function readOperatorFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Fault('SP_USAGE', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
