/** The hostile cloud, in a process of its own so that its memory is not counted as the gateway's. Talks to its parent by IPC. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { type HostileReply, hostileReplies, type Step } from './replies.ts';

interface Order {
  readonly seed: number;
  readonly count: number;
  readonly certificate: string;
  readonly key: string;
}

process.on('message', async ({ seed, count, certificate, key }: Order) => {
  const replies = hostileReplies(seed, count);
  const accept = (socket: Socket) => serve(socket, replies);
  const plain = await listening(createServer(accept));
  const secure = await listening(createTlsServer({ cert: certificate, key }, accept));
  process.send?.({ plain, secure });
});
process.on('disconnect', () => process.exit(0));

async function listening(server: Server): Promise<number> {
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** `/good` is answered well, `/hostile/N` with reply N. */
function serve(socket: Socket, replies: readonly HostileReply[]): void {
  let received = '';
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    const head = /^[A-Z]+ \/(good|hostile\/(\d+))[\s\S]*?\r\n\r\n/.exec(received);
    if (head === null) return;
    received = received.slice(head[0].length);
    if (head[1] === 'good')
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"good":42}');
    else void play(socket, replies[Number(head[2])]?.steps ?? []);
  });
}

async function play(socket: Socket, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (socket.destroyed) return;
    if (step.kind === 'send') {
      socket.write(step.bytes, 'latin1');
      await pause(2);
    } else if (step.kind === 'forever') {
      const bytes = Buffer.from(step.bytes, 'latin1');
      const block = Buffer.concat(Array(Math.max(1, Math.floor(65_536 / bytes.length))).fill(bytes));
      while (!socket.destroyed) {
        if (!socket.write(block)) await taken(socket);
      }
    } else if (step.kind === 'drip') {
      for (let at = 0; !socket.destroyed; at = (at + 1) % step.bytes.length) {
        socket.write(step.bytes[at] as string, 'latin1');
        await pause(step.everyMs);
      }
    } else if (step.kind === 'end') socket.end();
    else if (step.kind === 'reset') socket.destroy();
  }
}

function taken(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}
