/**
 * `workers`: what a second worker process adds. With four processors or more the gateway has one or two of its own; with
 * fewer, everything shares one processor and then two, load and cloud included, which asks the same question.
 */
import { availableParallelism } from 'node:os';
import type { Bench, BenchOptions } from './core/bench.ts';
import { Workplace } from './core/children.ts';
import { Cloud } from './core/cloud.ts';
import { House, knowsKey, standardConfiguration } from './core/gateway.ts';
import { Posting } from './core/https-scene.ts';
import { lineOf, type Outcome, rowOf } from './core/outcome.ts';
import { progress } from './core/progress.ts';
import { alternate, type Round, typical } from './core/rounds.ts';

/** With so many processors, load and cloud get two that the gateway has not. */
const ENOUGH_PROCESSORS = 4;

export const workers: Bench = {
  name: 'workers',
  about: 'two worker processes with one registry, ledger and revocation; beside one',
  needs: ['nginx', 'ab'],
  run,
};

async function run({ rounds, seconds }: BenchOptions): Promise<Outcome> {
  const nothing = { lines: [], table: [], method: '' };
  if (!knowsKey('workers')) return { ...nothing, skipped: 'this program has no workers yet' };
  if (availableParallelism() < 2) return { ...nothing, skipped: 'two workers need two processors' };
  const apart = availableParallelism() >= ENOUGH_PROCESSORS;
  const one = await place(1, '0', apart ? '2,3' : '0', seconds);
  try {
    const two = await place(2, '0,1', apart ? '2,3' : '0,1', seconds);
    try {
      const places = [one, two];
      const results = await alternate(places, rounds, ({ posting, gateway }) => posting.round(gateway));
      progress('verifying the ledgers');
      for (const { posting, house, gateway } of places) await posting.checkLedger(house, gateway);
      const of = (subject: typeof one) => results.get(subject) as Round[];
      return {
        lines: [
          lineOf({
            name: 'workers',
            unit: 'requests per second',
            against: 'sallyport, 1 worker',
            baseline: of(one).map((round) => round.perSecond),
            ours: of(two).map((round) => round.perSecond),
            bar: { kind: 'ratio', atLeast: 1.8 },
          }),
        ],
        table: places.map((subject) => rowOf(subject.name, typical(of(subject)), false)),
        picture: { figure: 'per second', better: 'more' },
        method: apart
          ? 'As `https`; the gateway on one processor and on two, load and cloud on two others.'
          : 'As `https`; on a machine of few processors everything, load and cloud included, runs on one processor beside one worker, and on two beside two.',
      };
    } finally {
      await two.close();
    }
  } finally {
    await one.close();
  }
}

async function place(count: number, serverCores: string, loadCores: string, seconds: number) {
  const workplace = new Workplace();
  const cloud = await Cloud.open(workplace, loadCores);
  const house = await House.open(workplace, cloud.origin, standardConfiguration(cloud.origin, '', '', count));
  const device = await house.addDevice('thermo-1');
  const gateway = await house.start(serverCores);
  const posting = new Posting(workplace, cloud, seconds, loadCores);
  await posting.prepare(gateway, device);
  await posting.checkPrivacy(gateway);
  const close = async () => {
    await cloud.close();
    await workplace.close();
  };
  return { name: `sallyport, ${count} worker${count > 1 ? 's' : ''}`, house, gateway, posting, close };
}
