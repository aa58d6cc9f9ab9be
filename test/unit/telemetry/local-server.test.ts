import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalServer } from '../../../src/telemetry/local-server.ts';

const state = { ledger: true, listening: true };
const server = new LocalServer({
  address: { host: '127.0.0.1', port: 0 },
  hostnames: ['gateway.internal'],
  ready: () => ({ ...state }),
  metrics: { render: () => 'things_total 1\n' },
});
let address = '';
beforeAll(async () => {
  address = await server.listen();
});
afterAll(() => server.close());

/** Sends raw text and reads until the server closes, or has answered `answers` times. */
function raw(text: string, answers = 1): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1', () => socket.write(text));
    let got = '';
    const done = () => {
      socket.destroy();
      resolve(got);
    };
    socket.on('data', (chunk) => {
      got += chunk;
      if (got.split('HTTP/1.1 ').length > answers && /\r\n\r\n/.test(got)) setTimeout(done, 20);
    });
    socket.on('end', done);
    socket.on('error', reject);
  });
}

function get(path: string, host = address, method = 'GET', more = ''): Promise<string> {
  return raw(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`);
}

const statusOf = (answer: string) => Number(answer.slice(9, 12));

describe('pages', () => {
  it('/healthz answers while the process lives', async () => {
    const answer = await get('/healthz');
    expect(statusOf(answer)).toBe(200);
    expect(answer).toContain('\r\n\r\nok\n');
    expect(answer.toLowerCase()).toContain('cache-control: no-store');
  });

  it('/readyz says which check fails', async () => {
    expect(statusOf(await get('/readyz'))).toBe(200);
    state.ledger = false;
    const answer = await get('/readyz');
    state.ledger = true;
    expect(statusOf(answer)).toBe(503);
    expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toEqual({
      ready: false,
      checks: { ledger: false, listening: true },
    });
  });

  it('/metrics is Prometheus text, also for HEAD without a body', async () => {
    const answer = await get('/metrics?name[]=x');
    expect(answer).toContain('content-type: text/plain; version=0.0.4; charset=utf-8');
    expect(answer.endsWith('\r\n\r\nthings_total 1\n')).toBe(true);
    const head = await get('/metrics', address, 'HEAD');
    expect(statusOf(head)).toBe(200);
    expect(head).toContain('content-length: 15');
    expect(head.endsWith('\r\n\r\n')).toBe(true);
  });

  it('nothing else is there', async () => {
    for (const path of [
      '/',
      '/metrics/',
      '//metrics',
      '/readyz/../metrics',
      '/%6detrics',
      'http://localhost/metrics',
    ]) {
      expect(statusOf(await get(path))).toBe(404);
    }
  });
});

describe('strangers', () => {
  it('a page with a rebound name gets nothing', async () => {
    const hosts = [
      'evil.example',
      'evil.example:9100',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '10.0.0.5',
      '[fe80::1]',
      'localhost@evil.example',
      'localhost, evil.example',
      '0.0.0.0',
      '',
    ];
    for (const host of hosts) {
      const answer = await get('/metrics', host);
      expect([400, 421]).toContain(statusOf(answer));
      expect(answer).not.toContain('things_total');
    }
  });

  it('this machine’s own names are served', async () => {
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', '127.0.0.2:80', '[::1]:9100', 'gateway.internal']) {
      expect(statusOf(await get('/healthz', host))).toBe(200);
    }
  });

  it('two Hosts, or none, are refused', async () => {
    expect(statusOf(await raw('GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n'))).toBe(421);
    expect(statusOf(await raw('GET /metrics HTTP/1.1\r\n\r\n'))).toBe(400);
    expect(statusOf(await raw('GET /metrics HTTP/1.0\r\n\r\n'))).toBe(421);
  });

  it('may not do anything but read', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      const answer = await get('/metrics', address, method);
      expect(statusOf(answer)).toBe(405);
      expect(answer.toLowerCase()).toContain('allow: get, head');
      expect(answer.toLowerCase()).toContain('connection: close');
    }
  });

  it('with a body are refused and their connection closed', async () => {
    for (const more of ['Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'Expect: 100-continue\r\n']) {
      const answer = await get('/healthz', address, 'GET', more);
      expect(statusOf(answer)).toBe(400);
      expect(answer).not.toContain('100 Continue');
      expect(answer.toLowerCase()).toContain('connection: close');
    }
  });

  it('with large or many headers are refused', async () => {
    expect(statusOf(await get('/healthz', address, 'GET', `X-Large: ${'x'.repeat(8_000)}\r\n`))).toBe(431);
  });

  it('may not open many connections', async () => {
    const sockets = Array.from({ length: 100 }, () => connect(Number(address.split(':')[1]), '127.0.0.1'));
    const closed = sockets
      .filter((socket) => socket.on('error', () => {}))
      .map((socket) => new Promise<boolean>((resolve) => socket.once('close', () => resolve(true))));
    let refused = 0;
    for (const one of closed) void one.then(() => refused++);
    await expect.poll(() => refused).toBeGreaterThanOrEqual(36);
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
    await expect.poll(async () => statusOf(await get('/healthz').catch(() => ''))).toBe(200);
  });
});

it('an address in use is said so', async () => {
  const port = Number(address.split(':')[1]);
  const second = new LocalServer({
    address: { host: '127.0.0.1', port },
    ready: () => ({}),
    metrics: { render: () => '' },
  });
  await expect(second.listen()).rejects.toMatchObject({ code: 'SP_GATEWAY_LISTEN', details: { port } });
});
