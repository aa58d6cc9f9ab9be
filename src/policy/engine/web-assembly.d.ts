/** The part of the WebAssembly JavaScript interface that the wall uses. Node has it; the type library without `dom` has not. */
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>);
    static imports(module: Module): { readonly module: string; readonly name: string; readonly kind: string }[];
    static exports(module: Module): { readonly name: string; readonly kind: string }[];
  }

  class Memory {
    constructor(limits: { readonly initial: number; readonly maximum: number });
    readonly buffer: ArrayBuffer;
  }

  class Global {
    readonly value: number;
  }

  class Instance {
    constructor(
      module: Module,
      imports: Readonly<Record<string, Readonly<Record<string, Memory | ((...parameters: number[]) => number)>>>>,
    );
    readonly exports: unknown;
  }

  class LinkError extends Error {}
  class RuntimeError extends Error {}
}
