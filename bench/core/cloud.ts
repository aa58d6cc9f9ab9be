/**
 * The cloud behind every gateway measured: an nginx that answers at once and counts, on the load's core. What is sent with
 * `?look=1` goes to a recorder instead, so that a benchmark can see what a real cloud would have received.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Child, freePort, LOAD_CORE, type Workplace } from './children.ts';
import { fetchText } from './fetch-json.ts';
import { nginxPreamble, temporaryPaths } from './nginx.ts';

export interface Seen {
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export class Cloud {
  readonly port: number;
  readonly child: Child;
  readonly #recorder: Server;
  readonly #seen: Seen[];

  private constructor(port: number, child: Child, recorder: Server, seen: Seen[]) {
    this.port = port;
    this.child = child;
    this.#recorder = recorder;
    this.#seen = seen;
  }

  static async open(workplace: Workplace, core: number | string = LOAD_CORE): Promise<Cloud> {
    const seen: Seen[] = [];
    const recorder = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen.push({ target: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() });
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    }).listen(0, '127.0.0.1');
    await once(recorder, 'listening');
    const port = await freePort();
    const file = workplace.path('cloud.conf');
    writeFileSync(
      file,
      `${nginxPreamble(workplace, 'cloud')}
http {
  ${temporaryPaths(workplace, 'cloud')}
  access_log off; default_type application/json; keepalive_requests 1000000000; keepalive_timeout 1h;
  server {
    listen 127.0.0.1:${port} backlog=16384;
    location = /count { stub_status; }
    location / {
      if ($arg_look) { proxy_pass http://127.0.0.1:${(recorder.address() as AddressInfo).port}; break; }
      return 200 '{}';
    }
  }
}
`,
    );
    const child = workplace.start('cloud', 'nginx', ['-p', workplace.directory, '-c', file], { core });
    await workplace.listening(child, port);
    return new Cloud(port, child, recorder, seen);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What was recorded since the last call. */
  take(): Seen[] {
    return this.#seen.splice(0);
  }

  /** Requests answered so far, without those of this method. */
  async answered(): Promise<number> {
    const page = await fetchText(`${this.origin}/count`);
    const requests = /^\s*\d+\s+\d+\s+(\d+)/m.exec(page.split('requests')[1] ?? '')?.[1];
    if (requests === undefined) throw new Error(`the cloud does not count: ${page}`);
    this.#asked += 1;
    return Number(requests) - this.#asked;
  }
  #asked = 0;

  async close(): Promise<void> {
    this.#recorder.closeAllConnections();
    await new Promise((done) => this.#recorder.close(done));
  }
}
