/** The library over real sockets: both doors, revocation, what a caller's mistake does, and datagrams that reach the wrong worker. */
import { createSocket } from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, listen } from '../../../src/dtls/endpoint.ts';
import type { DtlsEndpoint, DtlsSession, PeerAddress, ServerOptions } from '../../../src/dtls/options.ts';
import { KEY, pskClient, pskServer } from './pair.ts';

const open: DtlsEndpoint[] = [];

afterEach(async () => {
  for (const endpoint of open.splice(0)) await endpoint.close();
});

async function serve(
  options: Partial<ServerOptions & Parameters<typeof listen>[1]> = {},
  onSession?: (session: DtlsSession) => void,
) {
  const endpoint = await listen(
    (session) => {
      session.onmessage = (data) => void session.send(data);
      onSession?.(session);
    },
    { host: '127.0.0.1', ...pskServer, ...options },
  );
  open.push(endpoint);
  return endpoint;
}

function reply(session: DtlsSession, text: string): Promise<string> {
  return new Promise((resolve) => {
    session.onmessage = (data) => resolve(new TextDecoder().decode(data));
    session.send(new TextEncoder().encode(text));
  });
}

describe('endpoint', () => {
  it('echoes, with an asynchronous key and an asynchronous authorization', async () => {
    const endpoint = await serve({
      psk: async (identity) => (identity === 'probe-7' ? KEY : undefined),
      authorize: async () => ({ allowed: true, principal: 'probe-7', attachment: 42 }),
    });
    const session = await connect('127.0.0.1', endpoint.address.port, pskClient);
    expect(await reply(session, 'hello')).toBe('hello');
    expect(endpoint.size).toBe(1);
    session.close();
    expect(await session.closed).toBe('local-close');
    expect(session.send(KEY)).toBe('closed');
  });

  it('an open association ends within the call that revokes its principal', async () => {
    const seen: DtlsSession[] = [];
    const endpoint = await serve({ connectionId: { length: 8 } }, (session) => seen.push(session));
    const session = await connect('127.0.0.1', endpoint.address.port, { ...pskClient, connectionId: { length: 4 } });
    expect([seen[0]?.principal, seen[0]?.hasConnectionId]).toEqual(['probe-7', true]);
    expect(endpoint.revoke('probe-7')).toBe(1);
    expect([endpoint.size, seen[0]?.state]).toEqual([0, 'closed']);
    expect(await session.closed).toBe('peer-alert');
  });

  it('a wrong key is refused with its reason, and a caller’s mistake before any packet', async () => {
    const endpoint = await serve({ limits: { retransmitFirstMs: 50, unauthenticAlertGraceMs: 100 } });
    const limits = { retransmitFirstMs: 50, unauthenticAlertGraceMs: 100 };
    const wrong = connect('127.0.0.1', endpoint.address.port, {
      pskIdentity: 'probe-7',
      pskKey: new Uint8Array(9),
      limits,
    });
    await expect(wrong).rejects.toMatchObject({ code: 'peer-alert' });
    await expect(connect('127.0.0.1', 1, { pskIdentity: 'x' })).rejects.toMatchObject({ code: 'option-invalid' });
    await expect(connect('127.0.0.1', 1, {})).rejects.toMatchObject({ code: 'option-invalid' });
    await expect(listen(() => {}, {})).rejects.toMatchObject({ code: 'option-invalid' });
    await expect(listen(() => {}, { cert: 'x', key: 'y' })).rejects.toMatchObject({ code: 'key-unreadable' });
    await expect(listen(() => {}, { ...pskServer, requestCert: true })).rejects.toMatchObject({
      code: 'option-invalid',
    });
    await expect(listen(() => {}, { ...pskServer, cookieSecret: new Uint8Array(8) })).rejects.toMatchObject({
      code: 'option-invalid',
    });
  });

  it('while busy new handshakes meet silence, open associations go on', async () => {
    const endpoint = await serve();
    const session = await connect('127.0.0.1', endpoint.address.port, pskClient);
    endpoint.busy = true;
    const limits = { handshakeDeadlineMs: 300 };
    await expect(connect('127.0.0.1', endpoint.address.port, { ...pskClient, limits })).rejects.toMatchObject({
      code: 'handshake-deadline',
    });
    expect(await reply(session, 'still here')).toBe('still here');
    session.close();
  });

  it('a device that moved reaches the wrong worker: the datagram is handed over by its Connection ID', async () => {
    const secrets = { cookieSecret: new Uint8Array(32).fill(1), ticketSecret: new Uint8Array(32).fill(2) };
    const handed: [number, number][] = [];
    const workers = new Map<number, DtlsEndpoint>();
    for (const worker of [0, 1]) {
      const endpoint = await serve({
        ...secrets,
        connectionId: { length: 8, worker },
        onForeignDatagram: (owner: number, datagram: Uint8Array, from: PeerAddress) => {
          handed.push([worker, owner]);
          workers.get(owner)?.take(datagram, from);
        },
      });
      workers.set(worker, endpoint);
    }
    const [zero, one] = [workers.get(0) as DtlsEndpoint, workers.get(1) as DtlsEndpoint];
    // Between device and worker 0 until `astray`: then everything the device says goes to worker 1 from another port.
    let astray = false;
    let device: PeerAddress | undefined;
    const [front, back, moved] = [createSocket('udp4'), createSocket('udp4'), createSocket('udp4')];
    for (const socket of [front, back, moved])
      await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    front.on('message', (datagram, from) => {
      device = from;
      if (astray) moved.send(datagram, one.address.port, '127.0.0.1');
      else back.send(datagram, zero.address.port, '127.0.0.1');
    });
    for (const socket of [back, moved]) {
      socket.on('message', (datagram) => device && front.send(datagram, device.port, device.address));
    }
    const session = await connect('127.0.0.1', front.address().port, { ...pskClient, connectionId: { length: 4 } });
    expect(await reply(session, 'before')).toBe('before');
    astray = true;
    expect(await reply(session, 'after')).toBe('after');
    expect(handed[0]).toEqual([1, 0]);
    expect([zero.size, one.size]).toEqual([1, 0]);
    session.close();
    for (const socket of [front, back, moved]) socket.close();
  });
});
