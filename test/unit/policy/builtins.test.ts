/**
 * Built-ins: what the wall answers is what OPA answers, or it refuses. The answers in test/vectors/policy/builtins.jsonl are
 * those of `opa eval`; with opa at hand they are made again and compared. UPDATE_VECTORS=1 writes them anew.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { BUILTINS } from '../../../src/policy/builtins/table.ts';
import type { RegoObject, Value } from '../../../src/policy/engine/value.ts';
import { parseJson, toJson } from '../../../src/policy/engine/value-text.ts';
import { buildPolicy, findOpa } from '../../../src/policy/opa-tool.ts';
import { PolicyWall } from '../../../src/policy/wall.ts';
import { PROBES, sourceOf } from './policy-source.ts';

const VECTORS = new URL('../../vectors/policy/builtins.jsonl', import.meta.url);
const SOURCE = fileURLToPath(new URL('../../vectors/policy/probes.rego', import.meta.url));

interface Probe {
  readonly f: string;
  /** JSON, with numbers as they stand in the file. */
  readonly args: string;
  /** What OPA answers, as JSON; undefined: undefined. */
  readonly opa: string | undefined;
  /** The wall does not answer this one. */
  readonly refused: boolean;
}

const probes: Probe[] = readFileSync(VECTORS, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => {
    const probe = parseJson(line) as RegoObject;
    const opa = probe.get('opa');
    return {
      f: probe.get('f') as string,
      args: toJson(probe.get('args') as Value),
      opa: opa === undefined ? undefined : toJson(opa),
      refused: probe.get('refused') === true,
    };
  });

const opa = await findOpa().catch(() => undefined);
if (opa === undefined) {
  if (process.env.CI) throw new Error('opa is missing, and CI must compare with it.');
  process.stderr.write('SKIPPED: opa is missing; built-ins are compared with its committed answers only.\n');
}

function inputOf({ f, args }: Probe, id: number): string {
  return `{"id":${id},"f":${JSON.stringify(f)},"args":${args}}`;
}

const policy = PolicyWall.activate(sourceOf({ wasm: PROBES, entrypoint: 'probes/answer' }));

function answerOf(probe: Probe): string | undefined {
  try {
    return policy.evaluate(inputOf(probe, 0)) ?? undefined;
  } catch {
    return 'refused';
  }
}

describe('the wall answers as OPA does', () => {
  const byFunction = [...Map.groupBy(probes, ({ f }) => f)];
  it('over many functions', () => {
    expect(byFunction.length).toBeGreaterThan(110);
    expect(probes.length).toBeGreaterThan(6_000);
    expect(probes.filter(({ refused }) => refused).length).toBeLessThan(60);
  });

  it.each(byFunction)('%s', (_, list) => {
    for (const probe of list) {
      expect(answerOf(probe), inputOf(probe, 0)).toBe(probe.refused ? 'refused' : probe.opa);
    }
  });
});

it('every built-in of the table is probed, but for those that look outside', () => {
  const probed = new Set(probes.map(({ f }) => f));
  const unprobed = [...BUILTINS.keys()].filter((name) => !probed.has(name));
  expect(unprobed).toEqual(['internal.print', 'time.now_ns']);
});

describe.skipIf(opa === undefined)('with opa at hand', () => {
  it('its answers are the committed ones', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-builtins-'));
    try {
      const input = join(folder, 'input.json');
      writeFileSync(input, `{"probes":[${probes.map(inputOf).join(',')}]}`);
      const output = execFileSync(
        opa!.path,
        ['eval', '-d', SOURCE, '-i', input, '--format=raw', 'data.probes.results'],
        {
          encoding: 'utf8',
          maxBuffer: 64 * 1_048_576,
        },
      );
      const answers = parseJson(output) as RegoObject;
      const lines = probes.map(({ f, args, refused }, at) => {
        const answer = answers.get(String(at));
        const told = answer === undefined ? '' : `,"opa":${toJson(answer)}`;
        return { told, line: `{"f":${JSON.stringify(f)},"args":${args}${told}${refused ? ',"refused":true' : ''}}` };
      });
      if (process.env.UPDATE_VECTORS) writeFileSync(VECTORS, `${lines.map(({ line }) => line).join('\n')}\n`);
      for (const [at, probe] of probes.entries()) {
        expect(lines[at]!.told, inputOf(probe, at)).toBe(probe.opa === undefined ? '' : `,"opa":${probe.opa}`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('the committed module is what it makes of the source', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-probes-'));
    try {
      const out = join(folder, 'probes.wasm');
      await buildPolicy({ sources: [SOURCE], entrypoints: ['probes/answer'], out }, opa);
      expect(readFileSync(out).equals(PROBES)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
