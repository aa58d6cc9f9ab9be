/**
 * pion (Go) against ours, both directions: PSK and certificates, and Connection IDs with a source port that moves, which no
 * packaged command line peer has. Without Go the tests are a loud skip, in CI a failure.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, listen } from '../../src/dtls/endpoint.ts';
import type { ClientOptions, DtlsEndpoint, DtlsSession, ServerOptions, SuiteName } from '../../src/dtls/options.ts';
import { createAuthority, judgeBy, nameOf } from '../unit/dtls/credentials.ts';

const hasGo = spawnSync('go', ['version']).error === undefined;
if (!hasGo) {
  if (process.env.CI) throw new Error('missing: go');
  console.warn('SKIPPED: go is not installed');
}

const PSK = new TextEncoder().encode('secretPSK');
const running = new Set<ChildProcessWithoutNullStreams>();
let endpoint: DtlsEndpoint | undefined;
let scratch: string;
let files: string[];
let serverOptions: ServerOptions;
let clientOptions: ClientOptions;

beforeAll(async () => {
  if (!hasGo) return;
  scratch = mkdtempSync(join(tmpdir(), 'dtls-pion-'));
  const built = spawnSync('go', ['build', '-o', join(scratch, 'pion'), '.'], {
    cwd: new URL('./dtls-pion', import.meta.url).pathname,
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(built.stderr);
  const authority = await createAuthority('Test CA');
  const server = await authority.issue('localhost', { purpose: 'server' });
  const device = await authority.issue('probe-7', { purpose: 'client' });
  writeFileSync(join(scratch, 'ca.pem'), authority.cert);
  for (const [name, one] of Object.entries({ server, device })) {
    writeFileSync(join(scratch, `${name}.pem`), one.cert);
    writeFileSync(join(scratch, `${name}.key`), one.key);
  }
  files = ['ca.pem', 'device.pem', 'device.key'].map((name) => join(scratch, name));
  const verifyPeer = judgeBy(authority);
  serverOptions = {
    ...server,
    verifyPeer,
    psk: (identity) => (identity === 'Client_identity' ? PSK : undefined),
    authorize: (peer) => ({
      allowed: true,
      principal: peer.kind === 'certificate' ? nameOf(peer.chain[0] as Uint8Array) : 'psk',
    }),
    isStillAllowed: () => true,
  };
  clientOptions = { ...device, verifyPeer, servername: 'localhost' };
}, 300_000);

afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  await endpoint?.close();
  endpoint = undefined;
});

afterAll(() => hasGo && rmSync(scratch, { recursive: true, force: true }));

async function serve(
  options: Partial<ServerOptions>,
  onSession?: (session: DtlsSession) => void,
): Promise<{ sessions: DtlsSession[]; address: string }> {
  const sessions: DtlsSession[] = [];
  endpoint = await listen(
    (session) => {
      sessions.push(session);
      session.onmessage = (data) => void session.send(Buffer.concat([Buffer.from('ours '), data]));
      onSession?.(session);
    },
    { host: '127.0.0.1', ...serverOptions, ...options },
  );
  return { sessions, address: `127.0.0.1:${endpoint.address.port}` };
}

async function pion(args: string[]): Promise<string> {
  const child = spawn(join(scratch, 'pion'), args);
  running.add(child);
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  await new Promise((resolve) => child.on('close', resolve));
  return out;
}

describe.skipIf(!hasGo)('pion client', () => {
  it.each(['TLS_PSK_WITH_AES_128_CCM_8', 'TLS_PSK_WITH_AES_128_CCM', 'TLS_PSK_WITH_AES_128_GCM_SHA256'] as const)(
    '%s',
    async (suite) => {
      const { sessions, address } = await serve({});
      expect(await pion(['client', address, 'psk', suite, '-1', 'stay'])).toBe('heard ours hello\n');
      expect(sessions[0]).toMatchObject({ cipher: suite, principal: 'psk' });
    },
  );

  it.each([
    'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
    'TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8',
    'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
  ] as const)('mutual certificates, %s', async (suite) => {
    const { sessions, address } = await serve({ suites: [suite], limits: { mtuBytes: 256 } });
    expect(await pion(['client', address, 'cert', suite, '-1', 'stay', ...files])).toBe('heard ours hello\n');
    expect(sessions[0]).toMatchObject({ cipher: suite, principal: 'probe-7' });
  });

  it.each([0, 4, 8])('Connection ID (its own of %d bytes), and its port moves', async (length) => {
    const suite = 'TLS_PSK_WITH_AES_128_CCM_8';
    const moves: [number, number][] = [];
    const { sessions, address } = await serve({ connectionId: { length: 8 } }, (session) => {
      session.onpathchange = (from, to) => moves.push([from.port, to.port]);
      // What a CoAP layer does when the peer answers at its new address.
      const { onmessage } = session;
      session.onmessage = (data) => {
        onmessage?.(data);
        if (Buffer.from(data).toString() === 'again') session.confirmPath();
      };
    });
    const out = await pion(['client', address, 'psk', suite, `${length}`, 'rebind']);
    expect(out).toBe('heard ours hello\nheard ours moved\nheard ours again\n');
    expect(sessions).toHaveLength(1);
    expect(sessions[0]?.hasConnectionId).toBe(true);
    expect(moves).toHaveLength(1);
  });
});

describe.skipIf(!hasGo)('pion server', () => {
  async function start(args: string[]): Promise<number> {
    const child = spawn(join(scratch, 'pion'), ['server', ...args]);
    running.add(child);
    return new Promise((resolve) =>
      child.stdout.on('data', (chunk: Buffer) => {
        const port = /port (\d+)/.exec(chunk.toString())?.[1];
        if (port !== undefined) resolve(Number(port));
      }),
    );
  }

  async function talk(session: DtlsSession): Promise<string> {
    const heard = new Promise<string>((resolve) => {
      session.onmessage = (data) => resolve(Buffer.from(data).toString());
    });
    session.send(new TextEncoder().encode('hello'));
    const text = await heard;
    session.close();
    return text;
  }

  it.each([-1, 0, 8])('PSK, its Connection ID of %d bytes', async (length) => {
    const suites: SuiteName[] = ['TLS_PSK_WITH_AES_128_CCM_8'];
    const port = await start(['psk', 'TLS_PSK_WITH_AES_128_CCM_8', `${length}`]);
    const session = await connect('127.0.0.1', port, {
      suites,
      pskIdentity: 'Client_identity',
      pskKey: PSK,
      connectionId: { length: 5 },
    });
    expect(session.hasConnectionId).toBe(length >= 0);
    expect(await talk(session)).toBe('pion hello');
  });

  it('mutual certificates', async () => {
    const suite = 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256';
    const own = ['ca.pem', 'server.pem', 'server.key'].map((name) => join(scratch, name));
    const port = await start(['cert', suite, '-1', ...own]);
    expect(await talk(await connect('127.0.0.1', port, clientOptions))).toBe('pion hello');
  });
});
