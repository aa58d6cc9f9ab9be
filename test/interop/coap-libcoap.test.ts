/**
 * libcoap's client against our server and our client against libcoap's server, over plain UDP: methods, blocks of several sizes both
 * ways, observation with its end, loss, ping. A missing libcoap fails in CI and is skipped loudly elsewhere (Debian: libcoap3-bin).
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OutgoingRequest } from '../../src/coap/api.ts';
import { CODE } from '../../src/coap/codes.ts';
import { seeded } from '../fixtures/seeded.ts';
import { UdpEndpoint } from '../unit/coap/udp-endpoint.ts';
import { pattern, Resources, text, words } from './coap-resources.ts';

const run = promisify(execFile);
const missing = ['coap-client-notls', 'coap-server-notls'].filter(
  (tool) => spawnSync(tool, ['-h']).error !== undefined,
);
if (missing.length > 0) {
  if (process.env.CI) throw new Error(`missing: ${missing.join(', ')}`);
  console.warn(`SKIPPED: ${missing.join(', ')} not installed`);
}
const present = missing.length === 0;
/** As often as each loss test runs; more with SALLYPORT_COAP_REPEATS. */
const REPEATS = Number(process.env.SALLYPORT_COAP_REPEATS ?? 1);

describe.skipIf(!present)('libcoap’s client, our server', () => {
  let house: Resources;
  beforeAll(async () => {
    house = await Resources.open();
  });
  afterAll(() => house.close());

  async function coap(path: string, ...args: string[]): Promise<string> {
    const uri = `coap://127.0.0.1:${house.udp.port}${path}`;
    const { stdout, stderr } = await run('coap-client-notls', ['-B', '60', ...args, uri], { maxBuffer: 1e7 });
    return (stdout + stderr).replace(/\n$/, '');
  }

  it('PUT, GET, PUT, DELETE, GET', async () => {
    expect(await coap('/thing')).toBe('4.04');
    await coap('/thing', '-m', 'put', '-e', 'one');
    expect(await coap('/thing')).toBe('one');
    await coap('/thing', '-m', 'put', '-e', 'two');
    expect(await coap('/thing')).toBe('two');
    await coap('/thing', '-m', 'delete');
    expect(await coap('/thing')).toBe('4.04');
  });

  it('POST, FETCH, PATCH, iPATCH; confirmable and not', async () => {
    expect(await coap('/any', '-m', 'post', '-e', 'body')).toBe('body');
    expect(await coap('/any', '-N', '-m', 'post', '-e', 'body')).toBe('body');
    for (const method of ['fetch', 'patch', 'ipatch'])
      expect((await coap('/any', '-m', method, '-e', '{}')).toUpperCase()).toBe(method.toUpperCase());
  });

  it.each([16, 64, 256, 1_024])('GET in blocks of %i bytes', async (blockBytes) => {
    expect(await coap('/big', '-b', String(blockBytes))).toBe(pattern(6_000));
  });

  it.each([16, 64, 256, 1_024])('POST in blocks of %i bytes both ways, run once', async (blockBytes) => {
    const body = pattern(3_000 + blockBytes);
    house.posted.length = 0;
    expect(await coap('/up', '-m', 'post', '-b', String(blockBytes), '-e', body)).toBe(body);
    expect(house.posted).toEqual([body]);
  });

  it('a body beyond the budget: 4.13', async () => {
    const body = 'x'.repeat(100_000);
    const small = await UdpEndpoint.open({
      server: { handle: () => ({ code: CODE.changed }) },
      limits: { maxRequestBodyBytes: 50_000 },
    });
    const uri = `coap://127.0.0.1:${small.port}/up`;
    const { stdout, stderr } = await run('coap-client-notls', ['-B', '20', '-m', 'put', '-e', body, uri]);
    expect(stdout + stderr).toContain('4.13');
    await small.close();
  });

  it('a separate response', async () => {
    expect(await coap('/slow')).toBe('late');
  });

  it('/.well-known/core', async () => {
    expect(await coap('/.well-known/core')).toBe('</state>;ct=0;obs,</big>');
  });

  it('an unknown critical option: 4.02', async () => {
    expect(await coap('/thing', '-O', '2049,x')).toContain('4.02');
  });

  it('observes, hears states in order and leaves', async () => {
    const output = await coap('/state', '-s', '1');
    const states = [...output.matchAll(/state (\d+)/g)].map((match) => Number(match[1]));
    expect(states.length).toBeGreaterThan(5);
    expect(states).toEqual(Array.from({ length: states.length }, (_, at) => at));
    await expect.poll(() => house.udp.endpoint.observationCount, { timeout: 5_000 }).toBe(0);
  });

  it(`20 % loss on its side, ${REPEATS} times: each POST in blocks runs once`, async () => {
    for (let time = 0; time < REPEATS; time++) {
      const body = `${time} ${pattern(400)}`;
      house.posted.length = 0;
      expect(await coap('/up', '-l', '20%', '-m', 'post', '-b', '256', '-e', body)).toBe(body);
      expect(house.posted).toEqual([body]);
    }
  });
});

describe.skipIf(!present)('our client, libcoap’s server', () => {
  let server: ChildProcess;
  let client: UdpEndpoint;
  let peer: string;

  beforeAll(async () => {
    const port = await freePort();
    peer = `127.0.0.1:${port}`;
    server = spawn('coap-server-notls', ['-A', '127.0.0.1', '-p', String(port), '-d', '50', '-v', '0'], {
      stdio: 'ignore',
    });
    client = await UdpEndpoint.open();
    await client.endpoint.ping(peer);
  });
  afterAll(async () => {
    server.kill();
    await client.close();
  });

  const ask = (request: OutgoingRequest) => client.endpoint.request(peer, request);

  it('PUT, GET, DELETE, GET', async () => {
    const pathSegments = ['thing'];
    expect((await ask({ method: 'PUT', pathSegments, payload: text('one'), contentFormat: 0 })).code).toBe(
      CODE.created,
    );
    expect(words((await ask({ method: 'GET', pathSegments })).payload)).toBe('one');
    expect((await ask({ method: 'DELETE', pathSegments })).code).toBe(CODE.deleted);
    expect((await ask({ method: 'GET', pathSegments })).code).toBe(CODE.notFound);
  });

  it('not confirmable', async () => {
    expect((await ask({ method: 'GET', confirmable: false })).code).toBe(CODE.content);
  });

  it.each([16, 64, 256, 1_024])('PUT and GET in blocks of %i bytes', async (blockBytes) => {
    const pathSegments = [`blocks-${blockBytes}`];
    const payload = text(pattern(2_000 + blockBytes));
    const put = await ask({ method: 'PUT', pathSegments, payload, contentFormat: 0, blockBytes });
    expect(put.code).toBe(CODE.created);
    expect(words((await ask({ method: 'GET', pathSegments, blockBytes })).payload)).toBe(words(payload));
  });

  it('a separate response, and /.well-known/core', async () => {
    expect(words((await ask({ method: 'GET', pathSegments: ['async'], queries: ['1'] })).payload)).toBe('done');
    const core = await ask({ method: 'GET', pathSegments: ['.well-known', 'core'], blockBytes: 32 });
    expect([core.contentFormat, words(core.payload).includes('</time>')]).toEqual([40, true]);
  });

  it('several requests at once to one peer', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => ask({ method: 'GET', pathSegments: ['time'] })));
    expect(all.map(({ code }) => code)).toEqual(new Array(10).fill(CODE.content));
  });

  it('observes and leaves: after that nothing comes', async () => {
    let heard = 0;
    const ends: string[] = [];
    const observation = await client.endpoint.observe(
      peer,
      { method: 'GET', pathSegments: ['time'] },
      { notification: () => heard++, end: (reason) => ends.push(reason) },
    );
    expect(observation.active).toBe(true);
    await expect.poll(() => heard, { timeout: 10_000 }).toBeGreaterThan(0);
    observation.cancel();
    const [before, unknown] = [heard, client.endpoint.stats.drops['token-unknown']];
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect([heard, client.endpoint.stats.drops['token-unknown'], ends]).toEqual([before, unknown, ['cancelled']]);
  });

  const { seed, random } = seeded();
  it(`20 % loss on our side, both ways, seed ${seed}: bodies arrive whole`, async () => {
    const lossy = await UdpEndpoint.open({ limits: { ackTimeoutMs: 100, maxRetransmit: 9 } });
    lossy.random = random;
    lossy.lossOut = 0.2;
    try {
      for (let time = 0; time < REPEATS; time++) {
        const pathSegments = [`lossy-${time}`];
        const payload = text(pattern(1_000));
        // A lost acknowledgement would have the request repeated, and libcoap 4.3.1 runs repeated requests twice: after a repeated
        // last block it keeps that block alone. So acknowledgements are lost only where twice is as good as once.
        lossy.lossIn = 0;
        const put = { method: 'PUT', pathSegments, payload, contentFormat: 0, blockBytes: 256 } as const;
        expect([CODE.created, CODE.changed]).toContain((await lossy.endpoint.request(peer, put)).code);
        lossy.lossIn = 0.2;
        const got = await lossy.endpoint.request(peer, { method: 'GET', pathSegments, blockBytes: 256 });
        expect(words(got.payload)).toBe(words(payload));
      }
    } finally {
      await lossy.close();
    }
  });

  it('a server that is gone: a timeout, no crash', async () => {
    const hasty = await UdpEndpoint.open({ limits: { ackTimeoutMs: 20, maxRetransmit: 2 } });
    await expect(hasty.endpoint.ping(`127.0.0.1:${await freePort()}`)).rejects.toMatchObject({ code: 'timeout' });
    await hasty.close();
  });
});

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
