/** Several streams as one ledger: read in the order of time, and none of them cut or taken away unseen. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clockFloor } from '../../../src/ledger/clock-floor.ts';
import { Ledger } from '../../../src/ledger/ledger.ts';
import { countSimilarAll, findAll, followAll, streamOf, tailAll, verifyAll } from '../../../src/ledger/streams.ts';
import { decisionId, START, sample } from './samples.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-streams-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function opened(worker: number, now = () => START): Promise<Ledger> {
  const { name, directory } = streamOf(folder, worker);
  return Ledger.open(directory, { gateway: 'g', stream: name, maxFileBytes: 1e6, maxQueue: 100, now });
}

const head = (worker: number, { head: { seq, hash } }: Ledger) => ({
  stream: streamOf(folder, worker).name,
  seq,
  hash,
});

async function recorded(ledger: Ledger, ...times: number[]): Promise<void> {
  for (const time of times) {
    const device = { id: 'thermo-1', segment: 'sensors', state: 'active' } as const;
    await ledger.record(sample(0, { decision: decisionId(START + time), time: START + time, device }));
  }
}

/** Times 1 to 6 by turns in two streams, which name each other as workers do. */
async function filled(): Promise<void> {
  const [lead, follower] = [await opened(0), await opened(1)];
  lead.anchor([head(1, follower)]);
  follower.anchor([head(0, lead)]);
  await recorded(lead, 1, 3, 5);
  await recorded(follower, 2, 4, 6);
  lead.anchor([head(1, follower)]);
  follower.anchor([head(0, lead)]);
  await recorded(lead, 7);
  await Promise.all([lead.close(), follower.close()]);
}

const file = (worker: number) => join(streamOf(folder, worker).directory, '0000000000000000.jsonl');
const lines = (worker: number) => readFileSync(file(worker), 'latin1').split('\n').slice(0, -1);
const write = (worker: number, kept: readonly string[]) =>
  writeFileSync(file(worker), kept.map((line) => `${line}\n`).join(''));

describe('several streams', () => {
  it('are read in the order of time, each entry with its stream', async () => {
    await filled();
    const entries = await tailAll(folder, 4);
    expect(entries.map((entry) => ('time' in entry ? entry.time - START : 0))).toEqual([4, 5, 6, 7]);
    expect(entries.map(({ stream }) => stream)).toEqual(['worker-1', undefined, 'worker-1', undefined]);
    expect(await findAll(folder, decisionId(START + 4))).toHaveLength(1);
    const [record] = await findAll(folder, decisionId(START + 5));
    expect(record?.kind === 'decision' && (await countSimilarAll(folder, record, 0)).sameDevice).toBe(7);
  });

  it('are followed together, a stream that begins later too', async () => {
    const lead = await opened(0);
    await recorded(lead, 1);
    const controller = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { seq, stream } of followAll(folder, { signal: controller.signal, last: 1, intervalMs: 5 }))
        seen.push(`${stream ?? 'main'} ${seq}`);
    })();
    await expect.poll(() => seen).toEqual(['main 1']);
    const follower = await opened(1);
    await recorded(follower, 2);
    await expect.poll(() => seen).toEqual(['main 1', 'worker-1 1']);
    await recorded(lead, 3);
    await expect.poll(() => seen).toEqual(['main 1', 'worker-1 1', 'main 2']);
    controller.abort();
    await reading;
    await Promise.all([lead.close(), follower.close()]);
  });

  it('say together what time it must be at least', async () => {
    const [lead, follower] = [await opened(0), await opened(1)];
    const ahead = Date.now() + 60_000 - START;
    await recorded(follower, ahead);
    await recorded(lead, 1);
    await Promise.all([lead.close(), follower.close()]);
    await expect(clockFloor(folder, false)).resolves.toBe(START + ahead);
  });
});

describe('the whole ledger', () => {
  it('verifies, also the streams of workers that are no longer there, and a ledger of one process as before', async () => {
    const alone = await opened(0);
    await recorded(alone, 1);
    await alone.close();
    expect(await verifyAll(folder)).toMatchObject({ ok: true, records: 2, streams: [{ stream: 'main' }] });
    await filled();
    expect(await verifyAll(folder)).toMatchObject({ ok: true, streams: [{ stream: 'main' }, { stream: 'worker-1' }] });
  });

  it('one changed byte is named with its file and record', async () => {
    await filled();
    const bytes = readFileSync(file(1));
    bytes[bytes.indexOf('"verdict":"') + 12] = 0x58;
    writeFileSync(file(1), bytes);
    const { ok, firstProblem } = await verifyAll(folder);
    expect({ ok, ...firstProblem }).toMatchObject({ ok: false, kind: 'changed', file: '1/0000000000000000.jsonl' });
  });

  it.each([
    [
      'a stream taken away with its folder',
      () => rmSync(join(folder, '1'), { recursive: true }),
      'the stream is missing',
    ],
    ['a stream cut before what the other names', () => write(1, lines(1).slice(0, 3)), 'missing at the end'],
    ['the first stream cut', () => write(0, lines(0).slice(0, 2)), 'missing at the end'],
    ['the first stream taken away', () => rmSync(file(0)), 'the stream is missing'],
  ])('%s is missed', async (_, attack, says) => {
    await filled();
    attack();
    const { ok, firstProblem } = await verifyAll(folder);
    expect(ok).toBe(false);
    expect(firstProblem?.problem).toContain(says);
  });

  it('a stream written anew, with every hash right, is not the one that was named', async () => {
    await filled();
    rmSync(join(folder, '1'), { recursive: true });
    const forged = await opened(1, () => START + 1);
    await recorded(forged, 2, 4, 6, 8, 10);
    await forged.close();
    expect(await verifyAll(folder)).toMatchObject({ ok: false, firstProblem: { kind: 'head' } });
  });

  it('anchors that say nonsense break nothing', async () => {
    const lead = await opened(0);
    lead.anchor([{ stream: '../../etc', seq: 3, hash: 'x' }]);
    await recorded(lead, 1);
    await lead.close();
    expect(await verifyAll(folder)).toMatchObject({
      ok: false,
      firstProblem: { problem: expect.stringContaining('missing') },
    });
  });
});
