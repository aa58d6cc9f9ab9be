/**
 * The house behind a listener under test: the real pipeline, privacy transformer and live sessions, with policy, cloud and
 * ledger as plain functions of the test. It knows no protocol: whatever a listener hands in is decided, forwarded, recorded.
 */
import { DEFAULT_LIMITS, type Limits } from '../../src/config/settings.ts';
import type { Arrival } from '../../src/exchange/arrival.ts';
import type { Cancellation } from '../../src/exchange/cancellation.ts';
import type { Decision, DecisionRecord, Gate, OutcomeRecord, Passage } from '../../src/exchange/gate.ts';
import type { Identified } from '../../src/exchange/identified.ts';
import type { Channel, ChannelClose, ChannelMessage, Reply } from '../../src/exchange/message.ts';
import type { Obligations } from '../../src/exchange/obligations.ts';
import type { Device, DeviceState, Peer } from '../../src/exchange/peer.ts';
import { pass, reconsider } from '../../src/exchange/pipeline.ts';
import { Sealed } from '../../src/exchange/sealed.ts';
import type { FaultCode, Reason } from '../../src/faults/catalogue.ts';
import type { DropReason } from '../../src/faults/drop.ts';
import { Fault } from '../../src/faults/fault.ts';
import { LiveSessions } from '../../src/identity/sessions.ts';
import { PrivacyKeys } from '../../src/privacy/keys.ts';
import { PrivacyTransformer } from '../../src/privacy/transformer.ts';
import { Inbox } from '../../src/websocket/inbox.ts';
import { ruleOf } from '../unit/privacy/privacy-fixture.ts';

/** Small enough that a test can exceed them. */
export const LIMITS: Limits = {
  ...DEFAULT_LIMITS,
  inspectedBodyBytes: 4_096,
  streamedBodyBytes: 8_192,
  webSocketMessageBytes: 4_096,
};

export const OBLIGATIONS: Obligations = { route: 'sensors/telemetry', upstream: 'cloud', privacy: 'readings' };
export const PERMIT: Decision = { allow: true, obligations: OBLIGATIONS };

/** A message as it left the house. */
export interface Forwarded {
  readonly device: string;
  readonly text: string;
}

export class House {
  readonly limits = LIMITS;
  readonly forwarded: Forwarded[] = [];
  /** What happened, in order: `permitted`, `denied` or `failed` for a record, `forward` for a message that left. */
  readonly steps: string[] = [];
  /** Of messages of devices; openings of channels and messages of the cloud are not among them. */
  readonly records: DecisionRecord[] = [];
  readonly outcomes: OutcomeRecord[] = [];
  readonly drops: DropReason[] = [];
  readonly refusals: FaultCode[] = [];
  /** Messages of devices that policy was asked about. */
  decided = 0;
  /** What policy says to a message of a device. */
  decide: (identified: Identified) => Decision | Promise<Decision> = () => PERMIT;
  /** What the cloud answers, as JSON. */
  reply: (forwarded: Forwarded, signal: Cancellation) => string | Promise<string> = () => '{"ok":true}';
  /** The ledger's disk. */
  write: () => Promise<void> = async () => undefined;
  readonly sessions: LiveSessions;
  readonly passage: Passage;
  readonly #devices = new Map<string, Device>();
  #decisions = 0;

  constructor() {
    this.sessions = new LiveSessions({
      admit: (peer) => this.#admit(peer),
      keysOf: (id) => [...this.#devices.values()].filter((device) => device.id === id).map(({ key }) => key),
      monotonicMs: () => performance.now(),
    });
    const gate = this.#gate();
    this.passage = {
      decisionId: () => gate.decisionId(),
      now: () => gate.now(),
      admit: (peer) => this.#admit(peer),
      pass: (arrival) => pass(arrival, gate),
      reconsider: (arrival) => reconsider(arrival, gate),
      attend: (session) => this.sessions.attend(session),
      drop: (reason) => this.drops.push(reason),
      refuse: (code) => this.refusals.push(code),
    };
  }

  register(id: string, key: string): void {
    this.#devices.set(key, { id, segment: 'sensors', state: 'active', labels: {}, key });
  }

  /** As the operator's command does: what is open is looked at before this returns. */
  move(id: string, state: DeviceState): Promise<void> {
    for (const [key, device] of this.#devices) if (device.id === id) this.#devices.set(key, { ...device, state });
    return this.sessions.reconsiderDevice(id);
  }

  /** Policy has changed. */
  change(decide: House['decide']): Promise<void> {
    this.decide = decide;
    return this.sessions.reconsiderAll();
  }

  #admit(peer: Peer): Reason | undefined {
    const device = this.#devices.get(peer.key);
    if (device === undefined) return 'unknown-identity';
    return device.state === 'active' || device.state === 'quarantined' ? undefined : 'device-disabled';
  }

  #gate(): Gate {
    const rule = ruleOf({ keep: ['temperature', 'ok', 'go'], pseudonymise: ['serial'], tokenise: ['room'] });
    return {
      identifier: {
        identify: (peer) => this.#devices.get(peer.key) ?? 'unknown-identity',
        admit: (peer) => this.#admit(peer),
      },
      decider: { revision: 'revision-7', decide: (identified) => this.#decide(identified) },
      transformer: new PrivacyTransformer({
        rules: new Map([[rule.name, rule]]),
        keys: PrivacyKeys.generate(),
        limits: this.limits,
        literals: new Set(),
      }),
      recorder: {
        record: async (record) => {
          await this.write();
          const { direction, bytes, verb } = record.action;
          if (direction === 'toDevice' || (verb === 'WS' && bytes === 0)) return;
          this.records.push(record);
          this.steps.push(record.verdict);
        },
        outcome: (record) => this.outcomes.push(record),
      },
      forwarder: { forward: (sealed) => this.#forward(sealed) },
      now: Date.now,
      micros: () => Math.round(performance.now() * 1_000),
      decisionId: () => {
        this.#decisions += 1;
        return `0198c1d2-0000-7000-8000-${String(this.#decisions).padStart(12, '0')}`;
      },
      observe: () => undefined,
    };
  }

  #decide(identified: Identified): Decision | Promise<Decision> {
    const { arrival } = identified;
    if (arrival.direction === 'toDevice' || isOpening(arrival)) return PERMIT;
    this.decided += 1;
    return this.decide(identified);
  }

  async #forward(sealed: Sealed): Promise<Reply> {
    const { arrival } = Sealed.assert(sealed).permitted.identified;
    if (arrival.channel !== undefined) {
      await arrival.channel.send(sealed);
      return { status: 204, headers: [], contentType: '', body: { kind: 'empty' } };
    }
    if (isOpening(arrival)) {
      const channel = new CloudChannel((message) => this.#hear(message));
      return { status: 101, headers: [], contentType: '', body: { kind: 'empty' }, channel };
    }
    const bytes = Buffer.from(await this.#hear(sealed));
    return { status: 200, headers: [], contentType: 'application/json', body: { kind: 'bytes', bytes } };
  }

  /** The one place where a message has left. */
  async #hear({ message, permitted }: Sealed): Promise<string> {
    const { device, arrival } = permitted.identified;
    const { body } = message;
    const chunks: Uint8Array[] = [];
    if (body.kind === 'bytes') chunks.push(body.bytes);
    if (body.kind === 'stream') for await (const chunk of body.stream) chunks.push(chunk);
    const forwarded = { device: device.id, text: Buffer.concat(chunks).toString('utf8') };
    this.forwarded.push(forwarded);
    this.steps.push('forward');
    return this.reply(forwarded, arrival.signal);
  }
}

/** A cloud that never comes back; it is told when nobody waits any more. */
export function never(_: Forwarded, signal: Cancellation): Promise<string> {
  return new Promise((_answered, reject) => {
    signal.addEventListener('abort', { handleEvent: () => reject(new Fault('SP_EXCHANGE_CANCELLED')) });
  });
}

/** Opening a channel is an exchange of its own, without a payload. */
function isOpening({ verb, channel }: Arrival): boolean {
  return verb === 'WS' && channel === undefined;
}

/** The cloud's end of a channel: hears what is sent and says its answer back on the same channel. */
class CloudChannel implements Channel {
  readonly closed: Promise<ChannelClose>;
  readonly #hear: (sealed: Sealed) => Promise<string>;
  readonly #inbox = new Inbox({ hold: () => undefined, release: () => undefined });
  #close: (close: ChannelClose) => void = () => undefined;

  constructor(hear: (sealed: Sealed) => Promise<string>) {
    this.#hear = hear;
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  async send(sealed: Sealed): Promise<void> {
    this.#inbox.put({ bytes: Buffer.from(await this.#hear(sealed)), binary: false });
  }

  receive(): AsyncIterable<ChannelMessage> {
    return this.#inbox;
  }

  close(code: number, reason: string): void {
    this.#inbox.end();
    this.#close({ code, reason });
  }
}
