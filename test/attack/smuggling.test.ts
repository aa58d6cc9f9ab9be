/**
 * threats.md row 12: request smuggling and desync. Ten thousand hostile requests (a hundred thousand with SALLYPORT_LONG=1)
 * through the real listener, pipeline and upstreams to six real servers. Each server must see exactly the requests that the
 * gateway decided on, once, octet for octet; of a refused one it must see nothing.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/config/settings.ts';
import type { Reply } from '../../src/exchange/message.ts';
import type { Sealed } from '../../src/exchange/sealed.ts';
import { checkRequestBytes } from '../../src/listeners/https/check-request-bytes.ts';
import type { HttpUpstream } from '../../src/upstreams/http-upstream.ts';
import { requestHead } from '../../src/upstreams/request-head.ts';
import { type RawClient, request, type Stage, startStage, until } from '../unit/listeners/https/stage.ts';
import { openTo } from '../unit/upstreams/http-settings.ts';
import { Backends } from './smuggling/backends.ts';
import { cook, type Recipe, recipeFrom, seeded } from './smuggling/recipe.ts';
import type { Sighting } from './smuggling/recorder.ts';

const MUTATIONS = process.env.SALLYPORT_LONG === '1' ? 100_000 : process.env.CI ? 10_000 : 2_500;
const SEED = Number(process.env.SALLYPORT_SEED ?? 20_260_412);
const WORKERS = 12;

/** What the gateway decided to send, by decision. */
interface Decided {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly string[];
  readonly body: string;
}

const backends = new Backends();
const upstreams: HttpUpstream[] = [];
const decided = new Map<string, Decided>();
const troubles: string[] = [];
/** By the number of the recipe: how many requests the checker of raw bytes finds in it. */
const found: number[] = [];
let stage: Stage;

beforeAll(async () => {
  await backends.start();
  for (const [name, port] of backends.ports) {
    upstreams.push(openTo(`http://127.0.0.1:${port}`, { name, connections: 16, timeoutMs: 10_000 }));
  }
  stage = await startStage({
    limits: { connectionsPerDevice: 64, exchangesPerDevice: 256, inspectedBodyBytes: 220 },
    deny: ({ body }) => (body.kind === 'stream' ? 'stream-not-allowed' : undefined),
    forwardSealed: toEveryBackend,
  });
}, 180_000);

afterAll(async () => {
  await stage?.close();
  await Promise.all(upstreams.map((upstream) => upstream.close(0)));
  await backends.stop();
});

async function toEveryBackend(sealed: Sealed): Promise<Reply> {
  const { arrival } = sealed.permitted.identified;
  const { message } = sealed;
  const body = message.body.kind === 'bytes' ? Buffer.from(message.body.bytes).toString('latin1') : '';
  decided.set(arrival.id, { ...requestHead(message, arrival.id), body });
  // Not the arrival's own signal: an attacker who leaves early would leave some backends without what others have seen.
  const { signal } = new AbortController();
  const replies = await Promise.all(upstreams.map((upstream) => upstream.request(sealed, signal)));
  for (const [at, { status }] of replies.entries()) {
    if (status !== 200) troubles.push(`${upstreams[at]?.name} answered ${status} to ${arrival.verb} ${arrival.path}`);
  }
  return replies[0] as Reply;
}

/** How many requests the checker of raw bytes finds, and whether nothing is left over. */
function oracle(bytes: Buffer): { requests: number; clean: boolean } {
  let requests = 0;
  for (let rest = bytes; rest.length > 0; requests += 1) {
    const verdict = checkRequestBytes(rest, DEFAULT_LIMITS);
    if (verdict.kind !== 'accepted') return { requests, clean: false };
    rest = rest.subarray(verdict.consumedBytes);
  }
  return { requests, clean: true };
}

const TLS12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
let session: Buffer | undefined;

async function connection(idle: RawClient | undefined): Promise<RawClient> {
  if (idle !== undefined && !idle.closed) return idle;
  const client = await stage.client(session ? { ...TLS12, session } : TLS12);
  client.socket.once('session', (ticket: Buffer) => {
    session = ticket;
  });
  return client;
}

/** Sends one recipe; returns the connection if it can be used again. */
async function attack(
  recipe: Recipe,
  at: number,
  idle: RawClient | undefined,
  tally: Tally,
): Promise<RawClient | undefined> {
  const bytes = Buffer.from(cook(recipe, markOf(at)), 'latin1');
  const { requests, clean } = oracle(bytes);
  found[at] = requests;
  const client = await connection(idle);
  client.received = '';
  client.send(bytes);
  // A refusal is one answer too; what the checker finds unfinished gets a moment to prove otherwise.
  const wanted = Math.max(requests, clean ? 0 : 1);
  await answers(client, wanted, clean ? 2_000 : 25);
  tally.sent += 1;
  const accepted = client.received.match(/HTTP\/1\.1 200/g)?.length ?? 0;
  if (accepted > 0) tally.accepted += 1;
  if (accepted > requests) troubles.push(`${accepted} answers, ${requests} requests: ${JSON.stringify(recipe)}`);
  if (clean && accepted > 0 && !client.closed && !/connection: close/i.test(client.received)) return client;
  client.socket.destroy();
  return undefined;
}

function answers(client: RawClient, count: number, withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      client.socket.off('data', look).off('close', finish);
      resolve();
    };
    const timer = setTimeout(finish, withinMs);
    const look = (): void => {
      if ((client.received.match(/HTTP\/1\.1 [2-5]/g)?.length ?? 0) >= count) finish();
    };
    client.socket.on('data', look).once('close', finish);
    if (client.closed) finish();
    else look();
  });
}

interface Tally {
  sent: number;
  accepted: number;
}

/** One well-behaved device, all the time. */
async function goodClient(ended: () => boolean): Promise<{ asked: number; errors: number }> {
  const figures = { asked: 0, errors: 0 };
  const client = await stage.client();
  while (!ended()) {
    figures.asked += 1;
    const body = `reading ${figures.asked}`;
    const answer = await client
      .ask(request('POST', `/good/${figures.asked}`, { 'content-type': 'text/plain' }, body))
      .catch(() => undefined);
    if (answer?.status !== 200) figures.errors += 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return figures;
}

describe('request smuggling', () => {
  it('every backend sees exactly what was decided, and nothing of what was refused', async () => {
    const random = seeded(SEED);
    const recipes = Array.from({ length: MUTATIONS }, () => recipeFrom(random));
    const tally: Tally = { sent: 0, accepted: 0 };
    const from = performance.now();
    let ended = false;
    const good = goodClient(() => ended);
    let next = 0;
    const worker = async (): Promise<void> => {
      let idle: RawClient | undefined;
      while (next < recipes.length) {
        const at = next;
        next += 1;
        idle = await attack(recipes[at] as Recipe, at, idle, tally);
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
    ended = true;
    const { asked, errors } = await good;
    const seconds = (performance.now() - from) / 1_000;

    await until(() => backends.sightings.length >= decided.size * upstreams.length, 10_000).catch(() => {});
    const differences = compare();
    console.info(
      [
        `smuggling (seed ${SEED}): ${tally.sent} hostile requests in ${seconds.toFixed(1)} s`,
        `${decided.size - asked} of their requests forwarded, ${stage.refusals.length} refused`,
        `backends ${[...backends.ports.keys()].join(', ')}: ${backends.sightings.length} sightings, ${differences.length} differences`,
        `good client: ${asked} requests, ${errors} errors`,
      ].join('; '),
    );
    expect(troubles.slice(0, 5)).toEqual([]);
    expect(beyondOracle().slice(0, 5)).toEqual([]);
    expect(differences.slice(0, 5)).toEqual([]);
    expect(backends.sightings.length).toBe(decided.size * upstreams.length);
    expect(errors).toBe(0);
    // The generator must reach both sides of the wall.
    expect(tally.accepted).toBeGreaterThan(MUTATIONS / 10);
    expect(stage.refusals.length).toBeGreaterThan(MUTATIONS / 10);
  }, 900_000);

  it('against every backend that was asked for', () => {
    if (process.env.CI === 'true') expect(backends.missing).toEqual([]);
    expect(backends.ports.size).toBeGreaterThanOrEqual(2);
  });
});

function markOf(at: number): string {
  return `m${at}-${(at * 7_919) % 9_973}-`;
}

/** Recipes of which more was forwarded than the checker of raw bytes finds in them. */
function beyondOracle(): string[] {
  const forwarded = new Map<number, number>();
  for (const { target } of decided.values()) {
    const at = Number(/m(\d+)-/.exec(target)?.[1] ?? Number.NaN);
    // A mutation may have hit the mark itself.
    if (target.includes(markOf(at))) forwarded.set(at, (forwarded.get(at) ?? 0) + 1);
  }
  return [...forwarded]
    .filter(([at, count]) => count > (found[at] ?? 0))
    .map(([at, count]) => `recipe ${at}: ${count} forwarded, ${found[at]} found`);
}

function compare(): string[] {
  const differences: string[] = [];
  const seen = new Set<string>();
  for (const sighting of backends.sightings) {
    const { backend, method, target, headers, body, error } = sighting;
    const decision = headers[headers.indexOf('sallyport-decision') + 1] ?? '';
    const expected = decided.get(decision);
    const line = `${backend}: ${method} ${target} ${JSON.stringify(headers)} ${error ?? ''}`;
    if (error !== undefined || expected === undefined) {
      differences.push(`nobody decided on ${line}`);
      continue;
    }
    if (seen.has(`${backend} ${decision}`)) differences.push(`twice: ${line}`);
    seen.add(`${backend} ${decision}`);
    const same = method === expected.method && target === expected.target && body === expected.body;
    if (!same || fieldsOf(headers) !== fieldsOf(expected.headers)) {
      differences.push(`${line} but decided was ${JSON.stringify(expected)}`);
    }
  }
  return differences;
}

/** Without what belongs to the hop: framing, Host, Connection. */
function fieldsOf(headers: Sighting['headers']): string {
  const lines: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (!HOP.has(name)) lines.push(`${name}: ${headers[at + 1]}`);
  }
  return lines.sort().join('\n');
}

const HOP: ReadonlySet<string> = new Set(['host', 'connection', 'content-length', 'transfer-encoding']);
