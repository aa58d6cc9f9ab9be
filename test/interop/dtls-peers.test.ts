/**
 * Other people's DTLS against ours, both directions: OpenSSL, GnuTLS and libcoap (one binary per TLS library). A missing tool
 * fails in CI and is skipped loudly elsewhere. No peer here speaks Connection IDs or RFC 8442; those rest on vectors and our client.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, listen } from '../../src/dtls/endpoint.ts';
import type { DtlsEndpoint, DtlsSession, ServerOptions } from '../../src/dtls/options.ts';
import { createAuthority, judgeBy, nameOf, type TestAuthority, type TestCredential } from '../unit/dtls/credentials.ts';

const TOOLS = [
  'openssl',
  'gnutls-cli',
  'gnutls-serv',
  'coap-client-openssl',
  'coap-client-gnutls',
  'coap-server-gnutls',
];
const missing = new Set(TOOLS.filter((tool) => spawnSync('which', [tool]).status !== 0));
if (missing.size > 0) {
  if (process.env.CI) throw new Error(`missing: ${[...missing].join(', ')}`);
  console.warn(`SKIPPED: ${[...missing].join(', ')} not installed`);
}
const needs = (...tools: string[]) => it.skipIf(tools.some((tool) => missing.has(tool)));

const PSK = new TextEncoder().encode('secretPSK');
const PSK_HEX = Buffer.from(PSK).toString('hex');
const running = new Set<ChildProcessWithoutNullStreams>();
const endpoints = new Set<DtlsEndpoint>();
let scratch: string;
let authority: TestAuthority;
let server: TestCredential;
let device: TestCredential;
let stranger: TestCredential;
const at = (name: string) => join(scratch, name);

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'dtls-interop-'));
  authority = await createAuthority('Test CA');
  server = await authority.issue('localhost', { purpose: 'server' });
  device = await authority.issue('probe-7', { purpose: 'client' });
  stranger = await (await createAuthority('Other CA')).issue('probe-7', { purpose: 'client' });
  writeFileSync(at('ca.pem'), authority.cert);
  for (const [name, one] of Object.entries({ server, device, stranger })) {
    writeFileSync(at(`${name}.pem`), one.cert);
    writeFileSync(at(`${name}.key`), one.key);
    writeFileSync(at(`${name}-both.pem`), one.cert + one.key);
  }
  for (const name of ['server', 'device']) {
    execFileSync('openssl', ['pkey', '-in', at(`${name}.key`), '-pubout', '-out', at(`${name}.pub`)]);
    execFileSync('openssl', ['ec', '-in', at(`${name}.key`), '-out', at(`${name}.ec`)], { stdio: 'ignore' });
  }
});

afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  for (const endpoint of endpoints) await endpoint.close();
  endpoints.clear();
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Our server; echoes in capitals, so that an answer is not an echo of the tool's own. */
async function serve(options: Partial<ServerOptions> = {}): Promise<{ port: number; sessions: DtlsSession[] }> {
  const sessions: DtlsSession[] = [];
  const endpoint = await listen(
    (session) => {
      sessions.push(session);
      session.onmessage = (data) => void session.send(answerTo(data));
    },
    {
      host: '127.0.0.1',
      psk: async (identity) => (identity === 'Client_identity' ? PSK : undefined),
      authorize: (peer) => {
        if (peer.kind === 'psk') return { allowed: true, principal: peer.identity };
        if (peer.kind === 'certificate') return { allowed: true, principal: nameOf(peer.chain[0] as Uint8Array) };
        return { allowed: peer.kind === 'raw-public-key', principal: 'raw', reason: 'nobody' };
      },
      isStillAllowed: () => true,
      ...options,
    },
  );
  endpoints.add(endpoint);
  return { port: endpoint.address.port, sessions };
}

const withCertificates = (): Partial<ServerOptions> => ({ ...server, verifyPeer: judgeBy(authority) });

/** CoAP confirmable GET (0x40 | tkl) gets 2.05 "sallyport"; anything else comes back in capitals. */
function answerTo(data: Uint8Array): Uint8Array {
  const first = data[0] ?? 0;
  if (first >> 6 === 1 && (first & 0x30) === 0) {
    const token = data.subarray(4, 4 + (first & 15));
    return Buffer.concat([
      Buffer.from([0x60 | (first & 15), 0x45, data[2] ?? 0, data[3] ?? 0]),
      token,
      Buffer.from('\xffsallyport', 'latin1'),
    ]);
  }
  return Buffer.from(Buffer.from(data).toString('latin1').toUpperCase(), 'latin1');
}

interface Ran {
  readonly out: string;
  readonly code: number | null;
}

/** Runs a client program; types `say` and stops it when the output has `until`. */
async function run(command: string, args: string[], say?: string, until?: string, timeoutMs = 15_000): Promise<Ran> {
  const child = spawn(command, args);
  running.add(child);
  let out = '';
  if (say !== undefined) child.stdin.write(say);
  const done = new Promise<number | null>((resolve) => child.on('close', resolve));
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const take = (chunk: Buffer) => {
    out += chunk.toString('latin1');
    if (until !== undefined && out.includes(until)) child.stdin.end();
    if (until !== undefined && out.includes(until)) setTimeout(() => child.kill('SIGTERM'), 100);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const code = await done;
  clearTimeout(timer);
  running.delete(child);
  return { out, code };
}

function sClient(port: number, args: string[], say = 'hello there\n', until = 'HELLO THERE'): Promise<Ran> {
  return run('openssl', ['s_client', '-dtls1_2', '-connect', `127.0.0.1:${port}`, ...args], say, until);
}

const pskArgs = (suite: string) => [
  '-psk',
  PSK_HEX,
  '-psk_identity',
  'Client_identity',
  '-cipher',
  `${suite}@SECLEVEL=0`,
];

describe('openssl s_client', () => {
  needs('openssl').each([
    ['PSK-AES128-CCM8', 'TLS_PSK_WITH_AES_128_CCM_8'],
    ['PSK-AES128-CCM', 'TLS_PSK_WITH_AES_128_CCM'],
    ['PSK-AES128-GCM-SHA256', 'TLS_PSK_WITH_AES_128_GCM_SHA256'],
    ['ECDHE-PSK-CHACHA20-POLY1305', 'TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256'],
  ])('PSK with %s', async (suite, name) => {
    const { port, sessions } = await serve();
    const { out } = await sClient(port, pskArgs(suite));
    expect(out).toContain('HELLO THERE');
    expect(sessions[0]).toMatchObject({ cipher: name, principal: 'Client_identity' });
  });

  needs('openssl').each([
    ['ECDHE-ECDSA-AES128-GCM-SHA256', []],
    ['ECDHE-ECDSA-AES128-CCM', []],
    ['ECDHE-ECDSA-AES128-CCM8', []],
    ['ECDHE-ECDSA-CHACHA20-POLY1305', []],
    ['ECDHE-ECDSA-AES128-GCM-SHA256', ['-mtu', '256']],
    ['ECDHE-ECDSA-AES128-GCM-SHA256', ['-maxfraglen', '512']],
    ['ECDHE-ECDSA-AES128-GCM-SHA256', ['-curves', 'P-256']],
  ] as const)('mutual certificates with %s %j', async (suite, more) => {
    const { port, sessions } = await serve(withCertificates());
    const { out } = await sClient(port, [
      ...['-CAfile', at('ca.pem'), '-cert', at('device.pem'), '-key', at('device.key'), '-verify_return_error'],
      ...['-cipher', `${suite}@SECLEVEL=0`, ...more],
    ]);
    expect(out).toContain('HELLO THERE');
    expect(sessions[0]).toMatchObject({ principal: 'probe-7', peer: { kind: 'certificate' } });
  });

  needs('openssl')('resumes by ticket and by session id, and not after revocation', async () => {
    for (const ticket of [[], ['-no_ticket']]) {
      const { port, sessions } = await serve(withCertificates());
      const args = ['-CAfile', at('ca.pem'), '-cert', at('device.pem'), '-key', at('device.key'), ...ticket];
      await sClient(port, [...args, '-sess_out', at('session.pem')]);
      const { out } = await sClient(port, [...args, '-sess_in', at('session.pem')]);
      expect(out).toContain('Reused, ');
      expect(sessions[1]).toMatchObject({ reused: true, principal: 'probe-7' });
      for (const endpoint of endpoints) if (endpoint.address.port === port) endpoint.revoke('probe-7');
      const again = await sClient(port, [...args, '-sess_in', at('session.pem')]);
      expect(again.out).toContain('New, ');
      expect(sessions[2]?.reused).toBe(false);
    }
  });

  needs('openssl')('a certificate of another authority, and none, never open', async () => {
    const { port, sessions } = await serve(withCertificates());
    const ca = ['-CAfile', at('ca.pem')];
    const foreign = ['-cert', at('stranger.pem'), '-key', at('stranger.key')];
    const cipher = ['-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'];
    // The refusal comes in the clear, before the client has keys to believe it with; OpenSSL shows it.
    expect((await sClient(port, [...ca, ...foreign, ...cipher], '', 'alert')).out).toContain('alert bad certificate');
    expect((await sClient(port, [...ca, ...cipher], '', 'alert')).out).toContain('alert handshake failure');
    expect(sessions).toEqual([]);
  });

  needs('openssl')('a wrong key and an unknown identity end alike', async () => {
    const { port, sessions } = await serve();
    const wrong = ['-psk', '00112233', '-psk_identity', 'Client_identity', '-cipher', 'PSK-AES128-CCM8@SECLEVEL=0'];
    const unknown = ['-psk', PSK_HEX, '-psk_identity', 'nobody', '-cipher', 'PSK-AES128-CCM8@SECLEVEL=0'];
    const [one, other] = await Promise.all([sClient(port, wrong, '', 'alert'), sClient(port, unknown, '', 'alert')]);
    expect(one?.out).toContain('alert decrypt error');
    expect(other?.out).toContain('alert decrypt error');
    expect(sessions).toEqual([]);
  });

  needs('openssl')('the exporter gives both sides the same', async () => {
    const { port, sessions } = await serve();
    const { out } = await sClient(port, [
      ...pskArgs('PSK-AES128-CCM8'),
      '-keymatexport',
      'EXPORTER-test',
      '-keymatexportlen',
      '20',
    ]);
    const theirs = /Keying material: ([0-9A-F]{40})/.exec(out)?.[1];
    const session = sessions[0] as DtlsSession;
    expect(theirs).toBeDefined();
    expect(
      session.state === 'open'
        ? Buffer.from(session.exportKeyingMaterial(20, 'EXPORTER-test')).toString('hex').toUpperCase()
        : theirs,
    ).toBe(theirs);
  });
});

describe('gnutls-cli', () => {
  const gnutls = (port: number, priority: string, args: string[]) =>
    run(
      'gnutls-cli',
      ['--udp', '-p', `${port}`, 'localhost', '--priority', `NORMAL:-VERS-ALL:+VERS-DTLS1.2:${priority}`, ...args],
      'hello there\n',
      'HELLO THERE',
    );

  needs('gnutls-cli').each(['AES-128-CCM-8', 'AES-128-CCM', 'AES-128-GCM'])('PSK with %s', async (cipher) => {
    const { port, sessions } = await serve();
    const psk = ['--pskusername', 'Client_identity', '--pskkey', PSK_HEX];
    const { out } = await gnutls(port, `-KX-ALL:+PSK:-CIPHER-ALL:+${cipher}`, psk);
    expect(out).toContain('HELLO THERE');
    expect(sessions[0]?.principal).toBe('Client_identity');
  });

  needs('gnutls-cli')('mutual certificates', async () => {
    const { port, sessions } = await serve(withCertificates());
    const files = ['--x509certfile', at('device.pem'), '--x509keyfile', at('device.key'), '--x509cafile', at('ca.pem')];
    const { out } = await gnutls(port, '-KX-ALL:+ECDHE-ECDSA', files);
    expect(out).toContain('HELLO THERE');
    expect(sessions[0]?.principal).toBe('probe-7');
  });

  needs('gnutls-cli')('raw public keys on both sides', async () => {
    const { port, sessions } = await serve({
      key: server.key,
      rawPublicKeys: 'require',
      verifyRawPublicKey: () => ({ accepted: true }),
    });
    const files = ['--rawpkfile', at('device.pub'), '--rawpkkeyfile', at('device.key'), '--insecure'];
    const { out } = await gnutls(port, '-KX-ALL:+ECDHE-ECDSA:-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK', files);
    expect(out).toContain('HELLO THERE');
    expect(sessions[0]?.peer.kind).toBe('raw-public-key');
  });
});

describe('libcoap', () => {
  const get = (tool: string, port: number, args: string[]) =>
    run(tool, ['-m', 'get', '-B', '12', ...args, `coaps://127.0.0.1:${port}/x`]);
  const psk = ['-u', 'Client_identity', '-k', 'secretPSK'];

  needs('coap-client-openssl').each(['coap-client-openssl', 'coap-client-gnutls'])('%s with PSK', async (tool) => {
    const { port, sessions } = await serve();
    expect((await get(tool, port, psk)).out).toContain('sallyport');
    expect(sessions[0]?.principal).toBe('Client_identity');
  });

  needs('coap-client-openssl').each(['coap-client-openssl', 'coap-client-gnutls'])(
    '%s with certificates',
    async (tool) => {
      const { port, sessions } = await serve(withCertificates());
      const files = ['-c', at('device.pem'), '-j', at('device.key'), '-C', at('ca.pem')];
      const { out } = await run(tool, ['-m', 'get', '-B', '12', ...files, `coaps://localhost:${port}/x`]);
      expect(out).toContain('sallyport');
      expect(sessions[0]?.principal).toBe('probe-7');
    },
  );

  needs('coap-client-gnutls')('coap-client-gnutls with a raw public key', async () => {
    const { port, sessions } = await serve({
      key: server.key,
      rawPublicKeys: 'require',
      verifyRawPublicKey: () => ({ accepted: true }),
    });
    writeFileSync(at('raw.pem'), `${device.key}`);
    execFileSync('sh', ['-c', `cat ${at('device.ec')} ${at('device.pub')} > ${at('raw.pem')}`]);
    expect((await get('coap-client-gnutls', port, ['-M', at('raw.pem')])).out).toContain('sallyport');
    expect(sessions[0]?.peer.kind).toBe('raw-public-key');
  });

  needs('coap-client-openssl')(
    'with 20 % of its packets lost',
    async () => {
      const { port } = await serve();
      expect((await get('coap-client-openssl', port, [...psk, '-l', '20%', '-B', '25'])).out).toContain('sallyport');
    },
    40_000,
  );
});

/** A free port, for programs that do not tell theirs. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', () => resolve()));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

async function start(command: string, args: string[]): Promise<ChildProcessWithoutNullStreams> {
  const child = spawn(command, args);
  running.add(child);
  await new Promise((resolve) => setTimeout(resolve, 400));
  return child;
}

async function answer(session: DtlsSession, say: string): Promise<string> {
  const heard = new Promise<string>((resolve) => {
    session.onmessage = (data) => resolve(Buffer.from(data).toString('latin1'));
  });
  session.send(Buffer.from(say, 'latin1'));
  return heard;
}

describe('our client', () => {
  needs('openssl')('openssl s_server, mutual certificates, resumption by ticket', async () => {
    const port = await freePort();
    const files = ['-cert', at('server.pem'), '-key', at('server.key'), '-CAfile', at('ca.pem'), '-Verify', '1'];
    const peer = await start('openssl', ['s_server', '-dtls1_2', '-listen', '-accept', `${port}`, '-4', ...files]);
    peer.stdout.on('data', (chunk: Buffer) => {
      if (chunk.includes('ping')) peer.stdin.write('pong\n');
    });
    const options = { ...device, verifyPeer: judgeBy(authority), servername: 'localhost' };
    // s_server stays connected to the port of its first client.
    const own = await freePort();
    const session = await connect('127.0.0.1', port, { ...options, port: own });
    expect(await answer(session, 'ping\n')).toContain('pong');
    const resumable = session.session;
    session.close();
    await session.closed;
    expect(resumable).toBeDefined();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const again = await connect('127.0.0.1', port, {
      ...options,
      ...(resumable ? { session: resumable } : {}),
      port: own,
    });
    expect(again.reused).toBe(true);
    again.close();
  });

  needs('openssl').each(['PSK-AES128-CCM8', 'PSK-AES128-GCM-SHA256', 'ECDHE-PSK-CHACHA20-POLY1305'])(
    'openssl s_server, %s',
    async (suite) => {
      const port = await freePort();
      const psk = ['-psk', PSK_HEX, '-psk_hint', 'hint', '-nocert', '-cipher', `${suite}@SECLEVEL=0`];
      const peer = await start('openssl', ['s_server', '-dtls1_2', '-listen', '-accept', `${port}`, '-4', ...psk]);
      peer.stdout.on('data', (chunk: Buffer) => {
        if (chunk.includes('ping')) peer.stdin.write('pong\n');
      });
      const session = await connect('127.0.0.1', port, { pskIdentity: 'Client_identity', pskKey: PSK });
      expect(await answer(session, 'ping\n')).toContain('pong');
      session.close();
    },
  );

  needs('gnutls-serv')('gnutls-serv, mutual certificates', async () => {
    const port = await freePort();
    const files = ['--x509certfile', at('server.pem'), '--x509keyfile', at('server.key'), '--x509cafile', at('ca.pem')];
    await start('gnutls-serv', ['--udp', '--echo', '-p', `${port}`, '--require-client-cert', ...files]);
    const options = { ...device, verifyPeer: judgeBy(authority), servername: 'localhost' };
    const session = await connect('127.0.0.1', port, options);
    expect(await answer(session, 'ping\n')).toContain('ping');
    session.close();
  });

  needs('coap-server-gnutls')('coap-server-gnutls with PSK', async () => {
    const port = await freePort();
    await start('coap-server-gnutls', ['-A', '127.0.0.1', '-p', `${port - 1}`, '-k', 'secretPSK', '-v', '0']);
    const session = await connect('127.0.0.1', port, { pskIdentity: 'Client_identity', pskKey: PSK });
    // GET /time, confirmable, message id 0x1234.
    const reply = await answer(session, `\x40\x01\x12\x34\xb4time`);
    expect(reply.charCodeAt(1)).toBe(0x45);
    session.close();
  });
});
