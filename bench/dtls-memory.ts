/** `dtls-memory`: what an open, idle association holds, Connection ID and session object included; a process of its own per size. */
import { execFileSync } from 'node:child_process';
import type { Effect } from '../src/dtls/core.ts';
import { DtlsEngine } from '../src/dtls/engine.ts';
import type { PeerAddress } from '../src/dtls/options.ts';
import { AssociationSession } from '../src/dtls/session.ts';
import type { Bench, BenchOptions } from './core/bench.ts';
import { lineOf, type Outcome, round } from './core/outcome.ts';
import { median } from './core/statistics.ts';

const SERVER: PeerAddress = { address: '192.0.2.1', port: 5684 };
const MIB = 1_048_576;

export const dtlsMemory: Bench = {
  name: 'dtls-memory',
  about: 'memory of an open, idle DTLS association, and of 100,000',
  needs: [],
  run,
};

async function run({ rounds, quick }: BenchOptions): Promise<Outcome> {
  const count = quick ? 10_000 : 100_000;
  const program = new URL(import.meta.url).pathname;
  const grown = Array.from({ length: rounds }, () =>
    JSON.parse(execFileSync(process.execPath, ['--expose-gc', program, String(count)], { encoding: 'utf8' })),
  ) as { heldBytes: number; residentMib: number }[];
  const held = grown.map(({ heldBytes }) => heldBytes / count);
  const resident = grown.map(({ residentMib }) => residentMib);
  return {
    lines: [
      lineOf({
        name: 'dtls-memory/association',
        against: 'nothing: bytes of heap and buffers',
        unit: 'bytes',
        ours: held,
        bar: { kind: 'ours', atMost: 1_229, unit: 'bytes' },
      }),
      lineOf({
        name: 'dtls-memory/process',
        against: `nothing: resident memory with ${count} open`,
        unit: 'MiB',
        ours: resident,
        bar: { kind: 'ours', atMost: 250, unit: 'MiB' },
      }),
    ],
    table: [
      {
        name: `${count} associations`,
        figures: { 'bytes each': round(median(held)), 'RSS MiB': round(median(resident)) },
      },
    ],
    method:
      'PSK handshakes of engine against engine in one process, Connection IDs of 8 bytes, a session object with a listener each; garbage is collected before both measurements. Resident memory includes Node itself and what the clients left.',
  };
}

/** The child: opens so many and says what they hold. */
function measure(count: number): void {
  const collect = globalThis.gc as () => void;
  const nowMs = Date.now();
  const wide = {
    helloVerifyPerSecond: 1e9,
    helloVerifyPerNetworkPerSecond: 1e9,
    maxAssociations: count,
    maxAssociationsPerHost: count,
  };
  const server = new DtlsEngine({
    nowMs,
    server: {
      psk: () => new Uint8Array(16).fill(1),
      suites: ['TLS_PSK_WITH_AES_128_CCM_8'],
      authorize: (peer) => ({ allowed: true, principal: peer.kind === 'psk' ? peer.identity : '' }),
      connectionId: { length: 8 },
      limits: wide,
    },
  });
  const rim = { engine: server, nowMs: () => nowMs, flush: () => {} };
  const client = new DtlsEngine({ nowMs });
  const clientOptions = { pskKey: new Uint8Array(16).fill(1), connectionId: { length: 0 } };
  const used = () => {
    for (let i = 0; i < 3; i += 1) collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  let before = 0;
  for (let number = 0; number < count + 100; number += 1) {
    if (number === 100) before = used();
    const from = { address: `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`, port: 5_000 };
    const peer = client.connect(SERVER, { ...clientOptions, pskIdentity: `device-${number}` }, nowMs);
    let up = client.drain();
    while (up.length > 0) {
      const down = sends(up).flatMap((datagram) => {
        const effects = server.receive(datagram, from, nowMs);
        for (const effect of effects) {
          if (effect.kind !== 'open') continue;
          const session = new AssociationSession(rim, effect.association);
          session.onmessage = () => {};
          effect.association.owner = session;
        }
        return sends(effects);
      });
      up = down.flatMap((datagram) => [...client.receive(datagram, SERVER, nowMs)]);
    }
    client.close(peer, 'local-close', nowMs, true);
    client.drain();
  }
  // The last flight is kept for two minutes.
  server.poll(nowMs + 180_000);
  const heldBytes = used() - before;
  const residentMib = process.memoryUsage.rss() / MIB;
  process.stdout.write(JSON.stringify({ heldBytes, residentMib, open: server.size }));
}

function sends(effects: readonly Effect[]): Uint8Array[] {
  return effects.flatMap((effect) => (effect.kind === 'send' ? [effect.datagram] : []));
}

if (process.argv[1] === new URL(import.meta.url).pathname) measure(Number(process.argv[2]));
