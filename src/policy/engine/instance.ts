/**
 * One instance of a policy module with its data loaded. Single-threaded and not re-entrant. Whoever catches anything from
 * here throws the instance away: after a trap its memory and its stack pointer cannot be trusted.
 *
 * Memory:  | stack | module's data | values of `data` | input buffer | heap, reset by each evaluation ... |
 */
import { Fault } from '../../faults/fault.ts';
import type { Evaluation } from '../builtins/builtin.ts';
import type { ModuleExports, PolicyModule } from './module.ts';
import { PolicyAbort } from './policy-abort.ts';
import type { Value } from './value.ts';
import { parseModuleText, toModuleText } from './value-text.ts';

const PAGE_BYTES = 65_536;
/** What an ordinary input needs; longer ones get a longer buffer when they come. */
const INPUT_BUFFER_BYTES = 65_536;

/** Answers the module's calls out. `id` is one of `builtins()` or of an amendment. */
export interface BuiltinHost {
  call(id: number, parameters: readonly Value[], evaluation: Evaluation): Value | undefined;
  /** True if `id` reads a number out of a text rather than being a built-in. */
  readsNumbers(id: number): boolean;
  /** The number that a text of the module denotes: a 64-bit integer or a double; undefined if it denotes none. */
  readNumber(id: number, text: string): bigint | number | undefined;
}

/** An instance frozen after its data was loaded: what a new instance starts from. */
export interface PolicyImage {
  readonly module: PolicyModule;
  readonly host: BuiltinHost;
  readonly maximumPages: number;
  readonly memory: Uint8Array;
  readonly dataAddress: number;
  readonly heap: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class PolicyInstance {
  readonly #exports: ModuleExports;
  readonly #memory: WebAssembly.Memory;
  readonly #host: BuiltinHost;
  #view: Uint8Array;
  #evaluation: Evaluation | undefined;
  #dataAddress = 0;
  #dataEnd = 0;
  #inputAddress = 0;
  #inputCapacity = 0;
  #heap = 0;

  private constructor(module: PolicyModule, host: BuiltinHost, initialPages: number, maximumPages: number) {
    if (module.memoryPages > maximumPages) {
      throw new Fault('SP_POLICY_MODULE', 'The policy module needs more memory than limits.policyMemoryBytes.');
    }
    this.#host = host;
    const initial = Math.max(initialPages, module.memoryPages);
    this.#memory = new WebAssembly.Memory({ initial, maximum: maximumPages });
    this.#view = new Uint8Array(this.#memory.buffer);
    this.#exports = module.instantiate(this.#functions(), this.#memory);
  }

  /**
   * Makes a first instance without data, to ask it for its entrypoints and built-ins.
   * Throws what the module throws; SP_POLICY_MODULE if it cannot be instantiated.
   */
  static bare(module: PolicyModule, host: BuiltinHost, maxMemoryBytes: number): PolicyInstance {
    return new PolicyInstance(module, host, 0, Math.floor(maxMemoryBytes / PAGE_BYTES));
  }

  /** Loads `data` and returns the image from which instances are made. The bytes must be strict JSON. */
  static image(module: PolicyModule, host: BuiltinHost, maxMemoryBytes: number, data: Uint8Array): PolicyImage {
    const instance = PolicyInstance.bare(module, host, maxMemoryBytes);
    const address = instance.#store(data);
    const dataAddress = instance.#exports.opa_json_parse(address, data.length);
    if (dataAddress === 0) throw new Fault('SP_POLICY_MODULE', 'The policy module does not accept the policy data.');
    return {
      module,
      host,
      maximumPages: Math.floor(maxMemoryBytes / PAGE_BYTES),
      memory: instance.#bytes().slice(),
      dataAddress,
      heap: instance.#exports.opa_heap_ptr_get(),
    };
  }

  /** A new instance in the state of the image: a copy of memory instead of parsing the data again. */
  static from(image: PolicyImage): PolicyInstance {
    const pages = image.memory.length / PAGE_BYTES;
    const instance = new PolicyInstance(image.module, image.host, pages, image.maximumPages);
    instance.#bytes().set(image.memory);
    instance.#dataAddress = image.dataAddress;
    instance.#dataEnd = image.heap;
    instance.#reserve(INPUT_BUFFER_BYTES);
    return instance;
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Name to id, as the module lists its entrypoints or the built-ins that it expects of its host. */
  list(what: 'entrypoints' | 'builtins'): Map<string, number> {
    const text = this.#text(this.#exports.opa_json_dump(this.#exports[what]()), LIST_BYTES);
    return new Map(Object.entries(JSON.parse(text) as Record<string, number>));
  }

  /**
   * The fast way (ABI 1.2). The module evaluates without an input, and silently, if it cannot parse this one: the caller
   * checks that the sentinel came back.
   * @returns the result set as JSON
   */
  evaluateFast(entrypoint: number, input: Uint8Array, evaluation: Evaluation, maxResultBytes: number): string {
    if (input.length > this.#inputCapacity) this.#reserve(input.length);
    this.#evaluation = evaluation;
    this.#bytes().set(input, this.#inputAddress);
    const result = this.#exports.opa_eval(
      0,
      entrypoint,
      this.#dataAddress,
      this.#inputAddress,
      input.length,
      this.#heap,
      0,
    );
    return this.#text(result, maxResultBytes);
  }

  /** The careful way: the input must parse, and the result comes with its sets. Undefined input: none. */
  evaluateValue(
    entrypoint: number,
    input: Uint8Array | undefined,
    evaluation: Evaluation,
    maxResultBytes: number,
  ): Value {
    const exports = this.#exports;
    if (input !== undefined && input.length > this.#inputCapacity) this.#reserve(input.length);
    this.#evaluation = evaluation;
    exports.opa_heap_ptr_set(this.#heap);
    const context = exports.opa_eval_ctx_new();
    if (input !== undefined) {
      this.#bytes().set(input, this.#inputAddress);
      const value = exports.opa_json_parse(this.#inputAddress, input.length);
      if (value === 0) throw new PolicyAbort('The module does not accept the input.');
      exports.opa_eval_ctx_set_input(context, value);
    }
    exports.opa_eval_ctx_set_data(context, this.#dataAddress);
    exports.opa_eval_ctx_set_entrypoint(context, entrypoint);
    if (exports.eval(context) !== 0) throw new PolicyAbort('The evaluation failed.');
    const result = exports.opa_value_dump(exports.opa_eval_ctx_get_result(context));
    return parseModuleText(this.#text(result, maxResultBytes));
  }

  /** Lets the module itself allocate the input buffer: it does not notice when the host grows its memory. */
  #reserve(bytes: number): void {
    this.#exports.opa_heap_ptr_set(this.#dataEnd);
    this.#inputAddress = this.#exports.opa_malloc(bytes);
    this.#inputCapacity = bytes;
    this.#heap = this.#exports.opa_heap_ptr_get();
  }

  #store(bytes: Uint8Array): number {
    const address = this.#exports.opa_malloc(bytes.length);
    this.#bytes().set(bytes, address);
    return address;
  }

  /** Growing the memory detaches the view. */
  #bytes(): Uint8Array {
    if (this.#view.buffer !== this.#memory.buffer) this.#view = new Uint8Array(this.#memory.buffer);
    return this.#view;
  }

  /** The NUL-terminated text at an address. */
  #text(address: number, maxBytes: number): string {
    const bytes = this.#bytes();
    const end = address === 0 ? -1 : bytes.indexOf(0, address >>> 0);
    if (end < 0) throw new PolicyAbort('The module handed out no text.');
    if (end - address > maxBytes) throw new PolicyAbort(`The module handed out more than ${maxBytes} bytes.`);
    try {
      return decoder.decode(bytes.subarray(address, end));
    } catch (cause) {
      throw new PolicyAbort('The module handed out text that is not UTF-8.', { cause });
    }
  }

  #functions(): Record<string, (...parameters: number[]) => number> {
    const call = (id: number, _context: number, ...parameters: number[]) => this.#call(id, parameters);
    return {
      opa_abort: (address = 0) => {
        throw new PolicyAbort(this.#text(address, ABORT_BYTES));
      },
      opa_println: () => 0,
      opa_builtin0: call as (...parameters: number[]) => number,
      opa_builtin1: call as (...parameters: number[]) => number,
      opa_builtin2: call as (...parameters: number[]) => number,
      opa_builtin3: call as (...parameters: number[]) => number,
      opa_builtin4: call as (...parameters: number[]) => number,
    };
  }

  /** C: int read(const char *text, int length, out *number). Called while data and input are parsed, too. */
  #readNumber(id: number, [text = 0, length = 0, out = 0]: readonly number[]): number {
    const number = this.#host.readNumber(id, decoder.decode(this.#bytes().subarray(text, text + length)));
    if (number === undefined) return -1;
    const memory = new DataView(this.#memory.buffer);
    if (typeof number === 'bigint') memory.setBigInt64(out, number, true);
    else memory.setFloat64(out, number, true);
    return 0;
  }

  /** A call out: values leave and enter in the module's own notation, which keeps sets and every digit of a number. */
  #call(id: number, addresses: readonly number[]): number {
    if (this.#host.readsNumbers(id)) return this.#readNumber(id, addresses);
    if (this.#evaluation === undefined) throw new PolicyAbort('The module called a built-in outside of an evaluation.');
    const parameters = addresses.map((address) => this.#value(address));
    const result = this.#host.call(id, parameters, this.#evaluation);
    if (result === undefined) return 0;
    const bytes = encoder.encode(toModuleText(result));
    const value = this.#exports.opa_value_parse(this.#store(bytes), bytes.length);
    if (value === 0) throw new PolicyAbort('The module does not accept the answer of a built-in.');
    return value;
  }

  #value(address: number): Value {
    return parseModuleText(this.#text(this.#exports.opa_value_dump(address), this.#memory.buffer.byteLength));
  }
}

const LIST_BYTES = 65_536;
const ABORT_BYTES = 4_096;
