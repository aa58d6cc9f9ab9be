/** Records to try the ledger with. */
import type { DecisionRecord } from '../../../src/exchange/gate.ts';

/** A UUIDv7 made at `time`, the `count`-th of its millisecond. */
export function decisionId(time: number, count = 0): string {
  const stamp = time.toString(16).padStart(12, '0');
  return `${stamp.slice(0, 8)}-${stamp.slice(8)}-7000-8000-${count.toString(16).padStart(12, '0')}`;
}

export const START = Date.UTC(2026, 10, 22, 14, 3, 11);

export function sample(count: number, change: Partial<DecisionRecord> = {}): DecisionRecord {
  const time = START + count;
  return {
    decision: decisionId(time, count),
    time,
    verdict: 'permitted',
    reasons: [],
    revision: '7',
    device: { id: `thermo-${count % 3}`, segment: 'sensors', state: 'active' },
    peer: { address: '10.0.3.17', key: 'ab'.repeat(32), serial: '5F0A112233' },
    action: {
      protocol: 'https',
      verb: 'POST',
      resource: '/v1/telemetry',
      direction: 'toCloud',
      contentType: 'application/json',
      bytes: 57,
    },
    obligations: { route: 'sensors/telemetry', upstream: 'cloud', privacy: 'readings' },
    tookMicros: 6,
    ...change,
  };
}

/** The same every time: a small generator for positions and bytes (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
