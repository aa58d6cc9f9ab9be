/** A lead and its followers in one process, with duties that can be made to fail. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { StatusView } from '../../../src/admin/operations.ts';
import { Fault } from '../../../src/faults/fault.ts';
import { Channel } from '../../../src/workers/channel.ts';
import type { LeadDuties, WorkerDuties } from '../../../src/workers/duties.ts';
import { Follower } from '../../../src/workers/follower.ts';
import { Lead } from '../../../src/workers/lead.ts';

const ADDRESS = { host: '127.0.0.1', port: 8443 };

let folder: string;
let path: string;
let ends: (() => Promise<unknown>)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-crew-'));
  path = join(folder, 'workers.sock');
  ends = [];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  rmSync(folder, { recursive: true, force: true });
});

/** A worker without a gateway: it remembers what it was asked. */
class Stub implements WorkerDuties {
  readonly anchors: string[] = [];
  readonly did: string[] = [];
  folder = 'r1';
  current: string;
  fault: Fault | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #stream: string;

  constructor(stream: string, current = 'r1') {
    this.#stream = stream;
    this.current = current;
  }

  prepare = async () => {
    this.did.push('prepare');
    if (this.fault) throw this.fault;
    return this.folder;
  };
  commit = async () => {
    this.did.push('commit');
    this.current = this.folder;
    return { reconsidered: 1, closed: 0 };
  };
  abandon = () => void this.did.push('abandon');
  refresh = async () => void this.did.push('refresh');
  report = () => ({ pid: 1 }) as StatusView;
  page = () => `page of ${this.#stream}`;
  connections = (): [string, number][] => [['key', 2]];
  revision = () => this.current;
  head = () => ({ stream: this.#stream, seq: 1, hash: this.#stream });
  anchor = (heads: readonly { stream: string }[]) => void this.anchors.push(...heads.map(({ stream }) => stream));
  renewTickets = () => void this.did.push('tickets');
  inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  };
  reload = async () => void this.did.push('reload');
}

async function crew(of = 3, again = false) {
  const lead = new Lead({ role: { worker: 0, of, again }, path });
  const duties = new Stub('main');
  await lead.enlist(duties);
  const serving = lead.serving(ADDRESS);
  ends.push(() => lead.close());
  return { lead, duties, serving };
}

async function follower(worker: number, duties = new Stub(`worker-${worker}`), of = 3) {
  const onBroken = vi.fn();
  const one = new Follower({ role: { worker, of, again: false }, path, onBroken });
  await one.join();
  await one.enlist(duties);
  await one.serving(await one.place());
  ends.push(() => one.close());
  return { one, duties, onBroken };
}

async function all() {
  const { lead, duties, serving } = await crew();
  const followers = [await follower(1), await follower(2)] as const;
  await serving;
  return { lead, duties, followers };
}

describe('a crew', () => {
  it('is complete when all serve, behind a door for one user alone', async () => {
    const { lead, serving } = await crew();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    let complete = false;
    void serving.then(() => {
      complete = true;
    });
    const { one, duties } = await follower(1);
    expect(await one.place()).toEqual(ADDRESS);
    expect(complete).toBe(false);
    await follower(2);
    await serving;
    expect(lead.pids.map(([worker]) => worker)).toEqual([0, 1, 2]);
    expect(one.ticketKeys(['a'])).toEqual(lead.ticketKeys(['a']));
    expect(duties.anchors).toEqual(['main']);
  });

  it('sums what each has', async () => {
    const { lead, followers } = await all();
    expect(await lead.connections()).toEqual(new Map([['key', 4]]));
    expect((await lead.pages()).live).toEqual(['page of worker-1', 'page of worker-2']);
    await followers[0].one.close();
    await vi.waitFor(async () => {
      expect(await lead.pages()).toEqual({ live: ['page of worker-2'], ended: ['page of worker-1'] });
    });
  });

  it('has taken over the registry when the lead says so', async () => {
    const { lead, followers } = await all();
    await lead.refresh();
    for (const { duties } of followers) expect(duties.did).toContain('refresh');
  });

  it('puts on record where a stream ended', async () => {
    const { duties, followers } = await all();
    duties.anchors.length = 0;
    await followers[1].one.close();
    expect(duties.anchors).toEqual(['worker-2']);
  });
});

describe('a reload', () => {
  it('is taken over by all, with new ticket keys', async () => {
    const { lead, followers } = await all();
    for (const { duties } of followers) duties.folder = 'r2';
    const before = lead.ticketKeys([]);
    await lead.prepare('r2');
    for (const { duties } of followers) expect(duties.current).toBe('r1');
    expect(await lead.commit()).toHaveLength(2);
    for (const { one, duties } of followers) {
      expect(duties.current).toBe('r2');
      expect(one.ticketKeys([])).toEqual(lead.ticketKeys([]));
    }
    expect(lead.ticketKeys([])).not.toEqual(before);
  });

  it('that one worker cannot prepare fails with its fault, and none keeps it', async () => {
    const { lead, followers } = await all();
    followers[1].duties.fault = new Fault('SP_KEY_INVALID', 'this key');
    await expect(lead.prepare('r1')).rejects.toMatchObject({ code: 'SP_KEY_INVALID', message: 'this key' });
    for (const { duties } of followers) {
      await vi.waitFor(() => expect(duties.did).toContain('abandon'));
      expect(duties.did).not.toContain('commit');
    }
  });

  it('of files that changed while they were read is none', async () => {
    const { lead, followers } = await all();
    followers[0].duties.folder = 'r3';
    await expect(lead.prepare('r1')).rejects.toMatchObject({ code: 'SP_GATEWAY_WORKER' });
    await vi.waitFor(() => expect(followers[0].duties.did).toContain('abandon'));
  });

  it('does not wait for a worker that ended, and ends one that cannot go on', async () => {
    const { lead, followers } = await all();
    await lead.prepare('r1');
    await followers[0].one.close();
    followers[1].duties.commit = async () => {
      throw new Fault('SP_INTERNAL');
    };
    expect(await lead.commit()).toEqual([]);
    expect(followers[1].onBroken).toHaveBeenCalledTimes(1);
  });
});

describe('a worker that comes late', () => {
  it('with another folder than the others makes all read it anew', async () => {
    const { duties } = await crew(2);
    const late = new Stub('worker-1', 'r2');
    duties.reload = async () => {
      duties.did.push('reload');
      duties.current = 'r2';
    };
    await follower(1, late, 2);
    expect(duties.did).toEqual(['reload']);
  });

  it('hears what the others have open', async () => {
    const { lead } = await crew(3);
    const { one } = await follower(1);
    lead.counts.opened('device', 2);
    one.counts.opened('device', 3);
    await vi.waitFor(() => expect(lead.counts.share('device', 8)).toBe(5));
    const { one: late } = await follower(2);
    expect(late.counts.share('device', 8)).toBe(3);
  });

  it('is not let in when they cannot', async () => {
    const { lead, duties } = await crew(2);
    duties.reload = async () => {
      throw new Fault('SP_CONFIG_INVALID');
    };
    await expect(follower(1, new Stub('worker-1', 'r2'), 2)).rejects.toMatchObject({ code: 'SP_CONFIG_INVALID' });
    expect((await lead.pages()).live).toEqual([]);
  });

  it('of another gateway is not let in at all', async () => {
    await crew(2);
    const channel = new Channel<LeadDuties>(connect(path), {});
    const join = { worker: 1, pid: 1, supervisor: process.ppid + 1 };
    await expect(channel.ask('join', join)).rejects.toMatchObject({ code: 'SP_GATEWAY_WORKER' });
    // Nor does anything else work before that.
    await expect(channel.ask('leave', { stream: 'x', seq: 1, hash: '' })).rejects.toMatchObject({
      code: 'SP_GATEWAY_WORKER',
    });
    channel.close();
  });
});

it('somebody who only connects does not keep a lead from ending', async () => {
  const { lead } = await crew(2);
  const silent = connect(path);
  await new Promise((done) => silent.once('connect', done));
  await lead.close();
  silent.destroy();
});

describe('without a lead', () => {
  it('a follower keeps to its share, and finds the next lead, where it listens', async () => {
    const { lead } = await crew(2);
    const { one } = await follower(1, new Stub('worker-1'), 2);
    expect(one.counts.share('device', 8)).toBe(8);
    await lead.close();
    await vi.waitFor(() => expect(one.counts.share('device', 8)).toBe(4));
    const next = new Lead({ role: { worker: 0, of: 2, again: true }, path });
    ends.push(() => next.close());
    await next.enlist(new Stub('main'));
    // Any port was asked for: it has to be the one of before.
    expect(await next.place({ host: '127.0.0.1', port: 0 })).toEqual(ADDRESS);
    await next.serving(ADDRESS);
    await vi.waitFor(() => expect(one.counts.share('device', 8)).toBe(8));
    await vi.waitFor(() => expect(one.ticketKeys([])).toEqual(next.ticketKeys([])));
  });
});

describe('the place', () => {
  it('is refused if somebody listens there, whether or not he shares', async () => {
    const lead = new Lead({ role: { worker: 0, of: 2, again: false }, path });
    for (const reusePort of [false, true]) {
      const other = createServer();
      await new Promise<void>((done) => other.listen({ host: '127.0.0.1', port: 0, reusePort }, done));
      const { port } = other.address() as { port: number };
      await expect(lead.place({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'SP_GATEWAY_LISTEN' });
      await new Promise((done) => other.close(done));
      expect(await lead.place({ host: '127.0.0.1', port })).toEqual({ host: '127.0.0.1', port });
    }
    expect((await lead.place({ host: '127.0.0.1', port: 0 })).port).toBeGreaterThan(0);
  });
});
