/**
 * Scandium (Java, of Californium) as client of our server: the one independent peer with ECDHE_PSK of RFC 8442, and another one
 * with raw public keys, Connection IDs and record_size_limit. Without Java and Maven a loud skip, in CI a failure.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SigningKey } from '../../src/dtls/crypto/sig.ts';
import { listen } from '../../src/dtls/endpoint.ts';
import type { DtlsEndpoint, DtlsSession, ServerOptions } from '../../src/dtls/options.ts';
import { createAuthority } from '../unit/dtls/credentials.ts';

const run = promisify(execFile);
const missing = ['java', 'mvn'].filter((tool) => spawnSync(tool, ['-version']).error !== undefined);
if (missing.length > 0) {
  if (process.env.CI) throw new Error(`missing: ${missing.join(', ')}`);
  console.warn(`SKIPPED: ${missing.join(', ')} not installed`);
}

const PEER = new URL('./dtls-scandium/', import.meta.url).pathname;
let scratch: string;
let classpath: string;
let key: string;
let endpoint: DtlsEndpoint | undefined;

beforeAll(async () => {
  if (missing.length > 0) return;
  scratch = mkdtempSync(join(tmpdir(), 'dtls-scandium-'));
  const file = join(scratch, 'classpath');
  const maven = ['-q', '-B', '-f', join(PEER, 'pom.xml'), 'dependency:build-classpath', `-Dmdep.outputFile=${file}`];
  await run('mvn', maven, { timeout: 250_000 });
  classpath = readFileSync(file, 'utf8');
  await run('javac', ['-cp', classpath, '-d', scratch, join(PEER, 'Peer.java')]);
  key = (await (await createAuthority('Test CA')).issue('server', { purpose: 'server' })).key;
}, 300_000);

afterEach(async () => {
  await endpoint?.close();
  endpoint = undefined;
});
afterAll(() => missing.length === 0 && rmSync(scratch, { recursive: true, force: true }));

async function talk(
  options: Partial<ServerOptions>,
  args: readonly string[],
): Promise<{ out: string; session: DtlsSession | undefined }> {
  let session: DtlsSession | undefined;
  endpoint = await listen(
    (one) => {
      session = one;
      one.onmessage = (data) => void one.send(Buffer.concat([Buffer.from('ours '), data]));
    },
    {
      host: '127.0.0.1',
      psk: (identity) => (identity === 'Client_identity' ? new TextEncoder().encode('secretPSK') : undefined),
      ...options,
    },
  );
  const words = ['-cp', `${classpath}:${scratch}`, 'Peer', `${endpoint.address.port}`, ...args];
  const { stdout } = await run('java', words, { timeout: 60_000 });
  return { out: stdout, session };
}

const HEARD = 'heard ours hello\nheard ours again\n';

describe.skipIf(missing.length > 0)('Scandium', () => {
  it.each([
    'TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256',
    'TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256',
    'TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256',
    'TLS_PSK_WITH_AES_128_CCM_8',
  ])('%s', async (suite) => {
    const { out, session } = await talk({}, ['psk', suite, '-1', '0']);
    expect(out).toContain(HEARD);
    expect(session).toMatchObject({ cipher: suite, peer: { kind: 'psk', name: 'Client_identity' } });
  });

  it('Connection IDs both ways, and record_size_limit', async () => {
    const { out, session } = await talk({ connectionId: { length: 8 } }, [
      'psk',
      'TLS_PSK_WITH_AES_128_CCM_8',
      '6',
      '128',
    ]);
    expect(out).toContain(HEARD);
    expect([session?.hasConnectionId, session?.cipher]).toEqual([true, 'TLS_PSK_WITH_AES_128_CCM_8']);
  });

  it('raw public keys on both sides', async () => {
    const shown: Uint8Array[] = [];
    const { out, session } = await talk(
      {
        key,
        rawPublicKeys: 'require',
        verifyRawPublicKey: (subjectPublicKeyInfo) => {
          shown.push(subjectPublicKeyInfo);
          return { accepted: true };
        },
      },
      ['raw', 'TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8', '-1', '0'],
    );
    expect(out).toContain(HEARD);
    expect(session?.peer.kind).toBe('raw-public-key');
    expect(shown[0]).toHaveLength(new SigningKey(key).subjectPublicKeyInfo.length);
  });
});
