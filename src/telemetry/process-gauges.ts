/** What the process itself uses: memory, processor, and how late the event loop is. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Gauge, type MetricDefinition, type Series } from './series.ts';

const DEFINITIONS = {
  memory: {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Resident memory, bytes.',
  },
  cpu: {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    labels: [],
    help: 'Processor time of the process, seconds.',
  },
  startTime: {
    name: 'process_start_time_seconds',
    type: 'gauge',
    labels: [],
    help: 'When the process started, seconds since the epoch.',
  },
  uptime: {
    name: 'sallyport_uptime_seconds',
    type: 'gauge',
    labels: [],
    help: 'How long the process has run, seconds.',
  },
  eventLoopLag: {
    name: 'sallyport_event_loop_lag_p99_seconds',
    type: 'gauge',
    labels: [],
    help: '99th percentile of the delay of the event loop during the last minute or less, seconds.',
  },
} as const satisfies Record<string, MetricDefinition>;

const LAG_WINDOW_MS = 60_000;
const LAG_RESOLUTION_MS = 20;

export class ProcessGauges implements Series {
  static readonly definitions: readonly MetricDefinition[] = Object.values(DEFINITIONS);

  readonly #memory = new Gauge<[]>(DEFINITIONS.memory, []);
  readonly #cpu = new Gauge<[]>(DEFINITIONS.cpu, []);
  readonly #startTime = new Gauge<[]>(DEFINITIONS.startTime, []);
  readonly #uptime = new Gauge<[]>(DEFINITIONS.uptime, []);
  readonly #eventLoopLag = new Gauge<[]>(DEFINITIONS.eventLoopLag, []);
  readonly #delay = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  #delaySince = performance.now();

  constructor() {
    this.#delay.enable();
  }

  render(): string {
    const { user, system } = process.cpuUsage();
    this.#memory.set(process.memoryUsage.rss());
    this.#cpu.set((user + system) / 1e6);
    this.#startTime.set(Math.round(performance.timeOrigin) / 1_000);
    this.#uptime.set(process.uptime());
    this.#eventLoopLag.set(this.#lagSeconds());
    return [this.#memory, this.#cpu, this.#startTime, this.#uptime, this.#eventLoopLag]
      .map((gauge) => gauge.render())
      .join('');
  }

  /** Stops watching the event loop. */
  close(): void {
    this.#delay.disable();
  }

  #lagSeconds(): number {
    // The histogram holds whole timer intervals; the delay is what they exceed the resolution by.
    const measured = this.#delay.count === 0 ? 0 : this.#delay.percentile(99) / 1e9 - LAG_RESOLUTION_MS / 1_000;
    if (performance.now() - this.#delaySince > LAG_WINDOW_MS) {
      this.#delay.reset();
      this.#delaySince = performance.now();
    }
    return Math.max(0, measured);
  }
}
