/** The binary reader and the guards, on a module of our own making and on real ones. */
import { describe, expect, it } from 'vitest';
import type { Fault } from '../../../../src/faults/fault.ts';
import { type Amendment, amend } from '../../../../src/policy/engine/amend.ts';
import {
  functionBodies,
  functionNames,
  importsOf,
  joinBodies,
  joinSections,
  sectionsOf,
  unsigned,
} from '../../../../src/policy/engine/wasm-binary.ts';
import { PROBES } from '../policy-source.ts';

const text = (value: string) => [...unsigned(value.length), ...Buffer.from(value)];
const section = (id: number, bytes: readonly number[]) => [id, ...unsigned(bytes.length), ...bytes];

/** Imports opa_builtin1 and opa_builtin2; its functions take one or two addresses and return 100 and 200, but for the memory. */
const TINY = Uint8Array.from([
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  // types: (i32)->i32, (i32 i32)->i32, (i32 i32 i32)->i32, (i32 i32 i32 i32)->i32
  ...section(
    1,
    [
      4, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 0x60, 3, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 4, 0x7f, 0x7f,
      0x7f, 0x7f, 1, 0x7f,
    ],
  ),
  ...section(2, [
    3,
    ...text('env'),
    ...text('opa_builtin1'),
    0,
    2,
    ...text('env'),
    ...text('opa_builtin2'),
    0,
    3,
    ...text('env'),
    ...text('memory'),
    2,
    0,
    2,
  ]),
  ...section(3, [2, 0, 1]),
  ...section(7, [2, ...text('one'), 0, 2, ...text('two'), 0, 3]),
  // bodies, the first with two local variables
  ...section(10, [2, 7, 1, 2, 0x7f, 0x41, 0xe4, 0x00, 0x0b, 5, 0, 0x41, 0xc8, 0x01, 0x0b]),
  ...section(0, [...text('name'), 1, ...unsigned(1 + 2 * (1 + 4)), 2, 2, ...text('one'), 3, ...text('two')]),
]);

/** Runs `one(address)` or `two(address, address)` of the amended module over a memory with these bytes at each address. */
function answers(amendment: Omit<Amendment, 'id'>, ...values: readonly (readonly number[])[]): string {
  const { wasm } = amend(TINY, [{ ...amendment, id: 1_000_000 }]);
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
  const asked: number[][] = [];
  const opa_builtin = (...parameters: number[]) => {
    asked.push(parameters);
    return 300;
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    env: { memory, opa_builtin1: opa_builtin, opa_builtin2: opa_builtin },
  });
  const addresses = values.map((bytes, at) => {
    new Uint8Array(memory.buffer).set(bytes, 1_024 * (at + 1));
    return 1_024 * (at + 1);
  });
  const exports = instance.exports as Record<string, (...parameters: number[]) => number>;
  const result = exports[amendment.function]!(...addresses);
  if (asked.length > 0) expect(asked).toEqual([[1_000_000, 0, ...addresses]]);
  return result === 300 ? 'host' : String(result);
}

const integer = (value: bigint) => {
  const bytes = new Uint8Array(16);
  bytes.set([3, 1]);
  new DataView(bytes.buffer).setBigInt64(8, value, true);
  return [...bytes];
};
const literalNumber = [3, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];

describe('a guard', () => {
  it('that always applies sends every call out', () => {
    expect(answers({ function: 'one', parameters: 1, guard: { kind: 'always' } }, [4])).toBe('host');
    expect(answers({ function: 'two', parameters: 2, guard: { kind: 'always' } }, [4], [4])).toBe('host');
  });

  it('on a type lets the others pass', () => {
    const guard = { kind: 'type', parameter: 1, types: [4, 7] } as const;
    const of = (type: number) => answers({ function: 'two', parameters: 2, guard }, [7], [type]);
    expect([1, 2, 3, 4, 5, 6, 7, 8].map(of)).toEqual(['200', '200', '200', 'host', '200', '200', 'host', '200']);
  });

  it('on an empty array lets others pass', () => {
    const guard = { kind: 'empty-array', parameter: 0 } as const;
    const of = (type: number, length: number) =>
      answers({ function: 'one', parameters: 1, guard }, [type, 0, 0, 0, 0, 0, 0, 0, length, 0, 0, 0]);
    expect([of(5, 0), of(5, 1), of(6, 0)]).toEqual(['host', '100', '100']);
  });

  it('on wide numbers lets only integers of 31 bits pass', () => {
    const one = { function: 'one', parameters: 1, guard: { kind: 'wide-number', among: 3 } } as const;
    for (const value of [0n, 1n, -1n, 1_073_741_823n, -1_073_741_824n])
      expect(answers(one, integer(value))).toBe('100');
    for (const value of [
      1_073_741_824n,
      -1_073_741_825n,
      2_147_483_648n,
      -2_147_483_648n,
      4_294_967_296n,
      -(1n << 63n),
    ]) {
      expect(answers(one, integer(value))).toBe('host');
    }
    expect(answers(one, literalNumber)).toBe('host');
    expect(answers(one, [7, 2, 0, 0])).toBe('100');
    const two = { ...one, function: 'two', parameters: 2 } as const;
    expect(answers(two, integer(1n), integer(2n))).toBe('200');
    expect(answers(two, integer(1n), literalNumber)).toBe('host');
    expect(answers(two, literalNumber, integer(1n))).toBe('host');
    const first = { ...two, guard: { kind: 'wide-number', among: 1 } } as const;
    expect(answers(first, integer(1n), literalNumber)).toBe('200');
    expect(answers(first, literalNumber, integer(1n))).toBe('host');
  });

  it('on anything but digits looks at the text behind its first character', () => {
    const guard = { kind: 'not-digits' } as const;
    const { wasm } = amend(TINY, [{ function: 'two', parameters: 2, guard, id: 7 }]);
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 2 });
    const host = () => 300;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
      env: { memory, opa_builtin1: host, opa_builtin2: host },
    });
    const two = (instance.exports as Record<string, (at: number, length: number) => number>).two!;
    const of = (digits: string) => {
      new Uint8Array(memory.buffer).set(Buffer.from(digits), 64);
      return two(64, digits.length);
    };
    for (const digits of ['', '1', '-', '12', '-12', '0123456789', '9'.repeat(30)])
      expect(of(digits), digits).toBe(200);
    for (const digits of ['1.', '1.0', '-1.5', '1e3', '1E3', '12345e', '1-', '1/', '1:', '1\u0000'])
      expect(of(digits), digits).toBe(300);
  });

  it('for a function that the module does not have changes nothing', () => {
    expect(
      Buffer.from(amend(TINY, [{ function: 'none', parameters: 1, guard: { kind: 'always' }, id: 1 }]).wasm).equals(
        TINY,
      ),
    ).toBe(true);
  });
});

describe('the binary', () => {
  it('comes back byte for byte from its parts', () => {
    for (const wasm of [TINY, PROBES]) {
      const sections = sectionsOf(wasm);
      expect(Buffer.from(joinSections(sections)).equals(wasm)).toBe(true);
      const code = sections.find(({ id }) => id === 10)!.content;
      expect(Buffer.from(joinBodies(functionBodies(code))).equals(code)).toBe(true);
    }
  });

  it('tells its imports and names', () => {
    expect(importsOf(sectionsOf(TINY))).toEqual({ functions: ['opa_builtin1', 'opa_builtin2'], memoryPages: 2 });
    expect([...functionNames(sectionsOf(TINY))]).toEqual([
      ['one', 2],
      ['two', 3],
    ]);
    expect(functionNames(sectionsOf(PROBES)).has('opa_strings_replace')).toBe(true);
  });

  it('cut off anywhere is refused', () => {
    for (let length = 0; length < TINY.length; length += 1) {
      try {
        amend(TINY.subarray(0, length), []);
      } catch (thrown) {
        expect((thrown as Fault).code).toBe('SP_POLICY_MODULE');
      }
    }
  });

  it('with lengths that go on for ever is refused', () => {
    const endless = Uint8Array.from([...TINY.subarray(0, 8), 1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]);
    expect(() => sectionsOf(endless)).toThrow(expect.objectContaining({ code: 'SP_POLICY_MODULE' }));
  });

  it('whose guarded function is an import is refused', () => {
    const named = Uint8Array.from(TINY);
    const at = Buffer.from(named).lastIndexOf('one') - 2;
    named[at] = 0;
    expect(() => amend(named, [{ function: 'one', parameters: 1, guard: { kind: 'always' }, id: 1 }])).toThrow(
      expect.objectContaining({ code: 'SP_POLICY_MODULE' }),
    );
  });
});
