import { expect, it } from 'vitest';
import { mergePages } from '../../../src/telemetry/merge-pages.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';

const page = (rows: string) => `# HELP sallyport_drops_total Drops.\n# TYPE sallyport_drops_total counter\n${rows}`;

it('adds up what is counted, and keeps what only one has', () => {
  const merged = mergePages([
    page('sallyport_drops_total{reason="a"} 2\n'),
    page('sallyport_drops_total{reason="a"} 3\nsallyport_drops_total{reason="b"} 1\n'),
  ]);
  expect(merged).toBe(page('sallyport_drops_total{reason="a"} 5\nsallyport_drops_total{reason="b"} 1\n'));
});

it('counts of a process that ended stay, what it held does not', () => {
  const [live, ended] = [new Metrics(['cloud']), new Metrics(['cloud'])];
  live.connections.add(2, 'https');
  ended.connections.add(5, 'https');
  for (const one of [live, ended]) {
    one.drop('handshake-failed');
    one.ledgerCommit(3, 100, 200);
    one.policyRevision.set('r1');
    one.close();
  }
  const merged = mergePages([live.render()], [ended.render()]);
  expect(merged).toContain('sallyport_connections{protocol="https"} 2\n');
  expect(merged).toContain('sallyport_drops_total{reason="handshake-failed"} 2\n');
  expect(merged).toContain('sallyport_ledger_records_total 6\n');
  expect(merged).toContain('sallyport_ledger_commit_seconds_bucket{le="+Inf"} 2\n');
  expect(merged).toContain('sallyport_policy_revision_info{revision="r1"} 1\n');
});

it('a page alone is as it was', () => {
  const metrics = new Metrics(['cloud']);
  metrics.drop('handshake-failed');
  const rendered = metrics.render();
  metrics.close();
  expect(mergePages([rendered])).toBe(rendered);
});

it('what is no line of metrics gets nowhere', () => {
  const merged = mergePages([
    page('sallyport_drops_total 1\n'),
    page('<script>\n# EVIL\nsallyport_drops_total x\nother 1\n'),
  ]);
  expect(merged).toBe(page('sallyport_drops_total 1\n'));
});
