/**
 * kill -9 at random moments under load: the gateway is ready again in under two seconds, its ledger verifies, and nothing
 * reached the cloud without its record. 50 kills by default in CI, 10 elsewhere (SALLYPORT_KILLS).
 */
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyAll } from '../../src/ledger/streams.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';
import { seeded } from '../fixtures/seeded.ts';

const KILLS = Number(process.env.SALLYPORT_KILLS ?? (process.env.CI ? 50 : 10));
const { random, seed } = seeded();

let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await RunningGateway.open({ idle: true });
});
afterAll(() => gateway?.remove());

it(`${KILLS} kills under load: ready again, verified, nothing unrecorded (seed ${seed})`, async () => {
  const readyMs: number[] = [];
  const cpuMs: number[] = [];
  const sent = new Set<number>();
  let number = 0;
  let answered = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    readyMs.push(await gateway.start());
    cpuMs.push(gateway.cpuMs() / gateway.workers().length);
    const agent = gateway.agent('thermo-1');
    let alive = true;
    const load = Array.from({ length: 8 }, async () => {
      while (alive) {
        const mine = ++number;
        sent.add(mine);
        const answer = await gateway
          .send(agent, 'POST', '/v1/telemetry', `{"temperature":${mine}}`)
          .catch(() => undefined);
        if (answer?.status === 200) answered += 1;
      }
    });
    await new Promise((later) => setTimeout(later, 20 + random() * 250));
    alive = false;
    await gateway.stop('SIGKILL');
    agent.destroy();
    await Promise.all(load);
    const verification = await verifyAll(join(gateway.directory, 'ledger'), { live: true });
    expect(verification.firstProblem).toBeUndefined();
  }
  readyMs.push(await gateway.start());
  await gateway.stop();
  const verification = await verifyAll(join(gateway.directory, 'ledger'));
  expect(verification.ok).toBe(true);

  const text = gateway.ledger();
  const decisions = gateway.received.map(
    ({ rawHeaders }) => rawHeaders[rawHeaders.indexOf('sallyport-decision') + 1] as string,
  );
  const unrecorded = decisions.filter((decision) => !text.includes(`"decision":"${decision}","verdict":"permitted"`));
  const sorted = readyMs.toSorted((a, b) => a - b);
  const middle = (values: readonly number[]) =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  console.log(
    `${KILLS} kills, ${number} messages sent, ${answered} answered, ${decisions.length} at the cloud, ${unrecorded.length} of them without a record; ready again after ${Math.round(middle(readyMs))} ms (worst ${Math.round(sorted.at(-1) as number)}), ${middle(cpuMs)} ms of CPU for each worker`,
  );
  expect(answered).toBeGreaterThan(KILLS);
  expect(unrecorded).toEqual([]);
  // The promise is two seconds. On a machine that is busy with something else only the CPU time says what we cost.
  expect(middle(cpuMs)).toBeLessThan(1_500);
  if ((loadavg()[0] as number) <= availableParallelism()) expect(middle(readyMs)).toBeLessThan(2_000);
}, 300_000);
