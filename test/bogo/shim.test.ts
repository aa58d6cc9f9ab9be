/**
 * The shim against a runner of our own: framing, clock, resumption, refusals and exit codes. BoringSSL's runner stays outside; with
 * BOGO_RUNNER (its compiled test binary) and BOGO_DIRECTORY (where it was built) its DTLS tests are run as well.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Effect, Peer } from '../../src/dtls/core.ts';
import { DtlsEngine } from '../../src/dtls/engine.ts';
import type { ClientOptions, ServerOptions } from '../../src/dtls/options.ts';
import { createAuthority, type TestCredential } from '../unit/dtls/credentials.ts';
import { parseFlags } from './flags.ts';

const SHIM = new URL('./shim.ts', import.meta.url).pathname;
const NODE = new URL('../../node_modules/.bin/node', import.meta.url).pathname;
const PEER = { address: '127.0.0.1', port: 2 };
let scratch: string;
let credential: TestCredential;
const at = (name: string) => join(scratch, name);

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'dtls-shim-'));
  credential = await (await createAuthority('Test CA')).issue('localhost', { purpose: 'server' });
  writeFileSync(at('cert.pem'), credential.cert);
  writeFileSync(at('key.pem'), credential.key);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Played {
  readonly code: number | null;
  readonly err: string;
  readonly ids: bigint[];
  readonly heard: string[];
  readonly acks: number;
  readonly reused: boolean[];
}

/** A runner: takes the shim's connections, and is its peer through an engine of its own. */
async function play(
  args: readonly string[],
  side: { server?: ServerOptions; client?: ClientOptions },
  onSocket: (socket: Socket, frame: (datagram: Uint8Array) => void) => boolean = () => true,
): Promise<Played> {
  const engine = new DtlsEngine({ nowMs: 1_000_000, ...(side.server === undefined ? {} : { server: side.server }) });
  const played = { ids: [] as bigint[], heard: [] as string[], acks: 0, reused: [] as boolean[] };
  let session = side.client?.session;
  const runner = createServer((socket) => {
    let buffer = Buffer.alloc(0);
    let peer: Peer | undefined;
    let hasId = false;
    const frame = (datagram: Uint8Array) => {
      const header = Buffer.alloc(5);
      header[0] = 0x50;
      header.writeUInt32BE(datagram.length, 1);
      socket.write(Buffer.concat([header, datagram]));
    };
    const carryOut = (effects: readonly Effect[]) => {
      for (const effect of effects) {
        if (effect.kind === 'send') frame(effect.datagram);
        if (effect.kind === 'open') {
          peer = effect.association;
          played.reused.push(peer.reused);
          engine.send(peer, Uint8Array.of(1, 2, 3), 1_000_000);
          carryOut(engine.drain());
        }
        if (effect.kind === 'data') {
          played.heard.push(Buffer.from(effect.data).toString('hex'));
          session = peer?.resumable;
          engine.close(effect.association, 'local-close', 1_000_000);
          carryOut(engine.drain());
        }
      }
    };
    const isDriven = onSocket(socket, frame);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      buffer = Buffer.concat([buffer, Buffer.from(chunk)]);
      if (!hasId && buffer.length >= 8) {
        played.ids.push(buffer.readBigUInt64LE(0));
        buffer = buffer.subarray(8);
        hasId = true;
        if (isDriven && side.client !== undefined) {
          engine.connect(PEER, { ...side.client, ...(session === undefined ? {} : { session }) }, 1_000_000);
          carryOut(engine.drain());
        }
      }
      while (hasId && buffer.length > 0) {
        if (buffer[0] === 0x74) {
          played.acks += 1;
          buffer = buffer.subarray(1);
          continue;
        }
        if (buffer.length < 5 || buffer.length < 5 + buffer.readUInt32BE(1)) break;
        const datagram = Uint8Array.from(buffer.subarray(5, 5 + buffer.readUInt32BE(1)));
        buffer = buffer.subarray(5 + datagram.length);
        if (isDriven) carryOut(engine.receive(datagram, PEER, 1_000_000));
      }
    });
  });
  await new Promise<void>((resolve) => runner.listen(0, '127.0.0.1', resolve));
  const { port } = runner.address() as { port: number };
  const shim = spawn(NODE, [SHIM, '-port', `${port}`, '-shim-id', '7', '-dtls', ...args]);
  let err = '';
  shim.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => shim.on('close', resolve));
  runner.close();
  return { ...played, code, err };
}

const accept = () => ({ accepted: true }) as const;
const files = () => ['-cert-file', at('cert.pem'), '-key-file', at('key.pem')];

describe('shim', () => {
  it('as server: handshakes, echoes inverted, resumes, exits 0 in silence', async () => {
    const played = await play(['-server', '-resume-count', '1', ...files()], { client: { verifyPeer: accept } });
    expect(played).toMatchObject({
      code: 0,
      err: '',
      ids: [7n, 7n],
      heard: ['fefdfc', 'fefdfc'],
      reused: [false, true],
    });
  });

  it('as client: the same', async () => {
    const server = { cert: credential.cert, key: credential.key, isStillAllowed: () => true };
    const played = await play(['-resume-count', '1'], { server });
    expect(played).toMatchObject({ code: 0, err: '', heard: ['fefdfc', 'fefdfc'], reused: [false, true] });
  });

  it('runs on the runner’s clock: acknowledges, and sends its flight again', async () => {
    let frames = 0;
    const played = await play([], {}, (socket) => {
      const tick = Buffer.alloc(9);
      tick[0] = 0x54;
      tick.writeBigUInt64BE(400_000_000n, 1);
      const expected = Buffer.alloc(9);
      expected[0] = 0x45;
      expected.writeBigUInt64BE(800_000_000n, 1);
      socket.on('data', (chunk) => {
        for (const byte of Buffer.from(chunk)) if (byte === 0x50) frames += 1;
      });
      setTimeout(() => socket.write(Buffer.concat([tick, expected])), 400);
      setTimeout(() => socket.end(), 700);
      return false;
    });
    expect(played.acks).toBe(1);
    expect(frames).toBeGreaterThanOrEqual(2);
    expect(played).toMatchObject({ code: 1, err: 'the runner hung up before the handshake was done\n' });
  });

  it('says why it refused: certificate, and a message out of order', async () => {
    const server = { cert: credential.cert, key: credential.key };
    expect(await play(['-verify-fail'], { server })).toMatchObject({ code: 1, err: 'ended: certificate-refused\n' });
    const done = (socket: Socket, frame: (datagram: Uint8Array) => void) => {
      setTimeout(
        () =>
          frame(Uint8Array.from([22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 12, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        400,
      );
      setTimeout(() => socket.end(), 900);
      return false;
    };
    expect(await play([], {}, done)).toMatchObject({ code: 1, err: 'refused: message-unexpected\n' });
  });

  it('what it does not know it says by 89', () => {
    const run = (...args: string[]) => spawnSync(NODE, [SHIM, ...args], { encoding: 'utf8' });
    expect(run('-port', '1', '-dtls', '-enable-ocsp-stapling').status).toBe(89);
    expect(run('-port', '1').status).toBe(89);
    expect(run('-is-handshaker-supported')).toMatchObject({ status: 0, stdout: 'No\n' });
    expect(parseFlags(['-on-resume-verify-fail', '-port', '5'])).toMatchObject({});
  });

  it.skipIf(process.env.BOGO_RUNNER === undefined)(
    'passes the runner',
    () => {
      const here = (name: string) => new URL(name, import.meta.url).pathname;
      const { status, stdout, stderr } = spawnSync(
        process.env.BOGO_RUNNER as string,
        [
          ...['-shim-path', here('./shim.sh'), '-shim-config', here('./config.json'), '-test', '*DTLS*'],
          ...['-allow-unimplemented', '-loose-errors', '-num-workers', '2'],
        ],
        { encoding: 'utf8', cwd: process.env.BOGO_DIRECTORY },
      );
      expect(status, `${stdout.slice(-4_000)}${stderr.slice(-4_000)}`).toBe(0);
    },
    3_600_000,
  );

  it('every disabled test has its reason', () => {
    const config = JSON.parse(readFileSync(new URL('./config.json', import.meta.url), 'utf8')) as {
      DisabledTests: Record<string, string>;
    };
    for (const [glob, reason] of Object.entries(config.DisabledTests)) expect(reason.length, glob).toBeGreaterThan(5);
  });
});
