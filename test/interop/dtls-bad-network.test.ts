/**
 * Other people's clients against our server, and our client against theirs, over a network that loses a fifth of all datagrams,
 * doubles and reorders others, in datagrams of 256 bytes. Each runs DTLS_REPEATS times (default 1, the long run is 100).
 */
import { spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, listen } from '../../src/dtls/endpoint.ts';
import type { DtlsEndpoint } from '../../src/dtls/options.ts';
import { randomOf } from '../sim/network.ts';
import { createAuthority, judgeBy, type TestAuthority } from '../unit/dtls/credentials.ts';

const TOOLS = ['openssl', 'gnutls-cli', 'coap-client-openssl', 'coap-client-gnutls'];
const missing = new Set(TOOLS.filter((tool) => spawnSync('which', [tool]).status !== 0));
if (missing.size > 0) {
  if (process.env.CI) throw new Error(`missing: ${[...missing].join(', ')}`);
  console.warn(`SKIPPED: ${[...missing].join(', ')} not installed`);
}

const REPEATS = Number(process.env.DTLS_REPEATS ?? 1);
const PSK = new TextEncoder().encode('secretPSK');
const PSK_HEX = Buffer.from(PSK).toString('hex');
const LOSS = 0.2;
const TWICE = 0.1;
const LATE = 0.2;
let scratch: string;
let authority: TestAuthority;
let endpoint: DtlsEndpoint;
let device: { cert: string; key: string };
const at = (name: string) => join(scratch, name);

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'dtls-network-'));
  authority = await createAuthority('Test CA');
  const server = await authority.issue('localhost', { purpose: 'server' });
  device = await authority.issue('probe-7', { purpose: 'client' });
  writeFileSync(at('ca.pem'), authority.cert);
  writeFileSync(at('device.pem'), device.cert);
  writeFileSync(at('device.key'), device.key);
  endpoint = await listen(
    (session) => {
      session.onmessage = (data) => {
        const text = Buffer.from(data).toString('latin1');
        const isCoap = (data[0] ?? 0) >> 4 === 4;
        const token = data.subarray(4, 4 + ((data[0] ?? 0) & 15));
        const head = Buffer.from([0x60 | token.length, 0x45, data[2] ?? 0, data[3] ?? 0]);
        session.send(
          isCoap
            ? Buffer.concat([head, token, Buffer.from('\xffsallyport', 'latin1')])
            : Buffer.from(text.toUpperCase()),
        );
      };
    },
    {
      host: '127.0.0.1',
      ...server,
      psk: (identity) => (identity === 'Client_identity' ? PSK : undefined),
      verifyPeer: judgeBy(authority),
      isStillAllowed: () => true,
      limits: { mtuBytes: 256, fallbackMtuBytes: 256, retransmitFirstMs: 1_000 },
    },
  );
});

afterAll(async () => {
  await endpoint?.close();
  rmSync(scratch, { recursive: true, force: true });
});

/** A bad network in front of our server. What happens to the n-th datagram is the seed's. */
async function network(seed: number): Promise<{ port: number; close(): void }> {
  const random = randomOf(seed);
  const front = createSocket('udp4');
  const backs = new Map<number, Socket>();
  const travel = (send: () => void) => {
    const copies = random() < TWICE ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (random() < LOSS) continue;
      if (random() < LATE) setTimeout(send, 5 + random() * 60);
      else send();
    }
  };
  let isOpen = true;
  await new Promise<void>((resolve) => front.bind(0, '127.0.0.1', resolve));
  front.on('message', (datagram, from) => {
    let back = backs.get(from.port);
    if (back === undefined) {
      back = createSocket('udp4');
      back.on('message', (answer) => travel(() => isOpen && front.send(answer, from.port, '127.0.0.1')));
      backs.set(from.port, back);
    }
    const through = back;
    travel(() => isOpen && through.send(datagram, endpoint.address.port, '127.0.0.1'));
  });
  return {
    port: front.address().port,
    close: () => {
      isOpen = false;
      front.close();
      for (const back of backs.values()) back.close();
    },
  };
}

/** Runs a client until it has shown `until`; what it says is said again each second, since that may get lost as well. */
function run(command: string, args: string[], say: string | undefined, until: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(command, args);
    let out = '';
    const again = say === undefined ? undefined : setInterval(() => child.stdin.write(say), 1_000);
    // OpenSSL doubles its timer each time: five lost hellos are half a minute.
    const end = setTimeout(() => child.kill('SIGKILL'), 75_000);
    const take = (chunk: Buffer) => {
      out += chunk.toString('latin1');
      if (out.includes(until)) child.kill('SIGKILL');
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.stdin.on('error', () => {});
    child.on('close', () => {
      clearInterval(again);
      clearTimeout(end);
      resolve(out.includes(until));
    });
  });
}

type Client = (port: number) => Promise<boolean>;

/** libcoap's client gives up on a handshake after 5 s, whoever is to blame; a device would try again, and so do we. */
async function coap(tool: string, credentials: string[], host: string): Promise<boolean> {
  const args = ['-m', 'get', '-B', '40', ...credentials, `coaps://${host}/x`];
  for (let i = 0; i < 6; i++) if (await run(tool, args, undefined, 'sallyport')) return true;
  return false;
}

const psk = ['-psk', PSK_HEX, '-psk_identity', 'Client_identity', '-cipher', 'PSK-AES128-CCM8@SECLEVEL=0'];
const own = () => ['-CAfile', at('ca.pem'), '-cert', at('device.pem'), '-key', at('device.key')];
const s_client = (port: number, args: string[]) =>
  run(
    'openssl',
    ['s_client', '-dtls1_2', '-mtu', '256', '-connect', `127.0.0.1:${port}`, ...args],
    'hello there\n',
    'HELLO THERE',
  );
const CLIENTS: Readonly<Record<string, { tool: string; client: Client }>> = {
  'openssl, PSK': { tool: 'openssl', client: (port) => s_client(port, psk) },
  'openssl, certificates': { tool: 'openssl', client: (port) => s_client(port, own()) },
  'gnutls, PSK': {
    tool: 'gnutls-cli',
    client: (port) => {
      const priority = 'NORMAL:-VERS-ALL:+VERS-DTLS1.2:-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-CCM-8';
      const key = ['--pskusername', 'Client_identity', '--pskkey', PSK_HEX];
      const args = ['--udp', '--mtu', '256', '-p', `${port}`, 'localhost', '--priority', priority, ...key];
      return run('gnutls-cli', args, 'hello there\n', 'HELLO THERE');
    },
  },
  'libcoap with OpenSSL, PSK': {
    tool: 'coap-client-openssl',
    client: (port) => coap('coap-client-openssl', ['-u', 'Client_identity', '-k', 'secretPSK'], `127.0.0.1:${port}`),
  },
  'libcoap with GnuTLS, certificates': {
    tool: 'coap-client-gnutls',
    client: (port) => {
      const files = ['-c', at('device.pem'), '-j', at('device.key'), '-C', at('ca.pem')];
      return coap('coap-client-gnutls', files, `localhost:${port}`);
    },
  },
  'our own client, certificates': {
    tool: 'openssl',
    client: async (port) => {
      const limits = { mtuBytes: 256, fallbackMtuBytes: 256, retransmitFirstMs: 1_000 };
      const options = { ...device, verifyPeer: judgeBy(authority), limits };
      // A handshake has 30 s; a device whose network ate so much begins another.
      const session = await connect('127.0.0.1', port, options).catch(() => connect('127.0.0.1', port, options));
      const heard = new Promise<boolean>((resolve) => {
        session.onmessage = () => resolve(true);
      });
      const again = setInterval(() => session.send(Buffer.from('hello')), 300);
      const did = await heard;
      clearInterval(again);
      session.destroy();
      return did;
    },
  },
};

it.each(Object.entries(CLIENTS))('%s', { concurrent: true, timeout: 3_600_000 }, async (name, { tool, client }) => {
  if (missing.has(tool)) return;
  const failed: number[] = [];
  for (let seed = 1; seed <= REPEATS; seed++) {
    const between = await network(seed * 7919 + name.length);
    // Once more for a program that stalls: s_client does, one time in fifteen, after both sides have finished the handshake.
    const attempt = () => client(between.port).catch(() => false);
    if (!(await attempt()) && !(await attempt())) failed.push(seed);
    between.close();
  }
  expect(failed, `${name}: seeds that failed of ${REPEATS}`).toEqual([]);
});
