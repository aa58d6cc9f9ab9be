/**
 * Worker 0: holds the folder, answers the operator, and keeps the others together. It listens on a Unix socket, mode 0600 in
 * a folder of mode 0700, as the operator's door does: whoever may open it may change the folder anyway.
 */
import { chmodSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { StatusView } from '../admin/operations.ts';
import type { Address } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { Channel } from './channel.ts';
import type { Crew } from './crew.ts';
import type { Decided, FollowerDuties, LeadDuties, WorkerDuties } from './duties.ts';
import { JointCounts, type News } from './joint-counts.ts';
import type { Role } from './role.ts';
import { ticketKeys, ticketSecret } from './ticket-keys.ts';

/** Status and metrics do without a worker that takes longer. */
const REPORT_TIMEOUT_MS = 2_000;
/** A worker that takes longer to look at the registry finds the change by itself (registry-watch.ts). */
const REFRESH_TIMEOUT_MS = 1_500;
/** How often the streams of the ledger name each other's heads. */
const ANCHOR_INTERVAL_MS = 60_000;
/** How long a lead that was replaced waits to hear from the others where they listen, when any port was asked for. */
const PLACE_TIMEOUT_MS = 3_000;
/** Pages of metrics of workers that ended, whose counts must not disappear from the sums. */
const MAX_ENDED = 64;

interface Member {
  readonly worker: number;
  readonly pid: number;
  readonly channel: Channel<FollowerDuties>;
  enlisted: boolean;
  page: string | undefined;
}

export interface LeadOptions {
  readonly role: Role;
  /** The Unix socket of the workers. */
  readonly path: string;
  /** Told when a worker joined or went. */
  readonly onChange?: (event: 'worker-joined' | 'worker-gone', worker: number, pid: number) => void;
}

export class Lead implements Crew {
  readonly worker = 0;
  readonly of: number;
  readonly counts: JointCounts;
  readonly #options: LeadOptions;
  readonly #server: Server;
  readonly #members = new Set<Member>();
  /** Everybody who is connected, also who never said a word. */
  readonly #lines = new Set<Channel<FollowerDuties>>();
  readonly #served = new Set<number>();
  readonly #address = Promise.withResolvers<Address>();
  readonly #known = Promise.withResolvers<Address>();
  readonly #complete = Promise.withResolvers<void>();
  #changed: (() => void) | undefined;
  /** By process: one that only lost the line and comes back must not count twice. */
  readonly #ended = new Map<number, string>();
  #secret = ticketSecret();
  #duties: WorkerDuties | undefined;
  #anchoring: NodeJS.Timeout | undefined;

  constructor(options: LeadOptions) {
    this.#options = options;
    this.of = options.role.of;
    this.counts = new JointCounts(0, this.of);
    this.#server = createServer((socket) => this.#meet(socket));
    this.#address.promise.catch(() => {});
  }

  get pids(): readonly (readonly [number, number])[] {
    return [[0, process.pid], ...[...this.#members].map(({ worker, pid }) => [worker, pid] as const)];
  }

  async join(): Promise<void> {}

  /** Opens the socket. The caller holds the folder's lock, so a socket file that is there belongs to a dead process. */
  async enlist(duties: WorkerDuties): Promise<void> {
    this.#duties = duties;
    const { path } = this.#options;
    rmSync(path, { force: true });
    const mask = process.umask(0o177);
    try {
      await new Promise<void>((done, fail) => {
        this.#server.once('error', fail);
        this.#server.listen(path, done);
      });
      chmodSync(path, 0o600);
    } finally {
      process.umask(mask);
    }
    this.counts.connect((news) => this.#spread(news));
    this.#anchoring = setInterval(() => void this.#anchor(), ANCHOR_INTERVAL_MS).unref();
  }

  /**
   * Several processes of one user may share a port, ours and, if it asks for that, anybody's program: a start makes sure that
   * nobody is there, for then no port can be bound without sharing.
   */
  async place(wanted: Address): Promise<Address> {
    if (!this.#options.role.again) return freePlace(wanted);
    if (wanted.port !== 0) return wanted;
    const timeout = new Promise<Address>((resolve) => setTimeout(resolve, PLACE_TIMEOUT_MS, wanted).unref());
    return Promise.race([this.#known.promise, timeout]);
  }

  async serving(address: Address): Promise<void> {
    this.#address.resolve(address);
    if (!this.#options.role.again) await this.#complete.promise;
  }

  ticketKeys(material: readonly string[]): Buffer {
    return ticketKeys(this.#secret, material);
  }

  async prepare(revision: string): Promise<void> {
    const answers = await this.#ask((channel) => channel.ask('prepare', null));
    const refused = answers.find((answer) => answer.status === 'rejected');
    const other = answers.some((answer) => answer.status === 'fulfilled' && answer.value !== revision);
    if (!refused && !other) return;
    for (const { channel } of this.#enlisted()) channel.tell('abandon', null);
    throw refused
      ? Fault.from(refused.reason)
      : new Fault('SP_GATEWAY_WORKER', 'The folder was changed while it was read; reload again.');
  }

  async commit(): Promise<readonly Decided[]> {
    this.#secret = ticketSecret();
    const answers = await this.#ask((channel) => channel.ask('commit', { secret: this.#secret }));
    return fulfilled(answers);
  }

  async refresh(): Promise<void> {
    await this.#ask((channel) => channel.ask('refresh', null, REFRESH_TIMEOUT_MS));
  }

  async reports(): Promise<readonly StatusView[]> {
    return fulfilled(await this.#ask((channel) => channel.ask('report', null, REPORT_TIMEOUT_MS)));
  }

  async pages(): Promise<{ live: string[]; ended: string[] }> {
    await this.#ask(async (channel, member) => {
      member.page = await channel.ask('page', null, REPORT_TIMEOUT_MS);
    });
    return { live: this.#enlisted().flatMap(({ page }) => page ?? []), ended: [...this.#ended.values()] };
  }

  async connections(device?: string): Promise<ReadonlyMap<string, number>> {
    const of = device === undefined ? {} : { device };
    const answers = fulfilled(await this.#ask((channel) => channel.ask('connections', of, REPORT_TIMEOUT_MS)));
    const sums = new Map<string, number>();
    for (const [key, sessions] of answers.flat()) sums.set(key, (sums.get(key) ?? 0) + sessions);
    return sums;
  }

  async lastCall(timeoutMs: number): Promise<void> {
    clearInterval(this.#anchoring);
    const deadline = performance.now() + timeoutMs;
    while (this.#members.size > 0 && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
        setTimeout(resolve, Math.max(0, deadline - performance.now())).unref();
      });
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#anchoring);
    this.#address.reject(new Fault('SP_GATEWAY_DRAINING'));
    this.#complete.resolve();
    for (const line of this.#lines) line.close();
    if (!this.#server.listening) return;
    await new Promise<void>((done) => this.#server.close(() => done()));
    rmSync(this.#options.path, { force: true });
  }

  #meet(socket: Socket): void {
    let member: Member | undefined;
    const known = (): Member => {
      if (!member) throw new Fault('SP_GATEWAY_WORKER', 'A worker has to join first.');
      return member;
    };
    const duties: LeadDuties = {
      join: async ({ worker, pid, supervisor, address }) => {
        if (supervisor !== process.ppid) throw new Fault('SP_GATEWAY_WORKER', 'A worker of another gateway.');
        if (address) this.#known.resolve(address);
        const place = await this.#address.promise;
        this.#ended.delete(pid);
        member = { worker, pid, channel, enlisted: false, page: undefined };
        this.#members.add(member);
        return place;
      },
      enlist: ({ revision, head }) => this.#enlist(known(), revision, head),
      serving: () => {
        const { worker, pid } = known();
        this.#options.onChange?.('worker-joined', worker, pid);
        this.#served.add(worker);
        if (this.#served.size >= this.of - 1) this.#complete.resolve();
      },
      news: (news) => {
        if (news.worker !== known().worker) throw new Fault('SP_GATEWAY_WORKER', 'News of another worker.');
        this.counts.absorb(news);
        this.#spread(news);
      },
      leave: async (head) => {
        const { worker } = known();
        if (head.stream !== '') this.#duties?.anchor([head]);
        this.#served.delete(worker);
      },
    };
    const channel = new Channel<FollowerDuties>(socket, duties);
    this.#lines.add(channel);
    void channel.closed.then(() => {
      this.#lines.delete(channel);
      if (member) this.#lose(member);
    });
  }

  /** One that read something else than this worker has makes all read the folder anew: revisions are never mixed. */
  #enlist(
    member: Member,
    revision: string,
    head: Parameters<LeadDuties['leave']>[0],
  ): ReturnType<LeadDuties['enlist']> {
    const duties = this.#duties;
    if (!duties) throw new Fault('SP_GATEWAY_WORKER', 'The lead is not ready.');
    return duties.inTurn(async () => {
      member.enlisted = true;
      try {
        if (revision !== duties.revision()) await duties.reload();
      } catch (thrown) {
        member.enlisted = false;
        throw thrown;
      }
      duties.anchor([head]);
      // On the same line as later news, so that nothing newer is overtaken.
      for (const news of this.counts.known) if (news.worker !== member.worker) member.channel.tell('news', news);
      return { revision: duties.revision(), secret: this.#secret, heads: [duties.head()] };
    });
  }

  #lose(member: Member): void {
    this.#members.delete(member);
    this.counts.forget(member.worker);
    if (member.page !== undefined) this.#ended.set(member.pid, member.page);
    const [oldest] = this.#ended.keys();
    if (oldest !== undefined && this.#ended.size > MAX_ENDED) this.#ended.delete(oldest);
    for (const { channel } of this.#enlisted()) channel.tell('forget', { worker: member.worker });
    this.#options.onChange?.('worker-gone', member.worker, member.pid);
    this.#changed?.();
  }

  #spread(news: News): void {
    for (const { worker, channel } of this.#enlisted()) if (worker !== news.worker) channel.tell('news', news);
  }

  async #anchor(): Promise<void> {
    const own = this.#duties?.head();
    if (!own) return;
    const heads = [own, ...fulfilled(await this.#ask((channel) => channel.ask('head', null, REPORT_TIMEOUT_MS)))];
    this.#duties?.anchor(heads.slice(1));
    for (const { channel } of this.#enlisted()) channel.tell('anchor', heads);
  }

  #enlisted(): Member[] {
    return [...this.#members].filter(({ enlisted }) => enlisted);
  }

  /** Asks all; one that ended meanwhile is left out, for its replacement will see the world as it is then. */
  async #ask<T>(question: (channel: Channel<FollowerDuties>, member: Member) => Promise<T>) {
    const members = this.#enlisted();
    const answers = await Promise.allSettled(members.map((member) => question(member.channel, member)));
    return answers.filter((answer, index) => answer.status === 'fulfilled' || members[index]?.channel.isOpen === true);
  }
}

function fulfilled<T>(answers: readonly PromiseSettledResult<T>[]): T[] {
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
}

/** A free port for port 0, too: the system would give one that somebody of the same user shares already. */
function freePlace({ host, port }: Address): Promise<Address> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause) => {
      reject(new Fault('SP_GATEWAY_LISTEN', `${host}:${port}: ${cause.message}`, { cause, details: { host, port } }));
    });
    probe.listen({ host, port }, () => {
      const free = (probe.address() as AddressInfo).port;
      probe.close(() => resolve({ host, port: free }));
    });
  });
}
