/**
 * Ours: a gateway's folder as `sallyport init` makes it and the program as its users start it, `sallyport run` under Node's
 * permission model with the shipped policy, a privacy rule and the ledger on disk. Its authority also certifies the peers.
 */
import { createReadStream, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ask } from '../../src/admin/client.ts';
import { withDevices } from '../../src/cli/devices.ts';
import { initialise } from '../../src/cli/init.ts';
import { describeKeys } from '../../src/config/describe.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { Authority } from '../../src/identity/ca/authority.ts';
import { verifyAll } from '../../src/ledger/streams.ts';
import { type Child, SERVER_CORE, until, type Workplace } from './children.ts';
import type { Peer } from './nginx.ts';

const LAUNCHER = fileURLToPath(new URL('../../src/launch.mjs', import.meta.url));

export interface HouseFiles {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

export interface DeviceFiles {
  readonly id: string;
  readonly certificate: string;
  readonly key: string;
  /** Certificate and key in one file, as `ab -E` wants them. */
  readonly both: string;
  readonly pem: { readonly cert: string; readonly key: string; readonly ca: string };
}

/** The default: the route and the rule that `init` writes, with one query parameter that lets a benchmark look into the cloud. */
export function standardConfiguration(cloud: string, more = '', moreRoutes = '', workers = 1): string {
  return `gateway: bench
listen: { https: "127.0.0.1:0", admin: unix }
${knowsKey('workers') ? `workers: ${workers}\n` : ''}upstreams: { cloud: { url: ${cloud} } }
segments:
  sensors:
    routes:
      telemetry: { allow: POST /v1/telemetry, to: cloud, privacy: readings }
      live: { allow: WS /v1/live, to: cloud, privacy: readings }
${moreRoutes}privacy:
  readings: { keep: [temperature, humidity, time], pseudonymise: [serial], query: { keep: [look] } }
${more}`;
}

/** Whether this program knows a key of the configuration. */
export function knowsKey(key: string): boolean {
  return describeKeys().some((known) => known.key === key);
}

export class House {
  readonly workplace: Workplace;
  readonly directory: string;
  readonly files: HouseFiles;
  readonly #authority: Authority;

  private constructor(workplace: Workplace, directory: string, authority: Authority) {
    this.workplace = workplace;
    this.directory = directory;
    this.#authority = authority;
    this.files = {
      certificate: join(directory, 'certs/listener/cert.pem'),
      key: join(directory, 'certs/listener/key.pem'),
      authority: join(directory, 'ca/cert.pem'),
    };
  }

  static async open(
    workplace: Workplace,
    cloud: string,
    configuration = standardConfiguration(cloud),
    folder = 'gw',
  ): Promise<House> {
    const directory = workplace.path(folder);
    await initialise(directory, { cloud, httpsPort: '0', host: '127.0.0.1', name: 'bench', serverName: [] });
    const house = new House(workplace, directory, await Authority.open(directory));
    house.configure(configuration);
    return house;
  }

  configure(configuration: string): void {
    writeFileSync(join(this.directory, 'sallyport.yaml'), configuration);
  }

  /** A certificate for the device, and its entry in the registry. */
  async addDevice(id: string, segment = 'sensors'): Promise<DeviceFiles> {
    const issued = await this.#authority.issueDevice(id);
    const { settings } = loadConfiguration(this.directory);
    await withDevices(settings, ({ operations }) =>
      operations['device-add']({ id, segment, certificatePem: issued.certificatePem, labels: {} }),
    );
    const [certificate, key, both] = ['cert', 'key', 'both'].map((part) => `${this.directory}-${id}-${part}.pem`) as [
      string,
      string,
      string,
    ];
    const keyPem = issued.keyPem ?? '';
    writeFileSync(certificate, issued.certificatePem);
    writeFileSync(key, keyPem, { mode: 0o600 });
    writeFileSync(both, `${issued.certificatePem}${keyPem}`, { mode: 0o600 });
    return {
      id,
      certificate,
      key,
      both,
      pem: { cert: issued.certificatePem, key: keyPem, ca: this.#authority.certificate },
    };
  }

  /** Starts the gateway and does not wait. */
  spawn(core: number | string = SERVER_CORE): Child {
    const words = [LAUNCHER, '-C', this.directory, 'run', '--json'];
    return this.workplace.start('sallyport', process.execPath, words, { core });
  }

  /** Starts the gateway and waits until it says that it is ready. */
  async start(core: number | string = SERVER_CORE): Promise<OurGateway> {
    const began = performance.now();
    const child = this.workplace.start(
      'sallyport',
      process.execPath,
      [LAUNCHER, '-C', this.directory, 'run', '--json'],
      {
        core,
      },
    );
    let port = 0;
    await until(
      async () => {
        const status = await ask(this.directory, 'status').catch(() => undefined);
        port = Number(status?.listen.https?.split(':').at(-1) ?? 0);
        return status?.ready === true && port !== 0;
      },
      () => `the gateway does not become ready:\n${child.output().slice(-4_000)}`,
      child,
    );
    return { name: 'sallyport', port, processes: [child], readyMs: performance.now() - began };
  }

  /** Stops the gateway, verifies its ledger from the first record to the last, and says how many decisions are on it. */
  async stopAndVerify(gateway: OurGateway): Promise<number> {
    await Promise.all(gateway.processes.map((child) => child.end()));
    const ledger = join(this.directory, 'ledger');
    const { ok, firstProblem } = await verifyAll(ledger);
    if (!ok) throw new Error(`the ledger does not verify: ${JSON.stringify(firstProblem)}`);
    let decisions = 0;
    // Each worker has a folder of its own in it.
    for (const name of readdirSync(ledger, { recursive: true, encoding: 'utf8' }).filter((one) =>
      one.endsWith('.jsonl'),
    ))
      for await (const line of createInterface({ input: createReadStream(join(ledger, name)) }))
        if (line.includes('"kind":"decision"')) decisions += 1;
    return decisions;
  }
}

export interface OurGateway extends Peer {
  readonly processes: readonly [Child, ...Child[]];
  readonly readyMs: number;
}
