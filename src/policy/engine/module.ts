/**
 * A compiled policy module: checked, amended and compiled once, instantiated as often as needed. Speaks OPA's WebAssembly
 * ABI 1.2 and 1.3.
 */
import { Fault } from '../../faults/fault.ts';
import { type Amendment, amend } from './amend.ts';

/** What the wall hands in; a module that wants more is not run. */
const IMPORTS: ReadonlySet<string> = new Set([
  'memory memory',
  'function opa_abort',
  'function opa_println',
  'function opa_builtin0',
  'function opa_builtin1',
  'function opa_builtin2',
  'function opa_builtin3',
  'function opa_builtin4',
]);

const EXPORTS = [
  'builtins',
  'entrypoints',
  'eval',
  'opa_eval',
  'opa_eval_ctx_get_result',
  'opa_eval_ctx_new',
  'opa_eval_ctx_set_data',
  'opa_eval_ctx_set_entrypoint',
  'opa_eval_ctx_set_input',
  'opa_heap_ptr_get',
  'opa_heap_ptr_set',
  'opa_json_dump',
  'opa_json_parse',
  'opa_malloc',
  'opa_value_dump',
  'opa_value_parse',
] as const;

export type ModuleFunction = (typeof EXPORTS)[number];
export type ModuleExports = Readonly<Record<ModuleFunction, (...parameters: number[]) => number>> & {
  readonly opa_wasm_abi_version: WebAssembly.Global;
  readonly opa_wasm_abi_minor_version: WebAssembly.Global;
};

export class PolicyModule {
  readonly #module: WebAssembly.Module;

  /** Least memory that the module asks for, pages of 64 KiB. */
  readonly memoryPages: number;

  private constructor(module: WebAssembly.Module, memoryPages: number) {
    this.#module = module;
    this.memoryPages = memoryPages;
  }

  /** Throws SP_POLICY_MODULE. */
  static compile(wasm: Uint8Array, amendments: readonly Amendment[]): PolicyModule {
    const amended = amend(wasm, amendments);
    let module: WebAssembly.Module;
    try {
      module = new WebAssembly.Module(amended.wasm);
    } catch (cause) {
      throw new Fault('SP_POLICY_MODULE', 'The policy module is not valid WebAssembly.', { cause });
    }
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
      if (from !== 'env' || !IMPORTS.has(`${kind} ${name}`)) {
        throw new Fault(
          'SP_POLICY_MODULE',
          `The policy module imports ${from}.${name}, which a policy has no use for.`,
        );
      }
    }
    const exported = new Map(WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind]));
    for (const name of EXPORTS) {
      if (exported.get(name) !== 'function') {
        throw new Fault(
          'SP_POLICY_MODULE',
          `The policy module does not export ${name}: it is not one of \`opa build\`.`,
        );
      }
    }
    return new PolicyModule(module, amended.memoryPages);
  }

  /**
   * Throws SP_POLICY_MODULE for another ABI or another shape of import; whatever the start function throws passes through.
   */
  instantiate(functions: Readonly<Record<string, (...parameters: number[]) => number>>, memory: WebAssembly.Memory) {
    let instance: WebAssembly.Instance;
    try {
      instance = new WebAssembly.Instance(this.#module, { env: { ...functions, memory } });
    } catch (cause) {
      if (!(cause instanceof WebAssembly.LinkError)) throw cause;
      throw new Fault('SP_POLICY_MODULE', 'The policy module cannot be linked.', {
        cause,
      });
    }
    const exports = instance.exports as ModuleExports;
    const major = exports.opa_wasm_abi_version?.value;
    const minor = exports.opa_wasm_abi_minor_version?.value;
    if (major !== 1 || (minor !== 2 && minor !== 3)) {
      throw new Fault(
        'SP_POLICY_MODULE',
        `The policy module speaks ABI ${major}.${minor}; Sallyport speaks 1.2 and 1.3.`,
      );
    }
    return exports;
  }
}
