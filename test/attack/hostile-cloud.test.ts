/** Threat row 25: a malicious cloud answers as badly as it can. 200 replies from a seed, in clear and over TLS. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/config/settings.ts';
import { Fault } from '../../src/faults/fault.ts';
import { UpstreamForwarder } from '../../src/upstreams/forwarder.ts';
import { issue, keyOf } from '../unit/upstreams/certificates.ts';
import { upstreamSettings } from '../unit/upstreams/http-settings.ts';
import { sealedMessage } from '../unit/upstreams/sealed-message.ts';
import { hostileReplies } from './hostile-cloud/replies.ts';

const SEED = Number(process.env.HOSTILE_SEED ?? 25);
const COUNT = 200;
const MAX_EXTRA_BYTES = 8 * 1_048_576;
const TIMEOUT_MS = 250;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const folder = mkdtempSync(join(tmpdir(), 'sallyport-hostile-cloud-'));
let clouds: [ChildProcess, ChildProcess];
let hostile: { plain: number; secure: number };
let wellBehaved: { plain: number; secure: number };

async function cloud(certificate: string, key: string): Promise<[ChildProcess, { plain: number; secure: number }]> {
  const child = fork(new URL('./hostile-cloud/server.ts', import.meta.url), { execArgv: [], stdio: 'inherit' });
  child.send({ seed: SEED, count: COUNT, certificate, key });
  const ports = await new Promise<unknown>((resolve) => child.once('message', resolve));
  return [child, ports as { plain: number; secure: number }];
}

beforeAll(async () => {
  const root = await issue({ name: 'Cloud CA', ca: true });
  const leaf = await issue({ issuer: root, dns: ['localhost'] });
  writeFileSync(join(folder, 'ca.pem'), root.pem);
  const [first, second] = await Promise.all([cloud(leaf.pem, leaf.keyPem), cloud(leaf.pem, leaf.keyPem)]);
  clouds = [first[0], second[0]];
  [hostile, wellBehaved] = [first[1], second[1]];
});
afterAll(() => {
  for (const child of clouds) child.kill();
  rmSync(folder, { recursive: true });
});

function forwarder(): UpstreamForwarder {
  const ca = join(folder, 'ca.pem');
  const upstreams = [
    upstreamSettings(`http://127.0.0.1:${hostile.plain}`, { name: 'plain', timeoutMs: TIMEOUT_MS }),
    upstreamSettings(`https://localhost:${hostile.secure}`, { name: 'secure', timeoutMs: TIMEOUT_MS, ca }),
    upstreamSettings(`https://localhost:${wellBehaved.secure}`, { name: 'good', ca }),
  ];
  return new UpstreamForwarder(
    { upstreams: new Map(upstreams.map((each) => [each.name, each])), limits: DEFAULT_LIMITS },
    { keyOf, now: Date.now, deviceAddress: () => undefined, deviceTrust: () => undefined },
  );
}

const inUse = () => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

it('gives each of 200 hostile replies a 502 or 504, in bounded memory, and harms nobody else', async () => {
  let crashes = 0;
  const crash = () => crashes++;
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);

  const good = forwarder();
  const latencies: number[] = [];
  let goodErrors = 0;
  let running = true;
  const goodClient = (async () => {
    while (running) {
      const started = performance.now();
      const reply = await good.forward(await sealedMessage({ upstream: 'good', path: '/good' })).catch(() => undefined);
      if (reply?.body.kind !== 'bytes' || Buffer.from(reply.body.bytes).toString() !== '{"good":42}') goodErrors++;
      latencies.push(performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();

  const replies = hostileReplies(SEED, COUNT);
  const codes = new Map<string, number>();
  const wrong: string[] = [];
  let worst = { bytes: 0, name: '' };
  let longestMs = 0;
  for (const [index, { name, steps }] of replies.entries()) {
    // Fresh each time: five in a row would open the circuit, and then nobody would be asked.
    const each = forwarder();
    const sealed = await sealedMessage({ upstream: index % 2 ? 'plain' : 'secure', path: `/hostile/${index}` });
    // A full collection costs more than most replies; it is due before those that could take memory.
    const large = steps.some((step) => step.kind === 'forever' || (step.kind === 'send' && step.bytes.length > 50_000));
    if (large || index % 10 === 0) collectGarbage();
    const before = inUse();
    let most = 0;
    const sample = setInterval(() => {
      if (inUse() - before > MAX_EXTRA_BYTES / 2) collectGarbage();
      most = Math.max(most, inUse() - before);
    }, 2);
    const started = performance.now();
    let outcome: string;
    let status = 0;
    try {
      outcome = `answered ${(await each.forward(sealed)).status}`;
    } catch (thrown) {
      outcome = thrown instanceof Fault ? thrown.code : String(thrown);
      status = thrown instanceof Fault ? thrown.entry.faces.http : 0;
    }
    const tookMs = performance.now() - started;
    if (inUse() - before > MAX_EXTRA_BYTES / 2) collectGarbage();
    most = Math.max(most, inUse() - before);
    clearInterval(sample);
    await each.close();
    codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
    // Unreachable would be a fault of this test.
    if ((status !== 502 && status !== 504) || outcome === 'SP_UPSTREAM_UNREACHABLE' || tookMs > TIMEOUT_MS + 2_000) {
      wrong.push(`${index} ${name}: ${outcome} after ${Math.round(tookMs)} ms ${JSON.stringify(steps).slice(0, 300)}`);
    }
    if (most > worst.bytes) worst = { bytes: most, name };
    longestMs = Math.max(longestMs, tookMs);
  }
  running = false;
  await goodClient;
  await good.close();
  process.off('uncaughtException', crash);
  process.off('unhandledRejection', crash);

  latencies.sort((a, b) => a - b);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  console.log(
    `hostile cloud (seed ${SEED}): ${COUNT - wrong.length} of ${COUNT} replies refused with 502/504, ${crashes} crashes, ` +
      `most memory ${(worst.bytes / 1_048_576).toFixed(1)} MiB (${worst.name}), longest ${Math.round(longestMs)} ms, ${JSON.stringify(Object.fromEntries(codes))}; ` +
      `good client ${latencies.length} requests, ${goodErrors} errors, p99 ${p99.toFixed(1)} ms`,
  );
  expect(wrong).toEqual([]);
  expect(crashes).toBe(0);
  expect(worst.bytes).toBeLessThan(MAX_EXTRA_BYTES);
  expect([goodErrors, latencies.length > 100]).toEqual([0, true]);
}, 60_000);
