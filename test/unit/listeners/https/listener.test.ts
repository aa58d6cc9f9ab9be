/** Who gets past the handshake: certificates, caps, resumption, versions. Whoever does not is counted exactly once. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Fault } from '../../../../src/faults/fault.ts';
import { CLIENT_AUTH, type Issued, issue } from '../../upstreams/certificates.ts';
import {
  type ClientOptions,
  device,
  issuePapers,
  type RawClient,
  request,
  type Stage,
  startStage,
  until,
  type Wish,
} from './stage.ts';

let stage: Stage;
const on = async (wish?: Wish): Promise<Stage> => {
  stage = await startStage(wish);
  return stage;
};
afterEach(() => stage.close());

const showing = ({ pem, keyPem }: Issued): ClientOptions => ({ cert: pem, key: keyPem });

const chain = (...links: Issued[]): string => links.map(({ pem }) => pem).join('\n');

/** True if a request is answered on such a connection. */
async function served(options?: ClientOptions): Promise<boolean> {
  try {
    const client = await stage.client(options);
    await client.ask(request('GET', '/'));
    client.socket.destroy();
    return true;
  } catch {
    return false;
  }
}

describe('a certificate', () => {
  it('is demanded, and one of a known authority', async () => {
    await on();
    const foreigner = await issue({ name: 'thermo-1', usages: [CLIENT_AUTH] });
    const impostor = await device(await issue({ name: 'devices', ca: true }));
    const expired = await issue({ name: 'old', issuer: stage.papers.authority, to: -0.5, usages: [CLIENT_AUTH] });
    for (const options of [{ cert: undefined, key: undefined }, ...[foreigner, impostor, expired].map(showing)]) {
      expect(await served(options as ClientOptions)).toBe(false);
    }
    await until(() => stage.drops.length === 4);
    expect(stage.drops).toEqual(Array(4).fill('handshake-failed'));
    expect(await served()).toBe(true);
    expect(stage.seen).toHaveLength(1);
  });

  it('that the registry does not admit ends the connection before HTTP', async () => {
    await on({ admit: () => 'device-disabled' });
    const client = await stage.client();
    expect(await client.send(request('GET', '/')).toEnd()).toBe('');
    expect(stage.drops).toEqual(['identity-refused']);
    expect(stage.sessions.size).toBe(0);
    expect(stage.seen).toEqual([]);
  });

  it('that cannot be read ends the connection', async () => {
    await on({
      listener: {
        peerOf: () => {
          throw new Fault('SP_CERTIFICATE_INVALID');
        },
      },
    });
    expect(await served()).toBe(false);
    expect(stage.drops).toEqual(['identity-refused']);
  });

  it('whose session was closed while it was registered is not served', async () => {
    await on({ attend: (session) => session.close('revoked') });
    expect(await served()).toBe(false);
    expect(stage.drops).toEqual(['revoked']);
  });

  it('at the end of too long a chain is refused', async () => {
    await on({ limits: { certificateChain: 2 } });
    const first = await issue({ name: 'first', issuer: stage.papers.authority, ca: true });
    const second = await issue({ name: 'second', issuer: first, ca: true });
    const short = await device(first);
    const long = await device(second);
    expect(await served({ cert: chain(short, first), key: short.keyPem })).toBe(true);
    expect(await served({ cert: chain(long, second, first), key: long.keyPem })).toBe(false);
    // Certificates that are not of the chain count as well.
    const { device: leaf, server } = stage.papers;
    expect(await served({ cert: chain(leaf, server, first), key: leaf.keyPem })).toBe(false);
    expect(stage.drops).toEqual(['identity-refused', 'identity-refused']);
  });
});

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('resumption in %s', (version) => {
  const only = { minVersion: version, maxVersion: version };

  async function session(): Promise<Buffer> {
    const client = await stage.client(only);
    await client.ask(request('GET', '/'));
    await until(() => client.session !== undefined);
    client.socket.destroy();
    return client.session as Buffer;
  }

  it('brings the certificate along, and is admitted anew', async () => {
    let admitted: 'device-disabled' | undefined;
    const keys: string[] = [];
    await on({
      admit: ({ key }) => {
        keys.push(key);
        return admitted;
      },
    });
    const ticket = await session();
    const again = await stage.client({ ...only, session: ticket });
    expect(again.socket.isSessionReused()).toBe(true);
    expect((await again.ask(request('GET', '/'))).status).toBe(200);
    expect(keys).toEqual([stage.papers.device.key, stage.papers.device.key]);
    expect(stage.seen.map(({ arrival }) => arrival.peer.key)).toEqual(keys);

    admitted = 'device-disabled';
    const refused = await stage.client({ ...only, session: ticket });
    expect(refused.socket.isSessionReused()).toBe(true);
    expect(await refused.send(request('GET', '/')).toEnd()).toBe('');
    expect(keys).toHaveLength(3);
    expect(stage.seen).toHaveLength(2);
  });

  it('ends with the authorities it began under', async () => {
    await on();
    const ticket = await session();
    const { server, authority, device: old } = stage.papers;
    const other = await issue({ name: 'others', ca: true });
    stage.listener.setSecureContext({
      certificate: server.pem,
      key: server.keyPem,
      clientAuthorities: [authority.pem, other.pem],
    });
    const again = await stage.client({ ...only, session: ticket });
    expect(again.socket.isSessionReused()).toBe(false);
    stage.listener.setSecureContext({ certificate: server.pem, key: server.keyPem, clientAuthorities: [other.pem] });
    expect(await served({ ...only, session: ticket })).toBe(false);
    expect(await served({ ...only, ...showing(old) })).toBe(false);
    expect(await served({ ...only, ...showing(await device(other)) })).toBe(true);
    // An open connection is the session index's to end.
    expect((await again.ask(request('GET', '/'))).status).toBe(200);
  });
});

describe('new TLS material', () => {
  it('that cannot be used changes nothing', async () => {
    await on();
    const { server, device: other } = stage.papers;
    expect(() =>
      stage.listener.setSecureContext({ certificate: server.pem, key: other.keyPem, clientAuthorities: [] }),
    ).toThrow(expect.objectContaining({ code: 'SP_CERTIFICATE_INVALID' }));
    expect(await served()).toBe(true);
  });

  it('without authorities lets nobody in', async () => {
    await on();
    const { server } = stage.papers;
    stage.listener.setSecureContext({ certificate: server.pem, key: server.keyPem, clientAuthorities: [] });
    expect(await served()).toBe(false);
  });
});

describe('caps', () => {
  const open = async (count: number, options?: ClientOptions): Promise<RawClient[]> => {
    const clients: RawClient[] = [];
    for (let at = 0; at < count; at += 1) clients.push(await stage.client(options));
    return clients;
  };

  it('per device count every connection under its key, and give room again', async () => {
    await on({ limits: { connectionsPerDevice: 2 } });
    const clients = await open(2);
    const third = await stage.client();
    await third.toEnd();
    expect(stage.drops).toEqual(['identity-cap']);
    expect(await served(showing(await device(stage.papers.authority, 'camera-2')))).toBe(true);
    clients[0]?.socket.destroy();
    await until(() => stage.listener.connections === 1);
    expect(await served()).toBe(true);
  });

  it('per address and in all hold before a single octet of TLS', async () => {
    await on({ limits: { connectionsPerAddress: 3 } });
    await open(2);
    const silent = connectTcp(stage.port, '127.0.0.1').on('error', () => {});
    await until(() => stage.listener.connections === 3);
    await expect(stage.client()).rejects.toThrow();
    expect(stage.drops).toEqual(['address-cap']);
    // Somebody else's address is somebody else's.
    expect(await served({ localAddress: '127.0.0.2' })).toBe(true);
    silent.destroy();
    await until(() => stage.listener.connections === 2);
    expect(await served()).toBe(true);
  });

  it('in all', async () => {
    await on({ limits: { connections: 2 } });
    await open(2);
    await expect(stage.client({ localAddress: '127.0.0.2' })).rejects.toThrow();
    expect(stage.drops).toEqual(['connection-cap']);
  });
});

describe('TLS', () => {
  it.each([
    ['version 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }],
    ['CBC', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }],
    ['HTTP/2 only', { ALPNProtocols: ['h2'] }],
  ] as const)('with %s is refused', async (_, options) => {
    await on();
    expect(await served(options as ClientOptions)).toBe(false);
    await until(() => stage.drops.length === 1);
    expect(stage.drops).toEqual(['handshake-failed']);
  });

  it('renegotiation ends the connection', async () => {
    await on();
    const folder = mkdtempSync(join(tmpdir(), 'renegotiation-'));
    try {
      const { device: own } = await issuePapers();
      writeFileSync(join(folder, 'cert.pem'), own.pem);
      writeFileSync(join(folder, 'key.pem'), own.keyPem);
      const files = ['-cert', join(folder, 'cert.pem'), '-key', join(folder, 'key.pem')];
      const output = await new Promise<string>((resolve) => {
        const child = execFile(
          'openssl',
          ['s_client', '-connect', `127.0.0.1:${stage.port}`, '-tls1_2', ...files],
          { timeout: 10_000 },
          (_error, stdout, stderr) => resolve(stdout + stderr),
        );
        setTimeout(() => child.stdin?.write('R\n'), 500);
        setTimeout(() => child.stdin?.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 1_000);
      });
      expect(output).toContain('RENEGOTIATING');
      expect(output).not.toContain('HTTP/1.1 200');
      expect(stage.seen).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('an address that cannot be used is the operator’s fault', async () => {
    await on();
    await expect(startStage({ listener: { address: { host: '127.0.0.1', port: stage.port } } })).rejects.toMatchObject({
      code: 'SP_GATEWAY_LISTEN',
    });
  });
});
