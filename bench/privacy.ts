/**
 * What the privacy step costs, beside JSON.parse and JSON.stringify of the same bytes: a document of about 1 KB with 30
 * fields of which 4 become pseudonyms. `node bench/privacy.ts [rounds]`. The two alternate in short rounds, so that a busy
 * machine slows both, and the median of the ratios counts. Every document differs from the last. Prints one JSON line per measurement.
 */
import { setImmediate } from 'node:timers/promises';
import { DEFAULT_LIMITS, type PrivacyRule } from '../src/config/settings.ts';
import { Disguise } from '../src/privacy/disguise.ts';
import { noFields } from '../src/privacy/field-counts.ts';
import { parseJson } from '../src/privacy/json.ts';
import { PrivacyKeys } from '../src/privacy/keys.ts';
import { minimise } from '../src/privacy/minimise.ts';
import { compileRule } from '../src/privacy/selectors.ts';

const ROUNDS = Number(process.argv[2] ?? 1_000);
const BATCH = 100;
const DOCUMENTS = 256;
/** The goal: no more than this many times the cost of JSON.parse and JSON.stringify. */
const GOAL = 3;

const FIELDS = Array.from({ length: 30 }, (_, index) => fieldName(index));
const SERIALS = FIELDS.filter((name) => name.startsWith('serial'));
const OTHERS = FIELDS.filter((name) => !SERIALS.includes(name));
const disguise = new Disguise(PrivacyKeys.generate(), 'bench');

await compare('30 fields, 26 kept, 4 pseudonyms', 0, { keep: OTHERS, pseudonymise: SERIALS }, GOAL);
await compare('30 fields, 26 kept, 4 pseudonyms, indented', 2, { keep: OTHERS, pseudonymise: SERIALS }, GOAL);
await compare('30 fields, 10 kept, 4 pseudonyms', 0, {
  keep: FIELDS.filter((name) => /^(temp|hum|batt)/.test(name)),
  pseudonymise: SERIALS,
});
await compare('30 fields, all kept', 0, { keep: ['*'] });
await compare('30 fields, 26 kept, 4 tokens', 0, { keep: OTHERS, tokenise: SERIALS });

async function compare(name: string, indent: number, parts: Partial<PrivacyRule>, goal?: number): Promise<void> {
  const documents = Array.from({ length: DOCUMENTS }, (_, number) =>
    Buffer.from(JSON.stringify(reading(number), null, indent)),
  );
  const { payload, problems } = compileRule(ruleOf(parts));
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  const counts = noFields();
  const native = (bytes: Buffer) => Buffer.from(JSON.stringify(JSON.parse(bytes.toString())));
  const ours = (bytes: Buffer) => Buffer.from(minimise(parseJson(bytes, DEFAULT_LIMITS), payload, disguise, counts));

  const micros: Record<'native' | 'ours', number[]> = { native: [], ours: [] };
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [nativeMicros, oursMicros] = [perDocument(native, documents, round), perDocument(ours, documents, round)];
    micros.native.push(nativeMicros);
    micros.ours.push(oursMicros);
    ratios.push(oursMicros / nativeMicros);
    // As in the gateway: the loop turns, and what node:crypto allocated outside the heap can be given back.
    await setImmediate();
  }
  const [nativeMicros, oursMicros] = [median(micros.native), median(micros.ours)];
  const ratio = median(ratios);
  const bytes = documents[0]?.length;
  console.log(
    JSON.stringify({
      name,
      bytes,
      nativeMicros,
      oursMicros,
      ratio,
      ...(goal !== undefined && { goal, met: ratio <= goal }),
    }),
  );
}

function perDocument(act: (bytes: Buffer) => Buffer, documents: readonly Buffer[], round: number): number {
  let length = 0;
  const started = process.hrtime.bigint();
  for (let index = 0; index < BATCH; index += 1)
    length += act(documents[(round * BATCH + index) % DOCUMENTS] as Buffer).length;
  const micros = Number(process.hrtime.bigint() - started) / 1_000 / BATCH;
  if (length === 0) throw new Error('nothing was written');
  return micros;
}

/** The first quarter warms up. */
function median(values: readonly number[]): number {
  const sorted = values.slice(values.length / 4).sort((a, b) => a - b);
  return Number((sorted[sorted.length >> 1] as number).toFixed(2));
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
