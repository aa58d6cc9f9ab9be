import { describe, expect, it } from 'vitest';
import type { ChannelMessage } from '../../../src/exchange/message.ts';
import { Inbox } from '../../../src/websocket/inbox.ts';

const message = (text: string): ChannelMessage => ({ bytes: Buffer.from(text), binary: false });

function inbox() {
  const calls: string[] = [];
  const box = new Inbox({ hold: () => calls.push('hold'), release: () => calls.push('release') });
  return { box, calls, reader: box[Symbol.asyncIterator]() };
}

describe('the inbox', () => {
  it('gives messages in order, to a reader that waits and to one that comes later', async () => {
    const { box, reader } = inbox();
    const first = reader.next();
    box.put(message('1'));
    box.put(message('2'));
    box.put(message('3'));
    box.end();
    const texts = [];
    for (let next = await first; !next.done; next = await reader.next()) texts.push(String(next.value.bytes));
    expect(texts).toEqual(['1', '2', '3']);
  });

  it('holds the sender back at 16 messages and releases it when all are taken', async () => {
    const { box, calls, reader } = inbox();
    for (let count = 0; count < 15; count += 1) box.put(message('x'));
    expect(calls).toEqual([]);
    box.put(message('x'));
    box.put(message('x'));
    expect(calls).toEqual(['hold']);
    for (let count = 0; count < 16; count += 1) await reader.next();
    expect(calls).toEqual(['hold']);
    await reader.next();
    expect(calls).toEqual(['hold', 'release']);
  });

  it('holds the sender back at 64 KiB', () => {
    const { box, calls } = inbox();
    box.put(message('x'.repeat(65_535)));
    expect(calls).toEqual([]);
    box.put(message('x'));
    expect(calls).toEqual(['hold']);
  });

  it('throws away what waits when it is discarded, and takes no more', async () => {
    const { box, reader } = inbox();
    box.put(message('1'));
    box.discard();
    box.put(message('2'));
    expect((await reader.next()).done).toBe(true);
  });

  it('ends a reader that waits', async () => {
    const { box, reader } = inbox();
    const next = reader.next();
    box.end();
    expect((await next).done).toBe(true);
  });

  it('knows whether anybody reads', () => {
    const box = new Inbox({ hold: () => {}, release: () => {} });
    expect(box.taken).toBe(false);
    box[Symbol.asyncIterator]();
    expect(box.taken).toBe(true);
  });
});
