/**
 * What the gateway counts. Every label has a closed set of values, declared here or by the configuration; a device's id is
 * never one of them. docs/metrics.md is generated from METRICS.
 */
import type { Arrival, Protocol } from '../exchange/arrival.ts';
import type { DecisionRecord } from '../exchange/gate.ts';
import type { Outcome } from '../exchange/outcome.ts';
import { DENIALS, FAULTS, type FaultCode, type Reason } from '../faults/catalogue.ts';
import { DROPS, type DropReason } from '../faults/drop.ts';
import { ProcessGauges } from './process-gauges.ts';
import { Counter, Gauge, Histogram, Info, type MetricDefinition, type Series } from './series.ts';

/** Keyed by the type, so that a protocol cannot be forgotten. */
const EACH_PROTOCOL: Readonly<Record<Protocol, true>> = {
  https: true,
  websocket: true,
  coaps: true,
  mqtt: true,
  egress: true,
};
const EACH_VERDICT: Readonly<Record<DecisionRecord['verdict'], true>> = { permitted: true, denied: true, failed: true };

const PROTOCOLS = Object.keys(EACH_PROTOCOL);
const VERDICTS = Object.keys(EACH_VERDICT);
const FAULT_CODES = Object.keys(FAULTS);
/** `none`: permitted, and delivered. */
const REASONS = ['none', ...Object.keys(DENIALS), ...FAULT_CODES];
const UPSTREAM_OUTCOMES = ['1xx', '2xx', '3xx', '4xx', '5xx', ...FAULT_CODES];

export type UpstreamOutcome = '1xx' | '2xx' | '3xx' | '4xx' | '5xx' | FaultCode;

const DECISION_SECONDS = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
];
const EXCHANGE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const COMMIT_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

const DEFINITIONS = {
  exchanges: {
    name: 'sallyport_exchanges_total',
    type: 'counter',
    labels: ['protocol', 'verdict', 'reason'],
    help: 'Exchanges that ended, by verdict and by denial reason or fault code (none: delivered).',
  },
  drops: {
    name: 'sallyport_drops_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Connections and messages that ended before there was anything to decide.',
  },
  refusals: {
    name: 'sallyport_refusals_total',
    type: 'counter',
    labels: ['code'],
    help: 'Requests that a listener refused before they became an exchange.',
  },
  dtlsDrops: {
    name: 'sallyport_dtls_drops_total',
    type: 'counter',
    labels: ['reason'],
    help: 'Datagrams and records that DTLS dropped in silence, by the closed list of src/dtls/stats.ts.',
  },
  coapRefusals: {
    name: 'sallyport_coap_refusals_total',
    type: 'counter',
    labels: ['reason'],
    help: 'CoAP messages dropped or refused before they became a request, by the closed lists of src/coap/stats.ts.',
  },
  decisionSeconds: {
    name: 'sallyport_decision_seconds',
    type: 'histogram',
    labels: [],
    help: 'Time that policy took to decide, seconds.',
  },
  exchangeSeconds: {
    name: 'sallyport_exchange_seconds',
    type: 'histogram',
    labels: ['protocol'],
    help: 'Time from the arrival of a message to the end of its exchange, seconds.',
  },
  upstreamRequests: {
    name: 'sallyport_upstream_requests_total',
    type: 'counter',
    labels: ['upstream', 'outcome'],
    help: 'Messages sent to an upstream, by class of status or by fault code.',
  },
  connections: {
    name: 'sallyport_connections',
    type: 'gauge',
    labels: ['protocol'],
    help: 'Live connections and channels.',
  },
  policyRevision: {
    name: 'sallyport_policy_revision_info',
    type: 'gauge',
    labels: ['revision'],
    help: 'The revision of policy, data and configuration that decides now; always 1.',
  },
  ledgerRecords: {
    name: 'sallyport_ledger_records_total',
    type: 'counter',
    labels: [],
    help: 'Records on the disk.',
  },
  ledgerBytes: {
    name: 'sallyport_ledger_bytes_total',
    type: 'counter',
    labels: [],
    help: 'Bytes of records on the disk.',
  },
  ledgerFailures: {
    name: 'sallyport_ledger_failures_total',
    type: 'counter',
    labels: [],
    help: 'Failed writes of the ledger and failed attempts to go on; while it fails, everything is refused.',
  },
  ledgerCommitSeconds: {
    name: 'sallyport_ledger_commit_seconds',
    type: 'histogram',
    labels: [],
    help: 'Time for a group of records to get to the disk, seconds.',
  },
  ledgerQueued: {
    name: 'sallyport_ledger_queued',
    type: 'gauge',
    labels: [],
    help: 'Records that wait for the disk.',
  },
  ledgerLostOutcomes: {
    name: 'sallyport_ledger_lost_outcomes',
    type: 'gauge',
    labels: [],
    help: 'Outcomes of permitted exchanges since the start that found the ledger’s queue full.',
  },
  logDropped: {
    name: 'sallyport_log_dropped_characters_total',
    type: 'counter',
    labels: [],
    help: 'Characters of log lines that nobody read in time.',
  },
} as const satisfies Record<string, MetricDefinition>;

/** Every metric, in the order of the page. */
export const METRICS: readonly MetricDefinition[] = [...Object.values(DEFINITIONS), ...ProcessGauges.definitions];

/** The content type of Prometheus text format 0.0.4. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export class Metrics {
  readonly exchanges = new Counter<[Protocol, DecisionRecord['verdict'], Reason | FaultCode | 'none']>(
    DEFINITIONS.exchanges,
    [PROTOCOLS, VERDICTS, REASONS],
  );
  readonly #drops = new Counter<[DropReason]>(DEFINITIONS.drops, [Object.keys(DROPS)]);
  readonly refusals = new Counter<[FaultCode]>(DEFINITIONS.refusals, [FAULT_CODES]);
  /** Their reasons are the libraries', and made known with `declare` when there is such a listener. */
  readonly dtlsDrops = new Counter<[string]>(DEFINITIONS.dtlsDrops, [[]]);
  readonly coapRefusals = new Counter<[string]>(DEFINITIONS.coapRefusals, [[]]);
  readonly decisionSeconds = new Histogram<[]>(DEFINITIONS.decisionSeconds, [], DECISION_SECONDS);
  readonly exchangeSeconds = new Histogram<[Protocol]>(DEFINITIONS.exchangeSeconds, [PROTOCOLS], EXCHANGE_SECONDS);
  /** Upstreams are made known with `declare`; what is not counts as `other`. */
  readonly upstreamRequests = new Counter<[string, UpstreamOutcome]>(DEFINITIONS.upstreamRequests, [
    ['device'],
    UPSTREAM_OUTCOMES,
  ]);
  readonly connections = new Gauge<[Protocol]>(DEFINITIONS.connections, [PROTOCOLS]);
  readonly policyRevision = new Info(DEFINITIONS.policyRevision);
  readonly ledgerRecords = new Counter<[]>(DEFINITIONS.ledgerRecords, []);
  readonly ledgerBytes = new Counter<[]>(DEFINITIONS.ledgerBytes, []);
  readonly ledgerFailures = new Counter<[]>(DEFINITIONS.ledgerFailures, []);
  readonly ledgerCommitSeconds = new Histogram<[]>(DEFINITIONS.ledgerCommitSeconds, [], COMMIT_SECONDS);
  readonly ledgerQueued = new Gauge<[]>(DEFINITIONS.ledgerQueued, []);
  readonly ledgerLostOutcomes = new Gauge<[]>(DEFINITIONS.ledgerLostOutcomes, []);
  readonly logDropped = new Counter<[]>(DEFINITIONS.logDropped, []);
  readonly #process = new ProcessGauges();

  /** @param upstreams names of the configured upstreams */
  constructor(upstreams: Iterable<string> = []) {
    for (const name of upstreams) this.upstreamRequests.declare(name);
  }

  /** An exchange that ended, after `tookMicros` microseconds. */
  exchange({ protocol }: Arrival, outcome: Outcome, tookMicros: number): void {
    this.exchangeSeconds.observe(tookMicros / 1e6, protocol);
    if (outcome.kind === 'delivered') this.exchanges.add(protocol, 'permitted', 'none');
    else if (outcome.kind === 'denied') this.exchanges.add(protocol, 'denied', outcome.reason);
    else this.exchanges.add(protocol, 'failed', outcome.fault.code);
  }

  /** A permitted message, by where it went and what became of it. */
  upstream(name: string, outcome: Outcome): void {
    if (outcome.kind === 'denied') return;
    const result = outcome.kind === 'failed' ? outcome.fault.code : upstreamOutcome(outcome.reply.reply.status);
    this.upstreamRequests.add(name.startsWith('device:') ? 'device' : name, result);
  }

  drop(reason: DropReason): void {
    this.#drops.add(reason);
  }

  /** Drops so far, by reason. */
  drops(): Record<string, number> {
    return Object.fromEntries([...this.#drops.entries()].map(([[reason], count]) => [reason, count]));
  }

  refusal(code: FaultCode): void {
    this.refusals.add(code);
  }

  /** A group of records that got to the disk. */
  ledgerCommit(records: number, bytes: number, tookMicros: number): void {
    this.ledgerRecords.addMany(records);
    this.ledgerBytes.addMany(bytes);
    this.ledgerCommitSeconds.observe(tookMicros / 1e6);
  }

  /** Everything in Prometheus text format 0.0.4. */
  render(): string {
    const series: readonly Series[] = [
      this.exchanges,
      this.#drops,
      this.refusals,
      this.dtlsDrops,
      this.coapRefusals,
      this.decisionSeconds,
      this.exchangeSeconds,
      this.upstreamRequests,
      this.connections,
      this.policyRevision,
      this.ledgerRecords,
      this.ledgerBytes,
      this.ledgerFailures,
      this.ledgerCommitSeconds,
      this.ledgerQueued,
      this.ledgerLostOutcomes,
      this.logDropped,
      this.#process,
    ];
    return series.map((one) => one.render()).join('');
  }

  /** Stops watching the event loop. */
  close(): void {
    this.#process.close();
  }
}

/** The class of an upstream's status. */
export function upstreamOutcome(status: number): UpstreamOutcome {
  if (status < 200) return '1xx';
  if (status < 300) return '2xx';
  if (status < 400) return '3xx';
  return status < 500 ? '4xx' : '5xx';
}
