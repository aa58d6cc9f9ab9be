import { describe, expect, it } from 'vitest';
import { DENIALS, FAULTS } from '../../../src/faults/catalogue.ts';
import { DROPS } from '../../../src/faults/drop.ts';
import { METRICS, Metrics, upstreamOutcome } from '../../../src/telemetry/metrics.ts';
import { Counter, Gauge, Histogram, Info } from '../../../src/telemetry/series.ts';

/** Samples of an exposition: name with labels -> value. Fails on any line that is not of the format. */
function samplesOf(text: string): Map<string, number> {
  expect(text.endsWith('\n')).toBe(true);
  const samples = new Map<string, number>();
  for (const line of text.split('\n').slice(0, -1)) {
    if (/^# (HELP|TYPE) [a-z0-9_]+ /.test(line)) continue;
    const match = /^([a-z0-9_]+(?:\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,|(?=\})))+\})?) (-?[0-9.e+-]+|\+Inf)$/.exec(
      line,
    );
    if (!match) expect.fail(`not a sample: ${line}`);
    expect(samples.has(match[1]!)).toBe(false);
    samples.set(match[1]!, Number(match[2]));
  }
  return samples;
}

describe('series', () => {
  const definition = {
    name: 'things_total',
    type: 'counter',
    help: 'Back\\slash\nand line.',
    labels: ['colour', 'size'],
  } as const;

  it('count by label, and start from a visible zero', () => {
    const counter = new Counter<['red' | 'blue', 'big' | 'small']>(definition, [
      ['red', 'blue'],
      ['big', 'small'],
    ]);
    counter.add('red', 'small');
    counter.addMany(4, 'red', 'small');
    counter.addMany(-3, 'red', 'small');
    expect(counter.value('red', 'small')).toBe(5);
    expect(samplesOf(counter.render())).toEqual(
      new Map([
        ['things_total{colour="red",size="big"}', 0],
        ['things_total{colour="red",size="small"}', 5],
        ['things_total{colour="blue",size="big"}', 0],
        ['things_total{colour="blue",size="small"}', 0],
      ]),
    );
    expect(counter.render().split('\n').slice(0, 2)).toEqual([
      '# HELP things_total Back\\\\slash\\nand line.',
      '# TYPE things_total counter',
    ]);
  });

  it('put what was never declared under other: a peer cannot make series', () => {
    const counter = new Counter<[string, string]>(definition, [['red'], ['big']]);
    for (let count = 0; count < 1_000; count++) counter.add(`colour-${count}`, '__proto__');
    expect(samplesOf(counter.render())).toEqual(
      new Map([
        ['things_total{colour="other",size="other"}', 1_000],
        ['things_total{colour="red",size="big"}', 0],
      ]),
    );
  });

  it('keep their counts when a value is declared later', () => {
    const counter = new Counter<[string, string]>(definition, [['red'], ['big', 'small']]);
    counter.add('red', 'small');
    counter.declare('green');
    counter.declare('green');
    counter.add('green', 'big');
    expect([counter.value('red', 'small'), counter.value('green', 'big'), counter.value('green', 'small')]).toEqual([
      1, 1, 0,
    ]);
    for (let count = 0; count < 5_000; count++) counter.declare(`c${count}`);
    counter.add('c4999', 'big');
    expect(counter.value('other', 'big')).toBe(1);
  });

  it('escape label values', () => {
    const counter = new Counter<[string, string]>(definition, [['a"b\\c\nd'], ['x']]);
    counter.add('a"b\\c\nd', 'x');
    expect(counter.render()).toContain('things_total{colour="a\\"b\\\\c\\nd",size="x"} 1\n');
  });

  it('gauges go up and down, or ask', () => {
    const gauge = new Gauge<[]>({ ...definition, type: 'gauge', labels: [] }, []);
    gauge.add(3);
    gauge.add(-2);
    expect(samplesOf(gauge.render())).toEqual(new Map([['things_total', 1]]));
    gauge.from(() => 9);
    expect(samplesOf(gauge.render())).toEqual(new Map([['things_total', 9]]));
  });

  it('histograms are cumulative', () => {
    const histogram = new Histogram<['a' | 'b']>(
      { ...definition, name: 'took', type: 'histogram', labels: ['p'] },
      [['a', 'b']],
      [0.1, 1],
    );
    for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value, 'a');
    expect(histogram.count('a')).toBe(4);
    const samples = samplesOf(histogram.render());
    expect(samples.get('took_bucket{p="a",le="0.1"}')).toBe(2);
    expect(samples.get('took_bucket{p="a",le="1"}')).toBe(3);
    expect(samples.get('took_bucket{p="a",le="+Inf"}')).toBe(4);
    expect(samples.get('took_count{p="a"}')).toBe(4);
    expect(samples.get('took_sum{p="a"}')).toBeCloseTo(7.65);
    expect(samples.get('took_count{p="b"}')).toBe(0);
  });

  it('info shows one value at a time', () => {
    const info = new Info({ ...definition, name: 'revision_info', type: 'gauge', labels: ['revision'] });
    info.set('6');
    info.set('7');
    expect(samplesOf(info.render())).toEqual(new Map([['revision_info{revision="7"}', 1]]));
  });
});

describe('the gateway’s metrics', () => {
  it('are the ones of the table, each with its help and type, in valid text', () => {
    const metrics = new Metrics(['cloud']);
    metrics.policyRevision.set('7');
    metrics.connections.add(1, 'https');
    metrics.upstreamRequests.add('cloud', '2xx');
    metrics.exchanges.add('https', 'denied', 'no-route');
    const text = metrics.render();
    metrics.close();
    const samples = samplesOf(text);
    for (const { name, type, help } of METRICS)
      expect(text).toContain(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`);
    expect(text.match(/^# TYPE /gm)).toHaveLength(METRICS.length);
    expect(samples.get('sallyport_exchanges_total{protocol="https",verdict="denied",reason="no-route"}')).toBe(1);
    expect(samples.get('sallyport_upstream_requests_total{upstream="cloud",outcome="2xx"}')).toBe(1);
    expect(samples.get('process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(samples.get('sallyport_event_loop_lag_p99_seconds')).toBeGreaterThanOrEqual(0);
    for (const reason of Object.keys(DROPS)) expect(samples.get(`sallyport_drops_total{reason="${reason}"}`)).toBe(0);
  });

  it('know every reason and code of the catalogue', () => {
    const metrics = new Metrics();
    for (const reason of Object.keys(DENIALS)) metrics.exchanges.add('mqtt', 'denied', reason as keyof typeof DENIALS);
    for (const code of Object.keys(FAULTS)) {
      metrics.exchanges.add('coaps', 'failed', code as keyof typeof FAULTS);
      metrics.refusal(code as keyof typeof FAULTS);
    }
    for (const reason of Object.keys(DROPS)) metrics.drop(reason as keyof typeof DROPS);
    expect(metrics.render()).not.toContain('"other"');
    expect(metrics.drops()).toEqual(Object.fromEntries(Object.keys(DROPS).map((reason) => [reason, 1])));
    metrics.close();
  });

  it('never have a label that names a device, an address or a key', () => {
    const labels = new Set(METRICS.flatMap((metric) => [...metric.labels]));
    expect([...labels].sort()).toEqual(['code', 'outcome', 'protocol', 'reason', 'revision', 'upstream', 'verdict']);
  });

  it('count the ledger’s groups', () => {
    const metrics = new Metrics();
    metrics.ledgerCommit(16, 9_600, 700);
    metrics.ledgerCommit(4, 2_400, 300);
    const samples = samplesOf(metrics.render());
    metrics.close();
    expect(samples.get('sallyport_ledger_records_total')).toBe(20);
    expect(samples.get('sallyport_ledger_bytes_total')).toBe(12_000);
    expect(samples.get('sallyport_ledger_commit_seconds_bucket{le="0.0005"}')).toBe(1);
    expect(samples.get('sallyport_ledger_commit_seconds_count')).toBe(2);
  });

  it('class an upstream’s status', () => {
    expect([101, 204, 302, 404, 503].map(upstreamOutcome)).toEqual(['1xx', '2xx', '3xx', '4xx', '5xx']);
  });
});
