/**
 * `privacy`: what the privacy step costs, beside JSON.parse and JSON.stringify of the same bytes: a document of about 1 KB
 * with 30 fields of which 4 become pseudonyms. Every document differs from the last.
 */
import { DEFAULT_LIMITS, type PrivacyRule } from '../src/config/settings.ts';
import { Disguise } from '../src/privacy/disguise.ts';
import { noFields } from '../src/privacy/field-counts.ts';
import { parseJson } from '../src/privacy/json.ts';
import { PrivacyKeys } from '../src/privacy/keys.ts';
import { minimise } from '../src/privacy/minimise.ts';
import { compileRule } from '../src/privacy/selectors.ts';
import type { Bench, BenchOptions } from './core/bench.ts';
import { cpuPerOperation } from './core/in-process.ts';
import { lineOf, type Outcome, round } from './core/outcome.ts';
import { alternate } from './core/rounds.ts';
import { median } from './core/statistics.ts';

const DOCUMENTS = 256;
const PER_SECOND = 15_000;

const FIELDS = Array.from({ length: 30 }, (_, index) => fieldName(index));
const SERIALS = FIELDS.filter((name) => name.startsWith('serial'));
const OTHERS = FIELDS.filter((name) => !SERIALS.includes(name));
const MEASURED = FIELDS.filter((name) => /^(temp|hum|batt)/.test(name));

export const privacy: Bench = {
  name: 'privacy',
  about: '1 KB of JSON, 30 fields, 4 pseudonyms; beside JSON.parse and JSON.stringify of the same bytes',
  needs: [],
  run,
};

type Transform = (bytes: Buffer) => Buffer;

async function run({ rounds, seconds }: BenchOptions): Promise<Outcome> {
  const documents = Array.from({ length: DOCUMENTS }, (_, number) => Buffer.from(JSON.stringify(reading(number))));
  const native: Transform = (bytes) => Buffer.from(JSON.stringify(JSON.parse(bytes.toString())));
  const ours = transform({ keep: OTHERS, pseudonymise: SERIALS });
  checkWork(ours(documents[0] as Buffer).toString());
  const subject = (name: string, act: Transform) => {
    let next = 0;
    return {
      name,
      measure: () =>
        cpuPerOperation(Math.round(PER_SECOND * seconds), (times) => {
          for (let done = 0; done < times; done += 1) {
            act(documents[next] as Buffer);
            next = (next + 1) % DOCUMENTS;
          }
        }),
    };
  };
  const baseline = subject('JSON.parse + JSON.stringify', native);
  const measured = subject('sallyport, 26 kept, 4 pseudonyms', ours);
  const subjects = [
    baseline,
    measured,
    subject('sallyport, 10 kept, 4 pseudonyms', transform({ keep: MEASURED, pseudonymise: SERIALS })),
    subject('sallyport, all kept', transform({ keep: ['*'] })),
    subject('sallyport, 26 kept, 4 tokens', transform({ keep: OTHERS, tokenise: SERIALS })),
  ];
  for (const one of subjects) await one.measure();
  const results = await alternate(subjects, rounds, (one) => one.measure());
  const of = (one: (typeof subjects)[number]) => results.get(one) as number[];
  return {
    lines: [
      lineOf({
        name: 'privacy',
        unit: 'µs CPU per document',
        against: 'JSON.parse + JSON.stringify of the same bytes',
        baseline: of(baseline),
        ours: of(measured),
        bar: { kind: 'ratio', atMost: 3 },
      }),
    ],
    table: subjects.map((one) => ({ name: one.name, figures: { 'CPU µs': round(median(of(one))) } })),
    method: `${documents[0]?.length} bytes, ${DOCUMENTS} documents in turn, in one process by its CPU time; from bytes to bytes on both sides.`,
  };
}

function transform(parts: Partial<PrivacyRule>): Transform {
  const { payload, problems } = compileRule(ruleOf(parts));
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const disguise = new Disguise(PrivacyKeys.generate(), 'bench');
  const counts = noFields();
  return (bytes) => Buffer.from(minimise(parseJson(bytes, DEFAULT_LIMITS), payload, disguise, counts));
}

function checkWork(text: string): void {
  const written = JSON.parse(text) as Record<string, unknown>;
  const fit = SERIALS.every((name) => /^p[^.]+\.[\w-]{22}$/.test(String(written[name])));
  if (!fit || Object.keys(written).length !== FIELDS.length) throw new Error(`not what the rule says: ${text}`);
}

function fieldName(index: number): string {
  const kinds = ['temperature', 'humidity', 'serial', 'location', 'battery', 'owner', 'firmware', 'signal'];
  return `${kinds[index % kinds.length]}_${index}`;
}

function reading(number: number): Record<string, unknown> {
  const value = (index: number): unknown => {
    const kinds: readonly unknown[] = [
      21.5 + index / 10 + number / 100,
      40 + index + number,
      `SN-${10_000_000 + number * 31}-${index}`,
      { lat: 48.1234 + index, lon: 11.5 + number / 1_000 },
      number % 2 === 0,
      `Person number ${number} of building ${index}`,
      `v1.2.${number}-${index} (release, signed)`,
      `rssi -${50 + index} dBm, channel ${number % 11}`,
    ];
    return kinds[index % kinds.length];
  };
  return Object.fromEntries(FIELDS.map((name, index) => [name, value(index)]));
}

function ruleOf(parts: Partial<PrivacyRule>): PrivacyRule {
  const none = { keep: [], pseudonymise: [], tokenise: [] };
  return { name: 'bench', purpose: 'bench', ...none, coarsen: [], query: none, headers: none, path: none, ...parts };
}
