/**
 * The gateway's log: how an exchange ended, what was refused before it became one, what was dropped. All is sampled, because
 * a flood must not become a flood of lines; the ledger and the metrics have every one. Neither path nor query nor anything
 * else that a device wrote freely is logged: the decision id leads to the record.
 */
import type { Arrival } from '../exchange/arrival.ts';
import type { Dropped } from '../exchange/gate.ts';
import type { Outcome } from '../exchange/outcome.ts';
import type { Device, Peer } from '../exchange/peer.ts';
import { DENIALS, FAULTS, type FaultCode, type Level } from '../faults/catalogue.ts';
import { DROPS, type DropReason } from '../faults/drop.ts';
import { LineLog, type LineLogOptions } from './line-log.ts';
import { Sampler } from './sampler.ts';

/** Refusals of one kind that are logged in an interval, before the rest is counted. */
const FIRST = 20;
const INTERVAL_MS = 10_000;
const MAX_KIND = 100;
const PERMITTED = 'permitted';

/** Whose key it is by the registry, and whose by the certificate, if it says so. */
export interface Whose {
  readonly device?: string | undefined;
  readonly claims?: string | undefined;
}

export class Log extends LineLog {
  readonly #sampler = new Sampler<string>({
    first: FIRST,
    intervalMs: INTERVAL_MS,
    onSuppressed: (kind, suppressed) => {
      if (kind === PERMITTED) {
        this.info({ event: 'suppressed', kind, suppressed }, 'more were permitted; the ledger has each of them');
        return;
      }
      this.warn({ event: 'suppressed', kind, suppressed }, 'more of the same were not logged one by one');
    },
  });

  /** @param quiet the permit asks for debug instead of info */
  outcome(arrival: Arrival, outcome: Outcome, device: Device | undefined, quiet = false): void {
    switch (outcome.kind) {
      case 'delivered': {
        const level: Level = quiet ? 'debug' : 'info';
        // Who wants to see each of them asks for debug; a line costs as much as a decision.
        const wanted = this.isEnabled('debug') || (this.isEnabled(level) && this.#sampler.take(PERMITTED));
        if (wanted) this.at(level, { ...facts(arrival, device), status: outcome.reply.reply.status }, PERMITTED);
        return;
      }
      case 'denied':
        this.#sampled(`denied ${outcome.reason}`, DENIALS[outcome.reason].level, 'denied', () => ({
          ...facts(arrival, device),
          reasons: outcome.reasons,
        }));
        return;
      case 'failed':
        this.#sampled(`failed ${outcome.fault.code}`, outcome.fault.entry.level, 'failed', () => ({
          ...facts(arrival, device),
          error: outcome.fault,
        }));
        return;
    }
  }

  /** Wire noise that ended before there was a message. */
  drop(reason: DropReason, peer: Dropped, why?: string, { device, claims }: Whose = {}): void {
    // Sampled by cause: a flood of strangers must not hide the one device whose certificate has expired.
    const kind = why === undefined || why.length > MAX_KIND ? `drop ${reason}` : `drop ${reason} ${why}`;
    this.#sampled(kind, 'info', DROPS[reason], () => ({
      event: 'drop',
      reason,
      why,
      device,
      claims,
      address: peer.address,
      key: peer.key,
    }));
  }

  /** A request that a listener refused before it became an exchange. */
  refusal(code: FaultCode, decision: string, peer: Peer): void {
    const { level, summary } = FAULTS[code];
    this.#sampled(`refusal ${code}`, level, summary, () => ({
      event: 'refusal',
      code,
      decision,
      address: peer.address,
      key: peer.key,
    }));
  }

  override flush(): void {
    this.#sampler.flush();
    super.flush();
  }

  #sampled(kind: string, level: Level, message: string, fields: () => Readonly<Record<string, unknown>>): void {
    if (this.isEnabled(level) && this.#sampler.take(kind)) this.at(level, fields(), message);
  }
}

function facts(arrival: Arrival, device: Device | undefined): Record<string, unknown> {
  return {
    event: 'exchange',
    decision: arrival.id,
    device: device?.id,
    segment: device?.segment,
    address: arrival.peer.address,
    listener: arrival.listener,
    protocol: arrival.protocol,
    direction: arrival.direction,
    verb: arrival.verb,
  };
}

/** The log of a gateway, by default on standard output. */
export function openLog(level: Level, options: Omit<LineLogOptions, 'level'> = {}): Log {
  return new Log({ level, ...options });
}
