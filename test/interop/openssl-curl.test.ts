/**
 * Real openssl and curl against the real gateway: keys and certificates made elsewhere, every key type we issue, and what a
 * TLS client may not have. A missing tool fails in CI and is skipped loudly elsewhere.
 */
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunningGateway } from '../fixtures/running-gateway.ts';

const run = promisify(execFile);
const LAUNCHER = new URL('../../src/launch.mjs', import.meta.url).pathname;
const missing = ['openssl', 'curl'].filter((tool) => spawnSync(tool, ['version']).error !== undefined);
if (missing.length > 0) {
  if (process.env.CI) throw new Error(`missing: ${missing.join(', ')}`);
  console.warn(`SKIPPED: ${missing.join(', ')} not installed`);
}

let gateway: RunningGateway;
let scratch: string;
const at = (name: string) => join(scratch, name);
const openssl = (...args: string[]) =>
  execFileSync('openssl', args, { cwd: scratch, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });

async function sallyport(...args: string[]): Promise<{ code: number; out: string }> {
  try {
    const { stdout } = await run(process.execPath, [LAUNCHER, '-C', gateway.directory, ...args, '--json'], {
      encoding: 'utf8',
    });
    return { code: 0, out: stdout };
  } catch (thrown) {
    const { code, stdout } = thrown as { code: number; stdout: string };
    return { code, out: stdout };
  }
}

async function curl(certificate: string, key: string, ...more: string[]): Promise<string> {
  const ca = join(gateway.directory, 'ca', 'cert.pem');
  const url = `https://localhost:${gateway.port}/v1/telemetry`;
  const tls = ['--cacert', ca, '--cert', certificate, '--key', key];
  const body = ['-H', 'content-type: application/json', '-d', '{"temperature":1}'];
  try {
    const { stdout } = await run('curl', [
      '-sS',
      '--max-time',
      '10',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      ...tls,
      ...body,
      ...more,
      url,
    ]);
    return stdout;
  } catch (thrown) {
    return `curl ${(thrown as { code: number }).code}`;
  }
}

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'sallyport-openssl-'));
  gateway = await RunningGateway.open();
});
afterAll(async () => {
  await gateway?.remove();
  rmSync(scratch, { recursive: true, force: true });
});

describe.skipIf(missing.length > 0)('identities', () => {
  it.each(['p256', 'p384', 'ed25519', 'rsa2048'])('a device with a %s key may come', async (type) => {
    expect(await sallyport('device', 'add', `key-${type}`, '--segment', 'sensors', '--key-type', type)).toMatchObject({
      code: 0,
    });
    const folder = join(gateway.directory, 'devices', `key-${type}`);
    expect(
      openssl('verify', '-CAfile', join(folder, 'ca.pem'), '-purpose', 'sslclient', join(folder, 'cert.pem')),
    ).toContain('OK');
    expect(await curl(join(folder, 'cert.pem'), join(folder, 'key.pem'))).toBe('200');
  });

  it('a device that made its own key has its request signed, and nothing it asked for in there counts', async () => {
    openssl(
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'own.key',
      '-out',
      'own.csr',
      '-subj',
      '/CN=admin',
      '-addext',
      'subjectAltName=URI:urn:sallyport:device:thermo-1',
    );
    expect(await sallyport('device', 'add', 'own-key', '--segment', 'sensors', '--csr', at('own.csr'))).toMatchObject({
      code: 0,
    });
    const certificate = join(gateway.directory, 'devices', 'own-key', 'cert.pem');
    expect(openssl('x509', '-in', certificate, '-noout', '-ext', 'subjectAltName')).toContain(
      'urn:sallyport:device:own-key',
    );
    expect(openssl('x509', '-in', certificate, '-noout', '-ext', 'subjectAltName')).not.toContain('thermo-1');
    expect(await curl(certificate, at('own.key'))).toBe('200');
  });

  it('a certificate issued elsewhere is accepted with its issuer, by the running gateway, and only for its own key', async () => {
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'factory.key',
      '-out',
      'factory.pem',
      '-subj',
      '/CN=Factory',
      '-days',
      '30',
      '-addext',
      'basicConstraints=critical,CA:TRUE',
    );
    for (const name of ['made', 'stranger', 'server']) {
      const usage = name === 'server' ? 'serverAuth' : 'clientAuth';
      writeFileSync(
        at(`${name}.ext`),
        `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=${usage}\nsubjectAltName=URI:urn:factory:${name}\n`,
      );
      openssl(
        'req',
        '-new',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.csr`,
        '-subj',
        `/CN=${name}`,
      );
      openssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'factory.pem',
        '-CAkey',
        'factory.key',
        '-CAcreateserial',
        '-days',
        '20',
        '-extfile',
        `${name}.ext`,
        '-out',
        `${name}.pem`,
      );
    }
    const without = await sallyport('device', 'add', 'made', '--segment', 'sensors', '--certificate', at('made.pem'));
    expect(without.code).toBe(2);
    expect(without.out).toContain('--issuer');
    expect(await curl(at('made.pem'), at('made.key'))).toMatch(/^curl /);
    expect(
      await sallyport(
        'device',
        'add',
        'made',
        '--segment',
        'sensors',
        '--certificate',
        at('made.pem'),
        '--issuer',
        at('factory.pem'),
      ),
    ).toMatchObject({ code: 0 });
    expect(await curl(at('made.pem'), at('made.key'))).toBe('200');
    // The same factory's other children are not registered: trusted to shake hands, and nothing more.
    expect(await curl(at('stranger.pem'), at('stranger.key'))).toMatch(/^curl /);
    const server = await sallyport(
      'device',
      'add',
      'server',
      '--segment',
      'sensors',
      '--certificate',
      at('server.pem'),
    );
    expect(server.code).toBe(2);
    expect(server.out).toContain('clientAuth');
    // Two devices with one key: refused.
    expect(
      await sallyport('device', 'add', 'twin', '--segment', 'sensors', '--certificate', at('made.pem')),
    ).toMatchObject({ code: 1 });
  });
});

describe.skipIf(missing.length > 0)('TLS', () => {
  const handshake = (...args: string[]) => {
    const { cert, key } = gateway.devices.get('thermo-1') as { cert: string; key: string };
    writeFileSync(at('t.pem'), cert);
    writeFileSync(at('t.key'), key, { mode: 0o600 });
    const { stdout, stderr } = spawnSync(
      'openssl',
      [
        's_client',
        '-connect',
        `127.0.0.1:${gateway.port}`,
        '-servername',
        'localhost',
        '-CAfile',
        join(gateway.directory, 'ca', 'cert.pem'),
        ...args,
      ],
      {
        input: 'GET /admin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
        encoding: 'utf8',
        timeout: 15_000,
      },
    );
    return stdout + stderr;
  };
  const mine = () => ['-cert', at('t.pem'), '-key', at('t.key'), '-ign_eof'];

  it.each([
    ['TLS 1.3', ['-tls1_3']],
    ['TLS 1.2 with ECDHE and AES-GCM', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256']],
    ['TLS 1.2 with ECDHE and ChaCha20', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305']],
  ])('%s is spoken', (_, args) => {
    handshake(...mine());
    expect(handshake(...mine(), ...args)).toContain('HTTP/1.1 403');
  });

  it.each([
    ['TLS 1.1', ['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0']],
    ['CBC', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA256']],
    ['RSA key exchange', ['-tls1_2', '-cipher', 'AES128-GCM-SHA256']],
    ['AES-CCM with short tags', ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-CCM8']],
  ])('%s is not', (_, args) => {
    expect(handshake(...mine(), ...args)).not.toContain('HTTP/1.1');
  });

  it('without a certificate there is no answer, and no word of HTTP', () => {
    expect(handshake('-ign_eof')).not.toContain('HTTP/1.1');
    expect(handshake('-tls1_2', '-ign_eof')).not.toContain('HTTP/1.1');
  });

  it('renegotiation is refused', () => {
    const { stdout, stderr } = spawnSync(
      'openssl',
      ['s_client', '-connect', `127.0.0.1:${gateway.port}`, '-tls1_2', '-cert', at('t.pem'), '-key', at('t.key')],
      { input: 'R\n', encoding: 'utf8', timeout: 15_000 },
    );
    expect(stdout + stderr).toMatch(/no renegotiation|handshake failure|unexpected eof|reset|errno/i);
    expect(readFileSync(at('t.pem'), 'utf8')).toContain('CERTIFICATE');
  });
});
