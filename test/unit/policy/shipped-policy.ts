/** The policy that ships, compiled, behind the wall and ready to be asked; and the golden cases it must answer. */
import { createHash, createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { parseConfiguration } from '../../../src/config/load.ts';
import { DEFAULT_LIMITS, type Settings } from '../../../src/config/settings.ts';
import { policyData } from '../../../src/policy/data.ts';
import { SHIPPED_ENTRYPOINT, SHIPPED_MODULE } from '../../../src/policy/opa-tool.ts';
import { type ActivePolicy, PolicyWall } from '../../../src/policy/wall.ts';

const GOLDEN = new URL('../../../policies/golden/', import.meta.url);

export interface Verdict {
  readonly v: number;
  readonly allow: boolean;
  readonly reasons: readonly string[];
  readonly obligations: Readonly<Record<string, unknown>>;
}

export interface GoldenCase {
  readonly name: string;
  readonly input: { readonly v: number } & Readonly<Record<string, unknown>>;
  readonly verdict: Verdict;
}

const shipped = readFileSync(SHIPPED_MODULE);

/** The module that ships, with the data of these settings. */
export function shippedPolicy(settings: Settings): ActivePolicy {
  return policyFrom(shipped, settings);
}

/** Activates a module with the data of these settings, under the default limits. */
export function policyFrom(wasm: Uint8Array, settings: Settings): ActivePolicy {
  return PolicyWall.activate({
    wasm,
    data: policyData(settings).json,
    entrypoint: SHIPPED_ENTRYPOINT,
    revision: 'test',
    limits: DEFAULT_LIMITS,
    // Canaries run against a clock; these tests ask for thousands of verdicts and must not depend on one.
    canaries: [],
    digests: {
      sha256: (data) => createHash('sha256').update(data).digest('hex'),
      hmacSha256: (data, key) => createHmac('sha256', key).update(data).digest('hex'),
    },
  });
}

/** The verdict as the policy wrote it. */
export function verdictOf(policy: ActivePolicy, input: object): Verdict {
  return JSON.parse(policy.evaluate(JSON.stringify(input)) ?? 'null') as Verdict;
}

export function goldenConfiguration(): Settings {
  return parseConfiguration(readFileSync(new URL('configuration.yaml', GOLDEN), 'utf8'), '/nonexistent').settings;
}

export function goldenCases(): GoldenCase[] {
  return readdirSync(GOLDEN)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .flatMap((file) => {
      const cases = JSON.parse(readFileSync(new URL(file, GOLDEN), 'utf8')) as GoldenCase[];
      return cases.map((one) => ({ ...one, name: `${file.slice(0, -'.json'.length)}: ${one.name}` }));
    });
}
