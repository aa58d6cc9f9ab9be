/** `sallyport init`: a gateway's folder with its authority, certificates, keys and a first configuration. */
import { copyFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { crossCheckUrl } from '../config/cross-check.ts';
import { CONFIGURATION_FILE, parseConfiguration } from '../config/load.ts';
import { Fault } from '../faults/fault.ts';
import { makeFolder, writeNewFile, writeNewFolder } from '../identity/atomic-file.ts';
import { Authority } from '../identity/ca/authority.ts';
import { PrivacyKeys } from '../privacy/keys.ts';
import { answering } from './command.ts';
import { paint } from './terminal.ts';

interface InitOptions {
  readonly cloud: string;
  readonly httpsPort: string;
  readonly coapsPort?: string;
  readonly host: string;
  readonly metricsPort?: string;
  readonly name?: string;
  readonly cloudCa?: string;
  readonly serverName: readonly string[];
}

export function registerInit(root: Command): void {
  root
    .command('init')
    .description('make a gateway’s folder: its authority, certificates, keys and a first sallyport.yaml')
    .argument('<dir>', 'the folder to make; it must be new or empty')
    .requiredOption('--cloud <url>', 'where permitted messages go: https://host[:port], or http:// on loopback')
    .option('--https-port <port>', 'port for HTTPS and WebSocket', '8443')
    .option('--coaps-port <port>', 'also take CoAP over DTLS on this UDP port; 5684 is the registered one')
    .option('--host <address>', 'address to listen on', '0.0.0.0')
    .option('--metrics-port <port>', 'serve /healthz, /readyz and /metrics on this loopback port')
    .option('--name <name>', 'the gateway’s name; the folder’s name when left out')
    .option(
      '--cloud-ca <file>',
      'PEM of the only authority to trust for the cloud, or `authority` for the gateway’s own',
    )
    .option('--server-name <name...>', 'more names or addresses that devices call the gateway by', [])
    .addHelpText('after', '\nExample:\n  sallyport init ./gw --cloud https://ingest.example.com --https-port 8443')
    .action(
      answering<InitOptions>(async (_, [target = ''], options) => {
        const directory = resolve(target);
        await initialise(directory, options);
        const shown = relative(process.cwd(), directory) || '.';
        const here = shown.startsWith('..') ? directory : shown === '.' ? '.' : `./${shown}`;
        return {
          json: { directory, configuration: join(directory, CONFIGURATION_FILE) },
          text: `${paint('green', '✓')} ${here} is ready: its authority, certificates, keys and ${CONFIGURATION_FILE}

Next:
  npx sallyport -C ${here} device add thermo-1 --segment sensors
  npx sallyport -C ${here} run`,
        };
      }),
    );
}

/** Makes the folder. Throws SP_USAGE or SP_CONFIG_INVALID before anything is written. */
export async function initialise(directory: string, options: InitOptions): Promise<void> {
  if (existsSync(join(directory, CONFIGURATION_FILE))) {
    throw new Fault('SP_FILE_EXISTS', `${directory} already is a gateway’s folder; nothing was changed.`);
  }
  if (existsSync(directory) && readdirSync(directory).length > 0) {
    throw new Fault('SP_FILE_EXISTS', `${directory} is not empty; choose a new folder.`);
  }
  const port = portOf(options.httpsPort, '--https-port');
  const coapsPort = options.coapsPort === undefined ? undefined : portOf(options.coapsPort, '--coaps-port');
  const metricsPort = options.metricsPort === undefined ? undefined : portOf(options.metricsPort, '--metrics-port');
  const name = nameOf(options.name ?? directory.split('/').at(-1) ?? 'gateway');
  const urlProblem = crossCheckUrl(options.cloud);
  if (urlProblem) throw new Fault('SP_USAGE', `--cloud ${options.cloud}: ${urlProblem}`);
  const cloud = new URL(options.cloud);
  const ownAuthority = options.cloudCa === 'authority';
  if (options.cloudCa !== undefined && cloud.protocol === 'http:') {
    throw new Fault('SP_USAGE', '--cloud-ca needs an https:// cloud.');
  }
  if (options.cloudCa !== undefined && !ownAuthority && !existsSync(options.cloudCa)) {
    throw new Fault('SP_USAGE', `--cloud-ca: there is no file ${options.cloudCa}.`);
  }

  for (const folder of ['', 'certs', 'keys', 'policy', 'state', 'ledger', 'run', 'devices'])
    makeFolder(join(directory, folder));
  const authority = await Authority.create(directory, `Sallyport ${name}`);
  // There from the start: Node takes a permission for a folder that does not exist for one for a file.
  makeFolder(join(directory, 'ca', 'trusted'));
  const names = options.serverName.filter((one) => !isAddress(one));
  const server = await authority.issueServer([name, ...names], options.serverName.filter(isAddress));
  writeNewFolder(join(directory, 'certs', 'listener'), {
    'cert.pem': server.certificatePem,
    'key.pem': server.keyPem ?? '',
  });
  if (cloud.protocol === 'https:') {
    const client = await authority.issueClient(name);
    writeNewFolder(join(directory, 'certs', 'gateway'), {
      'cert.pem': client.certificatePem,
      'key.pem': client.keyPem ?? '',
    });
  }
  if (ownAuthority)
    writeNewFile(join(directory, 'certs', 'cloud-ca.pem'), readFileSync(join(directory, 'ca', 'cert.pem'), 'utf8'));
  else if (options.cloudCa !== undefined) copyFileSync(options.cloudCa, join(directory, 'certs', 'cloud-ca.pem'));
  PrivacyKeys.create(join(directory, 'keys', 'privacy.json'));

  const text = firstConfiguration({
    name,
    cloud,
    host: options.host,
    port,
    coapsPort,
    metricsPort,
    pinned: options.cloudCa !== undefined,
  });
  parseConfiguration(text, directory);
  writeNewFile(join(directory, CONFIGURATION_FILE), text);
}

interface First {
  readonly name: string;
  readonly cloud: URL;
  readonly host: string;
  readonly port: number;
  readonly coapsPort: number | undefined;
  readonly metricsPort: number | undefined;
  /** certs/cloud-ca.pem exists. */
  readonly pinned: boolean;
}

function firstConfiguration({ name, cloud, host, port, coapsPort, metricsPort, pinned }: First): string {
  const at = (one: number) => (host.includes(':') ? `"[${host}]:${one}"` : `${host}:${one}`);
  const coaps =
    coapsPort === undefined
      ? `  # coaps: ${at(5684)}          # CoAP over DTLS, for small devices`
      : `  coaps: ${at(coapsPort)}            # CoAP over DTLS; certificate, pre-shared or raw public key`;
  const metrics =
    metricsPort === undefined
      ? '  # metrics: 127.0.0.1:9464      # /healthz, /readyz and /metrics'
      : `  metrics: 127.0.0.1:${metricsPort}        # /healthz, /readyz and /metrics`;
  const mutual =
    cloud.protocol === 'https:'
      ? '\n    certificate: certs/gateway     # our own certificate towards the cloud (mTLS)'
      : '';
  const ca = pinned ? '\n    ca: certs/cloud-ca.pem         # the only authority to trust for it' : '';
  return `# What this file does not say is denied. Check it with \`sallyport config check\`; \`sallyport config explain KEY\` tells
# what a key means. A running gateway takes changes over on SIGHUP; a broken file changes nothing.
gateway: ${name}

listen:
  https: ${at(port)}            # HTTPS and WebSocket; a device certificate is required
${coaps}
  admin: unix                    # run/admin.sock, for this user only
${metrics}

upstreams:
  cloud:
    url: ${cloud.origin}${mutual}${ca}

segments:
  sensors:                       # sallyport device add NAME --segment sensors
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings, rate: 100/s }

privacy:
  readings:
    keep: [temperature, humidity, time]
    pseudonymise: [serial]       # the same every time, never the serial itself
    # everything else is dropped
`;
}

function portOf(text: string, option: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new Fault('SP_USAGE', `${option} ${text}: a port is a number from 0 to 65535.`);
  return port;
}

function nameOf(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 48)
    .replace(/^-+|-+$/g, '')
    .slice(0, 64);
  return name === ''
    ? hostname()
        .toLowerCase()
        .replace(/[^a-z0-9-]+/g, '-') || 'gateway'
    : name;
}

function isAddress(text: string): boolean {
  return /^[\d.]+$/.test(text) || text.includes(':');
}
