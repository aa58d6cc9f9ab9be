/** Messages, rules and faults as the tests of the privacy step need them. */
import { DEFAULT_LIMITS, type Limits, type PrivacyRule } from '../../../src/config/settings.ts';
import type { Arrival } from '../../../src/exchange/arrival.ts';
import { Identified } from '../../../src/exchange/identified.ts';
import type { Message, Reply } from '../../../src/exchange/message.ts';
import type { Obligations } from '../../../src/exchange/obligations.ts';
import type { Device } from '../../../src/exchange/peer.ts';
import { Permitted } from '../../../src/exchange/permitted.ts';
import { Sealed, type Transformer } from '../../../src/exchange/sealed.ts';
import type { Reason } from '../../../src/faults/catalogue.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { parseJson } from '../../../src/privacy/json.ts';
import type { JsonDocument } from '../../../src/privacy/json-document.ts';
import { PrivacyKeys } from '../../../src/privacy/keys.ts';
import { PrivacyTransformer } from '../../../src/privacy/transformer.ts';
import { arrivalOf, DEVICE } from '../exchange/gate-fixture.ts';

const NO_FIELDS = { keep: [], pseudonymise: [], tokenise: [] };

/** A rule that names nothing but what is given. */
export function ruleOf(parts: Partial<PrivacyRule> = {}): PrivacyRule {
  return {
    name: 'readings',
    keep: [],
    pseudonymise: [],
    tokenise: [],
    coarsen: [],
    purpose: 'readings',
    query: NO_FIELDS,
    headers: NO_FIELDS,
    path: { pseudonymise: [], tokenise: [] },
    ...parts,
  };
}

export function parse(text: string | Uint8Array, bounds: Partial<Limits> = {}): JsonDocument {
  return parseJson(typeof text === 'string' ? Buffer.from(text) : text, { ...DEFAULT_LIMITS, ...bounds });
}

/** The code of the fault that `act` ends with, or `passed`. Anything thrown that is no Fault fails the test. */
export function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof Fault) return thrown.code;
    throw thrown;
  }
  return 'passed';
}

export const KEYS = PrivacyKeys.generate(1_700_000_000_000);

export interface Setting {
  readonly rules?: readonly PrivacyRule[];
  readonly keys?: PrivacyKeys;
  readonly limits?: Partial<Limits>;
}

export function transformerOf({ rules = [ruleOf()], keys = KEYS, limits = {} }: Setting = {}): PrivacyTransformer {
  return new PrivacyTransformer({
    rules: new Map(rules.map((rule) => [rule.name, rule])),
    keys,
    limits: { ...DEFAULT_LIMITS, ...limits },
    literals: new Set(['V1', 'telemetry', 'device-events', 'read_only']),
    isKnownSegment: (segment) => segment === 'thermo-1',
  });
}

/** An arrival with a JSON body. */
export function jsonArrival(json: string | Uint8Array, changes: Partial<Arrival> = {}): Arrival {
  const bytes = typeof json === 'string' ? Buffer.from(json) : json;
  return arrivalOf({ contentType: 'application/json', headers: [], body: { kind: 'bytes', bytes }, ...changes });
}

export async function permittedOf(
  transformer: Transformer,
  arrival: Arrival,
  obligations: Partial<Obligations> = { privacy: 'readings' },
  device: Device = DEVICE,
): Promise<Permitted> {
  const identified = Identified.by({ identify: () => device, admit: () => undefined }, transformer, arrival);
  if (!(identified instanceof Identified)) throw new Error('not identified');
  const granted = { route: 'sensors/telemetry', upstream: 'cloud', ...obligations };
  const permitted = await Permitted.by(
    { revision: 'r1', decide: () => ({ allow: true, obligations: granted }) },
    identified,
  );
  if (!(permitted instanceof Permitted)) throw new Error('not permitted');
  return permitted;
}

/** What leaves, or the reason or code of the refusal. */
export async function leave(
  transformer: Transformer,
  arrival: Arrival,
  obligations?: Partial<Obligations>,
  device?: Device,
): Promise<Message | Reason | string> {
  const permitted = await permittedOf(transformer, arrival, obligations, device);
  let message: Message | Reason | undefined;
  const code = codeOf(() => {
    message = transformer.transform(permitted);
  });
  return message ?? code;
}

/** The body that leaves, as text; a refusal as its code. */
export async function bodyOf(
  transformer: Transformer,
  arrival: Arrival,
  obligations?: Partial<Obligations>,
  device?: Device,
): Promise<string> {
  const message = await leave(transformer, arrival, obligations, device);
  return typeof message === 'string' ? message : textOf(message);
}

export function textOf({ body }: Message | Reply): string {
  return body.kind === 'bytes' ? Buffer.from(body.bytes).toString() : `(${body.kind})`;
}

/** What comes back to the device for a reply to a request that was permitted under `readings`. */
export async function answer(
  transformer: Transformer,
  reply: Partial<Reply>,
  obligations?: Partial<Obligations>,
  device?: Device,
): Promise<Reply> {
  const arrival = arrivalOf({ body: { kind: 'empty' }, query: '' });
  const permitted = await permittedOf(transformer, arrival, obligations, device);
  const sealed = Sealed.by(transformer, permitted);
  if (!(sealed instanceof Sealed)) throw new Error('not sealed');
  return transformer.transformReply(sealed, {
    status: 200,
    headers: [],
    contentType: '',
    body: { kind: 'empty' },
    ...reply,
  });
}
