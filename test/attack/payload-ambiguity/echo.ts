/** Asks a module that answers with its payload what it has read in the very bytes that a policy was given. */
import { readFileSync } from 'node:fs';
import { AMENDMENTS, BuiltinTable } from '../../../src/policy/builtins/table.ts';
import { PolicyInstance } from '../../../src/policy/engine/instance.ts';
import { PolicyModule } from '../../../src/policy/engine/module.ts';
import { DIGESTS } from '../../../src/provision.ts';

const MEMORY_BYTES = 67_108_864;

/** Returns the payload as JSON text; undefined if the module has seen none. */
export function echo(): (input: Uint8Array) => string | undefined {
  const module = PolicyModule.compile(readFileSync(new URL('echo.wasm', import.meta.url)), AMENDMENTS);
  const host = new BuiltinTable();
  host.admit(PolicyInstance.bare(module, host, MEMORY_BYTES).list('builtins'));
  const instance = PolicyInstance.from(PolicyInstance.image(module, host, MEMORY_BYTES, Buffer.from('{}')));
  const entrypoint = instance.list('entrypoints').get('echo/payload') as number;
  return (input) => {
    const text = instance.evaluateFast(entrypoint, input, { nowNs: 0n, digests: DIGESTS, print: undefined }, 4_194_304);
    return text === '[]' ? undefined : text.slice('[{"result":'.length, -'}]'.length);
  };
}
