/**
 * Deterministic simulation: loss, reordering, duplication, address changes and restarts on a virtual clock. Nothing may be stuck,
 * no acknowledged message lost, no record delivered twice. DTLS_SEEDS=n runs n seeds, DTLS_SEED=n only that one.
 */
import { createHash } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import type { ClientOptions, ServerOptions } from '../../src/dtls/options.ts';
import { createAuthority, judgeBy } from '../unit/dtls/credentials.ts';
import { World, type WorldOptions } from './dtls-world.ts';
import { randomOf } from './network.ts';

const KEY = new TextEncoder().encode('secretPSK');
const SECRET = new Uint8Array(32).fill(9);
const only = process.env.DTLS_SEED === undefined ? undefined : Number(process.env.DTLS_SEED);
const count = Number(process.env.DTLS_SEEDS ?? 1_000);

const psk: { server: ServerOptions; client: ClientOptions } = {
  server: {
    psk: (identity) => (identity === 'probe-7' ? KEY : undefined),
    suites: ['TLS_PSK_WITH_AES_128_CCM_8'],
    isStillAllowed: () => true,
    cookieSecret: SECRET,
    ticketSecret: SECRET,
    connectionId: { length: 8 },
  },
  client: { pskIdentity: 'probe-7', pskKey: KEY, connectionId: { length: 4 } },
};
let certificates: typeof psk;

beforeAll(async () => {
  const authority = await createAuthority('Test CA');
  const verifyPeer = judgeBy(authority);
  const server = await authority.issue('localhost', { purpose: 'server' });
  const device = await authority.issue('probe-7', { purpose: 'client' });
  const limits = { mtuBytes: 256, fallbackMtuBytes: 256 };
  certificates = {
    server: {
      ...server,
      verifyPeer,
      isStillAllowed: () => true,
      cookieSecret: SECRET,
      connectionId: { length: 8 },
      limits,
    },
    client: { ...device, verifyPeer, connectionId: { length: 4 }, limits },
  };
});

/** The seed decides how bad it is, and every tenth shakes hands by certificate in datagrams of 256 bytes. */
function worldOf(seed: number): WorldOptions {
  const random = randomOf(seed ^ 0x5eed);
  const options = seed % 10 === 0 ? certificates : psk;
  // A third is found by address only: a moved device then shakes hands again.
  const { connectionId: _, ...plain } = options.client;
  return {
    server: options.server,
    client: seed % 3 === 0 ? plain : options.client,
    messages: 4,
    weather: { loss: random() * 0.25, duplicate: random() * 0.25, reorder: random() * 0.4, lateMs: 400 },
    rebind: random() < 0.5 ? 0.3 : 0,
    restartDevice: random() < 0.3 ? 0.2 : 0,
    restartServer: random() < 0.3 ? 0.2 : 0,
  };
}

it('nothing is stuck, nothing acknowledged is lost, nothing is delivered twice', () => {
  const failures: string[] = [];
  let moved = 0;
  let handshakes = 0;
  for (let seed = only ?? 1; seed <= (only ?? count); seed++) {
    const world = new World(seed, worldOf(seed)).run();
    moved += world.pathsChanged;
    handshakes += world.handshakes;
    const lost = [...world.acknowledged].filter((number) => !world.handled.has(number));
    if (!world.isDone) failures.push(`DTLS_SEED=${seed}: stuck after ${world.acknowledged.size} messages`);
    if (lost.length > 0) failures.push(`DTLS_SEED=${seed}: acknowledged and lost ${lost}`);
    if (world.deliveredTwice > 0) failures.push(`DTLS_SEED=${seed}: delivered twice ${world.deliveredTwice}`);
  }
  expect(failures).toEqual([]);
  if (only === undefined) {
    // The weather was bad enough to mean something.
    expect(moved).toBeGreaterThan(count / 20);
    expect(handshakes).toBeGreaterThan(count);
  }
}, 3_600_000);

it('the same seed gives the same trace', () => {
  const digest = (seed: number) =>
    createHash('sha256')
      .update(new World(seed, worldOf(seed)).run().trace.join('\n'))
      .digest('hex');
  for (const seed of [1, 2, 3, 7]) expect(digest(seed)).toBe(digest(seed));
});
