/** `handshake`: full mTLS handshakes per second of one core, beside nginx and haproxy; and how much a resumed one saves. */
import type { Bench, BenchOptions } from './core/bench.ts';
import { Workplace } from './core/children.ts';
import { Cloud } from './core/cloud.ts';
import { House } from './core/gateway.ts';
import { startHaproxy } from './core/haproxy.ts';
import { LoadClient, type Sample } from './core/load-client.ts';
import { type Peer, startNginx } from './core/nginx.ts';
import { lineOf, type Outcome, rowOf } from './core/outcome.ts';
import { progress } from './core/progress.ts';
import { account, alternate, type Round, typical } from './core/rounds.ts';

const PARALLEL = 16;
const WARM_UP_HANDSHAKES = 300;

interface Order {
  readonly handshakes: number;
  readonly resumed: boolean;
}
interface Subject {
  readonly name: string;
  readonly peer: Peer;
  readonly resumed: boolean;
}

export const handshake: Bench = {
  name: 'handshake',
  about: 'full mTLS handshakes, beside nginx and haproxy; and resumed ones',
  needs: ['nginx', 'haproxy'],
  run,
};

async function run({ rounds, seconds }: BenchOptions): Promise<Outcome> {
  const workplace = new Workplace();
  const cloud = await Cloud.open(workplace);
  try {
    const house = await House.open(workplace, cloud.origin);
    const { pem } = await house.addDevice('thermo-1');
    const nginx = await startNginx(workplace, { name: 'nginx', files: house.files, cloudPort: cloud.port });
    const haproxy = await startHaproxy(workplace, house.files, cloud.port);
    const ours = await house.start();
    const clients = new Map<Peer, LoadClient<Order, Sample>>();
    const handshakesFor = new Map<string, number>();
    for (const peer of [nginx, haproxy, ours]) {
      progress(`warming up ${peer.name}`);
      const client = await LoadClient.start<Order, Sample>(workplace, 'handshake-load.ts', {
        port: peer.port,
        parallel: PARALLEL,
        pem,
      });
      clients.set(peer, client);
      for (const resumed of [false, true]) {
        await client.ask({ handshakes: WARM_UP_HANDSHAKES, resumed });
        const { perSecond } = await client.ask({ handshakes: WARM_UP_HANDSHAKES, resumed });
        handshakesFor.set(`${peer.name} ${resumed}`, Math.max(WARM_UP_HANDSHAKES, Math.round(perSecond * seconds)));
      }
    }
    const subject = (peer: Peer, resumed: boolean): Subject => ({
      name: `${peer.name}, ${resumed ? 'resumed' : 'full'}`,
      peer,
      resumed,
    });
    const full = { nginx: subject(nginx, false), haproxy: subject(haproxy, false), ours: subject(ours, false) };
    const resumed = { nginx: subject(nginx, true), ours: subject(ours, true) };
    const subjects = [full.nginx, full.haproxy, full.ours, resumed.nginx, resumed.ours];
    const results = await alternate(subjects, rounds, ({ peer, resumed: again }) =>
      account(peer, async () => {
        const handshakes = handshakesFor.get(`${peer.name} ${again}`) as number;
        const sample = await (clients.get(peer) as LoadClient<Order, Sample>).ask({ handshakes, resumed: again });
        if (sample.operations !== handshakes) throw new Error(`${peer.name}: ${sample.operations} of ${handshakes}`);
        return sample;
      }),
    );
    await house.stopAndVerify(ours);
    const perCoreSecond = (one: Subject) => (results.get(one) as Round[]).map((round) => 1e6 / round.cpuMicros);
    const line = (name: string, against: string, baseline: Subject, of: Subject, atLeast: number) =>
      lineOf({
        name,
        against,
        unit: 'handshakes per CPU second',
        baseline: perCoreSecond(baseline),
        ours: perCoreSecond(of),
        bar: { kind: 'ratio', atLeast },
      });
    return {
      lines: [
        line('handshake/full', 'nginx, full mTLS handshake', full.nginx, full.ours, 0.95),
        line('handshake/resumed', 'sallyport, full mTLS handshake', full.ours, resumed.ours, 3),
      ],
      table: subjects.map((one) => rowOf(one.name, typical(results.get(one) as Round[]))),
      method: `TLS 1.3, X25519, P-256 certificates on both sides, ${PARALLEL} handshakes at a time and no request; load: our own Node process, whose share of a handshake costs about as much, so compare CPU. A handshake counts when the session ticket has come, and a resumed one only if it was resumed.`,
    };
  } finally {
    await cloud.close();
    await workplace.close();
  }
}
