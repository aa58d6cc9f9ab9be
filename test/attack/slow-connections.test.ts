/**
 * threats.md row 13: five thousand connections that do nothing, or next to nothing, held at once (half-open TCP, idle TLS,
 * slow head, slow body, slow read). A good device does not notice, memory stays bounded, and every attacker is reaped soon
 * after its time is up. The time limits are long until all are held and measured, however slow the machine, and then short,
 * by the same call that a reload makes: all five thousand are over the limit at once.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS, type Limits } from '../../src/config/settings.ts';
import type { TlsMaterial } from '../../src/listeners/https/tls-context.ts';
import { device, issuePapers, type Papers, RawClient, request } from '../unit/listeners/https/stage.ts';
import type { Plan, Report, TimeUp } from './slow-connections/attacker.ts';
import type { Figures, GatewaySetup } from './slow-connections/gateway.ts';

const ATTACKERS = 5_000;
const LONG_MS = 600_000;
const SHORT_MS = 2_000;
const REAPED_WITHIN_MS = 15_000;
const P99_LIMIT_MS = 20;
const RSS_LIMIT_BYTES = 450 * 1_048_576;
/** More than the kernel buffers for a peer that does not read. */
const LARGE_BYTES = 6 * 1_048_576;

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function startScript(script: string): ChildProcess {
  const child = fork(join(import.meta.dirname, 'slow-connections', script), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  children.push(child);
  return child;
}

async function ask<T>(child: ChildProcess, message: object | string): Promise<T> {
  child.send(message);
  return (await once(child, 'message'))[0] as T;
}

async function startGateway(limits: Limits): Promise<{ gateway: ChildProcess; port: number; papers: Papers }> {
  const papers = await issuePapers();
  const tls: TlsMaterial = {
    certificate: papers.server.pem,
    key: papers.server.keyPem,
    clientAuthorities: [papers.authority.pem],
  };
  const gateway = startScript('gateway.ts');
  const port = await ask<number>(gateway, { tls, limits, largeBytes: LARGE_BYTES } satisfies GatewaySetup);
  return { gateway, port, papers };
}

/** One well-behaved device: a request every 10 ms, its latencies by second. */
class GoodDevice {
  readonly #client: RawClient;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();
  #latencies: number[] = [];
  errors = 0;
  requests = 0;

  private constructor(client: RawClient) {
    this.#client = client;
  }

  static async start(port: number, papers: Papers): Promise<GoodDevice> {
    const own = await device(papers.authority, 'good-1');
    const options = { cert: own.pem, key: own.keyPem, localAddress: '127.0.0.2' };
    const good = new GoodDevice(await RawClient.connect(port, options));
    good.#running = good.#run();
    return good;
  }

  async #run(): Promise<void> {
    const { socket } = this.#client;
    let answered = (): void => {};
    socket.on('data', () => answered()).on('close', () => answered());
    const message = Buffer.from(request('POST', '/good', { 'content-type': 'application/json' }, '{"t":21.5}'));
    while (!this.#stopped && !this.#client.closed) {
      this.#client.received = '';
      const from = performance.now();
      socket.write(message);
      await new Promise<void>((resolve) => {
        answered = resolve;
      });
      this.requests += 1;
      if (!this.#client.received.startsWith('HTTP/1.1 200')) this.errors += 1;
      this.#latencies.push(performance.now() - from);
      await sleep(10);
    }
    if (!this.#stopped) this.errors += 1;
  }

  /** The 99th percentile of each of `seconds` seconds; the median of these, so that one stall of the machine is one second. */
  async p99Over(seconds: number): Promise<number> {
    const seen: number[] = [];
    for (let second = 0; second < seconds; second += 1) {
      this.#latencies = [];
      await sleep(1_000);
      const sorted = this.#latencies.toSorted((a, b) => a - b);
      seen.push(sorted[Math.floor(sorted.length * 0.99)] ?? Number.POSITIVE_INFINITY);
    }
    return seen.toSorted((a, b) => a - b)[Math.floor(seconds / 2)] as number;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#client.socket.destroy();
  }
}

describe('slow connections', () => {
  it('five thousand at once cost a good device nothing, and are all reaped', async () => {
    const attackers = affordable();
    const [readers, others] = [attackers / 10, (attackers * 9) / 40];
    const limits: Limits = {
      ...DEFAULT_LIMITS,
      connectionsPerAddress: attackers + 10,
      connectionsPerDevice: attackers + 10,
      exchangesPerDevice: attackers + 10,
      handshakeTimeoutMs: LONG_MS,
      headerTimeoutMs: LONG_MS,
      requestTimeoutMs: LONG_MS,
      idleTimeoutMs: LONG_MS,
      minimumBytesPerSecond: 1,
    };
    const { gateway, port, papers } = await startGateway(limits);
    const good = await GoodDevice.start(port, papers);
    // The same device at a gateway that nobody attacks, at the same time: what the machine itself is worth.
    const control = await GoodDevice.start((await startGateway(limits)).port, papers);
    const idleP99 = await good.p99Over(3);
    const start = await ask<Figures>(gateway, 'figures');

    const attacker = startScript('attacker.ts');
    const held = await ask<Report>(attacker, {
      port,
      cert: papers.device.pem,
      key: papers.device.keyPem,
      localAddress: '127.0.0.1',
      kinds: { 'half-open': others, idle: others, 'slow-head': others, 'slow-body': others, 'slow-read': readers },
      perSecond: 600,
    } satisfies Plan);
    const before = await ask<Figures>(gateway, 'figures');
    const [p99, controlP99] = await Promise.all([good.p99Over(5), control.p99Over(5)]);
    const during = await ask<Figures>(gateway, 'figures');
    const short = { handshakeTimeoutMs: SHORT_MS, headerTimeoutMs: SHORT_MS, requestTimeoutMs: SHORT_MS };
    await ask(gateway, { ...limits, ...short } satisfies Limits);
    const ended = await ask<Report>(attacker, { deadlineMs: 0 } satisfies TimeUp);
    const after = await ask<Figures>(gateway, 'figures');
    await good.stop();
    await control.stop();

    const kinds = Object.entries(ended.kinds);
    console.info(
      [
        `slow connections: ${before.connections} held, ${during.connections} still held 5 s later`,
        `good device p99 ${p99.toFixed(1)} ms (before ${idleP99.toFixed(1)} ms, without attackers ${controlP99.toFixed(1)} ms), ${good.requests} requests, ${good.errors} errors`,
        `RSS ${mebibytes(during.rssBytes)} MiB (${mebibytes(start.rssBytes)} without attackers)`,
        `last reaped after its deadline: ${kinds.map(([kind, { overdueMs }]) => `${kind} ${(overdueMs / 1_000).toFixed(1)} s`).join(', ')}`,
        `counted ${JSON.stringify(after.counts)}`,
      ].join('; '),
    );
    expect(held.open).toBe(attackers);
    expect(before.connections).toBe(attackers + 1);
    // A machine that is busy with something else is slow without attackers, too.
    expect(p99).toBeLessThan(Math.max(P99_LIMIT_MS, 3 * controlP99));
    expect(good.errors).toBe(0);
    expect(Math.max(before.rssBytes, during.rssBytes)).toBeLessThan(RSS_LIMIT_BYTES);
    for (const [kind, { closed, early, overdueMs }] of kinds) {
      expect(early, kind).toBe(0);
      expect(closed, kind).toBe(kind === 'slow-read' ? readers : others);
      expect(overdueMs, kind).toBeLessThan(REAPED_WITHIN_MS);
    }
    expect(after.connections).toBe(1);
    // Each ended by the limit that is meant for it, and was counted once.
    expect(after.counts).toEqual({
      'handshake-timeout': others,
      SP_HTTP_TIMEOUT: 3 * others,
      'slow-peer': readers,
    });
  }, 150_000);

  it('of one address, or of one device, are capped from the start', async () => {
    const { gateway, port, papers } = await startGateway({
      ...DEFAULT_LIMITS,
      connectionsPerAddress: 256,
      connectionsPerDevice: 16,
    });
    const good = await GoodDevice.start(port, papers);
    const flood = async (kind: 'half-open' | 'idle', count: number, localAddress: string): Promise<Report> => {
      const attacker = startScript('attacker.ts');
      const plan = { port, cert: papers.device.pem, key: papers.device.keyPem, localAddress, perSecond: 2_000 };
      return ask<Report>(attacker, { ...plan, kinds: { [kind]: count } } satisfies Plan);
    };
    await flood('half-open', 400, '127.0.0.3');
    await flood('idle', 60, '127.0.0.4');
    await sleep(500); // a connection that is turned away looks connected to its client for a moment
    const { connections, counts } = await ask<Figures>(gateway, 'figures');
    await good.stop();
    console.info(
      `caps: ${connections} held of 461, counted ${JSON.stringify(counts)}; good device: ${good.errors} errors`,
    );
    expect(counts).toEqual({ 'address-cap': 400 - 256, 'identity-cap': 60 - 16 });
    expect(connections).toBe(256 + 16 + 1);
    expect(good.errors).toBe(0);
  }, 60_000);
});

function mebibytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0);
}

/** Five thousand, or as many as this process may have descriptors for; CI has to have enough. */
function affordable(): number {
  const hard = Number(/^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]);
  if (!(hard < ATTACKERS + 500)) return ATTACKERS;
  if (process.env.CI === 'true')
    throw new Error(`${hard} file descriptors are not enough for ${ATTACKERS} connections`);
  const fewer = Math.floor((hard - 500) / 40) * 40;
  console.warn(`\n*** REDUCED: only ${fewer} slow connections, for want of file descriptors (${hard})\n`);
  return fewer;
}
