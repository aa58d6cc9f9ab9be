import { describe, expect, it } from 'vitest';
import { chained } from '../../../src/ledger/format.ts';
import { Ledger } from '../../../src/ledger/ledger.ts';
import { type Verification, type VerifyOptions, verifyLedger } from '../../../src/ledger/verify.ts';
import { MemoryFiles } from './memory-files.ts';
import { decisionId, START, sample, seeded } from './samples.ts';

const DIRECTORY = '/ledger';
const RECORDS = 40;

/** Contents of the files of one ledger, by name: the tests below attack copies. */
type Contents = ReadonlyMap<string, string>;

const { contents, head } = await made();
const names = [...contents.keys()].sort();
const lastName = names.at(-1)!;

async function made() {
  const files = new MemoryFiles();
  const ledger = await Ledger.open(DIRECTORY, { gateway: 'plant-7', maxFileBytes: 8_000, maxQueue: 100, files });
  for (let count = 0; count < RECORDS; count++) {
    await ledger.record(sample(count));
    if (count % 9 === 0) {
      ledger.outcome({ decision: sample(count).decision, time: START + count, fault: 'SP_UPSTREAM_BUSY' });
    }
  }
  await ledger.close();
  const made = new Map([...files.files].map(([path, { seen }]) => [path.slice(DIRECTORY.length + 1), seen.toString()]));
  return { contents: made as Contents, head: ledger.head };
}

function verify(of: ReadonlyMap<string, string | Buffer>, options: VerifyOptions = {}): Promise<Verification> {
  const files = new MemoryFiles();
  for (const [name, content] of of) {
    files.files.set(`${DIRECTORY}/${name}`, { seen: Buffer.from(content), durable: Buffer.alloc(0) });
  }
  return verifyLedger(DIRECTORY, { files, ...options });
}

function withFile(name: string, content: string | Buffer): Map<string, string | Buffer> {
  return new Map<string, string | Buffer>(contents).set(name, content);
}

/** Every line with its file, its number and its sequence number. */
const lines = names.flatMap((name) =>
  contents
    .get(name)!
    .split('\n')
    .slice(0, -1)
    .map((text, index) => ({ name, line: index + 1, seq: Number(/^\{"seq":(\d+)/.exec(text)![1]), text })),
);

function built(rows: readonly { readonly name: string; readonly text: string }[]): Map<string, string> {
  const result = new Map(names.map((name) => [name, '']));
  for (const { name, text } of rows) result.set(name, `${result.get(name)}${text}\n`);
  return result;
}

describe('a ledger nobody touched', () => {
  it('verifies, over several files', async () => {
    expect(names.length).toBeGreaterThan(3);
    const whole = await verify(contents);
    expect(whole).toEqual({ ok: true, records: lines.length, files: names.length, head, firstProblem: undefined });
    expect(await verify(contents, { expectHead: head })).toEqual(whole);
  });

  it('verifies against a head noted earlier', async () => {
    const earlier = lines[17]!;
    const hash = /"hash":"(\w+)"/.exec(earlier.text)![1]!;
    expect((await verify(contents, { expectHead: { seq: 17, hash } })).ok).toBe(true);
  });

  it('reports progress by file', async () => {
    const told: [string, number][] = [];
    await verify(contents, { onFile: (name, records) => told.push([name, records]) });
    expect(told.map(([name]) => name)).toEqual(names);
    expect(told.at(-1)?.[1]).toBe(lines.length);
  });

  it('is empty where there is none', async () => {
    expect(await verify(new Map())).toMatchObject({ ok: true, records: 0, head: undefined });
  });
});

describe('an attacked ledger', () => {
  it('1,000 single-byte edits: each detected, and the record named', async () => {
    const below = seeded(2);
    let detected = 0;
    for (let attempt = 0; attempt < 1_000; attempt++) {
      const name = names[below(names.length)]!;
      const bytes = Buffer.from(contents.get(name)!);
      const at = below(bytes.length);
      bytes[at] = (bytes[at]! + 1 + below(255)) % 256;
      const line = contents.get(name)!.slice(0, at).split('\n').length;
      const { seq } = lines.find((one) => one.name === name && one.line === line)!;
      const { ok, records, firstProblem } = await verify(withFile(name, bytes));
      expect(firstProblem).toMatchObject({ file: name, line, seq });
      expect(records).toBe(seq);
      if (!ok) detected++;
    }
    expect(detected).toBe(1_000);
  });

  it('names the decision of a changed record', async () => {
    const target = lines[9]!;
    const changed = built(
      lines.map((one) => (one === target ? { ...one, text: one.text.replace('POST', 'PUT') } : one)),
    );
    expect((await verify(changed)).firstProblem).toMatchObject({
      kind: 'changed',
      seq: 9,
      decision: /"decision":"([^"]+)"/.exec(target.text)![1],
    });
  });

  it('100 swaps of two records: each detected at the first of the two', async () => {
    const below = seeded(3);
    for (let attempt = 0; attempt < 100; attempt++) {
      const first = below(lines.length - 1);
      const second = first + 1 + below(lines.length - first - 1);
      const swapped = lines.map((one, index) => {
        if (index === first) return { ...one, text: lines[second]!.text };
        return index === second ? { ...one, text: lines[first]!.text } : one;
      });
      const { ok, firstProblem } = await verify(built(swapped));
      expect(ok).toBe(false);
      expect(firstProblem).toMatchObject({ file: lines[first]!.name, line: lines[first]!.line, seq: first });
    }
  });

  it('each record deleted: detected, except the very last, which needs the head', async () => {
    for (const target of lines) {
      const { ok, firstProblem } = await verify(built(lines.filter((one) => one !== target)));
      expect(ok).toBe(target.seq === head.seq);
      if (target.seq !== head.seq && target.line > 1) {
        expect(firstProblem).toMatchObject({ kind: 'missing', seq: target.seq });
      }
    }
    const { ok, firstProblem } = await verify(built(lines.slice(0, -1)), { expectHead: head });
    expect(ok).toBe(false);
    expect(firstProblem).toMatchObject({ kind: 'truncated', seq: head.seq });
  });

  it('records inserted, repeated and moved: detected', async () => {
    const below = seeded(4);
    for (let attempt = 0; attempt < 100; attempt++) {
      const from = lines[below(lines.length)]!;
      const at = below(lines.length);
      const rows = lines.toSpliced(at, 0, { ...from, name: lines[at]!.name });
      if (rows.every((one, index) => one.text === lines[index]?.text)) continue;
      const { firstProblem } = await verify(built(rows));
      expect(firstProblem?.kind).toMatch(/^(missing|repeated|file-missing|malformed)$/);
    }
    expect((await verify(built(lines.toSpliced(9, 0, lines[8]!)))).firstProblem).toMatchObject({
      kind: 'repeated',
      seq: 9,
    });
  });

  it('a record replaced with its hash computed anew: detected at the next', async () => {
    const target = lines.findIndex(({ text }) => text.includes('"kind":"decision"') && text.includes('thermo-1'));
    const [, body, prev] = /^\{"seq":\d+(,.*),"prev":"(\w+)","hash"/.exec(lines[target]!.text)!;
    const forged = chained(target, body!.replace('thermo-1', 'thermo-2'), prev!).text.trimEnd();
    const rows = lines.map((one, index) => (index === target ? { ...one, text: forged } : one));
    expect((await verify(built(rows))).firstProblem).toMatchObject({ kind: 'replaced', seq: target + 1 });
  });

  it('a ledger written anew from some record on: detected by the head', async () => {
    let prev = '';
    const rows = lines.map((one, index) => {
      const [, body, before] = /^\{"seq":\d+(,.*),"prev":"(\w+)","hash"/.exec(one.text)!;
      const line = chained(index, index < 20 ? body! : body!.replace('POST', 'GET'), index < 20 ? before! : prev);
      prev = line.hash;
      return { ...one, text: line.text.trimEnd() };
    });
    expect((await verify(built(rows))).ok).toBe(true);
    expect((await verify(built(rows), { expectHead: head })).firstProblem).toMatchObject({
      kind: 'head',
      seq: head.seq,
    });
  });

  it('100 truncations: each detected; on a record boundary of the last file by the head', async () => {
    const below = seeded(5);
    let needHead = 0;
    for (let attempt = 0; attempt < 100; attempt++) {
      const name = names[below(names.length)]!;
      const content = contents.get(name)!;
      const length = attempt % 2 === 0 ? below(content.length) : content.lastIndexOf('\n', below(content.length)) + 1;
      const cut = withFile(name, content.slice(0, length));
      expect((await verify(cut, { expectHead: head })).ok).toBe(false);
      if ((await verify(cut)).ok) {
        expect(name).toBe(lastName);
        expect(content[length - 1]).toBe('\n');
        needHead++;
      }
    }
    expect(needHead).toBeLessThan(25);
  });

  it('each file deleted: detected, the last one by the head', async () => {
    for (const name of names) {
      const without = new Map(contents);
      without.delete(name);
      const { firstProblem } = await verify(without, { expectHead: head });
      expect(firstProblem?.kind).toBe(name === lastName ? 'truncated' : 'file-missing');
      if (name !== lastName) expect((await verify(without)).ok).toBe(false);
    }
  });

  it('a file put in the place of another, of another stream or of a future format: detected', async () => {
    const [first, second] = names as [string, string];
    expect((await verify(withFile(second, contents.get(first)!))).ok).toBe(false);
    const [, body, prev] = /^\{"seq":\d+(,.*),"prev":"(\w+)","hash"/.exec(contents.get(second)!.split('\n')[0]!)!;
    const seq = Number(second.slice(0, 16));
    for (const change of [
      body!.replace('"stream":"main"', '"stream":"other"'),
      body!.replace('"format":2', '"format":3'),
    ]) {
      expect((await verify(withFile(second, chained(seq, change, prev!).text))).firstProblem).toMatchObject({
        file: second,
        line: 1,
      });
    }
  });

  it('more than its next file sealed: detected', async () => {
    const first = names[0]!;
    const last = lines.findLast(({ name }) => name === first)!;
    const hash = /"hash":"(\w+)"\}$/.exec(last.text)![1]!;
    const extra = chained(last.seq + 1, ',"kind":"loss","time":1,"outcomes":1', hash).text;
    expect((await verify(withFile(first, contents.get(first)! + extra))).firstProblem).toMatchObject({ kind: 'grown' });
  });

  it('a line of a megabyte is refused in bounded memory', async () => {
    expect((await verify(withFile(lastName, 'x'.repeat(1_048_576)))).firstProblem).toMatchObject({ kind: 'malformed' });
  });
});

describe('a running gateway', () => {
  it('may be in the middle of a line', async () => {
    const half = withFile(lastName, `${contents.get(lastName)}{"seq":99,"kind":"deci`);
    expect((await verify(half)).firstProblem?.kind).toBe('torn');
    expect(await verify(half, { live: true })).toMatchObject({ ok: true, records: lines.length });
  });

  it('is not an excuse for a broken line in the middle', async () => {
    const first = names[0]!;
    expect((await verify(withFile(first, contents.get(first)!.slice(0, -10)), { live: true })).ok).toBe(false);
  });
});

it('decision ids of the samples are UUIDv7', () => {
  expect(decisionId(START)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
