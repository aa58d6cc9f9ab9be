/**
 * Reads a page of the Prometheus text format 0.0.4 to its last line, more strictly than Prometheus does: HELP and TYPE come
 * once and first, nothing stands twice, histograms add up. Leaves out timestamps: a gateway has no reason to write any.
 */

export interface Sample {
  /** With `_bucket`, `_sum` or `_count` for histograms. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

export class Page {
  readonly families: ReadonlyMap<string, Family>;

  constructor(families: ReadonlyMap<string, Family>) {
    this.families = families;
  }

  /** The value of one series; 0 if it is not on the page. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = keyOf({ name, labels });
    const samples = [...this.families.values()].flatMap((family) => family.samples);
    return samples.find((sample) => keyOf(sample) === wanted)?.value ?? 0;
  }
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)+)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{([^}]*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\+Inf|NaN)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"$/;

/** Throws an Error with the line that is not right. */
export function readPage(text: string): Page {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current: { name: string; help: string } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const [, helped, help] = HELP.exec(line) ?? [];
    const [, typed, type] = TYPE.exec(line) ?? [];
    if (helped !== undefined && help !== undefined) {
      if (families.has(helped)) throw new Error(`twice: ${line}`);
      current = { name: helped, help };
    } else if (typed !== undefined && type !== undefined) {
      if (current?.name !== typed || families.has(typed)) throw new Error(`TYPE without its HELP: ${line}`);
      families.set(typed, { type, help: current.help, samples: [] });
    } else {
      const sample = sampleOf(line);
      const family = current && families.get(current.name);
      if (!family || !belongs(sample.name, current?.name ?? '', family.type)) throw new Error(`out of place: ${line}`);
      if (seen.has(keyOf(sample))) throw new Error(`twice: ${line}`);
      seen.add(keyOf(sample));
      family.samples.push(sample);
    }
  }
  for (const [name, family] of families) check(name, family);
  return new Page(families);
}

function sampleOf(line: string): Sample {
  const [, name, list, value] = SAMPLE.exec(line) ?? [];
  if (name === undefined || value === undefined) throw new Error(`not a line of the format: ${JSON.stringify(line)}`);
  const labels: Record<string, string> = {};
  for (const pair of list === undefined || list === '' ? [] : list.split(',')) {
    const [, label, text] = LABEL.exec(pair) ?? [];
    if (label === undefined || text === undefined || label in labels) throw new Error(`not a label: ${line}`);
    labels[label] = text;
  }
  return { name, labels, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) };
}

function belongs(sample: string, family: string, type: string): boolean {
  if (type !== 'histogram') return sample === family;
  return ['_bucket', '_sum', '_count'].some((suffix) => sample === family + suffix);
}

function check(name: string, { type, samples }: Family): void {
  if (samples.some(({ value }) => Number.isNaN(value))) throw new Error(`${name} is not a number`);
  if (type === 'counter' && samples.some(({ value }) => value < 0)) throw new Error(`${name} counts below zero`);
  if (type !== 'histogram') return;
  const groups = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => keyOf({ name: '', labels }));
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => (labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le)));
    const counts = buckets.map(({ value }) => value);
    const [count] = group.filter((sample) => sample.name === `${name}_count`);
    const sums = group.filter((sample) => sample.name === `${name}_sum`);
    const rises = (list: readonly number[], strictly: boolean) =>
      list.every((one, at) => at === 0 || one > (list[at - 1] as number) || (!strictly && one === list[at - 1]));
    if (!rises(bounds, true) || bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name}: bounds`);
    if (!rises(counts, false) || counts.at(-1) !== count?.value || sums.length !== 1)
      throw new Error(`${name}: counts`);
  }
}

function keyOf({ name, labels }: Pick<Sample, 'name' | 'labels'>): string {
  const pairs = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([name, pairs]);
}
