/**
 * Records of the ledger that are not about a message: what an operator did to what may pass, and what a listener refused
 * before there was anything to decide. Format 2 has them.
 */
import type { FaultCode } from '../faults/catalogue.ts';
import { numeral, quoted } from './encode.ts';

/**
 * An act is on record twice, under one id: `begun` before it takes effect, and how it ended. A `begun` that nothing follows
 * was interrupted; whether it took effect, the registry and the next `start` say. Which person it was is not known here:
 * whoever may open the admin socket or write the folder is the operator.
 */
export interface OperatorRecord {
  /** Of the act, a UUIDv7. */
  readonly decision: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  /** `device-disable`, `reload`, … (admin/acts.ts). */
  readonly act: string;
  /** The running gateway did it, or a command on the folder of one that did not run. */
  readonly by: 'gateway' | 'command';
  readonly device?: string;
  /** The device's public key that was admitted or given up. */
  readonly key?: string;
  /** What was before, and what the act asks for: states, segments or revisions. */
  readonly from?: string;
  readonly to?: string;
  /** Of configuration and policy at that moment; absent if no gateway runs. */
  readonly revision?: string;
  readonly outcome: 'begun' | 'done' | 'failed';
  /** Why it failed. */
  readonly fault?: FaultCode;
}

/** What a device sent and no policy saw, because the listener refused it. The device was told the id. */
export interface RefusalRecord {
  readonly decision: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly fault: FaultCode;
  readonly device?: string;
  readonly peer: { readonly address: string; readonly key: string; readonly serial: string };
  /** Refusals before this one that were counted and not recorded one by one (refusal-quota.ts). */
  readonly unrecorded: number;
}

export function operatorBody(record: OperatorRecord): string {
  let body = `,"kind":"operator","time":${numeral(record.time)},"decision":${quoted(record.decision)}`;
  body += `,"act":${quoted(record.act)},"by":${quoted(record.by)}`;
  for (const name of ['device', 'key', 'from', 'to', 'revision'] as const) {
    const value = record[name];
    if (value !== undefined) body += `,"${name}":${quoted(value)}`;
  }
  body += `,"outcome":${quoted(record.outcome)}`;
  return record.fault === undefined ? body : `${body},"fault":${quoted(record.fault)}`;
}

export function refusalBody({ decision, time, fault, device, peer, unrecorded }: RefusalRecord): string {
  let body = `,"kind":"refusal","time":${numeral(time)},"decision":${quoted(decision)},"fault":${quoted(fault)}`;
  if (device !== undefined) body += `,"device":${quoted(device)}`;
  body += `,"peer":{"address":${quoted(peer.address)},"key":${quoted(peer.key)},"serial":${quoted(peer.serial)}}`;
  return `${body},"unrecorded":${numeral(unrecorded)}`;
}
