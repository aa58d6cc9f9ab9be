/** nginx as the cloud: mutual TLS, keep-alive that it ends when it likes, compression, redirects, chunked and large answers. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Body } from '../../src/exchange/arrival.ts';
import type { Reply } from '../../src/exchange/message.ts';
import type { HttpUpstream } from '../../src/upstreams/http-upstream.ts';
import { CLIENT_AUTH, issue } from '../unit/upstreams/certificates.ts';
import { openTo } from '../unit/upstreams/http-settings.ts';
import { faultCode, until } from '../unit/upstreams/raw-server.ts';
import { sealedMessage, type Wanted } from '../unit/upstreams/sealed-message.ts';

function nginxVersion(): string | undefined {
  try {
    return execFileSync('sh', ['-c', 'nginx -v 2>&1'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

const version = nginxVersion();
if (version === undefined) console.warn('SKIPPED: nginx is not installed; interop with it was not tested');

const folder = mkdtempSync(join(tmpdir(), 'sallyport-nginx-'));
const opened: HttpUpstream[] = [];
let nginx: ChildProcess | undefined;
let port: number;
let settings: { ca: string; certificate: { certificateFile: string; keyFile: string }; pins: string[] };

const file = (name: string, content: string) => {
  writeFileSync(join(folder, name), content, { mode: 0o600 });
  return join(folder, name);
};

beforeAll(async () => {
  if (version === undefined) return;
  const root = await issue({ name: 'Cloud CA', ca: true });
  const leaf = await issue({ issuer: root, dns: ['localhost'] });
  const ours = await issue({ name: 'gateway-1', issuer: root, usages: [CLIENT_AUTH] });
  const ca = file('ca.pem', root.pem);
  settings = {
    ca,
    certificate: { certificateFile: file('our.pem', ours.pem), keyFile: file('our-key.pem', ours.keyPem) },
    pins: [leaf.pin],
  };
  port = await freePort();
  mkdirSync(join(folder, 'www'));
  writeFileSync(join(folder, 'www/page.json'), `{"page":"${'x'.repeat(5_000)}"}`);
  writeFileSync(join(folder, 'www/large.bin'), Buffer.alloc(5_000_000));
  writeFileSync(join(folder, 'www/full.bin'), Buffer.alloc(4_194_304, 7));
  const config = file('nginx.conf', configuration(file('leaf.pem', leaf.pem), file('leaf-key.pem', leaf.keyPem), ca));
  nginx = spawn('nginx', ['-p', folder, '-c', config, '-e', join(folder, 'error.log')], { stdio: 'inherit' });
  await until(() => accepts(port), 10_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
});
afterAll(async () => {
  for (const upstream of opened) await upstream.close(0);
  nginx?.kill('SIGTERM');
  if (nginx) await new Promise((resolve) => nginx?.once('exit', resolve));
  rmSync(folder, { recursive: true });
});

function configuration(certificate: string, key: string, ca: string): string {
  return `
daemon off; worker_processes 1; pid ${folder}/nginx.pid; ${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 128; }
http {
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  types { application/json json; application/octet-stream bin; }
  log_format line '$ssl_client_verify|$ssl_client_s_dn|$ssl_protocol|$request|$content_length|$http_sallyport_decision|$connection_requests';
  access_log ${folder}/access.log line;
  gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any;
  keepalive_requests 5; client_max_body_size 100k; client_body_buffer_size 100k;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${certificate}; ssl_certificate_key ${key};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_client_certificate ${ca}; ssl_verify_client on;
    root ${folder}/www;
    location = /v1/telemetry { return 201 '{"ok":true}'; }
    location = /moved { return 301 /v1/telemetry; }
    location = /away { return 302 https://evil.example/; }
    location = /empty { return 204; }
    location = /broken { return 500; }
  }
}
`;
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

let reachable = false;
function accepts(at: number): boolean {
  const socket = createConnection(at, '127.0.0.1');
  socket.on('connect', () => {
    reachable = true;
    socket.destroy();
  });
  socket.on('error', () => undefined);
  return reachable;
}

function open(over = {}): HttpUpstream {
  const upstream = openTo(`https://localhost:${port}`, { ...settings, connections: 4, ...over });
  opened.push(upstream);
  return upstream;
}

async function send(upstream: HttpUpstream, wanted: Wanted): Promise<Reply> {
  return upstream.request(await sealedMessage(wanted), new AbortController().signal);
}

const text = ({ body }: Reply) => (body.kind === 'bytes' ? Buffer.from(body.bytes).toString() : '');
const log = () => readFileSync(join(folder, 'access.log'), 'utf8').trim().split('\n');

describe.skipIf(version === undefined)('nginx as the cloud', () => {
  it('knows us by our certificate and sees the request as it is', async () => {
    const body: Body = { kind: 'bytes', bytes: Buffer.from('{"temperature":21.5}') };
    const reply = await send(open(), {
      verb: 'POST',
      path: '/v1/telemetry',
      query: 'a=%2F',
      contentType: 'application/json',
      body,
    });
    expect([reply.status, text(reply)]).toEqual([201, '{"ok":true}']);
    await until(() => log().length > 0);
    const [verify, subject, protocol, request, length, decision] = log().at(-1)?.split('|') ?? [];
    expect([verify, subject, protocol, request, length]).toEqual([
      'SUCCESS',
      'CN=gateway-1',
      'TLSv1.3',
      'POST /v1/telemetry?a=%2F HTTP/1.1',
      '20',
    ]);
    expect(decision).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('loses no request although it closes each connection after five', async () => {
    const upstream = open();
    const before = log().length;
    const all = Array.from({ length: 100 }, (_, i) =>
      send(upstream, { device: `thermo-${i % 10}`, verb: 'POST', path: '/v1/telemetry', query: `n=${i}` }),
    );
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    expect(statuses).toEqual(Array(100).fill(201));
    await until(() => log().length === before + 100);
    const seen = log()
      .slice(before)
      .map((line) => /n=(\d+)/.exec(line)?.[1]);
    console.log(
      `nginx (${version}): 100 POSTs answered over connections of 5, ${new Set(seen).size} distinct ones in its log`,
    );
    expect(new Set(seen).size).toBe(100);
  });

  it('does not compress for us, and may answer up to the limit', async () => {
    const upstream = open();
    const page = await send(upstream, { path: '/page.json' });
    expect([page.status, page.contentType, text(page).length, page.headers.map(([name]) => name)]).toEqual([
      200,
      'application/json',
      5_011,
      ['content-type', 'etag', 'last-modified'],
    ]);
    const full = await send(upstream, { path: '/full.bin' });
    expect(full.body.kind === 'bytes' && Buffer.alloc(4_194_304, 7).equals(full.body.bytes)).toBe(true);
    expect(await faultCode(send(upstream, { path: '/large.bin' }))).toBe('SP_UPSTREAM_TOO_LARGE');
    expect((await send(upstream, { path: '/large.bin', verb: 'HEAD' })).body).toEqual({ kind: 'empty' });
  });

  it('is answered to in its own words: conditional, partial, empty, broken, redirected', async () => {
    const upstream = open();
    const { headers } = await send(upstream, { path: '/page.json' });
    const etag = headers.find(([name]) => name === 'etag')?.[1] ?? '';
    expect((await send(upstream, { path: '/page.json', headers: [['if-none-match', etag]] })).status).toBe(304);
    const partial = await send(upstream, { path: '/page.json', headers: [['range', 'bytes=0-6']] });
    expect([partial.status, text(partial)]).toEqual([206, '{"page"']);
    expect(partial.headers).toContainEqual(['content-range', 'bytes 0-6/5011']);
    expect((await send(upstream, { path: '/empty' })).status).toBe(204);
    expect((await send(upstream, { path: '/broken' })).status).toBe(500);
    expect((await send(upstream, { path: '/absent' })).status).toBe(404);
    const moved = await send(upstream, { path: '/moved' });
    expect([moved.status, moved.headers.filter(([name]) => name === 'location')]).toEqual([301, []]);
    expect((await send(upstream, { path: '/away' })).headers.filter(([name]) => name === 'location')).toEqual([]);
  });

  it('takes streamed bodies, and its early 413 is heard', async () => {
    const upstream = open();
    async function* pieces(count: number) {
      for (let i = 0; i < count; i++) yield Buffer.alloc(1_000, 120);
    }
    const streamed = await send(upstream, {
      verb: 'PUT',
      path: '/v1/telemetry',
      body: { kind: 'stream', stream: pieces(50), length: undefined },
    });
    expect(streamed.status).toBe(201);
    const declared = await send(upstream, {
      verb: 'PUT',
      path: '/v1/telemetry',
      body: { kind: 'stream', stream: pieces(50), length: 50_000 },
    });
    expect(declared.status).toBe(201);
    const refused = await send(upstream, {
      verb: 'PUT',
      path: '/page.json',
      body: { kind: 'stream', stream: pieces(200), length: 200_000 },
    }).catch((fault: { code: string }) => fault.code);
    // nginx closes at once; whether its answer is read before the reset is the network's to say.
    expect([413, 'SP_UPSTREAM_RESPONSE']).toContain(typeof refused === 'string' ? refused : refused.status);
  });

  it('without our certificate answers 400, and with a wrong pin is not asked', async () => {
    const upstream = openTo(`https://localhost:${port}`, { ca: settings.ca });
    opened.push(upstream);
    expect((await send(upstream, { path: '/v1/telemetry', query: 'uncertified' })).status).toBe(400);
    // nginx logs after it has answered.
    await until(() => log().some((line) => line.includes('?uncertified')));
    const before = log().length;
    expect(await faultCode(send(open({ pins: [`sha256/${'A'.repeat(43)}=`] }), { path: '/v1/telemetry' }))).toBe(
      'SP_UPSTREAM_CERTIFICATE',
    );
    expect(log().length).toBe(before);
  });
});
