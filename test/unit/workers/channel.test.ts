import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Fault } from '../../../src/faults/fault.ts';
import { Channel } from '../../../src/workers/channel.ts';

interface Duties {
  double(value: number): Promise<number>;
  refuse(value: null): never;
  hang(value: null): Promise<never>;
}

const folder = mkdtempSync(join(tmpdir(), 'sallyport-channel-'));
let server: Server | undefined;
afterEach(() => void server?.close());

async function ends(duties: object): Promise<{ channel: Channel<Duties>; socket: Socket; other: Socket }> {
  const path = join(folder, `${process.hrtime.bigint()}`);
  server = createServer().listen(path);
  await once(server, 'listening');
  const socket = connect(path);
  const [other] = (await once(server, 'connection')) as [Socket];
  new Channel(other, duties);
  return { channel: new Channel<Duties>(socket, {}), socket, other };
}

const DUTIES = {
  double: async (value: number) => 2 * value,
  refuse: () => {
    throw new Fault('SP_KEY_INVALID', 'this key');
  },
  hang: () => new Promise(() => {}),
};

it('answers, with faults kept, in any order and number', async () => {
  const { channel } = await ends(DUTIES);
  expect(await Promise.all([1, 2, 3].map((value) => channel.ask('double', value)))).toEqual([2, 4, 6]);
  await expect(channel.ask('refuse', null)).rejects.toMatchObject({ code: 'SP_KEY_INVALID', message: 'this key' });
});

it('does not wait for ever, nor for one that is gone', async () => {
  const { channel, other } = await ends(DUTIES);
  await expect(channel.ask('hang', null, 20)).rejects.toMatchObject({ code: 'SP_GATEWAY_WORKER' });
  const asked = channel.ask('hang', null);
  other.destroy();
  await expect(asked).rejects.toMatchObject({ code: 'SP_GATEWAY_WORKER' });
  await expect(channel.ask('double', 1)).rejects.toMatchObject({ code: 'SP_GATEWAY_WORKER' });
});

it('has only the duties that are its own', async () => {
  const { channel } = await ends(DUTIES);
  const anything = channel as unknown as Channel<Record<string, (value: unknown) => unknown>>;
  for (const name of ['constructor', 'toString', '__proto__', 'unknown']) {
    await expect(anything.ask(name, null)).rejects.toMatchObject({ code: 'SP_GATEWAY_WORKER' });
  }
});

it('hangs up on what is no line of ours', async () => {
  const { socket, other } = await ends(DUTIES);
  other.write('GET / HTTP/1.1\r\n\r\n');
  await once(socket, 'close');
  expect(socket.destroyed).toBe(true);
});

it('cleans up', () => rmSync(folder, { recursive: true }));
