/** Sequence, time and the ends of a connection. */
import { connect as connectTcp } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Reply } from '../../../../src/exchange/message.ts';
import type { Peer } from '../../../../src/exchange/peer.ts';
import { problem, rawAnswer } from '../../../../src/listeners/https/answer.ts';
import type { CheckedRequest } from '../../../../src/listeners/https/checked-request.ts';
import type { Upgrader } from '../../../../src/listeners/https/upgrader.ts';
import { request, type Stage, startStage, until, type Wish } from './stage.ts';

let stage: Stage;
const on = async (wish?: Wish): Promise<Stage> => {
  stage = await startStage(wish);
  return stage;
};
afterEach(() => stage.close());

const reply = (text: string): Reply => ({
  status: 200,
  headers: [],
  contentType: 'text/plain',
  body: { kind: 'bytes', bytes: Buffer.from(text) },
});

/** Answers when told to. */
function held() {
  const waiting: (() => void)[] = [];
  return {
    waiting,
    forward: ({ path }: { path: string }) => new Promise<Reply>((resolve) => waiting.push(() => resolve(reply(path)))),
  };
}

describe('pipelined requests', () => {
  it('pass one after the other and are answered in order', async () => {
    const { waiting, forward } = held();
    const client = await (await on({ forward })).client();
    client.send(request('GET', '/1') + request('POST', '/2', {}, 'two') + request('GET', '/3'));
    for (const path of ['/1', '/2', '/3']) {
      await until(() => waiting.length === 1);
      expect(stage.seen.at(-1)?.arrival.path).toBe(path);
      waiting.pop()?.();
      expect((await client.response()).body).toBe(path);
    }
    expect(stage.seen.map(({ body }) => body)).toEqual(['', 'two', '']);
  });

  it('in thousands are answered one after the other, never two at once', async () => {
    let underWay = 0;
    let most = 0;
    const forward = async () => {
      most = Math.max(most, ++underWay);
      await new Promise(setImmediate);
      underWay -= 1;
      return reply('x');
    };
    const client = await (await on({ forward })).client();
    client.send(request('GET', '/many').repeat(2_000));
    await until(() => stage.seen.length === 2_000, 20_000);
    await until(() => client.received.match(/HTTP\/1\.1 200/g)?.length === 2_000);
    expect(most).toBe(1);
  });

  it('that nobody answers yet wait in the kernel, not in our memory', async () => {
    const { waiting, forward } = held();
    const client = await (await on({ forward })).client();
    client.send(request('GET', '/1'));
    await until(() => waiting.length === 1);
    const block = request('GET', '/more').repeat(2_000);
    // One block after the other, until one is not taken for a second.
    let taken = 0;
    const handOver = (): Promise<boolean> =>
      Promise.race([
        new Promise<boolean>((resolve) => client.socket.write(block, () => resolve(true))),
        new Promise<boolean>((resolve) => setTimeout(resolve, 1_000, false)),
      ]);
    while (taken < 24_000_000 && (await handOver())) taken += block.length;
    // Two socket buffers of the kernel, 10 MB at most, and a little of ours.
    expect(taken).toBeLessThan(14_000_000);
    expect(stage.seen).toHaveLength(1);
  });

  it('behind a denied stream are never looked at', async () => {
    await on({ limits: { inspectedBodyBytes: 10 }, deny: () => 'stream-not-allowed' });
    const client = await stage.client();
    const smuggled = request('GET', '/smuggled');
    client.send(request('POST', '/', { 'content-length': String(smuggled.length) }, smuggled) + smuggled);
    await client.toEnd();
    expect(client.received.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(stage.outcomes).toHaveLength(1);
  });

  it('of which the second is garbage: the first is answered by its own answer', async () => {
    const { waiting, forward } = held();
    const client = await (await on({ forward })).client();
    client.send(`${request('GET', '/1')}garbage\r\n\r\n`);
    await until(() => waiting.length === 1);
    expect(client.received).toBe('');
    waiting.pop()?.();
    expect((await client.response()).body).toBe('/1');
    // Only then is the second one looked at, and has an answer of its own.
    expect(await client.toEnd()).toMatch(/^HTTP\/1\.1 405 /);
    expect(stage.refusals).toEqual(['SP_HTTP_METHOD']);
  });
});

describe('Expect: 100-continue', () => {
  const head = (path: string) => request('POST', path, { expect: '100-continue', 'content-length': '4' });

  it('is answered before the body is read', async () => {
    const client = await (await on()).client();
    client.send(head('/'));
    await until(() => client.received === 'HTTP/1.1 100 Continue\r\n\r\n');
    client.send('body');
    expect((await client.response()).status).toBe(200);
    expect(stage.seen[0]?.body).toBe('body');
  });

  it('never lets the interim response out inside another one', async () => {
    const bytes = Buffer.alloc(200_000, 'q');
    const stream = async function* () {
      for (let at = 0; at < 20; at += 1) {
        yield bytes.subarray(at * 10_000, (at + 1) * 10_000);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    await on({
      forward: ({ verb }) =>
        verb === 'POST'
          ? reply('last')
          : { status: 200, headers: [], contentType: '', body: { kind: 'stream', stream: stream(), length: 200_000 } },
    });
    const client = await stage.client();
    client.send(`${request('GET', '/')}${head('/')}body`);
    await until(() => client.received.endsWith('last'));
    const [first = '', second = ''] = client.received.split('HTTP/1.1 100 Continue\r\n\r\n');
    expect(first.split('\r\n\r\n')[1]).toBe('q'.repeat(200_000));
    expect(second).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it('is not given for a body that is refused unread', async () => {
    await on({ limits: { inspectedBodyBytes: 2 }, deny: () => 'stream-not-allowed' });
    const client = await stage.client();
    expect((await client.ask(head('/'))).status).toBe(413);
    expect(await client.toEnd()).not.toContain('100 Continue');
  });
});

describe('time', () => {
  it('is not lost on a field that is longer than what may wait unread', async () => {
    const client = await (await on({ limits: { headerBytes: 262_144, headerTimeoutMs: 2_000 } })).client();
    expect((await client.ask(request('GET', '/', { 'x-long': 'x'.repeat(200_000) }))).status).toBe(200);
  });

  it('runs out for every kind of slow peer, and for no other', async () => {
    const bytes = Buffer.alloc(30_000_000, 'q');
    await on({
      limits: {
        handshakeTimeoutMs: 1_000,
        headerTimeoutMs: 1_000,
        requestTimeoutMs: 3_000,
        idleTimeoutMs: 1_500,
        minimumBytesPerSecond: 1_000,
        inspectedBodyBytes: 1_000,
      },
      forward: ({ path }) =>
        path === '/large' ? { status: 200, headers: [], contentType: '', body: { kind: 'bytes', bytes } } : reply('ok'),
    });
    const reaped: Record<string, number> = {};
    const from = performance.now();
    const watch = (name: string, socket: { once(event: 'close', listener: () => void): unknown }) =>
      socket.once('close', () => {
        reaped[name] = performance.now() - from;
      });
    const timers: NodeJS.Timeout[] = [];

    const halfOpen = connectTcp(stage.port, '127.0.0.1').on('error', () => {});
    watch('half open', halfOpen);
    const dripping = connectTcp(stage.port, '127.0.0.1').on('error', () => {});
    watch('dripping handshake', dripping);
    const hello = Buffer.from('1603010200010001fc0303', 'hex');
    let at = 0;
    timers.push(setInterval(() => dripping.write(hello.subarray(at % 11, (at++ % 11) + 1)), 200));

    for (const [name, bytes] of [
      ['idle', ''],
      ['slow head', 'GET / HTTP/1.1\r\nHost: x\r\n'],
      ['slow body', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n'],
      ['slow stream', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n'],
      ['keep-alive', request('GET', '/')],
    ] as const) {
      const client = await stage.client();
      watch(name, client.socket);
      client.send(bytes);
      if (name === 'slow head') timers.push(setInterval(() => client.send('A: b\r\n'), 200));
      if (name.startsWith('slow') && name !== 'slow head') timers.push(setInterval(() => client.send('x'), 50));
    }
    const slowReader = await stage.client();
    watch('slow reader', slowReader.socket);
    slowReader.send(request('GET', '/large'));
    await until(() => slowReader.received.length > 0);
    slowReader.socket.pause();
    slowReader.socket.removeAllListeners('data');
    // Longer than limits.requestTimeoutMs at it, but it reads.
    const { socket: steadyReader } = (await stage.client()).send(request('GET', '/large'));
    watch('steady reader', steadyReader);
    steadyReader.removeAllListeners('data').on('data', () => steadyReader.pause());
    timers.push(setInterval(() => steadyReader.resume(), 10));

    const good = await stage.client();
    for (let second = 0; second < 8; second += 1) {
      expect((await good.ask(request('POST', '/', {}, 'x'))).status).toBe(200);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    await until(() => stage.drops.includes('slow-peer'), 3_000);
    for (const timer of timers) clearInterval(timer);
    expect(Object.keys(reaped).sort()).toEqual(
      ['dripping handshake', 'half open', 'idle', 'keep-alive', 'slow body', 'slow head', 'slow stream'].sort(),
    );
    // Below the minimum rate is one limit, and the whole time of a body that is to be inspected is another, shorter here.
    expect((reaped['slow stream'] ?? 0) - (reaped['slow body'] ?? 0)).toBeGreaterThan(1_000);
    expect(stage.drops.toSorted()).toEqual(['handshake-timeout', 'handshake-timeout', 'idle-timeout', 'slow-peer']);
    // The stream had been permitted: its end is on record as the exchange's.
    expect(stage.refusals).toEqual(Array(3).fill('SP_HTTP_TIMEOUT'));
    slowReader.socket.destroy();
  }, 20_000);
});

describe('the end', () => {
  it('by a revocation is at once, and cancels what is under way', async () => {
    const { waiting, forward } = held();
    const client = await (await on({ forward })).client();
    client.send(request('GET', '/'));
    await until(() => waiting.length === 1);
    for (const session of stage.sessions) session.close('revoked');
    expect(await client.toEnd()).toBe('');
    expect(stage.drops).toEqual(['revoked']);
    expect(stage.seen[0]?.arrival.signal.aborted).toBe(true);
    await until(() => stage.sessions.size === 0);
  });

  it('by a peer that leaves in the middle of a body is counted once', async () => {
    const client = await (await on()).client();
    client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc');
    await until(() => stage.sessions.size === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.socket.destroy();
    await until(() => stage.sessions.size === 0);
    expect(stage.drops).toEqual(['peer-gone']);
    expect(stage.seen).toEqual([]);
    expect(stage.outcomes).toEqual([]);
  });

  it('by the gateway in the middle of a body is counted once, and not as the peer’s', async () => {
    for (const reason of ['revoked', 'draining'] as const) {
      const client = await (await on()).client();
      client.send('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\nabc');
      await until(() => client.received.includes('100 Continue'));
      if (reason === 'revoked') for (const session of stage.sessions) session.close(reason);
      else await stage.listener.close(0);
      await client.toEnd();
      await until(() => stage.sessions.size === 0);
      expect(stage.drops).toEqual([reason]);
      if (reason === 'revoked') await stage.close();
    }
  });

  it('by a peer that leaves while the cloud thinks aborts the exchange', async () => {
    const { waiting, forward } = held();
    const client = await (await on({ forward })).client();
    client.send(request('GET', '/'));
    await until(() => waiting.length === 1);
    client.socket.destroy();
    await until(() => stage.seen[0]?.arrival.signal.aborted === true);
    waiting.pop()?.();
  });

  it('by the gateway lets what is under way end, and begins nothing', async () => {
    const { waiting, forward } = held();
    await on({ forward });
    const [busy, idle] = [await stage.client(), await stage.client()];
    busy.send(request('GET', '/busy'));
    await until(() => waiting.length === 1);
    const closed = stage.listener.close(5_000);
    expect(await idle.toEnd()).toBe('');
    await expect(stage.client()).rejects.toThrow();
    busy.send(request('GET', '/more'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    waiting.pop()?.();
    expect(await busy.response()).toMatchObject({ status: 200, body: '/busy' });
    await busy.toEnd();
    await closed;
    expect(stage.seen).toHaveLength(1);
    expect(stage.drops).toContain('draining');
  });

  it('by the gateway lets a refusal arrive that is on its way', async () => {
    const client = await (await on()).client();
    let closed: Promise<void> | undefined;
    // In the very moment of the refusal: a little later it has arrived either way.
    stage.refusals.push = () => {
      queueMicrotask(() => {
        closed = stage.listener.close(2_000);
      });
      return 1;
    };
    client.send('GET / HTTP/1.1\r\n\r\n');
    await until(() => closed !== undefined);
    await closed;
    expect(await client.toEnd()).toContain('HTTP/1.1 400');
    expect(stage.drops).toEqual([]);
  });

  it('by the gateway cuts what does not end in time', async () => {
    const { waiting, forward } = held();
    const client = await (await on({ forward })).client();
    client.send(request('GET', '/'));
    await until(() => waiting.length === 1);
    await stage.listener.close(100);
    await client.toEnd();
    expect(stage.listener.connections).toBe(0);
  });
});

describe('caps', () => {
  it('exchanges of one device beyond the cap are 503, and the connection stays', async () => {
    const { waiting, forward } = held();
    await on({ limits: { exchangesPerDevice: 2 }, forward });
    const clients = [await stage.client(), await stage.client(), await stage.client()] as const;
    clients[0].send(request('GET', '/1'));
    clients[1].send(request('GET', '/2'));
    await until(() => waiting.length === 2);
    expect(await clients[2].ask(request('GET', '/3'))).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1', connection: 'keep-alive' },
    });
    expect(stage.refusals).toEqual(['SP_GATEWAY_OVERLOADED']);
    for (const answer of waiting.splice(0)) answer();
    await clients[0].response();
    clients[2].send(request('GET', '/4'));
    await until(() => waiting.length === 1);
    waiting.pop()?.();
    expect((await clients[2].response()).status).toBe(200);
  });
});

describe('an upgrade', () => {
  const handshake = (path = '/ws', changes: Record<string, string> = {}): string =>
    request('GET', path, {
      connection: 'keep-alive, Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-protocol': 'camera',
      ...changes,
    });

  class Taker implements Upgrader {
    readonly taken: { checked: CheckedRequest; peer: Peer; head: string; attended: () => void }[] = [];
    readonly upgrade: Upgrader['upgrade'] = (_request, checked, peer, socket, head, attended) => {
      this.taken.push({ checked, peer, head: head.toString('latin1'), attended });
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => socket.write(`echo:${chunk.toString('latin1')}`)).resume();
      if (checked.path === '/refuse') socket.end(rawAnswer(problem('no-route', 'id')));
    };
  }

  it('hands the connection over with what was checked', async () => {
    const upgrader = new Taker();
    const client = await (await on({ listener: { upgrader }, limits: { idleTimeoutMs: 500 } })).client();
    client.send(`${handshake('/~cam/ws?a=b')}early`);
    await until(() => upgrader.taken.length === 1);
    expect(upgrader.taken[0]).toMatchObject({
      checked: { path: '/ws', query: 'a=b', targetDevice: 'cam' },
      head: 'early',
    });
    expect(upgrader.taken[0]?.checked.headers).toEqual([
      ['host', 'localhost'],
      ['sec-websocket-protocol', 'camera'],
    ]);
    client.send('frame');
    await until(() => client.received === 'echo:frame');
    // Until the WebSocket is a session of its own, a revocation finds the connection.
    expect(stage.sessions.size).toBe(1);
    upgrader.taken[0]?.attended();
    expect(stage.sessions.size).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(client.closed).toBe(false);
  });

  it('is closed by a revocation before it is attended', async () => {
    const upgrader = new Taker();
    const client = await (await on({ listener: { upgrader } })).client();
    client.send(handshake());
    await until(() => upgrader.taken.length === 1);
    for (const session of stage.sessions) session.close('revoked');
    await client.toEnd();
  });

  it('can be refused with a problem document', async () => {
    const client = await (await on({ listener: { upgrader: new Taker() } })).client();
    expect(await client.ask(handshake('/refuse'))).toMatchObject({ status: 403, headers: { connection: 'close' } });
  });

  it.each([
    ['by POST', handshake().replace('GET', 'POST')],
    ['of another version', handshake('/ws', { 'sec-websocket-version': '8' })],
    ['without a key', handshake('/ws', { 'sec-websocket-key': '' })],
    ['to h2c', handshake('/ws', { upgrade: 'h2c' })],
    ['to two protocols', handshake('/ws', { upgrade: 'websocket, h2c' })],
    ['without Connection', handshake('/ws', { connection: 'keep-alive' })],
    ['with a body', `${handshake('/ws', { 'content-length': '3' })}abc`],
  ])('%s is refused', async (_, bytes) => {
    const upgrader = new Taker();
    const client = await (await on({ listener: { upgrader } })).client();
    client.send(bytes);
    const text = await client.toEnd();
    expect(text).toContain('HTTP/1.1 400');
    expect(text).toContain('SP_HTTP_');
    expect(upgrader.taken).toEqual([]);
  });

  it('is refused where nobody takes WebSockets', async () => {
    const client = await (await on()).client();
    expect((await client.ask(handshake())).status).toBe(400);
    expect(stage.refusals).toEqual(['SP_HTTP_UPGRADE']);
  });
});
