/** The ports of the pipeline: what each step asks of the rest of the house. gateway.ts plugs the real ones in. */

import type { FaultCode, Reason } from '../faults/catalogue.ts';
import type { DropReason } from '../faults/drop.ts';
import type { Arrival, Direction, Protocol } from './arrival.ts';
import type { Identifier } from './identified.ts';
import type { Reply } from './message.ts';
import type { Obligations } from './obligations.ts';
import type { Denied, Failed, Outcome } from './outcome.ts';
import type { Device, Peer } from './peer.ts';
import type { Decider } from './permitted.ts';
import type { Sealed, Transformer } from './sealed.ts';

export type { Decoder, Document, Identifier } from './identified.ts';
export type { Decider, Decision } from './permitted.ts';
export type { Transformer } from './sealed.ts';

/** What the ledger keeps of one decision. Never a raw payload value. */
export interface DecisionRecord {
  readonly decision: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly verdict: 'permitted' | 'denied' | 'failed';
  /** Denial reasons, or the fault's code; empty for permitted. */
  readonly reasons: readonly (Reason | FaultCode)[];
  readonly revision: string;
  readonly device?: { readonly id: string; readonly segment: string; readonly state: string };
  readonly peer: { readonly address: string; readonly key: string; readonly serial: string };
  readonly action: {
    readonly protocol: Protocol;
    readonly verb: string;
    /** Redacted, see Transformer.redactPath. */
    readonly resource: string;
    readonly direction: Direction;
    readonly contentType: string;
    readonly bytes: number;
    readonly targetDevice?: string;
  };
  readonly obligations?: Obligations;
  /** How long the decision took, microseconds. */
  readonly tookMicros: number;
}

/** How a permitted exchange failed after its decision was on record. */
export interface OutcomeRecord {
  readonly decision: string;
  readonly time: number;
  readonly fault: FaultCode;
}

export interface Recorder {
  /** Resolves when the record is durable (fsync done). Throws SP_LEDGER_WRITE: then nothing may be forwarded. */
  record(record: DecisionRecord): Promise<void>;
  /** Appends without waiting for the disk. Never throws. */
  outcome(record: OutcomeRecord): void;
}

export interface Forwarder {
  /** Sends a sealed message to where its permit says. Throws SP_UPSTREAM_*. */
  forward(sealed: Sealed): Promise<Reply>;
}

/** Everything an exchange needs. */
export interface Gate {
  readonly identifier: Identifier;
  readonly decider: Decider;
  readonly transformer: Transformer;
  readonly recorder: Recorder;
  readonly forwarder: Forwarder;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Monotonic microseconds. */
  micros(): number;
  /** A UUIDv7. */
  decisionId(): string;
  /** Told once per exchange, for metrics and logs. */
  observe(
    arrival: Arrival,
    outcome: Outcome,
    facts: { readonly device?: Device; readonly obligations?: Obligations; readonly tookMicros: number },
  ): void;
}

/** A live connection or channel of a device. */
export interface Session {
  readonly peer: Peer;
  readonly protocol: Protocol;
  /** Ends it now. */
  close(reason: DropReason): void;
  /** After a change of policy: decide the exchange anew under which the session was opened. Absent: each request is decided anyway. */
  reconsider?(): Promise<boolean>;
}

/** What is known of whoever was dropped. */
export interface Dropped {
  readonly address: string;
  readonly key?: string;
  /** Of a certificate that a trusted authority issued. */
  readonly names?: readonly string[];
}

/** What a listener is given: the only door into the pipeline. */
export interface Passage {
  decisionId(): string;
  now(): number;
  /** At the end of a handshake. */
  admit(peer: Peer): Reason | undefined;
  pass(arrival: Arrival): Promise<Outcome>;
  /** Decides without forwarding: undefined means still permitted. Anything else is recorded and means no. */
  reconsider(arrival: Arrival): Promise<Denied | Failed | undefined>;
  /** Registers a live session; returns how to sign it off. */
  attend(session: Session): () => void;
  /** Counts and, sampled, logs a drop. `why`: more of the reason, for the operator; a code or a sentence of ours. */
  drop(reason: DropReason, peer: Dropped, why?: string): void;
  /** Counts and, sampled, logs a refusal that a listener itself makes before there is an arrival. */
  refuse(code: FaultCode, decision: string, peer: Peer): void;
}
