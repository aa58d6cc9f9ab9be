import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS, type Limits, type UpstreamSettings } from '../../../src/config/settings.ts';
import type { Body } from '../../../src/exchange/arrival.ts';
import type { Sealed } from '../../../src/exchange/sealed.ts';
import { type Dial, dialler, parseOrigin } from '../../../src/upstreams/dial.ts';
import type { HttpUpstream } from '../../../src/upstreams/http-upstream.ts';
import { Http1Upstream } from '../../../src/upstreams/http1-upstream.ts';
import { openTo, upstreamSettings } from './http-settings.ts';
import { faultCode, RawServer, response, type Script, until } from './raw-server.ts';
import { DECISION_ID, sealedMessage, type Wanted } from './sealed-message.ts';

const opened: { close(graceMs: number): Promise<void> }[] = [];

async function cloud(
  script: Script,
  over: Partial<UpstreamSettings> = {},
  limits: Partial<Limits> = {},
): Promise<{ server: RawServer; upstream: HttpUpstream }> {
  const server = await new RawServer(script).listen();
  const upstream = openTo(`http://127.0.0.1:${server.port}`, over, limits);
  opened.push(upstream, server);
  return { server, upstream };
}

async function send(upstream: HttpUpstream, wanted: Wanted = {}) {
  const sealed = await sealedMessage(wanted);
  return upstream.request(sealed, sealed.permitted.identified.arrival.signal);
}

function text(body: Body): string {
  return body.kind === 'bytes' ? Buffer.from(body.bytes).toString() : body.kind;
}

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close(0);
});

describe('what the upstream is sent', () => {
  it('gets exactly one request made anew: target, our headers, exact length', async () => {
    const { server, upstream } = await cloud(({ socket }) =>
      socket.write(response('{}', 'content-type: application/json\r\n')),
    );
    const reply = await send(upstream, {
      verb: 'POST',
      path: '/v1/telemetry/%7Ea',
      query: 'a=1&b=%20',
      headers: [['x-model', 'T1000']],
      contentType: 'application/json',
      body: { kind: 'bytes', bytes: Buffer.from('{"t":21.5}') },
    });
    expect(reply).toMatchObject({ status: 200, contentType: 'application/json' });
    expect(text(reply.body)).toBe('{}');
    expect(server.received).toBe(
      'POST /v1/telemetry/%7Ea?a=1&b=%20 HTTP/1.1\r\n' +
        `host: 127.0.0.1:${server.port}\r\nconnection: keep-alive\r\nsallyport-decision: ${DECISION_ID}\r\n` +
        'accept-encoding: identity\r\nx-model: T1000\r\naccept: */*\r\ncontent-type: application/json\r\n' +
        'content-length: 10\r\n\r\n{"t":21.5}',
    );
  });

  it('an empty POST says so, an empty GET says nothing', async () => {
    const { server, upstream } = await cloud(({ socket }) => socket.write(response('')));
    await send(upstream, { verb: 'POST' });
    await send(upstream, { verb: 'GET' });
    const [post, get] = server.received.split('GET ');
    expect(post).toContain('content-length: 0\r\n');
    expect(get).not.toContain('content-length');
  });

  it('keeps its connection', async () => {
    const { server, upstream } = await cloud(({ socket }) => socket.write(response('x')));
    for (let i = 0; i < 20; i++) await send(upstream);
    expect([server.requests, server.connections.length]).toEqual([20, 1]);
  });

  it('refuses a target that is not origin-form, whoever made it', async () => {
    const { server, upstream } = await cloud(({ socket }) => socket.write(response('')));
    for (const path of [
      '//evil.example/',
      'http://evil.example/',
      '',
      '*',
      '/a b',
      '/a\r\nx: y',
      '/a?b',
      '/a#b',
      '/ä',
    ]) {
      expect(await faultCode(send(upstream, { path })), path).toBe('SP_HTTP_TARGET');
    }
    for (const verb of ['CONNECT', 'TRACE', 'WS', 'get', 'GET / HTTP/1.1\r\nx: y']) {
      expect(await faultCode(send(upstream, { verb })), verb).toBe('SP_HTTP_METHOD');
    }
    expect(server.connections.length).toBe(0);
  });
});

it('sends nothing that was not sealed', async () => {
  const { server, upstream } = await cloud(({ socket }) => socket.write(response('')));
  const { message, permitted } = await sealedMessage();
  const forged = { message, permitted } as unknown as Sealed;
  expect(await faultCode(upstream.request(forged, new AbortController().signal))).toBe('SP_EXCHANGE_UNPROVEN');
  expect(server.connections.length).toBe(0);
});

describe('streamed bodies', () => {
  async function* pieces(...texts: string[]) {
    for (const piece of texts) {
      await new Promise(setImmediate);
      yield Buffer.from(piece);
    }
  }
  const stream = (length: number | undefined, ...texts: string[]): Body => ({
    kind: 'stream',
    stream: pieces(...texts),
    length,
  });
  const answerAtEnd: Script = ({ socket }) => socket.write(response('ok'));

  it('goes out with the declared length', async () => {
    const { server, upstream } = await cloud(answerAtEnd);
    await send(upstream, { verb: 'POST', body: stream(6, 'abc', 'def') });
    expect(server.received).toMatch(/content-length: 6\r\n\r\nabcdef$/);
  });

  it('goes out chunked without one', async () => {
    const { server, upstream } = await cloud(({ socket }, _head, n) => {
      if (n === 1) setTimeout(() => socket.write(response('ok')), 50);
    });
    await send(upstream, { verb: 'POST', body: stream(undefined, 'abc', 'def') });
    expect(server.received).toMatch(/transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n$/);
  });

  it('never looks complete when it is not', async () => {
    const { server, upstream } = await cloud(() => undefined);
    expect(await faultCode(send(upstream, { verb: 'POST', body: stream(9, 'abc') }))).toBe('SP_HTTP_FRAMING');
    expect(await faultCode(send(upstream, { verb: 'POST', body: stream(9) }))).toBe('SP_HTTP_FRAMING');
    expect(await faultCode(send(upstream, { verb: 'POST', body: stream(2, 'abc') }))).toBe('SP_HTTP_FRAMING');
    async function* broken() {
      yield Buffer.from('abc');
      throw new Error('the device is gone');
    }
    const body: Body = { kind: 'stream', stream: broken(), length: undefined };
    expect(await faultCode(send(upstream, { verb: 'POST', body }))).toBe('SP_EXCHANGE_CANCELLED');
    await until(() => server.connections.every(({ closed }) => closed));
    expect(server.requests).toBe(server.received.includes('content-length: 9') ? 1 : 0);
    expect(server.received).not.toContain('0\r\n\r\n');
    expect(server.received).not.toContain('content-length: 0');
  });

  it('is bounded', async () => {
    const { upstream } = await cloud(() => undefined, {}, { streamedBodyBytes: 5 });
    expect(await faultCode(send(upstream, { verb: 'POST', body: stream(6, 'abcdef') }))).toBe('SP_HTTP_BODY_TOO_LARGE');
    expect(await faultCode(send(upstream, { verb: 'POST', body: stream(undefined, 'abc', 'def') }))).toBe(
      'SP_HTTP_BODY_TOO_LARGE',
    );
  });

  it('pulls from the device only as fast as the upstream reads', async () => {
    const { server, upstream } = await cloud(() => undefined, { timeoutMs: 600 });
    let pulled = 0;
    async function* endless() {
      for (; pulled < 2_000; pulled++) yield Buffer.alloc(65_536);
    }
    const sending = faultCode(
      send(upstream, { verb: 'POST', body: { kind: 'stream', stream: endless(), length: undefined } }),
    );
    await until(() => server.connections.length === 1);
    server.connections[0]?.socket.pause();
    expect(await sending).toBe('SP_UPSTREAM_TIMEOUT');
    expect(pulled).toBeLessThan(300);
  });

  it('an early answer counts, and the rest of the body is not pulled', async () => {
    const { server, upstream } = await cloud(({ socket }) => socket.write(response('no', '', '403 No')));
    let returned = false;
    async function* slow() {
      try {
        yield Buffer.from('a');
        for (;;) {
          await new Promise((resolve) => setTimeout(resolve, 10));
          yield Buffer.from('b');
        }
      } finally {
        returned = true;
      }
    }
    const reply = await send(upstream, { verb: 'POST', body: { kind: 'stream', stream: slow(), length: undefined } });
    expect(reply.status).toBe(403);
    await until(() => returned);
    await until(() => server.connections[0]?.closed === true);
  });

  it('a device that dribbles its body is itself to blame, and does not open the circuit', async () => {
    const { upstream } = await cloud(() => undefined, { timeoutMs: 100 });
    for (let i = 0; i < 6; i++) {
      async function* stalled() {
        yield Buffer.from('a');
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
      const body: Body = { kind: 'stream', stream: stalled(), length: undefined };
      expect(await faultCode(send(upstream, { verb: 'POST', body }))).toBe('SP_HTTP_TIMEOUT');
    }
    expect(upstream.status.state).toBe('closed');
  });
});

describe('what comes back', () => {
  it('lets only the listed headers down', async () => {
    const { upstream } = await cloud(({ socket }) =>
      socket.write(
        response(
          'x',
          'content-type: text/plain; charset=utf-8\r\nset-cookie: a=b\r\nserver: nginx\r\netag: "1"\r\nx-powered-by: x\r\n' +
            'cache-control: no-store\r\ncache-control: private\r\nlocation: /v1/next?x=1\r\nkeep-alive: timeout=5\r\n',
        ),
      ),
    );
    const { headers, contentType } = await send(upstream);
    expect(contentType).toBe('text/plain');
    expect(headers).toEqual([
      ['content-type', 'text/plain; charset=utf-8'],
      ['etag', '"1"'],
      ['cache-control', 'no-store, private'],
      ['location', '/v1/next?x=1'],
    ]);
  });

  it('hands a redirect back without following it, and without a Location elsewhere', async () => {
    const { server, upstream } = await cloud(({ socket }, _head, n) => {
      const location = ['http://evil.example/', '//evil.example/', '/\\evil.example', '/ok'][n - 1];
      socket.write(response('', `location: ${location}\r\n`, '307 Temporary Redirect'));
    });
    const locations: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const { status, headers } = await send(upstream);
      expect(status).toBe(307);
      locations.push(...headers);
    }
    expect(locations).toEqual([['location', '/ok']]);
    expect(server.requests).toBe(4);
  });

  it('passes a chunked body, early hints before it and trailers after it dropped', async () => {
    const { upstream } = await cloud(({ socket }) =>
      socket.write(
        'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n' +
          '2\r\nhi\r\n3;ext=1\r\n you\r\n0\r\nx-trailer: y\r\n\r\n'.replace('3;ext=1', '4;ext=1'),
      ),
    );
    const reply = await send(upstream);
    expect([reply.status, text(reply.body), reply.headers]).toEqual([200, 'hi you', []]);
  });

  it.each([
    ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', 200],
    ['204', 'DELETE', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: "1"\r\n\r\n', 304],
    ['500', 'GET', response('', '', '500 Broken'), 500],
    ['HTTP/1.0', 'GET', 'HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', 200],
  ])('an answer without content: %s', async (_name, verb, bytes, status) => {
    const { upstream } = await cloud(({ socket }) => socket.write(bytes));
    const reply = await send(upstream, { verb });
    expect([reply.status, reply.body]).toEqual([status, { kind: 'empty' }]);
  });

  it('an answer followed by the end of the connection is an answer', async () => {
    const { server, upstream } = await cloud(({ socket }, _head, n) =>
      socket.end(response('bye', n % 2 === 0 ? 'connection: close\r\n' : '')),
    );
    for (let i = 0; i < 20; i++) {
      expect(text((await send(upstream)).body)).toBe('bye');
      await until(() => server.connections[i]?.closed === true);
    }
    expect(server.connections.length).toBe(20);
  });

  it('bounds the content, declared or not', async () => {
    const { upstream } = await cloud(
      ({ socket }, _head, n) =>
        socket.write(
          n === 1
            ? response('x'.repeat(101))
            : `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n65\r\n${'x'.repeat(101)}\r\n0\r\n\r\n`,
        ),
      {},
      { responseBytes: 100 },
    );
    expect(await faultCode(send(upstream))).toBe('SP_UPSTREAM_TOO_LARGE');
    expect(await faultCode(send(upstream))).toBe('SP_UPSTREAM_TOO_LARGE');
    expect(upstream.status).toMatchObject({ state: 'closed', lastError: 'SP_UPSTREAM_TOO_LARGE', inFlight: 0 });
  });

  it('waits no longer than the upstream’s time, however the answer trickles', async () => {
    const { server, upstream } = await cloud(
      ({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n');
        const drip = setInterval(() => socket.write('x'), 10);
        socket.on('close', () => clearInterval(drip));
      },
      { timeoutMs: 200 },
    );
    expect(await faultCode(send(upstream))).toBe('SP_UPSTREAM_TIMEOUT');
    await until(() => server.connections[0]?.closed === true);
  });
});

describe('an answer that never ends is cut by its bytes, not by the clock', () => {
  it.each([
    ['in its reason phrase', 'HTTP/1.1 200 ', 'O', /responseHeaderBytes/],
    ['in chunk extensions', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;', 'e', /mostly framing/],
    ['in a chunk size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', '0', /mostly framing/],
  ])('%s', async (_name, head, filler, why) => {
    let written = 0;
    const { server, upstream } = await cloud(
      ({ socket }) => {
        socket.write(head);
        const block = filler.repeat(16_384);
        const more = () => {
          while (!socket.destroyed && socket.write(block)) written += block.length;
        };
        socket.on('drain', more);
        more();
      },
      { timeoutMs: 20_000 },
      { responseBytes: 100_000 },
    );
    const fault = await send(upstream).catch((thrown: unknown) => thrown);
    expect(fault).toMatchObject({ code: 'SP_UPSTREAM_TOO_LARGE', message: expect.stringMatching(why) });
    await until(() => server.connections[0]?.closed === true);
    // Mostly what the kernel buffered on both sides.
    expect(written).toBeLessThan(10_000_000);
  });
});

describe('the device leaves', () => {
  it('and the upstream sees its connection closed', async () => {
    const { server, upstream } = await cloud(() => undefined);
    const device = new AbortController();
    const sending = faultCode(
      send(upstream, { signal: device.signal, verb: 'POST', body: { kind: 'bytes', bytes: Buffer.from('x') } }),
    );
    await until(() => server.requests === 1);
    device.abort();
    expect(await sending).toBe('SP_EXCHANGE_CANCELLED');
    await until(() => server.connections[0]?.closed === true);
    expect(upstream.status).toMatchObject({ inFlight: 0, state: 'closed' });
  });

  it('while it waits: nothing is ever sent, and its place is free', async () => {
    const { server, upstream } = await cloud(({ socket }) => setTimeout(() => socket.write(response('x')), 50), {
      connections: 1,
    });
    const device = new AbortController();
    const first = send(upstream);
    const second = faultCode(send(upstream, { signal: device.signal, path: '/second' }));
    const third = send(upstream, { path: '/third' });
    await until(() => server.requests === 1 && upstream.status.waiting === 2);
    device.abort();
    expect(await second).toBe('SP_EXCHANGE_CANCELLED');
    expect(upstream.status.waiting).toBe(1);
    await Promise.all([first, third]);
    expect(server.received).not.toContain('/second');
    expect(server.received).toContain('/third');
  });

  it('while the connection is being made: not a byte is written on it', async () => {
    const server = await new RawServer(({ socket }) => socket.write(response('x'))).listen();
    opened.push(server);
    const origin = parseOrigin(`http://127.0.0.1:${server.port}`, false);
    const slow: Dial = (done) => setTimeout(() => dialler(origin, undefined, 1_000)(done), 50);
    const upstream = new Http1Upstream(upstreamSettings(origin.url), origin, slow, DEFAULT_LIMITS, Date.now);
    opened.push(upstream);
    const device = new AbortController();
    const sending = faultCode(send(upstream, { signal: device.signal, path: '/left' }));
    setImmediate(() => device.abort());
    expect(await sending).toBe('SP_EXCHANGE_CANCELLED');
    await until(() => upstream.status.inFlight === 0 && server.connections.length > 0);
    expect(text((await send(upstream, { path: '/next' })).body)).toBe('x');
    expect(server.received).not.toContain('/left');
  });

  it('before: nothing is even connected', async () => {
    const { server, upstream } = await cloud(() => undefined);
    expect(await faultCode(send(upstream, { signal: AbortSignal.abort() }))).toBe('SP_EXCHANGE_CANCELLED');
    expect(server.connections.length).toBe(0);
  });
});

describe('at most once', () => {
  const post: Wanted = { verb: 'POST', body: { kind: 'bytes', bytes: Buffer.from('{"n":1}') } };

  it('a backend that closes its connection at the moment of reuse sees each POST at most once', async () => {
    const seen = new Map<string, number>();
    const { server, upstream } = await cloud(({ socket }, head) => {
      const id = Number(/id=(\d+)/.exec(head)?.[1]);
      seen.set(String(id), (seen.get(String(id)) ?? 0) + 1);
      // Takes it and dies: whoever sends it again has it done twice.
      if (id % 7 === 6) return socket.resetAndDestroy();
      socket.write(response('x'));
      if (id % 5 === 0) setImmediate(() => socket.destroy());
      if (id % 5 === 1) setImmediate(() => socket.resetAndDestroy());
      if (id % 5 === 2) socket.end();
      if (id % 5 === 3) setTimeout(() => socket.resetAndDestroy(), 1);
      return undefined;
    });
    let answered = 0;
    const faults = new Map<string, number>();
    for (let id = 0; id < 300; id++) {
      try {
        await send(upstream, { ...post, query: `id=${id}` });
        answered++;
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'other';
        faults.set(code, (faults.get(code) ?? 0) + 1);
      }
      if (id % 2 === 0) await new Promise((resolve) => setTimeout(resolve, id % 3));
    }
    const repeated = [...seen.values()].filter((times) => times > 1).length;
    console.log(
      `at most once: 300 POSTs over closing connections, ${answered} answered, ${repeated} seen twice, faults ${JSON.stringify([...faults])}`,
    );
    expect(repeated).toBe(0);
    expect(answered + [...faults.values()].reduce((sum, n) => sum + n, 0)).toBe(300);
    expect([...faults.keys()].filter((code) => code !== 'SP_UPSTREAM_RESPONSE')).toEqual([]);
    expect(answered).toBeGreaterThan(100);
    expect(faults.get('SP_UPSTREAM_RESPONSE')).toBeGreaterThanOrEqual(42);
    expect(server.connections.length).toBeGreaterThan(100);
  });

  it('a connection that died while idle costs nothing: the message goes out on a fresh one', async () => {
    const { server, upstream } = await cloud(({ socket }) => socket.write(response('x')));
    await send(upstream, post);
    server.connections[0]?.socket.resetAndDestroy();
    await until(() => server.connections[0]?.closed === true);
    expect(text((await send(upstream, post)).body)).toBe('x');
    expect(server.requests).toBe(2);
  });

  it('a request that was written is never written again, GET or not', async () => {
    const { server, upstream } = await cloud(({ socket }) => socket.resetAndDestroy());
    for (const verb of ['GET', 'PUT', 'POST']) {
      expect(await faultCode(send(upstream, { verb })), verb).toBe('SP_UPSTREAM_RESPONSE');
    }
    expect(server.requests).toBe(3);
  });

  it.each([
    ['bytes', (): Body => ({ kind: 'bytes', bytes: Buffer.from('abc') })],
    ['a stream', (): Body => ({ kind: 'stream', stream: Readable.from([Buffer.from('abc')]), length: 3 })],
  ])('a connection that was not made is tried once more, and only once: %s', async (_name, body) => {
    const server = await new RawServer(({ socket }) => socket.write(response('x'))).listen();
    opened.push(server);
    const origin = parseOrigin(`http://127.0.0.1:${server.port}`, false);
    let refusals = 1;
    let dials = 0;
    const dial: Dial = (done) => {
      dials++;
      if (refusals-- > 0) setImmediate(done, Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), undefined);
      else dialler(origin, undefined, 1_000)(done);
    };
    const upstream = new Http1Upstream(upstreamSettings(origin.url), origin, dial, DEFAULT_LIMITS, Date.now);
    opened.push(upstream);
    expect(text((await send(upstream, { verb: 'POST', body: body() })).body)).toBe('x');
    expect([dials, server.requests, server.received.endsWith('content-length: 3\r\n\r\nabc')]).toEqual([2, 1, true]);
    const second = new Http1Upstream(upstreamSettings(origin.url), origin, dial, DEFAULT_LIMITS, Date.now);
    opened.push(second);
    [refusals, dials] = [9, 0];
    expect(await faultCode(send(second, { verb: 'POST', body: body() }))).toBe('SP_UPSTREAM_UNREACHABLE');
    expect([dials, second.status.inFlight]).toEqual([2, 0]);
  });

  it('a name that does not resolve is unreachable', async () => {
    const upstream = openTo('http://nowhere.invalid', { dangerouslyPlaintext: true });
    opened.push(upstream);
    expect(await faultCode(send(upstream))).toBe('SP_UPSTREAM_UNREACHABLE');
  });
});

describe('an upstream in trouble', () => {
  it('is left alone after five failures in a row, and probed by one request', async () => {
    const server = await new RawServer(({ socket }) => socket.write(response('x'))).listen();
    const { port } = server;
    await server.close();
    const upstream = openTo(`http://127.0.0.1:${port}`);
    opened.push(upstream);
    const codes: string[] = [];
    for (let i = 0; i < 7; i++) codes.push(await faultCode(send(upstream)));
    expect(codes).toEqual([
      ...Array(5).fill('SP_UPSTREAM_UNREACHABLE'),
      'SP_UPSTREAM_CIRCUIT_OPEN',
      'SP_UPSTREAM_CIRCUIT_OPEN',
    ]);
    expect(upstream.status).toMatchObject({ state: 'open', lastError: 'SP_UPSTREAM_UNREACHABLE' });
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    const probes = await Promise.all([faultCode(send(upstream)), faultCode(send(upstream)), faultCode(send(upstream))]);
    expect(probes.sort()).toEqual(['SP_UPSTREAM_CIRCUIT_OPEN', 'SP_UPSTREAM_CIRCUIT_OPEN', 'SP_UPSTREAM_UNREACHABLE']);
  });

  it('has a bounded queue before it', async () => {
    const { upstream } = await cloud(() => undefined, { connections: 1, timeoutMs: 400 });
    const all = Array.from({ length: 40 }, (_, n) => faultCode(send(upstream, { device: `thermo-${n % 10}` })));
    const codes = await Promise.all(all);
    expect(codes.filter((code) => code === 'SP_UPSTREAM_BUSY').length).toBe(40 - 1 - 32);
    expect(codes.filter((code) => code === 'SP_UPSTREAM_TIMEOUT').length).toBe(33);
    // Those that only waited say nothing about the upstream.
    expect(upstream.status).toMatchObject({ state: 'closed', waiting: 0 });
  });

  it('drains: what is under way ends, what comes later is refused', async () => {
    const { upstream } = await cloud(({ socket }) => setTimeout(() => socket.write(response('late')), 80), {
      connections: 1,
    });
    const first = send(upstream);
    const second = send(upstream);
    await until(() => upstream.status.inFlight === 1 && upstream.status.waiting === 1);
    const closed = upstream.close(2_000);
    expect(await faultCode(send(upstream))).toBe('SP_GATEWAY_DRAINING');
    expect(text((await first).body)).toBe('late');
    expect(text((await second).body)).toBe('late');
    await closed;
  });

  it('drains no longer than it is given', async () => {
    const { server, upstream } = await cloud(() => undefined);
    const sending = faultCode(send(upstream));
    await until(() => server.requests === 1);
    await upstream.close(50);
    expect(await sending).toBe('SP_GATEWAY_DRAINING');
    await until(() => server.connections[0]?.closed === true);
  });

  it('an answer to a request that nobody made never reaches anybody', async () => {
    const { server, upstream } = await cloud(({ socket }, _head, n) => socket.write(response(`answer ${n}`)));
    await send(upstream);
    server.connections[0]?.socket.write(response('smuggled'));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(text((await send(upstream)).body)).toBe('answer 2');
    expect(server.connections.length).toBe(2);
  });
});
