/**
 * Real servers for the gateway to forward to: node:http (strict and lenient), Go's net/http, Python's http.server, and nginx
 * and haproxy, each in front of a recorder. Whatever any of them sees is gathered here.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../../unit/listeners/https/stage.ts';
import type { Sighting } from './recorder.ts';

const here = import.meta.dirname;
const NGINX = '/usr/sbin/nginx';
const HAPROXY = '/usr/sbin/haproxy';

export class Backends {
  /** Port by name. */
  readonly ports = new Map<string, number>();
  readonly sightings: Sighting[] = [];
  readonly missing: string[] = [];
  readonly #children: ChildProcess[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'smuggling-'));

  async start(): Promise<this> {
    const behind: Record<string, number> = {};
    const node = [
      '--disable-warning=ExperimentalWarning',
      join(here, 'recorder.ts'),
      'node',
      'node-lenient',
      'nginx',
      'haproxy',
    ];
    for (const [name, port] of Object.entries(await this.#recorder(process.execPath, node))) {
      if (name.startsWith('node')) this.ports.set(name, port);
      else behind[name] = port;
    }
    await this.#optional('go', () => this.#go());
    await this.#optional('python', () => this.#recorder('python3', [join(here, 'recorder.py')]));
    await this.#optional('nginx', () => this.#proxy('nginx', NGINX, ['-c'], nginxConfig, behind.nginx as number));
    await this.#optional('haproxy', () =>
      this.#proxy('haproxy', HAPROXY, ['-db', '-f'], haproxyConfig, behind.haproxy as number),
    );
    return this;
  }

  async stop(): Promise<void> {
    const ended = this.#children.map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(ended);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** A peer that is not installed is named, loudly. */
  async #optional(name: string, start: () => Promise<Record<string, number>>): Promise<void> {
    try {
      for (const [backend, port] of Object.entries(await start())) this.ports.set(backend, port);
    } catch (error) {
      this.missing.push(name);
      console.warn(`\n*** SKIPPED: no ${name} to forward to: ${(error as Error).message}\n`);
    }
  }

  async #go(): Promise<Record<string, number>> {
    const tool = ['/usr/local/go/bin/go', '/usr/bin/go'].find((path) => existsSync(path)) ?? 'go';
    const binary = join(this.#folder, 'recorder');
    execFileSync(tool, ['build', '-o', binary, join(here, 'recorder.go')], { stdio: 'pipe', timeout: 120_000 });
    return this.#recorder(binary, []);
  }

  /** Starts a recorder and waits for the line with its ports. */
  #recorder(command: string, commandArguments: readonly string[]): Promise<Record<string, number>> {
    const child = spawn(command, commandArguments, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${command} ended with ${code}`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const said = JSON.parse(line) as Sighting & { ports?: Record<string, number> };
        if (said.ports) resolve(said.ports);
        else this.sightings.push(said);
      });
    });
  }

  async #proxy(
    name: string,
    command: string,
    flags: readonly string[],
    config: (folder: string, port: number, behind: number) => string,
    behind: number,
  ): Promise<Record<string, number>> {
    if (!existsSync(command)) throw new Error(`${command} does not exist`);
    const port = await freePort();
    const file = join(this.#folder, `${name}.conf`);
    writeFileSync(file, config(this.#folder, port, behind));
    const child = spawn(command, [...flags, file], { stdio: ['ignore', 'inherit', 'pipe'] });
    this.#children.push(child);
    let ended = false;
    child.once('exit', () => {
      ended = true;
    });
    let open = false;
    const knock = setInterval(() => {
      const socket = connect(port, '127.0.0.1', () => {
        open = true;
        socket.destroy();
      }).on('error', () => {});
    }, 50);
    await until(() => open || ended, 10_000).finally(() => clearInterval(knock));
    if (ended) throw new Error(`${command} ended at once: ${child.stderr.read()}`);
    return { [name]: port };
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** As forgiving as nginx can be made: what the gateway lets through must be clean without nginx's help. */
function nginxConfig(folder: string, port: number, behind: number): string {
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (use) => `${use}_temp_path ${folder}/${use};`,
  );
  return `
    daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
    events { worker_connections 256; }
    http {
      access_log off; ${scratch.join(' ')}
      underscores_in_headers on; ignore_invalid_headers off; merge_slashes off; keepalive_requests 1000000;
      upstream recorder { server 127.0.0.1:${behind}; keepalive 16; keepalive_requests 1000000; }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://recorder; proxy_http_version 1.1; proxy_set_header Connection ""; }
      }
    }`;
}

function haproxyConfig(_folder: string, port: number, behind: number): string {
  return `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option accept-invalid-http-request
  option http-restrict-req-hdr-names preserve
frontend gateway
  bind 127.0.0.1:${port}
  default_backend recorder
backend recorder
  http-reuse always
  server recorder 127.0.0.1:${behind}
`;
}
