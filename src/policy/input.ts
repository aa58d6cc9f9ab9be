/**
 * The policy input: what policy is asked about one message, and its serialisation straight into bytes. Nobody else's bytes
 * ever reach the module: a module that is handed malformed JSON evaluates without an input and says nothing about it.
 */

import type { Direction, Protocol } from '../exchange/arrival.ts';
import type { Document } from '../exchange/gate.ts';
import type { Identified } from '../exchange/identified.ts';
import type { AuthenticationMethod, Device, DeviceState, Peer } from '../exchange/peer.ts';
import { Fault } from '../faults/fault.ts';

/** policies/input.schema.json says the same with a description for each field. */
export interface PolicyInput {
  readonly v: number;
  readonly device: {
    readonly id: string;
    readonly segment: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly manufacturer?: string;
    readonly model?: string;
    readonly firmware?: string;
    readonly state: DeviceState;
    readonly auth: {
      readonly method: AuthenticationMethod;
      readonly issuer: string;
      readonly serial: string;
      readonly not_after: string;
    };
  };
  readonly action: {
    readonly protocol: Protocol;
    readonly verb: string;
    readonly resource: string;
    readonly content_type: string;
    readonly bytes: number;
    readonly direction: Direction;
  };
  readonly payload?: unknown;
  readonly target: {
    readonly device?: string;
    readonly segment?: string;
    readonly upstream?: string;
    readonly host?: string;
    readonly port?: number;
  };
  readonly context: {
    readonly time: string;
    readonly listener: string;
    readonly gateway: string;
    readonly revision: string;
  };
}

/** What the writer must know beyond the message itself. */
export interface InputContext {
  /** Echoed by the verdict; a whole number below 2^53. */
  readonly sentinel: number;
  readonly gateway: string;
  readonly revision: string;
  /** The device that the message names, if it is registered, active and has an address. */
  readonly target?: Device;
  /** The decoded payload, if the policy inspects this segment's payloads. */
  readonly document?: Document;
}

/**
 * Writes policy inputs into one reused buffer. The parts that belong to a device and to a connection are serialised once
 * and kept as long as their Device and Peer objects live.
 */
export class PolicyInputWriter {
  readonly #encoder = new TextEncoder();
  readonly #buffer: Uint8Array;
  readonly #devices = new WeakMap<Device, string>();
  readonly #peers = new WeakMap<Peer, string>();
  readonly #targets = new WeakMap<Device, string>();
  readonly #quoted = new Map<string, string>();
  #timeMs = Number.NaN;
  #time = '';

  /** @param maxBytes limits.policyInputBytes */
  constructor(maxBytes: number) {
    this.#buffer = new Uint8Array(maxBytes);
  }

  /**
   * @returns the input as UTF-8 JSON: a view of the buffer, valid until the next call
   * @throws SP_POLICY_INPUT if it is longer than the limit or holds a string that is not well-formed Unicode
   */
  write(identified: Identified, context: InputContext): Uint8Array {
    const { arrival, device } = identified;
    const { body } = arrival;
    const bytes = body.kind === 'bytes' ? body.bytes.byteLength : body.kind === 'stream' ? (body.length ?? -1) : 0;
    const json =
      `{"v":${context.sentinel},${this.#device(device)}${this.#peer(arrival.peer)},"action":{"protocol":"${arrival.protocol}` +
      `","verb":${this.#known(arrival.verb)},"resource":${quote(arrival.path)},"content_type":${this.#known(arrival.contentType)}` +
      `,"bytes":${bytes},"direction":"${arrival.direction}"},` +
      (context.document === undefined ? '' : `"payload":${context.document.json},`) +
      (arrival.targetDevice === undefined ? '"target":{}' : this.#target(arrival.targetDevice, context.target)) +
      `,"context":{"time":"${this.#rfc3339(arrival.receivedAt)}","listener":${this.#known(arrival.listener)},"gateway":` +
      `${this.#known(context.gateway)},"revision":${this.#known(context.revision)}}}`;
    const { read, written } = this.#encoder.encodeInto(json, this.#buffer);
    if (read !== json.length) {
      throw new Fault('SP_POLICY_INPUT', `The policy input is longer than ${this.#buffer.byteLength} bytes.`);
    }
    return this.#buffer.subarray(0, written);
  }

  #device(device: Device): string {
    const known = this.#devices.get(device);
    if (known !== undefined) return known;
    const { id, segment, labels, manufacturer, model, firmware, state } = device;
    const own = Object.entries(labels).map(([name, value]) => `${quote(name)}:${quote(value)}`);
    const text =
      `"device":{"id":${quote(id)},"segment":${quote(segment)},"labels":{${own.join()}},` +
      (manufacturer === undefined ? '' : `"manufacturer":${quote(manufacturer)},`) +
      (model === undefined ? '' : `"model":${quote(model)},`) +
      (firmware === undefined ? '' : `"firmware":${quote(firmware)},`) +
      `"state":${quote(state)},`;
    this.#devices.set(device, text);
    return text;
  }

  #peer(peer: Peer): string {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const text =
      `"auth":{"method":"${peer.method}","issuer":${quote(peer.issuer)},"serial":${quote(peer.serial)}` +
      `,"not_after":"${iso(peer.notAfter)}"}}`;
    this.#peers.set(peer, text);
    return text;
  }

  #target(id: string, device: Device | undefined): string {
    if (device === undefined) return `"target":{"device":${quote(id)}}`;
    const known = this.#targets.get(device);
    if (known !== undefined) return known;
    const address = device.address === undefined ? null : URL.parse(device.address);
    const text =
      `"target":{"device":${quote(device.id)},"segment":${quote(device.segment)}` +
      (address === null ? '' : `,"host":${quote(address.hostname)},"port":${portOf(address)}`) +
      '}';
    this.#targets.set(device, text);
    return text;
  }

  /** For the few strings that come again and again: verbs, media types, our own names. */
  #known(text: string): string {
    const known = this.#quoted.get(text);
    if (known !== undefined) return known;
    const quoted = quote(text);
    if (this.#quoted.size < MAX_QUOTED) this.#quoted.set(text, quoted);
    return quoted;
  }

  #rfc3339(ms: number): string {
    if (ms !== this.#timeMs) {
      this.#time = iso(ms);
      this.#timeMs = ms;
    }
    return this.#time;
  }
}

function portOf(address: URL): number {
  if (address.port !== '') return Number(address.port);
  return address.protocol === 'http:' || address.protocol === 'ws:' ? 80 : 443;
}

/** Devices choose media types, so the cache must end somewhere; what comes later is merely quoted anew each time. */
const MAX_QUOTED = 256;

function iso(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) throw new Fault('SP_POLICY_INPUT', 'A time of the policy input is out of range.');
  return date.toISOString();
}

/** A JSON string. A lone surrogate has no UTF-8 form: policy would see another string than the one that is forwarded. */
function quote(text: string): string {
  if (!text.isWellFormed())
    throw new Fault('SP_POLICY_INPUT', 'A string of the policy input is not well-formed Unicode.');
  return JSON.stringify(text);
}
