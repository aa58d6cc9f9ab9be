/** The `coap` package of npm as an independent peer over plain UDP, both ways: methods, blocks, observation with its end. */
import { createServer, type IncomingMessage, type OutgoingMessage, request, type Server } from 'coap';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OutgoingRequest } from '../../src/coap/api.ts';
import { CODE } from '../../src/coap/codes.ts';
import { UdpEndpoint } from '../unit/coap/udp-endpoint.ts';
import { pattern, Resources, text, words } from './coap-resources.ts';

describe('its client, our server', () => {
  let house: Resources;
  beforeAll(async () => {
    house = await Resources.open();
  });
  afterAll(() => house.close());

  function ask(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    pathname: string,
    body = '',
    more: Record<string, unknown> = {},
  ): Promise<{ code: string; body: string; message: IncomingMessage }> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ host: '127.0.0.1', port: house.udp.port, method, pathname, ...more });
      outgoing.on('response', (message: IncomingMessage) =>
        resolve({ code: message.code, body: message.payload.toString(), message }),
      );
      outgoing.on('error', reject);
      if (body.length > 1_024) outgoing.setOption('Block1', Buffer.of(6));
      outgoing.end(body);
    });
  }

  it('PUT, GET, DELETE, GET', async () => {
    expect((await ask('PUT', '/thing', 'one')).code).toBe('2.01');
    expect(await ask('GET', '/thing')).toMatchObject({ code: '2.05', body: 'one' });
    expect((await ask('DELETE', '/thing')).code).toBe('2.02');
    expect((await ask('GET', '/thing')).code).toBe('4.04');
  });

  it('not confirmable', async () => {
    expect(await ask('POST', '/up', 'x', { confirmable: false })).toMatchObject({ code: '2.04', body: 'x' });
  });

  it('a large body each way, run once', async () => {
    const body = pattern(4_000);
    house.posted.length = 0;
    expect((await ask('POST', '/up', body)).body).toBe(body);
    expect(house.posted).toEqual([body]);
    expect((await ask('GET', '/big')).body).toBe(pattern(6_000));
  });

  it('a separate response', async () => {
    expect((await ask('GET', '/slow')).body).toBe('late');
  });

  it('observes and leaves', async () => {
    const token = Buffer.from('watching');
    const { message } = await ask('GET', '/state', '', { observe: true, token });
    const states: string[] = [];
    message.on('data', (data: Buffer) => states.push(data.toString()));
    await expect.poll(() => states.length, { timeout: 5_000 }).toBeGreaterThan(4);
    expect(states).toEqual(states.map((_, at) => `state ${at}`));
    expect((await ask('GET', '/state', '', { observe: 1, token })).body).toBe('state 0');
    await expect.poll(() => house.udp.endpoint.observationCount, { timeout: 5_000 }).toBe(0);
  });
});

describe('our client, its server', () => {
  let server: Server;
  let client: UdpEndpoint;
  let peer: string;
  const timers = new Set<NodeJS.Timeout>();

  beforeAll(async () => {
    const store = new Map<string, Buffer>();
    server = createServer((message: IncomingMessage, response: OutgoingMessage) => {
      const { method, url, payload } = message;
      if (url === '/state' && message.headers.Observe === 0) {
        let number = 0;
        const timer = setInterval(() => response.write(`state ${++number}`), 50);
        timers.add(timer);
        response.on('finish', () => clearInterval(timer));
        response.write('state 0');
        return;
      }
      if (method === 'PUT') {
        store.set(url, Buffer.from(payload));
        response.code = '2.04';
      } else if (method === 'DELETE') {
        response.code = store.delete(url) ? '2.02' : '4.04';
      } else if (method === 'POST') {
        response.code = '2.04';
        response.end(payload);
        return;
      } else {
        const stored = store.get(url);
        response.code = stored === undefined ? '4.04' : '2.05';
        response.end(stored ?? '');
        return;
      }
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    peer = `127.0.0.1:${(server as unknown as { _sock: { address(): { port: number } } })._sock.address().port}`;
    client = await UdpEndpoint.open();
  });
  afterAll(async () => {
    for (const timer of timers) clearInterval(timer);
    await client.close();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  const ask = (request: OutgoingRequest) => client.endpoint.request(peer, request);

  it('PUT, GET, DELETE, GET', async () => {
    const pathSegments = ['thing'];
    expect((await ask({ method: 'PUT', pathSegments, payload: text('one') })).code).toBe(CODE.changed);
    expect(words((await ask({ method: 'GET', pathSegments })).payload)).toBe('one');
    expect((await ask({ method: 'DELETE', pathSegments })).code).toBe(CODE.deleted);
    expect((await ask({ method: 'GET', pathSegments })).code).toBe(CODE.notFound);
  });

  it('not confirmable', async () => {
    const answer = await ask({ method: 'POST', pathSegments: ['x'], payload: text('x'), confirmable: false });
    expect(words(answer.payload)).toBe('x');
  });

  it('a large body up in blocks, which it tells apart by token, and down again', async () => {
    const payload = text(pattern(3_000));
    const pathSegments = ['blocks'];
    const put = await ask({ method: 'PUT', pathSegments, payload, blockBytes: 512, sameToken: true });
    expect(put.code).toBe(CODE.changed);
    expect(words((await ask({ method: 'GET', pathSegments, sameToken: true })).payload)).toBe(words(payload));
  });

  it('observes and leaves', async () => {
    const states: string[] = [];
    const observation = await client.endpoint.observe(
      peer,
      { method: 'GET', pathSegments: ['state'] },
      { notification: (response) => states.push(words(response.payload)) },
    );
    expect(observation.active).toBe(true);
    await expect.poll(() => states.length, { timeout: 5_000 }).toBeGreaterThan(3);
    expect(states).toEqual(states.map((_, at) => `state ${at + 1}`));
    observation.cancel('forget');
    const heard = states.length;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(states.length).toBe(heard);
  });
});
