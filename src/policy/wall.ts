/**
 * The wall around policy: a compiled policy is foreign code, and everything it does is doubted. It is loaded only if it can
 * be bounded, asked only with bytes that we serialised, believed only in the exact form of a verdict, and thrown away, for a
 * new instance, the moment anything unexpected happens.
 */

import type { Limits } from '../config/settings.ts';
import type { Decision } from '../exchange/gate.ts';
import { Fault } from '../faults/fault.ts';
import type { Digests, Evaluation } from './builtins/builtin.ts';
import { AMENDMENTS, BuiltinTable } from './builtins/table.ts';
import { type Canary, canariesFor } from './canaries.ts';
import { type PolicyImage, PolicyInstance } from './engine/instance.ts';
import { PolicyModule } from './engine/module.ts';
import { PolicyAbort } from './engine/policy-abort.ts';
import { RegoObject, RegoSet } from './engine/value.ts';
import { parseJson, toJson } from './engine/value-text.ts';
import { TimeExceeded, withinTime } from './engine/watchdog.ts';
import { parseVerdict } from './verdict.ts';

export type WallLimits = Pick<Limits, 'policyMemoryBytes' | 'policyTimeoutMs'>;

export interface PolicySource {
  readonly wasm: Uint8Array;
  /** Policy data, one JSON object as text. */
  readonly data: string;
  /** Where the verdict is; `policy eval` may ask for any other that the module has. */
  readonly entrypoint: string;
  readonly revision: string;
  readonly limits: WallLimits;
  readonly digests: Digests;
  /** Left out: those of canaries.ts for no segment in particular. An empty list tries nothing, for `policy eval` only. */
  readonly canaries?: readonly Canary[];
  /** Where `print` in a policy goes. Left out: nowhere. */
  readonly print?: (line: string) => void;
}

/** Compiling, instantiating and loading data, which may be megabytes, may take this many times as long as a decision. */
const LOAD_FACTOR = 10;
/** A verdict is some hundred bytes. */
const MAX_VERDICT_BYTES = 16_384;

export const PolicyWall = {
  /**
   * Loads a policy and tries it. Nothing that decides now is touched.
   * @throws SP_POLICY_MODULE, SP_POLICY_BUILTIN, SP_POLICY_ENTRYPOINT, SP_POLICY_CANARY
   */
  activate(source: PolicySource): ActivePolicy {
    const policy = ActivePolicy.load(source);
    for (const canary of source.canaries ?? canariesFor([])) policy.try(canary);
    return policy;
  },
} as const;

/** A loaded policy with its one instance. */
export class ActivePolicy {
  readonly revision: string;
  readonly entrypoint: string;
  readonly #image: PolicyImage;
  readonly #entrypoints: ReadonlyMap<string, number>;
  readonly #verdictEntrypoint: number;
  readonly #limits: WallLimits;
  readonly #digests: Digests;
  readonly #print: ((line: string) => void) | undefined;
  #instance: PolicyInstance | undefined;
  #discarded = 0;

  private constructor(source: PolicySource, image: PolicyImage, entrypoints: ReadonlyMap<string, number>) {
    const entrypoint = entrypoints.get(source.entrypoint);
    if (entrypoint === undefined) {
      const known = [...entrypoints.keys()].join(', ');
      throw new Fault(
        'SP_POLICY_ENTRYPOINT',
        `The policy module lacks the entrypoint ${source.entrypoint}; it has ${known}.`,
      );
    }
    this.revision = source.revision;
    this.entrypoint = source.entrypoint;
    this.#image = image;
    this.#entrypoints = entrypoints;
    this.#verdictEntrypoint = entrypoint;
    this.#limits = source.limits;
    this.#digests = source.digests;
    this.#print = source.print;
  }

  static load(source: PolicySource): ActivePolicy {
    const data = dataBytes(source.data);
    try {
      return withinTime(source.limits.policyTimeoutMs * LOAD_FACTOR, () => {
        const module = PolicyModule.compile(source.wasm, AMENDMENTS);
        const host = new BuiltinTable();
        const bare = PolicyInstance.bare(module, host, source.limits.policyMemoryBytes);
        const missing = host.admit(bare.list('builtins'));
        if (missing.length > 0) {
          throw new Fault(
            'SP_POLICY_BUILTIN',
            `The policy needs what this gateway does not have: ${missing.join(', ')}.`,
          );
        }
        const image = PolicyInstance.image(module, host, source.limits.policyMemoryBytes, data);
        return new ActivePolicy(source, image, bare.list('entrypoints'));
      });
    } catch (cause) {
      if (cause instanceof Fault) throw cause;
      const slow = cause instanceof TimeExceeded ? ' in time' : '';
      throw new Fault('SP_POLICY_MODULE', `The policy module cannot be loaded${slow}.`, { cause });
    }
  }

  /** How many instances were thrown away since activation. */
  get discarded(): number {
    return this.#discarded;
  }

  /** What the instance holds now. */
  get memoryBytes(): number {
    return this.#instance?.memoryBytes ?? 0;
  }

  /**
   * One decision.
   * @param input bytes of PolicyInputWriter, with `sentinel` as their `v`
   * @param nowNs what `time.now_ns` is throughout, nanoseconds since the epoch
   * @throws SP_POLICY_EVALUATION, SP_POLICY_VERDICT, SP_POLICY_OBLIGATION: each denies
   */
  decide(input: Uint8Array, sentinel: number, nowNs: bigint): Decision {
    const text = this.#guarded((instance) =>
      instance.evaluateFast(this.#verdictEntrypoint, input, this.#evaluation(nowNs), MAX_VERDICT_BYTES),
    );
    return parseVerdict(text, sentinel);
  }

  /**
   * The value of an entrypoint as OPA would print it: sets sorted into arrays, numbers with every digit.
   * @param input JSON text; undefined: no input
   * @param options `entrypoint`: another one of the module; `timeoutMs`: ended after that
   * @returns JSON text, or undefined if the entrypoint is undefined
   * @throws SP_POLICY_EVALUATION, SP_POLICY_INPUT, SP_POLICY_ENTRYPOINT
   */
  evaluate(
    input: string | undefined,
    options: { readonly entrypoint?: string; readonly timeoutMs?: number; readonly nowNs?: bigint } = {},
  ): string | undefined {
    const name = options.entrypoint ?? this.entrypoint;
    const entrypoint = this.#entrypoints.get(name);
    if (entrypoint === undefined)
      throw new Fault('SP_POLICY_ENTRYPOINT', `The policy module lacks the entrypoint ${name}.`);
    const bytes = input === undefined ? undefined : inputBytes(input);
    const nowNs = options.nowNs ?? BigInt(Date.now()) * 1_000_000n;
    return this.#guarded((instance) => {
      const work = () => {
        const evaluation = this.#evaluation(nowNs);
        return instance.evaluateValue(entrypoint, bytes, evaluation, this.#limits.policyMemoryBytes);
      };
      const value = options.timeoutMs === undefined ? work() : withinTime(options.timeoutMs, work);
      if (!(value instanceof RegoSet) || value.items.length > 1)
        throw new PolicyAbort('The result is not a result set.');
      const [entry] = value.items;
      if (entry === undefined) return undefined;
      const result = entry instanceof RegoObject ? entry.get('result') : undefined;
      if (result === undefined) throw new PolicyAbort('The result set has no result.');
      return toJson(result);
    });
  }

  /** Throws SP_POLICY_CANARY. */
  try(canary: Canary): void {
    const refuse = (what: string, cause?: unknown) => {
      return new Fault('SP_POLICY_CANARY', `The policy ${what} on the canary "${canary.name}".`, { cause });
    };
    let decision: Decision;
    try {
      const input = inputBytes(canary.input);
      decision = withinTime(this.#limits.policyTimeoutMs, () => this.decide(input, canary.sentinel, CANARY_NOW_NS));
    } catch (cause) {
      if (cause instanceof TimeExceeded) {
        this.#discard();
        throw refuse(`takes longer than ${this.#limits.policyTimeoutMs} ms`, cause);
      }
      const answered = cause instanceof Fault && cause.code !== 'SP_POLICY_EVALUATION';
      if (answered && canary.expect === 'not-allowed') return;
      throw refuse('fails', cause);
    }
    if (decision.allow && canary.expect !== 'verdict') throw refuse('allows what must be denied');
  }

  #evaluation(nowNs: bigint): Evaluation {
    return { nowNs, digests: this.#digests, print: this.#print };
  }

  /** Whatever comes out of the module other than a result costs it its instance. */
  #guarded<T>(work: (instance: PolicyInstance) => T): T {
    try {
      this.#instance ??= PolicyInstance.from(this.#image);
      return work(this.#instance);
    } catch (cause) {
      this.#discard();
      throw new Fault('SP_POLICY_EVALUATION', describe(cause), { cause });
    }
  }

  #discard(): void {
    this.#instance = undefined;
    this.#discarded += 1;
  }
}

/** 2026-01-01T00:00:00Z, as in the canaries' inputs. */
const CANARY_NOW_NS = 1_767_225_600_000_000_000n;

const encoder = new TextEncoder();

function dataBytes(data: string): Uint8Array {
  const value = parseJson(data);
  if (!(value instanceof RegoObject)) throw new Fault('SP_POLICY_MODULE', 'The policy data is not a JSON object.');
  return encoder.encode(toJson(value));
}

/** Text that did not come from our own writer is read and written anew: the module's parser is not strict. */
function inputBytes(input: string): Uint8Array {
  const value = parseJson(input);
  if (value === undefined) throw new Fault('SP_POLICY_INPUT', 'The policy input is not JSON.');
  return encoder.encode(toJson(value));
}

function describe(cause: unknown): string {
  if (cause instanceof TimeExceeded) return 'The policy did not answer in time; denied.';
  if (cause instanceof PolicyAbort) return `The policy ended without an answer; denied. ${cause.message}`;
  return 'The policy threw, trapped or ran out of memory; denied.';
}
