/** The compiled policy that ships, ready to be asked; and the golden cases it must answer. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseConfiguration } from '../../../src/config/load.ts';
import type { Settings } from '../../../src/config/settings.ts';
import { policyData } from '../../../src/policy/data.ts';
import { SHIPPED_MODULE } from '../../../src/policy/opa-tool.ts';

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

const { loadPolicySync } = createRequire(import.meta.url)('@open-policy-agent/opa-wasm');
const module = new WebAssembly.Module(readFileSync(SHIPPED_MODULE));
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

export function shippedPolicy(settings: Settings): (input: unknown) => Verdict {
  const policy = loadPolicySync(
    module,
    { initial: 20, maximum: 4096 },
    {
      'time.parse_rfc3339_ns': (t: string) => (Number.isNaN(Date.parse(t)) ? undefined : Date.parse(t) * 1e6),
      'time.weekday': (n: number) => DAYS[new Date(n / 1e6).getUTCDay()],
      'time.clock': (n: number) => [new Date(n / 1e6).getUTCHours(), new Date(n / 1e6).getUTCMinutes(), 0],
    },
  );
  policy.setData(JSON.parse(policyData(settings).json));
  return (input) => policy.evaluate(input)[0].result;
}

/** sallyport.yaml as text. */
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
