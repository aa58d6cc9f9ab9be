/**
 * `policy eval --batch`: many evaluations through the very wall that the gateway uses. A line in:
 * `{"id", "wasm", "entrypoint", "data"?, "input"?}`; a line out: `{"id", "result"}` or `{"id", "error"}`. An undefined result
 * is `{"id", "error": "undefined", "undefined": true}`. No line stops the batch, and no number loses a digit.
 */

import { Fault } from '../faults/fault.ts';
import type { Digests } from './builtins/builtin.ts';
import { RegoObject, type Value } from './engine/value.ts';
import { parseJson, toJson } from './engine/value-text.ts';
import { type ActivePolicy, PolicyWall, type WallLimits } from './wall.ts';

export interface BatchOptions {
  /** Reads a module; `path` is as it stands in the line. */
  readonly readModule: (path: string) => Uint8Array;
  readonly limits: WallLimits;
  readonly digests: Digests;
  /** For one evaluation. */
  readonly timeoutMs: number;
}

/** Loaded policies that are kept: module, data and entrypoint together. */
const MAX_POLICIES = 8;
const MAX_MODULES = 64;

export class PolicyBatch {
  readonly #options: BatchOptions;
  readonly #modules = new Map<string, Uint8Array>();
  readonly #policies = new Map<string, ActivePolicy>();

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /** Answers one line. Never throws. */
  line(line: string): string {
    const request = parseJson(line);
    const id = request instanceof RegoObject ? (request.get('id') ?? null) : null;
    try {
      if (!(request instanceof RegoObject)) throw new Fault('SP_USAGE', 'The line is not a JSON object.');
      const input = request.get('input');
      const result = this.#policy(request).evaluate(input === undefined ? undefined : toJson(input), {
        entrypoint: textOf(request, 'entrypoint'),
        timeoutMs: this.#options.timeoutMs,
      });
      if (result === undefined) return `{"id":${toJson(id)},"error":"undefined","undefined":true}`;
      return `{"id":${toJson(id)},"result":${result}}`;
    } catch (thrown) {
      const { code, message } = Fault.from(thrown);
      return `{"id":${toJson(id)},"error":${JSON.stringify(`${code}: ${message}`)}}`;
    }
  }

  /** Answers all lines, one for one; empty ones are skipped. */
  async *lines(lines: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
    for await (const line of lines) if (line.trim() !== '') yield this.line(line);
  }

  #policy(request: RegoObject): ActivePolicy {
    const path = textOf(request, 'wasm');
    const entrypoint = textOf(request, 'entrypoint');
    const data = toJson(request.get('data') ?? RegoObject.of([]));
    const key = JSON.stringify([path, entrypoint, data]);
    const known = this.#policies.get(key);
    if (known !== undefined) return known;
    const { limits, digests } = this.#options;
    const wasm = this.#module(path);
    const policy = PolicyWall.activate({ wasm, data, entrypoint, revision: 'batch', limits, digests, canaries: [] });
    evictOldest(this.#policies, MAX_POLICIES);
    this.#policies.set(key, policy);
    return policy;
  }

  #module(path: string): Uint8Array {
    const known = this.#modules.get(path);
    if (known !== undefined) return known;
    let wasm: Uint8Array;
    try {
      wasm = this.#options.readModule(path);
    } catch (cause) {
      throw new Fault('SP_POLICY_MODULE', 'The policy module cannot be read from its file.', { cause });
    }
    evictOldest(this.#modules, MAX_MODULES);
    this.#modules.set(path, wasm);
    return wasm;
  }
}

function evictOldest(map: Map<string, unknown>, size: number): void {
  if (map.size < size) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}

function textOf(request: RegoObject, name: string): string {
  const value: Value | undefined = request.get(name);
  if (typeof value === 'string') return value;
  throw new Fault('SP_USAGE', `"${name}" is missing or no string.`);
}
