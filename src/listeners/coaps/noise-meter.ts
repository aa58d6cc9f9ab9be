/**
 * What the DTLS library refused by itself, told to the gateway: it counts in silence, so that a flood costs nothing here; four
 * times a second the counters are looked at.
 */
import { CLOSE_REASONS, type CloseReason, DROP_REASONS, type DropReason, type DtlsStats } from '../../dtls/stats.ts';
import type { Passage } from '../../exchange/gate.ts';
import type { DropReason as GatewayDrop } from '../../faults/drop.ts';

/** `reason`: of the closed list of that library. */
export type CountNoise = (library: 'dtls' | 'coap', reason: string, count: number) => void;

/** Ends of handshakes that nobody told of: those of open associations, and those whose callback already did, are not here. */
const HANDSHAKE_ENDS: Partial<Readonly<Record<CloseReason, GatewayDrop>>> = {
  'handshake-deadline': 'handshake-timeout',
  'handshake-silence': 'handshake-timeout',
  'malformed-message': 'handshake-failed',
  'illegal-parameter': 'handshake-failed',
  'unsupported-extension': 'handshake-failed',
  'protocol-version': 'handshake-failed',
  'no-suite-in-both': 'handshake-failed',
  'no-group-in-both': 'handshake-failed',
  'no-signature-in-both': 'handshake-failed',
  'no-application-protocol': 'handshake-failed',
  'no-credential': 'handshake-failed',
  'server-name-unknown': 'handshake-failed',
  'missing-extended-master-secret': 'handshake-failed',
  'point-invalid': 'handshake-failed',
  'signature-wrong': 'handshake-failed',
  'certificate-missing': 'handshake-failed',
  'certificate-unreadable': 'handshake-failed',
  'key-wrong': 'handshake-failed',
  'finished-wrong': 'handshake-failed',
  'authorization-failed': 'handshake-failed',
  'transcript-limit': 'handshake-failed',
};

export class NoiseMeter {
  readonly #passage: Passage;
  readonly #count: CountNoise;
  readonly #drops = new Map<DropReason, number>();
  readonly #closes = new Map<CloseReason, number>();

  constructor(passage: Passage, count: CountNoise) {
    this.#passage = passage;
    this.#count = count;
  }

  /** The counters begin anew. */
  restart(): void {
    this.#drops.clear();
    this.#closes.clear();
  }

  /** Tells what is new since the last look. */
  look(stats: DtlsStats | undefined): void {
    if (stats === undefined) return;
    for (const reason of DROP_REASONS) {
      const more = stats.drops[reason] - (this.#drops.get(reason) ?? 0);
      if (more === 0) continue;
      this.#drops.set(reason, stats.drops[reason]);
      this.#count('dtls', reason, more);
    }
    for (const reason of CLOSE_REASONS) {
      const drop = HANDSHAKE_ENDS[reason];
      const more = drop === undefined ? 0 : stats.closes[reason] - (this.#closes.get(reason) ?? 0);
      if (drop === undefined || more === 0) continue;
      this.#closes.set(reason, stats.closes[reason]);
      for (let one = 0; one < more; one++) this.#passage.drop(drop, { address: '' }, reason);
    }
  }
}
