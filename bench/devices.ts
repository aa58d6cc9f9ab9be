/** `devices`: what a request costs when there are many devices, and when there are many routes. It should be the same. */
import { registryFile } from '../src/cli/devices.ts';
import type { Bench, BenchOptions } from './core/bench.ts';
import { Workplace } from './core/children.ts';
import { Cloud } from './core/cloud.ts';
import { House, type OurGateway, standardConfiguration } from './core/gateway.ts';
import { Posting } from './core/https-scene.ts';
import { fillRegistry } from './core/many-devices.ts';
import { lineOf, type Outcome, rowOf } from './core/outcome.ts';
import { progress } from './core/progress.ts';
import { alternate, type Round, typical } from './core/rounds.ts';

const SIZES = [
  { name: 'few', devices: 10, routes: 10 },
  { name: 'devices/1000', devices: 1_000, routes: 10 },
  { name: 'devices/100000', devices: 100_000, routes: 10 },
  { name: 'devices/routes-1000', devices: 10, routes: 1_000 },
] as const;

export const devices: Bench = {
  name: 'devices',
  about: 'a request with 10, 1,000 and 100,000 registered devices, and with 10 and 1,000 routes',
  needs: ['nginx', 'ab'],
  run,
};

async function run({ rounds, seconds }: BenchOptions): Promise<Outcome> {
  const workplace = new Workplace();
  const cloud = await Cloud.open(workplace);
  try {
    const posting = new Posting(workplace, cloud, seconds);
    const subjects: { readonly size: (typeof SIZES)[number]; readonly house: House; readonly gateway: OurGateway }[] =
      [];
    for (const size of SIZES) {
      const label = `${size.devices} devices, ${size.routes} routes`;
      progress(`making ${label}`);
      const routes = Array.from({ length: size.routes - 2 }, (_, index) => route(index)).join('');
      const configuration = standardConfiguration(cloud.origin, '', routes);
      const house = await House.open(workplace, cloud.origin, configuration, `gw-${subjects.length}`);
      const device = await house.addDevice('thermo-1');
      fillRegistry(registryFile(house.directory), size.devices);
      const gateway = { ...(await house.start()), name: label };
      await posting.prepare(gateway, device);
      subjects.push({ size, house, gateway });
    }
    const gateways = subjects.map(({ gateway }) => gateway);
    const results = await alternate(gateways, rounds, (gateway) => posting.round(gateway));
    progress('verifying the ledgers');
    for (const { house, gateway } of subjects) await posting.checkLedger(house, gateway);
    const [few, ...more] = subjects;
    const cpu = (gateway: OurGateway) => (results.get(gateway) as Round[]).map((round) => round.cpuMicros);
    return {
      lines: more.map(({ size, gateway }) =>
        lineOf({
          name: size.name,
          unit: 'µs CPU per request',
          against: few?.gateway.name ?? '',
          baseline: cpu((few as (typeof subjects)[number]).gateway),
          ours: cpu(gateway),
          bar: { kind: 'ratio', atMost: 1.2 },
        }),
      ),
      table: gateways.map((gateway) => rowOf(gateway.name, typical(results.get(gateway) as Round[]))),
      method: 'Four gateways of ours side by side, each as in `https`; their ledgers verified.',
    };
  } finally {
    await cloud.close();
    await workplace.close();
  }
}

function route(index: number): string {
  return `      r${index}: { allow: POST /v1/kind-${index}/readings, to: cloud, privacy: readings }\n`;
}
