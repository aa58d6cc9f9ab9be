/** `websocket`: JSON messages, each decided, transformed and recorded, beside an nginx that tunnels bytes blindly. */

import { fileURLToPath } from 'node:url';
import type { Bench, BenchOptions } from './core/bench.ts';
import { freePort, LOAD_CORE, Workplace } from './core/children.ts';
import { fetchJson } from './core/fetch-json.ts';
import { House, standardConfiguration } from './core/gateway.ts';
import { payload } from './core/https-scene.ts';
import { LoadClient, type Sample } from './core/load-client.ts';
import { type Peer, startNginx } from './core/nginx.ts';
import { lineOf, type Outcome, rowOf } from './core/outcome.ts';
import { progress } from './core/progress.ts';
import { account, alternate, type Round, typical } from './core/rounds.ts';

const CONNECTIONS = 64;
const WARM_UP_MESSAGES = 10_000;
const CLOUD = fileURLToPath(new URL('./peers/websocket-cloud.ts', import.meta.url));
/** A closed loop sends far more than a device does; the limit per WebSocket would end it. */
const LIMITS = 'limits: { webSocketMessagesPerSecond: 100000, webSocketPingIntervalMs: 10 min }\n';

interface Count {
  readonly messages: number;
  readonly firsts: readonly string[];
}

export const websocket: Bench = {
  name: 'websocket',
  about: 'JSON messages of 256 bytes on WebSockets, decided and transformed; beside nginx, a blind tunnel',
  needs: ['nginx'],
  run,
};

async function run({ rounds, seconds }: BenchOptions): Promise<Outcome> {
  const workplace = new Workplace();
  try {
    const port = await freePort();
    const cloud = workplace.start('websocket-cloud', process.execPath, [CLOUD, String(port)], { core: LOAD_CORE });
    await workplace.listening(cloud, port);
    const count = () => fetchJson<Count>(`http://127.0.0.1:${port}/count`);
    const origin = `http://127.0.0.1:${port}`;
    const house = await House.open(workplace, origin, standardConfiguration(origin, LIMITS));
    const { pem } = await house.addDevice('thermo-1');
    const nginx = await startNginx(workplace, { name: 'nginx', files: house.files, cloudPort: port });
    const ours = await house.start();
    const subjects: readonly Peer[] = [nginx, ours];

    const texts = Array.from({ length: CONNECTIONS }, (_, index) => payload(`SN-${10_000_000 + index}`));
    const clients = new Map<Peer, LoadClient<{ messages: number }, Sample>>();
    const messagesFor = new Map<Peer, number>();
    let sent = 0;
    const firsts: string[] = [];
    const load = async (peer: Peer, messages: number) => {
      const before = (await count()).messages;
      const sample = await (clients.get(peer) as LoadClient<{ messages: number }, Sample>).ask({ messages });
      const after = await count();
      const reached = after.messages - before;
      if (peer === ours) firsts.push(...after.firsts);
      if (sample.operations !== messages || reached !== messages)
        throw new Error(`${peer.name}: of ${messages} messages ${reached} reached the cloud`);
      if (peer === ours) sent += messages;
      return sample;
    };
    for (const peer of subjects) {
      progress(`warming up ${peer.name}`);
      const set = { port: peer.port, path: '/v1/live', connections: CONNECTIONS, pem, texts };
      clients.set(peer, await LoadClient.start(workplace, 'websocket-load.ts', set));
      const { perSecond } = await load(peer, WARM_UP_MESSAGES);
      messagesFor.set(peer, Math.round(perSecond * seconds));
    }
    const results = await alternate(subjects, rounds, (peer) =>
      account(peer, () => load(peer, messagesFor.get(peer) as number)),
    );
    const of = (peer: Peer) => results.get(peer) as Round[];
    for (const client of clients.values()) await client.end();
    checkPrivacy(firsts);
    progress('verifying the ledger');
    const onRecord = await house.stopAndVerify(ours);
    // Up, down, and one for each upgrade.
    if (onRecord !== 2 * sent + CONNECTIONS)
      throw new Error(`${sent} messages went up and were answered, ${onRecord} decisions are on the ledger`);
    return {
      lines: [
        lineOf({
          name: 'websocket',
          unit: 'µs CPU per message and its answer',
          against: 'nginx, mTLS, blind tunnel',
          baseline: of(nginx).map((round) => round.cpuMicros),
          ours: of(ours).map((round) => round.cpuMicros),
          bar: { kind: 'ratio', atMost: 2.5 },
        }),
      ],
      table: subjects.map((peer) => rowOf(peer.name, typical(of(peer)))),
      method: `${CONNECTIONS} WebSockets, each a closed loop of a 256-byte message and a short answer: two decisions of ours, one blind relay each way of nginx. Load and cloud: our own Node processes. ${onRecord} decisions on the ledger, verified.`,
    };
  } finally {
    await workplace.close();
  }
}

/** The first message of each connection, as the cloud received it. */
function checkPrivacy(firsts: readonly string[]): void {
  if (firsts.length !== CONNECTIONS) throw new Error(`${firsts.length} of ${CONNECTIONS} first messages were seen`);
  const leak = firsts.find((text) => !/"serial":"p[^"]+\.[\w-]{22}"/.test(text) || /SN-|owner|position/.test(text));
  if (leak !== undefined) throw new Error(`the cloud received what it should not: ${leak}`);
}
