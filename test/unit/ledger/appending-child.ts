/** Appends to the ledger in argv[2] as fast as it can, 16 at a time, and prints each decision id that was acknowledged. */
import { writeSync } from 'node:fs';
import { Ledger } from '../../../src/ledger/ledger.ts';
import { sample } from './samples.ts';

const [, , directory = '', run = '0'] = process.argv;
const started = performance.now();
const ledger = await Ledger.open(directory, { gateway: 'plant-7', maxFileBytes: 100_000, maxQueue: 1_000 });
writeSync(1, `ready ${performance.now() - started}\n`);
let count = Number(run) * 1_000_000;
for (let writer = 0; writer < 16; writer++) void append();

async function append(): Promise<void> {
  for (;;) {
    const record = sample(count++);
    await ledger.record(record);
    writeSync(1, `${record.decision}\n`);
  }
}
