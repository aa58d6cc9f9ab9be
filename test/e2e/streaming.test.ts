/**
 * Bodies too large to look at. On a route with `stream: true` and `privacy: unchanged` they pass octet for octet and the
 * gateway keeps next to nothing of them; on every other they are 413 and nothing of them leaves. A body that breaks off,
 * lies about its length or does not end never looks whole to the cloud.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { entryFrom, type LedgerEntry } from '../../src/ledger/entry.ts';
import { DECISION } from '../../src/upstreams/request-head.ts';
import { type RawAnswer, RawDevice } from '../attack/wire/raw-device.ts';
import { RunningGateway } from '../fixtures/running-gateway.ts';

const MiB = 1_048_576;
const LIMIT_BYTES = 224 * MiB;
/** More than the memory that a process which has worked has to spare (about 100 MiB): kept whole, it could not hide there. */
const LARGE_BYTES = 192 * MiB;
/** Most the gateway's memory may grow by while it passes on or refuses what is larger than that. */
const GROWTH_BYTES = 16 * MiB;

let gateway: RunningGateway;
let cloud: Server;
let uploads: Upload[] = [];
/** How the cloud deals with the next upload. */
let behave: (upload: Upload) => void;

/** A request as the cloud sees it. */
class Upload {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly hash = createHash('sha256');
  bytes = 0;
  ended = false;
  readonly closed: Promise<void>;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    this.closed = new Promise((done) => response.once('close', done));
    request.on('error', () => undefined);
  }

  get decision(): string {
    return String(this.request.headers[DECISION]);
  }

  read(): void {
    this.request.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      this.hash.update(chunk);
    });
    this.request.on('end', () => {
      this.ended = true;
      this.response.writeHead(200, { 'content-type': 'application/json' }).end('{"stored":true}');
    });
  }
}

beforeAll(async () => {
  cloud = createServer((request, response) => {
    const upload = new Upload(request, response);
    uploads.push(upload);
    behave(upload);
  }).listen(0, '127.0.0.1');
  await once(cloud, 'listening');
  const { port } = cloud.address() as AddressInfo;
  gateway = await RunningGateway.open({
    // What is measured is what the gateway holds, not what its collector has not yet come to: on a busy machine a young
    // generation of the usual size lets 20 MiB of sent chunks lie about.
    environment: { NODE_OPTIONS: '--max-semi-space-size=2' },
    // The memory of one process is measured.
    workers: 1,
    configuration: () => `
gateway: test
listen: { https: "127.0.0.1:0" }
upstreams: { cloud: { url: "http://127.0.0.1:${port}", connections: 32 } } # of which a quarter for one device
segments:
  sensors:
    routes:
      upload: { allow: PUT /v1/upload, to: cloud, privacy: unchanged, stream: true }
      whole: { allow: PUT /v1/whole, to: cloud, privacy: unchanged }
      ruled: { allow: PUT /v1/ruled, to: cloud, privacy: readings, stream: true }
      bare: { allow: PUT /v1/bare, to: cloud, stream: true }
privacy:
  readings: { keep: [temperature] }
limits: { streamedBodyBytes: 224 MiB }
`,
  });
  // What it needs once, compiled code and buffers that wait for the collector, is not what is measured.
  behave = (upload) => upload.read();
  for (let round = 0; round < 8; round++) await put(declared('/v1/upload', randomBytes(20 * MiB)));
  uploads = [];
});
afterEach(() => {
  for (const { response } of uploads) response.destroy();
  uploads = [];
  behave = (upload) => upload.read();
});
afterAll(async () => {
  await gateway?.remove();
  cloud?.closeAllConnections();
  cloud?.close();
});

const head = (path: string, framing: string) =>
  `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n${framing}\r\n\r\n`;

/** A whole request with Content-Length, by default the right one. */
function declared(path: string, body: Buffer, length = body.length): Buffer {
  return Buffer.concat([Buffer.from(head(path, `Content-Length: ${length}`)), body]);
}

const CHUNK_BYTES = 48 * 1024;

function chunked(path: string, body: Buffer): Buffer {
  const parts: Buffer[] = [Buffer.from(head(path, 'Transfer-Encoding: chunked'))];
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    const chunk = body.subarray(at, at + CHUNK_BYTES);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

async function put(bytes: Buffer): Promise<RawAnswer> {
  const device = new RawDevice(gateway, 'thermo-1');
  const answer = await device.exchange(bytes, 'PUT');
  device.close();
  return answer;
}

async function open(): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: gateway.port, ...gateway.tls('thermo-1') });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((later) => setTimeout(later, 10));
}

const digest = (body: Buffer) => createHash('sha256').update(body).digest('hex');

/** Records of a decision, in order. */
function records(decision: string): LedgerEntry[] {
  return gateway
    .ledger()
    .split('\n')
    .filter((line) => line.includes(decision))
    .map((line) => entryFrom(line) as LedgerEntry);
}

/** By how much the gateway's resident memory rose at most while `work` ran. */
async function growth(work: () => Promise<void>): Promise<number> {
  const pid = gateway.child?.pid;
  const status = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1_024;
  writeFileSync(`/proc/${pid}/clear_refs`, '5'); // resets the high-water mark
  const before = status('VmRSS');
  await work();
  return status('VmHWM') - before;
}

describe('a route that streams', () => {
  it.each([
    ['declared', declared, String(LARGE_BYTES), undefined],
    ['chunked', chunked, undefined, 'chunked'],
  ] as const)('passes 192 MiB octet for octet, %s, in bounded memory', async (kind, framed, length, encoding) => {
    const body = randomBytes(LARGE_BYTES);
    const bytes = framed('/v1/upload', body);
    const grown = await growth(async () => {
      expect(await put(bytes)).toMatchObject({ status: 200, body: '{"stored":true}' });
    });
    console.log(`192 MiB ${kind}: memory grew by ${(grown / MiB).toFixed(1)} MiB at most`);
    expect(grown).toBeLessThan(GROWTH_BYTES);
    const [upload] = uploads as [Upload];
    expect([upload.bytes, upload.hash.digest('hex')]).toEqual([body.length, digest(body)]);
    const { headers } = upload.request;
    expect([headers['content-length'], headers['transfer-encoding'], headers['content-type']]).toEqual([
      length,
      encoding,
      'application/octet-stream',
    ]);
    expect(records(upload.decision)).toMatchObject([
      {
        kind: 'decision',
        verdict: 'permitted',
        action: { bytes: length === undefined ? -1 : Number(length) },
        obligations: { stream: true },
      },
    ]);
  });

  it('takes from devices no more than the cloud takes', async () => {
    const AT_ONCE = 6;
    behave = () => undefined; // accepts, and reads nothing for now
    const body = randomBytes(36 * MiB);
    const bytes = declared('/v1/upload', body);
    let answers: Promise<RawAnswer>[] = [];
    const grown = await growth(async () => {
      answers = Array.from({ length: AT_ONCE }, () => put(bytes));
      await until(() => uploads.length === AT_ONCE);
      await new Promise((later) => setTimeout(later, 1_000));
    });
    console.log(
      `${AT_ONCE} x 36 MiB to a cloud that reads nothing: memory grew by ${(grown / MiB).toFixed(1)} MiB at most`,
    );
    expect(grown).toBeLessThan(GROWTH_BYTES);
    for (const upload of uploads) upload.read();
    for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200);
    expect(uploads.map(({ hash }) => hash.digest('hex'))).toEqual(Array(AT_ONCE).fill(digest(body)));
  });

  it('ends at the cloud when the device leaves in the middle, on record', async () => {
    const socket = await open();
    socket.write(head('/v1/upload', `Content-Length: ${8 * MiB}`));
    socket.write(randomBytes(MiB));
    await until(() => (uploads[0]?.bytes ?? 0) > MiB / 2);
    socket.destroy();
    const [upload] = uploads as [Upload];
    await upload.closed;
    expect([upload.ended, upload.request.complete]).toEqual([false, false]);
    await until(() => records(upload.decision).length === 2);
    expect(records(upload.decision)).toMatchObject([
      { kind: 'decision', verdict: 'permitted' },
      { kind: 'outcome', fault: 'SP_EXCHANGE_CANCELLED' },
    ]);
    expect(await put(declared('/v1/upload', randomBytes(MiB)))).toMatchObject({ status: 200 });
  });

  it('never lets a body look whole that is shorter than it said', async () => {
    const socket = await open();
    socket.end(declared('/v1/upload', randomBytes(MiB), MiB + 1));
    await once(socket, 'close');
    const [upload] = uploads as [Upload];
    await upload.closed;
    expect([upload.bytes <= MiB, upload.ended, upload.request.complete]).toEqual([true, false, false]);
  });

  it('lets nothing of a body out that is longer than it said', async () => {
    const socket = await open();
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    const body = randomBytes(MiB);
    socket.write(Buffer.concat([declared('/v1/upload', body, MiB - 1_000)]));
    await once(socket, 'close');
    const [upload] = uploads as [Upload];
    expect(uploads).toHaveLength(1);
    expect([upload.bytes, upload.ended]).toEqual([MiB - 1_000, true]);
    expect(upload.hash.digest('hex')).toBe(digest(body.subarray(0, MiB - 1_000)));
    // Whatever the rest was meant to be, it is no request, and nobody is asked about it.
    const answers = Buffer.concat(received)
      .toString('latin1')
      .match(/HTTP\/1\.1 \d+/g);
    expect(answers?.[0]).toBe('HTTP/1.1 200');
    expect(answers?.length).toBeLessThanOrEqual(2);
    if (answers?.[1]) expect(answers[1]).toBe('HTTP/1.1 400');
  });

  it('refuses what is declared to be beyond limits.streamedBodyBytes before a byte of it', async () => {
    const answer = await put(declared('/v1/upload', randomBytes(MiB), LIMIT_BYTES + 1));
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([413, { reason: 'SP_HTTP_BODY_TOO_LARGE' }]);
    expect(uploads).toEqual([]);
  });

  it('cuts off at limits.streamedBodyBytes what does not say, and the cloud does not take it for whole', async () => {
    const grown = await growth(async () => {
      const answer = await put(chunked('/v1/upload', randomBytes(LIMIT_BYTES + MiB)));
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([413, { reason: 'SP_HTTP_BODY_TOO_LARGE' }]);
    });
    console.log(`cut off at the limit: memory grew by ${(grown / MiB).toFixed(1)} MiB at most`);
    expect(grown).toBeLessThan(GROWTH_BYTES);
    const [upload] = uploads as [Upload];
    await upload.closed;
    expect([upload.bytes <= LIMIT_BYTES, upload.ended, upload.request.complete]).toEqual([true, false, false]);
    await until(() => records(upload.decision).length === 2);
    expect(records(upload.decision)).toMatchObject([{ verdict: 'permitted' }, { fault: 'SP_HTTP_BODY_TOO_LARGE' }]);
  });

  it('is 502 when the cloud dies in the middle, and the device is told at once', async () => {
    behave = (upload) => {
      upload.read();
      upload.request.once('data', () => upload.request.socket.destroy());
    };
    const socket = await open();
    const answered = once(socket, 'data').then(([data]) => String(data));
    socket.write(head('/v1/upload', `Content-Length: ${8 * MiB}`));
    socket.write(randomBytes(MiB));
    expect((await answered).split('\r\n')[0]).toBe('HTTP/1.1 502 Bad Gateway');
    socket.destroy();
  });
});

describe('every other route', () => {
  it.each([
    ['without `stream`', '/v1/whole'],
    ['with a privacy rule, which could not keep its word', '/v1/ruled'],
    ['without any `privacy`', '/v1/bare'],
    ['that there is not', '/v1/none'],
  ])('%s refuses a large body unread, and nothing of it leaves', async (_, path) => {
    for (const bytes of [declared(path, randomBytes(LARGE_BYTES)), chunked(path, randomBytes(LARGE_BYTES))]) {
      let decision = '';
      const grown = await growth(async () => {
        const answer = await put(bytes);
        const problem = JSON.parse(answer.body) as { reason: string; decision: string };
        ({ decision } = problem);
        const refusals: Record<string, unknown[]> = {
          '/v1/bare': [403, 'payload-not-covered'],
          '/v1/none': [403, 'no-route'],
        };
        expect([answer.status, problem.reason]).toEqual(refusals[path] ?? [413, 'stream-not-allowed']);
      });
      expect(grown).toBeLessThan(GROWTH_BYTES);
      expect(records(decision)).toMatchObject([{ verdict: 'denied' }]);
    }
    expect(uploads).toEqual([]);
    expect(await put(declared('/v1/upload', randomBytes(MiB)))).toMatchObject({ status: 200 });
  });

  it('still takes what fits limits.inspectedBodyBytes', async () => {
    expect(await put(declared('/v1/whole', randomBytes(256 * 1_024)))).toMatchObject({ status: 200 });
    expect(await put(declared('/v1/whole', randomBytes(256 * 1_024 + 1)))).toMatchObject({ status: 413 });
    expect(uploads).toHaveLength(1);
  });
});
