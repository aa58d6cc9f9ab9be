/**
 * The second step of the exchange: asks the active policy about one message, checks that every name in its obligations
 * exists here, and takes a token of the rate it demands. One decider belongs to one revision.
 */
import type { Limits } from '../config/settings.ts';
import type { Arrival } from '../exchange/arrival.ts';
import type { Identified } from '../exchange/identified.ts';
import type { Device } from '../exchange/peer.ts';
import type { Decider, Decision } from '../exchange/permitted.ts';
import { Fault } from '../faults/fault.ts';
import { PolicyInputWriter } from './input.ts';
import type { RateLimits } from './rate.ts';
import type { ActivePolicy } from './wall.ts';

export interface PolicyDeciderOptions {
  readonly policy: ActivePolicy;
  /** Outlives the revision: a reload gives nobody new tokens. */
  readonly rates: RateLimits;
  readonly limits: Limits;
  readonly gateway: string;
  readonly revision: string;
  /** True if policy wants the payloads of this segment. */
  readonly inspects: (segment: string) => boolean;
  /** True if this route lets policy look into payloads. */
  readonly inspectsRoute: (route: string) => boolean;
  readonly knowsUpstream: (name: string) => boolean;
  readonly knowsPrivacy: (name: string) => boolean;
  /** Told how long each evaluation took, microseconds. */
  readonly onDecided?: (tookMicros: number) => void;
  /** The device that a message names, if it is registered, active and has an address: policy is told of no other. */
  readonly reachableDevice: (id: string) => Device | undefined;
}

export class PolicyDecider implements Decider {
  readonly #options: PolicyDeciderOptions;
  readonly #writer: PolicyInputWriter;
  #sentinel = 0;

  constructor(options: PolicyDeciderOptions) {
    this.#options = options;
    this.#writer = new PolicyInputWriter(options.limits.policyInputBytes);
  }

  get revision(): string {
    return this.#options.revision;
  }

  /** Throws SP_POLICY_* and SP_PAYLOAD_*: each denies. */
  decide(identified: Identified, again = false): Decision {
    const { policy, gateway, revision, rates } = this.#options;
    const { arrival, device } = identified;
    this.#sentinel = (this.#sentinel + 1) % Number.MAX_SAFE_INTEGER;
    const document =
      this.#options.inspects(device.segment) && arrival.body.kind === 'bytes' ? identified.document() : undefined;
    const target = arrival.targetDevice === undefined ? undefined : this.#options.reachableDevice(arrival.targetDevice);
    const input = this.#writer.write(identified, {
      sentinel: this.#sentinel,
      gateway,
      revision,
      ...(target && { target }),
      ...(document && { document }),
    });
    const started = performance.now();
    const decision = policy.decide(input, this.#sentinel, BigInt(arrival.receivedAt) * 1_000_000n);
    this.#options.onDecided?.((performance.now() - started) * 1_000);
    if (!decision.allow) return decision;
    const { route, upstream, privacy, rate } = decision.obligations;
    // A message goes to the device that it names and that can be reached, or to none: policy cannot divert it to another.
    const exists = upstream.startsWith(DEVICE)
      ? target?.id === upstream.slice(DEVICE.length)
      : this.#options.knowsUpstream(upstream);
    if (!exists) throw unmet('an upstream', upstream);
    if (privacy !== undefined && !this.#options.knowsPrivacy(privacy)) throw unmet('a privacy rule', privacy);
    // What policy was to look into and could not is not let past it: a label of the device's choosing is no way around.
    if (document === undefined && carriesPayload(arrival) && this.#options.inspectsRoute(route)) {
      throw new Fault('SP_PAYLOAD_TYPE', 'The route inspects payloads, and this one cannot be read.');
    }
    if (rate && !again && !rates.take(rate, device.id)) return { allow: false, reasons: ['rate-limited'] };
    return decision;
  }
}

const DEVICE = 'device:';

function unmet(what: string, name: string): Fault {
  return new Fault('SP_POLICY_OBLIGATION', `The verdict names ${what} that is not configured: ${name.slice(0, 64)}.`);
}

function carriesPayload({ body }: Arrival): boolean {
  return body.kind === 'stream' || (body.kind === 'bytes' && body.bytes.byteLength > 0);
}
