/** `start`: from the command to being ready, what it takes while nothing happens, and the first request; beside bare Node. */

import { startBare } from './connections.ts';
import type { Bench, BenchOptions } from './core/bench.ts';
import { accepts, freePort, Workplace } from './core/children.ts';
import { Cloud } from './core/cloud.ts';
import { type DeviceFiles, House, standardConfiguration } from './core/gateway.ts';
import { payload, post } from './core/https-scene.ts';
import type { Peer } from './core/nginx.ts';
import { lineOf, type Outcome, round } from './core/outcome.ts';
import { residentMib } from './core/process-usage.ts';
import { alternate } from './core/rounds.ts';
import { median } from './core/statistics.ts';

const LOOK_EVERY_MS = 5;
const READY_WITHIN_MS = 30_000;
/** Idle means: a while after it became ready. */
const IDLE_AFTER_MS = 1_500;

interface Sample {
  readonly readyMs: number;
  readonly idleMb: number;
  readonly firstMs: number;
}

export const start: Bench = {
  name: 'start',
  about: 'start to ready, memory when idle, and the first request; beside bare node:https',
  needs: ['nginx'],
  run,
};

async function run({ rounds }: BenchOptions): Promise<Outcome> {
  const workplace = new Workplace();
  const cloud = await Cloud.open(workplace);
  try {
    const house = await House.open(workplace, cloud.origin);
    const device = await house.addDevice('thermo-1');
    const fixed = await freePort();
    house.configure(standardConfiguration(cloud.origin).replace('127.0.0.1:0', `127.0.0.1:${fixed}`));
    const bare = {
      name: 'bare node:https',
      measure: async () => {
        const port = await freePort();
        return measure(await startBare(workplace, house.files, cloud.port, port), device);
      },
    };
    const ours = {
      name: 'sallyport run',
      measure: () => measure({ name: 'sallyport', port: fixed, processes: [house.spawn()] }, device),
    };
    const subjects = [bare, ours];
    for (const one of subjects) await one.measure();
    const results = await alternate(subjects, rounds, (one) => one.measure());
    const of = (one: (typeof subjects)[number], key: keyof Sample) =>
      (results.get(one) as Sample[]).map((sample) => sample[key]);
    const line = (name: string, unit: string, key: keyof Sample, atMost: number) =>
      lineOf({
        name,
        unit,
        against: 'node:https with mTLS and nothing behind it',
        baseline: of(bare, key),
        ours: of(ours, key),
        bar: { kind: 'ours', atMost, unit },
      });
    return {
      lines: [line('start/ready', 'ms', 'readyMs', 1_000), line('start/memory', 'MB', 'idleMb', 130)],
      table: subjects.map((one) => ({
        name: one.name,
        figures: {
          'ready ms': round(median(of(one, 'readyMs'))),
          'idle RSS MB': round(median(of(one, 'idleMb'))),
          'first request ms': round(median(of(one, 'firstMs'))),
        },
      })),
      method: `From the start of the process, compile cache warm, to the first accepted connection; memory ${IDLE_AFTER_MS / 1_000} s later; then one POST with its full handshake.`,
    };
  } finally {
    await cloud.close();
    await workplace.close();
  }
}

async function measure(peer: Peer, device: DeviceFiles): Promise<Sample> {
  const [child] = peer.processes;
  if (!child) throw new Error(`${peer.name} has no process`);
  const began = performance.now();
  while (!(await accepts(peer.port))) {
    if (child.ended || performance.now() - began > READY_WITHIN_MS)
      throw new Error(`${peer.name} does not start: ${child.output()}`);
    await new Promise((later) => setTimeout(later, LOOK_EVERY_MS));
  }
  const readyMs = performance.now() - began;
  await new Promise((later) => setTimeout(later, IDLE_AFTER_MS));
  const idleMb = residentMib(child.pid) * 1.048576;
  const asked = performance.now();
  const status = await post(peer.port, device, '/v1/telemetry', payload());
  const firstMs = performance.now() - asked;
  if (status !== 200) throw new Error(`${peer.name} answers ${status}`);
  await child.end();
  return { readyMs, idleMb, firstMs };
}
