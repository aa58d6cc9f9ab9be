import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as round } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LineWriter } from '../../../src/telemetry/line-writer.ts';

let directory: string;
let descriptor: number;
let dropped: number;
let writer: LineWriter;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lines-'));
  descriptor = openSync(join(directory, 'log'), 'w');
  dropped = 0;
  writer = new LineWriter(descriptor, (characters) => {
    dropped += characters;
  });
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(directory, { recursive: true });
});

const written = () => readFileSync(join(directory, 'log'), 'utf8');

it('writes lines in order, a round of the event loop later', async () => {
  for (let round = 0; round < 100; round++) writer.write(`${round}\n`);
  expect(written()).toBe('');
  await expect.poll(written).toBe(Array.from({ length: 100 }, (_, line) => `${line}\n`).join(''));
  writer.write('more\n');
  await expect.poll(written).toMatch(/99\nmore\n$/);
});

it('keeps no more than its bound, and tells how much it dropped', () => {
  const line = `${'x'.repeat(999)}\n`;
  for (let count = 0; count < 3_000; count++) writer.write(line);
  writer.flushSync();
  expect(written().length).toBeLessThanOrEqual(1_048_576);
  expect(written().length + dropped).toBe(3_000_000);
});

it('writes nothing twice when it is flushed during a write', async () => {
  for (let attempt = 0; attempt < 20; attempt++) {
    writer.write('once\n');
    await round();
    writer.write('then\n');
    writer.flushSync();
    await expect.poll(written).toHaveLength((attempt + 1) * 10);
  }
  expect(written().match(/once/g)).toHaveLength(20);
});
