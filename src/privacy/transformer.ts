/**
 * The third step of an exchange: makes a permitted message safe to leave, and an answer fit to come back. Every doubt ends
 * in a refusal: a body that its rule cannot read, a rule that does not exist, a payload that no rule covers.
 *
 * Upwards a rule lets out what it names. Downwards nothing is hidden from a device; only tokens are mapped back, and only
 * its own, of the purpose of the permit's own rule.
 */
import type { Limits, PrivacyRule } from '../config/settings.ts';
import { type Arrival, EMPTY_BODY } from '../exchange/arrival.ts';
import type { Document, Transformer } from '../exchange/gate.ts';
import type { Message, Reply } from '../exchange/message.ts';
import type { Permitted } from '../exchange/permitted.ts';
import type { Sealed } from '../exchange/sealed.ts';
import type { Reason } from '../faults/catalogue.ts';
import { Fault } from '../faults/fault.ts';
import { Disguise } from './disguise.ts';
import { type FieldCounts, noFields } from './field-counts.ts';
import { minimalHeaders, minimiseHeaders, unchangedHeaders } from './headers.ts';
import { type JsonBounds, parseJson } from './json.ts';
import { JsonDocument } from './json-document.ts';
import type { PrivacyKeys } from './keys.ts';
import { minimise } from './minimise.ts';
import { disguisePath } from './path.ts';
import { minimiseQuery } from './query.ts';
import { PathRedactor } from './redaction.ts';
import { restoreHeader, restoreJson, restoreLocation } from './restore.ts';
import { type CompiledRule, compileRule } from './selectors.ts';

export interface PrivacyOptions {
  readonly rules: ReadonlyMap<string, PrivacyRule>;
  readonly keys: PrivacyKeys;
  readonly limits: Limits;
  /** Path words of the configuration: they may stand in the ledger and in logs. */
  readonly literals: ReadonlySet<string>;
  /** Other path segments that may: ids of registered devices. */
  readonly isKnownSegment?: (segment: string) => boolean;
}

/** Passes payload, query and headers as they are; JSON in canonical form. */
const UNCHANGED = 'unchanged';

interface ActiveRule {
  readonly rule: CompiledRule;
  readonly disguise: Disguise;
  readonly counts: FieldCounts;
}

export class PrivacyTransformer implements Transformer {
  readonly #rules = new Map<string, ActiveRule>();
  readonly #bounds: JsonBounds;
  readonly #responseBytes: number;
  readonly #redactor: PathRedactor;

  /** @throws SP_CONFIG_INVALID if a rule has problems; `compileRule` lists them beforehand */
  constructor({ rules, keys, limits, literals, isKnownSegment = () => false }: PrivacyOptions) {
    for (const [name, settings] of rules) {
      const rule = compileRule(settings);
      const [first] = rule.problems;
      if (first !== undefined) {
        throw new Fault('SP_CONFIG_INVALID', `Privacy rule ${name}: ${first.selector} ${first.problem}.`);
      }
      this.#rules.set(name, { rule, disguise: new Disguise(keys, rule.purpose), counts: noFields() });
    }
    this.#bounds = { jsonDepth: limits.jsonDepth, jsonValues: limits.jsonValues };
    this.#responseBytes = limits.responseBytes;
    const disguisedAfter = new Set([...this.#rules.values()].flatMap(({ rule }) => [...rule.path.keys()]));
    this.#redactor = new PathRedactor(keys, { literals, isKnownSegment, disguisedAfter });
  }

  /** Fields that went each way since the start, by rule. */
  get counts(): ReadonlyMap<string, Readonly<FieldCounts>> {
    return new Map([...this.#rules].map(([name, { counts }]) => [name, { ...counts }]));
  }

  decode({ body, contentType, headers, direction }: Arrival): Document | undefined {
    if (body.kind !== 'bytes' || body.bytes.length === 0 || !isJson(contentType)) return undefined;
    if (isEncoded(headers)) throw new Fault('SP_PAYLOAD_TYPE', 'The payload is JSON under a content encoding.');
    return direction === 'toCloud' ? parseJson(body.bytes, this.#bounds) : this.#parseDownward(body.bytes);
  }

  transform(permitted: Permitted): Message | Reason {
    const { arrival } = permitted.identified;
    const { body, query } = arrival;
    const { privacy } = permitted.obligations;
    const isEmpty = body.kind === 'empty' || (body.kind === 'bytes' && body.bytes.length === 0);
    if (privacy === undefined) {
      if (body.kind === 'stream' && permitted.obligations.stream !== true) return 'stream-not-allowed';
      if (!isEmpty || query !== '') return 'payload-not-covered';
      return messageOf(arrival, { headers: minimalHeaders(arrival.headers), contentType: '', body: EMPTY_BODY });
    }
    const active = this.#active(permitted);
    // What streams past is not looked at: no rule could keep its promise about it.
    if (body.kind === 'stream' && (permitted.obligations.stream !== true || active !== undefined)) {
      return 'stream-not-allowed';
    }
    const document = isEmpty ? undefined : permitted.identified.document();
    if (active === undefined) return unchanged(arrival, document);
    if (arrival.direction === 'toDevice') return restoreMessage(arrival, document, active);
    return minimiseMessage(arrival, isEmpty, document, active);
  }

  transformReply(sealed: Sealed, reply: Reply): Reply {
    const { body, contentType, headers } = reply;
    if (body.kind === 'bytes' && body.bytes.length > this.#responseBytes) throw new Fault('SP_UPSTREAM_TOO_LARGE');
    const active = this.#active(sealed.permitted);
    if (active === undefined) return reply;
    const { disguise } = active;
    const restored = headers.map(
      ([name, value]) =>
        [name, name === 'location' ? restoreLocation(value, disguise) : restoreHeader(value, disguise)] as const,
    );
    if (body.kind !== 'bytes' || body.bytes.length === 0 || !isJson(contentType) || isEncoded(headers)) {
      return { ...reply, headers: restored };
    }
    const json = restoreJson(this.#parseDownward(body.bytes), disguise);
    return {
      ...reply,
      headers: restored.filter(([name]) => !OF_THE_BYTES.has(name)),
      body: { kind: 'bytes', bytes: Buffer.from(json) },
    };
  }

  redactPath(path: string): string {
    return this.#redactor.redact(path);
  }

  /** The permit's rule, with the tokens of its device; undefined for none and for `unchanged`. */
  #active({ obligations: { privacy }, identified: { device } }: Permitted): ActiveRule | undefined {
    if (privacy === undefined || privacy === UNCHANGED) return undefined;
    const active = this.#rules.get(privacy);
    if (active === undefined) throw new Fault('SP_POLICY_OBLIGATION', `There is no privacy rule ${privacy}.`);
    return { ...active, disguise: active.disguise.forDevice(device.id) };
  }

  /** What an upstream sends badly is the upstream's fault, not the device's. */
  #parseDownward(bytes: Uint8Array): JsonDocument {
    try {
      return parseJson(bytes, this.#bounds);
    } catch (cause) {
      const { code } = Fault.from(cause);
      throw new Fault('SP_UPSTREAM_RESPONSE', 'The upstream’s JSON is not acceptable.', { cause, details: { code } });
    }
  }
}

/** Headers of a reply that are about bytes which have been written anew. */
const OF_THE_BYTES: ReadonlySet<string> = new Set([
  'content-digest',
  'content-length',
  'content-md5',
  'digest',
  'repr-digest',
]);

function unchanged(arrival: Arrival, document: Document | undefined): Message {
  const { headers, contentType, body } = arrival;
  return messageOf(arrival, {
    headers: unchangedHeaders(headers, document === undefined ? undefined : contentType),
    contentType,
    query: arrival.query,
    body: document === undefined ? body : { kind: 'bytes', bytes: Buffer.from(document.json) },
  });
}

function minimiseMessage(
  arrival: Arrival,
  isEmpty: boolean,
  document: Document | undefined,
  { rule, disguise, counts }: ActiveRule,
): Message {
  if (!isEmpty && !(document instanceof JsonDocument)) throw new Fault('SP_PAYLOAD_TYPE');
  const json = document instanceof JsonDocument ? minimise(document, rule.payload, disguise, counts) : undefined;
  // The device's own `+json` type would be a text that no rule names.
  const contentType = json === undefined ? '' : JSON_TYPE;
  return messageOf(arrival, {
    path: disguisePath(arrival.path, rule.path, disguise, counts),
    query: minimiseQuery(arrival.query, rule.query, disguise, counts),
    headers: minimiseHeaders(arrival.headers, contentType, rule.headers, disguise, counts),
    contentType,
    body: json === undefined ? EMPTY_BODY : { kind: 'bytes', bytes: Buffer.from(json) },
  });
}

/** A message of the cloud on an open channel. What is not JSON carries no tokens. */
function restoreMessage(arrival: Arrival, document: Document | undefined, { disguise }: ActiveRule): Message {
  const headers = arrival.headers.map(([name, value]) => [name, restoreHeader(value, disguise)] as const);
  const { contentType } = arrival;
  if (!(document instanceof JsonDocument)) return messageOf(arrival, { headers, contentType, body: arrival.body });
  const bytes = Buffer.from(restoreJson(document, disguise));
  return messageOf(arrival, { headers, contentType, body: { kind: 'bytes', bytes } });
}

/** What a step does not name leaves as: the verb, the path, no query. */
function messageOf(
  { verb, path }: Arrival,
  parts: Pick<Message, 'headers' | 'contentType' | 'body'> & Partial<Pick<Message, 'path' | 'query'>>,
): Message {
  return { verb, path, query: '', ...parts };
}

const JSON_TYPE = 'application/json';

/** application/json and the +json types of RFC 6839 section 3.1. */
function isJson(contentType: string): boolean {
  return contentType === JSON_TYPE || contentType.endsWith('+json');
}

function isEncoded(headers: Reply['headers']): boolean {
  return headers.some(([name, value]) => name === 'content-encoding' && value.trim().toLowerCase() !== 'identity');
}
