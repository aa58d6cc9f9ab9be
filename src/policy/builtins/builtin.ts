/** What a built-in function of ours is: Rego values in, a Rego value out, and nothing else but the facts of this evaluation. */
import type { Value } from '../engine/value.ts';

/** Cryptography comes from outside: node:crypto belongs to other folders. */
export interface Digests {
  readonly sha256: (data: string) => string;
  readonly hmacSha256: (data: string, key: string) => string;
}

/** The same for all calls of one evaluation. */
export interface Evaluation {
  /** Nanoseconds since the epoch. */
  readonly nowNs: bigint;
  readonly digests: Digests;
  /** Where `print` goes; undefined: nowhere. */
  readonly print: ((line: string) => void) | undefined;
}

/**
 * Undefined is OPA's answer to an argument that a built-in cannot take (built-in errors are not strict). What we refuse to
 * answer at all throws PolicyAbort and ends the evaluation.
 */
export type Builtin = (parameters: readonly Value[], evaluation: Evaluation) => Value | undefined;
