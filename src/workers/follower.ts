/**
 * Any worker but the first. It does what the lead asks of it; without a lead it goes on serving, finds revocations by itself
 * (registry-watch.ts), keeps to its share of every bound, and tries to find the next lead.
 */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Address } from '../config/settings.ts';
import { Fault } from '../faults/fault.ts';
import { Channel } from './channel.ts';
import type { Crew } from './crew.ts';
import type { FollowerDuties, LeadDuties, WorkerDuties } from './duties.ts';
import { JointCounts } from './joint-counts.ts';
import type { Role } from './role.ts';
import { ticketKeys, ticketSecret } from './ticket-keys.ts';

const RETRY_MS = 25;
/** The lead answers when it listens: its start may have to replay a long registry. */
const JOIN_TIMEOUT_MS = 120_000;

export interface FollowerOptions {
  readonly role: Role;
  /** The Unix socket of the workers. */
  readonly path: string;
  /** What was to be taken over could not be, after all: this process must end. */
  readonly onBroken: (fault: Fault) => void;
}

export class Follower implements Crew {
  readonly worker: number;
  readonly of: number;
  readonly counts: JointCounts;
  readonly pids = [];
  readonly #options: FollowerOptions;
  #channel: Channel<LeadDuties> | undefined;
  #duties: WorkerDuties | undefined;
  #secret = ticketSecret();
  #address: Address | undefined;
  #listening: Address | undefined;
  #closed = false;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.worker = options.role.worker;
    this.of = options.role.of;
    this.counts = new JointCounts(this.worker, this.of);
  }

  async join(): Promise<void> {
    while (!(await this.#reach())) await pause(RETRY_MS);
  }

  async enlist(duties: WorkerDuties): Promise<void> {
    this.#duties = duties;
    await this.#enlist();
  }

  async place(): Promise<Address> {
    if (!this.#address) throw new Fault('SP_GATEWAY_WORKER', 'There is no lead.');
    return this.#address;
  }

  async serving(address: Address): Promise<void> {
    this.#listening = address;
    this.#channel?.tell('serving', null);
    void this.#stay();
  }

  ticketKeys(material: readonly string[]): Buffer {
    return ticketKeys(this.#secret, material);
  }

  // What follows is the lead's to ask.
  async prepare(): Promise<void> {}
  async commit(): Promise<[]> {
    return [];
  }
  async refresh(): Promise<void> {}
  async reports(): Promise<[]> {
    return [];
  }
  async pages(): Promise<{ live: []; ended: [] }> {
    return { live: [], ended: [] };
  }
  async connections(): Promise<ReadonlyMap<string, number>> {
    return new Map();
  }
  async lastCall(): Promise<void> {
    this.#closed = true;
  }

  /** The lead puts on record where this stream ended. */
  async close(): Promise<void> {
    this.#closed = true;
    const head = this.#duties?.head();
    if (head && this.#channel?.isOpen) await this.#channel.ask('leave', head, 1_000).catch(() => {});
    this.#channel?.close();
  }

  /** True: connected, and told where to listen. */
  async #reach(): Promise<boolean> {
    const socket = connect(this.#options.path);
    const channel = new Channel<LeadDuties>(socket, this.#ownDuties());
    try {
      const address = this.#listening;
      const { worker } = this;
      this.#address = await channel.ask(
        'join',
        { worker, pid: process.pid, supervisor: process.ppid, ...(address && { address }) },
        JOIN_TIMEOUT_MS,
      );
      this.#channel = channel;
      return true;
    } catch {
      channel.close();
      return false;
    }
  }

  async #enlist(): Promise<void> {
    const [channel, duties] = [this.#channel, this.#duties];
    if (!channel || !duties) throw new Fault('SP_GATEWAY_WORKER', 'There is no lead.');
    this.counts.forgetAll();
    const { revision, secret, heads } = await channel.ask('enlist', {
      revision: duties.revision(),
      head: duties.head(),
    });
    if (revision !== duties.revision()) {
      throw new Fault('SP_GATEWAY_WORKER', 'The folder was changed while this worker read it.');
    }
    this.#secret = secret;
    duties.renewTickets();
    duties.anchor(heads);
    this.counts.connect((one) => channel.tell('news', one));
  }

  /** Comes back whenever the lead went. */
  async #stay(): Promise<void> {
    for (;;) {
      await this.#channel?.closed;
      this.counts.connect(undefined);
      this.counts.forgetAll();
      if (this.#closed) return;
      try {
        await pause(RETRY_MS);
        if (!(await this.#reach())) continue;
        await this.#enlist();
        this.#channel?.tell('serving', null);
      } catch {
        // It could not agree with us; the next attempt, or the next lead, may.
        this.#channel?.close();
        await pause(1_000);
      }
    }
  }

  #ownDuties(): FollowerDuties {
    const duties = (): WorkerDuties => {
      if (!this.#duties) throw new Fault('SP_GATEWAY_WORKER', 'The worker is not ready.');
      return this.#duties;
    };
    return {
      prepare: () => duties().prepare(),
      commit: async ({ secret }) => {
        try {
          this.#secret = secret;
          return await duties().commit();
        } catch (thrown) {
          // The others have the new revision: this one must not go on with the old.
          this.#options.onBroken(Fault.from(thrown));
          throw thrown;
        }
      },
      abandon: () => duties().abandon(),
      refresh: async () => void (await duties().refresh()),
      report: () => duties().report(),
      page: () => duties().page(),
      connections: ({ device }) => duties().connections(device),
      head: () => duties().head(),
      anchor: (heads) => duties().anchor(heads.filter(({ stream }) => stream !== duties().head().stream)),
      news: (news) => this.counts.absorb(news),
      forget: ({ worker }) => this.counts.forget(worker),
    };
  }
}
