/** `connections`: what ten thousand devices cost that keep a connection and are silent, and what one that talks feels of it. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Bench, BenchOptions } from './core/bench.ts';
import { freePort, SERVER_CORE, Workplace } from './core/children.ts';
import { Cloud } from './core/cloud.ts';
import { House, type HouseFiles, standardConfiguration } from './core/gateway.ts';
import { payload } from './core/https-scene.ts';
import { LoadClient } from './core/load-client.ts';
import { type Peer, startNginx } from './core/nginx.ts';
import { lineOf, type Outcome, round } from './core/outcome.ts';
import { residentMib } from './core/process-usage.ts';
import { progress } from './core/progress.ts';
import { alternate } from './core/rounds.ts';
import { median } from './core/statistics.ts';

const CONNECTIONS = 10_000;
const QUICK_CONNECTIONS = 1_000;
const DEVICES = 200;
const REQUESTS = 2_000;
/** After the last handshake, so that what is no longer needed has been given back. */
const SETTLE_MS = 2_000;
/** All come from one address here, and are silent for longer than a device would be. */
const LIMITS = 'limits: { connectionsPerAddress: 20000, idleTimeoutMs: 1 h }\n';
const BARE = fileURLToPath(new URL('./peers/bare-https.ts', import.meta.url));

interface Order {
  readonly open?: number;
  readonly requests?: number;
}
interface Answer {
  readonly operations: number;
  readonly open: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export const connections: Bench = {
  name: 'connections',
  about:
    '10,000 idle mTLS connections: memory of each, and the latency of one that is busy; beside nginx and bare node:https',
  needs: ['nginx'],
  run,
};

async function run({ rounds, quick }: BenchOptions): Promise<Outcome> {
  const workplace = new Workplace();
  const cloud = await Cloud.open(workplace);
  try {
    const house = await House.open(workplace, cloud.origin, standardConfiguration(cloud.origin, LIMITS));
    progress(`certificates for ${DEVICES} devices`);
    const pems: object[] = [];
    for (let number = 0; number < DEVICES; number += 1) pems.push((await house.addDevice(`meter-${number}`)).pem);
    const devices = workplace.path('devices.json');
    writeFileSync(devices, JSON.stringify(pems), { mode: 0o600 });
    const nginx = await startNginx(workplace, { name: 'nginx', files: house.files, cloudPort: cloud.port });
    const bare = await startBare(workplace, house.files, cloud.port);
    const ours = await house.start();
    const subjects: readonly Peer[] = [nginx, bare, ours];
    const clients = new Map<Peer, LoadClient<Order, Answer>>();
    const set = { devices, body: payload() };
    for (const peer of subjects) {
      const client = await LoadClient.start<Order, Answer>(workplace, 'connections-load.ts', {
        ...set,
        port: peer.port,
      });
      clients.set(peer, client);
      // Code is compiled and heaps have grown before anything is counted.
      await client.ask({ requests: REQUESTS });
    }
    const memory = (peer: Peer) => peer.processes.reduce((sum, child) => sum + residentMib(child.pid), 0);
    const idle = new Map<Peer, number>(subjects.map((peer) => [peer, memory(peer)]));
    const step = Math.ceil((quick ? QUICK_CONNECTIONS : CONNECTIONS) / rounds);
    let opened = 0;
    const grown = await alternate(subjects, rounds, async (peer, done) => {
      opened = step * (done + 1);
      const { open } = await (clients.get(peer) as LoadClient<Order, Answer>).ask({ open: step });
      if (open !== opened) throw new Error(`${peer.name}: ${open} of ${opened} connections are open`);
      await new Promise((later) => setTimeout(later, SETTLE_MS));
      return ((memory(peer) - (idle.get(peer) as number)) * 1_024) / opened;
    });
    const active = await alternate(subjects, rounds, async (peer) => {
      const answer = await (clients.get(peer) as LoadClient<Order, Answer>).ask({ requests: REQUESTS });
      if (answer.open !== opened) throw new Error(`${peer.name}: of ${opened} connections ${answer.open} are left`);
      return answer;
    });
    const latency = (peer: Peer, key: 'p50Ms' | 'p99Ms') => (active.get(peer) as Answer[]).map((one) => one[key]);
    const each = (peer: Peer) => grown.get(peer) as number[];
    const table = subjects.map((peer) => ({
      name: peer.name,
      figures: {
        'KiB each, all open': round(each(peer).at(-1) as number),
        'KiB each, median of steps': round(median(each(peer))),
        'RSS MiB, all open': Math.round(memory(peer)),
        'RSS MiB, none': Math.round(idle.get(peer) as number),
        'active p50 ms': round(median(latency(peer, 'p50Ms'))),
        'active p99 ms': round(median(latency(peer, 'p99Ms'))),
      },
    }));
    for (const client of clients.values()) await client.end();
    progress('verifying the ledger');
    const onRecord = await house.stopAndVerify(ours);
    const expected = REQUESTS * (rounds + 1) + opened;
    if (onRecord !== expected) throw new Error(`${expected} requests were decided, ${onRecord} are on the ledger`);
    const against = 'node:https with mTLS, http.request to the cloud';
    const bar = { kind: 'ratio', atMost: 1.2 } as const;
    return {
      lines: [
        lineOf({
          name: 'connections/memory',
          unit: 'KiB RSS each',
          against,
          baseline: each(bare),
          ours: each(ours),
          bar,
        }),
        lineOf({
          name: 'connections/p99',
          unit: 'ms p99 of an active one',
          against,
          baseline: latency(bare, 'p99Ms'),
          ours: latency(ours, 'p99Ms'),
          bar,
        }),
      ],
      table,
      method: `${opened} connections of ${DEVICES} devices, opened in ${rounds} steps, full handshakes, one request each; memory ${SETTLE_MS / 1_000} s after each step, as growth since the first request divided by connections. Then ${REQUESTS} requests one after the other on one more connection, per round. Load: our own Node processes. ${onRecord} decisions on the ledger, verified.`,
    };
  } finally {
    await cloud.close();
    await workplace.close();
  }
}

export async function startBare(
  workplace: Workplace,
  files: HouseFiles,
  cloudPort: number,
  port?: number,
): Promise<Peer> {
  const own = port ?? (await freePort());
  const words = [BARE, String(own), String(cloudPort), files.certificate, files.key, files.authority];
  const child = workplace.start('bare', process.execPath, words, { core: SERVER_CORE });
  if (port === undefined) await workplace.listening(child, own);
  return { name: 'bare node:https', port: own, processes: [child] };
}
