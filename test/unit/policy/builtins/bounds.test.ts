/** What a policy cannot make the host do: hang, eat memory, look at the machine, or answer what no JSON can hold. */
import { describe, expect, it } from 'vitest';
import type { Evaluation } from '../../../../src/policy/builtins/builtin.ts';
import { BUILTINS, BuiltinTable } from '../../../../src/policy/builtins/table.ts';
import { PolicyAbort } from '../../../../src/policy/engine/policy-abort.ts';
import { RegoNumber, RegoSet, type Value } from '../../../../src/policy/engine/value.ts';
import { PolicyWall } from '../../../../src/policy/wall.ts';
import { DIGESTS, PROBES, sourceOf } from '../policy-source.ts';

const policy = PolicyWall.activate(sourceOf({ wasm: PROBES, entrypoint: 'probes/answer' }));

function ask(f: string, args: readonly unknown[] | string): string {
  try {
    const json = typeof args === 'string' ? args : JSON.stringify(args);
    return policy.evaluate(`{"id":1,"f":"${f}","args":${json}}`, { timeoutMs: 5_000 }) ?? 'undefined';
  } catch (thrown) {
    return `refused: ${(thrown as Error).message}`;
  }
}

describe('a built-in that could take all time or memory is bounded', () => {
  it.each<[string, string, readonly unknown[] | string]>([
    ['bits.lsh', 'a shift by a billion', [1, 1_000_000_000]],
    ['bits.rsh', 'a shift by a billion', [1, 1_000_000_000]],
    ['numbers.range', 'a billion numbers', [1, 1_000_000_000]],
    ['numbers.range', 'numbers beyond 64 bits', '[0,1e300]'],
    ['numbers.range_step', 'a billion numbers', [1, 1_000_000_000, 1]],
    ['multiply', 'an exponent of a billion', '[1e1000000000,2]'],
    ['plus', 'a negative exponent of a billion', '[1e-1000000000,2.5]'],
    ['round', 'a huge number', '[1e99999]'],
    ['sum', 'a huge number', '[[1e99999]]'],
    ['format_int', 'a huge number', '[1e99999,10]'],
    ['sprintf', 'a width of a million', ['%1000000d', [1]]],
    ['sprintf', 'a width from an operand', ['%*d', [900_000, 1]]],
    ['sprintf', 'many wide ones', ['%60000d%60000d', [1, 2]]],
    ['regex.match', 'a large expression on a long text', [`(?i)${'k'.repeat(3_000)}`, 'k'.repeat(30_000)]],
    ['regex.match', 'an endless expression', ['a'.repeat(5_000), 'a']],
    ['regex.replace', 'a large expression on a long text', ['k'.repeat(30_000), '(?:k?){900}', '']],
    ['glob.match', 'an endless pattern', ['*a'.repeat(3_000), [], 'a']],
    ['json.unmarshal', 'a number of a billion digits', ['1e1000000000']],
    ['units.parse_bytes', 'a number of a billion digits', ['1e999999']],
    ['time.clock', 'the zone of the machine', [[0, 'Local']]],
    ['to_number', 'a number that JSON does not know', ['1.']],
    ['to_number', 'digits with underscores', ['1_000']],
    ['base64.decode', 'binary', ['/w==']],
    ['hex.decode', 'binary', ['ff']],
  ])('%s: %s', (f, _, args) => {
    expect(ask(f, args)).toMatch(/^refused: /);
    expect(ask('abs', [-1])).toBe('1');
  });

  it('and is linear where it reads a long text', () => {
    const started = process.cpuUsage();
    const long = '1'.repeat(60_000);
    for (const [f, ...args] of [
      ['to_number', `${long}x`],
      ['to_number', `${'.'.repeat(60_000)}x`],
      ['units.parse_bytes', `${long}x`],
      ['units.parse_bytes', '1e'.repeat(30_000)],
      ['semver.is_valid', `1.2.3-${'a.'.repeat(30_000)}!`],
      ['net.cidr_is_valid', `${'1:'.repeat(30_000)}/64`],
      ['time.parse_rfc3339_ns', `2026-01-02T03:04:05.${long}`],
      ['json.is_valid', '['.repeat(60_000)],
      ['json.is_valid', `"${'\\\\'.repeat(30_000)}`],
      ['base64.decode', `${'YWJj'.repeat(15_000)}!`],
      ['base64.is_valid', `${'YWJj'.repeat(15_000)}!`],
      ['hex.decode', `${'61'.repeat(30_000)}!`],
      ['regex.split', '(a*)*b', 'a'.repeat(20_000)],
      ['replace', 'a'.repeat(60_000), '', '-'],
      ['indexof_n', 'ä'.repeat(10_000), 'ää'],
      ['sprintf', '%s'.repeat(1_000), Array.from({ length: 10 }, () => 'x')],
    ] as const) {
      ask(f, args);
    }
    expect(process.cpuUsage(started).user / 1_000).toBeLessThan(10_000);
  });
});

describe('the table', () => {
  const evaluation: Evaluation = { nowNs: 1_767_225_600_000_000_001n, digests: DIGESTS, print: undefined };
  const call = (name: string, parameters: readonly Value[], changes: Partial<Evaluation> = {}) => {
    const table = new BuiltinTable();
    expect(table.admit(new Map([[name, 3]]))).toEqual([]);
    return table.call(3, parameters, { ...evaluation, ...changes });
  };

  it('has nothing that reaches the network, the machine, chance or the clock', () => {
    for (const name of [
      'http.send',
      'net.lookup_ip_addr',
      'opa.runtime',
      'rand.intn',
      'uuid.rfc4122',
      'rego.parse_module',
      'trace',
      'io.jwt.decode_verify',
    ]) {
      expect(BUILTINS.has(name)).toBe(false);
    }
  });

  it('refuses names it does not have, and ids that are its own', () => {
    const wanted = new Map([
      ['sprintf', 0],
      ['http.send', 1],
      ['constructor', 2],
      ['time.now_ns', 1_000_000],
    ]);
    expect(new BuiltinTable().admit(wanted)).toEqual(['constructor', 'http.send', 'time.now_ns']);
    expect(() => new BuiltinTable().call(5, [], evaluation)).toThrow(PolicyAbort);
  });

  it('gives one time throughout an evaluation, to the nanosecond', () => {
    expect(call('time.now_ns', [])).toEqual(new RegoNumber('1767225600000000001'));
  });

  it('prints every combination of what an expression can be, and nothing without a reader', () => {
    const operands = [['x =', RegoSet.of(['a', new RegoNumber('1')]), RegoSet.of([])]];
    const lines: string[] = [];
    expect(call('internal.print', operands, { print: (line) => lines.push(line) })).toBe(true);
    expect(lines).toEqual(['x = 1 <undefined>', 'x = a <undefined>']);
    expect(call('internal.print', operands)).toBe(true);
    const many = RegoSet.of(Array.from({ length: 50 }, (_, at) => RegoNumber.of(at)));
    lines.length = 0;
    call('internal.print', [[many, many, many]], { print: (line) => lines.push(line) });
    expect(lines).toHaveLength(100);
  });
});
