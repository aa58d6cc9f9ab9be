/**
 * What a CoAP exchange costs the server: our library beside the `coap` package, the same POST (confirmable, 60 bytes each way) over
 * plain UDP on loopback, each server in a process of its own. `node bench/coap.ts [requests]`, default 100,000 each. Prints one JSON
 * line per server and one with the ratio; with `ours` as second argument only our server runs (for a million, to see its memory).
 */
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type OutgoingMessage } from 'coap';
import { emptyMessage, serialiseMessage } from '../src/coap/codec.ts';
import { CODE, TYPE } from '../src/coap/codes.ts';
import { OPTION, textOption, uintOption } from '../src/coap/option-table.ts';
import { UdpEndpoint } from '../test/unit/coap/udp-endpoint.ts';

const BODY = new TextEncoder().encode('{"serial":"SN-7","temperature":4.5,"owner":"Ada","unit":"C"}');
/** Peers, and requests under way at each: what a server meets, not what one device does. */
const SOCKETS = 16;
const WINDOW = 2;

interface Usage {
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

const [role, which] = process.argv.slice(2);
if (role === 'serve') await serve(which === 'ours');
else await compare(Number(role ?? 100_000), which === 'ours');

async function serve(ours: boolean): Promise<void> {
  let port: number;
  if (ours) {
    const udp = await UdpEndpoint.open({
      server: { handle: (request) => ({ code: CODE.changed, contentFormat: 50, payload: request.payload }) },
    });
    port = udp.port;
  } else {
    const server = createServer((request: IncomingMessage, response: OutgoingMessage) => {
      response.code = '2.04';
      response.setOption('Content-Format', 'application/json');
      response.end(request.payload);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    port = (server as unknown as { _sock: { address(): { port: number } } })._sock.address().port;
  }
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.({ cpuMicros: user + system, rssBytes: process.memoryUsage.rss() } satisfies Usage);
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.(port);
}

async function compare(requests: number, onlyOurs: boolean): Promise<void> {
  const costs = new Map<string, number>();
  for (const server of onlyOurs ? ['ours'] : ['ours', 'coap']) {
    const child = fork(new URL(import.meta.url).pathname, ['serve', server]);
    const [port] = (await once(child, 'message')) as [number];
    const usage = async (): Promise<Usage> => {
      child.send('usage');
      return ((await once(child, 'message')) as [Usage])[0];
    };
    await load(port, Math.min(5_000, requests), 0);
    const before = await usage();
    const started = performance.now();
    const rss: number[] = [];
    for (let part = 0; part < 10; part++) {
      await load(port, requests / 10, 5_000 + (part * requests) / 10);
      rss.push(Math.round((await usage()).rssBytes / 1_048_576));
    }
    const seconds = (performance.now() - started) / 1_000;
    const cpuMicros = ((await usage()).cpuMicros - before.cpuMicros) / requests;
    costs.set(server, cpuMicros);
    report({ server, requests, perSecond: Math.round(requests / seconds), cpuMicros: round(cpuMicros), rssMiB: rss });
    child.disconnect();
    await once(child, 'exit');
  }
  if (!onlyOurs) report({ ratio: round((costs.get('ours') ?? 0) / (costs.get('coap') ?? 1)) });
}

/** Sends so many requests, each from its socket's next message ID, and waits for every answer. */
async function load(port: number, requests: number, from: number): Promise<void> {
  const each = Math.ceil(requests / SOCKETS);
  await Promise.all(Array.from({ length: SOCKETS }, () => drive(port, each, from)));
}

async function drive(port: number, requests: number, from: number): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.connect(port, '127.0.0.1', resolve));
  const request = serialiseMessage({
    type: TYPE.confirmable,
    code: 2,
    messageId: 0,
    token: Uint8Array.of(0, 0, 0, 0),
    options: [
      textOption(OPTION.uriPath, 'v1'),
      textOption(OPTION.uriPath, 'telemetry'),
      uintOption(OPTION.contentFormat, 50),
    ],
    payload: BODY,
  });
  let sent = 0;
  let answered = 0;
  const next = (): void => {
    const id = from + sent++;
    const bytes = request.slice();
    bytes[2] = id >> 8;
    bytes[3] = id;
    bytes[4] = id >> 24;
    bytes[5] = id >> 16;
    bytes[6] = id >> 8;
    bytes[7] = id;
    socket.send(bytes);
  };
  await new Promise<void>((resolve) => {
    socket.on('message', (answer) => {
      // The package answers in a message of its own when it is slow; that wants an acknowledgement.
      if ((answer[0] as number) >> 4 === 4) socket.send(emptyMessage(TYPE.acknowledgement, answer.readUInt16BE(2)));
      if (answer[1] === 0) return;
      answered += 1;
      if (answered >= requests) resolve();
      else if (sent < requests) next();
    });
    for (let ahead = 0; ahead < Math.min(WINDOW, requests); ahead++) next();
  });
  socket.close();
}

function report(line: unknown): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
