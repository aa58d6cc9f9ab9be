/** What a device sends and what it gets back, request by request. */
import { afterEach, describe, expect, it } from 'vitest';
import { Sealed } from '../../../../src/exchange/sealed.ts';
import { request, type Stage, startStage, type Wish } from './stage.ts';

let stage: Stage;
const on = async (wish?: Wish): Promise<Stage> => {
  stage = await startStage(wish);
  return stage;
};
afterEach(() => stage.close());

describe('a permitted request', () => {
  it('arrives as one arrival and is answered on the same connection', async () => {
    const client = await (await on()).client();
    const body = '{"temperature":21.5}';
    const answer = await client.ask(
      request('POST', '/v1/telemetry?x=1', { 'content-type': 'application/json; charset=utf-8', 'x-trace': '7' }, body),
    );
    expect(answer).toMatchObject({ status: 200, body: '{"ok":true}' });
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', connection: 'keep-alive' });
    expect(answer.headers).not.toHaveProperty('server');
    const [{ arrival, body: sent } = stage.seen[0]!] = stage.seen;
    expect(sent).toBe(body);
    expect(arrival).toMatchObject({
      verb: 'POST',
      path: '/v1/telemetry',
      query: 'x=1',
      contentType: 'application/json',
      protocol: 'https',
      listener: 'https',
      direction: 'toCloud',
      headers: [
        ['host', 'localhost'],
        ['content-type', 'application/json; charset=utf-8'],
        ['x-trace', '7'],
      ],
    });
    expect(arrival.peer).toMatchObject({ address: '127.0.0.1', key: stage.papers.device.key, names: ['DNS:thermo-1'] });
    expect((await client.ask(request('GET', '/'))).status).toBe(200);
  });

  it('with chunks arrives joined', async () => {
    const client = await (await on()).client();
    const chunks = '3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n';
    await client.ask(request('PUT', '/x', { 'transfer-encoding': 'chunked' }, chunks));
    expect(stage.seen[0]).toMatchObject({ kind: 'bytes', body: 'abcdefg' });
  });

  it('in many small pieces arrives whole', async () => {
    const client = await (await on()).client();
    const body = 'abcdefghij'.repeat(300);
    const whole = request('POST', '/x', {}, body);
    for (let at = 0; at < whole.length; at += 97) {
      client.send(whole.slice(at, at + 97));
      await new Promise(setImmediate);
    }
    await client.response();
    expect(stage.seen[0]?.body).toBe(body);
  });

  it('to another device names it apart from the path', async () => {
    const client = await (await on()).client();
    await client.ask(request('GET', '/~camera-2/status'));
    expect(stage.seen[0]?.arrival).toMatchObject({ targetDevice: 'camera-2', path: '/status' });
  });

  it('HEAD, 204 and 304 have no content and keep the connection', async () => {
    const statuses: Record<string, number> = { '/none': 204, '/same': 304, '/head': 200 };
    const bytes = Buffer.from('must not be seen');
    await on({
      forward: ({ path }) => ({
        status: statuses[path] ?? 500,
        headers: [],
        contentType: 'text/plain',
        body: { kind: 'bytes', bytes },
      }),
    });
    const client = await stage.client();
    for (const [verb, path] of [
      ['HEAD', '/head'],
      ['GET', '/none'],
      ['GET', '/same'],
      ['HEAD', '/head'],
    ] as const) {
      const answer = await client.ask(request(verb, path));
      expect(answer).toMatchObject({ status: statuses[path], body: '' });
      expect(answer.headers).not.toHaveProperty('content-length');
    }
    expect(client.received).toBe('');
  });

  it('205 says that it has no content, or a client waits for the end of the connection', async () => {
    const forward = () => ({ status: 205, headers: [], contentType: '', body: { kind: 'empty' } as const });
    const client = await (await on({ forward })).client();
    const answer = await client.ask(request('POST', '/', {}, 'x'));
    expect(answer).toMatchObject({
      status: 205,
      headers: { 'content-length': '0', connection: 'keep-alive' },
      body: '',
    });
  });

  it('HTTP/1.0 is answered and closed', async () => {
    const client = await (await on()).client();
    client.send('GET /old HTTP/1.0\r\n\r\n');
    expect(await client.toEnd()).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*connection: close/i);
  });
});

describe('a large body', () => {
  const limits = { inspectedBodyBytes: 1_000, streamedBodyBytes: 50_000 };

  it('is a stream that begins with what was read', async () => {
    const client = await (await on({ limits })).client();
    const body = 'x'.repeat(20_000);
    await client.ask(request('POST', '/up', {}, body));
    expect(stage.seen[0]).toMatchObject({ kind: 'stream', body });
    expect(stage.seen[0]?.arrival.body).toMatchObject({ length: 20_000 });
    const chunked = `800\r\n${'y'.repeat(0x800)}\r\n3\r\nend\r\n0\r\n\r\n`;
    await client.ask(request('POST', '/up', { 'transfer-encoding': 'chunked' }, chunked));
    expect(stage.seen[1]).toMatchObject({ kind: 'stream', body: `${'y'.repeat(0x800)}end` });
    expect((await client.ask(request('GET', '/after'))).status).toBe(200);
  });

  it('in chunks of one octet goes up in few pieces, not in one for each', async () => {
    const pieces: Uint8Array[] = [];
    const client = await (
      await on({
        limits: { inspectedBodyBytes: 1_024 },
        forwardSealed: async (sealed) => {
          const { body } = Sealed.assert(sealed).message;
          if (body.kind === 'stream') for await (const piece of body.stream) pieces.push(piece);
          return { status: 204, headers: [], contentType: '', body: { kind: 'empty' } };
        },
      })
    ).client();
    const octets = 'abcdefghij'.repeat(1_000);
    const chunks = `${octets.replaceAll(/./g, '1\r\n$&\r\n')}0\r\n\r\n`;
    expect((await client.ask(request('PUT', '/x', { 'transfer-encoding': 'chunked' }, chunks))).status).toBe(204);
    expect(Buffer.concat(pieces).toString()).toBe(octets);
    expect(pieces.length).toBeLessThan(100);
  });

  it('beyond the last limit is 413 before it is read when announced', async () => {
    const client = await (await on({ limits })).client();
    client.send('POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 50001\r\n\r\n');
    expect((await client.response()).status).toBe(413);
    await client.toEnd();
    expect(stage.seen).toEqual([]);
    expect(stage.refusals).toEqual(['SP_HTTP_BODY_TOO_LARGE']);
  });

  it('beyond the last limit breaks off when chunked', async () => {
    const client = await (await on({ limits })).client();
    const chunk = `2000\r\n${'z'.repeat(0x2000)}\r\n`;
    client.send(request('POST', '/up', { 'transfer-encoding': 'chunked' }, chunk.repeat(8)));
    expect((await client.response()).status).toBe(413);
    await client.toEnd();
    expect(stage.seen).toEqual([]);
  });

  it('that is denied is not read: answered at once and closed', async () => {
    const client = await (await on({ limits, deny: () => 'stream-not-allowed' })).client();
    client.send(`POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n${'x'.repeat(5_000)}`);
    const answer = await client.response();
    expect(answer).toMatchObject({ status: 413, headers: { connection: 'close' } });
    expect(JSON.parse(answer.body)).toMatchObject({ reason: 'stream-not-allowed' });
    await client.toEnd();
  });
});

describe('a refusal', () => {
  it('of policy says reason and decision, nothing else, and keeps the connection', async () => {
    const client = await (await on({ deny: ({ path }) => (path === '/admin' ? 'no-route' : undefined) })).client();
    const answer = await client.ask(request('POST', '/admin', {}, 'secret'));
    expect(answer).toMatchObject({
      status: 403,
      headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', connection: 'keep-alive' },
    });
    expect(JSON.parse(answer.body)).toEqual({
      type: 'urn:sallyport:reason:no-route',
      title: 'Denied',
      status: 403,
      reason: 'no-route',
      decision: expect.stringMatching(/^0198c1d2-/),
    });
    expect((await client.ask(request('GET', '/'))).status).toBe(200);
  });

  it('for the rate says when to come back', async () => {
    const client = await (await on({ deny: () => 'rate-limited' })).client();
    expect(await client.ask(request('GET', '/'))).toMatchObject({ status: 429, headers: { 'retry-after': '1' } });
  });

  it('of a method names the ones there are and closes', async () => {
    const client = await (await on()).client();
    const answer = await client.ask(request('PROPFIND', '/'));
    expect(answer).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS', connection: 'close' },
    });
    await client.toEnd();
  });

  it.each([
    ['two hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400, 'SP_HTTP_HOST'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', 400, 'SP_HTTP_HOST'],
    ['HTTP/0.9 line', 'GET /\r\n', 400, 'SP_HTTP_VERSION'],
    ['bare line feed', 'GET / HTTP/1.1\nHost: x\r\n\r\n', 400, 'SP_HTTP_SYNTAX'],
    ['HTTP/2.0 line', 'GET / HTTP/2.0\r\nHost: x\r\n\r\n', 400, 'SP_HTTP_VERSION'],
    ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'SP_HTTP_VERSION'],
    ['absolute form', 'GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n', 400, 'SP_HTTP_TARGET'],
    ['two slashes', 'GET //evil/x HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'SP_HTTP_TARGET'],
    ['TE on 1.0', 'POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400, 'SP_HTTP_FRAMING'],
    [
      'CL and TE',
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
      'SP_HTTP_FRAMING',
    ],
    ['huge CL', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n', 400, 'SP_HTTP_FRAMING'],
    [
      'h2c',
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n',
      400,
      'SP_HTTP_UPGRADE',
    ],
    ['underscore', 'GET / HTTP/1.1\r\nHost: x\r\nX_Device_Id: y\r\n\r\n', 400, 'SP_HTTP_HEADER'],
    [
      'trailer',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n',
      400,
      'SP_HTTP_FRAMING',
    ],
    [
      'bad chunk',
      'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n',
      400,
      'SP_HTTP_FRAMING',
    ],
    [
      'expectation',
      'POST / HTTP/1.1\r\nHost: x\r\nExpect: the-unexpected\r\nContent-Length: 1\r\n\r\n',
      417,
      'SP_HTTP_EXPECT',
    ],
    ['connect', 'CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n', 405, 'SP_HTTP_METHOD'],
    ['garbage', '\x16\x03\x01 garbage\r\n\r\n', 400, 'SP_HTTP_SYNTAX'],
    ['long headers', `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(17_000)}\r\n\r\n`, 431, 'SP_HTTP_HEADERS_TOO_LARGE'],
    ['many headers', `GET / HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(64)}\r\n`, 431, 'SP_HTTP_HEADERS_TOO_LARGE'],
  ])('of %s is a problem document, counted, and the end of the connection', async (_, bytes, status, code) => {
    const client = await (await on()).client();
    // What follows on the connection must not be taken for another request.
    client.send(`${bytes}GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n`);
    const answer = await client.response();
    expect(answer).toMatchObject({
      status,
      headers: { connection: 'close', 'content-type': 'application/problem+json' },
    });
    expect(JSON.parse(answer.body)).toMatchObject({ status, reason: code });
    await client.toEnd();
    expect(client.received).toBe('');
    expect(stage.refusals).toEqual([code]);
    expect(stage.seen).toEqual([]);
  });

  it('a header hidden behind 2,000 others is not overlooked', async () => {
    const client = await (await on({ limits: { headerCount: 5_000 } })).client();
    client.send(
      `POST / HTTP/1.1\r\nHost: x\r\n${'a:\r\n'.repeat(2_100)}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    );
    expect((await client.response()).status).toBe(400);
    expect(stage.refusals).toEqual(['SP_HTTP_FRAMING']);
  });
});

describe('an answer of the cloud', () => {
  it('cannot frame, upgrade or end the connection by its headers', async () => {
    await on({
      forward: () => ({
        status: 200,
        headers: [
          ['content-length', '999'],
          ['transfer-encoding', 'chunked'],
          ['connection', 'close'],
          ['upgrade', 'h2c'],
          ['keep-alive', 'timeout=9999'],
          ['server', 'cloud/1.0'],
          ['x-kept', 'yes'],
        ],
        contentType: 'text/plain',
        body: { kind: 'bytes', bytes: Buffer.from('fine') },
      }),
    });
    const client = await stage.client();
    const answer = await client.ask(request('GET', '/'));
    expect(answer).toMatchObject({ status: 200, body: 'fine', headers: { 'content-length': '4', 'x-kept': 'yes' } });
    for (const name of ['transfer-encoding', 'upgrade', 'server']) expect(answer.headers).not.toHaveProperty(name);
    expect(answer.headers.connection).toBe('keep-alive');
  });

  it.each([
    ['an interim status', { status: 102, headers: [] as [string, string][] }],
    ['an upgrade nobody asked for', { status: 101, headers: [] as [string, string][] }],
    ['a line break in a value', { status: 200, headers: [['x-a', 'b\r\nset-cookie: c=d']] as [string, string][] }],
    ['a bad name', { status: 200, headers: [['x a', 'b']] as [string, string][] }],
  ])('with %s is 502', async (_, reply) => {
    await on({ forward: () => ({ ...reply, contentType: '', body: { kind: 'empty' } }) });
    const client = await stage.client();
    const answer = await client.ask(request('GET', '/'));
    expect(answer.status).toBe(502);
    expect(answer.body).not.toContain('set-cookie');
  });

  it('that is large or streamed arrives whole', async () => {
    const bytes = Buffer.alloc(300_000, 'q');
    const stream = async function* () {
      for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
    };
    await on({
      forward: ({ path }) => ({
        status: 200,
        headers: [],
        contentType: 'application/octet-stream',
        body:
          path === '/bytes'
            ? { kind: 'bytes', bytes }
            : { kind: 'stream', stream: stream(), length: path === '/known' ? bytes.length : undefined },
      }),
    });
    const client = await stage.client();
    for (const path of ['/bytes', '/known', '/unknown']) {
      const answer = await client.ask(request('GET', path));
      expect(answer.body.replaceAll(/[^q]/g, '').length).toBe(bytes.length);
    }
  });

  it('of unknown length ends the connection of HTTP/1.0, kept or not', async () => {
    const stream = async function* () {
      yield Buffer.from('whole');
    };
    const body = { kind: 'stream', stream: stream(), length: undefined } as const;
    await on({ forward: () => ({ status: 200, headers: [], contentType: '', body }) });
    const client = await stage.client();
    client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    expect(await client.toEnd(2_000)).toMatch(/\r\nconnection: close\r\n\r\nwhole$/);
  });

  it('that is shorter or longer than announced cuts the connection', async () => {
    const stream = async function* (size: number) {
      yield Buffer.alloc(size, 'q');
    };
    await on({
      forward: ({ path }) => ({
        status: 200,
        headers: [],
        contentType: '',
        body: { kind: 'stream', stream: stream(path === '/short' ? 5 : 15), length: 10 },
      }),
    });
    for (const path of ['/short', '/long']) {
      const client = await stage.client();
      const text = await client.send(request('GET', path)).toEnd();
      expect(text.split('\r\n\r\n')[1]?.length ?? 0).toBeLessThanOrEqual(10);
    }
  });
});
