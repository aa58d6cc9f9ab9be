/**
 * One page of metrics of several processes' pages: counts and sizes are added up. What cannot be added is in REDUCED. Counts
 * of processes that ended stay in the sums, for a counter that goes back looks like a start to whoever reads it.
 */

const REDUCED: Readonly<Record<string, (a: number, b: number) => number>> = {
  sallyport_policy_revision_info: Math.max,
  process_start_time_seconds: Math.min,
  sallyport_uptime_seconds: Math.max,
  sallyport_event_loop_lag_p99_seconds: Math.max,
};

interface Family {
  readonly head: string;
  readonly type: string;
  readonly samples: Map<string, number>;
}

/**
 * @param live pages of processes that run, the one whose order counts first
 * @param ended last pages of processes that ended
 */
export function mergePages(live: readonly string[], ended: readonly string[] = []): string {
  const families = new Map<string, Family>();
  for (const page of live) add(families, page, true);
  for (const page of ended) add(families, page, false);
  let text = '';
  for (const { head, samples } of families.values()) {
    text += head;
    for (const [name, value] of samples) text += `${name} ${numeral(value)}\n`;
  }
  return text;
}

const SAMPLE = /^([a-z_][a-z0-9_]{1,80}(?:\{[^\n]{1,500}\})?) (-?\d[\d.e+-]{0,30}|[+-]Inf|NaN)$/;

function add(families: Map<string, Family>, page: string, alive: boolean): void {
  let name = '';
  let head = '';
  for (const line of page.split('\n')) {
    if (line.startsWith('# HELP ')) head = `${line}\n`;
    else if (line.startsWith('# TYPE ')) {
      const [, , called = '', type = ''] = line.split(' ');
      name = called;
      if (alive && !families.has(name)) families.set(name, { head: `${head}${line}\n`, type, samples: new Map() });
    } else sum(families.get(name), name, line, alive);
  }
}

function sum(family: Family | undefined, name: string, line: string, alive: boolean): void {
  const match = SAMPLE.exec(line);
  if (!family || !match || (!alive && family.type === 'gauge')) return;
  const [, key = '', text = ''] = match;
  if (!key.startsWith(name)) return;
  const value = Number(text.replace('Inf', 'Infinity'));
  const before = family.samples.get(key);
  family.samples.set(key, before === undefined ? value : (REDUCED[name] ?? ((a, b) => a + b))(before, value));
}

function numeral(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}
