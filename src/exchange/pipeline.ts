/**
 * The life of a message: identify, decide, transform, record, forward. The order is the security property, so it is code.
 * No I/O here: every effect is behind a port of the Gate.
 */
import type { FaultCode, Reason } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import type { Arrival } from './arrival.ts';
import type { DecisionRecord, Gate } from './gate.ts';
import { Identified } from './identified.ts';
import type { Obligations } from './obligations.ts';
import { Delivered, Denied, Failed, type Outcome } from './outcome.ts';
import type { Device } from './peer.ts';
import { Permitted } from './permitted.ts';
import { Sealed, SealedReply } from './sealed.ts';

/** Takes an arrival through all five steps. Never throws: whatever goes wrong is an outcome, and nothing was forwarded unrecorded. */
export async function pass(arrival: Arrival, gate: Gate): Promise<Outcome> {
  const entry = new Entry(arrival, gate);
  try {
    const identified = Identified.by(gate.identifier, gate.transformer, arrival);
    if (identified instanceof Denied) return await entry.deny(identified);
    entry.device = identified.device;

    const permitted = await Permitted.by(gate.decider, identified);
    if (permitted instanceof Denied) return await entry.deny(permitted);
    entry.obligations = permitted.obligations;

    const sealed = Sealed.by(gate.transformer, permitted);
    if (sealed instanceof Denied) return await entry.deny(sealed);

    if (arrival.signal.aborted) throw new Fault('SP_EXCHANGE_CANCELLED');
    await entry.permit(); // on record, durably, before any byte leaves

    const reply = await gate.forwarder.forward(Sealed.assert(sealed));
    return entry.close(new Delivered(arrival.id, SealedReply.by(gate.transformer, sealed, reply)));
  } catch (thrown) {
    return await entry.fail(Failed.from(arrival.id, thrown));
  }
}

/** Decides again without forwarding, for a session whose policy changed. Undefined: still permitted. */
export async function reconsider(arrival: Arrival, gate: Gate): Promise<Denied | Failed | undefined> {
  const entry = new Entry(arrival, gate);
  try {
    const identified = Identified.by(gate.identifier, gate.transformer, arrival);
    if (identified instanceof Denied) return (await entry.deny(identified)) as Denied | Failed;
    entry.device = identified.device;
    const permitted = await Permitted.by(gate.decider, identified, true);
    return permitted instanceof Denied ? ((await entry.deny(permitted)) as Denied | Failed) : undefined;
  } catch (thrown) {
    return (await entry.fail(Failed.from(arrival.id, thrown))) as Failed;
  }
}

/** The line in the ledger that belongs to one exchange. */
class Entry {
  readonly #arrival: Arrival;
  readonly #gate: Gate;
  readonly #startedMicros: number;
  readonly #revision: string;
  #recorded = false;
  device: Device | undefined;
  obligations: Obligations | undefined;

  constructor(arrival: Arrival, gate: Gate) {
    this.#arrival = arrival;
    this.#gate = gate;
    this.#startedMicros = gate.micros();
    this.#revision = gate.decider.revision;
  }

  async permit(): Promise<void> {
    await this.#gate.recorder.record(this.#record('permitted', []));
    this.#recorded = true;
  }

  /** A denial is answered only when it is on record; if it cannot be, the answer is still no. */
  async deny(denied: Denied): Promise<Outcome> {
    try {
      await this.#gate.recorder.record(this.#record('denied', denied.reasons));
      return this.close(denied);
    } catch (thrown) {
      return this.close(Failed.from(this.#arrival.id, thrown));
    }
  }

  async fail(failed: Failed): Promise<Outcome> {
    if (this.#recorded) {
      const { id: decision } = this.#arrival;
      this.#gate.recorder.outcome({ decision, time: this.#gate.now(), fault: failed.fault.code });
      return this.close(failed);
    }
    try {
      await this.#gate.recorder.record(this.#record('failed', [failed.fault.code]));
      return this.close(failed);
    } catch (thrown) {
      return this.close(failed.fault.code === 'SP_LEDGER_WRITE' ? failed : Failed.from(this.#arrival.id, thrown));
    }
  }

  close(outcome: Outcome): Outcome {
    const { device, obligations } = this;
    this.#gate.observe(this.#arrival, outcome, {
      ...(device && { device }),
      ...(obligations && { obligations }),
      tookMicros: this.#gate.micros() - this.#startedMicros,
    });
    return outcome;
  }

  #record(verdict: DecisionRecord['verdict'], reasons: readonly (Reason | FaultCode)[]): DecisionRecord {
    const { id, protocol, verb, path, direction, contentType, body, peer, targetDevice } = this.#arrival;
    return {
      decision: id,
      time: this.#gate.now(),
      verdict,
      reasons,
      revision: this.#revision,
      ...(this.device && {
        device: { id: this.device.id, segment: this.device.segment, state: this.device.state },
      }),
      peer: { address: peer.address, key: peer.key, serial: peer.serial },
      action: {
        protocol,
        verb,
        resource: this.#gate.transformer.redactPath(path),
        direction,
        contentType: COMMON_TYPES.has(contentType) ? contentType : this.#redacted(contentType),
        bytes: body.kind === 'bytes' ? body.bytes.byteLength : body.kind === 'stream' ? (body.length ?? -1) : 0,
        ...(targetDevice !== undefined && { targetDevice: this.#redacted(targetDevice) }),
      },
      ...(verdict === 'permitted' && this.obligations && { obligations: this.obligations }),
      tookMicros: this.#gate.micros() - this.#startedMicros,
    };
  }

  /** Whatever a device spells as it likes is on record as a path is: words and ids of devices stay, all else is hidden. */
  #redacted(text: string): string {
    return this.#gate.transformer.redactPath(`/${text}`).slice(1);
  }
}

/** Media types that tell nothing of a device. */
const COMMON_TYPES: ReadonlySet<string> = new Set([
  ...['', 'application/json', 'application/octet-stream', 'application/senml+json', 'application/cbor', 'text/plain'],
  ...['application/x-www-form-urlencoded', 'multipart/form-data', 'image/jpeg', 'image/png', 'video/mp4'],
]);
