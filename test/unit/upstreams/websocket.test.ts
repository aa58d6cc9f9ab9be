import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { DEFAULT_LIMITS, type Limits } from '../../../src/config/settings.ts';
import type { Channel } from '../../../src/exchange/message.ts';
import { dialler, parseOrigin } from '../../../src/upstreams/dial.ts';
import { UpstreamTls } from '../../../src/upstreams/tls.ts';
import { WebSocketUpstream } from '../../../src/upstreams/websocket.ts';
import type { WebSocketChannel } from '../../../src/websocket/channel.ts';
import { frame } from '../websocket/wire.ts';
import { CLIENT_AUTH, type Issued, issue, keyOf } from './certificates.ts';
import { faultCode, RawServer, type Script } from './raw-server.ts';
import { DECISION_ID, sealedMessage, type Wanted } from './sealed-message.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0)) await step();
});

function upstreamAt(port: number, timeoutMs = 2_000, limits: Partial<Limits> = {}, untakenTimeoutMs = 2_000) {
  const origin = parseOrigin(`http://127.0.0.1:${port}`, false);
  const all = { ...DEFAULT_LIMITS, ...limits };
  const dial = dialler(origin, undefined, timeoutMs);
  return new WebSocketUpstream({ name: 'cloud', origin, dial, timeoutMs, limits: all, untakenTimeoutMs });
}

const upgrade = (wanted: Wanted = {}) => sealedMessage({ verb: 'WS', path: '/v1/frames', ...wanted });

/** A cloud that speaks properly. */
async function cloud(subprotocol?: string) {
  const server = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    handleProtocols: () => subprotocol ?? false,
    perMessageDeflate: true,
  });
  await once(server, 'listening');
  const sockets: WebSocket[] = [];
  const requests: IncomingMessage[] = [];
  server.on('connection', (socket, request) => {
    socket.on('error', () => {});
    sockets.push(socket);
    requests.push(request);
  });
  undo.push(() => {
    for (const socket of sockets) socket.terminate();
    server.close();
  });
  return { sockets, requests, port: (server.address() as AddressInfo).port };
}

/** A cloud that says what the test wants. `{accept}` becomes the right Sec-WebSocket-Accept. */
async function rawCloud(head: string, after: readonly Buffer[] = []) {
  const script: Script = ({ socket }, request) => {
    const key = /^sec-websocket-key: (\S+)/im.exec(request)?.[1] ?? '';
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(Buffer.concat([Buffer.from(head.replace('{accept}', accept)), ...after]));
  };
  const server = await new RawServer(script).listen();
  undo.push(() => server.close());
  return server;
}

const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n';

async function opened(port: number, wanted: Wanted = {}, limits: Partial<Limits> = {}): Promise<Channel> {
  const reply = await upstreamAt(port, 2_000, limits).open(await upgrade(wanted));
  expect(reply.status).toBe(101);
  const { channel } = reply;
  if (channel === undefined) throw new Error('no channel');
  undo.push(() => channel.close(1000, ''));
  return channel;
}

describe('the handshake towards the upstream', () => {
  it('names the exchange, and carries the sealed target and headers and nothing of the device’s own handshake', async () => {
    const { port, requests } = await cloud();
    const headers = [
      ['x-firmware', '1.2'],
      ['sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
      ['sec-websocket-extensions', 'permessage-deflate'],
      ['host', 'elsewhere.example'],
      ['sallyport-decision', 'forged'],
      ['constructor', 'odd name'],
    ] as const;
    await opened(port, { query: 'a=1', headers });
    const [request] = requests;
    expect(request?.url).toBe('/v1/frames?a=1');
    expect(request?.headers).toMatchObject({
      'sallyport-decision': DECISION_ID,
      'x-firmware': '1.2',
      constructor: 'odd name',
      host: `127.0.0.1:${port}`,
      'sec-websocket-version': '13',
    });
    expect(request?.headers['sec-websocket-key']).not.toBe('AAAAAAAAAAAAAAAAAAAAAA==');
    expect(request?.headers['sec-websocket-extensions']).toBeUndefined();
  });

  it.each(['/v1/%2e%2e/admin', '/v1/..%2fadmin', '/v1\\admin', "/v1/'a'", '/v1/a%20b'])(
    'sends the path letter by letter: %s',
    async (path) => {
      const { port, requests } = await cloud();
      await opened(port, { path, query: "q='x'&r=%2e%2e" });
      expect(requests[0]?.url).toBe(`${path}?q='x'&r=%2e%2e`);
    },
  );

  it.each(['//elsewhere.example/x', 'http://elsewhere.example/', '/a b', '/a\r\nx: y', ''])(
    'refuses the path %j before it connects',
    async (path) => {
      const { port, requests } = await cloud();
      expect(await faultCode(upstreamAt(port).open(await upgrade({ path })))).toBe('SP_HTTP_TARGET');
      expect(requests).toEqual([]);
    },
  );

  it('offers the subprotocols that the privacy rule let through, and reports the one agreed', async () => {
    const { port, requests } = await cloud('mqtt');
    const channel = await opened(port, { headers: [['sec-websocket-protocol', 'ocpp1.6, mqtt']] });
    expect(requests[0]?.headers['sec-websocket-protocol']).toBe('ocpp1.6,mqtt');
    expect(channel.subprotocol).toBe('mqtt');
  });

  it('takes nothing but a Sealed', async () => {
    const { port, requests } = await cloud();
    const forged = { message: (await upgrade()).message, permitted: (await upgrade()).permitted };
    expect(await faultCode(upstreamAt(port).open(forged as never))).toBe('SP_EXCHANGE_UNPROVEN');
    expect(requests).toEqual([]);
  });
});

describe('an upstream that does not do what it should', () => {
  it('is not there', async () => {
    const { port } = await rawCloud('');
    await undo.pop()?.();
    expect(await faultCode(upstreamAt(port).open(await upgrade()))).toBe('SP_UPSTREAM_UNREACHABLE');
  });

  it.each([
    ['says no', 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n', 'SP_UPSTREAM_UPGRADE'],
    [
      'redirects',
      'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n',
      'SP_UPSTREAM_UPGRADE',
    ],
    ['answers as if it were a page', 'HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx', 'SP_UPSTREAM_UPGRADE'],
    [
      'does not know the key',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n',
      'SP_UPSTREAM_UPGRADE',
    ],
    ['upgrades to something else', SWITCHED.replace('websocket', 'h2c').concat('\r\n'), 'SP_UPSTREAM_UPGRADE'],
    [
      'switches on an extension',
      `${SWITCHED}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n`,
      'SP_UPSTREAM_UPGRADE',
    ],
    ['chooses a subprotocol nobody offered', `${SWITCHED}Sec-WebSocket-Protocol: mqtt\r\n\r\n`, 'SP_UPSTREAM_UPGRADE'],
    ['does not speak HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n', 'SP_UPSTREAM_RESPONSE'],
    ['sends a head without end', `HTTP/1.1 101 x\r\n${'A: b\r\n'.repeat(10_000)}`, 'SP_UPSTREAM_RESPONSE'],
  ])('%s', async (_, head, code) => {
    const server = await rawCloud(head);
    expect(await faultCode(upstreamAt(server.port).open(await upgrade()))).toBe(code);
    await expect.poll(() => server.connections.every(({ closed }) => closed)).toBe(true);
  });

  it('hangs up', async () => {
    const server = await new RawServer(({ socket }) => socket.destroy()).listen();
    undo.push(() => server.close());
    expect(await faultCode(upstreamAt(server.port).open(await upgrade()))).toBe('SP_UPSTREAM_RESPONSE');
  });

  it('says nothing, or forever something else: there is one deadline for all of it', async () => {
    const server = await new RawServer(({ socket }) => {
      const trickle = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 20);
      socket.on('close', () => clearInterval(trickle));
    }).listen();
    undo.push(() => server.close());
    expect(await faultCode(upstreamAt(server.port, 200).open(await upgrade()))).toBe('SP_UPSTREAM_TIMEOUT');
    await expect.poll(() => server.connections.every(({ closed }) => closed)).toBe(true);
  });

  it('is let go when the device leaves', async () => {
    const server = await rawCloud('HTTP/1.1 100 Continue\r\n\r\n');
    const abort = new AbortController();
    const opening = upstreamAt(server.port).open(await upgrade(), abort.signal);
    setTimeout(() => abort.abort(), 50);
    expect(await faultCode(opening)).toBe('SP_EXCHANGE_CANCELLED');
    await expect.poll(() => server.connections.every(({ closed }) => closed)).toBe(true);
  });
});

describe('an open channel to the upstream', () => {
  const bad = (shape: Parameters<typeof frame>[0]) => frame({ masked: false, ...shape });
  it.each([
    ['a masked frame', [frame({ opcode: 1, payload: 'x' })], 'SP_UPSTREAM_RESPONSE'],
    ['RSV1', [bad({ opcode: 1, payload: 'x', reserved: 0x40 })], 'SP_UPSTREAM_RESPONSE'],
    ['bad UTF-8', [bad({ opcode: 1, payload: Buffer.from([0xff]) })], 'SP_UPSTREAM_RESPONSE'],
    ['an announced GiB', [bad({ opcode: 2, length: 2n ** 30n, lengthBytes: 8 })], 'SP_UPSTREAM_TOO_LARGE'],
    ['a flood of pings', Array.from({ length: 21 }, () => bad({ opcode: 9 })), 'SP_UPSTREAM_RESPONSE'],
    [
      'a flood of messages',
      Array.from({ length: 201 }, () => bad({ opcode: 1, payload: 'x' })),
      'SP_UPSTREAM_RESPONSE',
    ],
  ])('ends with a code for the device at %s', async (_, bytes, code) => {
    const server = await rawCloud(`${SWITCHED}\r\n`, bytes);
    const channel = await opened(server.port);
    expect(await channel.closed).toMatchObject({ code: 1014, reason: code });
    for await (const _message of channel.receive()) expect.fail('nothing may come out');
  });

  it('keeps what came together with the handshake', async () => {
    const server = await rawCloud(`${SWITCHED}\r\n`, [bad({ opcode: 1, payload: 'hello' })]);
    const channel = await opened(server.port);
    for await (const { bytes } of channel.receive()) {
      expect(Buffer.from(bytes).toString()).toBe('hello');
      break;
    }
  });

  it('tells the cloud a close code and no reason', async () => {
    const { port, sockets } = await cloud();
    const channel = await opened(port);
    const closed = once(sockets[0] as WebSocket, 'close');
    channel.close(1008, 'no-route');
    const [code, reason] = await closed;
    expect([code, String(reason)]).toEqual([1008, '']);
  });

  it('tells the device the cloud’s close code and not its words', async () => {
    const { port, sockets } = await cloud();
    const channel = await opened(port);
    sockets[0]?.close(4002, 'words of the cloud');
    expect(await channel.closed).toMatchObject({ code: 4002, reason: '' });
  });

  it('is closed when nobody takes it: its device was lost between the two handshakes', async () => {
    const { port } = await cloud();
    const [untaken, taken] = await Promise.all(
      [1, 2].map(async () => (await upstreamAt(port, 2_000, {}, 50).open(await upgrade())).channel as WebSocketChannel),
    );
    void taken?.receive()[Symbol.asyncIterator]().next();
    expect(await untaken?.closed).toMatchObject({ by: 'local', code: 1001 });
    expect(taken?.ending).toBeUndefined();
    taken?.close(1000, '');
  });

  it('does not send on what a new configuration sends elsewhere', async () => {
    const { port, sockets } = await cloud();
    const channel = await opened(port);
    const seen: string[] = [];
    sockets[0]?.on('message', (data) => seen.push(String(data)));
    const body = { kind: 'bytes', bytes: Buffer.from('x') } as const;
    await channel.send(await sealedMessage({ body }));
    expect(await faultCode(channel.send(await sealedMessage({ body, upstream: 'cloud-2' })))).toBe(
      'SP_WEBSOCKET_CLOSED',
    );
    expect(await channel.closed).toMatchObject({ code: 1001 });
    await once(sockets[0] as WebSocket, 'close');
    expect(seen).toEqual(['x']);
  });
});

describe('TLS', () => {
  it('is opened only after the certificate was checked against CA and pin, and with our own', async () => {
    const ca = await issue({ ca: true, name: 'CA' });
    const other = await issue({ ca: true, name: 'other CA' });
    const leaf = await issue({ issuer: ca, dns: ['localhost'] });
    const own = await issue({ issuer: ca, name: 'plant-7', usages: [CLIENT_AUTH] });
    const server = createTlsServer({ key: leaf.keyPem, cert: leaf.pem, ca: ca.pem, requestCert: true });
    const webSockets = new WebSocketServer({ server });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    undo.push(() => {
      for (const client of webSockets.clients) client.terminate();
      server.close();
    });
    const peers: string[] = [];
    webSockets.on('connection', (_, { socket }) =>
      peers.push(String((socket as TLSSocket).getPeerX509Certificate()?.subject)),
    );

    const origin = parseOrigin(`https://localhost:${(server.address() as AddressInfo).port}`, false);
    const open = async (trusted: Issued, pin: string) => {
      const trust = { ca: trusted.pem, certificate: own.pem, key: own.keyPem };
      const dial = dialler(origin, UpstreamTls.forDevice('cloud', trust, pin, keyOf), 2_000);
      const options = { name: 'cloud', origin, dial, timeoutMs: 2_000, limits: DEFAULT_LIMITS };
      return new WebSocketUpstream(options).open(await upgrade());
    };
    expect(await faultCode(open(other, leaf.key))).toBe('SP_UPSTREAM_CERTIFICATE');
    expect(await faultCode(open(ca, other.key))).toBe('SP_UPSTREAM_CERTIFICATE');
    expect(peers).toEqual([]);
    const { status, channel } = await open(ca, leaf.key);
    expect(status).toBe(101);
    await expect.poll(() => peers).toEqual(['CN=plant-7']);
    channel?.close(1000, '');
  });
});
