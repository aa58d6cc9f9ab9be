/**
 * Holds thousands of connections open, each in one of five slow ways, and tells of each kind how long after its deadline the
 * last one was closed. A process of its own: its work must not be the good client's delay.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type Kind = 'half-open' | 'idle' | 'slow-head' | 'slow-body' | 'slow-read';

export interface Plan {
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  readonly localAddress: string;
  /** How many of each kind. */
  readonly kinds: Readonly<Partial<Record<Kind, number>>>;
  readonly perSecond: number;
}

/** Sent when the time of all that are held is up. */
export interface TimeUp {
  readonly deadlineMs: number;
}

export interface Report {
  /** All are connected, or were turned away. */
  readonly phase: 'held' | 'ended';
  readonly open: number;
  readonly kinds: Readonly<Partial<Record<Kind, KindReport>>>;
}

export interface KindReport {
  readonly held: number;
  readonly turnedAway: number;
  readonly closed: number;
  /** Closed before their time was up. */
  readonly early: number;
  /** Of the last one closed, milliseconds after its deadline. */
  readonly overdueMs: number;
}

interface Attack {
  readonly kind: Kind;
  socket?: Socket;
  held: boolean;
  closedAt?: number;
}

const OPENING: Readonly<Record<Kind, string>> = {
  'half-open': '',
  idle: '',
  'slow-head': 'GET /slow HTTP/1.1\r\nHost: x\r\n',
  'slow-body': 'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n',
  'slow-read': 'GET /large HTTP/1.1\r\nHost: x\r\n\r\n',
};
/** What keeps each alive, once a second: something, but little. */
const DRIP: Readonly<Partial<Record<Kind, string>>> = { 'slow-head': 'A: b\r\n', 'slow-body': 'xxxx' };
/** Nobody sees a connection end without reading from it; a slow reader looks this long after its deadline. */
const LOOK_AFTER_MS = 3_000;

let session: Buffer | undefined;
let attacks: Attack[] = [];
let deadlineAt = Number.POSITIVE_INFINITY;

function start(plan: Plan, attack: Attack): Promise<void> {
  const { port, cert, key, localAddress } = plan;
  const where = { host: '127.0.0.1', port, localAddress };
  return new Promise((resolve) => {
    const tls = {
      ...where,
      cert,
      key,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.2',
    } as const;
    const socket = attack.kind === 'half-open' ? connectTcp(where) : connectTls(session ? { ...tls, session } : tls);
    attack.socket = socket;
    socket.on('error', () => {});
    socket.once('close', () => {
      attack.closedAt = performance.now();
      resolve();
    });
    socket.once('session', (ticket: Buffer) => {
      session = ticket;
    });
    socket.once(attack.kind === 'half-open' ? 'connect' : 'secureConnect', () => {
      attack.held = true;
      if (OPENING[attack.kind] !== '') socket.write(OPENING[attack.kind]);
      if (attack.kind !== 'slow-read') socket.resume();
      resolve();
    });
  });
}

async function run(plan: Plan): Promise<void> {
  // The slow readers first, so that their answers are stuck while everything else happens.
  attacks = Object.entries(plan.kinds)
    .flatMap(([kind, count]) => Array.from({ length: count }, (): Attack => ({ kind: kind as Kind, held: false })))
    .sort((a, b) => Number(b.kind === 'slow-read') - Number(a.kind === 'slow-read'));
  const drip = setInterval(() => {
    for (const { kind, socket, held, closedAt } of attacks) {
      const text = DRIP[kind];
      if (text !== undefined && held && closedAt === undefined) socket?.write(text);
    }
  }, 1_000);

  await start(plan, attacks[0] as Attack); // brings the ticket
  const from = performance.now();
  const pending = new Set<Promise<void>>();
  for (let at = 1; at < attacks.length; at += 1) {
    const due = from + (at * 1_000) / plan.perSecond;
    const early = due - performance.now();
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    const one = start(plan, attacks[at] as Attack).finally(() => pending.delete(one));
    pending.add(one);
    if (pending.size >= 100) await Promise.race(pending);
  }
  await Promise.all(pending);
  tell('held');
  while (attacks.some(({ closedAt }) => closedAt === undefined))
    await new Promise((resolve) => setTimeout(resolve, 100));
  clearInterval(drip);
  tell('ended');
}

function tell(phase: Report['phase']): void {
  const kinds: Partial<Record<Kind, KindReport>> = {};
  for (const kind of new Set(attacks.map((attack) => attack.kind))) {
    const own = attacks.filter((attack) => attack.kind === kind);
    const held = own.filter((attack) => attack.held);
    const closed = held.flatMap(({ closedAt }) => closedAt ?? []);
    kinds[kind] = {
      held: held.length,
      turnedAway: own.length - held.length,
      closed: closed.length,
      early: closed.filter((at) => at < deadlineAt).length,
      overdueMs: closed.reduce((most, at) => Math.max(most, at - deadlineAt), 0),
    };
  }
  const open = attacks.filter(({ closedAt }) => closedAt === undefined).length;
  process.send?.({ phase, open, kinds } satisfies Report);
}

process.on('message', (message: Plan | TimeUp) => {
  if ('port' in message) {
    void run(message);
    return;
  }
  deadlineAt = performance.now() + message.deadlineMs;
  const look = (): void => {
    for (const { kind, socket } of attacks) if (kind === 'slow-read') socket?.resume();
  };
  setTimeout(look, message.deadlineMs + LOOK_AFTER_MS);
});
process.on('disconnect', () => process.exit(0));
