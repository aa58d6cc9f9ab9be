/**
 * Counters, gauges and histograms over closed label sets: typed arrays and an index, no allocation per event, and no way for
 * a peer to bring new series into being. Rendered as Prometheus text format 0.0.4.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram';

export interface MetricDefinition {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly labels: readonly string[];
}

/** Where a value lands that was never declared. */
const OTHER = 'other';

/** Most values that a label can be given after the start (upstreams of reloaded configurations). */
const MAX_VALUES = 1_024;

/** Vectors up to this many cells are shown with their zeros, so that a rate begins where the counter does. */
const MAX_ZEROS = 128;

/** The index of label values to cells. */
class Cells {
  readonly labels: readonly string[];
  readonly #values: string[][];
  readonly #indices: ReadonlyMap<string, number>[];

  constructor(labels: readonly string[], values: readonly (readonly string[])[]) {
    this.labels = labels;
    this.#values = values.map((set) => [OTHER, ...set.filter((value) => value !== OTHER)]);
    this.#indices = this.#values.map((set) => new Map(set.map((value, index) => [value, index])));
  }

  get size(): number {
    return this.#values.reduce((product, set) => product * set.length, 1);
  }

  at(values: readonly string[]): number {
    let cell = 0;
    for (let label = 0; label < this.#indices.length; label++) {
      cell = cell * this.#values[label]!.length + (this.#indices[label]!.get(values[label]!) ?? 0);
    }
    return cell;
  }

  /** Adds a value to the first label: the slowest to vary, so that the cells there are keep their places. */
  declare(value: string): boolean {
    const [set] = this.#values;
    if (!set || set.includes(value) || set.length >= MAX_VALUES) return false;
    set.push(value);
    this.#indices[0] = new Map(set.map((one, index) => [one, index]));
    return true;
  }

  /** Label values of a cell. */
  valuesAt(cell: number): string[] {
    const values: string[] = [];
    for (let label = this.#values.length - 1; label >= 0; label--) {
      const set = this.#values[label]!;
      values.unshift(set[cell % set.length]!);
      cell = Math.floor(cell / set.length);
    }
    return values;
  }

  /** Cells to show, given which are not zero. */
  *shown(isZero: (cell: number) => boolean): Generator<[cell: number, labels: string]> {
    const size = this.size;
    for (let cell = 0; cell < size; cell++) {
      const zero = isZero(cell);
      if (zero && size > MAX_ZEROS) continue;
      const values = this.valuesAt(cell);
      if (zero && values.includes(OTHER)) continue;
      yield [cell, values.map((value, label) => `${this.labels[label]}="${labelText(value)}"`).join(',')];
    }
  }
}

function labelText(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function head({ name, type, help }: MetricDefinition): string {
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`;
}

function sample(name: string, labels: string, value: number): string {
  return `${name}${labels === '' ? '' : `{${labels}}`} ${numeral(value)}\n`;
}

function numeral(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

export interface Series {
  render(): string;
}

/** One number per combination of label values: a counter or a gauge. */
class Numbers<Labels extends readonly string[]> implements Series {
  readonly #definition: MetricDefinition;
  readonly #cells: Cells;
  #numbers: Float64Array;

  constructor(definition: MetricDefinition, values: readonly (readonly string[])[]) {
    this.#definition = definition;
    this.#cells = new Cells(definition.labels, values);
    this.#numbers = new Float64Array(this.#cells.size);
  }

  /** Adds to the cell; `amount` may be negative for a gauge. */
  protected change(amount: number, labels: Labels): void {
    this.#numbers[this.#cells.at(labels)]! += amount;
  }

  protected assign(value: number, labels: Labels): void {
    this.#numbers[this.#cells.at(labels)] = value;
  }

  /** What the cell holds. */
  value(...labels: Labels): number {
    return this.#numbers[this.#cells.at(labels)]!;
  }

  /** Cells that are not zero, by their label values. */
  *entries(): Generator<[values: readonly string[], number: number]> {
    for (let cell = 0; cell < this.#numbers.length; cell++) {
      if (this.#numbers[cell] !== 0) yield [this.#cells.valuesAt(cell), this.#numbers[cell]!];
    }
  }

  /** Makes a value of the first label known. */
  declare(value: string): void {
    if (!this.#cells.declare(value)) return;
    const larger = new Float64Array(this.#cells.size);
    larger.set(this.#numbers);
    this.#numbers = larger;
  }

  render(): string {
    let text = head(this.#definition);
    for (const [cell, labels] of this.#cells.shown((one) => this.#numbers[one] === 0)) {
      text += sample(this.#definition.name, labels, this.#numbers[cell]!);
    }
    return text;
  }
}

export class Counter<Labels extends readonly string[]> extends Numbers<Labels> {
  add(...labels: Labels): void {
    this.change(1, labels);
  }

  addMany(amount: number, ...labels: Labels): void {
    if (amount > 0) this.change(amount, labels);
  }
}

export class Gauge<Labels extends readonly string[]> extends Numbers<Labels> {
  #read: (() => number) | undefined;

  set(value: number, ...labels: Labels): void {
    this.assign(value, labels);
  }

  add(amount: number, ...labels: Labels): void {
    this.change(amount, labels);
  }

  /** For a gauge without labels: asked at each rendering. */
  from(read: () => number): void {
    this.#read = read;
  }

  override render(): string {
    if (this.#read) this.assign(this.#read(), [] as readonly string[] as Labels);
    return super.render();
  }
}

export class Histogram<Labels extends readonly string[]> implements Series {
  readonly #definition: MetricDefinition;
  readonly #bounds: Float64Array;
  readonly #cells: Cells;
  /** Per cell: one count per bound, the count above all bounds, the sum. */
  readonly #numbers: Float64Array;
  readonly #width: number;

  constructor(definition: MetricDefinition, values: readonly (readonly string[])[], bounds: readonly number[]) {
    this.#definition = definition;
    this.#bounds = Float64Array.from(bounds);
    this.#cells = new Cells(definition.labels, values);
    this.#width = bounds.length + 2;
    this.#numbers = new Float64Array(this.#cells.size * this.#width);
  }

  observe(value: number, ...labels: Labels): void {
    const start = this.#cells.at(labels) * this.#width;
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    this.#numbers[start + bucket]! += 1;
    this.#numbers[start + this.#width - 1]! += value;
  }

  /** How many values were observed. */
  count(...labels: Labels): number {
    return this.#countAt(this.#cells.at(labels));
  }

  render(): string {
    const { name } = this.#definition;
    let text = head(this.#definition);
    for (const [cell, labels] of this.#cells.shown((one) => this.#countAt(one) === 0)) {
      const start = cell * this.#width;
      let count = 0;
      for (let bucket = 0; bucket <= this.#bounds.length; bucket++) {
        count += this.#numbers[start + bucket]!;
        const bound = numeral(this.#bounds[bucket] ?? Number.POSITIVE_INFINITY);
        text += sample(`${name}_bucket`, `${labels === '' ? '' : `${labels},`}le="${bound}"`, count);
      }
      text += sample(`${name}_sum`, labels, this.#numbers[start + this.#width - 1]!);
      text += sample(`${name}_count`, labels, count);
    }
    return text;
  }

  #countAt(cell: number): number {
    const start = cell * this.#width;
    let count = 0;
    for (let bucket = 0; bucket <= this.#bounds.length; bucket++) count += this.#numbers[start + bucket]!;
    return count;
  }
}

/** A gauge of value 1 whose label tells something: which revision is active. */
export class Info implements Series {
  readonly #definition: MetricDefinition;
  #value: string | undefined;

  constructor(definition: MetricDefinition) {
    this.#definition = definition;
  }

  set(value: string): void {
    this.#value = value.slice(0, 128);
  }

  render(): string {
    const text = head(this.#definition);
    if (this.#value === undefined) return text;
    return text + sample(this.#definition.name, `${this.#definition.labels[0]}="${labelText(this.#value)}"`, 1);
  }
}
