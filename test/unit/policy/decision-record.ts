/** What the ledger would keep of a denial, for tests that explain it. */
import type { Protocol } from '../../../src/exchange/arrival.ts';
import type { DecisionRecord } from '../../../src/exchange/gate.ts';
import type { Reason } from '../../../src/faults/catalogue.ts';
import type { PolicyInput } from '../../../src/policy/input.ts';

/** @param resource the path as the ledger has it; the message's own when left out */
export function denialOf(input: PolicyInput, reasons: readonly string[], resource?: string): DecisionRecord {
  const { device, action, target, context } = input;
  return {
    decision: '0198c1d2-0000-7000-8000-000000000000',
    time: Date.parse(context.time),
    verdict: 'denied',
    reasons: reasons as readonly Reason[],
    revision: context.revision,
    device: { id: device.id, segment: device.segment, state: device.state },
    peer: { address: '10.0.3.17', key: 'ab'.repeat(32), serial: device.auth.serial },
    action: {
      protocol: action.protocol as Protocol,
      verb: action.verb,
      resource: resource ?? action.resource,
      direction: action.direction,
      contentType: action.content_type,
      bytes: action.bytes,
      ...(target.device !== undefined && { targetDevice: target.device }),
    },
    tookMicros: 6,
  };
}
