/**
 * The wall: whatever a policy does, the answer is a verdict or a denial, and the next good question is answered. Threat 19 at
 * unit level; threat-by-threat modules are made by damaging a compiled one.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../src/faults/fault.ts';
import { canariesFor } from '../../../src/policy/canaries.ts';
import { type ActivePolicy, type PolicySource, PolicyWall } from '../../../src/policy/wall.ts';
import {
  callTo,
  ENDLESS_LOOP,
  MISBEHAVING,
  PROBES,
  RETURN_ONE,
  RETURN_ZERO,
  sourceOf,
  stripped,
  TRAP,
  vector,
  withFunction,
  withText,
} from './policy-source.ts';

const names = JSON.parse(Buffer.from(vector('misbehaving/names.json')).toString()) as string[];
const shipped = readFileSync(new URL('../../../policies/compiled/policy.wasm', import.meta.url));
const encoder = new TextEncoder();

function input(resource: string, v = 1): Uint8Array {
  return encoder.encode(JSON.stringify({ v, action: { resource, bytes: 1 } }));
}

function decide(policy: ActivePolicy, resource: string): string {
  try {
    const decision = policy.decide(input(resource), 1, 0n);
    return decision.allow ? `allowed to ${decision.obligations.upstream}` : `denied: ${decision.reasons.join()}`;
  } catch (thrown) {
    return thrown instanceof Fault ? thrown.code : `not a fault: ${String(thrown)}`;
  }
}

function activation(changes: Partial<PolicySource>): string {
  try {
    PolicyWall.activate(sourceOf(changes));
    return 'activated';
  } catch (thrown) {
    return thrown instanceof Fault ? `${thrown.code}: ${thrown.message}` : `not a fault: ${String(thrown)}`;
  }
}

describe('a policy that misbehaves', () => {
  const policy = PolicyWall.activate(sourceOf());
  // These two are verdicts; that their names exist is the decider's to check.
  const verdicts = ['an upstream nobody configured', 'a privacy rule nobody configured'];

  it.each(names.map((name, at) => [name, `/fail/${String(at + 1).padStart(2, '0')}`]))(
    '%s: denied, and the next is answered',
    (name, path) => {
      const answer = decide(policy, path);
      if (verdicts.includes(name)) expect(answer).toMatch(/^allowed to/);
      else expect(answer).toMatch(/^(SP_POLICY_(VERDICT|OBLIGATION|EVALUATION)|denied: policy-denied)$/);
      expect(decide(policy, '/ok')).toBe('allowed to cloud');
      expect(decide(policy, '/elsewhere')).toBe('denied: policy-denied');
    },
  );
});

describe('a module that breaks while it decides', () => {
  const broken: [what: string, wasm: Uint8Array][] = [
    ['traps', withFunction(MISBEHAVING, 'g0.data.sallyport.gate.verdict', TRAP)],
    ['says that it failed', withFunction(MISBEHAVING, 'eval', RETURN_ONE)],
    ['leaves no result', withFunction(MISBEHAVING, 'eval', RETURN_ZERO)],
    ['hands out nothing', withFunction(MISBEHAVING, 'opa_eval', RETURN_ZERO)],
    ['hands out an address beyond its memory', withFunction(MISBEHAVING, 'opa_eval', [0x41, 0x7f, 0x0b])],
    ['hands out the start of its memory', withFunction(MISBEHAVING, 'opa_eval', RETURN_ONE)],
    [
      'recurses without end',
      withFunction(MISBEHAVING, 'g0.data.sallyport.gate.verdict', [
        0x20,
        0x00,
        0x20,
        0x01,
        ...callTo(MISBEHAVING, 'g0.data.sallyport.gate.verdict'),
        0x0b,
      ]),
    ],
    [
      'asks for a built-in that it did not list',
      withFunction(MISBEHAVING, 'g0.data.sallyport.gate.verdict', [
        0x41,
        0x07,
        0x41,
        0x00,
        ...callTo(MISBEHAVING, 'opa_builtin0'),
        0x0b,
      ]),
    ],
  ];

  it.each(broken)('%s: denied each time, instance thrown away', (_, wasm) => {
    const policy = PolicyWall.activate(sourceOf({ wasm }));
    for (let times = 1; times <= 3; times += 1) {
      expect(decide(policy, '/ok')).toMatch(/^SP_POLICY_(EVALUATION|VERDICT)$/);
    }
    expect(decide(policy, '/elsewhere')).toMatch(/^SP_POLICY_(EVALUATION|VERDICT)$/);
  });

  it('is given up for a new instance, which starts from a clean memory', () => {
    const policy = PolicyWall.activate(sourceOf());
    decide(policy, '/ok');
    const atRest = policy.memoryBytes;
    for (let times = 1; times <= 20; times += 1) {
      expect(decide(policy, '/fail/29')).toBe('SP_POLICY_EVALUATION');
      expect(policy.discarded).toBe(times);
      expect(policy.memoryBytes).toBe(0);
      expect(decide(policy, '/ok')).toBe('allowed to cloud');
      expect(policy.memoryBytes).toBe(atRest);
    }
  });
});

it('an answer that is far too long is not even read', () => {
  const policy = PolicyWall.activate(sourceOf());
  expect(() => policy.decide(input('/fail/30'), 1, 0n)).toThrow(
    expect.objectContaining({
      code: 'SP_POLICY_EVALUATION',
      message: expect.stringMatching(/more than 16384 bytes/) as unknown,
    }),
  );
});

describe('memory', () => {
  it('does not grow over 100,000 decisions', () => {
    const policy = PolicyWall.activate(sourceOf());
    const asked = [input('/ok'), input('/elsewhere'), input(`/${'a'.repeat(4_000)}`), input('/fail/16')];
    const ask = (at: number) => {
      try {
        policy.decide(asked[at % asked.length]!, 1, 0n);
      } catch {}
    };
    for (let at = 0; at < 1_000; at += 1) ask(at);
    const before = policy.memoryBytes;
    for (let at = 0; at < 100_000; at += 1) ask(at);
    expect(policy.memoryBytes).toBe(before);
    expect(policy.discarded).toBe(0);
  });

  it('is bounded: what asks for more is denied', () => {
    const policy = PolicyWall.activate(
      sourceOf({
        wasm: PROBES,
        entrypoint: 'probes/answer',
        limits: { policyMemoryBytes: 4 * 1_048_576, policyTimeoutMs: 1_000 },
      }),
    );
    const list = `[${Array.from({ length: 60_000 }, (_, at) => at).join()}]`;
    const sort = (items: string) => policy.evaluate(`{"id":1,"f":"sort","args":[${items}]}`);
    expect(() => sort(list)).toThrow(expect.objectContaining({ code: 'SP_POLICY_EVALUATION' }));
    expect(sort('[2,1]')).toBe('[1,2]');
  });

  it('must suffice for the module and its data', () => {
    const limits = { policyMemoryBytes: 65_536, policyTimeoutMs: 1_000 };
    expect(activation({ limits })).toMatch(/^SP_POLICY_MODULE: .*policyMemoryBytes/);
    const data = JSON.stringify({ list: Array.from({ length: 100_000 }, (_, at) => at) });
    expect(activation({ data, limits: { ...limits, policyMemoryBytes: 2 * 1_048_576 } })).toMatch(/^SP_POLICY_MODULE/);
  });
});

describe('activation refuses', () => {
  const wasm = MISBEHAVING;
  const modules: [what: string, changes: Partial<PolicySource>, refusal: RegExp][] = [
    ['nothing', { wasm: new Uint8Array() }, /^SP_POLICY_MODULE/],
    ['garbage', { wasm: encoder.encode('#!/bin/sh\necho allow') }, /^SP_POLICY_MODULE/],
    ['a gzipped bundle', { wasm: Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0) }, /^SP_POLICY_MODULE/],
    ['a header alone', { wasm: wasm.subarray(0, 8) }, /^SP_POLICY_MODULE/],
    ['half a module', { wasm: wasm.subarray(0, wasm.length >> 1) }, /^SP_POLICY_MODULE/],
    ['a module without its last byte', { wasm: wasm.subarray(0, -1) }, /^SP_POLICY_MODULE/],
    ['a flipped byte in the code', { wasm: flipped(wasm, 40_000) }, /^SP_POLICY_MODULE/],
    ['a module without names', { wasm: stripped(wasm) }, /^SP_POLICY_MODULE: .*names/],
    [
      'an import that is none of a policy',
      { wasm: withText(wasm, 'opa_builtin4', 'fd_write_xyz') },
      /^SP_POLICY_MODULE: .*fd_write_xyz/,
    ],
    [
      'a module without opa_eval',
      { wasm: withText(wasm, 'opa_eval_ctx_new', 'opa_eval_ctx_old') },
      /^SP_POLICY_MODULE: .*opa_eval_ctx_new/,
    ],
    [
      'a module of no known ABI',
      { wasm: withText(wasm, 'opa_wasm_abi_minor_version', 'opa_wasm_abi_major_version') },
      /^SP_POLICY_MODULE: .*ABI/,
    ],
    ['a module that traps as it starts', { wasm: withFunction(wasm, 'opa_malloc_init', TRAP) }, /^SP_POLICY_MODULE/],
    [
      'a module that never ends to start',
      {
        wasm: withFunction(wasm, 'opa_malloc_init', ENDLESS_LOOP),
        limits: { policyMemoryBytes: 1 << 25, policyTimeoutMs: 5 },
      },
      /^SP_POLICY_MODULE: .*in time/,
    ],
    [
      'a module that does not take its data',
      { wasm: withFunction(wasm, 'opa_json_parse', RETURN_ZERO) },
      /^SP_POLICY_MODULE: .*data/,
    ],
    [
      'a module that cannot print',
      { wasm: withFunction(wasm, 'opa_json_writer_write', RETURN_ZERO) },
      /^SP_POLICY_MODULE/,
    ],
    [
      'a module that cannot list its built-ins',
      { wasm: withFunction(wasm, 'builtins', RETURN_ZERO) },
      /^SP_POLICY_MODULE/,
    ],
    ['another entrypoint', { entrypoint: 'sallyport/gate/allow' }, /^SP_POLICY_ENTRYPOINT: .*sallyport\/gate\/verdict/],
    ['no entrypoint', { entrypoint: '' }, /^SP_POLICY_ENTRYPOINT/],
    ['an entrypoint of every object', { entrypoint: 'constructor' }, /^SP_POLICY_ENTRYPOINT/],
    [
      'a built-in that is not ours',
      { wasm: withText(wasm, 'sprintf\0', 'sprintF\0') },
      /^SP_POLICY_BUILTIN: .*sprintF/,
    ],
    ['data that is no object', { data: '[]' }, /^SP_POLICY_MODULE: .*data/],
    ['data that is no JSON', { data: '{' }, /^SP_POLICY_MODULE: .*data/],
    ['data with something behind it', { data: '{} {}' }, /^SP_POLICY_MODULE: .*data/],
  ];
  it.each(modules)('%s', (_, changes, refusal) => {
    expect(activation(changes)).toMatch(refusal);
  });

  it('any module with one byte cut out of it, without a crash', () => {
    for (let at = 0; at < shipped.length; at += 4_999) {
      const cut = Buffer.concat([shipped.subarray(0, at), shipped.subarray(at + 1)]);
      expect(activation({ wasm: cut })).toMatch(/^(SP_POLICY_|activated)/);
    }
  });
});

describe('canaries', () => {
  const canaries = canariesFor(['sensors']);

  it('pass a policy that speaks in verdicts and denies what it does not know', () => {
    const data = JSON.stringify({ configuration: { segments: {} } });
    expect(activation({ wasm: shipped, data, canaries: canariesFor([]) })).toBe('activated');
  });

  it('catch one that says no verdict, each by its name', () => {
    expect(
      activation({
        canaries: [{ name: 'list', input: '{"v":1,"action":{"resource":"/fail/07"}}', expect: 'verdict', sentinel: 1 }],
      }),
    ).toBe('SP_POLICY_CANARY: The policy fails on the canary "list".');
  });

  it('catch one that allows what must be denied', () => {
    const ok = { name: 'unknown segment', input: '{"v":1,"action":{"resource":"/ok"}}', sentinel: 1 } as const;
    expect(activation({ canaries: [{ ...ok, expect: 'verdict' }] })).toBe('activated');
    expect(activation({ canaries: [{ ...ok, expect: 'denied' }] })).toMatch(
      /^SP_POLICY_CANARY: .*allows what must be denied/,
    );
    expect(activation({ canaries: [{ ...ok, expect: 'not-allowed' }] })).toMatch(
      /^SP_POLICY_CANARY: .*allows what must be denied/,
    );
  });

  it('hold for the set that the gateway uses: unknown segments, every state but active, the empty object', () => {
    const denied = canaries.filter(({ expect: expected }) => expected !== 'verdict').map(({ name }) => name);
    for (const what of ['unknown segment', 'disabled device', 'quarantined device', 'retired device', 'empty object'])
      expect(denied).toContain(what);
    expect(denied.length).toBeGreaterThan(10);
  });

  it('catch one that hangs, while it is loaded or asked', () => {
    const limits = { policyMemoryBytes: 32 * 1_048_576, policyTimeoutMs: 50 };
    const wasm = withFunction(MISBEHAVING, 'g0.data.sallyport.gate.verdict', ENDLESS_LOOP);
    expect(activation({ wasm, limits, canaries })).toBe(
      'SP_POLICY_CANARY: The policy takes longer than 50 ms on the canary "empty object".',
    );
  });

  it('catch one that traps', () => {
    const wasm = withFunction(MISBEHAVING, 'g0.data.sallyport.gate.verdict', TRAP);
    expect(activation({ wasm, canaries })).toMatch(/^SP_POLICY_CANARY: The policy fails on the canary/);
  });
});

describe('evaluate', () => {
  const policy = PolicyWall.activate(sourceOf({ wasm: PROBES, entrypoint: 'probes/answer' }));
  const ask = (f: string, ...args: string[]) => policy.evaluate(`{"id":1,"f":"${f}","args":[${args.join()}]}`);

  it('keeps every digit of a number on its way in and out', () => {
    for (const number of ['9007199254740993', '123456789012345678901234567890', '1.10', '1e400', '-0.000001']) {
      expect(ask('array.reverse', `[${number}]`)).toBe(`[${number}]`);
    }
  });

  it('prints sets sorted, whatever order the module has them in', () => {
    expect(ask('set', '["b","ä","a",10,9,null,[2],[1],true]')).toBe('[null,true,9,10,"a","b","ä",[1],[2]]');
  });

  it('tells undefined from null', () => {
    expect(ask('get', '{"a":null}', '"a"')).toBe('null');
    expect(ask('get', '{"a":null}', '"b"')).toBeUndefined();
  });

  it('refuses an input that is no JSON, rather than evaluate without one', () => {
    for (const text of ['', '{', '{} x', '{"a":01}', "{'a':1}", 'undefined', '{"a":1,}', '{1,2}', 'set()']) {
      expect(() => policy.evaluate(text)).toThrow(expect.objectContaining({ code: 'SP_POLICY_INPUT' }));
    }
  });

  it('ends what takes too long, and answers the next', () => {
    const wasm = withFunction(MISBEHAVING, 'g0.data.sallyport.gate.verdict', ENDLESS_LOOP);
    const endless = PolicyWall.activate(sourceOf({ wasm }));
    expect(() => endless.evaluate('{}', { timeoutMs: 30 })).toThrow(
      expect.objectContaining({ code: 'SP_POLICY_EVALUATION', message: expect.stringMatching(/in time/) as unknown }),
    );
    expect(endless.discarded).toBe(1);
  });

  it('asks another entrypoint by name, and refuses one that is not there', () => {
    expect(policy.evaluate('{"id":1,"f":"abs","args":[-1]}', { entrypoint: 'probes/answer' })).toBe('1');
    expect(() => policy.evaluate('{}', { entrypoint: 'nope' })).toThrow(
      expect.objectContaining({ code: 'SP_POLICY_ENTRYPOINT' }),
    );
  });

  it('takes an input of any size and shrinks back to nothing else', () => {
    const long = JSON.stringify('x'.repeat(300_000));
    expect(ask('count', long)).toBe('300000');
    expect(ask('count', '"abc"')).toBe('3');
    expect(ask('count', long)).toBe('300000');
  });
});

describe('replace with an empty search text, which hangs in the module itself', () => {
  const policy = PolicyWall.activate(sourceOf({ wasm: PROBES, entrypoint: 'probes/answer' }));
  it('answers as OPA does', () => {
    expect(policy.evaluate('{"id":1,"f":"replace","args":["ab","","-"]}', { timeoutMs: 1_000 })).toBe('"-a-b-"');
  });
});

function flipped(wasm: Uint8Array, at: number): Uint8Array {
  const changed = Uint8Array.from(wasm);
  changed[at] = changed[at]! ^ 0xff;
  return changed;
}
