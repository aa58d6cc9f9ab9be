import { describe, expect, it } from 'vitest';
import { PolicyBatch } from '../../../src/policy/batch.ts';
import { DIGESTS, ENDLESS_LOOP, MISBEHAVING, PROBES, withFunction } from './policy-source.ts';

const MODULES: Readonly<Record<string, Uint8Array>> = {
  'probes.wasm': PROBES,
  'endless.wasm': withFunction(MISBEHAVING, 'g0.data.sallyport.gate.verdict', ENDLESS_LOOP),
  'garbage.wasm': Uint8Array.of(1, 2, 3),
};

function batch(reads: string[] = []) {
  return new PolicyBatch({
    readModule: (path) => {
      reads.push(path);
      const found = MODULES[path];
      if (found === undefined) throw new Error('ENOENT /secret/place');
      return found;
    },
    limits: { policyMemoryBytes: 32 * 1_048_576, policyTimeoutMs: 1_000 },
    digests: DIGESTS,
    timeoutMs: 1_000,
  });
}

const line = (id: unknown, input: string, changes = '') =>
  `{"id":${JSON.stringify(id)},"wasm":"probes.wasm","entrypoint":"probes/answer","input":${input}${changes}}`;
const call = (f: string, args: string) => `{"id":1,"f":${JSON.stringify(f)},"args":${args}}`;

describe('a line', () => {
  it('gives its result under its id, every digit kept', () => {
    const { line: ask } = { line: (text: string) => batch().line(text) };
    expect(ask(line('a', call('abs', '[-1]')))).toBe('{"id":"a","result":1}');
    expect(ask(line(9, call('plus', '[9007199254740993,1]')))).toBe('{"id":9,"result":9007199254740994}');
    expect(ask(line(null, call('array.reverse', '[[1.50,1e400,123456789012345678901234567890]]')))).toBe(
      '{"id":null,"result":[123456789012345678901234567890,1e400,1.50]}',
    );
    expect(
      ask(
        '{"id":12345678901234567890,"wasm":"probes.wasm","entrypoint":"probes/answer","input":{"id":1,"f":"count","args":[[]]}}',
      ),
    ).toBe('{"id":12345678901234567890,"result":0}');
  });

  it('tells an undefined result from null', () => {
    expect(batch().line(line(1, call('get', '[{"a":null},"b"]')))).toBe(
      '{"id":1,"error":"undefined","undefined":true}',
    );
    expect(batch().line(line(1, call('get', '[{"a":null},"a"]')))).toBe('{"id":1,"result":null}');
    expect(batch().line('{"id":1,"wasm":"probes.wasm","entrypoint":"probes/answer"}')).toBe(
      '{"id":1,"error":"undefined","undefined":true}',
    );
  });

  const bad: [what: string, text: string, answer: RegExp][] = [
    ['no JSON', '{"id":1,', /^\{"id":null,"error":"SP_USAGE: /],
    ['no object', '[1]', /^\{"id":null,"error":"SP_USAGE: /],
    ['two documents', `${line(1, '{}')} {}`, /^\{"id":null,"error":"SP_USAGE: /],
    ['no module', '{"id":1,"entrypoint":"x"}', /^\{"id":1,"error":"SP_USAGE: .*wasm/],
    ['a module that is a number', '{"id":1,"wasm":1,"entrypoint":"x"}', /^\{"id":1,"error":"SP_USAGE: .*wasm/],
    ['no entrypoint', '{"id":1,"wasm":"probes.wasm"}', /^\{"id":1,"error":"SP_USAGE: .*entrypoint/],
    [
      'a module that is not there',
      '{"id":1,"wasm":"gone.wasm","entrypoint":"x"}',
      /^\{"id":1,"error":"SP_POLICY_MODULE: /,
    ],
    [
      'a module that is none',
      '{"id":1,"wasm":"garbage.wasm","entrypoint":"x"}',
      /^\{"id":1,"error":"SP_POLICY_MODULE: /,
    ],
    [
      'another entrypoint',
      '{"id":1,"wasm":"probes.wasm","entrypoint":"x"}',
      /^\{"id":1,"error":"SP_POLICY_ENTRYPOINT: /,
    ],
    ['data that is no object', line(1, '{}', ',"data":[1]'), /^\{"id":1,"error":"SP_POLICY_MODULE: .*data/],
    ['an answer that is refused', line(1, call('hex.decode', '["ff"]')), /^\{"id":1,"error":"SP_POLICY_EVALUATION: /],
    [
      'an evaluation that never ends',
      '{"id":1,"wasm":"endless.wasm","entrypoint":"sallyport/gate/verdict","input":{}}',
      /^\{"id":1,"error":"SP_POLICY_EVALUATION: .*in time/,
    ],
  ];
  it.each(bad)('with %s gives an error, and the next is answered', (_, text, answer) => {
    const running = batch();
    expect(running.line(text)).toMatch(answer);
    expect(running.line(line(2, call('abs', '[-1]')))).toBe('{"id":2,"result":1}');
  });

  it('is always answered with one line of JSON', () => {
    const running = batch();
    for (const [, text] of bad) {
      const answer = running.line(text);
      expect(answer).not.toContain('\n');
      expect(Object.keys(JSON.parse(answer) as object)).toEqual(['id', 'error']);
    }
  });
});

describe('all lines', () => {
  it('are answered in order, empty ones skipped', async () => {
    const answers: string[] = [];
    const text = [line(1, call('abs', '[-1]')), '', 'x', '  ', line(2, call('abs', '[2]'))];
    for await (const answer of batch().lines(text)) answers.push(answer);
    expect(answers.map((answer) => (JSON.parse(answer) as { id: unknown }).id)).toEqual([1, null, 2]);
  });

  it('share a module, but no data and no memory', () => {
    const reads: string[] = [];
    const running = batch(reads);
    for (let at = 0; at < 40; at += 1) {
      const text = line(at, call('plus', `[${at},1]`), `,"data":{"n":${at % 20}}`);
      expect(running.line(text)).toBe(`{"id":${at},"result":${at + 1}}`);
    }
    expect(reads).toEqual(['probes.wasm']);
  });
});
