/** A gate whose every port is a plain function of the test, and arrivals to send through it. */
import type { Arrival } from '../../../src/exchange/arrival.ts';
import type { DecisionRecord, Gate, OutcomeRecord } from '../../../src/exchange/gate.ts';
import type { Outcome } from '../../../src/exchange/outcome.ts';
import type { Device, Peer } from '../../../src/exchange/peer.ts';
import type { Sealed } from '../../../src/exchange/sealed.ts';

export const PEER: Peer = {
  method: 'certificate',
  address: '10.0.3.17',
  key: 'ab'.repeat(32),
  names: ['URI:urn:sallyport:device:thermo-1'],
  issuer: 'CN=test',
  serial: '01',
  notBefore: 0,
  notAfter: 4_000_000_000_000,
  clientAuthentication: true,
};

export const DEVICE: Device = { id: 'thermo-1', segment: 'sensors', state: 'active', labels: {}, key: PEER.key };

export function arrivalOf(changes: Partial<Arrival> = {}): Arrival {
  return {
    id: '0198c1d2-0000-7000-8000-000000000001',
    protocol: 'https',
    listener: 'https',
    direction: 'toCloud',
    receivedAt: 1_700_000_000_000,
    peer: PEER,
    verb: 'POST',
    path: '/v1/telemetry',
    query: '',
    headers: [],
    contentType: 'application/json',
    body: { kind: 'bytes', bytes: new TextEncoder().encode('{"serial":"SN-1"}') },
    signal: new AbortController().signal,
    ...changes,
  };
}

export interface Trace {
  readonly steps: string[];
  readonly records: DecisionRecord[];
  readonly outcomes: OutcomeRecord[];
  readonly forwarded: Sealed[];
  readonly observed: Outcome[];
}

/** A gate that permits everything and traces what happens, with ports replaced as the test likes. */
export function gateOf(changes: Partial<Gate> = {}): { gate: Gate; trace: Trace } {
  const trace: Trace = { steps: [], records: [], outcomes: [], forwarded: [], observed: [] };
  const { steps } = trace;
  let micros = 0;
  const gate: Gate = {
    identifier: {
      identify: () => {
        steps.push('identify');
        return DEVICE;
      },
      admit: () => undefined,
    },
    decider: {
      revision: 'r1',
      decide: () => {
        steps.push('decide');
        return { allow: true, obligations: { route: 'sensors/telemetry', upstream: 'cloud', privacy: 'readings' } };
      },
    },
    transformer: {
      decode: () => ({ json: '{"serial":"SN-1"}' }),
      transform: ({ identified: { arrival } }) => {
        steps.push('transform');
        const { verb, path, query, headers, contentType } = arrival;
        return {
          verb,
          path,
          query,
          headers,
          contentType,
          body: { kind: 'bytes', bytes: new TextEncoder().encode('{}') },
        };
      },
      transformReply: (_, reply) => {
        steps.push('transform-reply');
        return reply;
      },
      redactPath: (path) => path,
    },
    recorder: {
      record: async (record) => {
        steps.push(`record-${record.verdict}`);
        trace.records.push(record);
      },
      outcome: (record) => trace.outcomes.push(record),
    },
    forwarder: {
      forward: async (sealed) => {
        steps.push('forward');
        trace.forwarded.push(sealed);
        return { status: 200, headers: [], contentType: '', body: { kind: 'empty' } };
      },
    },
    now: () => 1_700_000_000_000,
    micros: () => micros++,
    decisionId: () => '0198c1d2-0000-7000-8000-000000000002',
    observe: (_, outcome) => trace.observed.push(outcome),
    ...changes,
  };
  return { gate, trace };
}
